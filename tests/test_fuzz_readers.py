"""Damaged annotations and records: each is read as far as it goes, or refused in one line.

Sound files of every format, and of every JSON file that the project writes itself, are changed in
seeded ways: bytes, and values within JSON. No error but DataError may come of it, and whatever is
read has outlines and names that the rest of the project can rely on.
"""

import contextlib
import copy
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image
from test_formats import cells

from textdet.common.errors import DataError
from textdet.common.image_inputs import Page
from textdet.data.annotation import MAX_COORDINATE, Sample, Word
from textdet.data.chunked_folder import iterate_samples, start_folder
from textdet.data.formats.registry import FORMATS, read_dataset, read_items, sample_of, writer_of
from textdet.data.held_out import find_held_out
from textdet.data.pieces import piece_file
from textdet.data.splits import split_samples
from textdet.data.triplets import read_samples
from textdet.decoding.settings import load_settings
from textdet.network.result_files import free_name
from textdet.training.checkpoints import is_finished, last_checkpoint
from textdet.training.run_folder import describe_changes, first_start

CASES = 60  # changes of each file
SIZE = (60, 40)  # px
HUGE, DEEP = 10**400, "[" * 20_000
ODD_VALUES = (
    *(None, True, -1, 0, 5, 1e308, -1e30, float("inf"), float("nan"), HUGE, 2**64),
    *("", "no", "\0", "\ud800", "../../a.png", "/etc/passwd", "a" * 300, "𝔘" * 99, "1e999"),
    *([], {}, [[]], [None], {"a": {}}, [1, 2, 3], [[1, 2], 3], ["a", "b"], [[0, 0]] * 4),
)
ODD_BYTES = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r", b",", b'"', b"[", b"}", b"-", b".", b" "),
    *(b"nan", b"9" * 40, b"1e999", b" " * 500, b"\\ud800", b"\xe2\x80\xa8", b"{" * 50, b"x:"),
)
QUAD = [[1, 1], [20, 2], [20, 12], [1, 11]]
FLAT = [number for point in QUAD for number in point]
TOOL_FILES = {
    **{"labelstudio": "tasks.json", "cvat": "annotations.xml", "labelme": "images/a.json"},
    **{"paddleocr": "images/Label.txt", "doctr": "labels.json", "mmocr": "textdet_train.json"},
    **{"huggingface": "metadata.jsonl", "yolo": "labels/a.txt", "detections": "a.json"},
}


# --- Changes ---------------------------------------------------------------------------------


def change_bytes(rng, data: bytes) -> bytes:
    """One to eight places overwritten, cut out, doubled or filled with something odd."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        start = int(rng.integers(0, max(len(changed), 1)))
        stop = min(len(changed), start + int(rng.integers(1, 12)))
        kind = rng.integers(0, 5)
        if kind == 0 and stop > start:
            changed[start] = int(rng.integers(0, 256))
        elif kind == 1:
            del changed[start:stop]
        elif kind == 2:
            changed[start:start] = changed[start:stop]
        elif kind == 3:
            changed[start:stop] = ODD_BYTES[rng.integers(len(ODD_BYTES))]
        elif rng.random() < 0.3:
            del changed[start:]
    return bytes(changed)


def places_in(value, path=()):
    """The path of every value within a JSON value."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places_in(inner, (*path, key))


def change_value(rng, record):
    """A JSON value with one to three of its parts replaced or taken away."""
    record = copy.deepcopy(record)
    for _ in range(rng.integers(1, 4)):
        places = list(places_in(record))
        path = places[rng.integers(len(places))]
        odd = copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])
        if not path:
            return odd
        parent = record
        for key in path[:-1]:
            parent = parent[key]
        if rng.random() < 0.2:
            del parent[path[-1]]
        else:
            parent[path[-1]] = odd
    return record


