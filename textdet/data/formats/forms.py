"""Scanned forms and receipts.

funsd    annotations/NAME.json   form[].words[].{box, text}; "" = don't care
sroie    NAME.txt                x1,y1,...,x4,y4,TEXT, one line of text each (task 1)
"""

import json
import re
from pathlib import Path

import numpy as np

from textdet.data.annotation import Word
from textdet.data.formats.common import (
    Items,
    find_one,
    make_word,
    pair_files,
    read_lines,
    rectangle,
)

_SROIE = re.compile(",".join([r"\s*(-?\d+(?:\.\d+)?)\s*"] * 8) + ",(.*)")


def read_funsd(source: Path) -> Items:
    """Scanned forms with upright boxes around words."""
    return pair_files(
        source,
        find_one(source, "annotations/*.json"),
        lambda path: path.stem,
        _read_form,
        lambda path: path.parent.parent.name.removesuffix("ing_data"),  # training_data -> train
    )


def read_sroie(source: Path) -> Items:
    """SROIE outlines whole lines; they are cut at the blanks, every letter taken as equally wide
    (receipts are mostly printed so)."""
    return pair_files(
        source, find_one(source, "X*.txt", "*.txt"), lambda path: path.stem, _read_receipt
    )


def _read_form(path: Path) -> tuple[list[Word], list[str]]:
    words, problems = [], []
    form = json.loads(path.read_text(encoding="utf-8-sig"))["form"]
    for number, record in enumerate((w for entry in form for w in entry["words"]), 1):
        text = record["text"].strip()
        try:
            words.append(make_word(text, rectangle(*map(float, record["box"])), not text))
        except (ValueError, TypeError) as error:
            problems.append(f"{path}: word {number}: {error}")
    return words, problems


def _read_receipt(path: Path) -> tuple[list[Word], list[str]]:
    words, problems = [], []
    for number, line in read_lines(path):
        match = _SROIE.fullmatch(line)
        try:
            if match is None:
                raise ValueError(f"not a line of this format: {line[:60]!r}")
            *numbers, text = match.groups()
            quad = make_word(text, [float(n) for n in numbers]).polygon
            words += [make_word(part, part_quad) for part, part_quad in cut_line(text, quad)]
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    return words, problems


def cut_line(text: str, quad: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Cut a line of text into words, by their share of its letters.

    Params:
        text: the line's, words parted by blanks.
        quad: (4, 2), around the line, clockwise from its top left.

    Returns:
        Each word with its part (4, 2) of the quad.
    """
    text = text.strip()
    top, bottom = quad[[0, 1]], quad[[3, 2]]
    parts = []
    for match in re.finditer(r"\S+", text):
        ends = np.array(match.span()) / len(text)
        upper, lower = (
            [side[0] + (side[1] - side[0]) * share for share in ends] for side in (top, bottom)
        )
        parts.append((match.group(), np.array([*upper, *lower[::-1]])))
    return parts
