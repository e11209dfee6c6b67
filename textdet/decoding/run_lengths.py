"""Run-length encoding of masks: a run is a stretch of set pixels in one row.

What the decoders need of a component (area, bounds, peak, outline) comes from its runs, for all
components at once: the time grows with the map and with the length of the outlines, whatever the
number of components.
"""

from dataclasses import dataclass

import cv2
import numpy as np

MIN_AREA = 10  # pixels of the map; a smaller component is noise


@dataclass
class Runs:
    """R runs, sorted by group, then row by row as they lie on the map.

    Params:
        rows, first, last: int32 (R,); the last column belongs to the run.
        starts: int (N,), where each of the N groups begins; none is empty.
    """

    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """int (N,), the runs of each group."""
        return np.diff(self.starts, append=len(self.rows))

    @property
    def groups(self) -> np.ndarray:
        """int (R,), the group of each run."""
        return np.repeat(np.arange(len(self.starts)), self.counts)

    def areas(self) -> np.ndarray:
        """int (N,), pixels."""
        return np.add.reduceat(self.last - self.first + 1, self.starts)

    def bounds(self) -> np.ndarray:
        """int (N, 4): first column, first row, last column, last row."""
        first = np.minimum.reduceat(self.first, self.starts)
        last = np.maximum.reduceat(self.last, self.starts)
        ends = self.starts + self.counts - 1
        return np.stack([first, self.rows[self.starts], last, self.rows[ends]], axis=1)

    def take(self, groups: np.ndarray) -> "Runs":
        """Take some groups alone.

        Params:
            groups: int (M,), their numbers.

        Returns:
            The runs of these M groups, in this order.
        """
        counts = self.counts[groups]
        starts = np.cumsum(counts) - counts
        index = np.repeat(self.starts[groups] - starts, counts) + np.arange(counts.sum())
        return Runs(self.rows[index], self.first[index], self.last[index], starts)

    def outer(self) -> "Runs":
        """One run per group and row, from its first to its last pixel: the convex hull stays."""
        groups = self.groups
        is_first = np.ones(len(groups), bool)
        is_first[1:] = (np.diff(self.rows) != 0) | (np.diff(groups) != 0)
        begins = np.flatnonzero(is_first)
        ends = np.append(begins[1:], len(groups))[: len(begins)] - 1
        starts = np.searchsorted(begins, self.starts)
        return Runs(self.rows[begins], self.first[begins], self.last[ends], starts)


def find_components(mask: np.ndarray) -> tuple[int, np.ndarray]:
    """Find the 4-connected components of a mask.

    Params:
        mask: bool (H, W).

    Returns:
        count: the number of labels, 0 included.
        labels: int32 (H, W), the component of each pixel, 0 for none.
    """
    # With four neighbours Wu's algorithm is faster than OpenCV's own choice.
    return cv2.connectedComponentsWithAlgorithm(mask.view(np.uint8), 4, cv2.CV_32S, cv2.CCL_WU)


def find_runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the runs of a mask.

    Params:
        mask: bool (H, W).

    Returns:
        rows, first, last: int32 (R,) each, row by row; the last column belongs to the run.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), bool)
    padded[:, 1:-1] = mask
    edges = np.flatnonzero(padded[:, 1:] != padded[:, :-1]).astype(np.int32)
    rows, columns = np.divmod(edges, np.int32(width + 1))
    return rows[::2], columns[::2], columns[1::2] - 1


def group_runs(
    mask: np.ndarray,
    labels: np.ndarray,
    values: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, Runs, np.ndarray | None]:
    """The runs of a mask by their labels; pixels that touch in a row must have the same.

    Params:
        mask: bool (H, W).
        labels: int (H, W).
        values: (H, W), a map whose peaks are wanted.
        groups: the group of each label, -1 to leave its runs out; None for the labels themselves.

    Returns:
        The groups that have runs, int (N,) ascending; the runs; and the highest of `values` in each
        group, (N,), where they are given.
    """
    rows, first, last = find_runs(mask)
    keys = labels[rows, first]
    kept = slice(None)
    if groups is not None:
        keys = groups[keys]
        kept = np.flatnonzero(keys >= 0)
    order, found, starts = sort_groups(keys[kept])
    runs = Runs(*(column[kept][order] for column in (rows, first, last)), starts)
    if values is None:
        return found, runs, None
    peaks = _run_peaks(values, rows, first, last)[kept][order]
    return found, runs, np.maximum.reduceat(peaks, starts)


def sort_groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort by key, keeping the order within a key.

    Params:
        keys: int (R,), not negative.

    Returns:
        The order (R,); the N different keys, ascending; where each begins in that order, (N,).
    """
    if len(keys) and keys.max() < 2**16:
        keys = keys.astype(np.uint16)  # NumPy sorts these ten times faster
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    is_first = np.ones(len(ranked), bool)
    is_first[1:] = ranked[1:] != ranked[:-1]
    starts = np.flatnonzero(is_first)
    return order, ranked[starts].astype(np.int64), starts


def _run_peaks(
    values: np.ndarray, rows: np.ndarray, first: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """The highest value in each run; the runs in the order of the map."""
    if len(rows) == 0:
        return values.ravel()[:0]
    offsets = rows.astype(np.int64) * values.shape[1]
    # reduceat takes stretches from one index to the next: every second one is a run.
    borders = np.stack([offsets + first, offsets + last + 1], axis=1).ravel()
    borders = borders[:-1] if borders[-1] == values.size else borders
    return np.maximum.reduceat(values.ravel(), borders)[::2]
