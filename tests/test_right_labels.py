"""Labels are right or left out: sizes that do not fit the image, words that cannot be read."""

import json

import numpy as np
import pytest
from PIL import Image

import cut_backgrounds
from convert_dataset import convert_chunk
from textdet.common.errors import DataError
from textdet.data.annotation import Sample, Word, unread_words
from textdet.data.chunked_folder import Chunk, chunk_path, read_left_out
from textdet.data.formats.common import NO_CHARACTERS
from textdet.data.formats.registry import read_dataset, read_items, sample_of
from textdet.data.pieces import cut_pieces
from textdet.data.triplets import check_triplet, make_folders, read_sample_image, read_samples
from textdet.network import pseudo_labels
from textdet.network.detector import TextDetector
from textdet.network.labelling import Labelling, label_chunk

SIZE = (100, 60)  # px, that the annotations declare
BOX = (70, 10, 90, 20)  # left, top, right, bottom of the one word, px of an image of that size
SQUARE = [[BOX[0], BOX[1]], [BOX[2], BOX[1]], [BOX[2], BOX[3]], [BOX[0], BOX[3]]]
FLAT = [number for point in SQUARE for number in point]
DECLARING = ("coco", "cocotext", "textocr", "hiertext", "triplets")


def write_annotation(folder, name, size=SIZE):
    """An annotation of images/a.png in one of the formats that declare a size."""
    folder.mkdir(exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    width, height = size
    picture = {"id": 1, "file_name": "a.png", "width": width, "height": height}
    word = {"image_id": 1, "text": "on", "legibility": "legible"}
    if name == "triplets":
        (folder / "annotations").mkdir(exist_ok=True)
        record = {"file": "a.png", "size": size, "words": [{"text": "on", "polygon": SQUARE}]}
        (folder / "annotations" / "0.jsonl").write_text(json.dumps(record))
    elif name == "hiertext":
        words = [{"vertices": SQUARE, "text": "on", "legible": True}]
        record = {"image_id": "a", "image_width": width, "image_height": height}
        record["paragraphs"] = [{"lines": [{"words": words}]}]
        (folder / "train.jsonl").write_text(json.dumps({"annotations": [record]}))
    elif name == "coco":
        data = {"images": [picture], "annotations": [{**word, "segmentation": [FLAT]}]}
        (folder / "words.json").write_text(json.dumps(data))
    else:
        file, key = {"cocotext": ("cocotext.json", "mask"), "textocr": ("TextOCR.json", "points")}[
            name
        ]
        data = {"imgs": {"1": picture}, "anns": {"1": {**word, key: FLAT}}}
        (folder / file).write_text(json.dumps(data))


def picture_of_the_word(size=SIZE):
    """Dark where the word is, light elsewhere."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 250, np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 0
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def found_in(folder, name):
    """The samples of a folder with their images, and the lines about what was left out."""
    found, problems = [], []
    for item in read_items(name, folder):
        try:
            if isinstance(item, str):
                raise DataError(item)
            sample = sample_of(item, folder)
            found.append((sample, read_sample_image(sample)))
        except DataError as error:
            problems.append(str(error))
    return found, problems


def assert_on_the_word(sample, image):
    """The pixels in the word's polygon are dark, those outside light."""
    assert image.shape == (sample.height, sample.width, 3)
    (left, top), (right, bottom) = sample.words[0].polygon[[0, 2]].round().astype(int)
    inside = np.zeros(image.shape[:2], bool)
    inside[top:bottom, left:right] = True
    assert image[inside].max() < 30 and image[~inside].min() > 200


@pytest.mark.parametrize("name", DECLARING)
@pytest.mark.parametrize("size", [SIZE, (50, 30), (250, 150), (75, 45)])
def test_words_follow_an_image_that_was_resized(name, size, tmp_path):
    write_annotation(tmp_path, name)
    picture_of_the_word(size).save(tmp_path / "images" / "a.png")
    [(sample, image)], problems = found_in(tmp_path, name)
    assert not problems
    if size != (75, 45):  # where the word's sides fall on half pixels
        assert_on_the_word(sample, image)
    expected = np.float64(SQUARE) * (size[0] / SIZE[0], size[1] / SIZE[1])
    np.testing.assert_allclose(sample.words[0].polygon, expected)


@pytest.mark.parametrize("name", DECLARING)
@pytest.mark.parametrize("size", [(100, 59), (90, 60), (60, 100), (50, 31), (10, 6)])
def test_another_image_or_a_part_of_it_is_left_out(name, size, tmp_path):
    write_annotation(tmp_path, name)
    picture_of_the_word(size).save(tmp_path / "images" / "a.png")
    found, problems = found_in(tmp_path, name)
    assert not found and len(problems) == 1
    said = f"a.png: {size[0]}x{size[1]} px, but its annotation says {SIZE[0]}x{SIZE[1]}"
    assert said in problems[0]


@pytest.mark.parametrize("name", DECLARING)
@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("drawn_upright", [True, False])
def test_the_size_tells_which_way_up_people_drew(name, factor, drawn_upright, tmp_path):
    """A picture held sideways: its boxes are of the stored pixels, or of the upright ones."""
    write_annotation(tmp_path, name)
    stored = picture_of_the_word((factor * SIZE[0], factor * SIZE[1]))
    if drawn_upright:  # orientation 6 turns it clockwise, back to what people saw
        stored = stored.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / "images" / "a.png", exif=exif)
    [(sample, image)], problems = found_in(tmp_path, name)
    assert not problems and sample.upright == drawn_upright
    assert_on_the_word(sample, image)


