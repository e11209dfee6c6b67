"""Text-free windows of annotated photographs."""

import cv2
import numpy as np

from textdet.data.annotation import Word

WORD_MARGIN = 6  # px, kept between words and windows: people's boxes may cut into the ink
MAX_ASPECT = 2.0  # times its shorter side, a window is at most so long: backgrounds are squares
GRID = 16  # px, of the grid on which windows lie, for the search's speed


def free_windows(
    shape: tuple[int, int], words: list[Word], number: int, smallest: int
) -> list[tuple[slice, slice]]:
    """The largest windows without any word, don't-care ones included, that do not overlap.

    They keep WORD_MARGIN px from all words, are no longer than MAX_ASPECT times their shorter side
    and lie on a grid of GRID px.

    Params:
        shape: (H, W) of the image, px.
        words: all that are in it.
        number: windows at most.
        smallest: px, the shorter side at least.

    Returns:
        (rows, columns) of each, largest first; none where none is large enough.
    """
    taken = np.zeros(shape, np.uint8)
    for word in words:  # one by one: where two of them overlap, one call would leave a hole
        cv2.fillPoly(taken, [np.round(word.polygon).astype(np.int32)], 1)
    margin = 2 * WORD_MARGIN + 1
    taken = cv2.dilate(taken, np.ones((margin, margin), np.uint8))
    windows = []
    while len(windows) < number and (window := _largest(taken, smallest)):
        windows.append(window)
        taken[window] = 1
    return windows


def _largest(taken: np.ndarray, smallest: int) -> tuple[slice, slice] | None:
    """The largest free window of one image; the topmost of several, then the leftmost."""
    height, width = taken.shape
    sums = cv2.integral(taken)
    best, window = 0, None
    for h in range(height, smallest - 1, -GRID):
        narrowest = max(smallest, int(np.ceil(h / MAX_ASPECT)))
        for w in range(min(width, int(h * MAX_ASPECT)), narrowest - 1, -GRID):
            if h * w <= best:
                break
            top, bottom = sums[: height - h + 1 : GRID], sums[h::GRID]
            inside = bottom[:, w::GRID] - bottom[:, : width - w + 1 : GRID]
            inside = inside - top[:, w::GRID] + top[:, : width - w + 1 : GRID]
            free = np.argwhere(inside == 0)
            if len(free):
                y, x = (free[0] * GRID).tolist()
                best, window = h * w, (slice(y, y + h), slice(x, x + w))
                break  # a narrower one of this height is smaller
    return window
