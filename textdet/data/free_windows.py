"""Text-free windows of annotated photographs."""

import cv2
import numpy as np

from static import constants as C
from textdet.data.annotation import Word


def free_windows(
    shape: tuple[int, int], words: list[Word], number: int, smallest: int
) -> list[tuple[slice, slice]]:
    """The largest windows without any word, don't-care ones included, that do not overlap.

    shape: (H, W) of the image in px; number: windows at most; smallest: px, the shorter side at
    least. Windows keep C.WINDOW_MARGIN px from all words, are no longer than C.WINDOW_ASPECT times
    their shorter side and lie on a grid of C.WINDOW_STEP px. Returns (rows, columns), largest
    first; none where none is large enough.
    """
    taken = np.zeros(shape, np.uint8)
    for word in words:  # one by one: where two of them overlap, one call would leave a hole
        cv2.fillPoly(taken, [np.round(word.polygon).astype(np.int32)], 1)
    margin = 2 * C.WINDOW_MARGIN + 1
    taken = cv2.dilate(taken, np.ones((margin, margin), np.uint8))
    windows = []
    while len(windows) < number and (window := _largest(taken, smallest)):
        windows.append(window)
        taken[window] = 1
    return windows


def _largest(taken: np.ndarray, smallest: int) -> tuple[slice, slice] | None:
    """The largest free window of one image; the topmost of several, then the leftmost."""
    step, (height, width) = C.WINDOW_STEP, taken.shape
    sums = cv2.integral(taken)
    best, window = 0, None
    for h in range(height, smallest - 1, -step):
        narrowest = max(smallest, int(np.ceil(h / C.WINDOW_ASPECT)))
        for w in range(min(width, int(h * C.WINDOW_ASPECT)), narrowest - 1, -step):
            if h * w <= best:
                break
            top, bottom = sums[: height - h + 1 : step], sums[h::step]
            inside = bottom[:, w::step] - bottom[:, : width - w + 1 : step]
            inside = inside - top[:, w::step] + top[:, : width - w + 1 : step]
            free = np.argwhere(inside == 0)
            if len(free):
                y, x = (free[0] * step).tolist()
                best, window = h * w, (slice(y, y + h), slice(x, x + w))
                break  # a narrower one of this height is smaller
    return window
