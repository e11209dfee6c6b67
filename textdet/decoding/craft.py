"""The decoder "craft": that of "Character Region Awareness for Text Detection" (Baek et al., CVPR
2019), with the corners of the authors' release.

Boxes and polygons are found with OpenCV, in pixel indices; decode_craft gives them in continuous
coordinates.
"""

import cv2
import numpy as np

from textdet.common.geometry import side_lengths, start_at_top_left
from textdet.decoding.components import Detections, ScoreMaps, Words, label, measure, scores_of

SQUARE_TOLERANCE = 0.1  # sides this much alike (relative) make an upright box

MIN_CURVED_SIDE = 10  # pixels; nothing to follow in a smaller box
STRAIGHT_RATIO = 0.7  # a word whose tallest column fills more of its box is straight
PIVOTS = 5  # points on the centre line of a curved word
SECTIONS = 2 * PIVOTS + 1  # a pivot in every second section, its direction from the neighbours
MIN_SECTION_RATIO = 0.25  # section length / character height; shorter ones give no direction
EXPAND_RATIO = 1.45  # polygon height / component height: the map thins out before the ink ends
END_PUSHES = np.arange(0.5, 1.8, 0.2)  # tries for the polygon's ends, in polygon heights


def decode_craft(maps: ScoreMaps, poly: bool = False) -> Detections:
    """The words of one image's maps, as in the CRAFT release.

    A word is a 4-connected component of text and links, wrapped in the rectangle of minimal area
    around its dilated pixels' centres: the maps fade towards the border of the ink.

    Params:
        poly: also follow curved words with polygons.
    """
    words = measure(label(maps), count_links=True)
    boxes = start_at_top_left(_boxes(words))
    polys = _polygons(words, boxes) if poly else [None] * len(words)
    # In float64, so that half a pixel can be taken away again without a trace.
    half = np.float64(0.5)
    polys = [None if polygon is None else polygon + half for polygon in polys]
    return Detections(boxes + half, scores_of(words, maps), polys)


def _boxes(words: Words) -> np.ndarray:
    """Boxes (N, 4, 2) float32, pixel indices: the rectangles of minimal area around the words'
    pixels, dilated by an amount that depends on how well they fill their upright box.

    Nothing is really dilated: the hull of a dilated run is that of its ends' dilated pixels.
    """
    if len(words) == 0:
        return np.zeros((0, 4, 2), np.float32)
    width, height = (words.bounds[:, 2:] - words.bounds[:, :2] + 1).T
    short = np.minimum(width, height)
    niter = (2 * np.sqrt(words.areas * short / (width * height))).astype(np.int32)
    # OpenCV's anchor is the kernel's middle, rounded up where its side, 1 + niter, is even.
    ahead = (niter + 1) // 2
    runs = words.text.outer()
    behind, ahead = (np.repeat(reach, runs.counts) for reach in (niter - ahead, ahead))
    map_height, map_width = words.labels.shape
    left, right = (runs.first - behind).clip(0), (runs.last + ahead).clip(max=map_width - 1)
    top, bottom = (runs.rows - behind).clip(0), (runs.rows + ahead).clip(max=map_height - 1)
    points = np.stack([left, top, right, top, left, bottom, right, bottom], axis=1)
    points = points.astype(np.int32).reshape(-1, 2)
    starts = 4 * runs.starts

    outlines = np.split(points, starts[1:])
    boxes = np.stack([cv2.boxPoints(cv2.minAreaRect(outline)) for outline in outlines])
    x0, y0 = np.minimum.reduceat(points, starts, axis=0).T
    x1, y1 = np.maximum.reduceat(points, starts, axis=0).T
    upright = np.stack([x0, y0, x1, y0, x1, y1, x0, y1], axis=1).reshape(-1, 4, 2)
    return _without_diamonds(boxes, upright)


