"""convert_dataset.py on small data sets, as its users run it."""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SIZE, assert_refused, contents, run_well
from easy_images import write_images
from PIL import Image

import convert_dataset
import pseudo_label
from textdet.common.errors import DataError
from textdet.data import chunked_folder, source
from textdet.data.cache import MAKER
from textdet.data.chunked_folder import Chunk, chunk_path, read_left_out, start_folder
from textdet.data.formats import registry
from textdet.data.formats.common import Item, rectangle
from textdet.data.formats.registry import read_dataset
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.triplets import (
    has_heatmaps,
    make_folders,
    numbered_file,
    read_sample_image,
    read_samples,
    read_triplet,
)
from tune import find_test_samples

IMAGES = 7


@pytest.fixture
def coco(tmp_path):
    """COCO-style words with characters on seven images, the fifth of which is damaged."""
    folder = tmp_path / "coco"
    folder.mkdir()
    images, annotations = [], []
    for number in range(IMAGES):
        name = f"{number}.png"
        Image.new("RGB", (90 + number, 60), (number * 30, 99, 0)).save(folder / name)
        images.append({"id": number, "file_name": name, "set": "train" if number < 5 else "val"})
        letters = [{"text": t, "bbox": [10 + 15 * i, 20, 15, 20]} for i, t in enumerate("abc")]
        word = {"image_id": number, "bbox": [10, 20, 45, 20], "text": "abc", "characters": letters}
        annotations += [word, {"image_id": number, "bbox": [0, 0, 0, 0]}]
    (folder / "4.png").write_bytes(b"no image")
    data = {"images": images, "annotations": annotations}
    (folder / "words.json").write_text(json.dumps(data))
    return folder


def test_characters_become_heatmaps(coco, tmp_path, run_well_here):
    command = ("convert_dataset.py", "--format", "coco", "--source", coco, "--chunk_size", 2)
    folder = tmp_path / "out"
    result = run_well(*command, "--save_folder", folder, "--num_workers", 1)
    samples, problems = read_samples(folder)
    assert len(samples) == IMAGES - 1 and not problems
    assert "4.png" in result.stderr and "8 left out" in result.stdout
    for sample in samples:
        image, maps = read_triplet(sample)
        assert abs(image[0, 0].astype(int) - (int(sample.file[:8]) * 30, 99, 0)).max() <= 3
        words = [word.quads for word in sample.words]
        np.testing.assert_array_equal(maps, draw_heatmaps(words, sample.width, 60))
        assert maps[0].max() > 200 and maps[1].max() > 200
    assert (folder / "preview.jpg").exists()

    # Two workers, and a run that lost what was not finished, end with the same files.
    whole = contents(folder)
    run_well(*command, "--save_folder", tmp_path / "two", "--num_workers", 2)
    assert contents(tmp_path / "two") == whole
    (folder / "annotations" / "00001.jsonl").unlink()
    (folder / "images" / "00000003.jpg").unlink()
    (folder / "images" / ".half.textdet-tmp").write_bytes(b"1")
    run_well_here(*command, "--save_folder", folder, "--num_workers", 1)
    assert contents(folder) == whole


def test_a_set_that_was_unpacked_further_is_converted_to_its_end(coco, tmp_path, run_well_here):
    command = ("convert_dataset.py", "--format", "coco", "--source", coco, "--chunk_size", 4)
    command += ("--num_workers", 1, "--save_folder")
    whole = json.loads((coco / "words.json").read_text())
    for images in (5, IMAGES):
        part = {**whole, "images": whole["images"][7 - images :]}  # the new ones come first
        known = {image["id"] for image in part["images"]}
        part["annotations"] = [a for a in whole["annotations"] if a["image_id"] in known]
        (coco / "words.json").write_text(json.dumps(part))
        run_well_here(*command, tmp_path / "grown")
    run_well_here(*command, tmp_path / "once")
    assert contents(tmp_path / "grown") == contents(tmp_path / "once")


def test_what_was_left_out_is_tried_again(tmp_path, run_well_here):
    """Images that are annotated or corrected later, in a chunk that is there."""
    source, folder = tmp_path / "source", tmp_path / "folder"
    source.mkdir()
    for name in ("1", "11", "2"):
        Image.new("RGB", (60, 40), "white").save(source / f"{name}.jpg")
    (source / "11.jpg").write_bytes(b"no image")
    line = "1,1,30,1,30,20,1,20,on\n"
    (source / "gt_2.txt").write_text(line)

    def convert():
        more = ("--num_workers", 1, "--save_folder", folder)
        run_well_here("convert_dataset.py", "--source", source, *more)
        names = [Path(sample.extra["source"]).name for sample in read_samples(folder)[0]]
        return names, (folder / "annotations" / "00000.jsonl").stat().st_mtime_ns

    assert convert()[0] == ["2.jpg"]
    (source / "gt_11.txt").write_text(line)  # damaged: there is nothing more
    (names, made), again = convert(), convert()
    assert names == ["2.jpg"] and again == (names, made)
    (source / "gt_1.txt").write_text(line)
    assert convert()[0] == ["1.jpg", "2.jpg"]
    shutil.copy(source / "1.jpg", source / "11.jpg")
    assert convert()[0] == ["1.jpg", "11.jpg", "2.jpg"]


