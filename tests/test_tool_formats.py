"""Labels of annotation tools and engines, each in a small folder laid out as the tool writes it."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from textdet.common.errors import DataError
from textdet.data.formats.recognise import LOOKED_AT, find_format
from textdet.data.formats.registry import read_dataset

QUAD = [[10, 20], [40, 22], [39, 44], [9, 40]]
ARC = [[60, 30], [80, 20], [100, 30], [100, 45], [80, 35], [60, 45]]
BOX = [[120, 10], [150, 10], [150, 30], [120, 30]]
NOT_SQUARE = (200, 100)  # px, so that a mix-up of width and height is seen


def picture(path: Path, size=NOT_SQUARE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")


def read(folder: Path, name: str):
    """The samples, read as a folder that is recognised by its looks, and the problems."""
    assert find_format(folder) == name
    return read_dataset(folder, name)


def words_of(sample):
    return [(word.text, word.ignore) for word in sample.words]


def assert_outlines(sample, *outlines):
    for word, outline in zip(sample.words, outlines, strict=True):
        np.testing.assert_allclose(word.polygon, outline, atol=0.01)


# --- Label Studio ----------------------------------------------------------------------------


def region(number, value, text=None, label="Text", size=NOT_SQUARE):
    """The results of one region, as the template for OCR gives them."""
    same = {"id": f"r{number}", "to_name": "image", "image_rotation": 0, "origin": "manual"}
    same |= {"original_width": size[0], "original_height": size[1]}
    shape = "polygon" if "points" in value else "rectangle"
    yield {**same, "type": shape, "from_name": "bbox", "value": value}
    yield {**same, "type": "labels", "from_name": "label", "value": {**value, "labels": [label]}}
    if text is not None:
        value = {**value, "text": [text]}
        yield {**same, "type": "textarea", "from_name": "transcription", "value": value}


def percent(outline, size=NOT_SQUARE):
    return [[100 * x / size[0], 100 * y / size[1]] for x, y in outline]


BOX_PERCENT = {"x": 60, "y": 10, "width": 15, "height": 20, "rotation": 0}
TURNED = {"x": 50, "y": 50, "width": 10, "height": 10, "rotation": 90}  # 20 x 10 px, downwards
TURNED_OUTLINE = [[100, 50], [100, 70], [90, 70], [90, 50]]


def task(image, *results, **other):
    annotation = {"id": 1, "was_cancelled": False, "result": list(results), **other}
    return {"id": 7, "data": {"ocr": image}, "annotations": [annotation], "predictions": []}


def test_labelstudio(tmp_path):
    picture(tmp_path / "images" / "а b.jpg")
    results = [
        *region(1, BOX_PERCENT, "on"),
        *region(2, {"points": percent(ARC), "closed": True}, "arc"),
        *region(3, TURNED, "down"),
        *region(4, BOX_PERCENT, None, "Ignore"),
        *region(5, BOX_PERCENT, "###"),
        {"id": "c", "type": "choices", "from_name": "kind", "value": {"choices": ["shop"]}},
        *region(6, {"format": "rle", "rle": [1, 2], "brushlabels": ["Text"]}),
    ]
    name = "/data/upload/3/0a1b2c3d-%D0%B0%20b.jpg"
    tasks = [task(name, *results), task("/data/upload/3/0a1b2c3d-gone.jpg")]
    turned = picture(tmp_path / "turned.jpg").name  # what the numbers are shares of, who knows
    tasks += [task(turned, *({**r, "image_rotation": 90} for r in region(1, BOX_PERCENT, "on")))]
    bare = [{k: v for k, v in r.items() if "original" not in k} for r in region(1, BOX_PERCENT)]
    tasks.append(task(picture(tmp_path / "bare.jpg").name, *bare))  # as imported by other programs
    write(tmp_path / "project-3-at-2026-11-29.json", tasks)
    (sample,), problems = read(tmp_path, "labelstudio")
    assert words_of(sample) == [
        *(("on", False), ("arc", False), ("down", False)),
        *(("", True), ("###", True)),
    ]
    assert_outlines(sample, BOX, ARC, TURNED_OUTLINE, BOX, BOX)
    assert len(problems) == 4
    assert "word 6" in problems[0] and "gone.jpg" in problems[1] and "turned in" in problems[2]
    assert "no 'original_width'" in problems[3]  # it would be an image without words


@pytest.mark.parametrize(
    "url",
    [
        "/data/local-files/?d=shop%2Fimages/a.jpg",
        "s3://bucket/images/a.jpg",
        "https://host/images/a.jpg?token=1",
        "/data/upload/1/deadbeef-a.jpg",
        "/data/upload/a.jpg",
    ],
)
def test_labelstudio_names_of_images(tmp_path, url):
    picture(tmp_path / "images" / "a.jpg")
    write(tmp_path / "tasks.json", [task(url, *region(1, BOX_PERCENT, "on"))])
    (sample,), problems = read(tmp_path, "labelstudio")
    assert sample.file == "a.jpg" and not problems


def test_labelstudio_uploads_under_the_names_that_they_got(tmp_path):
    """As its own folder of uploads has them; people upload two images of one name."""
    names = ("0a1b2c3d-a.jpg", "e0a1b2c3-a.jpg")
    for name in ("a.jpg", *names):
        picture(tmp_path / name)
    tasks = [task(f"/data/upload/1/{name}", *region(1, BOX_PERCENT, name)) for name in names]
    write(tmp_path / "tasks.json", tasks)
    samples, problems = read(tmp_path, "labelstudio")
    assert not problems
    assert [(sample.file, sample.words[0].text) for sample in samples] == [(n, n) for n in names]


def test_labelstudio_uploads_whose_names_it_changed(tmp_path):
    """Django, on which it stands, writes _ for spaces and takes out most other signs."""
    for name in ("my photo (1).JPG", "a b.jpg", "a_b.jpg", "c (d).jpg", "c [d].jpg"):
        picture(tmp_path / name)
    uploads = ("my_photo_1.JPG", "a_b.jpg", "c_d.jpg")
    tasks = [task(f"/data/upload/1/0a1b2c3d-{n}", *region(1, BOX_PERCENT, n)) for n in uploads]
    write(tmp_path / "tasks.json", tasks)
    samples, problems = read(tmp_path, "labelstudio")
    found = [(sample.file, sample.words[0].text) for sample in samples]
    assert found == [("my photo (1).JPG", "my_photo_1.JPG"), ("a_b.jpg", "a_b.jpg")]
    assert len(problems) == 1 and "no image c_d.jpg" in problems[0]  # it may be either


def test_labelstudio_takes_what_people_settled_on(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        picture(tmp_path / name)
    old, new = (
        task("a.jpg", *region(1, BOX_PERCENT, text), updated_at=f"2026-01-0{day}")["annotations"]
        for text, day in (("new", 2), ("old", 1))
    )
    truth = task("b.jpg", *region(1, BOX_PERCENT, "truth"), ground_truth=True, updated_at="1")
    truth["annotations"] += task("b.jpg", updated_at="2")["annotations"]
    guessed = {"data": {"ocr": "c.jpg"}, "annotations": [], "predictions": [{"result": []}]}
    skipped = task("d.jpg", *region(1, BOX_PERCENT, "no"), was_cancelled=True)
    several = {"id": 1, "data": {"ocr": "a.jpg"}, "annotations": [*old, *new]}
    write(tmp_path / "tasks.json", [several, truth, guessed, skipped])
    samples, problems = read(tmp_path, "labelstudio")
    assert [words_of(sample) for sample in samples] == [[("new", False)], [("truth", False)]]
    assert ["not annotated yet" in line for line in problems] == [True, True]
    assert "c.jpg" in problems[0] and "d.jpg" in problems[1]


def as_json_min(regions, texts):
    """What Label Studio makes of regions (value, label): a list a tag, texts alone as strings."""
    size = {"original_width": NOT_SQUARE[0], "original_height": NOT_SQUARE[1]}
    record = {"ocr": "/data/upload/1/0a1b2c3d-a.jpg", "id": 4, "annotator": 1, "annotation_id": 9}
    # Boxes come before polygons, whatever the order of their labels and transcriptions.
    record["bbox"] = [{**value, **size} for value, _ in regions if "x" in value]
    record["label"] = [{**value, "labels": [label], **size} for value, label in regions]
    record["transcription"] = texts[0] if len(texts) == 1 else texts
    record["poly"] = [{**value, **size} for value, _ in regions if "points" in value]
    return {**record, "created_at": "2026", "updated_at": "2026", "lead_time": 3.5}


def test_labelstudio_min(tmp_path):
    picture(tmp_path / "a.jpg")
    arc = {"points": percent(ARC), "closed": True}
    regions = [(arc, "Text"), (BOX_PERCENT, "Ignore"), (TURNED, "Text")]
    records = [as_json_min(regions, ["arc", "down"])]
    records.append({**as_json_min(regions[:1], ["old"]), "updated_at": "2025", "annotation_id": 8})
    write(tmp_path / "min.json", records)
    (sample,), problems = read(tmp_path, "labelstudio")
    assert words_of(sample) == [("arc", False), ("", True), ("down", False)] and not problems
    assert_outlines(sample, ARC, BOX, TURNED_OUTLINE)
    write(tmp_path / "min.json", [as_json_min(regions[2:], ["one"])])
    assert words_of(read_dataset(tmp_path)[0][0]) == [("one", False)]
    few, apart = (
        as_json_min([(arc, "Text"), (TURNED, "Text")], texts) for texts in (["a"], ["a", "b"])
    )
    del apart["label"]  # which tells in what order the box and the polygon were drawn
    for record in (few, apart):
        write(tmp_path / "min.json", [record])
        with pytest.raises(DataError, match="not say which belong together; export it as JSON"):
            read_dataset(tmp_path)


# --- CVAT ------------------------------------------------------------------------------------

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels/></task></meta>
<image id="0" name="shop/a.jpg" subset="Train" task_id="1" width="200" height="100">
  <polygon label="text" source="manual" occluded="0" points="60,30;80,20;100,30;100,45;80,35;60,45">
    <attribute name="Transcription">arc</attribute></polygon>
  <box label="text" occluded="0" xtl="120" ytl="10" xbr="150" ybr="30" z_order="0">
    <attribute name="text">on</attribute><attribute name="illegible">false</attribute></box>
  <box label="text" occluded="0" xtl="85" ytl="55" xbr="105" ybr="65" rotation="90" z_order="0"/>
  <box label="dont_care" occluded="0" xtl="120" ytl="10" xbr="150" ybr="30" z_order="0"/>
  <box label="text" occluded="0" xtl="120" ytl="10" xbr="150" ybr="30" z_order="0">
    <attribute name="ignore">true</attribute></box>
  <polyline label="text" points="1,2;3,4"/>
  <tag label="street" source="manual"/>
</image>
<image id="1" name="shop/gone.jpg" width="200" height="100"/>
</annotations>"""


