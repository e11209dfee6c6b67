"""From CRAFT's two maps to word boxes: the decoder of "Character Region Awareness for Text
Detection" (Baek et al., CVPR 2019), with the names of the authors' release.

    boxes, polys = getDetBoxes(textmap, linkmap, 0.7, 0.4, 0.4)
    boxes = adjustResultCoordinates(boxes, ratio_w, ratio_h, ratio_net=4)

The corners of getDetBoxes are those of the reference implementation; detect_words has a second
decoder, "proportional", which fits the maps' Gaussians better.

Coordinates are pixel indices of the maps, x then y; a box is four corners, clockwise as seen on
the image.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from textdet.decoding.components import TOUCHING_TEXT, find_words
from textdet.decoding.curved import curved_polygons
from textdet.decoding.proportional import proportional_boxes

DECODERS = ("craft", "proportional")
SQUARE_TOLERANCE = 0.1  # sides this much alike (relative) make an upright box
TIE_PIXELS = 0.01  # two corners whose x + y differ by less are equally good starts

MIN_CURVED_SIDE = 10  # pixels; nothing to follow in a smaller box
STRAIGHT_RATIO = 0.7  # a word whose tallest column fills more of its box is straight
PIVOTS = 5  # points on the centre line of a curved word
SECTIONS = 2 * PIVOTS + 1  # a pivot in every second section, its direction from the neighbours
MIN_SECTION_RATIO = 0.25  # section length / character height; shorter ones give no direction
EXPAND_RATIO = 1.45  # polygon height / component height: the map thins out before the ink ends
END_PUSHES = np.arange(0.5, 1.8, 0.2)  # tries for the polygon's ends, in polygon heights


@dataclass
class Detections:
    """The N words found on one pair of maps, in the order of their first pixel, row by row.

    boxes: float32 (N, 4, 2), map pixels, clockwise from the corner with the smallest x + y.
    scores: float32 (N,), the peak of the character map within each word, 0..1.
    polys: N entries, each float32 (2K, 2) for a curved word, clockwise, K points along its upper
        side and K back; or None where the box serves. K is 7 for "craft", and
        curve_utils.POLYGON_SIDE for "proportional".
    """

    boxes: np.ndarray
    scores: np.ndarray
    polys: list


def detect_words(
    textmap,
    linkmap,
    text_threshold,
    link_threshold,
    low_text,
    poly=False,
    decoder="craft",
    relative_link=0.0,
):
    """Boxes, scores and, if asked for, polygons of the words of one pair of maps.

    A word is a 4-connected component of "text or link", wrapped in the rectangle of minimal area
    and grown, because the maps fade towards the border of the ink. CRAFT dilates the component.
    "proportional" moves each side out to where the Gaussian of the characters there ends, parts
    words that merely touch, and its polygons follow curves in any direction.

    Params:
        textmap: (H, W) character map (region score), float, about 0..1, or uint8, 0..255.
        linkmap: (H, W) affinity map, likewise.
        text_threshold: 0..1, a word needs a character score of at least this somewhere.
        link_threshold: 0..1, above it a pixel joins the characters beside it.
        low_text: 0..1, above it a pixel belongs to a character.
        poly: also follow curved words with polygons.
        decoder: one of DECODERS.
        relative_link: 0..1, links must also be above this share of the strong affinities of what
            they join; "craft" knows no such thing.

    Returns:
        Detections.

    Raises:
        ValueError: maps that are not two equally large, non-empty, finite (H, W) arrays, a
            threshold outside 0..1 or an unknown decoder.
    """
    textmap, linkmap = _checked_maps(textmap, linkmap)
    text_threshold = _checked_threshold("text_threshold", text_threshold)
    link_threshold = _checked_threshold("link_threshold", link_threshold)
    low_text = _checked_threshold("low_text", low_text)
    relative_link = _checked_threshold("relative_link", relative_link)
    if decoder not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r}")

    unit = 255 if textmap.dtype == np.uint8 else 1
    is_craft = decoder == "craft"
    words = find_words(
        textmap,
        linkmap,
        *(unit * value for value in (text_threshold, link_threshold, low_text)),
        touching=None if is_craft else unit * TOUCHING_TEXT,
        relative_link=0.0 if is_craft else relative_link,
    )
    if is_craft:
        boxes = _craft_boxes(words)
    else:
        # CRAFT counts from the centre of a pixel.
        boxes = proportional_boxes(textmap, words, low_text, unit) - 0.5
    boxes = _ordered_corners(boxes.astype(np.float32))
    if not poly:
        polys = [None] * len(words)
    elif is_craft:
        polys = _craft_polygons(words, boxes)
    else:
        thresholds = text_threshold, link_threshold, low_text
        polys = curved_polygons(textmap, linkmap, words, boxes + 0.5, thresholds, unit)
        polys = [None if polygon is None else polygon - np.float32(0.5) for polygon in polys]
    return Detections(boxes, np.clip(words.peaks / unit, 0, 1).astype(np.float32), polys)


def _checked_maps(textmap, linkmap):
    """Both maps, as uint8 or float32 arrays; ValueError when they cannot be decoded."""
    maps = [np.asarray(textmap), np.asarray(linkmap)]
    if any(values.dtype != np.uint8 for values in maps):
        maps = [values.astype(np.float32, copy=False) for values in maps]
    for name, values in zip(("textmap", "linkmap"), maps, strict=True):
        if values.ndim != 2 or values.size == 0:
            raise ValueError(f"{name} must be a non-empty (H, W) array, got shape {values.shape}")
        # The extremes are not finite if any value is not, and need no array of booleans.
        if not (np.isfinite(values.min()) and np.isfinite(values.max())):
            raise ValueError(f"{name} holds values that are not finite")
    if maps[0].shape != maps[1].shape:
        raise ValueError(f"textmap is {maps[0].shape}, linkmap is {maps[1].shape}")
    return maps


def _checked_threshold(name, value):
    """The threshold as a Python float: NumPy's float64 would compare in another precision."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in 0..1, got {value}")
    return float(value)


