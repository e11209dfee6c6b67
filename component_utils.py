"""Thresholded maps as words: components of text and link pixels, held as runs.

A run is a stretch of set pixels in one row. What the decoders need of a component (area, bounds,
peak, outline) comes from its runs, for all components at once: the time grows with the map and
with the length of the outlines, whatever the number of components.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from line_utils import MIN_HEIGHT, SQUARE, part_lines
from spacing_utils import restore_even_links

MIN_AREA = 10  # pixels of the map; a smaller component is noise
TOUCHING_TEXT = 0.5  # 0..1, words that touch below it and are not linked come apart
EVEN_LINK = 0.3  # share of the strong affinity that links evenly spaced letters
STRONG_LINK = 0.9  # quantile of the affinity in a component that its weak links are measured by
LINE_PASSES = 4  # how often components are searched for two lines, at most
DOUBLE = 1.2  # times, how often a component's columns of pixels meet it if it may be two lines
MAX_SPLIT_AREA = 8  # times the map's, all windows together in which touching words are parted


@dataclass
class Runs:
    """R runs, sorted by group, then row by row as they lie on the map.

    rows, first, last: int32 (R,); the last column belongs to the run.
    starts: int (N,), where each of the N groups begins; none is empty.
    """

    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
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
        """These groups alone, in this order."""
        counts = self.counts[groups]
        starts = np.cumsum(counts) - counts
        index = np.repeat(self.starts[groups] - starts, counts) + np.arange(counts.sum())
        return Runs(self.rows[index], self.first[index], self.last[index], starts)

    def outer(self) -> "Runs":
        """One run a group and row, from its first to its last pixel: the convex hull stays."""
        groups = self.groups
        is_first = np.ones(len(groups), bool)
        is_first[1:] = (np.diff(self.rows) != 0) | (np.diff(groups) != 0)
        begins = np.flatnonzero(is_first)
        ends = np.append(begins[1:], len(groups))[: len(begins)] - 1
        starts = np.searchsorted(begins, self.starts)
        return Runs(self.rows[begins], self.first[begins], self.last[ends], starts)


@dataclass
class Words:
    """The N words of a map, in the order of their first pixel, row by row.

    labels: int32 (H, W), the component of each pixel.
    numbers: int (L,), the word of each label, -1 for none.
    is_text: bool (H, W), pixels above low_text.
    text: the runs of is_text, a group a word.
    bounds: int (N, 4), of the word: first column, first row, last column, last row.
    areas: int (N,), its pixels.
    peaks: (N,), the highest character value, in the map's units.
    """

    labels: np.ndarray
    numbers: np.ndarray
    is_text: np.ndarray
    text: Runs
    bounds: np.ndarray
    areas: np.ndarray
    peaks: np.ndarray

    def __len__(self) -> int:
        return len(self.areas)


def above(values: np.ndarray, level: float) -> np.ndarray:
    """values > level; a uint8 map is compared without a float copy of it."""
    return values > (int(np.floor(level)) if values.dtype == np.uint8 else level)


def sample(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A map (H, W) between its pixels, bilinearly, of the map's type; 0 a pixel beyond its border.

    x, y: continuous coordinates, of any and the same shape. (cv2.remap takes no side of 32,768.)
    """
    height, width = values.shape
    x, y = x - 0.5, y - 0.5
    known = (x > -1) & (x < width) & (y > -1) & (y < height)
    x, y = np.where(known, x, 0).clip(0, width - 1), np.where(known, y, 0).clip(0, height - 1)
    left, top = x.astype(np.int32), y.astype(np.int32)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x, y = (x - left).astype(np.float32), (y - top).astype(np.float32)
    upper = values[top, left] * (1 - x) + values[top, right] * x
    lower = values[bottom, left] * (1 - x) + values[bottom, right] * x
    found = np.where(known, upper * (1 - y) + lower * y, 0)
    return found.round().astype(np.uint8) if values.dtype == np.uint8 else found


