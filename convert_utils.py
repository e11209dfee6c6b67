"""Readers of real data sets with word-level truth.

    icdar2015    images/  gt/gt_NAME.txt            x1,y1,...,x4,y4,text     ### = don't care
    icdar2013    images/  gt/gt_NAME.txt            left, top, right, bottom, "text"
    funsd        images/  annotations/NAME.json     form[].words[].{box, text}; "" = don't care
    triplets     see dataset_utils.py

The word-level formats give words without characters. Coordinates are taken as they stand, in px.
"""

import json
import re
from pathlib import Path

import numpy as np

from dataset_utils import ANNOTATIONS, IMAGES, DataError, Sample, Word, read_samples

DONT_CARE = "###"
_NUMBER, _COMMA = r"(-?\d+(?:\.\d+)?)", r"\s*,\s*"
_ICDAR2015 = re.compile(r"\s*" + _COMMA.join([_NUMBER] * 8) + r"\s*(?:,(.*))?")
# Four numbers with commas (test set) or blanks (training set) between them, then quoted text.
_ICDAR2013 = re.compile(r"\s*" + r"[\s,]+".join([_NUMBER] * 4) + r'[\s,]+"(.*)"\s*')


def read_dataset(folder: str | Path, layout: str = "auto") -> tuple[list[Sample], list[str]]:
    """Read a data set in one of the layouts of READERS, or find out in which it is.

    Returns the samples in the order of their names, and a line for each image or word that was
    left out. Raises DataError when there is no such folder or nothing in it can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    samples, problems = READERS[find_layout(folder) if layout == "auto" else layout](folder)
    if not samples:
        raise DataError(f"{folder}: no annotated image in it can be read; {problems[:1]}")
    return samples, problems


def find_layout(folder: Path) -> str:
    """The name in READERS that a folder looks like. Raises DataError when there is none."""
    if any((folder / ANNOTATIONS).glob("*.jsonl")):
        return "triplets"
    if any((folder / ANNOTATIONS).glob("*.json")):
        return "funsd"
    for path in sorted((folder / "gt").glob("*.txt")):
        for _, line in _lines(path):
            if _ICDAR2013.fullmatch(line):
                return "icdar2013"
            if _ICDAR2015.fullmatch(line):
                return "icdar2015"
    raise DataError(
        f"{folder}: not a data set: there is neither {ANNOTATIONS}/*.jsonl (generate_images.py), "
        f"nor {ANNOTATIONS}/*.json (FUNSD), nor gt/*.txt with ICDAR's lines"
    )


def read_icdar2015(folder: Path) -> tuple[list[Sample], list[str]]:
    """Four corners a word. Returns as read_dataset."""

    def read_words(path: Path) -> tuple[list[Word], list[str]]:
        return _words_of_lines(path, _ICDAR2015, lambda n: np.reshape(n, (4, 2)))

    return _read(folder, folder / "gt", ".txt", read_words)


def read_icdar2013(folder: Path) -> tuple[list[Sample], list[str]]:
    """An upright box a word. Returns as read_dataset."""

    def read_words(path: Path) -> tuple[list[Word], list[str]]:
        return _words_of_lines(path, _ICDAR2013, lambda n: _rectangle(*n))

    return _read(folder, folder / "gt", ".txt", read_words)


def read_funsd(folder: Path) -> tuple[list[Sample], list[str]]:
    """Scanned forms, an upright box a word. Returns as read_dataset."""

    def read_words(path: Path) -> tuple[list[Word], list[str]]:
        words, problems = [], []
        form = json.loads(path.read_text(encoding="utf-8-sig"))["form"]
        for number, record in enumerate((w for entry in form for w in entry["words"]), 1):
            text = record["text"].strip()
            try:
                words.append(_word(text, _rectangle(*map(float, record["box"])), not text))
            except ValueError as error:
                problems.append(f"{path}: word {number}: {error}")
        return words, problems

    return _read(folder, folder / ANNOTATIONS, ".json", read_words)


READERS = {
    "triplets": read_samples,
    "icdar2013": read_icdar2013,
    "icdar2015": read_icdar2015,
    "funsd": read_funsd,
}


def _read(folder: Path, truth: Path, suffix: str, read_words) -> tuple[list[Sample], list[str]]:
    """Pair the files of images/ with those of `truth`, NAME with gt_NAME or NAME.

    read_words: takes an annotation's path, returns its words and its problems.
    """
    from PIL import Image

    if not (folder / IMAGES).is_dir():
        raise DataError(f"{folder}: no {IMAGES}/ in it")
    annotations = {path.stem.removeprefix("gt_"): path for path in truth.glob(f"*{suffix}")}
    samples, problems = [], []
    for image_path in sorted(path for path in (folder / IMAGES).iterdir() if path.is_file()):
        path = annotations.pop(image_path.stem, None)
        if path is None:
            problems.append(f"{image_path}: no annotation for it in {truth}")
            continue
        try:
            words, damaged = read_words(path)
            with Image.open(image_path) as image:
                width, height = image.size
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{image_path}: left out ({error})")
            continue
        samples.append(Sample(folder, image_path.name, width, height, words))
        problems += damaged
    problems += [f"{path}: there is no image for it" for path in annotations.values()]
    return samples, problems


def _lines(path: Path) -> list[tuple[int, str]]:
    """A text file's lines with their numbers, without a byte order mark and blank lines."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]


def _words_of_lines(path: Path, pattern: re.Pattern, to_polygon) -> tuple[list[Word], list[str]]:
    """Words of an ICDAR text file: numbers and a text a line."""
    words, problems = [], []
    for number, line in _lines(path):
        match = pattern.fullmatch(line)
        if match is None:
            problems.append(f"{path}:{number}: not a word of this format: {line[:60]!r}")
            continue
        *numbers, text = match.groups()
        try:
            polygon = to_polygon([float(value) for value in numbers])
            words.append(_word(text or "", polygon, text == DONT_CARE))
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    return words, problems


def _rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _word(text: str, polygon: np.ndarray, ignore: bool) -> Word:
    """A word without characters. Raises ValueError for a polygon without area."""
    x, y = polygon.T
    if abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) < 1e-6:
        raise ValueError(f"the box of {text!r} has no area")
    return Word(text, [], np.zeros((0, 4, 2), np.float32), polygon.astype(np.float32), ignore)
