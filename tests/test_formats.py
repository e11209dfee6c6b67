"""Readers of public data sets, each on a small folder laid out as its users download it."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import shapely
from PIL import Image

from textdet.common.errors import DataError
from textdet.data.formats.common import along_line, rectangle
from textdet.data.formats.mat_stream import MatError, iterate_cells
from textdet.data.formats.recognise import find_format
from textdet.data.formats.registry import FORMATS, read_items
from textdet.data.heatmaps import draw_heatmaps

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"


def picture(path: Path, size=(200, 100)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def read(name, folder):
    """Items and the lines about images left out."""
    found = list(read_items(name, folder))
    items = [item for item in found if not isinstance(item, str)]
    return items, [line for line in found if isinstance(line, str)]


def cells(*values):
    """A MATLAB cell array of one row."""
    array = np.empty((1, len(values)), object)
    array[0] = values
    return array


def square(x, y, side=10):
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], float)


def corners(quads):
    """(n, 4, 2) as SynthText has them: (2, 4, n), or (2, 4) for one."""
    return np.squeeze(np.asarray(quads, float).transpose(2, 1, 0))


@pytest.mark.parametrize("compressed", [False, True])
def test_synthtext(tmp_path, compressed):
    for name in ("8/a.jpg", "8/b.jpg", "8/c.jpg"):
        picture(tmp_path / name)
    letters = [square(10 * i, 5) for i in range(5)]
    words = [letters[0], np.array([[10, 5], [50, 5], [50, 15], [10, 15]], float)]
    data = {
        "imnames": cells("8/a.jpg", "8/none.jpg", "8/b.jpg", "8/c.jpg"),
        "wordBB": cells(*[corners(words)] * 2, corners(words[:1]), corners(words)),
        "charBB": cells(*[corners(letters)] * 2, corners(letters[:1]), corners(letters[:2])),
        "txt": cells(np.array(["я\nfoo!  "]), np.array(["a"]), np.array(["b"]), np.array(["a b"])),
    }
    scipy.io.savemat(tmp_path / "gt.mat", data, do_compression=compressed)
    items, lines = read("synthtext", tmp_path)
    assert [item.image_path.name for item in items] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [word.text for word in items[0].words] == ["я", "foo!"]
    assert items[0].words[1].characters == list("foo!")
    np.testing.assert_array_equal(items[0].words[1].quads, letters[1:])
    np.testing.assert_array_equal(items[0].words[1].polygon, words[1])
    assert [word.text for word in items[1].words] == ["b"]
    assert len(items[2].words) == 2 and items[2].words[1].characters == ["b"]
    assert len(lines) == 1 and "none.jpg" in lines[0]


def test_cells_are_those_that_scipy_reads(tmp_path):
    rng = np.random.default_rng(0)
    numbers = cells(*(rng.random((2, 4, n)) for n in range(2, 200)))
    small = cells(*(rng.integers(0, 255, (3, n)).astype(np.uint8) for n in range(1, 9)))
    path = tmp_path / "cells.mat"
    data = {"numbers": numbers, "small": small, "other": np.eye(3), "text": cells("a", "яблоко")}
    for compressed in (False, True):
        scipy.io.savemat(path, data, do_compression=compressed)
        known = scipy.io.loadmat(path)
        for name in ("numbers", "small"):
            for own, theirs in zip(iterate_cells(path, name), known[name][0], strict=True):
                np.testing.assert_array_equal(own, theirs)
        assert [text for (text,) in iterate_cells(path, "text")] == ["a", "яблоко"]
        with pytest.raises(MatError, match="no variable 'none'"):
            next(iterate_cells(path, "none"))
        with pytest.raises(MatError, match="no cell array"):
            next(iterate_cells(path, "other"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MatError, match="cut short"):
        list(iterate_cells(path, "numbers"))
    path.write_bytes(b"\x89HDF" * 64)
    with pytest.raises(MatError, match="-v7"):
        list(iterate_cells(path, "numbers"))


def test_icdar2013_characters(tmp_path):
    picture(tmp_path / "images" / "100.jpg")
    lines = (
        '38 36 41 25 20 10 10 19 30 "T"\r\n38 36 41 35 22 21 14 29 30 "o"\r\n\r\n'
        '# 0 0 0 65 20 60 10 69 30 "x"\r\nnonsense\r\n'
    )
    (tmp_path / "100_GT.txt").write_bytes(lines.encode())
    (item,), lines = read("icdar2013_characters", tmp_path)
    assert [(word.text, word.ignore) for word in item.words] == [("To", False), ("x", True)]
    # As high as the word, the gap between the letters shared.
    expected = [[[10, 10], [20, 10], [20, 30], [10, 30]], [[20, 10], [29, 10], [29, 30], [20, 30]]]
    np.testing.assert_array_equal(item.words[0].quads, expected)
    assert len(item.problems) == 1 and "100_GT.txt:5" in item.problems[0] and not lines


def test_iiit5k(tmp_path):
    picture(tmp_path / "train" / "1_1.png")
    row = {"ImgName": "train/1_1.png", "chars": "AB", "charBB": [[0, 2, 8, 10], [12, 2, 6, 10]]}
    one = {"ImgName": "train/1_1.png", "chars": "A", "charBB": [[0, 2, 8, 10], [1, 1, 1, 1]]}
    gone = {**row, "ImgName": "train/gone.png"}
    records = np.array([row, one, gone], object)
    scipy.io.savemat(tmp_path / "trainCharBound.mat", {"trainCharBound": records})
    items, lines = read("iiit5k", tmp_path)
    assert items[0].split == "train" and items[0].words[0].characters == ["A", "B"]
    np.testing.assert_array_equal(items[0].words[0].quads[:, 1, 0], [10, 18])
    assert len(items) == 1 and len(lines) == 2 and "gone.png" in lines[1]


def test_coco_with_characters(tmp_path):
    picture(tmp_path / "images" / "a.png")
    flat = [[10, 10, 40, 10, 40, 20, 10, 20]]
    data = {
        "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "gone.png"}],
        "annotations": [
            {
                "image_id": 7,
                "segmentation": flat,
                "text": "no",
                "characters": [
                    {"text": "n", "polygon": square(10, 10).tolist()},
                    {"text": "o", "bbox": [30, 10, 10, 10]},
                ],
            },
            {"image_id": 7, "bbox": [50, 10, 20, 10], "utf8_string": "crowd", "iscrowd": 1},
            {"image_id": 7, "bbox": [80, 10, 20, 10], "utf8_string": "###", "iscrowd": 0},
            {"image_id": 7, "bbox": [50, 10, 0, 10]},
        ],
    }
    (tmp_path / "words.json").write_text(json.dumps(data))
    (item,), lines = read("coco", tmp_path)
    words = [(word.text, word.ignore) for word in item.words]
    assert words == [("no", False), ("crowd", True), ("###", True)]
    np.testing.assert_array_equal(item.words[0].quads, [square(10, 10), square(30, 10)])
    np.testing.assert_array_equal(item.words[0].polygon, np.reshape(flat, (4, 2)))
    assert "no area" in item.problems[0] and "gone.png" in lines[0]


def test_what_is_drawn_against_the_clock_is_turned(tmp_path):
    """Otherwise affinities, which join upper and lower halves of cells, would have no area, words
    cut out along their outline would be mirrored, and ICDAR's evaluation refuses the file."""
    picture(tmp_path / "a.png")
    cells = [square(10, 10), square(22, 10)]
    backwards = [cell[[0, 3, 2, 1]].tolist() for cell in cells]
    characters = [{"text": t, "polygon": p} for t, p in zip("no", backwards, strict=True)]
    outline = square(10, 10, 22)
    word = {"text": "no", "polygon": outline[[0, 3, 2, 1]].tolist(), "characters": characters}
    images = [{"id": 7, "file_name": "a.png"}]
    data = {"images": images, "annotations": [{**word, "image_id": 7}]}
    (tmp_path / "words.json").write_text(json.dumps(data))
    own = [{"text": letter["text"], "quad": letter["polygon"]} for letter in characters]
    word["characters"] = own
    (tmp_path / "annotations").mkdir()
    line = json.dumps({"file": "a.png", "size": [200, 100], "words": [word]})
    (tmp_path / "annotations" / "0.jsonl").write_text(line)
    for name in ("coco", "triplets"):
        (item,), _ = read(name, tmp_path)
        np.testing.assert_array_equal(item.words[0].quads, cells)
        np.testing.assert_array_equal(item.words[0].polygon, outline)