def test_words_without_characters(coco, random_model, tmp_path):
    data = json.loads((coco / "words.json").read_text())
    for record in data["annotations"]:
        record.pop("characters", None)
    (coco / "TextOCR.json").write_text(json.dumps(data))
    folder = tmp_path / "out"
    result = run_well(
        *("convert_dataset.py", "--format", "textocr", "--source", coco, "--save_folder", folder),
        *("--split", "val", "--num_workers", 1),
    )
    samples = read_samples(folder)[0]
    assert len(samples) == 2 and [word.text for word in samples[0].words] == ["abc"]
    assert "pseudo_label.py" in result.stdout
    assert not any(path.exists() for path in samples[0].heatmap_paths)
    args = argparse.Namespace(
        input_dir=[folder], model_dir=random_model, test_size=0.1, max_samples=500
    )
    assert [s.file for s in find_test_samples(args)] == [s.file for s in samples]


@pytest.mark.parametrize("orientation", [3, 6])
def test_boxes_count_pixels_as_they_are_stored(orientation, random_model, tmp_path, run_well_here):
    """Whatever the camera says about the way up: a dark word stays where its box is."""
    source, folder = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = np.full((50, 100, 3), 250, np.uint8)
    image[10:20, 70:90] = 0
    Image.fromarray(image).save(source / "img_1.png", exif=exif)
    (source / "gt_img_1.txt").write_text("70,10,90,10,90,20,70,20,word\n")
    command = ("convert_dataset.py", "--format", "icdar2015", "--source", source)
    run_well_here(*command, "--save_folder", folder, "--num_workers", 1)
    for sample in (*read_samples(folder)[0], *read_dataset(source)[0]):
        (left, top), (right, bottom) = sample.words[0].polygon[[0, 2]].astype(int)
        pixels = read_sample_image(sample)
        assert pixels[top:bottom, left:right].mean() < 30 < 200 < pixels.mean()


def test_own_words_without_characters_go_to_pseudo_label(triplets, tmp_path, run_well_here):
    source = tmp_path / "own"
    (source / "annotations").mkdir(parents=True)
    (source / "images").symlink_to(triplets / "images")
    sample = read_samples(triplets)[0][0].to_json()
    sample["words"] = [{"text": "on", "polygon": [[10, 20], [40, 20], [40, 44], [10, 44]]}]
    (source / "annotations/0.jsonl").write_text(json.dumps(sample))
    command = ("convert_dataset.py", "--format", "triplets", "--source", source)
    result = run_well_here(*command, "--save_folder", tmp_path / "out", "--num_workers", 1)
    assert "pseudo_label.py makes the heatmaps" in result.stdout


def test_own_annotations_without_heatmaps(triplets, tmp_path, run_well_here):
    """A folder of images and annotations alone gets the heatmaps that it had."""
    source = tmp_path / "own"
    source.mkdir()
    for name in ("images", "annotations"):
        (source / name).symlink_to(triplets / name)
    folder = tmp_path / "out"
    command = ("convert_dataset.py", "--format", "triplets", "--source", source)
    run_well_here(*command, "--save_folder", folder, "--max_samples", 3, "--num_workers", 1)
    for made, known in zip(read_samples(folder)[0], read_samples(triplets)[0], strict=False):
        # The annotations are rounded to 1/100 px: at its rim a Gaussian falls from 11 to 0.
        difference = abs(read_triplet(made)[1].astype(int) - read_triplet(known)[1])
        assert difference.max() <= 12 and (difference > 2).mean() < 1e-3


