"""evaluate.py and the readers of real data sets."""

import argparse
import csv
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import SIZE, assert_refused, run_well
from PIL import Image

import evaluate
from static import constants as C
from textdet.common.errors import DataError
from textdet.data.annotation import Sample, Word
from textdet.data.formats.recognise import find_format
from textdet.data.formats.registry import read_dataset
from textdet.data.triplets import read_samples
from textdet.decoding.metrics import match_image, truth_of
from textdet.network import flags
from textdet.network.judging import Judged
from textdet.network.result import FoundWord, Result


def make_dataset(folder, truth, **images):
    """A data set of black images; `truth` its annotation folder, name -> (file, its bytes)."""
    for part in ("images", truth):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, (file, content) in images.items():
        Image.new("RGB", (200, 100)).save(folder / "images" / f"{name}.png")
        (folder / truth / file).write_bytes(content)
    return folder


@pytest.fixture
def icdar2015(tmp_path):
    lines = (
        "\ufeff10,10,50,12,50,30,10,28,word\r\n"
        "60,10,90,10,90,30,60,30,###\r\n"
        '1,1,9,1,9,9,1,9,a, "b",c\r\n\r\n'
    )
    return make_dataset(
        tmp_path / "ic15",
        "gt",
        img_1=("gt_img_1.txt", lines.encode()),
        img_2=("gt_img_2.txt", b""),
    )


@pytest.fixture
def icdar2013(tmp_path):
    lines = '10, 20, 60, 40, "He said, ""4,000"""\r\n70 20 90 40 "two"\r\n'
    return make_dataset(tmp_path / "ic13", "gt", img_1=("gt_img_1.txt", lines.encode()))


@pytest.fixture
def funsd(tmp_path):
    words = [
        {"box": [10, 20, 60, 40], "text": "Дата:"},
        {"box": [70, 20, 90, 40], "text": " "},
        {"box": [70, 20, 70, 40], "text": "flat"},
    ]
    content = json.dumps({"form": [{"text": "", "words": words}, {"words": []}]}).encode()
    return make_dataset(tmp_path / "funsd", "annotations", page=("page.json", content))


def test_mlt_is_not_taken_for_icdar2015(icdar2015):
    for path in icdar2015.rglob("gt_*.txt"):
        path.write_text("10,10,50,12,50,30,10,28,Latin,###\n")
    assert find_format(icdar2015) == "mlt"
    (word,) = read_dataset(icdar2015)[0][0].words
    assert word.text == "###" and word.ignore


def test_icdar2015(icdar2015):
    samples, problems = read_dataset(icdar2015)
    assert find_format(icdar2015) == "icdar2015" and problems == []
    words = samples[0].words
    assert [word.text for word in words] == ["word", "###", 'a, "b",c']
    assert [word.ignore for word in words] == [False, True, False]
    np.testing.assert_array_equal(words[0].polygon, [[10, 10], [50, 12], [50, 30], [10, 28]])
    assert (samples[0].width, samples[0].height) == (200, 100) and samples[0].image_path.is_file()
    assert samples[1].words == []


def test_icdar2013(icdar2013):
    samples, problems = read_dataset(icdar2013)
    assert find_format(icdar2013) == "icdar2013" and problems == []
    assert [word.text for word in samples[0].words] == ['He said, ""4,000""', "two"]
    corners = [[10, 20], [60, 20], [60, 40], [10, 40]]
    np.testing.assert_array_equal(samples[0].words[0].polygon, corners)


def test_funsd(funsd):
    samples, problems = read_dataset(funsd)
    assert find_format(funsd) == "funsd"
    assert find_format(funsd.parent) == "funsd"  # as downloaded: a folder for each part
    assert [(word.text, word.ignore) for word in samples[0].words] == [("Дата:", False), ("", True)]
    assert len(problems) == 1 and "no area" in problems[0]


def test_damage_is_named_and_left_out(icdar2015):
    images, truth = icdar2015 / "images", icdar2015 / "gt"
    (images / "img_2.png").write_bytes(b"not an image")
    (images / "phone.heic").touch()
    Image.new("RGB", (9, 9)).save(images / "alone.png")
    (truth / "gt_alone_too.txt").write_text("")
    with (truth / "gt_img_1.txt").open("a") as file:
        file.write("1,2,3,word\n1,1,1,1,1,1,1,1,point\n")
    samples, problems = read_dataset(icdar2015, "icdar2015")
    assert [sample.file for sample in samples] == ["img_1.png"] and len(samples[0].words) == 3
    text = "\n".join(problems)
    for name in ("img_2.png", "alone.png", "gt_alone_too.txt", "img_1.txt:5", "img_1.txt:6"):
        assert name in text
    assert len(problems) == 6 and "1 .heic" in problems[-1]


def test_folders_that_are_no_data_set(tmp_path, icdar2013):
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not a data set"):
        read_dataset(tmp_path / "empty")
    with pytest.raises(DataError, match="looked for annotations"):
        read_dataset(tmp_path / "empty", "funsd")
    with pytest.raises(DataError, match=r"looked for .*json.* found gt/, images/"):
        read_dataset(icdar2013, "funsd")