def test_an_outline_that_ends_where_it_begins_is_a_quad(tmp_path):
    """As shapely writes it. Of five points the smallest box around them was taken, and a narrow
    word, as 1, was cut out lying on its side."""
    picture(tmp_path / "a.png")
    corners = [[10, 10], [14, 11], [15, 40], [10, 40]]
    words = [{"text": "1", "polygon": [*corners, corners[0]], "image_id": 7}]
    images = [{"id": 7, "file_name": "a.png"}]
    (tmp_path / "words.json").write_text(json.dumps({"images": images, "annotations": words}))
    (tmp_path / "annotations").mkdir()
    line = json.dumps({"file": "a.png", "size": [200, 100], "words": words})
    (tmp_path / "annotations" / "0.jsonl").write_text(line)
    for name in ("coco", "triplets"):
        (item,), _ = read(name, tmp_path)
        np.testing.assert_array_equal(item.words[0].polygon, corners)


def test_two_images_of_one_id_are_left_out(tmp_path):
    """As after two files of COCO were put together: the first got the words of both, the second
    none, as if it were without text."""
    for name in "abc":
        picture(tmp_path / f"{name}.png")
    ids = {"a": 1, "b": 1, "c": 2}
    images = [{"id": number, "file_name": f"{name}.png"} for name, number in ids.items()]
    words = [{"image_id": float(number), "bbox": [10, 10, 20, 10]} for number in ids.values()]
    (tmp_path / "words.json").write_text(json.dumps({"images": images, "annotations": words}))
    (item,), lines = read("coco", tmp_path)
    assert item.image_path.name == "c.png" and len(item.words) == 1
    assert ["that of another image" in line for line in lines[:2]] == [True, True]