def test_cvat(tmp_path):
    picture(tmp_path / "images" / "shop" / "a.jpg")
    write(tmp_path / "annotations.xml", CVAT)
    (sample,), problems = read(tmp_path, "cvat")
    assert words_of(sample)[:3] == [("arc", False), ("on", False), ("", False)]
    assert [ignore for _, ignore in words_of(sample)[3:]] == [True, True]
    assert_outlines(sample, ARC, BOX, [[100, 50], [100, 70], [90, 70], [90, 50]], BOX, BOX)
    assert len(problems) == 2 and "polyline" in problems[0] and "gone.jpg" in problems[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CVAT[:700], "cannot be read"),
        ("<annotations><track id='0'/></annotations>", "export as CVAT for images"),
        ("<annotation><object/></annotation>", "is CVAT's"),
    ],
)
def test_cvat_refuses_other_files(tmp_path, content, said):
    picture(tmp_path / "a.jpg")
    write(tmp_path / "annotations.xml", content)
    with pytest.raises(DataError, match=said):
        read_dataset(tmp_path, "cvat")


def test_a_damaged_file_of_cvat_costs_no_other_one(tmp_path):
    picture(tmp_path / "images" / "shop" / "a.jpg")
    write(tmp_path / "1.xml", "<annotations><image id='0' name='b.jpg'/>")
    write(tmp_path / "2.xml", CVAT)
    (sample,), problems = read(tmp_path, "cvat")
    assert sample.image_path.name == "a.jpg" and "b.jpg" in problems[0]
    assert "1.xml: cannot be read" in problems[-1]


