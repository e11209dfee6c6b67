"""cut_backgrounds.py on drawn photographs, as its users run it."""

import itertools
import json

import numpy as np
import pytest
from conftest import assert_refused, run_well
from PIL import Image

from textdet.data import free_windows
from textdet.data.triplets import read_sample_image, read_samples

HEIGHT, WIDTH = 240, 400
WORDS = {  # left, top, right, bottom, text; ICDAR 2013's and 2015's ### is don't-care
    "a": [(10, 200, 120, 225, "bottom")],
    "b": [(150, 0, 170, 240, "middle")],
    "c": [(0, 90, 400, 130, "across")],
    "d": [(190, 110, 210, 130, "centre"), (20, 20, 60, 40, "###")],
    # A word in a don't-care region: the overlap is not free.
    "e": [(0, 0, 400, 150, "###"), (20, 10, 380, 140, "large")],
}


@pytest.fixture
def source(tmp_path):
    """Grey photographs whose words are white; the last one is damaged."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, words in WORDS.items():
        image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        lines = []
        for left, top, right, bottom, text in words:
            image[top:bottom, left:right] = 255
            corners = (left, top, right, top, right, bottom, left, bottom)
            lines.append(",".join(map(str, (*corners, text))))
        Image.fromarray(image).save(folder / f"{name}.png")
        (folder / f"gt_{name}.txt").write_text("\n".join(lines))
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "damaged.png")
    whole = (folder / "damaged.png").read_bytes()
    (folder / "damaged.png").write_bytes(whole[: len(whole) // 2])
    (folder / "gt_damaged.txt").write_text("1,1,9,1,9,9,1,9,word")
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "torn.png")
    (folder / "gt_torn.txt").write_text("1,1,9,1,9,9,1,9,word\n1,1,9,word with too few numbers")
    return folder


def largest_area(words, smallest):
    """Area of the largest free window on the grid, found by trying all of them."""
    step, margin, best = free_windows.GRID, free_windows.WORD_MARGIN, 0
    rows = list(itertools.combinations(range(0, HEIGHT + 1, step), 2))
    columns = list(itertools.combinations(range(0, WIDTH + 1, step), 2))
    for (y0, y1), (x0, x1) in itertools.product(rows, columns):
        short, long = sorted((y1 - y0, x1 - x0))
        if short < smallest or long > free_windows.MAX_ASPECT * short:
            continue
        if all(
            x1 <= left - margin or x0 > right + margin or y1 <= top - margin or y0 > bottom + margin
            for left, top, right, bottom, _ in words
        ):
            best = max(best, (y1 - y0) * (x1 - x0))
    return best


def test_windows_are_large_and_free_of_words(source, tmp_path, run_well_here):
    folder = tmp_path / "windows"
    command = ("cut_backgrounds.py", "--input_dir", source, "--min_size", 80, "--num_workers", 1)
    result = run_well(*command, "--save_folder", folder)
    assert "damaged.png" in result.stderr
    record = json.loads((folder / "dataset.json").read_text())
    assert record["counts"]["left out"] == len(record["left_out"])
    *_, damaged, torn = record["left_out"]
    assert "damaged.png" in damaged and "torn.png: 1 of its words cannot be read" in torn
    samples, problems = read_samples(folder)
    assert not problems and f"{len(samples)} windows of 5 images" in result.stdout
    windows = {name: [s for s in samples if s.extra["source"] == f"{name}.png"] for name in WORDS}
    for name, own in windows.items():
        taken = np.zeros((HEIGHT, WIDTH), int)
        for sample in own:
            # Nothing of a word is in the picture, nor was it where the record says.
            assert read_sample_image(sample).max() < 110
            left, top = sample.extra["left"], sample.extra["top"]
            assert min(sample.width, sample.height) >= 80
            taken[top : top + sample.height, left : left + sample.width] += 1
        for left, top, right, bottom, _ in WORDS[name]:
            assert not taken[top:bottom, left:right].any()
        assert taken.max() == 1  # they do not overlap
        largest = max(s.width * s.height for s in own)
        assert largest >= largest_area(WORDS[name], 80)
    assert len(windows["c"]) == 2  # above and below the word

    # A run that was interrupted ends with the same files, and so do two workers in other chunks.
    before = {p.name: p.read_bytes() for p in (folder / "images").iterdir()}
    (folder / "annotations" / "00000.jsonl").unlink()
    next((folder / "images").iterdir()).unlink()
    run_well_here(*command, "--save_folder", folder)
    assert before == {p.name: p.read_bytes() for p in (folder / "images").iterdir()}
    two = tmp_path / "two"
    run_well(*command[:-1], 2, "--chunk_size", 2, "--subfolders", "--save_folder", two)
    assert [path.name for path in (two / "images").iterdir()] == ["00000"]
    assert before == {p.name: p.read_bytes() for p in (two / "images" / "00000").iterdir()}
    assert len(read_samples(two)[0]) == len(samples)

    run_well_here(
        *("generate_images.py", "--num_images", 2, "--image_size", 96, "--num_workers", 1),
        *("--backgrounds", two, "--save_folder", tmp_path / "generated"),
        "--no-check_backgrounds",
    )
    assert len(read_samples(tmp_path / "generated")[0]) == 2


def test_bad_input_is_one_line(source, tmp_path, run_here):
    command = ("cut_backgrounds.py", "--input_dir", source, "--num_workers", 1)
    out = tmp_path / "out"
    assert_refused(
        run_here(*command, "--save_folder", out, "--min_size", 260),
        "no window",
        "damaged.png",
        "--min_size",
    )
    assert_refused(run_here(*command, "--save_folder", out), "min_size (260 there, 256 now)")
    assert_refused(run_here(*command, "--save_folder", source), "only read from", "--save_folder")
    assert_refused(run_here(*command, "--save_folder", source / "out"), "taken for a part of")
    assert_refused(
        run_here(*command, "--save_folder", source.parent, "--overwrite"), "only read from"
    )
    with (source / "gt_c.txt").open("a") as file:  # a word that had been overlooked
        file.write("\n1,1,9,1,9,9,1,9,###")
    again = run_here(*command, "--save_folder", out, "--min_size", 260)
    assert_refused(again, "made with other settings: images (")
    (tmp_path / "empty").mkdir()
    command = ("cut_backgrounds.py", "--input_dir", tmp_path / "empty", "--save_folder", out)
    assert_refused(run_here(*command), "empty")
