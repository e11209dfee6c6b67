"""The exported network against PyTorch's, and which of them a folder gets."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, assert_refused, run_well, start
from PIL import Image

from static import constants as C
from textdet.common.errors import DataError
from textdet.common.images import read_image
from textdet.decoding.metrics import polygon_ious
from textdet.network import runtimes as runtimes_module
from textdet.network.detector import TextDetector
from textdet.network.model_files import bundled_model, find_model
from textdet.network.onnx_export import export_onnx
from textdet.network.runtimes import (
    FINGERPRINT,
    ONNX_FILE,
    OnnxRuntime,
    TorchRuntime,
    open_runtime,
)

PHOTOS = C.STATIC / "photos"


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A copy of the bundled model with its ONNX file. Not to be written to."""
    folder = Path(shutil.copytree(bundled_model(), tmp_path_factory.mktemp("models") / "bundled"))
    result = run_well("detect.py", "--export_onnx", "--model_dir", folder)
    assert str(folder / ONNX_FILE) in result.stdout and result.stderr == ""
    return folder


@pytest.fixture(scope="session")
def runtimes(exported):
    torch_runtime = TorchRuntime(exported, "cpu")
    torch_runtime.bf16 = False
    return torch_runtime, OnnxRuntime(exported)


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (3, 64, 320, 3), (2, 224, 96, 3)])
def test_maps_are_those_of_pytorch_at_any_size(runtimes, shape):
    image = read_image(PHOTOS / "scenetext02.jpg")
    batch = np.stack([image[20 * i : 20 * i + shape[1], : shape[2]] for i in range(shape[0])])
    expected, found = (runtime(batch) for runtime in runtimes)
    assert found.shape == expected.shape == (shape[0], 2, *shape[1:3]) and found.dtype == np.uint8
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.001


def test_denormal_numbers_do_not_slow_it_down(runtimes):
    """On today's weights the network took half as long again with them."""
    options = runtimes[1].session.get_session_options()
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"