@pytest.mark.parametrize("upwards", [False, True])
def test_letters_below_each_other_are_joined(upwards, tmp_path):
    """As in the generator's stacks: an affinity joins the upper half of one cell to the next one's,
    and would have no area; an outline along the cells' tops would cross itself."""
    letters = "abc"[:: -1 if upwards else 1]
    boxes = [(t, [40, 10 + 25 * i, 20 + i, 20]) for i, t in enumerate("abc")]
    boxes = boxes[::-1] if upwards else boxes
    picture(tmp_path / "a.png")
    characters = [{"text": t, "bbox": box} for t, box in boxes]
    word = {"image_id": 7, "bbox": [40, 10, 22, 70], "text": letters, "characters": characters}
    data = {"images": [{"id": 7, "file_name": "a.png"}], "annotations": [word]}
    (tmp_path / "words.json").write_text(json.dumps(data))
    lines = [f'0 0 0 0 0 {x} {y} {x + w} {y + h} "{t}"\n' for t, (x, y, w, h) in boxes]
    (tmp_path / "a_GT.txt").write_text("".join(lines))
    for name in ("coco", "icdar2013_characters"):
        (item,), _ = read(name, tmp_path)
        (word,) = item.words
        assert word.text == letters and shapely.is_valid(shapely.Polygon(word.polygon))
        affinity = draw_heatmaps([word.quads], 200, 100)[1]
        for row in (32, 57):  # between two letters
            assert affinity[row, 50] > 200, name
        first = word.quads[:, 1] - word.quads[:, 0]
        assert (first[:, 1] > 0).all() != upwards and (first[:, 0] == 0).all()


def test_letters_beside_each_other_keep_their_corners():
    """Tight boxes of signs stand far above or below those beside them."""
    boxes = [rectangle(*box) for box in ((0, 0, 3, 20), (6, 18, 9, 24), (12, 0, 15, 5))]
    for word in (boxes, boxes[:2], boxes[1:], boxes[:1], boxes[::-1]):  # l,'
        np.testing.assert_array_equal(along_line(np.array(word)), word)


