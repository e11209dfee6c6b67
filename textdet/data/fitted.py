"""Triplets fitted into a square: image, maps, weights, words.

Images, maps and weights have their channels last throughout, as they lie in the files' pixels.
"""

import numpy as np

from textdet.common.geometry import fill_polygon
from textdet.common.images import resize
from textdet.data.annotation import Sample, Word
from textdet.data.triplets import read_triplet


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Fit an image into a square, at its top left, without distortion; the rest is black.

    Params:
        image: (H, W) or (H, W, C) uint8.
        size: px, side of the square.

    Returns:
        (size, size) or (size, size, C) uint8. Points are to be multiplied by fit_scale.
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    fitted = resize(image, fit_scale(width, height, size))
    square = np.zeros((size, size, *image.shape[2:]), np.uint8)
    square[: fitted.shape[0], : fitted.shape[1]] = fitted
    return square


def fit_scale(width: int, height: int, size: int) -> float:
    """How many times larger an image is in its fitted square.

    Params:
        width, height: px, of the image.
        size: px, side of the square.
    """
    return size / max(width, height)


def read_fitted(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read a triplet, fitted into a square.

    Params:
        sample: which one.
        size: px, side of the square.

    Returns:
        All uint8: the image (size, size, 3), RGB; the maps (size, size, 2), character then
        affinity; the weights (size, size) or None, see draw_weights.

    Raises:
        DataError: a file is missing or damaged; it is named.
    """
    image, maps = read_triplet(sample)
    return fit(image, size), fit(np.dstack(list(maps)), size), draw_weights(sample, size)


def draw_weights(sample: Sample, size: int) -> np.ndarray | None:
    """How much each pixel of the fitted square counts in training.

    Params:
        sample: whose words say it.
        size: px, side of the square.

    Returns:
        (size, size) uint8, 0..255 for 0..1: each word's training_weight in its polygon, the lowest
        where they overlap. None when all pixels count in full.
    """
    scale = _scale_of(sample, size)
    words = [word.mapped(scale) for word in sample.weighted_words]
    if not words:
        return None
    weights = np.full((size, size), 255, np.uint8)
    for word in sorted(words, key=lambda word: -word.training_weight):
        fill_polygon(weights, word.polygon, round(word.training_weight * 255))
    return weights


def fitted_words(sample: Sample, size: int) -> list[Word]:
    """A sample's words in the continuous coordinates of its fitted square of `size` px."""
    scale = _scale_of(sample, size)
    return [word.mapped(scale) for word in sample.words]


def _scale_of(sample: Sample, size: int) -> np.float32:
    return np.float32(fit_scale(sample.width, sample.height, size))
