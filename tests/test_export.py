"""export_dataset.py: what is written is read back as it was; nothing is lost without a word."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import assert_refused
from PIL import Image

from textdet.common.errors import DataError
from textdet.data.annotation import Sample, Word
from textdet.data.export import export_samples
from textdet.data.formats.recognise import find_format
from textdet.data.formats.registry import EXPORTS, read_dataset

BOX = [[10, 20], [40, 20], [40, 44], [10, 44]]
QUAD = [[50.25, 20], [90, 25.5], [88, 44], [48, 39]]
DOWN = [[120, 10], [120, 60], [100, 60], [100, 10]]  # an upright box, but read downwards
ARC = [[130, 30], [150, 20], [170, 30], [170, 45], [150, 35], [130, 45]]
NO_CELLS = np.zeros((0, 4, 2), np.float32)


def word(text, outline, ignore=False):
    return Word(text, [], NO_CELLS, np.float32(outline), ignore)


def sample_in(folder, file, words, size=(200, 100)):
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return Sample(folder, file, *size, words, elsewhere=path)


def samples_in(folder):
    words = [
        *(word('on, "x" <&>', BOX), word("тур", QUAD), word("вниз", DOWN)),
        *(word("arc", ARC), word("", BOX, True)),
    ]
    return [
        sample_in(folder, "a.jpg", words),
        sample_in(folder, "b/улица 1.png", [word("two\nlines", QUAD)], (120, 300)),
        sample_in(folder, "c.jpg", []),
    ]


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_exported_is_read_back(tmp_path, name):
    samples, target = samples_in(tmp_path / "source"), EXPORTS[name]
    counts, problems = export_samples(samples, tmp_path / "out", name)
    assert find_format(tmp_path / "out") == name and not problems
    back, problems = read_dataset(tmp_path / "out")
    assert not problems
    assert counts["curved words made quads"] == int(target.quads)
    names = {Path(sample.file).stem: sample for sample in back}
    stems = ("a", "b_улица 1", "c") if target.without_words else ("a", "b_улица 1")
    assert set(names) == set(stems)
    lost = 0
    for sample, stem in zip(samples, stems, strict=False):
        found = names[stem]
        assert (found.width, found.height) == (sample.width, sample.height)
        assert found.image_path.read_bytes() == sample.image_path.read_bytes()
        words = [w for w in sample.words if target.dont_care or not w.ignore]
        lost += len(sample.words) - len(words)
        for own, theirs in zip(words, found.words, strict=True):
            assert theirs.ignore == own.ignore
            if not own.ignore:
                assert theirs.text.split() == own.text.split()
            outline = own.polygon
            if target.quads and len(outline) != 4:
                assert len(theirs.polygon) == 4
                outline = cv2.boxPoints(cv2.minAreaRect(outline))
                theirs.polygon, outline = (p[np.lexsort(p.T)] for p in (theirs.polygon, outline))
            away = 0.5 if target.whole_pixels else 0.006
            np.testing.assert_allclose(theirs.polygon, outline, atol=away + 1e-5)
    assert lost == (0 if target.dont_care else 1)
    assert sum(counts[change] for change in counts if "don't-care" in change) == lost


def test_characters_survive_in_coco(tmp_path):
    cells = np.float32([BOX, np.add(BOX, (30, 0))])
    own = Word("on", ["o", "n"], cells, np.float32([[10, 20], [70, 20], [70, 44], [10, 44]]))
    export_samples([sample_in(tmp_path, "a.jpg", [own])], tmp_path / "out", "coco")
    ((found,),) = (sample.words for sample in read_dataset(tmp_path / "out")[0])
    assert found.characters == ["o", "n"]
    np.testing.assert_array_equal(found.quads, cells)


def test_areas_in_coco_are_above_0(tmp_path):
    """Its evaluation leaves out others; our own annotations may run against the clock."""
    samples = [sample_in(tmp_path, "a.jpg", [word("on", BOX[::-1])])]
    export_samples(samples, tmp_path / "out", "coco")
    coco = json.loads((tmp_path / "out/annotations/instances_default.json").read_text())
    assert coco["annotations"][0]["area"] == 720


@pytest.mark.parametrize("odd", ["\x01", "\uffff", "\ud83d"])  # the last is half an emoji
def test_what_xml_cannot_hold_costs_no_other_word(tmp_path, odd):
    samples = [sample_in(tmp_path, "a.jpg", [word(f"a{odd}b", BOX), word("c", QUAD)])]
    export_samples(samples, tmp_path / "out", "cvat")
    ((sample,), problems) = read_dataset(tmp_path / "out")
    assert [found.text for found in sample.words] == ["ab", "c"] and not problems


def test_labels_of_an_engine_in_its_own_words(tmp_path):
    """What the engines' own readers look for, by which they were tried."""
    samples = samples_in(tmp_path / "source")
    for name in EXPORTS:
        export_samples(samples, tmp_path / name, name)
    doctr = json.loads((tmp_path / "doctr" / "labels.json").read_text())
    assert all((tmp_path / "doctr" / "images" / image).is_file() for image in doctr)
    assert np.shape(doctr["a.jpg"]["polygons"]) == (4, 4, 2)
    assert len(doctr["a.jpg"]["img_hash"]) == 64
    (first, *_) = doctr["a.jpg"]["typed_words"]
    assert first["geometry"] == [0.05, 0.2, 0.2, 0.44]  # of the sides, which its OCRDataset takes
    coco = json.loads((tmp_path / "coco" / "annotations" / "instances_default.json").read_text())
    assert coco["info"] == {}  # without it loadRes of pycocotools 2.0.10 fails
    ids = [record["id"] for record in coco["annotations"]]
    assert ids == list(range(1, 7)) and coco["annotations"][0]["bbox"] == [10, 20, 30, 24]
    assert coco["annotations"][0]["area"] == 720
    assert [record["iscrowd"] for record in coco["annotations"]] == [0, 0, 0, 0, 1, 0]
    line = (tmp_path / "icdar2015" / "gt" / "gt_a.txt").read_text().splitlines()
    assert line[0] == '10,20,40,20,40,44,10,44,on, "x" <&>' and line[-1].endswith(",###")
    lines = (tmp_path / "paddleocr" / "images" / "Label.txt").read_text().splitlines()
    assert lines[0].startswith("images/a.jpg\t[{") and lines[2] == "images/c.jpg\t[]"
    tasks = json.loads((tmp_path / "labelstudio" / "tasks.json").read_text())
    results = tasks[0]["annotations"][0]["result"]
    assert results[0]["value"] == {"x": 5, "y": 20, "width": 15, "height": 24, "rotation": 0}
    config = (tmp_path / "labelstudio" / "labeling_config.xml").read_text()
    assert all(f'name="{result["from_name"]}"' in config for result in results)


