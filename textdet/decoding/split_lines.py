"""Split components that span two text lines: a word stands in one line."""

import cv2
import numpy as np

from textdet.decoding.characters import find_peaks_and_valleys
from textdet.decoding.components import ScoreMaps, Segmentation, above
from textdet.decoding.run_lengths import find_components, group_runs

MIN_WORD_HEIGHT = 14  # pixels of the map; lower components are one line
MIN_CROSSINGS = 1.2  # how often a component's columns of pixels meet it if it may be two lines
TURNS = np.radians(np.arange(0, 33, 4))  # of the lines against the component's longer side
MAX_SQUARE_RATIO = 1.4  # length / height; below it lines may run along the shorter side as well
MIN_LINE_LENGTH = 1.2  # length / height of a line; otherwise letters would be taken for lines
MAX_VALLEY = 0.55  # the map between two lines, as a share of the lower one's
MIN_HILL = 0.3  # the lower line's share of the higher one's; less is a comma or an accent
MAX_STEPS = 40  # places across a component where it may be split
MAX_POINTS = 5000  # of a component are looked at; more would only take time
BORDER_WIDTH = 1.0  # pixels on either side of a border that are taken out; no two remain in touch


def split_lines(segmentation: Segmentation) -> Segmentation:
    """Split components that hold two lines of text, or more, in two.

    Where lines stand close, a few bright pixels between them join their words. Seen along the lines
    they are two hills with a valley between. A strip of pixels along it is taken out.

    Returns:
        New components, of which those that were split are open; or the segmentation as it is.
    """
    labels = segmentation.labels
    suspects = _suspects(segmentation)
    if len(suspects) == 0:
        return segmentation
    found, runs, _ = group_runs(segmentation.is_word, labels)
    windows = runs.bounds()[np.searchsorted(found, suspects)]
    is_open = np.zeros(labels.shape, bool)
    strips = []
    for component, (x0, y0, x1, y1) in zip(suspects.tolist(), windows.tolist(), strict=True):
        window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        mine = labels[window] == component
        strip = _strip(segmentation.maps, window, mine)
        if strip is not None:
            is_open[window] |= mine
            strips.append(strip)
    if not strips:
        return segmentation
    rows, columns = (np.concatenate(places) for places in zip(*strips, strict=True))
    is_text, is_link = segmentation.is_letter.copy(), segmentation.is_link.copy()
    is_text[rows, columns] = is_link[rows, columns] = False
    count, labels = find_components(is_text | is_link)
    return Segmentation(segmentation.maps, is_text, is_link, count, labels, is_open=is_open)


def _suspects(segmentation: Segmentation) -> np.ndarray:
    """int (n,), labels of the components that may hold several lines of text: most columns of
    pixels, or most rows where a component is higher than wide, meet it more than once where the
    maps are high."""
    maps, labels = segmentation.maps, segmentation.labels
    found, text, peaks = segmentation.letters
    is_high = segmentation.is_core | above(maps.link, maps.touching_text)
    x0, y0, x1, y1 = text.bounds().T
    width, height = np.stack([x1 - x0, y1 - y0]) + 1
    crossings = []
    for now, before in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        is_entered = is_high.copy()
        is_entered[now] &= ~is_high[before]
        met = np.bincount(labels[is_entered], minlength=segmentation.count)
        crossings.append(met[found])
    columns, rows = crossings[0] / width, crossings[1] / height
    times = np.where(width > height, columns, rows)
    is_squarish = np.maximum(width, height) < MAX_SQUARE_RATIO * np.minimum(width, height)
    times = np.where(is_squarish, np.maximum(columns, rows), times)
    may_be = (times > MIN_CROSSINGS) & (np.minimum(width, height) >= MIN_WORD_HEIGHT)
    may_be &= peaks >= maps.text_threshold
    if segmentation.is_open is not None:
        may_be &= segmentation.is_open[text.rows[text.starts], text.first[text.starts]]
    return found[may_be]


def _strip(
    maps: ScoreMaps, window: tuple[slice, slice], mine: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows and columns of the pixels between two lines of a component; None for one line.

    mine: bool (h, w), its pixels in the window.
    """
    y, x = np.nonzero(mine)
    text = maps.text[window][y, x]
    weights = np.maximum(text, maps.link[window][y, x]).astype(np.float64)
    points = np.stack([x, y], axis=1).astype(np.float32)
    some = np.s_[:: len(points) // MAX_POINTS + 1]
    border = _border(points[some].copy(), weights[some], text[some], maps.text_threshold)
    if border is None:
        return None
    across, level = border
    is_near = np.abs(points @ across - level) <= BORDER_WIDTH
    return y[is_near] + window[0].start, x[is_near] + window[1].start


def _border(
    points: np.ndarray, weights: np.ndarray, text: np.ndarray, text_threshold: float
) -> tuple[np.ndarray, float] | None:
    """Where two lines meet: a unit vector across them, and how far along it. None for one line.

    points: float32 (n, 2), x, y of a component's pixels. weights: (n,), how much each counts. text:
    (n,), their character values; both parts need one that reaches text_threshold, of the same unit.
    """
    corners = cv2.boxPoints(cv2.minAreaRect(points))
    sides = corners[1] - corners[0], corners[2] - corners[1]
    side, other = sorted(sides, key=np.linalg.norm, reverse=True)
    length, height = np.linalg.norm(side) + 1, np.linalg.norm(other) + 1
    if height < MIN_WORD_HEIGHT:
        return None
    # Lines that lean more leave the rectangle.
    turns = TURNS[np.arctan2(height, length) + 0.02 >= TURNS]
    turns = np.concatenate([-turns[:0:-1], turns])
    along = np.arctan2(side[1], side[0]) + turns
    if length < MAX_SQUARE_RATIO * height:
        along = np.concatenate([along, along + np.pi / 2])
    deepest, border = MAX_VALLEY, None
    for angle in along:
        across = np.float32([-np.sin(angle), np.cos(angle)])
        place = points @ across
        start, extent = place.min(), np.ptp(place) + 1
        step = max(1.0, extent / MAX_STEPS)
        hills = np.bincount(((place - start) / step).astype(int), weights=weights)
        if len(hills) < 3:
            continue
        hills = np.convolve(hills, [0.25, 0.5, 0.25], "same")
        before = np.maximum.accumulate(hills)
        after = np.maximum.accumulate(hills[::-1])[::-1]
        lower = np.minimum(before, after)
        share = np.where(lower >= MIN_HILL * hills.max(), hills / np.maximum(lower, 1e-6), 1)
        if share.min() < deepest:
            deepest = share.min()
            border = across, start + step * (share.argmin() + 0.5)
    if border is None:
        return None
    across, level = border
    along, far = points @ np.float32([across[1], -across[0]]), points @ across > level
    for part in (far, ~far):
        size = [np.ptp(axis[part]) + 1 for axis in (along, points @ across)]
        if size[0] < MIN_LINE_LENGTH * size[1] or text[part].max() < text_threshold:
            return None
        # Two letters of one word are two hills as well, but each of them is one hill along itself.
        profile = np.zeros(int(size[0]) + 1)
        np.maximum.at(profile, (along[part] - along[part].min()).astype(int), text[part])
        if len(find_peaks_and_valleys(profile / max(profile.max(), 1e-6))[0]) < 2:
            return None
    return border