def changed(rng, data: bytes, name: str) -> bytes:
    """A file's content, changed; of JSON mostly the values, a line of several."""
    if ".json" not in name or rng.random() < 0.4:
        return change_bytes(rng, data)
    packed = name.endswith(".gz")
    lines = (gzip.decompress(data) if packed else data).split(b"\n")
    number = rng.integers(len(lines))
    text = json.dumps(change_value(rng, json.loads(lines[number])))
    lines[number] = text.replace('"1e999"', rng.choice(["1e999", DEEP])).encode()
    joined = b"\n".join(lines)
    return gzip.compress(joined) if packed else joined


# --- Formats ---------------------------------------------------------------------------------


def word_records(**more):
    return [{"image_id": 1, "text": "on", "bbox": [1, 1, 19, 10], **more} for _ in range(3)]


def mat(folder, name, data, compressed):
    scipy.io.savemat(folder / name, data, do_compression=compressed)


def write_set(folder: Path, name: str) -> Path:
    """A small sound data set. Returns its annotation file."""
    if name in TOOL_FILES:
        return write_tool_set(folder, name)
    for image in ["images/a.png"] if name == "triplets" else ["a.png", "img_1.png"]:
        (folder / image).parent.mkdir(exist_ok=True)
        Image.new("RGB", SIZE, "white").save(folder / image)
    picture = {"id": 1, "file_name": "a.png", "width": SIZE[0], "height": SIZE[1], "set": "val"}
    letters = [{"text": t, "polygon": QUAD} for t in "on"]
    flat = ",".join(map(str, FLAT))
    outline = {"vertices": QUAD, "text": "on", "legible": True}
    own = {"file": "a.png", "size": SIZE, "fonts": ["a", "b"], "piece_of": "x/a.png"}
    cell = {"text": "o", "quad": QUAD}
    own["words"] = [{"text": "o", "polygon": QUAD, "characters": [cell], "ignore": False}]
    own["words"] += [{"text": "o", "polygon": QUAD, "confidence": 0.7}]
    sets = {
        "coco": {"images": [picture], "annotations": word_records(characters=letters)},
        "cocotext": {"imgs": {"1": picture}, "anns": dict(enumerate(word_records(mask=FLAT)))},
        "textocr": {"imgs": {"1": picture}, "anns": dict(enumerate(word_records(points=FLAT)))},
        "hiertext": {
            "annotations": [
                {
                    **{"image_id": "img_1", "image_width": SIZE[0], "image_height": SIZE[1]},
                    "paragraphs": [{"lines": [{"words": [outline, outline]}]}, outline],
                }
            ]
        },
        "funsd": {"form": [{"text": "on", "box": [1, 1, 20, 12], "words": []}] * 2},
        "triplets": own,
        "icdar2013": '1, 1, 20, 12, "on"\n3 3 9 9 "at"\n',
        "icdar2015": f"{flat},on\n{flat},###\n",
        "mlt": f"{flat},Latin,on\n{flat},Arabic,###\n",
        "sroie": f"{flat},TOTAL 5 RM\n{flat},on\n",
        "totaltext": "x: [[1 20 20 1]], y: [[1 1 9\n 9]], ornt: [u'c'], transcriptions: [u'on']\n",
        "icdar2013_characters": '38 36 41 25 20 10 10 19 30 "T"\n38 36 41 25 20 20 10 29 30 "o"\n',
    }
    sets["funsd"]["form"][0]["words"] = [{"text": "on", "box": [1, 1, 20, 12]}]
    files = {
        **{"coco": "words.json", "cocotext": "cocotext.json", "textocr": "TextOCR.json"},
        **{"hiertext": "val.jsonl.gz", "funsd": "annotations/img_1.json"},
        **{"triplets": "annotations/0.jsonl", "totaltext": "gt_img_1.txt"},
        **{"icdar2013_characters": "img_1_GT.txt", "sroie": "img_1.txt"},
    }
    path = folder / files.get(name, "gt_img_1.txt")
    path.parent.mkdir(exist_ok=True)
    text = sets[name] if isinstance(sets[name], str) else json.dumps(sets[name])
    if name == "triplets":
        text += "\n" + json.dumps({**own, "file": "b.png"})
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_tool_set(folder: Path, name: str) -> Path:
    """A small sound set of an annotation tool or an engine, with export_dataset.py's writer where
    it has one. Returns its annotation file."""
    samples = []
    for file in ("a.png", "b.png"):
        (folder / "images").mkdir(exist_ok=True)
        Image.new("RGB", SIZE, "white").save(folder / "images" / file)
        outlines = (QUAD, [[1, 1], [9, 1], [9, 5], [1, 5]])
        words = [Word("on", [], np.zeros((0, 4, 2)), np.float32(outline)) for outline in outlines]
        samples.append(Sample(folder, file, *SIZE, words))
    path = folder / TOOL_FILES[name]
    path.parent.mkdir(exist_ok=True)
    if name == "yolo":
        path.write_text("0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n0 0.2 0.2 0.1 0.1\n")
    elif name == "detections":
        words = [{"quad": QUAD, "polygon": outline, "score": 0.9} for outline in (None, QUAD)]
        record = {"file": str(folder / "images" / "a.png"), "size": SIZE, "words": words}
        path.write_text(json.dumps({**record, "model": "m", "settings": {}, "lines": [[0, 1]]}))
    else:
        writer_of(name)(folder, samples)
    if path.suffix == ".json":  # a line, as change_value takes it
        path.write_text(json.dumps(json.loads(path.read_bytes())))
    path.write_bytes(path.read_bytes().rstrip())
    return path


