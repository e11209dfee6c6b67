"""The ICDAR competitions' text files: a word (or a character) a line.

    icdar2013             left, top, right, bottom, "text"   (or with blanks between the numbers)
    icdar2015             x1,y1,...,x4,y4,text               ### = don't care
    mlt                   x1,y1,...,x4,y4,script,text        ### = don't care (2017 and 2019)
    icdar2013_characters  R G B cx cy left top right bottom "character"   blank line = next word

Files may begin with a byte order mark and end their lines with CRLF. Images are found by name
anywhere below the folder.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from textdet.data.annotation import Word
from textdet.data.formats.common import (
    Items,
    cells_of_boxes,
    find_one,
    hull,
    make_word,
    pair_files,
    read_lines,
    rectangle,
)

DONT_CARE = "###"
MLT_SCRIPTS = (
    *("Arabic", "Bangla", "Chinese", "Hindi", "Japanese", "Korean", "Latin"),
    *("Mixed", "None", "Symbols"),
)
_NUMBER, _COMMA = r"(-?\d+(?:\.\d+)?)", r"\s*,\s*"
_QUAD = r"\s*" + _COMMA.join([_NUMBER] * 8)
_ICDAR2015 = re.compile(_QUAD + r"\s*(?:,(.*))?")
_MLT = re.compile(_QUAD + r"\s*,([^,]*),(.*)")
# Four numbers with commas (test set) or blanks (training set) between them, then quoted text.
_ICDAR2013 = re.compile(r"\s*" + r"[\s,]+".join([_NUMBER] * 4) + r'[\s,]+"(.*)"\s*')
_CHARACTER = re.compile(r"\s*#?\s*" + r"\s+".join([_NUMBER] * 9) + r'\s+"(.*)"\s*')


def read_icdar2013(source: Path) -> Items:
    """Focused scene text: upright boxes."""

    def parse(line: str) -> Word:
        *numbers, text = _fields(_ICDAR2013, line)
        return make_word(text, rectangle(*map(float, numbers)), text == DONT_CARE)

    return _read(source, parse)


def read_icdar2015(source: Path) -> Items:
    """Incidental scene text: quads."""

    def parse(line: str) -> Word:
        *numbers, text = _fields(_ICDAR2015, line)
        return make_word(text or "", [float(n) for n in numbers], text == DONT_CARE)

    return _read(source, parse)


def read_mlt(source: Path) -> Items:
    """Scene text in several scripts: quads."""

    def parse(line: str) -> Word:
        *numbers, _script, text = _fields(_MLT, line)
        return make_word(text, [float(n) for n in numbers], text == DONT_CARE)

    return _read(source, parse)


def read_icdar2013_characters(source: Path) -> Items:
    """Challenge 2.2, text segmentation: characters with upright boxes, grouped into words."""
    return pair_files(
        source,
        find_one(source, "*_GT.txt"),
        lambda path: path.stem.removesuffix("_GT"),
        _read_characters,
    )


def looks_like(line: str) -> str | None:
    """The name of the format that a line of a gt file is in; None when it is in none."""
    if (match := _MLT.fullmatch(line)) and match[9] in MLT_SCRIPTS:
        return "mlt"
    for name, pattern in (("icdar2013", _ICDAR2013), ("icdar2015", _ICDAR2015)):
        if pattern.fullmatch(line):
            return name
    return None


def _read(source: Path, parse: Callable[[str], Word]) -> Items:
    def read_words(path: Path) -> tuple[list[Word], list[str]]:
        words, problems = [], []
        for number, line in read_lines(path):
            try:
                words.append(parse(line))
            except ValueError as error:
                problems.append(f"{path}:{number}: {error}")
        return words, problems

    truth = find_one(source, "gt_*.txt", "*img_*.txt", "gt/*.txt")
    return pair_files(source, truth, lambda path: path.stem.removeprefix("gt_"), read_words)


def _fields(pattern: re.Pattern, line: str) -> tuple[str, ...]:
    match = pattern.fullmatch(line)
    if match is None:
        raise ValueError(f"not a word of this format: {line[:60]!r}")
    return match.groups()


def _read_characters(path: Path) -> tuple[list[Word], list[str]]:
    """A leading # marks a character that does not count; its word becomes don't-care."""
    words, problems, group = [], [], []
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            try:
                *numbers, text = _fields(_CHARACTER, line)
                box = rectangle(*map(float, numbers[5:]))
                make_word(text, box)
                group.append((text, box, line.lstrip().startswith("#")))
            except ValueError as error:
                problems.append(f"{path}:{number}: {error}")
        elif group:
            quads = cells_of_boxes(np.array([box for _, box, _ in group]))
            texts = [text for text, _, _ in group]
            ignore = any(ignored for _, _, ignored in group)
            words.append(make_word("".join(texts), hull(quads), ignore, texts, quads))
            group = []
    return words, problems