def test_cocotext_and_textocr(tmp_path):
    picture(tmp_path / "train2014" / "COCO_train2014_1.jpg")
    data = {
        "imgs": {"1": {"id": 1, "file_name": "COCO_train2014_1.jpg", "set": "train"}},
        "anns": {
            "5": {
                "image_id": 1,
                "mask": [10, 10, 40, 10, 40, 20, 10, 20],
                "utf8_string": "word",
                "legibility": "legible",
            },
            "6": {"image_id": 1, "bbox": [1, 1, 5, 5], "legibility": "illegible"},
        },
        "imgToAnns": {"1": [5, 6]},
    }
    (tmp_path / "cocotext.v2.json").write_text(json.dumps(data))
    (item,), _ = read("cocotext", tmp_path)
    assert [(word.text, word.ignore) for word in item.words] == [("word", False), ("", True)]
    assert item.split == "train"
    points = [10, 20, 10, 10, 40, 10, 40, 20]
    data["anns"] = {
        "1_1": {"image_id": 1, "points": points, "bbox": [0, 0, 1, 1], "utf8_string": "a"},
        "1_2": {"image_id": 1, "points": points[::-1], "utf8_string": "."},
    }
    (tmp_path / "TextOCR_0.1_train.json").write_text(json.dumps(data))
    (item,), _ = read("textocr", tmp_path)
    assert [(word.text, word.ignore) for word in item.words] == [("a", False), (".", True)]
    # From the corner where the text begins, see start_along_line.
    np.testing.assert_array_equal(item.words[0].polygon, [[10, 10], [40, 10], [40, 20], [10, 20]])


@pytest.mark.parametrize("packed", [False, True])
def test_hiertext(tmp_path, packed):
    picture(tmp_path / "train" / "abc.jpg")
    vertices = [[10, 10], [20, 8], [30, 10], [30, 20], [20, 18], [10, 20]]
    words = [{"vertices": vertices, "text": "arc", "legible": True}]
    words += [{"vertices": vertices, "text": "", "legible": False}]
    data = {"annotations": [{"image_id": "abc", "paragraphs": [{"lines": [{"words": words}]}]}]}
    content = json.dumps(data).encode()
    path = tmp_path / "gt" / ("train.jsonl.gz" if packed else "train.jsonl")
    path.parent.mkdir()
    path.write_bytes(gzip.compress(content) if packed else content)
    (item,), _ = read("hiertext", tmp_path)
    assert [(word.text, word.ignore) for word in item.words] == [("arc", False), ("", True)]
    np.testing.assert_array_equal(item.words[0].polygon, vertices)
    assert item.split == "train"


def test_hiertext_in_several_files(tmp_path):
    """One part unpacked, beside its packed file, another not, a third one damaged."""
    box = [[10, 10], [30, 10], [30, 20], [10, 20]]
    paragraphs = [{"lines": [{"words": [{"vertices": box, "text": "on", "legible": True}]}]}]
    for part in ("train", "validation"):
        picture(tmp_path / part / f"{part}_1.jpg")
        data = {"annotations": [{"image_id": f"{part}_1", "paragraphs": paragraphs}]}
        content = json.dumps(data).encode()
        (tmp_path / f"{part}.jsonl.gz").write_bytes(gzip.compress(content))
    (tmp_path / "train.jsonl").write_bytes(
        gzip.decompress((tmp_path / "train.jsonl.gz").read_bytes())
    )
    (tmp_path / "test.jsonl").write_text("{")
    items, lines = read("hiertext", tmp_path)
    assert [item.split for item in items] == ["train", "validation"]
    (line,) = lines
    assert "test.jsonl: not readable as JSON" in line