@pytest.mark.parametrize("word", [(10, 10, 20, 20), (10, 70, 20, 80), (70, 70, 80, 80)])
def test_words_tell_the_way_up_where_no_size_does(word, tmp_path):
    """Of 100x60 px that are to be turned; beyond both, the image must have been shrunk since."""
    left, top, right, bottom = word
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE, "white").save(tmp_path / "a.png", exif=exif)
    corners = [left, top, right, top, right, bottom, left, bottom]
    (tmp_path / "gt_a.txt").write_text("5,5,9,5,9,9,5,9,a\n" + ",".join(map(str, corners)) + ",b")
    if top == left == 70:
        with pytest.raises(DataError, match="a.png: 100x60 px, but there are words beyond that"):
            read_dataset(tmp_path)
    else:
        (sample,), _ = read_dataset(tmp_path)
        assert sample.upright == (bottom > SIZE[1])
        assert (sample.width, sample.height) == ((60, 100) if sample.upright else SIZE)


def test_own_annotations_of_stored_pixels_are_read_as_they_are(tmp_path):
    """Also where the samples are read without a look at the images."""
    write_annotation(tmp_path, "triplets")
    exif = Image.Exif()
    exif[0x0112] = 8
    picture_of_the_word().save(tmp_path / "images" / "a.png", exif=exif)
    (sample,), _ = read_samples(tmp_path)
    assert_on_the_word(sample, read_sample_image(sample))
    for folder in ("character_heatmaps", "affinity_heatmaps"):
        (tmp_path / folder).mkdir()
        Image.new("L", SIZE).save(tmp_path / folder / "a.png")
    assert check_triplet(sample) is None
    picture_of_the_word((50, 30)).save(tmp_path / "images" / "a.png")
    with pytest.raises(DataError, match="50x30 px, but its annotation says 100x60"):
        read_sample_image(sample)


@pytest.mark.parametrize("size", [("100", "60"), (None, None), (0, 0), ("wide", 60), ([100], {})])
def test_a_size_that_is_none_is_not_compared(size, tmp_path):
    write_annotation(tmp_path, "coco", size)
    picture_of_the_word().save(tmp_path / "images" / "a.png")
    [(sample, image)], _ = found_in(tmp_path, "coco")
    assert_on_the_word(sample, image)


# --- Words that cannot be read ---------------------------------------------------------------