def _without_diamonds(boxes: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """Upright boxes where the rectangle is nearly a square: the minimal area around a round blob
    is found at any angle. Both (N, 4, 2)."""
    sides = side_lengths(boxes)[:, :2]
    ratio = sides.max(axis=1) / (sides.min(axis=1) + 1e-5)
    is_square = np.abs(1 - ratio) <= SQUARE_TOLERANCE
    return np.where(is_square[:, None, None], upright.astype(np.float32), boxes)


def _polygons(words: Words, boxes: np.ndarray) -> list[np.ndarray | None]:
    """The polygon of each word, or None. boxes: (N, 4, 2), pixel indices."""
    polys = []
    for component, (x0, y0, x1, y1), box in zip(words.components, words.bounds, boxes, strict=True):
        mask = (words.labels[y0 : y1 + 1, x0 : x1 + 1] == component).view(np.uint8)
        polys.append(_curved_polygon(mask, (x0, y0), box))
    return polys


def _curved_polygon(
    mask: np.ndarray, origin: tuple[int, int], box: np.ndarray
) -> np.ndarray | None:
    """Follow a curved word with a polygon: CRAFT's five pivots, scanned along the long side.

    Params:
        mask: uint8 (h, w), 1 on the pixels of the component.
        origin: x, y of the mask's first pixel on the map.
        box: float32 (4, 2), the word's box, pixel indices.

    Returns:
        float32 (14, 2), pixel indices, clockwise: seven points along the upper side, seven back
        along the lower side. The upper side of a word higher than wide is the right one. None
        when the word is straight, small, or anything about it is odd.
    """
    sides = side_lengths(box)
    if sides[1] > sides[0]:
        box, sides = np.roll(box, -1, axis=0), np.roll(sides, -1)
    length, height = int(sides[0]) + 1, int(sides[1]) + 1
    if min(length, height) < MIN_CURVED_SIDE:
        return None
    axes = np.stack([(box[1] - box[0]) / sides[0], (box[3] - box[0]) / sides[1]])
    to_mask = np.column_stack([axes.T, box[0] - origin])
    flat = cv2.warpAffine(
        mask, to_mask, (length, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )

    spine = _spine(flat)
    if spine is None:
        return None
    pivots, directions, word_height = spine
    # Downwards, at right angles to the direction of the word.
    half = np.column_stack([-directions[:, 1], directions[:, 0]]) * word_height / 2
    half *= EXPAND_RATIO
    upper, lower = pivots - half, pivots + half

    step = word_height * EXPAND_RATIO
    start = _push_out(flat, upper[0], lower[0], -step * np.array([1, _end_slope(pivots[:3])]))
    end = _push_out(flat, upper[-1], lower[-1], step * np.array([1, _end_slope(pivots[:-4:-1])]))
    upper = np.concatenate([start[:1], upper, end[:1]])
    lower = np.concatenate([start[1:], lower, end[1:]])
    if not _is_ribbon(upper, lower):
        return None
    return (box[0] + np.concatenate([upper, lower[::-1]]) @ axes).astype(np.float32)


def _spine(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Pivots on the centre line of a rectified word, one in every second section.

    Params:
        flat: uint8 (height, length), the component turned to run along x.

    Returns:
        pivots: (5, 2), x ascending, at the highest column of each section.
        directions: (5, 2), unit vectors along the word.
        height: median of the columns' heights at the pivots, pixels.
        Or None when the word is straight, has a gap, or is too short for its height.
    """
    height, length = flat.shape
    top = flat.argmax(axis=0)
    bottom = height - 1 - flat[::-1].argmax(axis=0)
    columns = np.flatnonzero(flat.any(axis=0) & (bottom > top))
    extent = (bottom - top + 1)[columns]
    if len(columns) == 0 or extent.max() > STRAIGHT_RATIO * height:
        return None
    centres = np.column_stack([columns, (top + bottom)[columns] / 2])
    section = np.minimum((columns + 0.5) * SECTIONS // length, SECTIONS - 1).astype(int)
    count = np.bincount(section, minlength=SECTIONS)
    if not count.all():
        return None
    means = np.column_stack([np.bincount(section, weights=values) / count for values in centres.T])
    highest = [int(np.where(section == i, extent, 0).argmax()) for i in range(1, SECTIONS, 2)]
    if length / SECTIONS < MIN_SECTION_RATIO * extent[highest].max():
        return None
    directions = means[2::2] - means[:-2:2]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return centres[highest], directions, float(np.median(extent[highest]))


def _end_slope(points: np.ndarray) -> float:
    """Slope at the first of three points, (3, 2), of the parabola through them (equal steps)."""
    (dx0, dy0), (dx1, dy1) = np.diff(points, axis=0)
    return 1.5 * dy0 / dx0 - 0.5 * dy1 / dx1


def _push_out(
    flat: np.ndarray, upper: np.ndarray, lower: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """Push an end line along step until it leaves the word; the last try counts as left.

    Returns:
        (2, 2), the pushed upper and lower point.
    """
    line = np.stack([upper, lower])
    samples = np.linspace(upper, lower, 2 + int(np.abs(lower - upper).max()))
    for push in END_PUSHES:
        x, y = (samples + push * step).round().astype(int).T
        inside = (x >= 0) & (x < flat.shape[1]) & (y >= 0) & (y < flat.shape[0])
        if not flat[y[inside], x[inside]].any():
            break
    return line + push * step


def _is_ribbon(upper: np.ndarray, lower: np.ndarray) -> bool:
    """Whether the cells between two lines of points, both (M, 2), are convex and clockwise."""
    cells = np.stack([upper[:-1], upper[1:], lower[1:], lower[:-1]], axis=1)
    side = np.roll(cells, -1, axis=1) - cells
    after = np.roll(side, -1, axis=1)
    return bool((side[..., 0] * after[..., 1] > side[..., 1] * after[..., 0]).all())