def test_totaltext_mat_and_text_agree(tmp_path):
    x, y = [10, 20, 30, 30, 20, 10], [10, 8, 10, 20, 18, 20]
    table = np.empty((2, 6), object)
    table[0] = ["x:", np.array([x]), "y:", np.array([y]), "arc's", "c"]
    table[1] = ["x:", np.array([x]), "y:", np.array([y]), "#", "#"]
    picture(tmp_path / "mat" / "Images" / "Train" / "img1.jpg")
    (tmp_path / "mat" / "Train").mkdir()
    scipy.io.savemat(tmp_path / "mat" / "Train" / "poly_gt_img1.mat", {"polygt": table})
    picture(tmp_path / "txt" / "img1.jpg")
    numbers = f"x: [[{' '.join(map(str, x[:4]))}\n {x[4]} {x[5]}]], y: [[{' '.join(map(str, y))}]]"
    (tmp_path / "txt" / "gt_img1.txt").write_text(
        f"{numbers}, ornt: [u'c'], transcriptions: [u\"arc's\"]\n"
        f"{numbers}, ornt: [u'#'], transcriptions: [u'#']\n"
        "x: [[1 2]], ornt, transcriptions: []\n"
    )
    for name, damaged in (("mat", 0), ("txt", 1)):
        (item,), _ = read("totaltext", tmp_path / name)
        assert [(word.text, word.ignore) for word in item.words] == [("arc's", False), ("#", True)]
        np.testing.assert_array_equal(item.words[0].polygon, np.stack([x, y], 1))
        assert len(item.problems) == damaged


def test_mlt_with_and_without_mark(tmp_path):
    picture(tmp_path / "a" / "img_1.png")
    picture(tmp_path / "a" / "img_2.jpg")
    line = "10,10,40,10,40,20,10,20,Cyrillic,a, b\r\n10,10,40,10,40,20,10,20,Latin,###\r\nx\r\n"
    (tmp_path / "gt_img_1.txt").write_bytes(b"\xef\xbb\xbf" + line.encode())
    (tmp_path / "gt_img_2.txt").write_bytes(line.encode())
    items, _ = read("mlt", tmp_path)
    for item in items:
        assert [(word.text, word.ignore) for word in item.words] == [("a, b", False), ("###", True)]
        assert len(item.problems) == 1
    assert len(items) == 2 and find_format(tmp_path) == "mlt"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_icdar_lines(tmp_path, ending, mark):
    """Both competitions' layouts, with commas, quotes and odd separators in the text."""
    for name in ("icdar2013", "icdar2015"):
        picture(tmp_path / name / "img_1.jpg")
    rows = ['10, 10, 40, 20, "a, "b""', '10 10 40 20 "c\u2028d"', "10, 10, 40, 20, e"]
    path = tmp_path / "icdar2013" / "gt_img_1.txt"
    path.write_bytes(mark + ending.join(rows).encode())
    (item,), _ = read("icdar2013", tmp_path / "icdar2013")
    found = [(word.text, word.ignore) for word in item.words]
    assert found == [('a, "b"', False), ("c\u2028d", False), ("", True)]  # its box can be read
    assert len(item.problems) == 1 and "gt_img_1.txt:3" in item.problems[0]
    quad = "10,10,40,12,40,22,10,20"
    rows = [f"{quad},a, b", f"{quad},###", f'{quad},"c"', quad, "10,10,10,10,10,10,10,10,d"]
    path = tmp_path / "icdar2015" / "gt_img_1.txt"
    path.write_bytes(mark + ending.join(rows).encode())
    (item,), _ = read("icdar2015", tmp_path / "icdar2015")
    found = [(word.text, word.ignore) for word in item.words]
    assert found == [("a, b", False), ("###", True), ('"c"', False), ("", False)]
    np.testing.assert_array_equal(item.words[0].polygon, [[10, 10], [40, 12], [40, 22], [10, 20]])
    assert len(item.problems) == 1 and "gt_img_1.txt:5" in item.problems[0]


@pytest.mark.parametrize("name", ["photo 1.txt", "photo 1.JPG.txt"])
def test_curved_words_in_the_layout_of_icdar(tmp_path, name):
    """As of Total-Text and CTW1500; their files are called like the images."""
    picture(tmp_path / "photo 1.JPG")
    curved = [[10, 20], [40, 10], [70, 20], [70, 40], [40, 30], [10, 40]]
    points = ",".join(str(number) for point in curved for number in point)
    quad = "10,10,40,12,40,22,10,20"
    texts = ("1,000", "1,234,567,890", "8,5", "1,2,x")
    rows = [f"{points},arc, 1", f"{points},###", points, *(f"{quad},{text}" for text in texts)]
    (tmp_path / name).write_text("\n".join(rows))
    assert find_format(tmp_path) == "icdar2015"
    (item,), lines = read("icdar2015", tmp_path)
    for word, (text, ignore) in zip(
        item.words[:3], [("arc, 1", False), ("###", True), ("", False)], strict=True
    ):
        np.testing.assert_array_equal(word.polygon, curved)
        assert (word.text, word.ignore) == (text, ignore)
    assert tuple(word.text for word in item.words[3:]) == texts
    assert all(len(word.polygon) == 4 for word in item.words[3:])
    assert not lines and not item.problems