QUAD = "10,10,40,10,40,20,10,20"
UNREADABLE = [  # format, file, its content without and with the word, whether the word has a box
    ("icdar2013", "gt_a.txt", '1,1,9,9,"a"\n', '10;10;40;20;"word"\n', True),
    ("icdar2013", "gt_a.txt", '1,1,9,9,"a"\n', "10, 10, 40, 20, word\n", True),
    ("icdar2013", "gt_a.txt", '1,1,9,9,"a"\n', f"{QUAD},word\n", False),
    ("icdar2015", "gt_a.txt", "1,1,9,1,9,9,1,9,a\n", QUAD.replace(",", ";") + ";word\n", True),
    ("icdar2015", "gt_a.txt", "1,1,9,1,9,9,1,9,a\n", QUAD.replace(",", "\t") + "\tword\n", True),
    ("icdar2015", "gt_a.txt", "1,1,9,1,9,9,1,9,a\n", QUAD.replace(",", " ") + " 2024\n", False),
    ("icdar2015", "gt_a.txt", "1,1,9,1,9,9,1,9,a\n", "10,5;10,0;40;10;40;20;10;20;word\n", False),
    ("icdar2015", "gt_a.txt", "1,1,9,1,9,9,1,9,a\n", "10,10,40,10,40,20,word\n", False),
    ("icdar2015", "gt_a.txt", "1,1,9,1,9,9,1,9,a\n", "9,9,9,9,9,9,9,9,word\n", False),
    ("mlt", "gt_a.txt", "1,1,9,1,9,9,1,9,Latin,a\n", f"{QUAD}\n", True),
    ("mlt", "gt_a.txt", "1,1,9,1,9,9,1,9,Latin,a\n", "10,10,40,Latin,word\n", False),
    ("sroie", "a.txt", "1,1,9,1,9,9,1,9,a\n", f"{QUAD}\n", True),
    ("sroie", "a.txt", "1,1,9,1,9,9,1,9,a\n", "10,10,40,word\n", False),
    (
        "totaltext",
        "gt_img_a.txt",
        "x: [[1 9 9 1]], y: [[1 1 9 9]], ornt: [u'c'], transcriptions: [u'a']\n",
        "x: [[10 40 40 10]], y: [[10 10 20 20]], transcriptions: word\n",
        True,
    ),
    (
        "totaltext",
        "gt_img_a.txt",
        "x: [[1 9 9 1]], y: [[1 1 9 9]], ornt: [u'c'], transcriptions: [u'a']\n",
        "x: [[10 40 40 10]], y: [[10 10 20\n",
        False,
    ),
]


@pytest.mark.parametrize(("name", "file", "sound", "damaged", "has_box"), UNREADABLE)
def test_a_word_that_cannot_be_read_is_no_background(name, file, sound, damaged, has_box, tmp_path):
    image = "img_a.png" if file == "gt_img_a.txt" else "a.png"
    Image.new("RGB", SIZE, "white").save(tmp_path / image)
    (tmp_path / file).write_text(sound + damaged)
    (sample,), problems = read_dataset(tmp_path, name)
    assert [line for line in problems if f"{file}:2" in line] == problems
    assert len(problems) == 1 and ("don't-care" in problems[0]) == has_box
    if has_box:
        known, lost = sample.words
        expected = [[10, 10], [40, 10], [40, 20], [10, 20]]
        np.testing.assert_array_equal(lost.polygon, expected)
        assert not known.ignore and lost.ignore and lost.text == ""
    assert (unread_words(sample) is None) == has_box

    # Alone in its file: judged as an image with a don't-care word, or not at all.
    (tmp_path / file).write_text(damaged)
    if has_box:
        (sample,), _ = read_dataset(tmp_path, name)
        assert [word.ignore for word in sample.words] == [True]
    else:
        with pytest.raises(DataError, match="no annotated image"):
            read_dataset(tmp_path, name)


