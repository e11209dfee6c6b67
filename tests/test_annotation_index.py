"""The index of a large folder's annotations: what it gives is what the annotations say."""

import dataclasses
import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run, run_well
from easy_images import write_images

from textdet.common.errors import DataError
from textdet.data import annotation_index, cache, fitted, triplets
from textdet.data.annotation import Sample
from textdet.data.annotation_index import INDEXED_FROM, IndexedSample
from textdet.data.chunked_folder import words_fingerprint
from textdet.data.held_out import Record, list_held_out
from textdet.data.source import open_source
from textdet.data.splits import split_samples
from textdet.data.triplets import read_samples, read_whole
from textdet.training.data import find_samples
from textdet.training.options import DataArguments
from textdet.training.report import data_fingerprint

QUAD, PENTAGON = [[1, 2], [9.123, 2], [9, 8.5], [1, 8]], [1, 2, 30, 2, 30, 9, 8, 9, 1, 5]
LIGATURE = [{"text": "ff", "quad": QUAD}, {"text": "", "quad": QUAD}]


def word(text="ab", **more):
    cells = [
        {"text": letter, "quad": (np.array(QUAD) + i).tolist()} for i, letter in enumerate(text)
    ]
    return {"text": text, "polygon": QUAD, "characters": cells, **more}


def line(file, *words, **extra) -> bytes:
    return json.dumps({"file": file, "size": [640, 480], "words": words, **extra}).encode()


FILES = {
    "00000.jsonl": [
        line("a.jpg", word(), word("ж€😀", confidence=0.25), word("ab", weight=0), fonts=["one"]),
        b"{ not JSON",
        line("b.jpg", fonts=["one", "two"]),
        b"",
        b"\xef\xbb\xbf" + line("ё/c.jpg", word(ignore=True), {"polygon": PENTAGON}),
        b"\xff" + line("d.jpg"),
        line("e.jpg", word("x" * 500), word(7 * "y", weight=0.5), fonts=["three"]),
    ],
    "00001.jsonl": [b"", b"[]"],
    "b.jsonl": [
        line("f.jpg", word("\ud800"), word("a\udfffb", confidence=1), piece_of="other/f.jpg"),
        line("g.jpg", {"polygon": QUAD, "text": None}, unread_words=2, kind=["a", {"b": None}]),
        line("../h.jpg", word(), fonts=["three"]),
        line("i.jpg", word("null", ignore="yes", weight=1), word("0", confidence=0)),
        line("j.jpg", {**word("f_"), "text": "other"}, {**word(), "characters": LIGATURE}),
        line("b.jpg", word()),
    ],
}


@pytest.fixture
def always(monkeypatch, tmp_path):
    """Small folders have an index as well, made by this process, in small pieces."""
    monkeypatch.setattr(triplets, "INDEXED_FROM", 0)
    monkeypatch.setattr(annotation_index, "PIECE", 700)
    monkeypatch.setattr(annotation_index, "available_cores", lambda: 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path):
    """Annotations of all kinds, damaged ones included."""
    for name, lines in FILES.items():
        path = tmp_path / "data" / "annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\n".join(lines))
    return tmp_path / "data"


def index_of(folder) -> Path:
    (path,) = (folder / "annotations").glob("*.arrow")
    return path


def read_plainly(folder):
    return read_whole(folder, sorted((folder / "annotations").glob("*.jsonl")))


def fields(sample) -> tuple:
    """Everything that a sample says, comparable, arrays with their types."""
    words = [
        (w.text, w.characters, w.ignore, w.confidence, w.weight, w.training_weight)
        + tuple((a.shape, a.dtype.str, a.tobytes()) for a in (w.polygon, w.quads))
        for w in sample.words
    ]
    names = [field.name for field in dataclasses.fields(Sample) if field.name != "words"]
    derived = sample.image_path, sample.heatmap_paths, sample.origin, sample.to_json()
    kinds = sample.has_words, sample.has_characters, [w.text for w in sample.weighted_words]
    return words, [getattr(sample, name) for name in names], derived, kinds


def assert_same(found, expected):
    assert found[1] == expected[1]
    for one, other in zip(found[0], expected[0], strict=True):
        assert fields(one) == fields(other)


# --- What it says ----------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [97, 700, 1 << 20])
def test_the_index_says_what_the_annotations_say(folder, always, monkeypatch, piece):
    monkeypatch.setattr(annotation_index, "PIECE", piece)
    expected = read_plainly(folder)
    assert len(expected[0]) == 8 and len(expected[1]) == 5
    again = f"{folder / 'images' / 'b.jpg'}: it is labelled more than once, the first labels count"
    assert again in expected[1]
    assert expected[0][1].words == [] and not expected[0][1].has_words
    for _ in range(2):  # when it is made, and when it is there
        found = read_samples(folder)
        assert all(isinstance(sample, IndexedSample) for sample in found[0])
        assert_same(found, expected)
    words = found[0][0].words
    words[0].polygon += 1  # arrays of the caller's own
    assert_same(found, expected)