def test_equal_names_of_two_parts_are_not_mixed(tmp_path):
    """ICDAR 2015 and MLT count from img_1 in each part; COCO's file names have folders."""
    for part in ("test", "training"):
        picture(tmp_path / f"ch4_{part}_images" / "img_1.jpg")
        folder = tmp_path / f"ch4_{part}_localization_gt"
        folder.mkdir()
        (folder / "gt_img_1.txt").write_text(f"10,10,40,10,40,20,10,20,{part}")
    items, lines = read("icdar2015", tmp_path)
    found = {item.image_path.parent.name: item.words[0].text for item in items}
    assert found == {"ch4_test_images": "test", "ch4_training_images": "training"} and not lines
    names = [{"id": i, "file_name": f"{folder}/img_1.jpg"} for i, folder in enumerate(found)]
    words = [
        {"image_id": i, "bbox": [1, 1, 9, 9], "text": folder} for i, folder in enumerate(found)
    ]
    (tmp_path / "all.json").write_text(json.dumps({"images": names, "annotations": words}))
    items, _ = read("coco", tmp_path)
    assert all(item.image_path.parent.name == item.words[0].text for item in items)
    (tmp_path / "gt_img_1.txt").write_text("10,10,40,10,40,20,10,20,which")
    for part in ("test", "training"):
        (tmp_path / f"ch4_{part}_localization_gt" / "gt_img_1.txt").unlink()
    picture(tmp_path / "other" / "img_1.jpg")
    _, lines = read("icdar2015", tmp_path)
    assert "one part at a time" in lines[0]


@pytest.mark.parametrize("before", ["/home/me/set/", "C:\\set\\", "https://host/a%20set/"])
def test_of_equal_names_the_one_in_the_folder_of_that_name_is_meant(tmp_path, before):
    """As in labels of another machine. The file's own path is more like that of a wrong one."""
    folders = ("a part", "new")
    for folder in folders:
        picture(tmp_path / folder / "img_1.jpg")
    between = "\\" if "\\" in before else "/"
    asked = "a%20part" if "%" in before else "a part"
    names = [f"{before}{folder}{between}img_1.jpg" for folder in ("new", asked)]
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    words = [{"image_id": number, "bbox": [1 + number, 1, 9, 9]} for number in range(2)]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": words}))
    items, lines = read("coco", tmp_path)
    found = {item.image_path.parent.name: item.words[0].polygon[0, 0] for item in items}
    assert found == {"new": 1, "a part": 2} and not lines


@pytest.mark.parametrize("name", ["icdar2015", "yolo"])
def test_a_part_without_its_images_gives_no_words_to_those_of_another(tmp_path, name):
    """The test half's words are there, its images are not; then the other way round."""
    form = {"icdar2015": "gt_img_1.txt", "yolo": "labels/img_1.txt"}[name]
    for part, left in (("training", 0), ("a_test", 1)):
        path = tmp_path / f"{part}_gt" / form
        path.parent.mkdir(parents=True)
        quad = {
            "icdar2015": f"{left},0,9,0,9,9,0,9,on",
            "yolo": f"0 {left / 200} 0 .1 0 .1 .1 0 .1",
        }
        path.write_text(quad[name])
    picture(tmp_path / "training_images" / "img_1.jpg")
    (item,), (line,) = read(name, tmp_path)
    assert item.words[0].polygon[0, 0] == 0
    assert "a_test_gt" in line and "no image for it" in line
    (tmp_path / "a_test_gt" / form).unlink()
    picture(tmp_path / "a_test_images" / "img_1.jpg")
    (item,), (line,) = read(name, tmp_path)
    assert item.image_path.parent.name == "training_images"
    assert "a_test_images" in line and "no annotation" in line


