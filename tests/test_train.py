"""train.py as its users run it, and the parts that decide what it learns."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import assert_refused, run
from transformers import AutoImageProcessor, SegformerForSemanticSegmentation

from cache_utils import fit, fitted_words, open_source
from dataset_utils import read_samples, split_samples
from loss_utils import HeatmapLoss
from model_utils import Normalise, load_model, new_model, to_maps
from presets import make_preset
from static import constants as C
from train_data import TrainDataset

TINY = ("--image_size", 128, "--crop_size", 64, "--use_cpu", "True", "--logging_steps", 1)
TINY += ("--per_device_train_batch_size", 4, "--dataloader_num_workers", 0, "--test_size", 0.25)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "data"
    result = run(
        "generate_images.py", "--num_images", 16, "--save_folder", folder, "--image_size", 128,
        "--num_workers", 1, "--seed", 3,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder


# --- The parts -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_fast_head_equals_the_librarys(size):
    torch.manual_seed(0)
    model = new_model().train()
    pixels = torch.randn(2, 3, *size)
    results = []
    for forward in (model.decode_head.forward, None):
        if forward is None:
            del model.decode_head.forward  # the class's own again
        model.zero_grad()
        model.decode_head.batch_norm.reset_running_stats()
        logits = model(pixel_values=pixels).logits
        (logits * torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)).sum().backward()
        results.append((logits, [p.grad for p in model.parameters()]))
    (fast, fast_grads), (slow, slow_grads) = results
    assert torch.allclose(fast, slow, atol=1e-5)
    for a, b in zip(fast_grads, slow_grads, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * max(1.0, b.abs().max().item()))


def test_the_loss_keeps_the_heatmaps_values():
    """Free logits, trained on a map of plateaus, end near the map's own values."""
    levels = [0.0, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0]
    shares = [40, 4, 4, 4, 4, 4, 4]
    row = torch.cat([torch.full((n,), v) for n, v in zip(shares, levels, strict=True)])
    labels = (row * 255).round().to(torch.uint8).expand(2, 2, 16, -1).contiguous()
    logits = torch.zeros(labels.shape, requires_grad=True)
    optimizer, loss = torch.optim.Adam([logits], 0.1), HeatmapLoss()
    for _ in range(600):
        optimizer.zero_grad()
        loss(logits, labels).backward()
        optimizer.step()
    learnt = torch.sigmoid(logits.detach())[0, 0, 0]
    for level in levels[1:-1]:
        assert learnt[(row - level).abs() < 1e-3].mean() == pytest.approx(level, abs=0.06)


def test_split_is_deterministic_and_stable(data):
    samples = read_samples(data)[0]
    train, test = split_samples(samples, 0.25)
    assert {s.file for s in train}.isdisjoint(s.file for s in test)
    assert len(train) + len(test) == len(samples) and test
    fewer = split_samples(samples[:-4], 0.25)[1]
    assert {s.file for s in fewer} <= {s.file for s in test}


def test_fitting_keeps_points_on_their_pixels(data):
    sample = read_samples(data)[0][0]
    picture = np.zeros((50, 100, 3), np.uint8)
    picture[20:30, 60:80] = 255
    sample.width, sample.height = 100, 50
    fitted = fit(picture, 200)
    assert fitted.shape == (200, 200, 3)
    rows, columns = np.nonzero(fitted[..., 0] > 127)
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (120, 160, 40, 60)
    for before, after in zip(sample.words, fitted_words(sample, 200), strict=True):
        assert after.quads == pytest.approx(before.quads * 2)


def test_crops_move_image_and_maps_alike(data):
    """The maps' own picture, cropped as an image, equals the cropped maps."""
    sample = next(s for s in read_samples(data)[0] if s.words)
    source, _ = open_source([sample], 128, caching=False, workers=1)
    _, maps, _ = source.read(0)
    source.read = lambda index: (np.dstack([maps, maps[..., :1]]), maps, None)
    preset = make_preset("default", 64, 128)
    preset.colour.transforms.clear()
    for seed in range(20):
        item = TrainDataset(source, preset)[0, seed]
        assert item["pixel_values"].shape == (3, 64, 64) and item["labels"].shape == (2, 32, 32)
        shrunk = item["pixel_values"][:2].float().reshape(2, 32, 2, 32, 2).mean((2, 4))
        assert (shrunk - item["labels"].float()).abs().max() <= 1.01


# --- The command -----------------------------------------------------------------------------