def test_scores_of_a_perfect_and_of_a_blind_detector(icdar2015, tmp_path, monkeypatch, capsys):
    """One image has all its words found, the don't-care one as well; the other has a false one."""
    words = {s.file: [w.polygon for w in s.words] for s in read_dataset(icdar2015)[0]}
    words["img_2.png"] = [np.float32([[0, 0], [9, 0], [9, 9], [0, 9]])]
    found = iter([words["img_1.png"], words["img_2.png"]])

    def detector(*args, **settings):
        def detect(image):
            return Result(200, 100, [FoundWord(quad, None, 1.0) for quad in next(found)], [], None)

        detect.runtime = "none"
        return detect

    output = tmp_path / "out.csv"
    monkeypatch.setattr(flags, "TextDetector", detector)
    command = ["evaluate.py", "--input_dir", icdar2015, "--output", output, "--worst", 1]
    command += ["--model_dir", C.STATIC / "model"]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    evaluate.main()
    rows = list(csv.DictReader(output.open()))
    counts = [tuple(int(row[name]) for name in ("words", "found", "matched")) for row in rows]
    assert counts == [(2, 2, 2), (0, 1, 0)]
    assert float(rows[0]["f1"]) == 1 and float(rows[1]["f1"]) == 0
    assert [(row["missed"], row["boxes on no text"]) for row in rows] == [("0", "0"), ("0", "1")]
    assert [row["fate of each word"] for row in rows] == ["found found", ""]
    totals = json.loads(output.with_suffix(".json").read_text())["totals"]
    assert totals["precision"] == pytest.approx(2 / 3) and totals["recall"] == totals["iou"] == 1
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith("     0.")]
    assert [row[0] for row in rows] == ["0.5", "0.6", "0.7", "0.8", "0.9"]
    assert all(row[1:] == ["0.667", "1.000", "0.800"] for row in rows)
    assert totals["sweep"]["0.9"]["f1"] == pytest.approx(0.8)
    assert totals["fates"]["found"] == 2 and totals["fates"]["boxes on no text"] == 1
    assert sum(totals["fates"].values()) == 3
    assert "  true words: 2 found, 0 missed, 0 merged, 0 split, 0 off" in lines
    assert "  false boxes: 1 on no text, 0 on text" in lines
    worst = tmp_path / "out_worst"
    assert {path.name for path in worst.iterdir()} == {"001_img_2.jpg", "pictures.json"}
    # The next run replaces its own pictures, and leaves another's.
    (worst / "002_mine.jpg").write_bytes(b"mine")
    pictures = json.loads((worst / "pictures.json").read_text())["pictures"]
    escaping = ["../out.csv", str(output), "", "..", 5, "001_img_2.jpg/../../x.jpg"]
    (worst / "pictures.json").write_text(json.dumps({"pictures": pictures + escaping}))
    found = iter([[], []])
    evaluate.main()
    names = {path.name for path in worst.iterdir()}
    assert names == {"001_img_1.jpg", "002_mine.jpg", "pictures.json"} and output.exists()


def test_models_side_by_side(icdar2015, random_model, tmp_path, monkeypatch, capsys):
    """One finds every word, one both as one, one nothing; a damaged image is left out for all."""
    texts = "".join(f"{x},10,{x + 40},10,{x + 40},30,{x},30,a\n" for x in (10, 60))
    (icdar2015 / "gt" / "gt_img_1.txt").write_text(texts)
    (icdar2015 / "images" / "img_0.png").write_bytes(b"P6 200 100 255\n")
    (icdar2015 / "gt" / "gt_img_0.txt").write_text(texts)
    words = [w.polygon for w in read_dataset(icdar2015)[0][-2].words]
    merged = np.float32([[10, 10], [100, 10], [100, 30], [10, 30]])
    models = {"good": words, "wide": [merged], "blind": []}
    for name in models:
        shutil.copytree(random_model, tmp_path / name)

    def detector(path, *args, **settings):
        def detect(image):
            found = models[path.name] if image.any() else []
            return Result(200, 100, [FoundWord(quad, None, 1.0) for quad in found], [], None)

        detect.runtime = f"that of {path.name}"
        return detect

    Image.new("RGB", (200, 100), "white").save(icdar2015 / "images" / "img_1.png")
    output = tmp_path / "out.csv"
    monkeypatch.setattr(flags, "TextDetector", detector)
    command = ["evaluate.py", "--input_dir", icdar2015, "--output", output, "--worst", 1]
    command += ["--model_dir", *(tmp_path / name for name in (*models, "wide/../good"))]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    evaluate.main()
    rows = [(row["file"], Path(row["model"]).name) for row in csv.DictReader(output.open())]
    assert rows == [(file, name) for file in ("img_1.png", "img_2.png") for name in models]
    record = json.loads(output.with_suffix(".json").read_text())
    assert not record.keys() & {"model", "settings", "totals"} and record["held_out_by"] == []
    totals = {Path(entry["model"]).name: entry["totals"] for entry in record["models"]}
    assert [entry["images"] for entry in totals.values()] == [2, 2, 2]
    assert [entry["f1"] for entry in totals.values()] == [1, 0, 0]
    fates = [{k: v for k, v in entry["fates"].items() if v} for entry in totals.values()]
    assert fates == [{"found": 2}, {"merged": 2, "boxes on text": 1}, {"missed": 2}]
    assert record["models"][1]["runtime"] == "that of wide"
    said = capsys.readouterr().out
    lines = {tuple(line.split()[-7:]) for line in said.splitlines() if line.startswith("  /")}
    assert ("2", "0", "0", "0", "0", "0", "0") in lines  # found, missed, merged, split, off
    assert ("0", "0", "2", "0", "0", "0", "1") in lines and "3 models on 2 images" in said
    with Image.open(tmp_path / "out_worst" / "001_img_1.jpg") as sheet:
        assert sheet.width == 3 * evaluate.SHEET_TILE
    monkeypatch.setattr(sys, "argv", sys.argv[:-4] + sys.argv[-1:])  # good alone, into its place
    evaluate.main()
    assert json.loads(output.with_suffix(".json").read_text())["totals"]["f1"] == 1
    assert "model" not in next(csv.DictReader(output.open()))


