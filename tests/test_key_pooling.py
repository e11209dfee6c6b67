"""Attention to means of keys: `key_pooling` in a model's config.json."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from textdet.common.errors import DataError
from textdet.network.model_files import WEIGHTS_FILE, bundled_model
from textdet.network.segformer import load_trained, new_model, pool_keys


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


@pytest.fixture
def pooled(tmp_path):
    """The bundled weights with a quarter of the keys in the first two stages."""
    folder = Path(shutil.copytree(bundled_model(), tmp_path / "pooled"))
    return change_config(folder, key_pooling=[2, 2, 1, 1])


def test_is_the_network_with_keys_twice_as_large(pooled, tmp_path):
    # A convolution with the same kernel four times side by side, divided by 4, gives the mean of
    # four keys: a SegFormer of doubled sr_ratios with it is an independent reference.
    large_keys = Path(shutil.copytree(pooled, tmp_path / "large_keys"))
    change_config(large_keys, key_pooling=[1, 1, 1, 1], sr_ratios=[16, 8, 2, 1])
    weights = load_file(large_keys / WEIGHTS_FILE)
    for name, value in weights.items():
        if ".sr.weight" in name and value.shape[2] > 2:
            weights[name] = value.float().repeat(1, 1, 2, 2) / 4
    save_file(weights, large_keys / WEIGHTS_FILE, {"format": "pt"})
    plain_keys = Path(shutil.copytree(pooled, tmp_path / "plain_keys"))
    change_config(plain_keys, key_pooling=None)
    pixels = torch.randn(2, 3, 192, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found, expected, plain = (
            load_trained(folder)(pixel_values=pixels).logits
            for folder in (pooled, large_keys, plain_keys)
        )
    assert torch.allclose(found, expected, atol=1e-4)
    assert (found - plain).abs().max() > 0.1


def test_a_saved_copy_keeps_it(pooled, tmp_path):
    load_trained(pooled).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["key_pooling"] == [2, 2, 1, 1]


def test_a_flag_halves_the_keys_of_any_start(random_model, triplets, tmp_path, run_well_here):
    assert "key_pooling" not in json.loads((random_model / "config.json").read_text())
    run_well_here(
        *("train.py", "--input_dir", triplets, "--output_dir", tmp_path, "--crop_size", 64),
        *("--model_name_or_path", random_model, "--key_pooling", 2, 2, 1, 1, "--max_steps", 1),
        *("--image_size", 128, "--test_size", 0.25, "--learning_rate", 0),
    )
    assert json.loads((tmp_path / "config.json").read_text())["key_pooling"] == [2, 2, 1, 1]
    known, saved = (load_file(folder / WEIGHTS_FILE) for folder in (random_model, tmp_path))
    assert known.keys() == saved.keys()
    name = "segformer.encoder.block.0.0.attention.self.sr.weight"
    torch.testing.assert_close(saved[name], known[name].float())


@pytest.fixture(scope="module")
def model():
    return new_model()


@pytest.mark.parametrize("value", [2, [2, 2], [2, 0, 1, 1], [2, 2, 1, 2], [1.5, 1, 1, 1]])
def test_nonsense_is_refused(model, value):
    with pytest.raises(DataError, match="key_pooling must be 4 whole numbers") as refusal:
        pool_keys(model, value)
    assert str(value) in str(refusal.value)


def test_nonsense_in_a_file_is_refused(pooled):
    change_config(pooled, key_pooling=[2, 2])
    with pytest.raises(DataError, match="key_pooling must be 4 whole numbers"):
        load_trained(pooled)