def test_maps_of_own_annotations_are_the_generators(tmp_path, run_well_here):
    """Don't-care words are not in them, and of a word with letters of both directions those are
    linked that stand beside each other."""
    source, folder = tmp_path / "own", tmp_path / "out"
    (source / "annotations").mkdir(parents=True)
    (source / "images").mkdir()
    Image.new("RGB", (120, 60), "white").save(source / "images" / "a.png")
    cells = {x: rectangle(x, 10, x + 20, 40).tolist() for x in (10, 30, 50, 75, 95)}
    outline = rectangle(10, 10, 70, 40).tolist()
    both = zip("\u05d012", (50, 10, 30), strict=True)  # the letter stands right of the figure
    words = [
        {"text": "\u05d012", "characters": [{"text": t, "quad": cells[x]} for t, x in both]},
        {"text": "a", "characters": [{"text": "a", "quad": cells[75]}], "ignore": True},
        # As pseudo_label.py --ignored_weight writes them.
        {
            "text": "",
            "characters": [{"quad": cells[95], "text": ""}],
            "ignore": True,
            "weight": 0.3,
        },
    ]
    record = {
        "file": "a.png",
        "size": [120, 60],
        "words": [{**w, "polygon": outline} for w in words],
    }
    (source / "annotations" / "0.jsonl").write_text(json.dumps(record))
    command = ("convert_dataset.py", "--format", "triplets", "--source", source)
    run_well_here(*command, "--save_folder", folder, "--num_workers", 1)
    (sample,), _ = read_samples(folder)
    in_row = np.array([cells[x] for x in (10, 30, 50)])
    np.testing.assert_array_equal(
        read_triplet(sample)[1], draw_heatmaps([in_row, cells[95]], 120, 60)
    )


def test_texts_with_odd_line_separators_are_counted(coco, tmp_path, run_well_here):
    data = json.loads((coco / "words.json").read_text())
    for record in data["annotations"][::2]:  # those with a box
        record["text"] = "a\u2028b"
    (coco / "words.json").write_text(json.dumps(data))
    command = ("convert_dataset.py", "--format", "coco", "--source", coco, "--num_workers", 1)
    result = run_well_here(*command, "--save_folder", tmp_path / "out")
    assert f"{IMAGES - 1} images, {IMAGES - 1} words" in result.stdout


def test_annotations_as_other_tools_write_them(tmp_path):
    """A byte order mark, Windows line ends, texts that are no strings, one other encoding."""
    box = [[1, 1], [9, 1], [9, 9], [1, 9]]

    def line(text, file="a.jpg"):
        words = [{"text": text, "polygon": box}]
        return json.dumps({"file": file, "size": [9, 9], "words": words}, ensure_ascii=False)

    lines = [line(None), line(2024, "b.jpg"), line("слово", "c.jpg")]
    data = [b"\xef\xbb\xbf" + lines[0].encode(), lines[1].encode(), lines[2].encode("cp1251")]
    data += [line("a number", 12).encode(), b""]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/00000.jsonl").write_bytes(b"\r\n".join(data))
    samples, problems = read_samples(tmp_path)
    assert [sample.words[0].text for sample in samples] == ["", "2024"]
    assert len(problems) == 2 and "00000.jsonl:3: damaged annotation" in problems[0]
    assert "00000.jsonl:4: damaged annotation (its file is no name: 12)" in problems[1]


def test_bad_input_is_one_line(coco, tmp_path, run_here, run_well_here):
    command = ("convert_dataset.py", "--source", coco, "--save_folder", tmp_path / "out")
    assert_refused(run_here(*command, "--format", "xml"), "--format")
    assert_refused(run_here(*command, "--format", "synthtext"), "gt.mat", "found 0.png")
    assert_refused(run_here(*command, "--format", "coco", "--split", "none"), "none")
    (coco / "gt_img_9.txt").write_text("0,0,9,0,9,9,0,9,word\n")
    assert_refused(run_here(*command, "--format", "icdar2015"), "no annotated image in it", "img_9")
    assert not (tmp_path / "out").exists()
    run_well_here(*command, "--format", "coco", "--max_samples", 2, "--num_workers", 1)
    assert_refused(
        run_here(*command, "--format", "coco", "--max_samples", 3), "max_samples (2 there"
    )
    assert_refused(run_here(*command, "--format", "coco", "--source", tmp_path / "gone"), "gone")
    assert_refused(
        run_here("convert_dataset.py", "--format", "coco", "--source", coco, "--save_folder", coco),
        "only read from",
    )
    inside = run_here("convert_dataset.py", "--source", coco, "--save_folder", coco / "out")
    assert_refused(inside, "name a --save_folder elsewhere")


def test_an_image_too_long_for_a_jpeg_is_named(tmp_path, appeared):
    for name, size in (("long.png", (70_000, 20)), ("good.png", (60, 40))):
        Image.new("RGB", size).save(tmp_path / name)
    sources = [Item(tmp_path / name, []) for name in ("long.png", "good.png")]
    make_folders(tmp_path / "out")
    chunk = Chunk(chunk_path(tmp_path / "out", 0), 0, sources)
    assert convert_dataset.convert_chunk(chunk, True) == 2
    # What marks the chunk done comes last.
    assert [path.name for path in appeared[3:]] == ["00000.txt", "00000.jsonl"]
    (line,) = read_left_out(tmp_path / "out")
    assert "long.png: 70000x20 px cannot be written" in line
    (sample,) = read_samples(tmp_path / "out")[0]
    read_triplet(sample)
    assert {path.name for path in (tmp_path / "out").rglob("*.*g")} == {
        "00000001.jpg",
        "00000001.png",
    }


