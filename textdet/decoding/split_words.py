"""Split components that hold several words: at weak links, and where words merely touch."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from textdet.decoding.characters import find_peaks_and_valleys
from textdet.decoding.components import Segmentation, reaching
from textdet.decoding.run_lengths import MIN_AREA, find_components, find_runs, group_runs

STRONG_LINK = 0.9  # quantile of the affinity in a component that its weak links are measured by
EVEN_LINK = 0.2  # share of the strong affinity that links evenly spaced letters

SMOOTHING = 0.12  # of a word's height, over which its profile is averaged
MAX_SPACING = 1.35  # times the distance of the other letters: farther apart they are two words
MIN_DEPTH = 0.85  # times the map between the other letters: lower it is a space
MIN_LENGTH = 1.2  # length / height of a word; what is shorter shows no spacing

MAX_SPLIT_AREA = 8  # times the map's, all windows together in which touching words are split


def cut_weak_links(segmentation: Segmentation, share: float) -> Segmentation:
    """Take out the links that are weak for what they join.

    Between words the network sees some affinity too, the more the surer it is of the words: in a
    clear line it may exceed what joins the letters of a faint word, and no one threshold fits both.
    A link stays that is above `share` of the strong affinity (STRONG_LINK) of its own component,
    or above EVEN_LINK of it where the letters stand no farther apart than others of the word.

    Params:
        share: 0..1; 0 keeps all links.
    """
    is_text, is_link = segmentation.is_text, segmentation.is_link
    is_candidate = is_link if segmentation.is_open is None else is_link & segmentation.is_open
    places = np.flatnonzero(is_candidate)
    if not share or len(places) == 0:
        return segmentation
    wholes, levels = segmentation.labels, segmentation.maps.link.ravel()[places]
    if levels.dtype != np.uint8:
        levels = (levels.clip(0, 1) * 255).astype(np.uint8)
    owners = wholes.ravel()[places]
    strong = _strong_levels(levels, owners, segmentation.count)[owners]
    is_strong = levels > share * strong
    is_link = is_link.copy()
    is_link.ravel()[places] = is_strong
    count, labels = find_components(is_text | is_link)
    cut = replace(segmentation, is_link=is_link, count=count, labels=labels)

    weak = places[~is_strong & (levels > EVEN_LINK * strong)]
    if len(weak) == 0:
        return cut
    # Both arrays are new here, and no two of the words share a pixel.
    for y, x, is_between, joined in _evenly_spaced(cut, wholes, weak):
        is_link[y[is_between], x[is_between]] = True
        labels[y, x] = joined
    return replace(segmentation, is_link=is_link, count=count, labels=labels)


def _strong_levels(levels: np.ndarray, owners: np.ndarray, count: int) -> np.ndarray:
    """The quantile STRONG_LINK of the levels (n,) uint8 of each owner, (count,); 0 where there are
    none."""
    # Owner and level in one number: sorted, each owner's levels stand together, in their order.
    ranked = np.sort(owners.astype(np.int64) * 256 + levels)
    starts = np.flatnonzero(np.diff(ranked >> 8, prepend=-1))
    last = np.diff(starts, append=len(ranked)) - 1
    quantiles = np.zeros(count)
    quantiles[ranked[starts] >> 8] = ranked[starts + (STRONG_LINK * last).astype(int)] & 255
    return quantiles


def _evenly_spaced(
    cut: Segmentation, wholes: np.ndarray, weak: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Pieces of words that belong together, because their letters stand evenly.

    Params:
        cut: without weak links.
        wholes: int32 (H, W), the components before these were taken out.
        weak: int (n,), places in the flat map of the weak links that may come back.

    Yields:
        Of each word: rows and columns (P,) of its pixels, whether each is of a link that comes back
        if it is one, bool (P,), and the label of each, int32 (P,).
    """
    is_text, is_link, labels = cut.is_text, cut.is_link, cut.labels
    is_loose = is_text | is_link
    is_loose.ravel()[weak] = True
    _, pieces, _ = group_runs(is_text, labels)
    pieces = pieces.take(np.flatnonzero(pieces.areas() >= MIN_AREA))
    rows, columns, bounds = pieces.rows[pieces.starts], pieces.first[pieces.starts], pieces.bounds()
    owners = wholes[rows, columns]
    for whole in np.flatnonzero(np.bincount(owners) > 1):
        own = np.flatnonzero(owners == whole)
        (x0, y0), (x1, y1) = bounds[own, :2].min(axis=0), bounds[own, 2:].max(axis=0)
        window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        _, parts = find_components(is_loose[window] & (wholes[window] == whole))
        for part in np.flatnonzero(np.bincount(parts[rows[own] - y0, columns[own] - x0]) > 1):
            inside = parts == part
            text = is_text[window] & inside
            y, x = np.nonzero(text)
            values = cut.maps.text[window][y, x] / cut.maps.unit
            along, gaps = even_gaps(np.stack([x, y], axis=1), values, labels[window][y, x])
            if not gaps:
                continue
            y, x = np.nonzero(inside)
            places = np.stack([x, y], axis=1) @ along
            is_between = np.zeros(len(places), bool)
            for start, end in gaps:
                is_between |= (places >= start) & (places <= end)
            held = text | (is_link[window] & inside)
            held[y[is_between], x[is_between]] = True
            joined = find_components(held)[1][y, x]
            names = np.zeros(joined.max() + 1, labels.dtype)
            np.maximum.at(names, joined, labels[window][y, x])
            names[0] = 0  # links that are still out
            yield y + y0, x + x0, is_between, names[joined]