def find_words(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    text_threshold: float,
    link_threshold: float,
    low_text: float,
    touching: float | None = None,
    relative_link: float = 0.0,
) -> Words:
    """The 4-connected components of "text or link" that are large enough, hold text and reach the
    text threshold.

    The test for text matters when text_threshold < low_text: then links alone can reach it. All
    thresholds are in the maps' units. touching: words that are joined only by text below it, and
    not by a link, come apart, and areas and bounds are those of the text. None: words stay
    together, and areas and bounds are those of text and links, as in CRAFT. relative_link: see
    _drop_weak_links; 0 keeps all links.
    """
    is_text, is_link = above(textmap, low_text), above(linkmap, link_threshold)
    candidates = is_link
    for left in reversed(range(LINE_PASSES)):
        if relative_link:
            _drop_weak_links(textmap, linkmap, is_text, is_link, candidates, relative_link)
        is_word = is_text | is_link
        number, labels = _components(is_word)
        parts = touching is not None and touching > low_text
        if parts:
            cores = above(textmap, touching) & is_text
            number = _part_touching(
                textmap, cores, is_link, is_text, is_word, labels, number, text_threshold
            )
        with_text, text, peaks = group_runs(is_text, labels, textmap)
        if not parts or left == 0:
            break
        cores |= above(linkmap, touching)
        suspects = (peaks >= text_threshold) & _may_be_lines(cores, labels, with_text, text)
        suspects = with_text[suspects]
        parted = part_lines(textmap, linkmap, is_text, is_link, labels, suspects, text_threshold)
        if len(parted) == 0:
            break
        candidates = is_link & np.isin(labels, parted)

    components = text
    if touching is None:  # CRAFT counts the links' pixels as well
        found, components, _ = group_runs(is_word, labels)
        components = components.take(np.searchsorted(found, with_text))
    areas = components.areas()
    keep = np.flatnonzero((areas >= MIN_AREA) & (peaks >= text_threshold))
    origin = components.starts[keep]
    keep = keep[np.lexsort((components.first[origin], components.rows[origin]))]
    numbers = np.full(number, -1, np.int32)
    numbers[with_text[keep]] = np.arange(len(keep))
    bounds = components.bounds()[keep]
    return Words(labels, numbers, is_text, text.take(keep), bounds, areas[keep], peaks[keep])


def _components(mask: np.ndarray) -> tuple[int, np.ndarray]:
    """The 4-connected components of a mask: their number, 0 included, and labels, int32 (H, W)."""
    # With four neighbours Wu's algorithm is faster than OpenCV's own choice.
    return cv2.connectedComponentsWithAlgorithm(mask.view(np.uint8), 4, cv2.CV_32S, cv2.CCL_WU)


def _drop_weak_links(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    is_text: np.ndarray,
    is_link: np.ndarray,
    candidates: np.ndarray,
    share: float,
) -> None:
    """Take those of the candidates out of is_link, in place, that are weak for what they join.

    Between words the network sees some affinity too, the more the surer it is of the words: in a
    clear line it may exceed what joins the letters of a faint word, and no one threshold fits both.
    A link stays that is above `share` of the strong affinity (STRONG_LINK) of its own component,
    or above EVEN_LINK of it where the letters stand no farther apart than others of the word.
    """
    number, labels = _components(is_text | is_link)
    at = np.flatnonzero(candidates)
    if len(at) == 0:
        return
    owners, levels = labels.ravel()[at].astype(np.int64), linkmap.ravel()[at]
    if levels.dtype != np.uint8:
        levels = (levels.clip(0, 1) * 255).astype(np.uint8)
    ranked = np.sort(owners * 256 + levels)
    starts = np.flatnonzero(np.diff(ranked >> 8, prepend=-1))
    last = np.diff(starts, append=len(ranked)) - 1
    strong = np.zeros(number)
    strong[ranked[starts] >> 8] = ranked[starts + (STRONG_LINK * last).astype(int)] & 255
    strong = strong[owners]
    is_strong = levels > share * strong
    is_link.ravel()[at] = is_strong
    weak = at[~is_strong & (levels > EVEN_LINK * strong)]
    if len(weak):
        _keep_even_links(textmap, is_text, is_link, weak)


def _keep_even_links(
    textmap: np.ndarray, is_text: np.ndarray, is_link: np.ndarray, weak: np.ndarray
) -> None:
    """Put those of the weak links, places in the flat map, into is_link that join evenly spaced
    letters."""
    loose = is_link.copy()
    loose.ravel()[weak] = True
    number, wholes = _components(is_text | loose)
    _, labels = _components(is_text | is_link)
    _, pieces, _ = group_runs(is_text, labels)
    pieces = pieces.take(np.flatnonzero(pieces.areas() >= MIN_AREA))
    parents = wholes[pieces.rows[pieces.starts], pieces.first[pieces.starts]]
    bounds = pieces.bounds()
    windows = []
    for whole in np.flatnonzero(np.bincount(parents, minlength=number) > 1):
        inside = bounds[parents == whole]
        (x0, y0), (x1, y1) = inside[:, :2].min(axis=0), inside[:, 2:].max(axis=0)
        windows.append((whole, np.s_[y0 : y1 + 1, x0 : x1 + 1]))
    restore_even_links(textmap, is_text, is_link, loose, labels, wholes, windows)


