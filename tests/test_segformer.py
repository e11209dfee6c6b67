"""Loading a SegFormer: what its folder may say, and what it may not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from textdet.common.errors import DataError
from textdet.network.model_files import bundled_model
from textdet.network.segformer import load_model, load_trained

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def change_config(folder, **fields):
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def weights_of(model):
    """Tensors by their names in memory, whatever the names in the file."""
    return {name: tensor.float() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("load", [load_model, load_trained])
def test_it_loads_what_the_library_loads(load):
    folder = bundled_model()
    expected = weights_of(SegformerForSemanticSegmentation.from_pretrained(folder))
    model = load(str(folder))
    found = weights_of(model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


def test_an_encoder_alone_and_other_labels_are_a_start(model_dir):
    """As the library's: what is missing of the head is drawn at random; nothing else may be."""
    tensors = load_file(model_dir / WEIGHTS)
    classifier = {name: t for name, t in tensors.items() if "classifier" in name}
    tensors |= {name: torch.zeros(150, *t.shape[1:]) for name, t in classifier.items()}
    save_file(tensors, model_dir / WEIGHTS)
    change_config(model_dir, id2label={str(i): f"label {i}" for i in range(150)}, num_labels=150)
    model = load_model(str(model_dir))
    assert model.decode_head.classifier.weight.shape[0] == 2 == model.config.num_labels
    assert model.decode_head.classifier.weight.std() > 0
    with pytest.raises(DataError, match="150 channels instead of 2"):
        load_trained(model_dir)
    change_config(model_dir, id2label={"0": "character", "1": "affinity"}, num_labels=2)
    with pytest.raises(DataError, match="do not go together, by decode_head.classifier"):
        load_trained(model_dir)
    encoder = {n: t for n, t in tensors.items() if not n.startswith("decode_head")}
    save_file(encoder, model_dir / WEIGHTS)
    assert load_model(str(model_dir)).decode_head.linear_fuse.weight.std() > 0
    encoder.pop(min(encoder))
    save_file(encoder, model_dir / WEIGHTS)
    with pytest.raises(DataError, match="do not go together, by segformer"):
        load_model(str(model_dir))


def test_a_folder_names_no_code_and_no_other_files(model_dir):
    """Whatever else is in it is passed over."""
    change_config(
        model_dir,
        _attn_implementation="someone/kernel",
        auto_map={"AutoModel": "code.Model"},
        quantization_config={"quant_method": "bitsandbytes"},
        dtype="float16",
    )
    (model_dir / "adapter_config.json").write_text('{"base_model_name_or_path": "a/b"}')
    index = {"metadata": {}, "weight_map": {"a": "pytorch_model.bin"}}
    (model_dir / "model.safetensors.index.json").write_text(json.dumps(index))
    for load in (load_model, load_trained):
        model = load(str(model_dir))
        plain = SegformerConfig()._attn_implementation
        assert model.config._attn_implementation in (plain, "sdpa", "eager")
    (model_dir / WEIGHTS).unlink()
    for load in (load_model, load_trained):
        with pytest.raises(DataError, match="no sound model.safetensors"):
            load(str(model_dir))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        {"model_type": "bert"},
        {"num_labels": 3 * 10**8},
        {"id2label": 5},
        {"id2label": None},
        {"depths": [2, 2, 2, 400]},
        {"depths": [17, 17, 17, 17]},
        {"depths": 2},
        {"depths": [2, 2, 2]},
        {"depths": [2, 2, 2, "2"]},
        {"hidden_sizes": [10**9, 64, 160, 256]},
        {"hidden_sizes": [32, 64, 160, 10**400]},
        {"hidden_sizes": [32, 64, 161, 256]},
        {"hidden_sizes": [64, 64, 160, 256]},
        {"num_attention_heads": [0, 2, 5, 8]},
        {"decoder_hidden_size": 2.5},
        {"decoder_hidden_size": True},
        {"decoder_hidden_size": 128},
        {"num_channels": 4},
        {"num_encoder_blocks": 5},
        {"hidden_act": "os.system"},
        {"hidden_act": ["gelu"]},
        {"hidden_dropout_prob": float("nan")},
        {"drop_path_rate": "0.1"},
        {"layer_norm_eps": float("inf")},
        {"reshape_last_stage": "yes"},
        {"key_pooling": [2, 2, 1, 2]},
        {"key_pooling": "2"},
        {"key_pooling": {"a": 1}},
    ],
    ids=lambda content: str(content)[:40],
)
def test_a_config_of_something_else_is_one_line(model_dir, content):
    if isinstance(content, dict):
        change_config(model_dir, **content)
    else:
        (model_dir / CONFIG).write_text(content)
    with pytest.raises(DataError) as caught:
        load_trained(model_dir)
    assert len(str(caught.value).splitlines()) == 1 and str(model_dir) in str(caught.value)


def test_weights_that_are_no_safetensors_are_refused(model_dir):
    """A pickle can run any code when it is loaded."""
    torch.save(load_file(model_dir / WEIGHTS), model_dir / "pytorch_model.bin")
    (model_dir / WEIGHTS).unlink()
    for load in (load_model, load_trained):
        with pytest.raises(DataError, match="cannot be loaded.*safetensors"):
            load(str(model_dir))


def test_damaged_weights_are_one_line(model_dir):
    weights = (model_dir / WEIGHTS).read_bytes()
    for damaged in (weights[: len(weights) // 2], b"", b"no weights"):
        (model_dir / WEIGHTS).write_bytes(damaged)
        for load in (load_model, load_trained):
            with pytest.raises(DataError, match="cannot be loaded") as caught:
                load(str(model_dir))
            assert len(str(caught.value).splitlines()) == 1


def test_a_hubs_model_is_found_in_the_cache(model_dir, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--some--model" / "snapshots" / "0123"
    Path(shutil.copytree(model_dir, snapshot))
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("0123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = load_model("some/model")
    assert model.name_or_path == "some/model"  # which the card of what is trained from it names
    assert torch.equal(
        model.decode_head.linear_fuse.weight,
        load_model(str(model_dir)).decode_head.linear_fuse.weight,
    )
    with pytest.raises(DataError, match="nor cached, nor on the hub"):
        load_model("some/other")