JSON_WORDS = [  # a damaged record beside a sound one, whether it has a box
    ({"bbox": [10, 10, 30, 10], "text": "on", "characters": [{"text": "o"}]}, True),
    ({"bbox": [10, 10, 30, 10], "text": "on", "characters": 5}, True),
    ({"bbox": [10, 10, 30, 10], "text": "on", "ignore": "perhaps"}, True),
    ({"bbox": [10, 10, 30, 10], "segmentation": {"counts": [1], "size": [9, 9]}}, None),
    ({"bbox": [10, 10, 30], "text": "on"}, False),
    ({"bbox": [10, 10, 30, 0], "text": "on"}, False),
    ({"bbox": [10, 10, -30, 10], "text": "on"}, False),
    ({"bbox": [10, 10, 30, float("nan")], "text": "on"}, False),
    ({"bbox": [10, 10, 30, 10**400], "text": "on"}, False),
    ({"bbox": [10, 10, 1e9, 10], "text": "on"}, False),
    ({"text": "on"}, False),
]


@pytest.mark.parametrize(("record", "has_box"), JSON_WORDS)
def test_a_damaged_record_is_no_background(record, has_box, tmp_path):
    """None: nothing is amiss, the box stands for the outline."""
    Image.new("RGB", SIZE, "white").save(tmp_path / "a.png")
    words = [{"image_id": 1, "bbox": [1, 1, 8, 8], "text": "a"}, {"image_id": 1, **record}]
    data = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": words}
    (tmp_path / "words.json").write_text(json.dumps(data))
    (sample,), problems = read_dataset(tmp_path, "coco")
    assert len(problems) == (has_box is not None)
    if has_box is not False:
        np.testing.assert_array_equal(sample.words[1].polygon[[0, 2]], [[10, 10], [40, 20]])
        assert sample.words[1].ignore == (has_box is True)
    assert (unread_words(sample) is None) == (has_box is not False)


def test_an_entry_without_area_and_text_is_none(tmp_path):
    Image.new("RGB", SIZE, "white").save(tmp_path / "a.png")
    data = {"images": [{"id": 1, "file_name": "a.png"}]}
    data["annotations"] = [{"image_id": 1, "bbox": [0, 0, 0, 0]}]
    (tmp_path / "words.json").write_text(json.dumps(data))
    (sample,), problems = read_dataset(tmp_path, "coco")
    assert not sample.words and len(problems) == 1 and not unread_words(sample)


def test_lines_and_paragraphs_without_words_are_no_background(tmp_path):
    """HierText outlines what nobody can read without its words."""
    Image.new("RGB", SIZE, "white").save(tmp_path / "a.png")
    outline = {"vertices": SQUARE, "legible": False}
    paragraphs = [{**outline, "lines": []}, {"lines": [{**outline, "words": []}]}]
    data = {"annotations": [{"image_id": "a", "paragraphs": paragraphs}]}
    (tmp_path / "gt.jsonl").write_text(json.dumps(data))
    (sample,), problems = read_dataset(tmp_path, "hiertext")
    assert not problems and [word.ignore for word in sample.words] == [True, True]
    np.testing.assert_array_equal(sample.words[1].polygon, SQUARE)


def test_form_fields_without_words_are_no_background(tmp_path):
    (tmp_path / "annotations").mkdir()
    Image.new("RGB", SIZE, "white").save(tmp_path / "page.png")
    form = [{"text": "Name:", "box": list(BOX), "words": []}, {"text": "", "words": []}]
    (tmp_path / "annotations" / "page.json").write_text(json.dumps({"form": form}))
    (sample,), problems = read_dataset(tmp_path, "funsd")
    assert not problems and [word.ignore for word in sample.words] == [True]
    np.testing.assert_array_equal(sample.words[0].polygon, SQUARE)


def test_words_of_unlisted_images_are_named(tmp_path):
    Image.new("RGB", SIZE, "white").save(tmp_path / "a.png")
    data = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 2}, 5]}
    (tmp_path / "words.json").write_text(json.dumps(data))
    assert "2 words of images that it does not list" in read_dataset(tmp_path, "coco")[1][0]