def test_results_replace_nothing_but_earlier_results(tmp_path):
    args = argparse.Namespace(output=tmp_path / "gt.csv", worst=1)
    evaluate.check_output(args)
    truth, others = '{"images": [], "annotations": []}', "file,words\n"
    for name, text in (("gt.json", truth), ("gt.csv", others), ("gt.json", "{"), ("gt.json", "5")):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=f"{name} is there already"):
            evaluate.check_output(args)
        assert (tmp_path / name).read_text() == text
        (tmp_path / name).unlink()
    (tmp_path / "gt_worst").mkdir()
    with pytest.raises(DataError, match="gt_worst is there already"):
        evaluate.check_output(args)
    args.worst = 0
    evaluate.check_output(args)


def test_an_extremely_long_image_is_drawn_shrunk(tmp_path):
    """It would not go into a JPEG."""
    Image.new("RGB", (70_000, 30), "white").save(tmp_path / "long.png")
    word = Word("a", [], np.zeros((0, 4, 2)), np.float32([[9, 9], [60, 9], [60, 20], [9, 20]]))
    sample = Sample(tmp_path, "я" * 120, 70_000, 30, [word], {}, tmp_path / "long.png")
    match = match_image([], truth_of([word]))
    images = [evaluate.Image(sample, [Judged(match, [], Counter(), [], 0.0, "none")])]
    evaluate.draw_worst(argparse.Namespace(output=tmp_path / "out.csv", worst=1), images, [{}])
    (picture,) = (tmp_path / "out_worst").glob("*.jpg")
    with Image.open(picture) as image:
        assert image.size == (65_500, 28)


def test_command_on_triplets(triplets, random_model, tmp_path):
    folder = shutil.copytree(triplets, tmp_path / "data")
    samples = read_samples(folder)[0]
    samples[0].image_path.unlink()
    output = tmp_path / "results.csv"
    result = run_well(
        *("evaluate.py", "--input_dir", folder, "--model_dir", random_model, "--output", output),
        *("--max_samples", 3, "--long_side", SIZE, "--device", "cpu", "--worst", 2),
    )
    assert samples[0].file in result.stderr and "on 2 images" in result.stdout
    assert [row["file"] for row in csv.DictReader(output.open())] == [s.file for s in samples[1:3]]
    assert len(list((tmp_path / "results_worst").glob("*.jpg"))) == 2


def test_images_without_words_are_no_measure(icdar2013, random_model, tmp_path, run_well_here):
    (icdar2013 / "gt" / "gt_img_1.txt").write_text('10, 20, 60, 40, "###"\n')
    args = ("--model_dir", random_model, "--long_side", SIZE, "--output", tmp_path / "results.csv")
    assert (
        "the scores say nothing"
        in run_well_here("evaluate.py", "--input_dir", icdar2013, *args).stdout
    )


def test_bad_input_is_one_line(icdar2013, random_model, tmp_path, run_here):
    data, model = ("--input_dir", icdar2013), ("--model_dir", random_model)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_refused(run_here("evaluate.py", *data, "--model_dir", tmp_path), tmp_path, "train.py")
    assert_refused(run_here("evaluate.py", "--input_dir", empty, *model), "not a data set")
    assert_refused(
        run_here("evaluate.py", "--input_dir", tmp_path / "none", *model), "no such folder"
    )
    assert_refused(
        run_here("evaluate.py", *data, *model, "--output", tmp_path / "x/y.csv"), "--output"
    )
    assert_refused(
        run_here("evaluate.py", *data, *model, "--cluster", ""), "--cluster", "no address"
    )
    assert_refused(run_here("evaluate.py", *data, *model, "--format", "xml"), "--format")
    assert_refused(run_here("evaluate.py", *data, *model, "--worst", -1), "at least 0")
