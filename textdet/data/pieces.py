"""Large images cut into pieces of the size that training works at."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from textdet.common.files import shortened
from textdet.common.geometry import part_inside, tile_starts
from textdet.common.images import resize
from textdet.data.annotation import Sample, Word

OVERLAP = 0.125  # of a tile's side, at least, so that a word on a seam is whole in one of the two
ESCAPED = re.compile(r'[%/\\:*?"<>|\x00-\x1f]')  # in names: %, and what Windows refuses in them
MIN_WORD_HEIGHT = 5.0  # px, words of real images that are lower once shrunk are don't-care


def cut_pieces(
    image: np.ndarray, words: list[Word], side: int
) -> list[tuple[np.ndarray, list[Word]]]:
    """Squares of at most `side` px for training: the image whole, and cut at its full size.

    An image that fits is returned as it is. Others come once shrunk, for their large words, and
    in overlapping tiles for their small ones; what a border cuts, and what shrinks below
    MIN_WORD_HEIGHT, is don't-care there.

    Params:
        image: (H, W, C) uint8, C at most 4.
        words: in it.
        side: px.

    Returns:
        a pair for each piece: image (h, w, C) uint8, and the words in its coordinates.
    """
    height, width = image.shape[:2]
    if max(width, height) <= side:
        return [(image, words)]
    scale, overlap = side / max(width, height), round(OVERLAP * side)
    whole = resize(image, scale)
    exact = whole.shape[1] / width, whole.shape[0] / height  # its sides are whole px
    pieces = [(whole, [word.mapped(exact) for word in words])]
    low, high = (
        np.array([end(word.polygon, axis=0) for word in words]).reshape(-1, 2)
        for end in (np.min, np.max)
    )
    for top in tile_starts(height, side, overlap):
        for left in tile_starts(width, side, overlap):
            tile = image[top : top + side, left : left + side]
            # Most words of a large image lie far from most tiles.
            near = (high >= (left, top)).all(1) & (low <= (left + side, top + side)).all(1)
            own = [words[number].mapped(offset=(-left, -top)) for number in np.flatnonzero(near)]
            pieces.append((tile, own))
    return [(p, [cut for word in own if (cut := _cut(word, p.shape))]) for p, own in pieces]


def piece_file(sample: Sample, number: int) -> str:
    """Name of the file of one of an image's pieces, the one with this number.

    Folders and the ending become part of it, escaped so that no two images share a name: a/1.jpg,
    a_1.jpg and a/1.png may be in one set.

    Params:
        sample: the whole image.
        number: of the piece, 0 for the first.
    """
    name = Path(sample.file).as_posix()
    name = ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", name)
    return f"{shortened(name)}_{number:02d}.jpg"


def _cut(word: Word, shape: tuple) -> Word | None:
    """The word, without cells and don't-care where it is too small or a border cuts it; None where
    it lies outside."""
    limits = np.array([shape[1], shape[0]])
    whole = (word.polygon >= -1).all() and (word.polygon <= limits + 1).all()
    height = min(cv2.minAreaRect(word.polygon)[1])
    if whole and height >= MIN_WORD_HEIGHT:
        return word
    polygon = part_inside(word.polygon, *limits.tolist())
    if polygon is None:
        return None
    return replace(
        word, characters=[], quads=word.quads[:0], polygon=polygon, ignore=True, weight=None
    )