def test_coco_of_annotation_tools(tmp_path):
    """CVAT's has attributes, and rotated boxes without segmentation; Label Studio's names images by
    their addresses, and all have classes."""
    picture(tmp_path / "images" / "a b.jpg")
    words = [
        {"bbox": [120, 10, 30, 20], "attributes": {"occluded": False, "transcription": "on"}},
        {"bbox": [85, 55, 20, 10], "attributes": {"rotation": 90.0, "ignore": False}},
        {"bbox": [120, 10, 30, 20], "attributes": {"ignore": True}},
        {"bbox": [120, 10, 30, 20], "category_id": 2},
    ]
    usual = {"image_id": 1, "category_id": 1, "segmentation": [], "iscrowd": 0}
    name = "/data/local-files/?d=images/a%20b.jpg"
    data = {"images": [{"id": 1, "file_name": name, "width": 200, "height": 100}]}
    data["categories"] = [{"id": 1, "name": "text"}, {"id": 2, "name": "Ignore"}]
    data["annotations"] = [{**usual, **word} for word in words]
    write(tmp_path / "annotations" / "instances_default.json", data)
    (sample,), problems = read(tmp_path, "coco")
    assert words_of(sample) == [("on", False), ("", False), ("", True), ("", True)]
    assert_outlines(sample, BOX, [[100, 50], [100, 70], [90, 70], [90, 50]], BOX, BOX)
    assert not problems


def test_coco_with_a_file_of_another_kind_beside_it(tmp_path):
    picture(tmp_path / "a.jpg")
    images = [{"id": 1, "file_name": "a.jpg"}]
    words = [{"image_id": 1, "bbox": [120, 10, 30, 20]}]
    write(tmp_path / "labels.json", {"images": images, "annotations": words})
    write(tmp_path / "about.json", {"version": 1})
    write(tmp_path / "zipped.json", "PK")
    (sample,), problems = read(tmp_path, "coco")
    assert len(sample.words) == 1
    assert "about.json: neither 'imgs'" in problems[0] and "zipped.json: not" in problems[1]
    (tmp_path / "labels.json").unlink()
    with pytest.raises(DataError, match=r"about\.json: neither 'imgs'"):
        read_dataset(tmp_path, "coco")


# --- labelme ---------------------------------------------------------------------------------


def labelme(image, *shapes, size=NOT_SQUARE):
    return {
        "version": "6.3.1",
        "flags": {},
        "shapes": [{"group_id": None, "flags": {}, "mask": None, **shape} for shape in shapes],
        "imagePath": image,
        "imageData": None,
        "imageHeight": size[1],
        "imageWidth": size[0],
    }


def shape(label, kind, points, description=""):
    return {"label": label, "shape_type": kind, "points": points, "description": description}