def test_a_models_words_are_predictions_to_be_corrected(tmp_path, run_well_here):
    image = sample_in(tmp_path / "photos", "a.jpg", []).image_path
    record = {"file": str(image), "size": [200, 100], "model": "m", "settings": {}, "lines": [[0]]}
    record["words"] = [{"quad": QUAD, "polygon": None, "score": 0.9}]
    (tmp_path / "detections").mkdir()
    (tmp_path / "detections" / "a.json").write_text(json.dumps(record))
    flags = ("--input_dir", tmp_path / "detections", "--save_folder", tmp_path / "out")
    result = run_well_here("export_dataset.py", *flags, "--format", "labelstudio")
    assert "1 words in 1 images, for Label Studio" in result.stdout
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert "annotations" not in task and len(task["predictions"]) == 1
    with pytest.raises(DataError, match="not annotated yet"):  # nobody has looked at them
        read_dataset(tmp_path / "out")
    corrected = {**task, "annotations": task["predictions"]}
    (tmp_path / "out" / "tasks.json").write_text(json.dumps([corrected]))
    ((found,),) = (sample.words for sample in read_dataset(tmp_path / "out")[0])
    np.testing.assert_allclose(found.polygon, QUAD, atol=0.01)


def test_images_lie_the_same_way_up_for_every_tool(tmp_path):
    """Tools differ in whether they heed the EXIF tag, so that no image keeps it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[:50] = 255
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    Image.fromarray(pixels).save(tmp_path / "b.bmp")
    own = [word("on", BOX)]
    samples = [
        Sample(tmp_path, "a.jpg", 100, 200, own, elsewhere=tmp_path / "a.jpg", upright=True),
        Sample(tmp_path, "a.jpg", 200, 100, own, elsewhere=tmp_path / "a.jpg", upright=False),
        Sample(tmp_path, "b.bmp", 200, 100, own, elsewhere=tmp_path / "b.bmp"),
    ]
    export_samples(samples, tmp_path / "out", "coco")
    for name, expected in (
        ("a.jpg", np.rot90(pixels, -1)),
        ("a_2.jpg", pixels),
        ("b.png", pixels),
    ):
        with Image.open(tmp_path / "out" / "images" / name) as image:
            assert not image.getexif()
            np.testing.assert_allclose(np.asarray(image), expected, atol=40)


def test_our_own_annotations_may_lie_on_the_image_as_it_is_stored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.new("RGB", (200, 100), "white").save(tmp_path / "images" / "a.jpg", exif=exif)
    sample = Sample(tmp_path, "a.jpg", 200, 100, [word("on", BOX)])  # upright is the default
    _, problems = export_samples([sample], tmp_path / "out", "coco")
    assert not problems
    with Image.open(tmp_path / "out" / "images" / "a.jpg") as image:
        assert image.size == (200, 100) and not image.getexif()


def test_folders_with_long_names_make_no_name_that_is_too_long(tmp_path):
    """File systems take 255 bytes; a Cyrillic letter has two."""
    folders = "/".join(["с длинным именем " * 4] * 2)
    samples = [sample_in(tmp_path, f"{folders}/{name}.jpg", []) for name in "ab"]
    _, problems = export_samples(samples, tmp_path / "out", "icdar2015")
    assert not problems and len(list((tmp_path / "out" / "gt").iterdir())) == 2


def test_names_keep_the_letters_of_every_script(tmp_path):
    """Of one name that is spelt in two ways, as on macOS, each image keeps its own words."""
    names = ["b/й", "b_и\u0306", "किताब", "ที่/ป้าย", "a?b"]
    samples = [
        sample_in(tmp_path, f"{name}.jpg", [word(f"w{number}", BOX)])
        for number, name in enumerate(names)
    ]
    export_samples(samples, tmp_path / "out", "labelme")
    back, problems = read_dataset(tmp_path / "out")
    assert not problems
    found = {Path(sample.file).stem: sample.words[0].text for sample in back}
    assert found == {"b_й": "w0", "b_й_2": "w1", "किताब": "w2", "ที่_ป้าย": "w3", "a_b": "w4"}


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    good = sample_in(tmp_path, "a.jpg", [word("on", BOX)])
    bad = Sample(tmp_path, "b.jpg", 200, 100, [], elsewhere=tmp_path / "b.jpg")
    other = Sample(tmp_path, "a.jpg", 201, 100, [], elsewhere=tmp_path / "a.jpg")
    counts, problems = export_samples([bad, good, other], tmp_path / "out", "coco")
    assert counts["images"] == 1 and len(problems) == 2
    assert "b.jpg: no such file" in problems[0] and "annotation says 201x100" in problems[1]
    with pytest.raises(DataError, match="something already"):
        export_samples([good], tmp_path / "out", "coco")
    with pytest.raises(DataError, match="no image could be exported"):
        export_samples([bad], tmp_path / "none", "coco")

    def interrupted():
        yield good
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_samples(interrupted(), tmp_path / "none", "coco")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "out"]


def test_a_folder_that_cannot_be_replaced_is_refused_before_the_work(tmp_path, monkeypatch):
    def samples():
        raise AssertionError("work that would be lost")
        yield

    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    monkeypatch.chdir(tmp_path / "empty")
    for folder in (tmp_path / "link", Path(".")):
        with pytest.raises(DataError, match="cannot be replaced"):
            export_samples(samples(), folder, "coco")
    export_samples([sample_in(tmp_path, "a.jpg", [])], tmp_path / "link" / "new", "coco")
    assert (tmp_path / "empty" / "new" / "images" / "a.jpg").exists()


def test_words_too_small_for_whole_pixels_are_counted(tmp_path):
    thin = word("i", [[10.1, 10], [10.4, 10], [10.4, 20], [10.1, 20]])
    counts, _ = export_samples([sample_in(tmp_path, "a.jpg", [thin])], tmp_path / "o", "icdar2015")
    assert counts["words"] == 0 and counts["words left out, which have no area in whole px"] == 1


def test_images_without_words_are_not_for_doctr(tmp_path):
    """Its DetectionDataset takes the axes of polygons that are not there, and fails as a whole."""
    samples = [
        sample_in(tmp_path, "a.jpg", [word("on", np.subtract(BOX, 15))]),
        sample_in(tmp_path, "b.jpg", [word("", BOX, True)]),
    ]
    counts, _ = export_samples(samples, tmp_path / "out", "doctr")
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert [*labels] == ["a.jpg"] and counts["don't-care words left out, which it does not know"]
    assert counts["images without words left out, which it does not read"] == 1
    assert labels["a.jpg"]["typed_words"][0]["geometry"] == [0, 0.05, 0.125, 0.29]  # 0 for -5 px
    with pytest.raises(DataError, match="without words"):
        export_samples(samples[1:], tmp_path / "none", "doctr")


def test_words_that_the_reader_could_not_read_are_counted(tmp_path):
    """A converted folder names them no more."""
    sample = sample_in(tmp_path, "a.jpg", [word("on", BOX)])
    sample.extra["unread_words"] = 2
    counts, _ = export_samples([sample], tmp_path / "o", "coco")
    assert counts == {
        "images": 1,
        "words": 1,
        "words missing, of which nobody knows where they are": 2,
    }


def test_from_our_own_folder_and_back(tmp_path, run_here, run_well_here):
    own = sample_in(tmp_path / "mine", "images/a.jpg", [word("on", QUAD)])
    annotations = tmp_path / "mine" / "annotations"
    annotations.mkdir()
    (annotations / "words.jsonl").write_text(json.dumps({**own.to_json(), "file": "a.jpg"}))
    flags = ("--input_dir", tmp_path / "mine", "--save_folder", tmp_path / "out")
    result = run_well_here("export_dataset.py", *flags, "--format", "doctr")
    assert "1 words in 1 images, for docTR" in result.stdout
    within = ("--input_dir", tmp_path / "out", "--save_folder", tmp_path / "out" / "for_cvat")
    assert_refused(run_here("export_dataset.py", *within, "--format", "cvat"), "name a --save_fold")
    within = ("--input_dir", tmp_path / "mine", "--save_folder", tmp_path / "mine" / "for_cvat")
    run_well_here("export_dataset.py", *within, "--format", "cvat")  # nothing is looked for there
    assert_refused(run_here("export_dataset.py", *flags, "--format", "doctr"), "something already")
    assert_refused(run_here("export_dataset.py", *flags, "--format", "sroie"), "invalid choice")
    flags = ("--source", tmp_path / "out", "--save_folder", tmp_path / "back", "--num_workers", 1)
    assert "1 images, 1 words" in run_well_here("convert_dataset.py", *flags).stdout
    ((found,),) = (sample.words for sample in read_dataset(tmp_path / "back")[0])
    assert found.text == "on"
    np.testing.assert_array_equal(found.polygon, QUAD)