@pytest.fixture
def half_readable(tmp_path):
    """An image of which a word's place is not known, and a sound one."""
    folder = tmp_path / "words"
    folder.mkdir()
    for name in ("a", "b"):
        Image.new("RGB", SIZE, "white").save(folder / f"{name}.png")
    lines = {"a": [f"{QUAD},on", "10,10,word"], "b": [f"{QUAD},on"]}
    for name, rows in lines.items():
        (folder / f"gt_{name}.txt").write_text("\n".join(rows))
    return folder


def test_images_with_unknown_text_teach_nothing(
    half_readable, random_model, tmp_path, appeared, run_well_here
):
    """pseudo_label.py and cut_backgrounds.py leave them out, also once they are converted."""
    folder = tmp_path / "converted"
    run_well_here(
        *("convert_dataset.py", "--format", "icdar2015", "--source", half_readable),
        *("--save_folder", folder, "--num_workers", 1),
    )
    for source, names in ((half_readable, ["a.png"]), (folder, ["00000000.jpg"])):
        samples, _ = read_dataset(source)
        assert len(samples) == 2  # both are judged
        unread = [line for sample in samples if (line := unread_words(sample))]
        assert len(unread) == 1 and f"{names[0]}: 1 of its words cannot be read" in unread[0]
        make_folders(tmp_path / "out")
        chunk = Chunk(chunk_path(tmp_path / "out", 0), 0, samples)
        appeared.clear()
        cut_backgrounds.make_windows(chunk, per_image=1, min_size=32)
        assert [path.suffix for path in appeared] == [".jpg", ".txt", ".jsonl"]
        assert read_left_out(tmp_path / "out") == unread
        (tmp_path / "out" / "left_out" / "00000.txt").unlink()
        teacher = TextDetector(random_model, "cpu", "torch", characters=True)
        label_chunk(teacher, chunk, Labelling("cells", True, 0, 64, 4, 90, 1))
        assert read_left_out(tmp_path / "out") == unread


def test_heatmaps_are_not_drawn_where_a_word_is_unknown(tmp_path):
    Image.new("RGB", SIZE, "white").save(tmp_path / "a.png")
    letters = [{"text": "a", "bbox": [1, 1, 8, 8]}]
    words = [{"image_id": 1, "bbox": [1, 1, 8, 8], "text": "a", "characters": letters}]
    words.append({"image_id": 1, "bbox": [9, 9], "text": "lost"})
    data = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": words}
    (tmp_path / "words.json").write_text(json.dumps(data))
    make_folders(tmp_path / "out")
    chunk = Chunk(chunk_path(tmp_path / "out", 0), 0, list(read_items("coco", tmp_path)))
    convert_chunk(chunk, characters=True)
    assert chunk.path.read_text() == ""
    assert "a.png: 1 of its words cannot be read" in read_left_out(tmp_path / "out")[1]


# --- Marks as people and tools write them ----------------------------------------------------


MARKED = [  # format, file, a line
    ("icdar2013", "gt_a.txt", '1, 1, 9, 9, "{}"'),
    ("icdar2015", "gt_a.txt", "1,1,9,1,9,9,1,9,{}"),
    ("mlt", "gt_a.txt", "1,1,9,1,9,9,1,9,Latin,{}"),
    (
        "totaltext",
        "gt_img_a.txt",
        "x: [[1 9 9 1]], y: [[1 1 9 9]], ornt: [u'c'], transcriptions: [u'{}']",
    ),
]


