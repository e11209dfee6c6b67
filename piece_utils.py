"""Large images in pieces of the size that training works at."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from dataset_utils import Sample, Word
from static import constants as C


def cut_pieces(image: np.ndarray, words: list[Word], side: int) -> list[tuple]:
    """Squares of at most `side` px for training: the image whole, and cut at its full size.

    An image that fits is returned as it is. Others come once shrunk, for their large words, and
    in overlapping tiles for their small ones; what a border cuts, and what shrinks below
    MIN_PIECE_WORD, is don't-care there.
    Returns (image (h, w, 3) uint8, words in its coordinates) pairs.
    """
    height, width = image.shape[:2]
    if max(width, height) <= side:
        return [(image, words)]
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    pieces = [(shrunk, [word.mapped(scale) for word in words])]
    for top in _starts(height, side):
        for left in _starts(width, side):
            tile = image[top : top + side, left : left + side]
            inside = [word.mapped(offset=(-left, -top)) for word in words]
            pieces.append((tile, [w for w in inside if _touches(w, tile.shape)]))
    return [(piece, [_cut(word, piece.shape) for word in own]) for piece, own in pieces]


def piece_file(sample: Sample, number: int) -> str:
    """Name of the file of one of an image's pieces.

    Folders and the ending become part of it, written so that no two images share a name: a/1.jpg,
    a_1.jpg and a/1.png may be in one set.
    """
    name = Path(sample.file).as_posix().replace("%", "%25").replace("/", "%2F")
    return f"{name}_{number:02d}.jpg"


def _starts(length: int, side: int) -> list[int]:
    """Where spans of `side` begin so that they cover `length`, overlapping evenly."""
    number = -(-length // side)
    return [round(i * (length - side) / max(1, number - 1)) for i in range(number)]


def _touches(word: Word, shape: tuple) -> bool:
    low, high = word.polygon.min(0), word.polygon.max(0)
    return (high > 0).all() and (low < (shape[1], shape[0])).all()


def _cut(word: Word, shape: tuple) -> Word:
    """The word, without cells and don't-care where it is too small or a border cuts it."""
    limits = np.array([shape[1], shape[0]])
    whole = (word.polygon >= -1).all() and (word.polygon <= limits + 1).all()
    low = cv2.minAreaRect(word.polygon)[1]
    if whole and min(low) >= C.MIN_PIECE_WORD:
        return word
    polygon = word.polygon.clip(0, limits).astype(np.float32)
    return replace(word, characters=[], quads=word.quads[:0], polygon=polygon, ignore=True)
