"""Total-Text: polygons along curved words, as .mat or as text.

    poly_gt_imgN.mat    polygt: one row per word, 'x:' [xs] 'y:' [ys] text orientation
    poly_gt_imgN.txt    x: [[206 251]], y: [[633 811]], ornt: [u'm'], transcriptions: [u'PAUL']

A transcription # means don't-care.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from textdet.data.annotation import Word
from textdet.data.formats.common import (
    Items,
    ReadWords,
    find_one,
    make_word,
    numbered,
    pair_files,
    read_lines,
    read_words,
)
from textdet.data.formats.mat_stream import read_variable

DONT_CARE = "#"
_X, _Y = (re.compile(rf"{axis}:\s*\[\[([^\[\]]*)\]\]") for axis in "xy")
_TEXT = re.compile(r"\s*\[u?(['\"])(.*)\1\]\s*")
Row = tuple[object, object, str | None]  # xs and ys of the outline, px, and the text


def read_totaltext(source: Path) -> Items:
    """Photographs with a polygon around each word, curved ones too."""
    return pair_files(
        source,
        find_one(source, "*gt_img*.mat", "*gt_img*.txt"),
        lambda path: path.stem.removeprefix("poly_").removeprefix("gt_"),
        _read_file,
        lambda path: path.parent.name.lower(),
    )


def _read_file(path: Path) -> ReadWords:
    rows = _rows_of_mat(path) if path.suffix.lower() == ".mat" else _rows_of_text(path)
    return read_words(numbered(path, rows), _parse, _outline_of)


def _parse(row: Row) -> Word:
    text = row[2]
    if text is None:
        raise ValueError("not a word of this format")
    return make_word(text, _outline_of(row), text.strip() == DONT_CARE)


def _outline_of(row: Row) -> np.ndarray:
    return np.stack([np.asarray(values, float).ravel() for values in row[:2]], 1)


def _rows_of_mat(path: Path) -> Iterator[tuple[int, Row]]:
    for number, row in enumerate(read_variable(path, "polygt", "gt"), 1):
        text = row[4]
        if not isinstance(text, list):  # numbers: none, or the text is one
            text = [str(value) for value in np.ravel(text)]
        yield number, (row[1], row[3], text[0] if text else DONT_CARE)


def _rows_of_text(path: Path) -> Iterator[tuple[int, Row]]:
    """An array of many points runs over several lines; a word ends at its transcription."""
    pending = []
    for number, line in read_lines(path):
        pending.append(line)
        if "transcriptions:" in line:
            yield number, _row(" ".join(pending))
            pending = []
    if pending:
        yield number, _row(" ".join(pending))


def _row(word: str) -> Row:
    before, _, after = word.partition("transcriptions:")
    x, y, text = _X.search(before), _Y.search(before), _TEXT.fullmatch(after)
    values = [match[1].replace(",", " ").split() if match else [] for match in (x, y)]
    return (*values, text[2] if text else None)
