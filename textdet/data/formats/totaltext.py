"""Total-Text: polygons along curved words, as .mat or as text.

    poly_gt_imgN.mat    polygt: a row a word, 'x:' [xs] 'y:' [ys] text orientation
    poly_gt_imgN.txt    x: [[206 251]], y: [[633 811]], ornt: [u'm'], transcriptions: [u'PAUL']

A transcription # means don't-care.
"""

import re
from pathlib import Path

import numpy as np

from textdet.data.annotation import Word
from textdet.data.formats.common import Items, find_one, make_word, pair_files, read_lines

DONT_CARE = "#"
_LINE = re.compile(
    r"\s*x:\s*\[\[([^\]]*)\]\],\s*y:\s*\[\[([^\]]*)\]\],\s*ornt:\s*\[(.*?)\],\s*"
    r"transcriptions:\s*\[u?(['\"])(.*)\4\]\s*"
)


def read_totaltext(source: Path) -> Items:
    """Photographs with a polygon around each word, curved ones too."""

    def read_words(path: Path) -> tuple[list[Word], list[str]]:
        rows = _rows_of_mat(path) if path.suffix == ".mat" else _rows_of_text(path)
        words, problems = [], []
        for number, row in rows:
            try:
                if row is None:
                    raise ValueError("not a word of this format")
                x, y, text = row
                points = np.stack([np.asarray(x, float).ravel(), np.asarray(y, float).ravel()], 1)
                words.append(make_word(text, points, text == DONT_CARE))
            except ValueError as error:
                problems.append(f"{path}:{number}: {error}")
        return words, problems

    return pair_files(
        source,
        find_one(source, "*gt_img*.mat", "*gt_img*.txt"),
        lambda path: path.stem.removeprefix("poly_").removeprefix("gt_"),
        read_words,
        lambda path: path.parent.name.lower(),
    )


def _rows_of_mat(path: Path) -> list[tuple[int, tuple]]:
    import scipy.io

    try:
        data = scipy.io.loadmat(path)
        table = next(data[name] for name in ("polygt", "gt") if name in data)
    except Exception as error:  # scipy raises many kinds on damaged files
        raise ValueError(f"no table of words ({error})") from None
    text = [str(np.ravel(row[4])[0]) if np.size(row[4]) else DONT_CARE for row in table]
    return [(n, (row[1], row[3], t)) for n, (row, t) in enumerate(zip(table, text, strict=True), 1)]


def _rows_of_text(path: Path) -> list[tuple[int, tuple | None]]:
    """An array of many points runs over several lines; a word ends at its transcription."""
    rows, pending = [], ""
    for number, line in read_lines(path):
        pending += " " + line
        if "transcriptions:" not in line:
            continue
        match = _LINE.fullmatch(pending)
        x, y, _, _, text = match.groups() if match else ("", "", "", "", "")
        values = x.replace(",", " ").split(), y.replace(",", " ").split()
        rows.append((number, (*values, text) if match else None))
        pending = ""
    return rows
