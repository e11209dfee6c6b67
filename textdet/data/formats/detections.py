"""What detect.py wrote: NAME.json for each image, which lies where "file" says; see detect.py."""

from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import parse_json
from textdet.data.annotation import READING_ERRORS, Word, points_of
from textdet.data.formats.common import (
    Item,
    Items,
    find_one,
    make_word,
    numbered_words,
    read_words,
)
from textdet.data.formats.listed import size_of


def read_detections(source: Path) -> Items:
    """A model's words, whose texts nobody knows.

    Raises:
        DataError: when there are no such files.
    """
    found = 0
    for path in find_one(source, "*.json"):
        try:
            data = parse_json(path.read_bytes())
            if not looks_like(data):
                continue
            found += 1
            image = Path(data["file"])
            if not image.is_file():
                yield f"{path}: its image is not there any more: {image}"
                continue
            if data.get("page", 1) != 1:
                yield f"{path}: of page {data['page']} of {image}; only first pages are read"
                continue
            words = read_words(numbered_words(str(path), data["words"]), _word, _outline)
            size = size_of(*data["size"])
        except (OSError, *READING_ERRORS) as error:
            yield f"{path}: damaged ({error})"
            continue
        yield Item(image, words.words, "", words.problems, words.unread, upright=True, size=size)
    if not found:
        raise DataError(f"{source}: no .json in it is a result of detect.py")


def looks_like(data: Any) -> bool:
    """Whether a decoded file is a result of detect.py."""
    return isinstance(data, dict) and {"file", "size", "model", "words", "lines"} <= data.keys()


def _outline(word: dict) -> np.ndarray:
    return points_of(word.get("polygon") or word["quad"])


def _word(word: dict) -> Word:
    return make_word("", _outline(word))
