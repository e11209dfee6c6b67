"""Colours of ink and plates, and whether letters in them stand out from what is around them."""

from collections.abc import Callable

import cv2
import numpy as np

from textdet.synth.settings import GeneratorSettings

CANDIDATES = 8  # colours to choose from
MEASURED_PIXELS = 1500  # pixels that the contrast is measured on


def sample_plate_colour(rng: np.random.Generator, settings: GeneratorSettings) -> np.ndarray:
    """A random colour of a plate, often about one of SIGN_COLOURS.

    Returns:
        (3,) uint8 RGB.
    """
    if rng.random() < settings.SIGN_COLOUR_PROBABILITY:
        colour = np.array(settings.SIGN_COLOURS[rng.integers(len(settings.SIGN_COLOURS))])
        return (colour + rng.normal(0, 8, 3)).clip(0, 255).astype(np.uint8)
    return _sample_colours(rng, settings, 1)[0]


def sample_contrasting_colour(
    rng: np.random.Generator, settings: GeneratorSettings, around: np.ndarray, needed: float
) -> np.ndarray:
    """A random colour: of CANDIDATES the first that stands out enough.

    Params:
        around: (3,) RGB, 0..255.
        needed: CIELAB distance from it (hue counts half).

    Returns:
        (3,) uint8 RGB; the most distant one when none is far enough.
    """
    colours = sample_ink_colours(rng, settings, CANDIDATES)
    distance = np.linalg.norm(_lab(colours) - _lab(np.uint8(around)[None]), axis=1)
    fit = np.flatnonzero(distance >= needed)
    return colours[fit[0] if len(fit) else distance.argmax()]


def sample_ink_colours(
    rng: np.random.Generator, settings: GeneratorSettings, count: int
) -> np.ndarray:
    """Random colours of letters, many of them grey.

    Returns:
        (count, 3) uint8 RGB.
    """
    colours = _sample_colours(rng, settings, count)
    greys = rng.choice(settings.INK_GREYS, count).astype(np.uint8)
    grey = rng.random(count) < settings.GREY_INK_PROBABILITY
    colours[grey] = greys[grey, None]
    return colours


