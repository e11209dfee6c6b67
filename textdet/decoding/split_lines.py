"""Words that touch words of the line above or below, parted: a word stands in one line."""

import cv2
import numpy as np

from textdet.decoding.basins import basins

MIN_HEIGHT = 14  # pixels of the map; lower components are one line
TURNS = np.radians(np.arange(0, 33, 4))  # of the lines against the component's longer side
SQUARE = 1.4  # length / height; below it the lines may run along the shorter side as well
MIN_LENGTH = 1.2  # length / height of a line; otherwise letters would be taken for lines
LOW = 0.55  # the map between two lines, as a share of the lower one's
SMALL = 0.3  # the lower line's share of the higher one's; less is a comma or an accent
STEPS = 40  # places at most across a component where it may be parted
MOST_POINTS = 5000  # of a component are looked at; more would only take time
BAND = 1.0  # pixels on either side of the border that are taken out; no two remain in touch


def part_lines(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    is_text: np.ndarray,
    is_link: np.ndarray,
    labels: np.ndarray,
    suspects: np.ndarray,
    bounds: np.ndarray,
    text_threshold: float,
) -> list[int]:
    """Part components that hold two lines of text, or more, in two.

    Where lines stand close, a few bright pixels between them join their words. Seen along the lines
    they are two hills with a valley between. A strip of pixels along it is taken out of is_text and
    is_link, in place. All maps are (H, W); the threshold is in the unit of textmap and linkmap.

    Params:
        labels: int32, the component of each pixel that is text or link, 0 for none.
        suspects: int (N,), labels of the components that are looked at.
        bounds: int (N, 4), their first column and row, last column and row.
        text_threshold: both parts need a character value that reaches it.

    Returns:
        The labels of those that were parted.
    """
    parted = []
    for label, (x0, y0, x1, y1) in zip(suspects.tolist(), bounds.tolist(), strict=True):
        window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        y, x = np.nonzero(labels[window] == label)
        text = textmap[window][y, x]
        weights = np.maximum(text, linkmap[window][y, x]).astype(np.float64)
        points = np.stack([x, y], axis=1).astype(np.float32)
        sparse = np.s_[:: len(points) // MOST_POINTS + 1]
        border = _border(points[sparse].copy(), weights[sparse], text[sparse], text_threshold)
        if border is None:
            continue
        across, level = border
        strip = np.abs(points @ across - level) <= BAND
        for mask in (is_text, is_link):
            mask[window][y[strip], x[strip]] = False
        parted.append(label)
    return parted


def _border(points, weights, text, text_threshold):
    """Where two lines meet: a unit vector across them, and how far along it. None for one line.

    points: float32 (n, 2), x, y of a component's pixels. weights: (n,), how much each counts. text:
    (n,), their character values.
    """
    corners = cv2.boxPoints(cv2.minAreaRect(points))
    sides = corners[1] - corners[0], corners[2] - corners[1]
    side, other = sorted(sides, key=np.linalg.norm, reverse=True)
    length, height = np.linalg.norm(side) + 1, np.linalg.norm(other) + 1
    if height < MIN_HEIGHT:
        return None
    # Lines that lean more leave the rectangle.
    turns = TURNS[np.arctan2(height, length) + 0.02 >= TURNS]
    turns = np.concatenate([-turns[:0:-1], turns])
    along = np.arctan2(side[1], side[0]) + turns
    if length < SQUARE * height:
        along = np.concatenate([along, along + np.pi / 2])
    deepest, border = LOW, None
    for angle in along:
        across = np.float32([-np.sin(angle), np.cos(angle)])
        place = points @ across
        start, extent = place.min(), np.ptp(place) + 1
        step = max(1.0, extent / STEPS)
        hills = np.bincount(((place - start) / step).astype(int), weights=weights)
        if len(hills) < 3:
            continue
        hills = np.convolve(hills, [0.25, 0.5, 0.25], "same")
        before = np.maximum.accumulate(hills)
        after = np.maximum.accumulate(hills[::-1])[::-1]
        lower = np.minimum(before, after)
        share = np.where(lower >= SMALL * hills.max(), hills / np.maximum(lower, 1e-6), 1)
        if share.min() < deepest:
            deepest = share.min()
            border = across, start + step * (share.argmin() + 0.5)
    if border is None:
        return None
    across, level = border
    along, far = points @ np.float32([across[1], -across[0]]), points @ across > level
    for part in (far, ~far):
        size = [np.ptp(axis[part]) + 1 for axis in (along, points @ across)]
        if size[0] < MIN_LENGTH * size[1] or text[part].max() < text_threshold:
            return None
        # Two letters of one word are two hills as well, but each of them is one hill along itself.
        profile = np.zeros(int(size[0]) + 1)
        np.maximum.at(profile, (along[part] - along[part].min()).astype(int), text[part])
        if len(basins(profile / max(profile.max(), 1e-6))[0]) < 2:
            return None
    return border
