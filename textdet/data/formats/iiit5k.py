"""IIIT 5K-word: cropped words with a box a character, trainCharBound.mat and testCharBound.mat."""

from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.data.formats.common import (
    Item,
    Items,
    cells_of_boxes,
    find_one,
    hull,
    make_word,
    rectangle,
)


def read_iiit5k(source: Path) -> Items:
    """Images of one word each.

    Raises:
        DataError: there is no such file, or it is damaged.
    """
    import scipy.io

    for path in find_one(source, "*CharBound.mat"):
        try:
            data = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
            records = np.atleast_1d(data[path.stem])
        except Exception as error:  # scipy raises many kinds on damaged files
            raise DataError(f"{path}: not readable ({error})") from None
        for record in records:
            image = path.parent / str(record.ImgName)
            if not image.is_file():
                yield f"{path}: there is no image {image}"
                continue
            try:
                boxes = [
                    rectangle(x, y, x + w, y + h)
                    for x, y, w, h in np.reshape(record.charBB, (-1, 4))
                ]
                text = str(record.chars)
                if len(text) != len(boxes):
                    raise ValueError(f"{len(text)} letters, {len(boxes)} boxes")
                quads = cells_of_boxes(np.array(boxes, np.float64))
                word = make_word(text, hull(quads), False, list(text), quads)
            except (ValueError, TypeError) as error:
                yield f"{path}: {image.name}: left out ({error})"
                continue
            yield Item(image, [word], path.stem.removesuffix("CharBound"))