def test_labelme(tmp_path):
    picture(tmp_path / "shop" / "a.jpg")
    shapes = [
        shape("text", "rectangle", [[150, 30], [120, 10]], "on"),  # drawn from the lower right
        shape("text", "polygon", ARC, "arc"),
        shape("text", "oriented_rectangle", TURNED_OUTLINE),
        {**shape("text", "polygon", QUAD), "flags": {"ignore": True, "blurred": False}},
        shape("Don't care", "polygon", QUAD),
        shape("text", "circle", [[5, 5], [9, 9]]),
        {**shape("text", "rotation", QUAD), "difficult": True},  # X-AnyLabeling's
        {**shape("text", "rotation", QUAD), "difficult": False},
    ]
    write(tmp_path / "shop" / "a.json", labelme("..\\shop\\a.jpg", *shapes))
    write(tmp_path / "shop" / "b.json", "{")
    picture(tmp_path / "shop" / "new.jpg")  # not annotated yet
    (sample,), problems = read(tmp_path, "labelme")
    assert words_of(sample)[:3] == [("on", False), ("arc", False), ("", False)]
    assert [ignore for _, ignore in words_of(sample)[3:]] == [True, True, True, False]
    assert_outlines(sample, BOX, ARC, TURNED_OUTLINE, *[QUAD] * 4)
    assert any("circle" in line for line in problems) and any("b.json" in line for line in problems)
    assert "new.jpg: there is no annotation" in problems[-1]


def test_endings_in_capitals(tmp_path):
    picture(tmp_path / "A.JPG")
    write(tmp_path / "A.JSON", labelme("A.JPG", shape("text", "polygon", QUAD)))
    (sample,), problems = read(tmp_path, "labelme")
    assert_outlines(sample, QUAD)
    assert not problems


def test_companions_of_files_in_macos_archives_are_no_files(tmp_path):
    for number in range(LOOKED_AT + 1):
        picture(tmp_path / "set" / f"{number}.jpg")
        shape = {"label": "text", "points": BOX, "shape_type": "polygon", "flags": {}}
        labels = {"imagePath": f"{number}.jpg", "shapes": [shape], "imageData": None}
        write(tmp_path / "set" / f"{number}.json", labels)
        for ending in ("jpg", "json"):
            write(tmp_path / "__MACOSX" / "set" / f"._{number}.{ending}", "\0\5\x16\7")
    samples, problems = read(tmp_path, "labelme")
    assert len(samples) == LOOKED_AT + 1 and not problems