def sample_similar_colour(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """A random colour of about the same lightness as another.

    Params:
        colour: (3,) RGB, 0..255.

    Returns:
        (3,) uint8 RGB.
    """
    return (np.asarray(colour, float) + rng.normal(0, 40, 3)).clip(0, 255).astype(np.uint8)


def _sample_colours(
    rng: np.random.Generator, settings: GeneratorSettings, count: int
) -> np.ndarray:
    """(count, 3) uint8 RGB within the ranges of the settings."""
    low, high = np.array([settings.RED, settings.GREEN, settings.BLUE]).T
    return rng.integers(low, high + 1, (count, 3)).astype(np.uint8)


def _lab(colours: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 RGB to CIELAB with the colour axes halved: letters that differ from their
    surroundings in hue alone are hard to read."""
    lab = cv2.cvtColor(colours.reshape(1, -1, 3), cv2.COLOR_RGB2LAB).reshape(colours.shape)
    return lab * np.float32([100 / 255, 0.5, 0.5])


class Contrast:
    """Whether letters stand out from what is next to them, square by square of about an em."""

    def __init__(self, settings: GeneratorSettings, base: np.ndarray, alpha: np.ndarray, em: float):
        """Measure the picture where the letters are to be and next to it.

        Params:
            base: (h, w, 3) uint8 RGB before the letters are drawn.
            alpha: (h, w) uint8, their coverage.
            em: px of the picture.
        """
        self._legible_share = settings.LEGIBLE_SHARE
        letters = alpha > 127
        if not letters.any():
            letters = alpha > 0.5 * alpha.max()
        self._letters, self._ring = (_some(mask) for mask in (letters, _ring(alpha)))
        side = max(12, round(em))
        columns = -(-alpha.shape[1] // side)
        squares = columns * -(-alpha.shape[0] // side)

        def square(pixels: np.ndarray) -> np.ndarray:
            y, x = np.divmod(pixels, alpha.shape[1])
            return y // side * columns + x // side

        self._at = [(square(p), squares) for p in (self._letters, self._ring)]
        counts = [np.bincount(at, minlength=n) for at, n in self._at]
        self._counts, self._known = counts, np.minimum(*counts) >= 3
        colours = base.reshape(-1, 3)[self._ring]
        lab = _lab(colours)
        squared = _means(lab * lab, *self._at[1], counts[1]) - self._mean(lab, 1) ** 2
        spread = np.sqrt(squared.clip(0).sum(1))
        self._needed = settings.MIN_CONTRAST + settings.CONTRAST_BUSYNESS * spread
        self._needed_overall = float(np.average(self._needed, weights=counts[1]))
        self._weights = np.where(self._known, counts[0], 0)
        self._around = self._mean(colours, 1)  # RGB, square by square

    def foresee(self, inks: np.ndarray, blend: Callable, opacity: float) -> np.ndarray:
        """How much of the letters will stand out in each of several inks.

        Params:
            inks: (n, 3) uint8 RGB.
            blend: one of the functions in blending.BLENDS.
            opacity: 0..1, of the ink.

        Returns:
            (n,) 0..1, shares of the letters; 0 where the letters do not stand out on average.
        """
        known = np.flatnonzero(self._known)
        if not len(known):
            return np.ones(len(inks))
        around = np.repeat(self._around[None, known].astype(np.uint8), len(inks), 0)
        seen = blend(around, np.repeat(inks[:, None], len(known), 1))
        seen = cv2.addWeighted(seen, opacity, around, 1 - opacity, 0)
        apart = _lab(seen) - _lab(around)
        weights = self._weights[known] / self._weights[known].sum()
        good = (np.linalg.norm(apart, axis=2) >= self._needed[known]) @ weights
        overall = np.linalg.norm(weights @ apart, axis=1)
        return np.where(overall >= self._needed_overall, good, 0)

    def holds(self, result: np.ndarray) -> bool:
        """Whether LEGIBLE_SHARE of the ink stands out in a result, and all of it on average.

        Params:
            result: (h, w, 3) uint8 RGB with the letters in it.
        """
        pixels = result.reshape(-1, 3)
        lab = [_lab(pixels[p]) for p in (self._letters, self._ring)]
        if np.linalg.norm(lab[0].mean(0) - lab[1].mean(0)) < self._needed_overall:
            return False
        distance = np.linalg.norm(self._mean(lab[0], 0) - self._mean(lab[1], 1), axis=1)
        good = self._weights @ (distance >= self._needed)
        return bool(good >= self._legible_share * self._weights.sum())

    def _mean(self, lab: np.ndarray, which: int) -> np.ndarray:
        return _means(lab, *self._at[which], self._counts[which])


def _means(values: np.ndarray, at: np.ndarray, squares: int, counts: np.ndarray) -> np.ndarray:
    """(squares, 3) means of values (n, 3) by their square."""
    sums = [np.bincount(at, column, squares) for column in values.T]
    return np.stack(sums, 1) / np.maximum(counts, 1)[:, None]


def _some(mask: np.ndarray) -> np.ndarray:
    """At most about MEASURED_PIXELS of a mask's pixels, evenly: their indices in the flat array."""
    pixels = np.flatnonzero(mask)
    return pixels[:: max(1, len(pixels) // MEASURED_PIXELS)]


def _ring(alpha: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixels near the letters that carry no ink."""
    ink = (alpha > 25).astype(np.uint8)
    near = cv2.dilate(ink, np.ones((9, 9), np.uint8))
    ring = near > cv2.dilate(ink, np.ones((3, 3), np.uint8))
    return ring if ring.any() else ~ink.astype(bool) if not ink.all() else ink.astype(bool)