@pytest.mark.parametrize("text", ['{"name": "faces"}', "{", "5", "[" * 10**5])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_another_tools_record_is_not_touched(text, overwrite, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/mine.jpg").write_bytes(b"mine")
    (tmp_path / "dataset.json").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(DataError, match="damaged or another tool's"):
        start_folder(tmp_path, {"chunk_size": 1}, overwrite)
    assert contents(tmp_path) == before


def test_overwriting_deletes_only_what_was_made(tmp_path, monkeypatch):
    """The annotations first: killed then, it leaves no chunk that passes for done."""
    folder, delete, deleted = tmp_path / "out", shutil.rmtree, []
    monkeypatch.setattr(shutil, "rmtree", lambda part: deleted.append(part.name) or delete(part))
    for name in ("notes.txt", "cache/mine/data", "cache/train-1/cache.json", "images/.x.tmp"):
        start_folder(folder, {"chunk_size": 1}, overwrite=False)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({"is": MAKER}))
    start_folder(folder, {"chunk_size": 2}, overwrite=True)
    assert contents(folder).keys() == {"dataset.json", "notes.txt", "cache/mine/data"}
    assert deleted[0] == "annotations" and "images" in deleted


def test_two_processes_may_begin_a_folder_at_a_time(tmp_path, monkeypatch):
    """The other one is quicker, after this one has seen that there is no folder yet."""
    folder, settings = tmp_path / "out", {"chunk_size": 1}
    read = chunked_folder._read_settings

    def let_the_other_begin(record):
        found = read(record)
        monkeypatch.setattr(chunked_folder, "_read_settings", read)
        start_folder(folder, settings, overwrite=False)
        return found

    monkeypatch.setattr(chunked_folder, "_read_settings", let_the_other_begin)
    assert start_folder(folder, settings, overwrite=False)["chunk_size"] == 1
    assert json.loads((folder / "dataset.json").read_text())["chunk_size"] == 1


# --- Subfolders ------------------------------------------------------------------------------


def test_images_in_subfolders(triplets, tmp_path, run_here, run_well_here):
    """Generated, converted and read as those in one folder; not mixed with these."""
    flags = "--num_images", 3, "--image_size", SIZE, "--num_workers", 1, "--save_folder"
    generated, converted = tmp_path / "generated", tmp_path / "converted"
    run_well_here("generate_images.py", *flags, generated, "--subfolders")
    flags = "--source", generated, "--num_workers", 1, "--save_folder", converted
    run_well_here("convert_dataset.py", *flags, "--subfolders")
    expected = read_samples(triplets)[0]
    for folder in (generated, converted):
        assert has_heatmaps(folder)
        assert [path.name for path in (folder / "images").iterdir()] == ["00000"]
        samples, problems = read_samples(folder)
        assert [s.file for s in samples] == [f"00000/0000000{i}.jpg" for i in range(3)]
        assert not problems
        for sample, other in zip(samples, expected, strict=False):
            assert sample.to_json()["words"] == other.to_json()["words"]
            image, maps = read_triplet(sample)
            assert image.shape[:2] == maps.shape[1:] == (SIZE, SIZE)
            if folder == generated:
                for path, same in zip(
                    (sample.image_path, *sample.heatmap_paths),
                    (other.image_path, *other.heatmap_paths),
                    strict=True,
                ):
                    assert path.read_bytes() == same.read_bytes()
    leftover = converted / "images" / "00000" / ".a.jpg.1.textdet-tmp"
    leftover.write_bytes(b"half")
    assert_refused(run_here("convert_dataset.py", *flags), "subfolders (True there, None now)")
    run_well_here("convert_dataset.py", *flags, "--subfolders")
    assert not leftover.exists()


def test_a_thousand_images_in_a_subfolder():
    assert numbered_file(1999, True) == "00001/00001999.jpg"
    assert numbered_file(123456789, True) == "123456/123456789.jpg"
    assert numbered_file(1999, False) == "00001999.jpg"


def test_going_through_all_images_of_a_folder_shows_how_far_it_is(coco, tmp_path, monkeypatch):
    """Some ten thousand take seconds: to look at their sizes, to read or to count their words."""
    shown = []
    for module in (registry, chunked_folder, source, pseudo_label):
        monkeypatch.setattr(
            module, "progress_bar", lambda items, desc, **_: shown.append(desc) or items
        )
    write_images(tmp_path / "easy", 2)
    read_dataset(coco)
    list(chunked_folder.iterate_samples(tmp_path / "easy"))
    source.open_source(read_samples(tmp_path / "easy")[0], 64, caching=False, workers=1)
    pseudo_label.unannotated(coco, tmp_path / "labelled")
    assert shown == ["reading", "reading", "checking", "opening"]