def even_gaps(
    points: np.ndarray, values: np.ndarray, pieces: np.ndarray
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Where pieces of a word belong together, as the spacing of its letters shows.

    Where the affinity between two letters is weak, their distance and the map between them tell
    whether a space is there: they are compared with those of the letters that are linked.

    Params:
        points: int (n, 2), x and y of the pixels of the word's characters, row by row.
        values: (n,), the character map there, 0..1.
        pieces: int (n,), the piece of each.

    Returns:
        along: float (2,), x and y of a step of one px along the word.
        gaps: from where to where, as products with `along`, a space would be and is not.
    """
    points = points.astype(np.float32)
    corners = cv2.boxPoints(cv2.minAreaRect(points))
    sides = corners[1] - corners[0], corners[2] - corners[1]
    height, length = sorted(np.linalg.norm(side) + 1 for side in sides)
    along = max(sides, key=np.linalg.norm) / max(length - 1, 1)
    if length < MIN_LENGTH * height:
        return along, []
    places = points @ along
    start = places.min()
    found = _gaps((places - start).astype(int), values, pieces, height)
    return along, [(start + first, start + last) for first, last in found]


def _gaps(
    places: np.ndarray, values: np.ndarray, pieces: np.ndarray, height: float
) -> list[tuple[int, int]]:
    """From where to where along a word letters of two pieces are no farther apart than others, nor
    the map between them lower.

    places: int (n,), px along the word, of each pixel. height: px, of the word. values, pieces: as
    in even_gaps.
    """
    profile = np.zeros(places.max() + 1)
    np.maximum.at(profile, places, values)
    width = int(SMOOTHING * height) | 1
    if width >= len(profile):
        return []
    profile = np.convolve(profile, np.full(width, 1 / width), "same")
    peaks, valleys = (np.array(found, int) for found in find_peaks_and_valleys(profile))
    if len(peaks) < 3:
        return []
    order = np.lexsort((values, places))  # the last pixel of each place is its brightest
    brightest = np.searchsorted(places[order], peaks, side="right") - 1
    letters = pieces[order][brightest]
    is_linked = letters[1:] == letters[:-1]
    if not is_linked.any():
        return []
    distances, depths = np.diff(peaks), profile[valleys]
    is_even = distances <= MAX_SPACING * np.median(distances[is_linked])
    is_even &= depths >= MIN_DEPTH * np.median(depths[is_linked])
    return [(peaks[i], peaks[i + 1]) for i in np.flatnonzero(is_even & ~is_linked)]


def split_touching(segmentation: Segmentation) -> Segmentation:
    """Split components that hold several words of their own where the text is brighter.

    A core (ScoreMaps.touching_text) counts when it could be a word by itself; each other pixel goes
    to the nearest one. A line of pixels between the parts becomes border.

    Returns:
        New components, of the same is_text and is_link; or the segmentation as it is.
    """
    labels = segmentation.labels
    crowded, is_seed, core_labels = _crowded(segmentation)
    if len(crowded) == 0:
        return segmentation
    found, components, _ = group_runs(segmentation.is_word, labels)
    bounds = components.bounds()[np.searchsorted(found, crowded)]
    sizes = (bounds[:, 2:] - bounds[:, :2] + 1).prod(axis=1)
    affordable = np.cumsum(sizes) <= MAX_SPLIT_AREA * labels.size
    count, labels, is_border = segmentation.count, labels.copy(), np.zeros(labels.shape, bool)
    for component, (x0, y0, x1, y1) in zip(
        crowded[affordable].tolist(), bounds[affordable].tolist(), strict=True
    ):
        window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        inside = labels[window] == component
        owner = _nearest(inside & is_seed[core_labels[window]])
        border = np.zeros_like(inside)
        border[:, 1:] = (owner[:, 1:] != owner[:, :-1]) & inside[:, :-1]
        border[1:] |= (owner[1:] != owner[:-1]) & inside[:-1]
        is_border[window] |= border & inside
        parts = np.flatnonzero(np.bincount(owner[inside]))
        names = np.zeros(parts[-1] + 1, labels.dtype)
        names[parts] = component
        names[parts[1:]] = count + np.arange(len(parts) - 1)
        labels[window][inside] = names[owner[inside]]
        count += len(parts) - 1
    if segmentation.is_border is not None:
        is_border |= segmentation.is_border
    return replace(segmentation, count=count, labels=labels, is_border=is_border)


def _crowded(segmentation: Segmentation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The components with several cores that could be words: their labels, int (n,); which of the
    cores could, bool (K,); and the core of each pixel, int32 (H, W), K of them with 0."""
    maps, is_core = segmentation.maps, segmentation.is_core
    # With eight neighbours OpenCV is faster, and here they serve as well.
    count, cores = cv2.connectedComponents(
        (is_core | segmentation.is_link).view(np.uint8), connectivity=8
    )
    rows, first, last = find_runs(is_core)
    core = cores[rows, first]
    parents = np.zeros(count, np.int32)
    parents[core] = segmentation.labels[rows, first]
    is_seed = np.bincount(core, last - first + 1, count) >= MIN_AREA
    if np.bincount(parents[is_seed], minlength=1).max() > 1:
        has_peak = np.zeros(count, bool)
        has_peak[cores[reaching(maps.text, maps.text_threshold)]] = True
        is_seed &= has_peak
    return np.flatnonzero(np.bincount(parents[is_seed], minlength=1) > 1), is_seed, cores


def _nearest(seeds: np.ndarray) -> np.ndarray:
    """int32, for each pixel the number of the component of `seeds` that is nearest to it."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~seeds).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_CCOMP
    )
    return nearest
