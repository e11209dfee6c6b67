"""Annotations that nobody should trust: names that lead out of the folder, numbers and runs of
characters that ask for far more time or memory than they are worth."""

import contextlib
import gzip
import json
import struct

import numpy as np
import pytest
import scipy.io
from test_formats import cells, corners, picture, read, square

from convert_dataset import is_done
from textdet.common.errors import DataError
from textdet.common.files import parse_json
from textdet.data.annotation import Sample, name_within
from textdet.data.chunked_folder import Chunk, chunk_path, read_chunk
from textdet.data.formats.common import Item
from textdet.data.formats.mat_stream import MatError, iterate_cells, read_variable
from textdet.data.formats.recognise import find_format
from textdet.data.formats.registry import read_dataset
from textdet.data.pieces import cut_pieces
from textdet.data.triplets import read_samples
from textdet.decoding.metrics import match_image, truth_of

WORD = {"text": "on", "polygon": square(1, 1).tolist()}
OUTSIDE = (
    *("../secret.png", "x/../../secret.png", "..\\secret.png", "{folder}/../secret.png", ".."),
    *("", ".", "./", "\0", "a\0.png", "\ud800.png", "x" * 300 + "/../../secret.png"),
)


def own_line(file="a.png", **more):
    return json.dumps({"file": file, "size": [200, 100], "words": [WORD], **more})


@pytest.fixture
def folder(tmp_path):
    """A folder of its own with a sound image, beside which lies one that is not to be touched."""
    picture(tmp_path / "secret.png")
    folder = tmp_path / "data"
    picture(folder / "images" / "a.png")
    (folder / "annotations").mkdir()
    return folder


# --- Names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OUTSIDE, 5, None, ["a.png"], {}])
def test_own_annotations_name_files_of_their_folder(folder, name):
    name = name.format(folder=folder) if isinstance(name, str) else name
    lines = [own_line(name), own_line()]
    (folder / "annotations" / "0.jsonl").write_text("\n".join(lines))
    samples, problems = read_samples(folder)
    assert [sample.file for sample in samples] == ["a.png"]
    assert len(problems) == 1 and "0.jsonl:1: damaged annotation (its file is" in problems[0]


def test_names_of_subfolders_are_read_whichever_way_the_slashes_lean():
    assert name_within("b\\a.png") == name_within("b/a.png") == name_within("./b/a.png")
    assert name_within("имя.png") == "имя.png" and name_within("..a.png") == "..a.png"


@pytest.mark.parametrize("name", [name for name in OUTSIDE if "\ud800" not in name])
def test_matlab_names_files_of_their_folder(folder, name):
    name = name.format(folder=folder)
    picture(folder / "b.png")
    box = corners([square(1, 1)])
    data = {
        "imnames": cells(name, "b.png"),
        **{"wordBB": cells(box, box), "charBB": cells(box, box), "txt": cells("a", "a")},
    }
    scipy.io.savemat(folder / "gt.mat", data)
    rows = [{"ImgName": n, "chars": "a", "charBB": [[1, 1, 9, 9]]} for n in (name, "b.png")]
    scipy.io.savemat(folder / "testCharBound.mat", {"testCharBound": np.array(rows, object)})
    for form in ("synthtext", "iiit5k"):
        items, lines = read(form, folder)
        assert [item.image_path.name for item in items] == ["b.png"]
        assert len(lines) == 1 and "image 1 left out" in lines[0]


@pytest.mark.parametrize("name", [*OUTSIDE, "/secret.png", 5, None, ["a.png"]])
def test_coco_names_files_of_their_folder(folder, name):
    """Of a path from elsewhere the name alone is looked for, within the folder."""
    name = name.format(folder=folder) if isinstance(name, str) else name
    images = [{"id": 1, "file_name": name}, {"id": 2, "file_name": "C:\\data\\a.png"}]
    words = [{"image_id": 2, "bbox": [1, 1, 9, 9], "text": "a"}]
    (folder / "words.json").write_text(json.dumps({"images": images, "annotations": words}))
    (item,), lines = read("coco", folder)
    assert item.image_path == folder / "images" / "a.png" and len(item.words) == 1
    assert len(lines) == 1 and "there is no image" in lines[0]


@pytest.mark.parametrize("file", ["../../secret.png", "../a.png"])
def test_a_chunk_cannot_have_files_of_others_deleted(folder, file):
    """convert_dataset.py deletes the files of a chunk that was made of other images."""
    path = chunk_path(folder, 0)
    path.write_text(own_line(file, source="other.png") + "\n")
    chunk = Chunk(path, 0, [Item(folder / "images" / "a.png", [])])
    with pytest.raises(DataError, match=r"00000\.jsonl is damaged .* delete it"):
        is_done(chunk, characters=True)
    assert (folder.parent / "secret.png").exists() and (folder / "images" / "a.png").exists()


