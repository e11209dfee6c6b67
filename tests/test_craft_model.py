"""CRAFT's weights as a model of the scripts: the same boxes as the published procedure."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT
from reference_craft_network import reference_detection

from textdet.common.images import read_image
from textdet.network.craft import Craft
from textdet.network.detector import TextDetector
from textdet.network.model_files import find_model
from textdet.network.onnx_export import export_onnx
from textdet.network.result import Maps
from textdet.network.runtimes import OnnxRuntime

PHOTO = ROOT / "static/photos/scenetext01.jpg"
THRESHOLDS = (0.4, 0.6, 0.35)  # at which random maps have several components
SIDE = 384  # px, a multiple of 32: the published procedure decodes the padding as well


@pytest.fixture(scope="module")
def image():
    return np.ascontiguousarray(read_image(PHOTO)[:SIDE, 200 : 200 + SIDE])


@pytest.fixture(scope="module")
def weights(image):
    """Random ones; their maps of the image have blobs of all values, as a trained network's."""
    torch.manual_seed(0)
    weights = Craft().state_dict()
    for tensor in weights.values():
        if tensor.ndim == 4:
            torch.nn.init.kaiming_normal_(tensor)
    _, maps = reference_detection(weights, image)
    spread, middle = (torch.tensor(f(maps, axis=(1, 2))) for f in (np.std, np.mean))
    gain, last = 0.25 / spread, "conv_cls.8"
    weights[f"{last}.weight"] *= gain[:, None, None, None]
    weights[f"{last}.bias"] = (weights[f"{last}.bias"] - middle) * gain
    return weights


@pytest.fixture(scope="module")
def craft(weights, tmp_path_factory):
    """A file as the authors published theirs. Nothing may be written beside it."""
    path = tmp_path_factory.mktemp("weights") / "craft_random.pth"
    torch.save({f"module.{name}": tensor for name, tensor in weights.items()}, path)
    return path


def in_float32(detector):
    detector.runtime.bf16 = False
    return detector


