"""SynthText: gt.mat with imnames, wordBB, charBB and txt, and folders 1 to 200 of images.

Its 858,750 annotations are read one after the other (mat_stream.py).
"""

from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.data.annotation import READING_ERRORS, Word, name_within
from textdet.data.formats.common import (
    Item,
    Items,
    ReadWords,
    find_one,
    make_word,
    read_words,
)
from textdet.data.formats.mat_stream import Array, MatError, iterate_cells


def read_synthtext(source: Path) -> Items:
    """Generated images with words and characters; the set knows no splits.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    for path in find_one(source, "gt.mat"):
        columns = [iterate_cells(path, name) for name in ("imnames", "wordBB", "charBB", "txt")]
        try:
            for number, row in enumerate(zip(*columns, strict=True), 1):
                try:
                    image = path.parent / name_within(row[0][0])
                    if not image.is_file():
                        raise ValueError(f"there is no image {image}")
                    found = _words(*row[1:], str(image))
                except READING_ERRORS as error:
                    yield f"{path}: image {number} left out ({error})"
                    continue
                yield Item(image, found.words, "", found.problems, found.unread)
        except ValueError as error:  # of the file, or columns of several lengths
            raise DataError(
                str(error) if isinstance(error, MatError) else f"{path}: {error}"
            ) from None


def _words(words: Array, characters: Array, texts: Array, where: str) -> ReadWords:
    """wordBB: (2, 4, n), charBB: (2, 4, m), px; texts: strings, to be split into words."""
    outlines, quads = (_quads(boxes) for boxes in (words, characters))
    parts = [part for text in texts for part in text.split()]
    ends = np.cumsum([len(part) for part in parts], dtype=int)
    if len(parts) != len(outlines) or (ends[-1] if parts else 0) != len(quads):
        raise ValueError(
            f"{len(parts)} words with {sum(map(len, parts))} letters, "
            f"but {len(outlines)} and {len(quads)} boxes"
        )
    own = np.split(quads, ends[:-1]) if parts else []

    def parse(word: tuple[str, np.ndarray, np.ndarray]) -> Word:
        text, outline, cells = word
        return make_word(text, outline, False, list(text), cells)

    entries = ((where, word) for word in zip(parts, outlines, own, strict=True))
    return read_words(entries, parse, lambda word: word[1])


def _quads(boxes: np.ndarray) -> np.ndarray:
    """(2, 4, n) or (2, 4) to (n, 4, 2)."""
    return np.asarray(boxes, np.float64).reshape(2, 4, -1).transpose(2, 1, 0)
