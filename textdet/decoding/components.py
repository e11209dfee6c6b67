"""Thresholded maps as words: components of text and link pixels, parted where words touch."""

from dataclasses import dataclass

import cv2
import numpy as np

from textdet.decoding.run_lengths import MIN_AREA, Runs, find_components, find_runs, group_runs
from textdet.decoding.split_lines import MIN_HEIGHT, SQUARE, part_lines
from textdet.decoding.split_words import join_linked

TOUCHING_TEXT = 0.5  # 0..1, words that touch below it and are not linked come apart
LINE_PASSES = 4  # how often components are searched for two lines, at most
DOUBLE = 1.2  # times, how often a component's columns of pixels meet it if it may be two lines
MAX_SPLIT_AREA = 8  # times the map's, all windows together in which touching words are parted


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
    join_linked; 0 keeps all links.
    """
    is_text, is_link = above(textmap, low_text), above(linkmap, link_threshold)
    searched = np.ones(is_text.shape, bool)  # the pixels of what was not parted need no second look
    for left in reversed(range(LINE_PASSES)):
        if relative_link:
            number, labels = join_linked(
                textmap, linkmap, is_text, is_link, is_link & searched, relative_link
            )
        else:
            number, labels = find_components(is_text | is_link)
        is_word = is_text | is_link
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
        suspects &= searched[text.rows[text.starts], text.first[text.starts]]
        if not suspects.any():
            break
        found, words, _ = group_runs(is_word, labels)
        windows = words.bounds()[np.searchsorted(found, with_text[suspects])]
        parted = part_lines(
            *(textmap, linkmap, is_text, is_link, labels),
            *(with_text[suspects], windows, text_threshold),
        )
        if not parted:
            break
        searched = np.isin(labels, parted)

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