@pytest.mark.parametrize(("there", "told"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_with_marks_parted_from_their_letters(tmp_path, there, told):
    """As macOS has them, in the names of files or in what a tool there wrote."""
    on_disk, in_labels = (unicodedata.normalize(form, "чай ä") for form in (there, told))
    assert on_disk != in_labels
    picture(tmp_path / "shop" / f"{on_disk}.jpg")
    write(tmp_path / "a.json", labelme(f"shop/{in_labels}.jpg", shape("text", "polygon", QUAD)))
    (sample,), problems = read(tmp_path, "labelme")
    assert not problems and sample.image_path.name == f"{on_disk}.jpg"
    (tmp_path / "a.json").unlink()
    write(tmp_path / "shop" / f"{in_labels}.txt", "0 0.5 0.5 0.1 0.1\n")
    (sample,), problems = read(tmp_path, "yolo")
    assert not problems and sample.image_path.name == f"{on_disk}.jpg"


def test_labels_of_labelme_are_transcriptions_if_most_differ(tmp_path):
    picture(tmp_path / "a.jpg")
    differ = [shape(text, "polygon", QUAD) for text in ("on", "off", "of", "of")]
    write(tmp_path / "a.json", labelme("a.jpg", *differ))
    assert [text for text, _ in words_of(read(tmp_path, "labelme")[0][0])] == [
        "on",
        "off",
        "of",
        "of",
    ]
    price, ignored = shape("price", "polygon", QUAD), shape("ignore", "polygon", QUAD)
    for classes in ([price] * 4, [price], [price, ignored]):
        write(tmp_path / "a.json", labelme("a.jpg", *classes))
        assert {text for text, _ in words_of(read(tmp_path, "labelme")[0][0])} == {""}
    fields = [shape("price", "polygon", QUAD, "9.50"), shape("date", "polygon", QUAD)]
    write(tmp_path / "a.json", labelme("a.jpg", *fields))
    assert [text for text, _ in words_of(read(tmp_path, "labelme")[0][0])] == ["9.50", ""]


# --- PaddleOCR, docTR, MMOCR -----------------------------------------------------------------


def test_paddleocr(tmp_path):
    picture(tmp_path / "shop" / "a.jpg")
    words = [
        {"transcription": "я, on", "points": QUAD, "difficult": False},
        {"transcription": "arc", "points": ARC, "difficult": False},
        {"transcription": "###", "points": QUAD, "difficult": False},
        {"transcription": "*", "points": QUAD},
        {"transcription": "dim", "points": QUAD, "difficult": True},
        {"transcription": "TEMPORARY", "points": QUAD, "difficult": False},
        {"transcription": "x", "points": [[1, 2], [3]]},
    ]
    good = f"shop/a.jpg\t{json.dumps(words, ensure_ascii=False)}\r\n"
    write(tmp_path / "shop" / "Label.txt", f"{good}shop/gone.jpg\t[]\nshop/a.jpg\t[{{]\n")
    write(tmp_path / "shop" / "fileState.txt", "/home/me/shop/a.jpg\t1\n")
    picture(tmp_path / "shop" / "new.jpg")  # not annotated yet
    (sample,), problems = read(tmp_path, "paddleocr")
    assert words_of(sample)[:2] == [("я, on", False), ("arc", False)]
    assert [ignore for _, ignore in words_of(sample)[2:]] == [True, True, True, False]
    assert words_of(sample)[5] == ("", False)
    assert_outlines(sample, QUAD, ARC, *[QUAD] * 4)
    assert "word 7" in problems[0] and "gone.jpg" in problems[1] and "image 3" in problems[2]
    assert "new.jpg: there is no annotation" in problems[3]


TYPED = [
    {"value": "q", "geometry": [5, 6, 70, 80]},
    {"value": "b", "geometry": [120, 10, 150, 30]},
]
SHARES = [  # the same, of the image's sides
    {"value": "q", "geometry": [0.025, 0.06, 0.35, 0.8]},
    {"value": "b", "geometry": [0.6, 0.1, 0.75, 0.3]},
]


@pytest.mark.parametrize(
    ("label", "first", "words"),
    [
        ({"polygons": [QUAD, BOX]}, QUAD, [("", False), ("", False)]),
        ({"polygons": {"words": [QUAD], "ignore": [BOX]}}, QUAD, [("", False), ("", True)]),
        ({"polygons": [QUAD, BOX], "typed_words": TYPED}, QUAD, [("q", False), ("b", False)]),
        (
            {"typed_words": TYPED},
            [[5, 6], [70, 6], [70, 80], [5, 80]],
            [("q", False), ("b", False)],
        ),
        (
            {"typed_words": SHARES},
            [[5, 6], [70, 6], [70, 80], [5, 80]],
            [("q", False), ("b", False)],
        ),
    ],
)
def test_doctr(tmp_path, label, first, words):
    picture(tmp_path / "images" / "a.jpg")
    label = {"img_dimensions": (100, 200), "img_hash": "0f", **label}
    write(tmp_path / "labels.json", {"a.jpg": label, "gone.jpg": label})
    (sample,), problems = read(tmp_path, "doctr")
    assert_outlines(sample, first, BOX)
    assert words_of(sample) == words
    assert len(problems) == 1 and "gone.jpg" in problems[0]


def test_shares_are_those_of_the_image_beside_them(tmp_path):
    """The parts of a set may have images of one name."""
    for part, size in (("train", (200, 100)), ("val", (400, 200))):
        picture(tmp_path / part / "images" / "a.jpg", size)
        write(tmp_path / part / "labels.json", {"a.jpg": {"typed_words": SHARES}})
    samples, problems = read(tmp_path, "doctr")
    assert not problems
    for sample, factor in zip(samples, (1, 2), strict=True):
        np.testing.assert_allclose(sample.words[1].polygon, np.multiply(BOX, factor), atol=0.01)


def test_mmocr(tmp_path):
    picture(tmp_path / "textdet_imgs" / "train" / "a.jpg")
    instances = [
        {
            "polygon": np.ravel(ARC).tolist(),
            "bbox": [60, 20, 100, 45],
            "ignore": False,
            "text": "arc",
        },
        {"bbox": [150, 30, 120, 10], "bbox_label": 0, "ignore": True},  # drawn from there
        {"polygon": [1, 2, 3], "bbox": [1, 2], "ignore": False},
        {"polygon": np.ravel(QUAD).tolist(), "ignore": False, "text": "###"},
    ]
    image = {"height": 100, "width": 200, "instances": instances}
    names = ("textdet_imgs/train/a.jpg", "textdet_imgs/train/gone.jpg")
    data = {"metainfo": {"dataset_type": "TextDetDataset", "task_name": "textdet"}}
    data["data_list"] = [{"img_path": name, **image} for name in names]
    write(tmp_path / "textdet_train.json", data)
    (sample,), problems = read(tmp_path, "mmocr")
    assert words_of(sample) == [("arc", False), ("", True), ("###", True)]
    assert_outlines(sample, ARC, BOX, QUAD)
    assert "word 3" in problems[0] and "gone.jpg" in problems[1]


# --- YOLO, Hugging Face, detections ----------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("classes.txt", "text\nignore\n"),
        ("obj.names", "text\nignore\n"),  # CVAT's
        ("data.yaml", "train: images/train\nnames:\n  0: text\n  1: ignore\n"),
        ("data.yaml", "names: [text, ignore]\nnc: 2\n"),
    ],
)
def test_yolo(tmp_path, file, names):
    write(tmp_path / "about.yaml", "names: {author: me}\n")  # of something else
    for name in ("a", "without", "empty"):
        picture(tmp_path / "images" / "train" / f"{name}.jpg")
    quad = " ".join(f"{x / 200:.6f} {y / 100:.6f}" for x, y in QUAD)
    arc = " ".join(f"{x / 200:.6f} {y / 100:.6f}" for x, y in ARC)
    lines = [f"0 {quad}", f"0 {arc}", "1 0.675 0.2 0.15 0.2", "0 0.5 0.5 0.1"]
    lines.append("0 0.5 0.5 0.1 0.1 0.93")
    write(tmp_path / "labels" / "train" / "a.txt", "\n".join(lines) + "\n")
    write(tmp_path / "labels" / "train" / "empty.txt", "")
    write(tmp_path / file, names)
    (sample, empty), problems = read(tmp_path, "yolo")
    assert words_of(sample) == [("", False), ("", False), ("", True)]
    assert_outlines(sample, QUAD, ARC, BOX)
    assert empty.file.endswith("empty.jpg") and not empty.words
    assert "word 4" in problems[0] and "without.jpg" in problems[2]
    assert "word 5: 5 numbers, the last perhaps a confidence: '0 0.5" in problems[1]


