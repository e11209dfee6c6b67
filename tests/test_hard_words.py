"""Hard words: read from evaluate.py's tables, and more crops cut around them."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from easy_images import SIDE, write_images

from textdet.common.errors import DataError
from textdet.data.annotation import Sample, Word
from textdet.data.triplets import read_samples
from textdet.training.augmentation import make_preset
from textdet.training.data import find_hard_words
from textdet.training.datasets import ANY_WORD, CropChoice, MixSampler, TrainDataset
from textdet.training.hard_words import read_hard_words
from textdet.training.run_folder import describe_changes


def word(left, ignore=False):
    corners = np.float32([(left, 4), (left + 8, 4), (left + 8, 10), (left, 10)])
    return Word("a", ["a"], corners[None], corners, ignore)


def write_table(path, folder, rows, **columns):
    """A table as evaluate.py writes it, of what is read from it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "f1", "fate of each word", *columns))
        for row, *more in zip(rows, *columns.values(), strict=True):
            writer.writerow((row[0], 0.5, row[1], *more))
    path.with_suffix(".json").write_text(json.dumps({"data": str(folder)}))
    return path


def test_words_that_were_not_found(tmp_path, monkeypatch, capsys):
    """By folder and file; don't-care words have no fate; of two models each can miss a word."""
    a, b = tmp_path / "a", tmp_path / "b"
    words = [word(2), word(14, ignore=True), word(26), word(38)]
    samples = [Sample(a, "x/1.jpg", 64, 64, words), Sample(a, "2.jpg", 64, 64, words[:2])]
    samples.append(Sample(b, "x/1.jpg", 64, 64, words))
    rows = [("x/1.jpg", "found merged missed"), ("2.jpg", "found"), ("held_out.jpg", "missed")]
    table = write_table(tmp_path / "a.csv", a, rows)
    assert read_hard_words([table], samples) == [(0, 2), (0, 3)]
    rows = [("x/1.jpg", "split found found"), ("x/1.jpg", "found off found")]
    other = write_table(tmp_path / "b.csv", "b", rows, model=["one", "two"])
    monkeypatch.chdir(tmp_path)  # where "b" lies
    assert read_hard_words([other, table], samples) == [(0, 2), (0, 3), (2, 0), (2, 2)]
    assert read_hard_words([], samples) == []
    assert find_hard_words([table], SimpleNamespace(samples=samples)) == [(0, 2), (0, 3)]
    assert "2 words of 1 images were not found\n" in capsys.readouterr().out
    source = SimpleNamespace(samples=samples[1:2])
    with pytest.raises(DataError, match="all words that are trained on were found"):
        find_hard_words([table], source)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("1.jpg", "found")], "1.jpg had 1 words when it was judged, and has 2 now"),
        ([("1.jpg", "found lost")], "a word cannot be 'lost'"),
        ([("3.jpg", "found found")], "of which no image is trained on"),
        (None, "no table of evaluate.py"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, rows, message):
    samples = [Sample(tmp_path, "1.jpg", 64, 64, [word(2), word(14)])]
    table = tmp_path / "table.csv"
    if rows is None:
        table.write_text("file,f1\n1.jpg,0.5\n")
    else:
        write_table(table, tmp_path, rows)
    with pytest.raises(DataError, match=message):
        read_hard_words([table], samples)
    with pytest.raises(DataError, match="none.csv"):
        read_hard_words([tmp_path / "none.csv"], samples)


def test_other_hard_words_change_what_is_learned(tmp_path):
    record = {"data_fingerprint": "", "model": {}, "training": {}}
    before = {**record, "data": {"hard_words": [], "hard_share": 0.5}}
    (tmp_path / "training.json").write_text(json.dumps(before))
    now = {**record, "data": {"hard_words": ["a.csv"], "hard_share": 0.2}}
    said = "--hard_words ['a.csv'] instead of [], --hard_share 0.2 instead of 0.5"
    assert describe_changes(tmp_path, now) == said and not describe_changes(tmp_path, before)


def test_hard_words_take_their_share_of_their_folder():
    """And come equally often. A folder without any is drawn from as ever."""
    hard = [(1, 0), (1, 3), (4, 2)]
    plain = MixSampler([5, 8], [3, 1], seed=1)
    sampler = MixSampler([5, 8], [3, 1], 1, hard_words=hard, hard_share=0.4)
    counts, others = dict.fromkeys(hard, 0), np.zeros(13, int)
    for epoch in range(30):  # 10 draws of the first folder, 3 of the second
        sampler.epoch = plain.epoch = epoch
        draws, as_ever = list(sampler), list(plain)
        assert len(draws) == len(sampler) == len(as_ever) == 13
        for draw in draws:
            if draw.word == ANY_WORD:
                others[draw.index] += 1
            else:
                counts[draw.index, draw.word] += 1
        images = sorted(draw.index for draw in draws if draw.index >= 5)
        assert images == sorted(draw.index for draw in as_ever if draw.index >= 5)
        assert {draw.word for draw in as_ever} == {ANY_WORD}
    assert set(counts.values()) == {40} and set(others[:5]) == {36} and others[5:].sum() == 90


@pytest.mark.parametrize("name", ["none", "strong"])
def test_a_hard_word_is_in_its_crop(name):
    """Its middle is, whatever is beside it; not when another image stands in for a damaged one."""
    words = [word(2), word(50), word(30, ignore=True)]
    arrays = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE, 2), np.uint8), None
    source = SimpleNamespace(
        size=SIDE,
        read_sound=lambda index: (min(index, 1), *arrays),
        words=lambda index: words if index < 1 else words[:1],
    )
    dataset = TrainDataset(source, make_preset(name, 32, SIDE))
    for number in (0, 1):
        for seed in range(40):
            square = dataset._choose_square(
                np.random.default_rng(seed), words, SIDE, wanted=words[number]
            )
            middle = words[number].polygon.mean(0)[::-1]
            assert all(s.start <= m <= s.stop for s, m in zip(square, middle, strict=True))
    middle = words[1].polygon.mean(0)[None]
    if name == "none":
        points = [dataset.crop(CropChoice(0, seed, 1), middle)[3][0] for seed in range(40)]
        assert np.min(points) >= 0 and np.max(points) <= 32
    assert dataset.crop(CropChoice(2, 0, 1))[0].shape == (32, 32, 3)


def test_from_the_table_to_the_crops(tmp_path, run_well_here):
    """evaluate.py's table of the images that are trained on, as train.py takes it."""
    data, table = tmp_path / "data", tmp_path / "all.csv"
    write_images(data, 8)
    judge = ("evaluate.py", "--input_dir", data, "--split", "all", "--output", table)
    run_well_here(*judge, "--text_threshold", 0.9)
    samples, missed = read_samples(data)[0], 0
    rows = {row["file"]: row for row in csv.DictReader(table.open())}
    for sample in samples:
        fates = rows[sample.file]["fate of each word"].split()
        assert len(fates) == int(rows[sample.file]["words"]) == len(sample.words)
        assert fates.count("found") == int(rows[sample.file]["matched"])
        missed += fates.count("missed")
    assert missed == sum(int(row["missed"]) for row in rows.values())
    train = ("train.py", "--input_dir", data, "--image_size", SIDE, "--crop_size", 64)
    train += ("--output_dir", tmp_path / "out", "--show_samples", 2, "--hard_words", table)
    said = run_well_here(*train).stdout
    assert "--hard_words: " in said and (tmp_path / "out" / "samples.png").exists()