def test_worker_processes_make_it(folder, monkeypatch):
    monkeypatch.setattr(triplets, "INDEXED_FROM", 0)
    monkeypatch.setattr(annotation_index, "PIECE", 1000)
    monkeypatch.setattr(annotation_index, "available_cores", lambda: 2)
    assert_same(read_samples(folder), read_plainly(folder))
    assert index_of(folder).stat().st_size


def test_a_script_without_a_guard_does_not_hang(folder, tmp_path):
    """Each worker runs it as it begins, and comes to wait for the process that waits for it."""
    lines = [
        f"import sys; sys.path.insert(0, {str(ROOT)!r})",
        "from textdet.data import annotation_index, triplets",
        "annotation_index.available_cores = lambda: 2",
        "triplets.INDEXED_FROM, annotation_index.PIECE = 0, 1000",
        f"print(len(triplets.read_samples({str(folder)!r})[0]))",
    ]
    script = tmp_path / "mine.py"
    script.write_text("\n".join(lines), encoding="utf-8")
    result = run(script)
    assert result.returncode, result.stdout
    assert "put its code under `if __name__ == '__main__':`" in result.stderr
    script.write_text("if __name__ == '__main__':\n    " + "\n    ".join(lines), encoding="utf-8")
    assert run_well(script).stdout == f"{len(read_samples(folder)[0])}\n"


def test_a_folder_whose_name_is_not_utf8(folder, always):
    """As archives from Windows leave them."""
    odd = folder.rename(folder.with_name(os.fsdecode(b"\x98\xe0")))
    for _ in range(2):
        found = read_samples(odd)
        assert isinstance(found[0][0], IndexedSample)
        assert_same(found, read_plainly(odd))


def test_small_folders_have_none(folder):
    assert INDEXED_FROM > 1 << 20
    assert type(read_samples(folder)[0][0]) is Sample
    assert sorted(path.suffix for path in (folder / "annotations").iterdir()) == [".jsonl"] * 3


def test_annotations_that_are_all_damaged(tmp_path, always):
    path = tmp_path / "annotations" / "0.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"[]\n{}")
    for _ in range(2):
        with pytest.raises(DataError, match=r"none of its annotations can be read.*0\.jsonl:1"):
            read_samples(tmp_path)


# --- When it is made -------------------------------------------------------------------------


def test_it_is_made_once(folder, always, monkeypatch):
    read_samples(folder)
    monkeypatch.setattr(annotation_index, "_write", None)
    assert len(read_samples(folder)[0]) == 8


def test_it_is_made_anew_when_a_file_changes(folder, always):
    read_samples(folder)
    first, path = index_of(folder), folder / "annotations" / "00000.jsonl"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"a.jpg", b"z.jpg"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as cp -p leaves it
    assert read_samples(folder)[0][0].file == "z.jpg"
    assert index_of(folder) != first
    assert read_samples(folder)[1] == read_plainly(folder)[1]
    (folder / "annotations" / "zz.jsonl").write_bytes(line("new.jpg", word()))
    assert_same(read_samples(folder), read_plainly(folder))
    assert read_samples(folder)[0][-1].file == "new.jpg"
    path.unlink()
    assert_same(read_samples(folder), read_plainly(folder))


def test_unchanged_files_are_not_read_again(folder, always, monkeypatch):
    read_samples(folder)
    (folder / "annotations" / "0.jsonl").write_bytes(b"\n".join([b"{", line("new.jpg", word())]))
    read, seen = annotation_index._read_piece, []
    monkeypatch.setattr(
        annotation_index,
        "_read_piece",
        lambda number, piece: seen.append(piece.path.name) or read(number, piece),
    )
    assert_same(read_samples(folder), read_plainly(folder))
    assert seen == ["0.jsonl"]