def test_two_files_of_one_image_are_not_told_apart(tmp_path):
    picture(tmp_path / "img_1.jpg")
    for folder, text in (("a", "old"), ("b", "new")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gt_img_1.txt").write_text(f"10,10,40,10,40,20,10,20,{text}")
    items, lines = read("icdar2015", tmp_path)
    assert not items and len(lines) == 1 and "one part at a time" in lines[0]


def test_an_image_gets_no_words_of_another_whose_name_begins_alike(tmp_path):
    for name in ("scan.jpg", "scan.jpg.png"):
        picture(tmp_path / name)
    for name in ("scan", "scan.2"):
        (tmp_path / f"gt_{name}.txt").write_text(f"10,10,40,10,40,20,10,20,{name}")
    items, lines = read("icdar2015", tmp_path)
    assert [(item.image_path.name, item.words[0].text) for item in items] == [("scan.jpg", "scan")]
    assert "there is no image scan.2" in lines[0]
    words = json.dumps([{"transcription": "on", "points": [[10, 10], [40, 10], [40, 20]]}])
    (tmp_path / "Label.txt").write_text(f"scan.HEIC\t{words}\n")
    (item,), (line,) = read("paddleocr", tmp_path)
    assert item.image_path.name == "scan.jpg" and "scan.jpg.png: there is no annotation" in line


@pytest.mark.parametrize(("name", "ignored"), [("icdar2015", False), ("sroie", True)])
def test_texts_of_another_encoding_are_unknown(tmp_path, name, ignored):
    picture(tmp_path / "img_1.jpg")
    text = "0,10,90,10,90,20,0,20,слово\n".encode("cp1251")
    (tmp_path / "img_1.txt").write_bytes(text)
    (item,), _ = read(name, tmp_path)
    assert [(word.text, word.ignore) for word in item.words] == [("", ignored)]


def test_sroie_lines_become_words(tmp_path):
    picture(tmp_path / "X001.jpg")
    (tmp_path / "X001.txt").write_text("0,10,110,10,110,20,0,20,TOTAL, RM 5\n\nbroken\n")
    (item,), _ = read("sroie", tmp_path)
    assert [word.text for word in item.words] == ["TOTAL,", "RM", "5"]
    np.testing.assert_allclose(item.words[1].polygon, [[70, 10], [90, 10], [90, 20], [70, 20]])
    assert len(item.problems) == 1


def test_images_behind_a_link_are_found(tmp_path):
    """As those of a larger disk; links to the same folder, or to one that holds it, add nothing."""
    picture(tmp_path / "disk/img_1.jpg")
    folder = tmp_path / "set"
    folder.mkdir()
    for name, to in (
        ("all", tmp_path),
        ("images", tmp_path / "disk"),
        ("other", folder / "images"),
    ):
        (folder / name).symlink_to(to)
    (folder / "gt_img_1.txt").write_text("1,1,9,1,9,9,1,9,word")
    (item,), problems = read("icdar2015", folder)
    assert item.image_path == folder / "images/img_1.jpg" and not problems


def test_wrong_folders_are_told_what_was_looked_for(tmp_path):
    (tmp_path / "notes.doc").write_text("")
    for name in FORMATS:
        with pytest.raises(DataError, match=r"looked for .* found notes\.doc"):
            list(read_items(name, tmp_path))
    (tmp_path / "TextOCR.json").write_text("{")
    with pytest.raises(DataError, match="not readable as JSON"):
        list(read_items("textocr", tmp_path))
    (tmp_path / "TextOCR.json").write_text('{"info": 1}')
    with pytest.raises(DataError, match="neither 'imgs' nor 'images'"):
        list(read_items("textocr", tmp_path))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images for development are not here")
@pytest.mark.parametrize(
    ("name", "folder", "images"),
    [("icdar2013", "ic13_dev", 100), ("icdar2015", "ic15_dev", 200), ("funsd", "funsd_train", 149)],
)
def test_real_sets(name, folder, images):
    items, lines = read(name, REAL / folder)
    assert len(items) == images and not lines
    assert sum(len(item.words) for item in items) > 3 * images
    assert not [problem for item in items for problem in item.problems][1:]
