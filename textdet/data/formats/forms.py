"""Scanned forms and receipts.

funsd    annotations/NAME.json   form[].words[].{box, text}; "" = don't care
sroie    NAME.txt                x1,y1,...,x4,y4,TEXT, one line of text each (task 1)
"""

import re
from pathlib import Path

import numpy as np

from textdet.common.files import parse_json
from textdet.common.geometry import rectangle
from textdet.data.annotation import Word
from textdet.data.formats.common import (
    UNDECODED,
    Items,
    ReadWords,
    find_one,
    leading_numbers,
    make_word,
    numbered,
    numbered_words,
    pair_files,
    read_lines,
    read_words,
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
    """SROIE outlines whole lines; they are cut at the spaces, every letter taken as equally wide
    (receipts are mostly printed so)."""
    return pair_files(
        source, find_one(source, "X*.txt", "*.txt"), lambda path: path.stem, _read_receipt
    )


def _read_form(path: Path) -> ReadWords:
    def parse(record: dict) -> Word:
        text = record["text"].strip()
        return make_word(text, outline_of(record), not text)

    def outline_of(record: dict) -> np.ndarray:
        return rectangle(*map(float, record["box"]))

    records = []
    for entry in parse_json(path.read_bytes())["form"]:
        if entry["words"] or not entry.get("text"):
            records += entry["words"]
        else:  # where its words are is not known, only where it is
            records.append({"text": "", "box": entry["box"]})
    return read_words(numbered_words(str(path), records), parse, outline_of)


def _read_receipt(path: Path) -> ReadWords:
    def parse(line: str) -> Word:
        match = _SROIE.fullmatch(line)
        if match is None:
            raise ValueError(f"not a line of this format: {line[:60]!r}")
        *numbers, text = match.groups()
        is_unknown = not text.strip() or UNDECODED in text  # nobody knows where to cut it
        return make_word(text, [float(n) for n in numbers], is_unknown)

    def outline_of(line: str) -> list[float]:
        return leading_numbers(line, 8)

    lines = read_words(numbered(path, read_lines(path)), parse, outline_of)
    words = [part for line in lines.words for part in _words_of(line)]
    return lines._replace(words=words)


def _words_of(line: Word) -> list[Word]:
    if line.ignore:
        return [line]
    return [make_word(part, quad) for part, quad in cut_line(line.text, line.polygon)]


def cut_line(text: str, quad: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Cut a line of text into words, by their share of its letters.

    Params:
        text: the line's, words separated by spaces.
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
