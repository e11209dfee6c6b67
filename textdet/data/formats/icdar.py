"""The ICDAR competitions' text files: one word (or character) per line.

    icdar2013             left, top, right, bottom, "text"   (or with spaces between the numbers)
    icdar2015             x1,y1,...,x4,y4,text               ### = don't care; sets of curved words
                          have six points or more, as Total-Text's and CTW1500's
    mlt                   x1,y1,...,x4,y4,script,text        ### = don't care (2017 and 2019)
    icdar2013_characters  R G B cx cy left top right bottom "character"   blank line = next word

Files may begin with a byte order mark and end their lines with CRLF. Images are found by name
anywhere below the folder.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from textdet.common.files import write_atomically
from textdet.common.geometry import outline_of_cells, rectangle
from textdet.data.annotation import Sample, Word
from textdet.data.formats.common import (
    NUMBER,
    Items,
    ReadWords,
    cells_of_boxes,
    find_one,
    leading_numbers,
    make_word,
    numbered,
    pair_files,
    read_lines,
    read_words,
)
from textdet.data.formats.shapes import DONT_CARE, icdar_corners

MLT_SCRIPTS = (
    *("Arabic", "Bangla", "Chinese", "Hindi", "Japanese", "Korean", "Latin"),
    *("Mixed", "None", "Symbols"),
    *("Cyrillic", "Devanagari", "Greek", "Hebrew", "Thai"),  # of people's own data in this layout
)
_NUMBER, _COMMA = rf"({NUMBER})", r"\s*,\s*"
_QUAD = r"\s*" + _COMMA.join([_NUMBER] * 8)
_ICDAR2015 = re.compile(_QUAD + r"\s*(?:,(.*))?")
# In place of the text, where there are six points or more: a fifth one would look like the figures
# of a text, as 8,5 or 1,234. Of these there are fewer, or it is a number as 1,234,567,890.
_BILLIONS = r"\s*\d{1,3}(?:,\d{3}){3}\s*$"
_COORDINATE = rf"\s*{NUMBER}\s*"
_FURTHER = re.compile(rf"(?!{_BILLIONS})((?:{_COORDINATE},{_COORDINATE}(?:,|$)){{2,}})(.*)")
_MLT = re.compile(_QUAD + r"\s*,([^,]*),(.*)")
# Four numbers with commas (test set) or spaces (training set) between them, then quoted text.
_ICDAR2013 = re.compile(r"\s*" + r"[\s,]+".join([_NUMBER] * 4) + r'[\s,]+"(.*)"\s*')
_CHARACTER = re.compile(r"\s*(?:#\s*)?" + r"\s+".join([_NUMBER] * 9) + r'\s+"(.*)"\s*')


def read_icdar2013(source: Path) -> Items:
    """Focused scene text: upright boxes."""

    def parse(line: str) -> Word:
        *numbers, text = _fields(_ICDAR2013, line)
        return make_word(text, rectangle(*map(float, numbers)), text.strip() == DONT_CARE)

    return _read(source, parse, lambda line: rectangle(*leading_numbers(line, 4)))


def read_icdar2015(source: Path) -> Items:
    """Incidental scene text: quads; polygons of sets that are laid out in the same way."""

    def parse(line: str) -> Word:
        *numbers, text = _fields(_ICDAR2015, line)
        if match := _FURTHER.fullmatch(text or ""):
            further, text = match.groups()
            numbers += further.rstrip(",").split(",")
        text = (text or "").strip()
        return make_word(text, [float(n) for n in numbers], text == DONT_CARE)

    return _read(source, parse, lambda line: leading_numbers(line, 8))


def read_mlt(source: Path) -> Items:
    """Scene text in several scripts: quads."""

    def parse(line: str) -> Word:
        *numbers, _script, text = _fields(_MLT, line)
        return make_word(text, [float(n) for n in numbers], text.strip() == DONT_CARE)

    return _read(source, parse, lambda line: leading_numbers(line, 8))


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


def _read(
    source: Path, parse: Callable[[str], Word], outline_of: Callable[[str], Sequence | np.ndarray]
) -> Items:
    return pair_files(
        source,
        find_one(source, "gt_*.txt", "*img_*.txt", "gt/*.txt", "*.txt"),
        lambda path: path.stem.removeprefix("gt_"),
        lambda path: read_words(numbered(path, read_lines(path)), parse, outline_of),
    )


def _fields(pattern: re.Pattern, line: str) -> tuple[str, ...]:
    match = pattern.fullmatch(line)
    if match is None:
        raise ValueError(f"not a word of this format: {line[:60]!r}")
    return match.groups()


def _read_characters(path: Path) -> ReadWords:
    """A leading # marks a character that does not count; its word becomes don't-care, and so does
    one of which another character cannot be read."""
    words, problems, unread, group, lost = [], [], 0, [], 0
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
                lost += 1
        else:
            try:
                words += [_word_of(group, bool(lost))] if group else []
            except ValueError as error:
                problems.append(f"{path}:{number}: {error}")
                lost += 1
            unread += lost
            group, lost = [], 0
    return ReadWords(words, problems, unread)


def _word_of(group: list[tuple[str, np.ndarray, bool]], ignore: bool) -> Word:
    """The word of some characters: the text, box (4, 2) and whether it is don't-care, of each."""
    quads = cells_of_boxes(np.array([box for _, box, _ in group]))
    texts = [text for text, _, _ in group]
    ignore = ignore or any(ignored for _, _, ignored in group)
    return make_word("".join(texts), outline_of_cells(quads), ignore, texts, quads)


def write_icdar2015(folder: Path, samples: list[Sample]) -> None:
    """Write gt/gt_NAME.txt for each image, in whole px as ICDAR's own evaluation wants them.

    Params:
        folder: with the images in images/.
        samples: these, with quads.

    Raises:
        OSError: when the disk refuses.
    """
    (folder / "gt").mkdir()
    for sample in samples:
        lines = []
        for word in sample.words:
            text = DONT_CARE if word.ignore else " ".join(word.text.splitlines())
            lines.append(f"{icdar_corners(word.polygon)},{text}\n")
        write_atomically(folder / "gt" / f"gt_{sample.image_path.stem}.txt", "".join(lines))