@pytest.mark.parametrize("field", ["piece_of", "unread_words"])
def test_fields_of_another_type_are_damage(folder, field):
    lines = [own_line(**{field: value}) for value in (["x"], {}, 0.5)] + [own_line()]
    (folder / "annotations" / "0.jsonl").write_text("\n".join(lines))
    samples, problems = read_samples(folder)
    assert len(samples) == 1 and len(problems) == 3
    assert all(isinstance(sample.origin, str) for sample in samples)


def test_what_an_annotation_lacks_is_named(folder):
    lines = [own_line(file=f"{k}.png") for k in range(3)]
    lines = [
        line.replace(f'"{name}"', '"other"')
        for line, name in zip(lines, ("file", "size", "words"), strict=True)
    ]
    (folder / "annotations" / "0.jsonl").write_text("\n".join([*lines, own_line()]))
    samples, problems = read_samples(folder)
    assert len(samples) == 1 and len(problems) == 3
    for problem, name in zip(problems, ("file", "size", "words"), strict=True):
        assert problem.endswith(f"damaged annotation ('{name}' is missing)")


# --- Numbers and nesting ---------------------------------------------------------------------


@pytest.mark.parametrize("number", ["1" + "0" * 400, "Infinity", "-Infinity", "NaN", "1e999"])
@pytest.mark.parametrize("place", ['"x"', '"y"', '"z"', '"w"'])
def test_absurd_numbers_cost_one_line(folder, number, place):
    odd = json.dumps(
        {
            **{"file": "a.png", "size": ["w", 100]},
            "words": [
                {
                    **{"text": "o", "polygon": [["x", 1], *square(1, 1).tolist()]},
                    "characters": [{"text": "o", "quad": [["y", 1], *square(1, 1)[1:].tolist()]}],
                    "confidence": "z",
                }
            ],
        }
    )
    for name, value in {"x": "1", "y": "1", "z": "1", "w": "200"}.items():
        odd = odd.replace(f'"{name}"', number if place == f'"{name}"' else value)
    (folder / "annotations" / "0.jsonl").write_text(
        f"{own_line()}\n{odd}\n{own_line(file='b.png')}\n"
    )
    samples, problems = read_samples(folder)
    assert len(samples) == 2 and len(problems) == 1 and "0.jsonl:2" in problems[0]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_costs_one_line(folder, opening):
    deep = opening * 100_000
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(deep)
    (folder / "annotations" / "0.jsonl").write_text(
        f"{own_line()}\n{deep}\n{own_line(file='b.png')}\n"
    )
    samples, problems = read_samples(folder)
    assert len(samples) == 2 and len(problems) == 1 and "0.jsonl:2" in problems[0]
    (folder / "words.json").write_text(deep)
    with pytest.raises(DataError, match=r"words\.json: not readable as JSON \(.*nested"):
        read_dataset(folder, "coco")
    with pytest.raises(DataError, match=r"0\.jsonl is damaged"):
        read_chunk(folder / "annotations" / "0.jsonl")


@pytest.mark.parametrize("cut", [-1, -9, 20, 5])
def test_a_damaged_archive_is_one_line(folder, cut):
    packed = gzip.compress(json.dumps({"annotations": []}).encode())
    (folder / "val.jsonl.gz").write_bytes(packed[:cut] + b"\xff" * 3)
    with pytest.raises(DataError, match=r"val\.jsonl\.gz: not readable as JSON"):
        read_dataset(folder, "hiertext")


# --- Time and memory -------------------------------------------------------------------------


def with_shape(path, old, new):
    """Write another shape over each array of a .mat file that has the old one."""
    data = path.read_bytes()
    assert struct.pack("<2i", *old) in data
    path.write_bytes(data.replace(struct.pack("<2i", *old), struct.pack("<2i", *new)))


@pytest.mark.parametrize("shape", [(300_000_000, 1), (300_000_000, 0), (2**31 - 1, 2**31 - 1)])
def test_a_cell_of_absurd_shape_makes_no_list_of_that_length(folder, shape):
    picture(folder / "b.png")
    box = corners([square(1, 1)] * 3)
    data = {"imnames": cells("b.png"), "wordBB": cells(box), "charBB": cells(box)}
    scipy.io.savemat(folder / "gt.mat", {**data, "txt": cells("a b c")})
    with_shape(folder / "gt.mat", (1, 5), shape)
    items, lines = read("synthtext", folder)
    assert not items and "image 1 left out" in lines[0]
    assert list(iterate_cells(folder / "gt.mat", "txt")) == [[]]