@pytest.mark.parametrize(("side", "scale"), [(SIDE, 1.0), (SIDE // 2, 0.5), (2 * SIDE, 1.5)])
def test_boxes_of_the_published_procedure(craft, weights, image, side, scale):
    """At its own size, shrunk, and enlarged as far as CRAFT enlarges small images."""
    names = "text_threshold", "link_threshold", "low_text"
    thresholds = dict(zip(names, THRESHOLDS, strict=True))
    detector = in_float32(TextDetector(craft, "cpu", long_side=side, **thresholds))
    assert detector.scale(SIDE, SIDE) == scale
    expected, maps = reference_detection(weights, image, side, thresholds=THRESHOLDS)
    (found,) = detector.predict([image])
    np.testing.assert_allclose(found, maps.clip(0, 1), atol=1e-4)
    boxes = np.array([word.quad for word in detector(image).words])
    assert len(boxes) == len(expected) > 3
    # In the project's coordinates, half a px of the map on from CRAFT's, and within the image.
    expected = (np.array(expected) + 0.5 * 2 / scale).clip(0, SIDE)
    order = [np.abs(boxes - box).max((1, 2)).argmin() for box in expected]
    assert sorted(order) == list(range(len(boxes)))
    np.testing.assert_allclose(boxes[order], expected, atol=1e-3)


def test_defaults_are_crafts(craft):
    settings = TextDetector(craft, "cpu").settings
    assert settings.decoder == "craft" and settings.long_side == 1280
    thresholds = settings.text_threshold, settings.link_threshold, settings.low_text
    assert thresholds == (0.7, 0.4, 0.4) and settings.max_enlargement == 1.5


def test_the_other_decoder_has_maps_of_the_inputs_size(craft, image):
    own, other = (
        in_float32(TextDetector(craft, "cpu", decoder=name)) for name in ("craft", "proportional")
    )
    (half,), (full,) = own.predict([image]), other.predict([image])
    assert half.dtype == np.float32 and full.dtype == np.uint8
    assert [2 * side for side in half.shape[1:]] == list(full.shape[1:])
    shrunk = full.reshape(2, half.shape[1], 2, half.shape[2], 2).mean((2, 4)) / 255
    assert np.abs(shrunk - half).mean() < 0.02
    with pytest.raises(ValueError, match="decoder changes the maps"):
        own.decode(Maps(half, *image.shape[1::-1]), decoder="proportional")


@pytest.mark.parametrize("decoder", ["craft", "proportional"])
def test_tiles_have_no_seam(craft, decoder):
    """Beyond what the network sees of its surroundings, tiles give what the whole image gives."""
    image = np.ascontiguousarray(read_image(PHOTO)[:301, :677])
    tiled = in_float32(TextDetector(craft, "cpu", decoder=decoder, long_side=448, tiles=True))
    whole = in_float32(TextDetector(craft, "cpu", decoder=decoder, long_side=677))
    (parts,), (full,) = tiled.predict([image]), whole.predict([image])
    assert parts.shape == full.shape
    step = 2 if decoder == "craft" else 1
    inside = np.s_[:, : 288 // step, : 200 // step]
    scale = 1 if decoder == "craft" else 255
    assert np.abs(parts[inside].astype(float) - full[inside]).max() < 0.02 * scale


def test_onnx(craft, weights, image, tmp_path):
    path = shutil.copy(craft, tmp_path / "craft.pth")
    assert export_onnx(path) == tmp_path / "craft/model.onnx"
    exported = TextDetector(path, "cpu")
    assert isinstance(exported.runtime, OnnxRuntime)
    (found,), (_, maps) = exported.predict([image]), reference_detection(weights, image)
    np.testing.assert_allclose(found, maps.clip(0, 1), atol=1e-3)
    tall = np.ascontiguousarray(image[:256, :96])
    assert exported.predict([tall])[0].shape == (2, 192, 72)  # enlarged 1.5 times


def test_where_its_files_are(craft, tmp_path, run_here):
    path = shutil.copy(craft, tmp_path / "craft.pth")
    assert find_model(path).folder == tmp_path / "craft"
    assert find_model(tmp_path).weights == path and find_model(tmp_path).folder == tmp_path
    shutil.copy(craft, tmp_path / "another.pth")
    result = run_here("detect.py", PHOTO, "--model_dir", tmp_path)
    assert result.returncode == 2 and "another.pth, craft.pth" in result.stderr


def test_the_scripts(craft, triplets, tmp_path, run_here, run_well_here):
    path = shutil.copy(craft, tmp_path / "craft.pth")
    run_well_here("detect.py", PHOTO, "--model_dir", path, "--output_dir", tmp_path / "found")
    record = json.loads((tmp_path / "found/scenetext01.json").read_text(encoding="utf-8"))
    assert record["settings"]["decoder"] == "craft"
    common = ("--input_dir", triplets, "--model_dir", path)
    run_well_here("evaluate.py", *common, "--output", tmp_path / "results.csv")
    few = ("--test_size", 1, "--min_images", 1)
    run_well_here("tune.py", *common, "--n_trials", 2, "--n_jobs", 1, *few)
    tuned = json.loads((tmp_path / "craft/detection.json").read_text(encoding="utf-8"))
    assert tuned["settings"]["decoder"] == "craft"
    assert TextDetector(path, "cpu").settings.low_text == tuned["settings"]["low_text"]
    run_well_here("pseudo_label.py", *common, "--save_folder", tmp_path / "labelled")
    for more in (("--decoder", "craft", "proportional"), ("--box_margin", 1)):
        result = run_here("tune.py", *common, *more)
        assert result.returncode == 2 and result.stderr.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_craft(tmp_path, content, run_here):
    path = tmp_path / "odd.pth"
    path.write_bytes(content)
    result = run_here("detect.py", PHOTO, "--model_dir", path, "--output_dir", tmp_path / "found")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "odd.pth" in result.stderr and not (tmp_path / "found").exists()
