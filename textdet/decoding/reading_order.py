"""Words into lines, and lines into reading order."""

import numpy as np

LONG_RATIO = 1.5  # length / height from which a word's own direction can be trusted
TALL_RATIO = 2.0  # height / width from which two neighbours are taken for columns of vertical text
SIZE_RATIO = 2.5  # words of one line differ in height by less
MAX_OFFSET = 0.5  # of the higher word: how far a neighbour's centre may lie off the word's axis
MAX_GAP = 1.5  # of the higher word: a wider gap separates columns
MAX_OVERLAP = 0.5  # of the narrower word: neighbours may reach so far into each other


def group_lines(quads: np.ndarray) -> list[list[int]]:
    """The numbers of words, line by line from top to bottom, in a line from left to right.

    A word goes on with the nearest word to its right that lies on its axis, has a similar height
    and is near (MAX_GAP). So the columns of a page give separate lines. Lines are ordered by
    recursive cuts along the widest empty bands: what a band between columns separates is read
    column by column, a heading across them first. A vertical word, or a column of upright
    characters, is a line of its own. The text may be turned as a whole by less than 45 degrees,
    and each line may be somewhat oblique.

    Takes about N log N steps.

    Params:
        quads: (N, 4, 2), any unit, corners clockwise from the top left as a decoder gives them.

    Returns:
        Lists of row numbers of `quads`, each of 0..N-1 in exactly one.

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    quads = np.asarray(quads, np.float64)
    if quads.size == 0:
        return []
    if quads.ndim != 3 or quads.shape[1:] != (4, 2) or not np.isfinite(quads).all():
        raise ValueError(f"quads must be a finite (N, 4, 2) array, got shape {quads.shape}")
    quads = _turned_upright(quads)
    low, high = quads.min(1), quads.max(1)
    following = _right_neighbours(quads, low, high)
    lines = _chains(following)
    tops = np.array([low[line].min(0) for line in lines])
    bottoms = np.array([high[line].max(0) for line in lines])
    return [lines[number] for number in _cut_order(tops, bottoms)]


def _turned_upright(quads: np.ndarray) -> np.ndarray:
    """The quads turned so that most words run along x."""
    slopes = _slopes(quads)
    known = np.isfinite(slopes)
    if not known.any():
        return quads
    angle = -np.arctan(np.median(slopes[known]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return quads @ turn.T


def _slopes(quads: np.ndarray) -> np.ndarray:
    """dy / dx (N,) of each word's axis; NaN for short words and those nearer to the vertical."""
    along = (quads[:, 1] + quads[:, 2] - quads[:, 0] - quads[:, 3]) / 2
    down = (quads[:, 3] + quads[:, 2] - quads[:, 0] - quads[:, 1]) / 2
    # A turned word's corners may start at its end: the side that is nearer to x is its axis.
    swap = np.abs(along[:, 1]) > np.abs(along[:, 0])
    along, down = np.where(swap[:, None], down, along), np.where(swap[:, None], along, down)
    is_long = np.linalg.norm(along, axis=1) > LONG_RATIO * np.linalg.norm(down, axis=1)
    is_flat = np.abs(along[:, 0]) > np.abs(along[:, 1])
    usable = is_long & is_flat
    return np.where(usable, along[:, 1] / np.where(usable, along[:, 0], 1), np.nan)


def _right_neighbours(quads: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """int (N,): the word that each word's line goes on with, -1 for none; none is named twice."""
    slopes = np.nan_to_num(_slopes(quads))
    x, y = quads.mean(1).T
    widths, heights = (high - low).T
    # The height across an oblique word, not that of the box around it.
    heights = np.maximum(heights - np.abs(slopes) * widths, 1e-6)
    is_tall = heights > TALL_RATIO * widths
    order = np.argsort(y, kind="stable")
    sorted_y = y[order]
    pairs = []  # (gap, word, its neighbour)
    for i in range(len(quads)):
        # All that can be a neighbour lies in a band; only these are looked at.
        reach = SIZE_RATIO * heights[i] * (MAX_OFFSET + MAX_GAP * abs(slopes[i]))
        reach += abs(slopes[i]) * widths[i]
        first, last = np.searchsorted(sorted_y, (y[i] - reach, y[i] + reach))
        j = order[first:last]
        higher, lower = np.maximum(heights[i], heights[j]), np.minimum(heights[i], heights[j])
        gap = low[j, 0] - high[i, 0]
        offset = np.abs(y[j] - y[i] - slopes[i] * (x[j] - x[i]))
        fits = (
            (x[j] > x[i])
            & (gap >= -MAX_OVERLAP * np.minimum(widths[i], widths[j]))
            & (gap <= MAX_GAP * higher)
            & (offset <= MAX_OFFSET * higher)
            & (higher <= SIZE_RATIO * lower)
            & ~(is_tall[i] & is_tall[j])
        )
        if fits.any():
            best = np.flatnonzero(fits)[gap[fits].argmin()]
            pairs.append((gap[best], i, j[best]))
    following, taken = np.full(len(quads), -1), set()
    for _, i, j in sorted(pairs):
        if j not in taken:
            following[i] = j
            taken.add(j)
    return following


def _chains(following: np.ndarray) -> list[list[int]]:
    """The words of each line, from the first on."""
    is_first = np.ones(len(following), bool)
    is_first[following[following >= 0]] = False
    lines = []
    for word in np.flatnonzero(is_first).tolist():
        lines.append([])
        while word >= 0:
            lines[-1].append(word)
            word = int(following[word])
    return lines


def _cut_order(low: np.ndarray, high: np.ndarray) -> list[int]:
    """Reading order of boxes by recursive X-Y cuts (Nagy and Seth 1984).

    low, high: (L, 2), their first and last x and y. A group is cut across the widest empty band
    and those at least half as wide. What cannot be cut is sorted by its middle, from top to bottom.
    """
    order, stack = [], [np.arange(len(low))]
    while stack:
        group = stack.pop()
        bands = [_empty_bands(low[group, axis], high[group, axis]) for axis in (0, 1)]
        widest = [max(width, default=0) for _, width in bands]
        axis = 0 if widest[0] > widest[1] else 1
        sequence, width = bands[axis]
        cuts = np.flatnonzero((width > 0) & (width >= max(widest[1 - axis], widest[axis] / 2)))
        if len(cuts) == 0:
            middle = (low[group, 1] + high[group, 1]) / 2
            order += group[np.lexsort((low[group, 0], middle))].tolist()
        else:
            stack += [group[part] for part in np.split(sequence, cuts + 1)[::-1]]
    return order


def _empty_bands(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intervals in the order of their starts, and the empty band (0 for none) after each but the
    last."""
    sequence = np.argsort(low, kind="stable")
    covered = np.maximum.accumulate(high[sequence])
    return sequence, np.maximum(low[sequence][1:] - covered[:-1], 0)