@pytest.mark.parametrize("blanks", ["{}", " {}", "{}  ", "\t{} ", "\u00a0{}"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(("name", "file", "line"), MARKED)
def test_blanks_around_a_text_are_none_of_it(name, file, line, blanks, ending, tmp_path):
    image = "img_a.png" if "img" in file else "a.png"
    Image.new("RGB", SIZE, "white").save(tmp_path / image)
    mark = "#" if name == "totaltext" else "###"
    texts = [mark, "on", "two words", "##"]
    rows = [line.format(blanks.format(text)) for text in texts]
    (tmp_path / file).write_bytes((ending.join(rows) + ending).encode())
    (sample,), problems = read_dataset(tmp_path, name)
    assert [(w.text, w.ignore) for w in sample.words] == [(t, t == mark) for t in texts]
    assert not problems


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *((value, True) for value in (True, 1, 1.0, "true", "True", "1", " yes ")),
        *((value, False) for value in (False, 0, None, "false", "False", "0", "no", "")),
    ],
)
def test_flags_that_are_texts(value, flag, tmp_path):
    record = {"file": "a.png", "size": SIZE, "words": [{"polygon": SQUARE, "ignore": value}]}
    assert Sample.from_json(tmp_path, record).words[0].ignore == flag
    Image.new("RGB", SIZE, "white").save(tmp_path / "a.png")
    word = {"image_id": 1, "bbox": [1, 1, 8, 8], "text": "on"}
    words = [{**word, "ignore": value}, {**word, "iscrowd": value}]
    data = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": words}
    (tmp_path / "words.json").write_text(json.dumps(data))
    assert [w.ignore for w in read_dataset(tmp_path, "coco")[0][0].words] == [flag, flag]
    lines = [{"words": [{"vertices": SQUARE, "text": "on", "legible": value}]}]
    data = {"annotations": [{"image_id": "a", "paragraphs": [{"lines": lines}]}]}
    (tmp_path / "gt.jsonl").write_text(json.dumps(data))
    assert read_dataset(tmp_path, "hiertext")[0][0].words[0].ignore != flag


@pytest.mark.parametrize("value", [2, "perhaps", [], {"a": 1}])
def test_flags_that_are_neither_are_damage(value, tmp_path):
    record = {"file": "a.png", "size": SIZE, "words": [{"polygon": SQUARE, "ignore": value}]}
    with pytest.raises(DataError, match="neither true nor false"):
        Sample.from_json(tmp_path, record)


# --- Images with thousands of words ----------------------------------------------------------


def words_in_rows(count):
    """Words of 8x6 px, a hundred in a row."""
    corners = np.float32([[1, 1], [9, 1], [9, 7], [1, 7]])
    places = [(10 * (i % 100), 8 * (i // 100)) for i in range(count)]
    return [Word("on", [], NO_CHARACTERS, corners + np.float32(place)) for place in places]


def test_words_are_cut_out_as_the_network_needs_them(monkeypatch):
    """All crops of a dense page at once would take gigabytes."""
    waiting, most = [], []
    cut_crop = pseudo_labels.cut_crop

    def counted(image, frame):
        waiting.append(frame)
        return cut_crop(image, frame)

    def predict(crops):
        most.append(len(waiting))
        waiting.clear()
        return np.zeros((len(crops), 2, *crops.shape[1:3]), np.uint8)

    monkeypatch.setattr(pseudo_labels, "cut_crop", counted)
    image = np.zeros((40, 1000, 3), np.uint8)
    (labelled,) = pseudo_labels.label_images([image], [words_in_rows(50)], predict, 8)
    assert max(most) == 8 and sum(most) == 50
    assert all(word.text == "on" and len(word.quads) == 2 for word in labelled)


def test_pieces_hold_the_words_that_lie_in_them():
    image = np.zeros((400, 1000, 3), np.uint8)
    words = words_in_rows(5000)
    _, *tiles = cut_pieces(image, words, 256)
    whole = sum(not word.ignore for _, own in tiles for word in own)
    assert whole >= len(words)  # each is whole in one at least
    for tile, own in tiles:
        limits = tile.shape[1], tile.shape[0]
        assert all((word.polygon >= -1).all() for word in own)
        assert all((word.polygon <= np.float32(limits) + 1).all() for word in own)


def test_a_text_longer_than_its_outline_is_no_label():
    word = Word("o" * 5000, [], NO_CHARACTERS, np.float32(SQUARE))
    image = np.zeros((60, 100, 3), np.uint8)

    def predict(crops):
        return np.zeros((len(crops), 2, *crops.shape[1:3]), np.uint8)

    ((labelled,),) = pseudo_labels.label_images([image], [[word]], predict, 8)
    assert labelled.ignore and not labelled.characters