def test_a_quad_begins_where_its_line_does(tmp_path):
    """Oriented boxes begin anywhere, cv2.boxPoints' at the bottom left: a word that begins there
    was cut out lying on its side. Text on its side, upside down and narrow letters stay."""
    picture(tmp_path / "images" / "a.jpg")
    level = [[20, 20], [80, 24], [79, 40], [19, 36]]
    upwards = [[120, 90], [120, 30], [135, 30], [135, 90]]
    letter = [[150, 20], [156, 20], [156, 50], [150, 50]]
    tilted_letter = [[170, 22], [176, 20], [182, 48], [176, 50]]
    given = [
        (level, level),
        (level[3:] + level[:3], level),  # from the bottom left
        (level[1:] + level[:1], level),  # from the top right
        (level[1::-1] + level[:1:-1], level),  # the other way round
        (level[2:] + level[:2], level[2:] + level[:2]),
        (upwards, upwards),
        (letter, letter),
        (letter[3:] + letter[:3], letter[3:] + letter[:3]),  # lying on its side, its line upwards
        (tilted_letter, tilted_letter),
    ]
    lines = [" ".join(f"{x / 200:.6f} {y / 100:.6f}" for x, y in quad) for quad, _ in given]
    write(tmp_path / "labels" / "a.txt", "".join(f"0 {line}\n" for line in lines))
    (sample,), _ = read(tmp_path, "yolo")
    assert_outlines(sample, *(wanted for _, wanted in given))


def test_yolo_refuses_key_points(tmp_path):
    """A box and points on it, which would pass for a polygon."""
    picture(tmp_path / "images" / "a.jpg")
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2 0.4 0.4 0.6 0.4 0.6 0.6 0.4 0.6\n")
    write(tmp_path / "data.yaml", "kpt_shape: [4, 2]\nnames: [text]\n")
    with pytest.raises(DataError, match="key points .*; export boxes, oriented boxes or"):
        read_dataset(tmp_path, "yolo")


def test_an_image_that_two_files_label_is_read_once_and_named(tmp_path):
    """As after a second export into the same folder."""
    picture(tmp_path / "a.jpg")
    for file, outline in (("1.json", QUAD), ("2.json", ARC)):
        words = [{"polygon": np.ravel(outline).tolist(), "ignore": False}]
        entry = {"img_path": "a.jpg", "height": 100, "width": 200, "instances": words}
        write(tmp_path / file, {"metainfo": {}, "data_list": [entry]})
    (sample,), (problem,) = read(tmp_path, "mmocr")
    assert_outlines(sample, QUAD)
    assert "a.jpg" in problem and "more than once" in problem


def test_labels_of_a_missing_part_are_not_those_of_its_namesakes(tmp_path):
    """ICDAR 2015 for MMOCR without the images of the test half; its file comes first."""
    picture(tmp_path / "imgs" / "train" / "img_1.jpg")
    for part, outline in (("test", QUAD), ("train", ARC)):
        words = [{"polygon": np.ravel(outline).tolist(), "ignore": False}]
        entry = {"img_path": f"imgs/{part}/img_1.jpg", "height": 100, "width": 200}
        write(tmp_path / f"{part}.json", {"data_list": [{**entry, "instances": words}]})
    (sample,), (problem,) = read(tmp_path, "mmocr")
    assert_outlines(sample, ARC)
    assert "more than once" in problem
    (tmp_path / "train.json").unlink()  # its folder may have been renamed
    assert_outlines(read(tmp_path, "mmocr")[0][0], QUAD)


def test_yolo_parts_with_equal_names(tmp_path):
    """The layout of Ultralytics' own sets."""
    for part, left in (("train", 0.1), ("val", 0.2)):
        picture(tmp_path / "images" / part / "1.jpg")
        write(tmp_path / "labels" / part / "1.txt", f"0 {left} 0 1 0 1 1 {left} 1")
    samples, problems = read(tmp_path, "yolo")
    found = {sample.image_path.parent.name: sample.words[0].polygon[0, 0] for sample in samples}
    assert found == {"train": 20, "val": 40} and not problems


