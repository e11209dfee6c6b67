"""SynthText: gt.mat with imnames, wordBB, charBB and txt, and folders 1 to 200 of images.

Its 858,750 annotations are read one after the other (mat_stream.py).
"""

from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.data.annotation import Word
from textdet.data.formats.common import Item, Items, find_one, make_word
from textdet.data.formats.mat_stream import MatError, iterate_cells


def read_synthtext(source: Path) -> Items:
    """Generated images with words and characters; the set knows no splits.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    for path in find_one(source, "gt.mat"):
        columns = [iterate_cells(path, name) for name in ("imnames", "wordBB", "charBB", "txt")]
        try:
            for names, words, characters, texts in zip(*columns, strict=True):
                image = path.parent / (names[0] if isinstance(names, list) and names else "")
                if not image.is_file():
                    yield f"{path}: there is no image {image}"
                    continue
                try:
                    yield Item(image, *_words(words, characters, texts, image))
                except (ValueError, TypeError) as error:
                    yield f"{path}: {image.name}: left out ({error})"
        except MatError as error:
            raise DataError(f"{path}: {error}") from None


def _words(
    words: np.ndarray, characters: np.ndarray, texts: list[str], image: Path
) -> tuple[list[Word], str, list[str]]:
    """wordBB: (2, 4, n), charBB: (2, 4, m), px; texts: strings whose blanks part the words."""
    outlines, quads = (_quads(boxes) for boxes in (words, characters))
    parts = [part for text in texts for part in text.split()]
    if len(parts) != len(outlines) or sum(map(len, parts)) != len(quads):
        raise ValueError(
            f"{len(parts)} words with {sum(map(len, parts))} letters, "
            f"but {len(outlines)} and {len(quads)} boxes"
        )
    found, problems, start = [], [], 0
    for text, outline in zip(parts, outlines, strict=True):
        own = quads[start : start + len(text)]
        start += len(text)
        try:
            found.append(make_word(text, outline, False, list(text), own))
        except ValueError as error:
            problems.append(f"{image}: {error}")
    return found, "", problems


def _quads(boxes: np.ndarray) -> np.ndarray:
    """(2, 4, n) or (2, 4) to (n, 4, 2)."""
    return np.asarray(boxes, np.float64).reshape(2, 4, -1).transpose(2, 1, 0)
