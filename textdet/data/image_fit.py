"""Which way up, and at what size, an image is the one that its annotation describes."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from textdet.common.errors import SizeError
from textdet.common.images import image_size

MIN_SIDE = 16  # px; the ratio of smaller sides tells too little
UNSCALED = (1.0, 1.0)


class Fit(NamedTuple):
    """How an annotation lies on its image.

    Params:
        upright: whether its px are those of the image turned upright by its EXIF tag, not of the
            image as it is stored.
        width, height: px, of the image that way up.
        scale: what its x and y are multiplied with to be px of the image.
    """

    upright: bool
    width: int
    height: int
    scale: tuple[float, float]


def fit_to_image(
    path: Path,
    declared: tuple[int, int] | None,
    upright: bool,
    outlines: Iterable[np.ndarray] = (),
) -> Fit:
    """Find out how an annotation lies on its image, by the size that it declares; of one that does
    not by its words, which lie on the image.

    A size that the image has only one way up tells which way up it was when people drew on it. One
    that is larger or smaller with the same ratio of sides, up to the rounding to whole px, tells
    that it has been resized since.

    Params:
        path: the image.
        declared: width and height by its annotation, px; None where that does not say.
        upright: which way up to take where that does not tell.
        outlines: (k, 2) px, of its words.

    Raises:
        DataError: the file cannot be read as an image.
        SizeError: it is another image, or only a part of it.
    """
    size = image_size(path, upright)
    if declared is None:
        return _fit_to_words(path, upright, list(outlines))
    if size == declared:
        return Fit(upright, *size, UNSCALED)
    ways = {size: upright, image_size(path, not upright): not upright}
    if declared in ways:
        return Fit(ways[declared], *declared, UNSCALED)
    fits = [Fit(up, *own, scale) for own, up in ways.items() if (scale := _scale(declared, own))]
    if len(fits) != 1:
        (width, height), (x, y) = size, declared
        raise SizeError(f"{path}: {width}x{height} px, but its annotation says {x}x{y}")
    return fits[0]


def _fit_to_words(path: Path, upright: bool, outlines: list[np.ndarray]) -> Fit:
    for way_up in (upright, not upright):
        size = image_size(path, way_up)
        if all((o.max(0) > 0).all() and (o.min(0) < size).all() for o in outlines):
            return Fit(way_up, *size, UNSCALED)
    width, height = image_size(path, upright)
    raise SizeError(f"{path}: {width}x{height} px, but there are words beyond that")


def _scale(declared: tuple[int, int], size: tuple[int, int]) -> tuple[float, float] | None:
    """The factors between two sizes with one ratio of sides; None where that is not one."""
    if min(*declared, *size) < MIN_SIDE:
        return None
    even = max(size) / max(declared)
    if any(abs(side * even - own) >= 1 for side, own in zip(declared, size, strict=True)):
        return None
    return size[0] / declared[0], size[1] / declared[1]