@pytest.mark.parametrize(
    ("line", "name"), [("0 .5 .5 .1 .1\n", "yolo"), ("10,20,40,22,39,44,9,40,on\n", "icdar2015")]
)
def test_many_images_without_words_come_first(tmp_path, line, name):
    for number in range(LOOKED_AT + 1):
        picture(tmp_path / "images" / f"{number:02}.jpg")
        write(tmp_path / "labels" / f"{number:02}.txt", line if number == LOOKED_AT else "")
    samples, problems = read(tmp_path, name)
    assert len(samples) == LOOKED_AT + 1 and len(samples[-1].words) == 1 and not problems


def test_huggingface(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        picture(tmp_path / "train" / name)
    columns = {"bbox": [[120, 10, 30, 20], [5, 5, 9, 9]], "categories": [0, 0]}
    rows = [{"polygon": ARC, "text": "arc"}, {"bbox": [120, 10, 30, 20], "ignore": True}]
    lines = [
        {"file_name": "a.jpg", "objects": {**columns, "text": ["on", "###"]}},
        {"file_name": "b.jpg", "objects": rows},
        {"file_name": "c.jpg", "objects": {**columns, "text": ["on"]}},
        {"file_name": "gone.jpg", "objects": columns},
        {"file_name": "a.jpg", "label": 3},  # of a set for classification: nobody knows its words
        {"file_name": "b.jpg", "objects": {"rectangles": columns["bbox"]}},
    ]
    write(tmp_path / "train" / "metadata.jsonl", "\n".join(map(json.dumps, lines)))
    (first, second), problems = read(tmp_path, "huggingface")
    assert words_of(first) == [("on", False), ("###", True)]
    assert words_of(second) == [("arc", False), ("", True)]
    assert_outlines(first, BOX, [[5, 5], [14, 5], [14, 14], [5, 14]])
    assert_outlines(second, ARC, BOX)
    assert "image 3: its lists do not fit together: 2 bbox, 1 text" in problems[0]
    assert "gone.jpg" in problems[1]
    assert all("neither polygon nor bbox" in problem for problem in problems[2:4])
    assert "c.jpg: there is no annotation" in problems[4] and len(problems) == 5


def test_detections(tmp_path):
    image = picture(tmp_path / "photos" / "a.jpg")
    word = {"quad": BOX, "polygon": None, "score": 0.9}
    record = {"file": str(image), "size": [200, 100], "model": "m", "settings": {}, "lines": [[0]]}
    record["words"] = [word, {**word, "polygon": ARC}, {"quad": [[1, 2]]}]
    folder = tmp_path / "detections"
    write(folder / "a.json", record)
    picture(folder / "a.jpg")  # with boxes drawn over it
    write(folder / "gone.json", {**record, "file": str(tmp_path / "gone.jpg")})
    write(folder / "stdin.json", {**record, "file": "-"})
    write(folder / "scan_p2.json", {**record, "page": 2})
    other = picture(tmp_path / "more" / "photos" / "a.jpg")
    write(folder / "a_2.json", {**record, "file": str(other)})
    (sample, second), problems = read(folder, "detections")
    assert sample.image_path == image and sample.file == "a.jpg"
    # Of one name two images would become one: their pieces, their lines of evaluate.py's table.
    assert second.image_path == other and second.file == "photos/a.jpg"
    assert_outlines(sample, BOX, ARC)
    assert "word 3" in problems[0] and "only first pages" in problems[3] and len(problems) == 5
    with pytest.raises(DataError, match="neither taught nor judged by"):
        read_dataset(folder)


# --- All of them -----------------------------------------------------------------------------


def one_word(folder: Path, name: str, size=NOT_SQUARE, image="a.jpg") -> None:
    """A set with one image, of a declared size, with one word."""
    width, height = size
    if name == "labelstudio":
        results = region(1, {"points": percent(QUAD, size), "closed": True}, "on", size=size)
        write(folder / "tasks.json", [task(image, *results)])
    elif name == "cvat":
        points = ";".join(f"{x},{y}" for x, y in QUAD)
        root = f'<annotations><image id="0" name="{image}" width="{width}" height="{height}">'
        polygon = f'<polygon label="text" points="{points}"/>'
        write(folder / "annotations.xml", f"{root}{polygon}</image></annotations>")
    elif name == "labelme":
        write(folder / "a.json", labelme(image, shape("on", "polygon", QUAD), size=size))
    elif name == "mmocr":
        instance = {"polygon": np.ravel(QUAD).tolist(), "ignore": False}
        data = {"img_path": image, "width": width, "height": height, "instances": [instance]}
        write(folder / "textdet_train.json", {"data_list": [data]})
    elif name == "coco":
        listed = {"id": 1, "file_name": image, "width": width, "height": height}
        own = {"id": 1, "image_id": 1, "segmentation": [np.ravel(QUAD).tolist()]}
        write(folder / "instances.json", {"images": [listed], "annotations": [own]})
    elif name == "huggingface":
        record = {"file_name": image, "width": width, "height": height}
        write(folder / "metadata.jsonl", json.dumps({**record, "objects": {"polygon": [QUAD]}}))
    elif name == "yolo":
        write(folder / "a.txt", "0 0.2 0.3 0.2 0.2")
    elif name == "doctr":
        box = {"value": "on", "geometry": [0.1, 0.2, 0.3, 0.4]}
        write(folder / "labels.json", {image: {"typed_words": [box]}})


SIZED = ("labelstudio", "cvat", "labelme", "mmocr", "coco", "huggingface")


@pytest.mark.parametrize("name", SIZED)
def test_a_declared_size_is_compared_with_the_image(tmp_path, name):
    picture(tmp_path / "a.jpg", (400, 200))
    one_word(tmp_path, name)
    (sample,), _ = read(tmp_path, name)
    assert_outlines(sample, np.multiply(QUAD, 2))  # the same picture, enlarged
    one_word(tmp_path, name, (300, 299))
    with pytest.raises(DataError, match="400x200 px, but its annotation says 300x299"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", SIZED)
def test_the_declared_size_tells_which_way_up(tmp_path, name):
    """A phone's photograph, stored lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for upright, size in ((True, (100, 200)), (False, (200, 100))):
        Image.new("RGB", (200, 100), "white").save(tmp_path / "a.jpg", exif=exif)
        one_word(tmp_path, name, size)
        (sample,), _ = read(tmp_path, name)
        assert sample.upright == upright and (sample.width, sample.height) == size


@pytest.mark.parametrize("name", ["coco", "cvat", "labelme", "labelstudio", "mmocr"])
def test_what_people_drew_on_a_photograph_stored_upside_down(tmp_path, name):
    """Whose size does not tell; browsers and annotation tools show it upright, and so does OpenCV,
    with which MMOCR reads it."""
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (200, 100), "white").save(tmp_path / "a.jpg", exif=exif)
    one_word(tmp_path, name, (200, 100))
    (sample,), _ = read(tmp_path, name)
    assert sample.upright


@pytest.mark.parametrize(("name", "upright"), [("yolo", True), ("doctr", False)])
def test_shares_are_of_the_sides_as_the_tool_sees_them(tmp_path, name, upright):
    """Of a phone's photograph, stored lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100), "white").save(tmp_path / "a.jpg", exif=exif)
    one_word(tmp_path, name)
    (sample,), _ = read(tmp_path, name)
    size = (100, 200) if upright else (200, 100)
    assert sample.upright == upright and (sample.width, sample.height) == size
    assert_outlines(sample, np.array([[0.1, 0.2], [0.3, 0.2], [0.3, 0.4], [0.1, 0.4]]) * size)


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("image", ["../secret.jpg", "/etc/secret.jpg", "C:\\secret.jpg"])
def test_names_do_not_lead_out_of_the_folder(tmp_path, name, image):
    picture(tmp_path / "secret.jpg")
    folder = picture(tmp_path / "set" / "a.jpg").parent
    one_word(folder, name, image=image.replace("\\", "\\\\") if name == "cvat" else image)
    with pytest.raises(DataError, match="no image"):
        read_dataset(folder, name)


def test_what_is_no_data_set_is_told_what_is_known(tmp_path):
    picture(tmp_path / "a.jpg")
    write(tmp_path / "package.json", {"name": "x"})
    write(tmp_path / "notes.txt", "one\ntwo\n")
    with pytest.raises(DataError, match="not a data set known .*; for tune.py .* convert_"):
        find_format(tmp_path)


@pytest.mark.parametrize("name", ["coco", "cvat", "doctr", "huggingface", "labelme", "mmocr"])
def test_images_that_no_label_names_are_named(tmp_path, name):
    """As where the file that labels them is missing."""
    for image in "ab":
        picture(tmp_path / f"{image}.jpg")
    one_word(tmp_path, name)
    (sample,), (problem,) = read(tmp_path, name)
    assert sample.file == "a.jpg" and "b.jpg: there is no annotation for it" in problem


@pytest.mark.parametrize(
    ("name", "other"),
    [
        *(("cvat", "coco"), ("coco", "yolo"), ("huggingface", "labelme"), ("labelme", "coco")),
        *(("triplets", "coco"), ("mmocr", "icdar2015")),
    ],
)
def test_labels_of_another_format_are_named(tmp_path, name, other):
    """They may be of other images, or corrected ones."""
    picture(tmp_path / "images" / "a.jpg")
    if name == "triplets":
        record = {"file": "a.jpg", "size": NOT_SQUARE, "words": [{"text": "on", "polygon": QUAD}]}
        write(tmp_path / "annotations" / "words.jsonl", json.dumps(record))
    elif name == "labelme":  # many files before the one of the other format
        for number in range(LOOKED_AT + 1):
            write(tmp_path / f"{number:02}.json", labelme("a.jpg"))
    else:
        one_word(tmp_path, name)
    if other == "icdar2015":
        write(tmp_path / "gt_a.txt", "10,20,40,22,39,44,9,40,on\n")
    else:
        one_word(tmp_path / "annotations", other)
    problems = []
    assert find_format(tmp_path, problems) == name
    assert f"labels as of {other}; {tmp_path} is read as {name} unless" in problems[0]
    assert read_dataset(tmp_path)[1][:1] == problems and len(problems) == 1