def curve(folder):
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def test_trains_caches_resumes_and_saves(data, tmp_path):
    """One run from end to end, its second half done again after an interruption."""
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    args = ("train.py", "--input_dir", data, *TINY, "--from_scratch", "True", "--caching", "True")
    args += ("--num_train_epochs", 4)
    first = run(*args, "--output_dir", whole)
    assert first.returncode == 0, first.stderr
    assert "caching takes" in first.stdout and "f1:" in first.stdout
    for name in ("model.safetensors", "config.json", "preprocessor_config.json",
                 "eval_results.json", "train_results.json", "training_curves.png",
                 "predictions.png"):  # fmt: skip
        assert (whole / name).stat().st_size > 50, name

    shutil.copytree(whole, halved)
    checkpoints = sorted(halved.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    shutil.rmtree(checkpoints[-1])  # as if it had been stopped before its last epoch
    second = run(*args, "--output_dir", halved)
    assert second.returncode == 0, second.stderr
    assert "using the cached data set" in second.stdout and "going on from" in second.stdout
    assert curve(halved) == pytest.approx(curve(whole), rel=0.02)

    # What was saved is what transformers itself loads and computes.
    plain = SegformerForSemanticSegmentation.from_pretrained(whole).eval()
    ours = load_model(str(whole)).eval()
    assert plain.config.id2label == {0: "character", 1: "affinity"}
    processor = AutoImageProcessor.from_pretrained(whole)
    pixels = processor(np.full((128, 128, 3), 90, np.uint8), return_tensors="pt")["pixel_values"]
    assert torch.allclose(Normalise()(torch.full((1, 3, 128, 128), 90)), pixels, atol=1e-4)
    with torch.no_grad():
        expected, found = plain(pixel_values=pixels).logits, ours(pixel_values=pixels).logits
    assert torch.allclose(expected, found, atol=1e-5)
    assert to_maps(found, (128, 128)).shape == (1, 2, 128, 128)


def test_default_model_without_network_and_damaged_triplets(data, tmp_path, monkeypatch):
    """The start falls back within seconds; damaged files are named, the rest is trained on."""
    folder = tmp_path / "data"
    shutil.copytree(data, folder, ignore=shutil.ignore_patterns("cache"))
    victims = sorted((folder / "images").iterdir())[:2]
    victims[0].write_bytes(b"not an image")
    (folder / "affinity_heatmaps" / f"{victims[1].stem}.png").unlink()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    result = run(
        "train.py", "--input_dir", folder, "--output_dir", tmp_path / "out", *TINY,
        "--max_steps", 1, "--caching", "True", "--max_damaged", 0.2,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "the model hub is out of reach: starting from" in result.stderr
    assert all(victim.stem in result.stderr for victim in victims)
    bundled = (C.MODEL / "config.json").exists()
    assert ("static/model" if bundled else "random weights") in result.stderr


def test_a_triplet_damaged_behind_its_header_is_replaced(data, tmp_path, capsys):
    folder = tmp_path / "data"
    shutil.copytree(data, folder, ignore=shutil.ignore_patterns("cache"))
    samples = read_samples(folder)[0][:3]
    for sample in samples[1:]:
        sample.image_path.write_bytes(sample.image_path.read_bytes()[:1500])
    source, problems = open_source(samples, 64, caching=False, workers=1)
    assert not problems and len(source) == 3  # their headers are sound
    index, image, maps, _ = source.read_sound(1)
    assert index == 0 and (image == source.read(0)[0]).all() and (maps == source.read(0)[1]).all()
    assert all(sample.file in capsys.readouterr().err for sample in samples[2:])


def test_cache_follows_the_files(data):
    samples = read_samples(data)[0][:4]
    before, _ = open_source(samples, 64, caching=True, workers=1)
    again, _ = open_source(samples, 64, caching=True, workers=1)
    assert before.rows[0][0].folder == again.rows[0][0].folder
    fresh, cached = open_source(samples, 64, caching=False, workers=1)[0], before
    for index in range(4):
        for a, b in zip(fresh.read(index)[:2], cached.read(index)[:2], strict=True):
            assert (a == b).all()
    samples[0].image_path.touch()
    changed, _ = open_source(samples, 64, caching=True, workers=1)
    assert changed.rows[0][0].folder != before.rows[0][0].folder
    assert not before.rows[0][0].folder.exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--input_dir", "nowhere"), "no such folder"),
        (("--input_dir", "EMPTY"), "make data with generate_images.py first"),
        (("--test_size", "1.5"), "must lie between 0 and 1"),
        (("--image_size", "100"), "multiple of 32"),
        (("--augmentation", "wild"), "no preset"),
        (("--model_name_or_path", "EMPTY"), "neither a folder with a model"),
        (("--learning_rate", "fast"), "invalid float value"),
        (("--shoe_size", "43"), "unrecognized arguments"),
    ],
)
def test_bad_input(args, message, data, tmp_path):
    (tmp_path / "empty").mkdir()
    args = [str(tmp_path / "empty") if arg == "EMPTY" else arg for arg in args]
    given = [] if "--input_dir" in args else ["--input_dir", data]
    result = run("train.py", *given, "--output_dir", tmp_path / "out", "--use_cpu", "True", *args)
    assert_refused(result, message)