def write_mat(folder: Path, name: str, compressed: bool) -> Path:
    """A small sound data set whose annotations are MATLAB's. Returns the file of these."""
    box = np.float64(QUAD).T
    if name == "synthtext":
        data = {
            "imnames": cells("a.png", "img_1.png"),
            "wordBB": cells(box, np.stack([box, box], 2)),
            "charBB": cells(np.stack([box, box], 2), np.stack([box, box, box], 2)),
            "txt": cells(np.array(["on"]), np.array(["on\na"])),
        }
    elif name == "iiit5k":
        row = {"ImgName": "a.png", "chars": "on", "charBB": [[0, 2, 8, 10], [12, 2, 6, 10]]}
        data = {"trainCharBound": np.array([row, row], object)}
    else:
        table = np.empty((2, 6), object)
        table[:] = ["x:", np.array([[1, 20, 20, 1]]), "y:", np.array([[1, 1, 9, 9]]), "on", "c"]
        data = {"polygt": table}
    files = {"synthtext": "gt.mat", "iiit5k": "trainCharBound.mat"}
    path = folder / files.get(name, "poly_gt_img_1.mat")
    mat(folder, path.name, data, compressed)
    return path


def check_set(folder: Path, name: str) -> int:
    """Read a set as all scripts do, and look at what is read. Returns the number of samples."""
    samples = []
    with contextlib.suppress(DataError):
        for item in read_items(name, folder):
            with contextlib.suppress(DataError):
                samples += [] if isinstance(item, str) else [sample_of(item, folder)]
        samples += read_dataset(folder, name)[0]
    for sample in samples:
        assert sample.image_path.resolve().is_relative_to(folder)
        json.dumps(sample.to_json())
        piece_file(sample, 0)
        for word in sample.words:
            for points in (word.polygon, word.quads):
                assert points.dtype == np.float32 and (abs(points) <= 20 * MAX_COORDINATE).all()
            assert 0 <= word.confidence <= 1 and isinstance(word.ignore, bool)
            assert len(word.characters) == len(word.quads)
    return len(samples)


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"synthtext", "iiit5k"}))
def test_changed_annotations_are_read_or_refused(name, tmp_path):
    """Of all formats but those whose annotations are MATLAB's alone, see below."""
    rng = np.random.default_rng(sum(name.encode()))
    path = write_set(tmp_path, name)
    whole, read = path.read_bytes(), 0
    assert check_set(tmp_path, name)
    for _ in range(CASES):
        path.write_bytes(changed(rng, whole, path.name))
        read += bool(check_set(tmp_path, name))
    assert read  # not all are refused


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["synthtext", "iiit5k", "totaltext"])
def test_changed_matlab_files_are_read_or_refused(name, compressed, tmp_path):
    rng = np.random.default_rng(7)
    for image in ("a.png", "img_1.png"):
        Image.new("RGB", SIZE, "white").save(tmp_path / image)
    path = write_mat(tmp_path, name, compressed)
    whole = path.read_bytes()
    assert check_set(tmp_path, name)
    for _ in range(CASES):
        path.write_bytes(change_bytes(rng, whole))
        check_set(tmp_path, name)