def _may_be_lines(
    cores: np.ndarray, labels: np.ndarray, found: np.ndarray, text: Runs
) -> np.ndarray:
    """bool (N,), which components may hold several lines of text: most columns of pixels, or most
    rows where a component is higher than wide, meet it more than once.

    cores: bool (H, W), where the maps are high. found: int (N,), the components' labels. text:
    their runs, a group a component.
    """
    x0, y0, x1, y1 = text.bounds().T
    size = np.stack([x1 - x0, y1 - y0]) + 1
    met = []
    for now, before in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        starts = cores.copy()
        starts[now] &= ~cores[before]
        met.append(np.bincount(labels[starts], minlength=found.max(initial=0) + 1)[found])
    columns, rows = np.array(met) / size
    width, height = size
    times = np.where(width > height, columns, rows)
    squarish = np.maximum(width, height) < SQUARE * np.minimum(width, height)
    times = np.where(squarish, np.maximum(columns, rows), times)
    return (times > DOUBLE) & (np.minimum(width, height) >= MIN_HEIGHT)


def find_runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, first and last columns of the runs of a mask (H, W) bool, row by row."""
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

    groups: the group of each label, -1 to leave its runs out; None for the labels themselves.
    Returns the groups that have runs, int (N,) ascending; the runs; and the highest of `values`
    in each group, (N,), where they are given.
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

    keys: int (R,), not negative. Returns the order (R,), the N different keys, ascending, and
    where each begins in that order, (N,).
    """
    if len(keys) and keys.max() < 2**16:
        keys = keys.astype(np.uint16)  # NumPy sorts these ten times faster
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    is_first = np.ones(len(ranked), bool)
    is_first[1:] = ranked[1:] != ranked[:-1]
    starts = np.flatnonzero(is_first)
    return order, ranked[starts].astype(np.int64), starts


def _run_peaks(values, rows, first, last):
    """The highest value in each run; the runs in the order of the map."""
    if len(rows) == 0:
        return values.ravel()[:0]
    offsets = rows.astype(np.int64) * values.shape[1]
    # reduceat takes stretches from one index to the next: every second one is a run.
    borders = np.stack([offsets + first, offsets + last + 1], axis=1).ravel()
    borders = borders[:-1] if borders[-1] == values.size else borders
    return np.maximum.reduceat(values.ravel(), borders)[::2]


def _part_touching(textmap, cores, is_link, is_text, is_word, labels, number, text_threshold):
    """Part components that hold several words of their own at the level of the cores.

    A core counts when it could be a word by itself; each other pixel goes to the nearest one. A
    line of pixels between the parts is taken out of is_text and is_word, and the parts get labels
    of their own, in place. Returns the new number of labels.
    """
    # With eight neighbours OpenCV is faster, and here they serve as well.
    cores_number, core_labels = cv2.connectedComponents(
        (cores | is_link).view(np.uint8), connectivity=8
    )
    rows, first, last = find_runs(cores)
    core = core_labels[rows, first]
    parents = np.zeros(cores_number, np.int32)
    parents[core] = labels[rows, first]
    is_seed = np.bincount(core, last - first + 1, cores_number) >= MIN_AREA
    if np.bincount(parents[is_seed], minlength=1).max() < 2:
        return number
    has_peak = np.zeros(cores_number, bool)
    has_peak[core_labels[textmap >= text_threshold]] = True
    is_seed &= has_peak
    crowded = np.flatnonzero(np.bincount(parents[is_seed], minlength=1) > 1)
    if len(crowded) == 0:
        return number

    found, components, _ = group_runs(is_word, labels)
    bounds = components.bounds()[np.searchsorted(found, crowded)]
    sizes = (bounds[:, 2:] - bounds[:, :2] + 1).prod(axis=1)
    affordable = np.cumsum(sizes) <= MAX_SPLIT_AREA * labels.size
    for label, (x0, y0, x1, y1) in zip(
        crowded[affordable].tolist(), bounds[affordable].tolist(), strict=True
    ):
        window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        inside = labels[window] == label
        seeds = inside & is_seed[core_labels[window]]
        owner = _nearest(seeds)
        cut = np.zeros_like(inside)
        cut[:, 1:] = (owner[:, 1:] != owner[:, :-1]) & inside[:, :-1]
        cut[1:] |= (owner[1:] != owner[:-1]) & inside[:-1]
        cut &= inside
        is_text[window][cut] = False
        is_word[window][cut] = False
        parts = np.flatnonzero(np.bincount(owner[inside]))
        new = np.zeros(parts[-1] + 1, labels.dtype)
        new[parts] = label
        new[parts[1:]] = number + np.arange(len(parts) - 1)
        labels[window][inside] = new[owner[inside]]
        number += len(parts) - 1
    return number


def _nearest(seeds: np.ndarray) -> np.ndarray:
    """int32, for each pixel the number of the component of `seeds` that is nearest to it."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~seeds).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    return nearest