def _craft_boxes(words):
    """CRAFT's boxes (N, 4, 2): the words' pixels dilated by an amount that depends on how well
    they fill their upright box, in the rectangle of minimal area.

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


def _without_diamonds(boxes, upright):
    """Upright boxes where the rectangle is nearly a square: the minimal area around a round blob
    is found at any angle. Both (N, 4, 2)."""
    sides = np.linalg.norm(boxes[:, :2] - boxes[:, 1:3], axis=2)
    ratio = sides.max(axis=1) / (sides.min(axis=1) + 1e-5)
    is_square = np.abs(1 - ratio) <= SQUARE_TOLERANCE
    return np.where(is_square[:, None, None], upright.astype(np.float32), boxes)


def _ordered_corners(boxes):
    """Rotate the corners of each (4, 2) box to start at the smallest x + y.

    OpenCV 4 and 5 start elsewhere. Two corners tie in a rectangle at 45 degrees; then the one
    whose next side is the longer, so that the first side runs along the word.
    """
    sums = boxes.sum(axis=2)
    is_start = sums <= sums.min(axis=1, keepdims=True) + TIE_PIXELS
    next_side = np.linalg.norm(np.roll(boxes, -1, axis=1) - boxes, axis=2)
    start = np.where(is_start, next_side, -1).argmax(axis=1)
    order = (start[:, None] + np.arange(4)) % 4
    return np.take_along_axis(boxes, order[:, :, None], axis=1)


def _craft_polygons(words, boxes):
    """CRAFT's polygon of each word, or None. boxes: (N, 4, 2), map pixels."""
    labels = np.flatnonzero(words.numbers >= 0)
    labels = labels[np.argsort(words.numbers[labels])]
    polys = []
    for label, (x0, y0, x1, y1), box in zip(labels, words.bounds, boxes, strict=True):
        mask = (words.labels[y0 : y1 + 1, x0 : x1 + 1] == label).view(np.uint8)
        polys.append(_curved_polygon(mask, (x0, y0), box))
    return polys


def _curved_polygon(mask, origin, box):
    """Follow a curved word with a polygon: CRAFT's five pivots, scanned along the long side.

    Params:
        mask: uint8 (h, w), 1 on the pixels of the component.
        origin: x, y of the mask's first pixel on the map.
        box: float32 (4, 2), the word's box, map pixels.

    Returns:
        float32 (14, 2), map pixels, clockwise: seven points along the upper side, seven back
        along the lower side. The upper side of a word higher than wide is the right one. None
        when the word is straight, small, or anything about it is odd.
    """
    sides = np.linalg.norm(np.roll(box, -1, axis=0) - box, axis=1)
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


def _spine(flat):
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


def _end_slope(points):
    """Slope at the first of three points, (3, 2), of the parabola through them (equal steps)."""
    (dx0, dy0), (dx1, dy1) = np.diff(points, axis=0)
    return 1.5 * dy0 / dx0 - 0.5 * dy1 / dx1


def _push_out(flat, upper, lower, step):
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


def _is_ribbon(upper, lower):
    """Whether the cells between two lines of points, both (M, 2), are convex and clockwise."""
    cells = np.stack([upper[:-1], upper[1:], lower[1:], lower[:-1]], axis=1)
    side = np.roll(cells, -1, axis=1) - cells
    after = np.roll(side, -1, axis=1)
    return bool((side[..., 0] * after[..., 1] > side[..., 1] * after[..., 0]).all())