# --- The project's own records ---------------------------------------------------------------


RECORDS = {
    "dataset.json": {"format_version": 1, "chunk_size": 4, "num_images": 8, "settings": {"A": 1}},
    "training.json": {
        **{"held_back": {"x": ["a.png"], "y": []}, "known_by_name": ["x"], "trained_on": "0a 0b"},
        **{"data_fingerprint": "0", "images": {"train": 9}, "model": {"image_size": 512}},
        **{"data": {"input_dir": ["x"]}, "training": {"learning_rate": 1e-3}},
    },
    "checkpoint-3/trainer_state.json": {
        **{"global_step": 3, "epoch": 1.0, "log_history": [{"eval_f1": 0.5, "step": 3}]},
    },
    "detection.json": {"settings": {"text_threshold": 0.6, "decoder": "craft", "long_side": 640}},
    "photo.json": dict.fromkeys(("file", "size", "model", "settings", "words", "lines"), "a"),
}


class Asked:
    """The part of TrainingArguments that tells when a run is finished."""

    max_steps, num_train_epochs = -1, 2


def use_record(folder: Path, name: str, samples: list) -> None:
    """Read a record as the scripts do."""
    if name == "dataset.json":
        settings = {"num_images": 9, "settings": {}}
        start_folder(folder, settings, overwrite=False, growing="num_images")
    elif name == "detection.json":
        load_settings(folder)
    elif name == "training.json":
        now = {**RECORDS[name], "data_fingerprint": "1", "training": {"learning_rate": 1e-4}}
        assert describe_changes(folder, now) is not None
        assert isinstance(first_start(folder)["started_from"], str)
        find_held_out(folder, samples)
    elif name.startswith("checkpoint"):
        is_finished(Asked(), last_checkpoint(folder), patience=1)
    else:
        free_name(folder, Page(folder / "photo.jpg"), set())


@pytest.mark.parametrize("name", RECORDS)
def test_changed_records_are_read_or_refused(name, tmp_path):
    rng = np.random.default_rng(sum(name.encode()))
    write_set(tmp_path, "triplets")
    samples = read_samples(tmp_path)[0]
    folder = tmp_path / "own"
    (folder / name).parent.mkdir(parents=True)
    for case in range(3 * CASES):
        data = json.dumps(RECORDS[name]).encode()
        (folder / name).write_bytes(changed(rng, data, name) if case else data)
        try:
            use_record(folder, name, samples)
        except DataError as error:
            assert case or name == "dataset.json"
            said = (name.split("/")[-1], "made with other settings", "trained on all images")
            assert any(text in str(error) for text in said)


def test_changed_chunks_are_read_or_refused(tmp_path):
    """What a run that goes on finds in the annotations of an earlier one."""
    rng = np.random.default_rng(0)
    path = write_set(tmp_path, "triplets")
    whole = path.read_bytes()
    for _ in range(3 * CASES):
        path.write_bytes(changed(rng, whole, path.name))
        try:
            samples = list(iterate_samples(tmp_path))
        except DataError as error:
            assert "0.jsonl is damaged" in str(error) and "delete it" in str(error)
            continue
        for unseen in ((), ("fonts",)):
            try:
                split_samples(samples, 0.5, unseen=unseen)
            except DataError:
                continue
        assert all(os.fsencode(sample.image_path) for sample in samples)
