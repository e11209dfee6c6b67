"""generate_images.py as its users run it."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, assert_refused, run

from box_metrics import polygon_ious
from dataset_utils import read_samples, read_triplet
from heatmap_utils import draw_heatmaps
from static import constants as C

SMALL = ("--image_size", 160, "--chunk_size", 3, "--seed", 7)


def contents(folder):
    """Every file of a data set by its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "data"
    result = run(
        "generate_images.py",
        "--num_images",
        10,
        "--save_folder",
        folder,
        *SMALL,
        "--num_workers",
        1,
    )
    assert result.returncode == 0, result.stderr
    assert "10 images made" in result.stdout and "px high:" in result.stdout
    return folder


def test_same_bytes_with_two_workers_and_other_chunks(reference, tmp_path):
    folder = tmp_path / "data"
    args = ("--num_images", 10, "--save_folder", folder, "--image_size", 160, "--seed", 7)
    assert run("generate_images.py", *args, "--chunk_size", 4, "--num_workers", 2).returncode == 0
    lines = [
        "".join(path.read_text() for path in sorted((place / "annotations").iterdir()))
        for place in (folder, reference)
    ]
    assert lines[0] == lines[1]
    for name in ("images", "character_heatmaps", "affinity_heatmaps"):
        assert contents(folder / name) == contents(reference / name)


def test_goes_on_after_kill_and_extends(reference, tmp_path):
    """Killed after its first chunk, started again, then extended: as if never interrupted."""
    folder = tmp_path / "data"
    command = [sys.executable, "generate_images.py", "--save_folder", str(folder)]
    command += [str(arg) for arg in SMALL] + ["--num_workers", "1", "--num_images"]
    with subprocess.Popen([*command, "8"], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            if (folder / "annotations" / "00000.jsonl").exists():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    (folder / "images" / "00000005.jpg").write_bytes(b"half an image")  # of an unfinished chunk
    (folder / "annotations" / "00001.jsonl").unlink(missing_ok=True)
    for count in (8, 10):
        result = run(*command[1:], count)
        assert result.returncode == 0, result.stderr
        assert "going on" in result.stdout
    assert contents(folder) == contents(reference)


def test_cluster_writes_the_same_bytes(reference, tmp_path, monkeypatch):
    from distributed import LocalCluster

    folder = tmp_path / "data"
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        result = run(
            "generate_images.py", "--num_images", 10, "--save_folder", folder, *SMALL,
            "--cluster", cluster.scheduler_address,
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert contents(folder) == contents(reference)


def test_annotations_and_heatmaps_agree(reference):
    samples, problems = read_samples(reference)
    assert [sample.file for sample in samples] == [f"{i:08d}.jpg" for i in range(10)]
    assert not problems and sum(len(sample.words) for sample in samples) > 30
    for sample in samples:
        image, maps = read_triplet(sample)
        assert image.shape == (160, 160, 3)
        again = draw_heatmaps([word.quads for word in sample.words], 160, 160)
        assert np.abs(again.astype(int) - maps).max() <= 12  # the file's points are rounded
        assert np.abs(again.astype(int) - maps).mean() < 0.1
        for word in sample.words:
            assert word.text == "".join(word.characters) and len(word.quads) == len(word.characters)
            assert (word.polygon >= -0.01).all() and (word.polygon <= 160.01).all()
        polygons = [word.polygon for word in sample.words]
        overlap = polygon_ious(polygons, polygons) - np.eye(len(polygons))
        assert overlap.max(initial=0) < 0.35  # neighbours of tight lines may touch


def test_preview_and_record(reference):
    record = json.loads((reference / "dataset.json").read_text())
    assert record["seed"] == 7 and record["counts"]["images"] == 10
    assert (reference / "preview.jpg").stat().st_size > 10_000


def test_other_settings_stop_unless_overwritten(reference, tmp_path):
    folder = tmp_path / "data"
    args = ("--num_images", 2, "--save_folder", folder, "--image_size", 96, "--num_workers", 1)
    assert run("generate_images.py", *args).returncode == 0
    result = run("generate_images.py", *args, "--seed", 1)
    assert_refused(result, "seed (0 there, 1 now)")
    before = contents(folder / "images")
    assert run("generate_images.py", *args, "--seed", 1, "--overwrite").returncode == 0
    assert contents(folder / "images") != before
    stranger = tmp_path / "holiday"
    stranger.mkdir()
    (stranger / "photo.jpg").write_bytes(b"precious")
    result = run("generate_images.py", "--save_folder", stranger, "--overwrite")
    assert_refused(result, "was not made by this script")
    assert (stranger / "photo.jpg").read_bytes() == b"precious"


def test_own_material_with_damaged_files(tmp_path):
    fonts, backgrounds = tmp_path / "fonts", tmp_path / "backgrounds"
    fonts.mkdir(), backgrounds.mkdir()
    (fonts / "good.ttf").write_bytes((C.FONTS / "play" / "Play-Regular.ttf").read_bytes())
    (fonts / "bad.ttf").write_bytes(b"not a font at all")
    photo = sorted(C.BACKGROUNDS.glob("*.jpg"))[0].read_bytes()
    (backgrounds / "good.jpg").write_bytes(photo)
    (backgrounds / "bad.jpg").write_bytes(photo[:900])
    words = tmp_path / "words.txt"
    words.write_text("alpha\nbeta\n", encoding="utf-8")
    folder = tmp_path / "data"
    own = ("--fonts", fonts, "--backgrounds", backgrounds, "--words", words)
    args = ("--num_images", 3, "--save_folder", folder, "--image_size", 160, "--num_workers", 1)
    result = run("generate_images.py", *args, *own)
    assert result.returncode == 0, result.stderr
    assert "bad.ttf" in result.stderr and "bad.jpg" in result.stderr
    found = {word.text.lower() for s in read_samples(folder)[0] for word in s.words}
    assert any("alpha" in text or "beta" in text for text in found)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--num_images", "0"), "must be at least 1"),
        (("--num_images", "many"), "is not a whole number"),
        (("--fonts", "nowhere"), "no such folder"),
        (("--words", "nowhere.txt"), "no such file"),
        (("--colour", "red"), "unrecognized arguments"),
        (("--fonts", "EMPTY"), "no usable .ttf or .otf font"),
        (("--backgrounds", "EMPTY"), "no image"),
        (("--cluster", "tcp://127.0.0.1:9"), "no Dask scheduler answers there"),
    ],
)
def test_bad_input(args, message, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    args = [str(empty) if arg == "EMPTY" else arg for arg in args]
    result = run("generate_images.py", "--save_folder", tmp_path / "data", *args)
    assert_refused(result, message)
    assert not list(tmp_path.glob("data/images/*"))