@pytest.mark.parametrize("damage", [lambda d: d[: len(d) // 2], lambda d: b"", lambda d: d[::-1]])
def test_a_damaged_index_is_made_anew(folder, always, damage):
    read_samples(folder)
    path = index_of(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert_same(read_samples(folder), read_plainly(folder))


def test_what_a_killed_run_left_is_deleted(folder, always):
    leftover = folder / "annotations" / ".index-0123.arrow.1.textdet-tmp"
    leftover.write_bytes(b"half")
    read_samples(folder)
    assert not leftover.exists()


def refuse(monkeypatch, *places):
    """Nobody can write to these folders."""
    may = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) not in places and may(path, mode)
    )


def test_a_folder_that_cannot_be_written_to(folder, always, monkeypatch, tmp_path):
    refuse(monkeypatch, folder / "annotations")
    for _ in range(2):
        found = read_samples(folder)
        assert isinstance(found[0][0], IndexedSample)
        assert_same(found, read_plainly(folder))
    assert not list((folder / "annotations").glob("*.arrow"))
    (path,) = (tmp_path / "home" / "textdet").glob("*.arrow")
    sent = pickle.loads(pickle.dumps(found[0]))  # also to machines without this home
    path.unlink()
    assert_same((sent, found[1]), read_plainly(folder))


@pytest.mark.parametrize("reason", ["no place", "full disk", "no pyarrow"])
def test_where_no_index_can_be_made_the_annotations_are_read(
    folder, always, monkeypatch, tmp_path, capsys, reason
):
    def fail(*_):
        raise OSError(28, "No space left on device")

    if reason == "full disk":
        monkeypatch.setattr(annotation_index, "_write", fail)
    elif reason == "no place":
        (tmp_path / "home").write_text("no folder")
        refuse(monkeypatch, folder / "annotations")
    else:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = read_samples(folder)
    assert type(found[0][0]) is Sample
    assert_same(found, read_plainly(folder))
    said = {"full disk": "No space left", "no place": "home", "no pyarrow": "pip install pyarrow"}
    (told,) = capsys.readouterr().err.splitlines()
    assert "no index of its annotations" in told and said[reason] in told


# --- What is built on it ---------------------------------------------------------------------


def test_samples_travel_as_their_row(folder, always):
    samples, expected = read_samples(folder)[0], read_plainly(folder)[0]
    assert len(pickle.dumps(samples[0])) < 400
    assert_same((pickle.loads(pickle.dumps(samples)), []), (expected, []))
    assert len(pickle.dumps(samples)) < 400 + 60 * len(samples)
    handed_on = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(samples))))
    assert_same((handed_on, []), (expected, []))
    index = index_of(folder)
    hidden = index.rename(folder / "hidden")
    annotation_index._opened.cache_clear()
    lost = pickle.loads(pickle.dumps(samples[0]))
    with pytest.raises(DataError, match="gone or damaged"):
        _ = lost.words
    hidden.rename(index)  # a common disk may show it late
    assert fields(lost) == fields(expected[0])


def test_splits_records_and_fingerprints_are_the_same(folder, always):
    found, plain = read_samples(folder)[0], read_plainly(folder)[0]
    for unseen in ((), ("fonts",)):
        sides, expected = (split_samples(part, 0.3, unseen=unseen) for part in (found, plain))
        for side, other in zip(sides, expected, strict=True):
            assert side and [sample.file for sample in side] == [sample.file for sample in other]
        assert list_held_out(*sides) == list_held_out(*expected)
    assert words_fingerprint(found) == words_fingerprint(plain)
    assert data_fingerprint(found) == data_fingerprint(plain)
    assert cache._fingerprint(found, 64) == cache._fingerprint(plain, 64)
    for one, other in zip(found, plain, strict=True):
        weights, expected = (fitted.draw_weights(sample, 64) for sample in (one, other))
        assert (weights is None) == (expected is None)
        assert weights is None or (weights == expected).all()


def test_training_sees_the_same(tmp_path, always, monkeypatch):
    data = tmp_path / "easy"
    write_images(data, 6)
    path = next((data / "annotations").glob("*.jsonl"))
    path.write_text(path.read_text().replace('"ignore": false', '"ignore": true', 2))
    arguments = DataArguments(input_dir=[str(data)], test_size=0.3)
    results = []
    for least in (0, 1 << 40):
        monkeypatch.setattr(triplets, "INDEXED_FROM", least)
        split = find_samples(arguments, Record())
        sides = zip((split.train, split.validation), cache.SIDES, strict=True)
        sources = [open_source(side, 64, True, 1, name)[0] for side, name in sides]
        rows = [[source.read(i) for i in range(len(source))] for source in sources]
        results.append((split, [source.rows[0][0].folder for source in sources], rows))
    (split, folders, rows), (plain, plain_folders, plain_rows) = results
    assert isinstance(split.train[0], IndexedSample) and type(plain.train[0]) is Sample
    assert_same((split.train, []), (plain.train, []))
    assert_same((split.validation, []), (plain.validation, []))
    assert split.record == plain.record and folders == plain_folders
    assert any(weights is not None for side in rows for *_, weights in side)
    for side, expected in zip(rows, plain_rows, strict=True):
        for arrays, others in zip(side, expected, strict=True):
            for array, other in zip(arrays, others, strict=True):
                np.testing.assert_array_equal(array, other)


def test_conversion_of_a_large_folder_is_the_same(triplets, tmp_path):
    """As users run it; long notes make the annotations large, and are left behind."""
    large = shutil.copytree(triplets, tmp_path / "triplets")
    (path,) = (large / "annotations").glob("*.jsonl")
    records = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    noted = [json.dumps({**record, "note": "x" * (INDEXED_FROM // 7)}) for record in records]
    path.write_text("\n".join(noted), encoding="utf-8")
    flags = "--format", "triplets", "--chunk_size", 3, "--num_workers", 2
    results = []
    for number, source in enumerate((triplets, large)):
        save = tmp_path / str(number)
        run_well("convert_dataset.py", "--source", source, "--save_folder", save, *flags)
        lines = [path.read_text() for path in sorted((save / "annotations").glob("*.jsonl"))]
        maps = [path.read_bytes() for path in sorted((save / "character_heatmaps").glob("*.png"))]
        results.append(([text.replace(str(source), "SOURCE") for text in lines], maps))
    assert results[0] == results[1] and len(maps) == len(records)
    assert index_of(large).stat().st_size