def test_threads_keep_to_the_cores_that_they_may_use(exported, monkeypatch):
    """By itself ONNX Runtime binds them to cores of the whole machine."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for cores in (1, os.cpu_count()):
        monkeypatch.setattr(runtimes_module, "available_cores", lambda cores=cores: cores)
        threads = OnnxRuntime(exported).session.get_session_options().intra_op_num_threads
        assert threads == (cores if cores < os.cpu_count() else 0)


def test_boxes_on_photographs_are_those_of_pytorch(exported, runtimes):
    number = 0
    for path in sorted(PHOTOS.glob("*.jpg")) + [PHOTOS / "skimage_page.png"]:
        results = []
        for runtime in runtimes:
            detector = TextDetector(exported, "cpu", "onnx", long_side=640)
            detector.runtime = runtime
            results.append([word.quad for word in detector(path).words])
        assert len(results[0]) == len(results[1])
        if results[0]:
            assert np.diag(polygon_ious(*results)).min() > 0.99
        number += len(results[0])
    assert number > 40


def test_the_export_is_used_where_it_fits(exported, random_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert isinstance(open_runtime(exported), OnnxRuntime)
    assert isinstance(open_runtime(exported, "cpu", "onnx"), OnnxRuntime)
    assert isinstance(open_runtime(exported, "cpu", "torch"), TorchRuntime)
    assert isinstance(open_runtime(random_model), TorchRuntime)
    assert capsys.readouterr().err == ""
    with pytest.raises(DataError, match="no usable GPU"):
        open_runtime(exported, "cuda")
    with pytest.raises(DataError, match="runs on the CPU"):
        open_runtime(exported, "cuda", "onnx")

    stale = Path(shutil.copytree(random_model, tmp_path / "stale"))
    with pytest.raises(DataError, match="--export_onnx"):
        open_runtime(stale, "cpu", "onnx")
    shutil.copy(exported / ONNX_FILE, stale)
    with pytest.raises(DataError, match="other weights"):
        open_runtime(stale, "cpu", "onnx")
    assert isinstance(open_runtime(stale), TorchRuntime)
    assert "other weights" in capsys.readouterr().err
    (stale / ONNX_FILE).write_bytes(b"damaged")
    assert isinstance(open_runtime(stale), TorchRuntime)
    assert "cannot be loaded" in capsys.readouterr().err


def test_detection_by_it_imports_no_heavy_library(exported, tmp_path):
    """Each of them takes a second or more, and here there may be no GPU that PyTorch could use."""
    command = [
        *(sys.executable, "-X", "importtime", "detect.py", PHOTOS / "skimage_page.png"),
        *("--model_dir", exported, "--output_dir", tmp_path, "--characters", "--poly"),
        *("--device", "cpu"),
    ]
    result = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0 and len(list(tmp_path.glob("*.json"))) == 1
    lines = [line.split("|")[-1].strip() for line in result.stderr.splitlines()]
    imported = {name.split(".")[0] for name in lines}
    assert {"cv2", "onnxruntime"} <= imported
    assert not imported & {"torch", "transformers", "scipy", "albumentations", "monai", "datasets"}
    assert not imported & {"matplotlib", "optuna", "pandas", "pyarrow", "skimage", "sklearn"}


def test_pytorch_is_asked_for_a_gpu_only_where_one_may_be(exported, monkeypatch):
    asked = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: asked.append(1))
    for may, times in ((False, 0), (True, 1)):
        monkeypatch.setattr("textdet.network.runtimes.may_have_gpu", lambda may=may: may)
        assert isinstance(open_runtime(exported), OnnxRuntime)
        assert len(asked) == times
    with pytest.raises(DataError, match="no usable GPU"):
        open_runtime(exported, "cuda")


def test_interrupted_it_leaves_whole_results(exported, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(1000):
        pixels = rng.integers(0, 255, (96, 128, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png", compress_level=0)
    output = tmp_path / "out"
    with start(
        *("detect.py", tmp_path / "images", "--model_dir", exported, "--device", "cpu"),
        *("--output_dir", output),
    ) as process:
        while not list(output.glob("*.json")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    names = [path.name for path in output.iterdir()]
    assert 0 < len(names) < 3000 and not any(name.startswith(".") for name in names)
    for path in output.glob("*.json"):
        assert json.loads(path.read_text())["size"] == [128, 96]
        assert path.with_suffix(".jpg").exists() and path.with_suffix(".txt").exists()


def make_onnx(folder, most=64, colours=3, name="maps", kind="UINT8", wide=False, channels=2):
    """A file of the present weights that is not of this project: its maps are the image's first
    channels, at most so many px high and wide."""
    import onnx
    from onnx import TensorProto, helper

    sides = ["B", "H", 64 if wide else "W"]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [*sides, colours])
    element = getattr(TensorProto, kind)
    maps = helper.make_tensor_value_info(name, element, ["B", channels, "h", "w"])
    slices = {"starts": [0, 0, 0], "ends": [channels, most, most], "axes": [1, 2, 3]}
    values = [
        helper.make_tensor(key, TensorProto.INT64, [3], value) for key, value in slices.items()
    ]
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Slice", ["turned", *slices], ["cut"]),
        helper.make_node("Cast", ["cut"], [name], to=element),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "other", [image], [maps], values),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    helper.set_model_props(model, {FINGERPRINT: find_model(folder).fingerprint()})
    onnx.save(model, folder / ONNX_FILE)


@pytest.mark.parametrize(
    "other",
    [{"colours": 1}, {"name": "logits"}, {"kind": "INT32"}, {"wide": True}, {"channels": 3}],
)
def test_a_file_with_other_inputs_or_outputs_is_one_line(model_dir, other, capsys):
    make_onnx(model_dir, **other)
    with pytest.raises(DataError, match="other inputs or outputs"):
        open_runtime(model_dir, "cpu", "onnx")
    assert isinstance(open_runtime(model_dir, "cpu"), TorchRuntime)
    assert "other inputs or outputs" in capsys.readouterr().err


def test_maps_of_another_size_are_one_line(model_dir):
    make_onnx(model_dir)
    runtime = open_runtime(model_dir, "cpu", "onnx")
    assert runtime(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 2, 64, 64)
    with pytest.raises(DataError, match="other inputs or outputs"):
        runtime(np.zeros((1, 64, 96, 3), np.uint8))


@pytest.mark.parametrize("content", [b"another tool's", None])
def test_another_tools_file_is_not_written_over(model_dir, content):
    path = model_dir / ONNX_FILE
    if content is None:
        make_onnx(model_dir)
        path.write_bytes(path.read_bytes().replace(FINGERPRINT.encode(), b"x" * len(FINGERPRINT)))
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(DataError, match="move it elsewhere"):
        export_onnx(model_dir)
    assert path.read_bytes() == before


def test_exports_that_cannot_be(tmp_path, run_here):
    assert_refused(
        run_here("detect.py", "--export_onnx", "--model_dir", tmp_path), tmp_path, "train.py"
    )


def test_the_page_on_use_elsewhere_gives_the_same_maps(exported, tmp_path, monkeypatch):
    """Its snippets run as they stand, without this project."""
    page = (ROOT / "docs" / "elsewhere.md").read_text(encoding="utf-8")
    prepare, with_torch, with_onnx = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert "textdet" not in prepare + with_torch + with_onnx
    with Image.open(PHOTOS / "skimage_page.png") as image:
        image.convert("RGB").save(tmp_path / "photo.jpg", quality=95)
        width, height = image.size
    (tmp_path / "checkpoits").symlink_to(exported)
    settings = {"max_enlargement": 1.0, "second_scale": 0.0}
    # transformers does not know key_pooling, as the page says.
    shutil.copytree(exported, tmp_path / "plain")
    config = json.loads((exported / "config.json").read_text())
    assert config.pop("key_pooling")
    (tmp_path / "plain" / "config.json").write_text(json.dumps(config))
    plain = TextDetector(tmp_path / "plain", "cpu", "torch", **settings)
    plain.runtime.bf16 = False
    pooled = TextDetector(exported, "cpu", "onnx", **settings)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(prepare.replace('["settings"]', f'["settings"] | {settings}'), names)
    for snippet, detector in ((with_torch, plain), (with_onnx, pooled)):
        expected = detector(tmp_path / "photo.jpg")
        exec(snippet, names)
        maps = np.stack([names["character"], names["affinity"]])[:, :height, :width]
        assert np.abs(255 * maps - expected.maps).max() < 2
        ious = polygon_ious([word.quad for word in expected.words], names["boxes"])
        assert len(ious) > 20 and (ious.max(axis=1) > 0.5).mean() > 0.7