@pytest.mark.parametrize("shape", [(1, 2**31 - 1), (2**31 - 1, 2**31 - 1), (-1, 1), (2, 3)])
def test_a_cell_array_of_absurd_length_ends_where_the_file_does(folder, shape):
    scipy.io.savemat(folder / "gt.mat", {"imnames": cells("a", "bc", "def")})
    with_shape(folder / "gt.mat", (1, 3), shape)
    with pytest.raises(MatError, match=r"cut short|shape"):
        list(iterate_cells(folder / "gt.mat", "imnames"))
    with pytest.raises(MatError, match=r"cut short|shape"):
        read_variable(folder / "gt.mat", "imnames")


def test_an_element_of_gigabytes_is_not_inflated(folder):
    """A few bytes that declare four gigabytes of zeros."""
    path = folder / "gt.mat"
    scipy.io.savemat(path, {"imnames": cells(np.arange(9.0))}, do_compression=False)
    data = path.read_bytes()
    tag = struct.pack("<2I", 9, 72)
    assert data.count(tag) == 1
    path.write_bytes(data.replace(tag, struct.pack("<2I", 9, 2**32 - 8)))
    with pytest.raises(MatError, match="an element of 4294967288 bytes is not read"):
        list(iterate_cells(path, "imnames"))


RUN = 300_000  # characters
RUNS = [
    ("icdar2013", "gt_a.txt", " " * RUN + "1"),
    ("icdar2013", "gt_a.txt", "1, 1, 9, 9, " + '"' * RUN + "x"),
    ("icdar2013", "gt_a.txt", "1, 1, 9, 9" + " " * RUN + "x"),
    ("icdar2015", "gt_a.txt", "1," * RUN),
    ("icdar2015", "gt_a.txt", "1 " * 7 + " " * RUN + "x"),
    ("icdar2015", "gt_a.txt", "1" * RUN),
    ("mlt", "gt_a.txt", "1,1,9,1,9,9,1,9" + " " * RUN + "x"),
    ("icdar2013_characters", "a_GT.txt", " " * RUN + "x"),
    ("icdar2013_characters", "a_GT.txt", "#" * RUN),
    ("icdar2013_characters", "a_GT.txt", "1 " * 9 + '"' * RUN + "x"),
    ("sroie", "a.txt", "1 ," * 7 + "1" + " " * RUN + "x"),
    ("sroie", "a.txt", "1,1,9,1,9,9,1,9," + " " * RUN + "x"),
    ("totaltext", "gt_img_a.txt", "x: [[" * RUN + "transcriptions:"),
    ("totaltext", "gt_img_a.txt", "x:" + " " * RUN + "transcriptions:" + " " * RUN + "x"),
    ("totaltext", "gt_img_a.txt", "transcriptions: [u'" + "'] " * RUN + "x"),
    ("totaltext", "gt_img_a.txt", "x: [[1 2\n" * 20_000),
    (
        "yolo",
        "a.txt",
        f"0 .1 .2 .3 .4\n0 {'1' * RUN}x\n0{' ' * RUN}x\n0 .{'1' * RUN} {'.1 ' * RUN}x",
    ),
    ("paddleocr", "a.txt", "a.png\t[" + "[" * RUN + "]\n" + "\t" * RUN + "]"),
]


@pytest.mark.parametrize(("name", "file", "content"), RUNS)
def test_long_runs_cost_no_more_than_their_length(folder, name, file, content):
    """A step back for each character of a run would take minutes, hours for the longest."""
    picture(folder / ("img_a.png" if "img" in file else "a.png"))
    (folder / "images" / "a.png").unlink()
    (folder / file).write_text(content)
    items, lines = read(name, folder)
    assert all(len(line) < 2000 for item in items for line in (*item.problems, *lines))
    with contextlib.suppress(DataError):
        find_format(folder)


def test_an_outline_that_crosses_itself_a_thousand_times_is_its_hull():
    polygon = np.random.default_rng(0).uniform(0, 90, (1000, 2)).astype(np.float32)
    sample = Sample.from_json(
        "x", {"file": "a", "size": [90, 90], "words": [{"polygon": polygon.tolist()}]}
    )
    _, *tiles = cut_pieces(np.zeros((90, 90, 3), np.uint8), sample.words, 64)
    for tile, words in tiles:
        assert len(words) == 1 and words[0].ignore
        assert (words[0].polygon <= (tile.shape[1], tile.shape[0])).all()
    hull = np.float32([[0, 0], [90, 0], [90, 90], [0, 90]])
    assert match_image([hull], truth_of(sample.words)).matched == 1
