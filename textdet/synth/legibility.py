"""Which words a person could still read once the picture is finished: the others are don't-care."""

from dataclasses import replace

import cv2
import numpy as np

from textdet.common.stage_times import stage
from textdet.data.annotation import Word
from textdet.synth.settings import GeneratorSettings

INKED, CLEAR = 150, 25  # levels of coverage: letters at or above the first, none below the second
REACH = 4  # px around the letters that they have to differ from
MEASURED_PIXELS = 300  # pixels of a word that are looked at, about
GROUND, LETTERS = 1, 2


@stage("legibility")
def mark_illegible(
    settings: GeneratorSettings, image: np.ndarray, ink: np.ndarray, words: list[Word]
) -> list[Word]:
    """Mark the words that cannot be told from what is around them as don't-care.

    Params:
        image: (h, w, 3) uint8 RGB, finished.
        ink: (h, w) uint8, coverage of all letters in it.
        words: in its continuous coordinates.

    Returns:
        all words in their order; those marked are copies.
    """
    if not words:
        return []
    near = cv2.dilate(ink, np.ones((2 * REACH + 1,) * 2, np.uint8))
    ground, letters = (near >= CLEAR) & (ink < CLEAR), ink >= INKED
    parts = ground.view(np.uint8) * np.uint8(GROUND) + letters.view(np.uint8) * np.uint8(LETTERS)
    windows = _windows([word.polygon for word in words])
    colours = np.concatenate([image[window].reshape(-1, 3) for window in windows])
    seen = [parts[window].ravel() for window in windows]
    part, owner = np.concatenate(seen), np.arange(len(words)).repeat([len(own) for own in seen])
    known = np.flatnonzero(part)
    which = 2 * owner[known] + part[known] - 1
    legible = _stand_out(settings, colours[known], which, len(words))
    return [
        word if readable else replace(word, ignore=True)
        for word, readable in zip(words, legible.tolist(), strict=True)
    ]


def _windows(polygons: list[np.ndarray]) -> list[tuple[slice, slice]]:
    """Rows and columns of the box around each word that are looked at. polygons: (k, 2) px."""
    corners = np.concatenate(polygons)
    starts = np.cumsum([0, *map(len, polygons[:-1])])
    low = np.floor(np.minimum.reduceat(corners, starts)).astype(int).clip(0)
    high = np.ceil(np.maximum.reduceat(corners, starts)).astype(int).clip(0)
    areas = (high - low).clip(0).prod(1)
    steps = np.round(np.sqrt(areas / MEASURED_PIXELS)).astype(int).clip(1)
    boxes = np.concatenate([low, high, steps[:, None]], 1).tolist()
    return [(slice(y, below, k), slice(x, end, k)) for x, y, end, below, k in boxes]


def _stand_out(
    settings: GeneratorSettings, colours: np.ndarray, which: np.ndarray, words: int
) -> np.ndarray:
    """Whether each word's letters differ enough from the ground beside them, and from its noise.

    Both are compared along the colour axis on which their means differ.

    Params:
        colours: (n, 3) uint8 RGB, pixels of all words.
        which: (n,) twice the word's number for its ground, one more for its letters.
        words: how many.

    Returns:
        (words,) bool; True as well where a word has no pixels of letters or of ground to compare:
        strokes too fine to be told apart, or a bar that fills its cell.
    """
    # L runs to 255 in OpenCV; hue counts half, as where inks are chosen.
    lab = cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0] * np.float32([100 / 255, 0.5, 0.5])
    counts = np.bincount(which, minlength=2 * words)
    channels = lab.T.astype(np.float64)

    def means(values: np.ndarray) -> np.ndarray:  # (words, 2), of the ground and of the letters
        sums = np.bincount(which, values, 2 * words)
        return (sums / np.maximum(counts, 1)).reshape(-1, 2)

    mean = np.array([means(channel) for channel in channels])
    apart = mean[..., 1] - mean[..., 0]  # (3, words)
    distance = np.linalg.norm(apart, axis=0)
    axis = apart / np.maximum(distance, 1e-9)
    along = (channels * axis[:, which // 2]).sum(0)
    squares = means(along * along) - means(along) ** 2
    noise = np.sqrt(squares.clip(0).mean(1))
    unknown = (counts.reshape(-1, 2) == 0).any(1)
    clear = (distance >= settings.LEGIBLE_DISTANCE) & (distance >= settings.LEGIBLE_RATIO * noise)
    return unknown | clear
