"""The gaps between the words of a line, which tell a word from its neighbour.

They are few pixels among many, so that a network that is wrong there alone is hardly ever told.
"""

import numpy as np

from textdet.common.bidi import side_by_side
from textdet.common.geometry import directions, fill_polygon, outline_of_cells
from textdet.data.annotation import Word

MAX_GAP = 1.2  # times the words' height; words farther apart are not taken for one
MAX_OVERLAP = 0.5  # of the height; outlines that people draw may overlap in narrow spaces
MAX_OFFSET = 0.5  # of the height, across the line
MAX_TURN = np.cos(np.radians(30))  # cosine of the angle between the two words
MAX_RATIO = 2.0  # of their heights
INTO_WORD = 0.3  # of the height; an affinity begins in the middle of a character


def band_of(word: Word) -> np.ndarray:
    """A word's outline as find_gaps takes it.

    The polygon of a curved word may have more points on one of its sides than on the other; its
    characters, where they are known, tell the sides.

    Returns:
        (k, 2) px.
    """
    if len(word.polygon) == 4 or not len(word.quads):
        return word.polygon
    quads = side_by_side(word.text, word.quads)
    if np.dot(quads[-1].mean(0) - quads[0].mean(0), quads[0, 1] - quads[0, 0]) < 0:
        quads = quads[::-1]  # read from right to left
    return outline_of_cells(quads)


def find_gaps(polygons: list[np.ndarray]) -> np.ndarray:
    """The gaps between each word and the one that follows it in its line.

    A gap is where an affinity would be if both words were one: from the middle of the last
    character of the one to that of the first of the other, in the height of the two.

    Params:
        polygons: one (2K, 2) outline per word, K >= 2 points along the upper side in reading
            direction and K back along the lower one; others have no gaps.

    Returns:
        float32 (n, 4, 2), quads in the polygons' unit, clockwise from the end of the first word's
        upper side.
    """
    polygons = [p for p in polygons if len(p) >= 4 and len(p) % 2 == 0]
    if len(polygons) < 2:
        return np.zeros((0, 4, 2), np.float32)
    # The two corners of each word's beginning and end, upper one first, and of the pieces there.
    corners = [(p[0], p[-1], p[1], p[-2]) for p in polygons]
    first, inner_first = _pairs(corners)
    halves = [len(p) // 2 for p in polygons]
    corners = [(p[k - 1], p[k], p[k - 2], p[k + 1]) for p, k in zip(polygons, halves, strict=True)]
    last, inner_last = _pairs(corners)
    ahead = directions(last.mean(1) - inner_last.mean(1))  # of each word at its end
    onwards = directions(inner_first.mean(1) - first.mean(1))  # and at its beginning
    ends, begins = (np.linalg.norm(side[:, 1] - side[:, 0], axis=1) for side in (last, first))
    height = np.minimum(ends[:, None], begins)

    steps = first.mean(1) - last.mean(1)[:, None]  # from the end of one to the beginning of another
    along = (steps * ahead[:, None]).sum(2)
    across = np.abs(steps[..., 0] * ahead[:, None, 1] - steps[..., 1] * ahead[:, None, 0])
    follows = (along >= -MAX_OVERLAP * height) & (along <= MAX_GAP * height)
    follows &= (across <= MAX_OFFSET * height) & (ahead @ onwards.T >= MAX_TURN)
    follows &= np.maximum(ends[:, None], begins) <= MAX_RATIO * height
    np.fill_diagonal(follows, False)
    following = np.where(follows, along, np.inf).argmin(axis=1)
    before = np.flatnonzero(follows.any(axis=1))
    after = following[before]
    room = INTO_WORD * height[before, after][:, None, None]
    left = last[before] - room * ahead[before][:, None]
    right = first[after] + room * onwards[after][:, None]
    return np.stack([left[:, 0], right[:, 0], right[:, 1], left[:, 1]], 1).astype(np.float32)


def draw_gaps(polygons: list[np.ndarray], size: int) -> np.ndarray:
    """A mask of the gaps.

    Params:
        polygons: see find_gaps, in px of a square.
        size: px, its side.

    Returns:
        (size, size) uint8, 255 in the gaps, 0 elsewhere.
    """
    mask = np.zeros((size, size), np.uint8)
    for gap in find_gaps(polygons):
        fill_polygon(mask, gap, 255)
    return mask


def _pairs(corners: list[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """float64 (n, 2, 2) each: the first two of each word's four corners, and the others."""
    sides = np.array(corners, np.float64)
    return sides[:, :2], sides[:, 2:]
