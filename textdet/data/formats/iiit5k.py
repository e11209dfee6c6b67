"""IIIT 5K-word: cropped words, a box for each character; trainCharBound.mat, testCharBound.mat."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.geometry import outline_of_cells, rectangle
from textdet.data.annotation import READING_ERRORS, name_within
from textdet.data.formats.common import (
    Item,
    Items,
    cells_of_boxes,
    find_one,
    make_word,
)
from textdet.data.formats.mat_stream import Array, MatError, read_variable


def read_iiit5k(source: Path) -> Items:
    """Images of one word each.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    for path in find_one(source, "*CharBound.mat"):
        try:
            records = list(_records(read_variable(path, path.stem)))
        except MatError as error:
            raise DataError(str(error)) from None
        for number, record in enumerate(records, 1):
            try:
                image = path.parent / name_within(_text(record["ImgName"]))
                if not image.is_file():
                    raise ValueError(f"there is no image {image}")
                text, quads = _text(record["chars"]), cells_of_boxes(_boxes(record["charBB"]))
                if len(text) != len(quads):
                    raise ValueError(f"{image.name}: {len(text)} letters, {len(quads)} boxes")
                word = make_word(text, outline_of_cells(quads), False, list(text), quads)
            except READING_ERRORS as error:
                yield f"{path}: image {number} left out ({error})"
                continue
            yield Item(image, [word], path.stem.removesuffix("CharBound"))


def _records(table: Array) -> Iterator[dict]:
    """The structures of an array of them, or of cells with one each; whatever a list holds."""
    if isinstance(table, list):
        yield from table
    elif table.dtype == object:
        for cell in table.ravel():
            yield from _records(cell)


def _text(rows: list[str]) -> str:
    (row,) = rows
    return row


def _boxes(values: np.ndarray) -> np.ndarray:
    """(n, 4, 2) corners of the boxes [left, top, width, height]."""
    boxes = np.asarray(values, np.float64).reshape(-1, 4)
    return np.array([rectangle(x, y, x + w, y + h) for x, y, w, h in boxes])
