"""Curved words: straightened along their centre line, decoded as any word, and bent back."""

from dataclasses import dataclass

import numpy as np

from textdet.decoding.components import TOUCHING_TEXT, Words, find_words, sample
from textdet.decoding.proportional import proportional_boxes

POLYGON_SIDE = 10  # points on each long side of a curved word's polygon
MAYBE_CURVED = 0.06  # bend / width across of the box, from which a word is looked at closely
CURVED = 0.12  # deviation of the centre line from its chord / the word's height
MIN_HEIGHT = 10  # px of the map, short side of a box; a smaller one shows no curve
LONG_ENOUGH = 1.6  # length / height of a box; a shorter one shows no curve
DEGREES = (2, 5)  # of the centre line's polynomials: an arc of half a circle, or a whole sine
STIFFNESS = 0.8  # subtracted from length / height for the degree: else it follows the letters
FILLING = 0.5  # of a straight word's cells is above the usual low_text
ROUNDS = 8  # of fitting and projecting
SPACED = np.linspace(-1, 1, 48)  # points of the fitted line
MAX_PIXELS = 800  # of a word, for the fit
WORTH_IT = 0.9  # height of a polygon / height of the box, at most: else the box says the same
MARGIN = 1.4  # half height of the straightened picture / distance of the word's farthest pixel
MAX_WINDOWS = 8  # times the map's area, all words' windows together; later words keep their box
MAX_STRAIGHT = 2_000_000  # pixels of a straightened word; a larger one keeps its box


@dataclass
class Ribbon:
    """A band between two lines of K points, (K, 2) each, with the places (K,) of its points along
    the middle, in px from its start."""

    upper: np.ndarray
    lower: np.ndarray
    places: np.ndarray

    @property
    def length(self) -> float:
        return float(self.places[-1])

    @property
    def height(self) -> float:
        return float(np.linalg.norm(self.lower - self.upper, axis=1).mean())

    def at(self, along: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Points (..., 2) at so many px along the band and shares (0 upper, 1 lower) across it."""
        upper, lower = (
            np.stack([np.interp(along, self.places, values) for values in line.T], axis=-1)
            for line in (self.upper, self.lower)
        )
        return upper + (lower - upper) * across[..., None]

    def straighten(self, values: np.ndarray, width: int, height: int) -> np.ndarray:
        """A map (H, W) sampled along the band: (height, width), of the map's type."""
        along = (np.arange(width) + 0.5) * (self.length / width)
        across = (np.arange(height) + 0.5) / height
        points = self.at(*np.broadcast_arrays(along, across[:, None]))
        return sample(values, points[..., 0], points[..., 1])


def ribbon_of(polygon: np.ndarray) -> Ribbon:
    """The band of a polygon (2K, 2): K points along its upper side, K back along its lower one."""
    polygon = np.asarray(polygon, np.float64)
    half = len(polygon) // 2
    return _ribbon(polygon[:half], polygon[: half - 1 : -1])


def _ribbon(upper: np.ndarray, lower: np.ndarray) -> Ribbon:
    middle = (upper + lower) / 2
    steps = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    return Ribbon(upper, lower, np.append(0, np.cumsum(steps)))


def quad_sides(quad: np.ndarray) -> tuple[float, float]:
    """Mean lengths of the sides 0-1 and 2-3, and of the sides 1-2 and 3-0."""
    lengths = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    return (lengths[0] + lengths[2]) / 2, (lengths[1] + lengths[3]) / 2


def curved_polygons(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    words: Words,
    boxes: np.ndarray,
    thresholds: tuple[float, float, float],
    unit: float,
) -> list[np.ndarray | None]:
    """Polygons (2 POLYGON_SIDE, 2) float32 of the curved words, None for the straight ones.

    boxes: (N, 4, 2) of the words; they and the polygons in continuous map coordinates.
    thresholds: of text, link and low_text, 0..1. unit: the maps' value for 1.
    The first half of a polygon runs along the upper side of the word, the second back along the
    lower one. The upper side of a word higher than wide is the right one.
    """
    polygons = [None] * len(words)
    labels = np.flatnonzero(words.numbers >= 0)
    labels = labels[np.argsort(words.numbers[labels])]
    room = MAX_WINDOWS * textmap.size
    for number in np.flatnonzero(_maybe_curved(words, boxes)):
        (x0, y0, x1, y1), label = words.bounds[number], labels[number]
        # Room for what lies beyond low_text.
        pad = int(min(quad_sides(boxes[number]))) + 2
        left, top = max(x0 - pad, 0), max(y0 - pad, 0)
        window = np.s_[top : y1 + pad + 1, left : x1 + pad + 1]
        mine = words.labels[window] == label
        others = (words.labels[window] > 0) & ~mine
        text, link = (np.where(others, 0, values[window]) for values in (textmap, linkmap))
        room -= mine.size
        if room < 0:
            break
        offset = np.array([left, top])
        ribbon = _fit_ribbon(mine & words.is_text[window], text, boxes[number] - offset)
        if ribbon is None:
            continue
        height = WORTH_IT * min(quad_sides(boxes[number]))
        polygon = _decode_straightened(text, link, ribbon, thresholds, unit, height)
        if polygon is not None:
            polygons[number] = (polygon + offset).astype(np.float32)
    return polygons


def _maybe_curved(words: Words, boxes: np.ndarray) -> np.ndarray:
    """bool (N,): words whose pixels bend to one side of their box, or to both in turn."""
    if len(words) == 0:
        return np.zeros(0, bool)
    along, across = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 0]
    length, height = np.linalg.norm(along, axis=1), np.linalg.norm(across, axis=1)
    swap = (height > length)[:, None]
    along, across = np.where(swap, across, along), np.where(swap, along, across)
    length, height = np.maximum(length, height), np.minimum(length, height)
    runs = words.text
    middle = np.stack([(runs.first + runs.last + 1) / 2, runs.rows + 0.5], axis=1)
    from_centre = middle - boxes.mean(1)[runs.groups]
    place = 2 * (from_centre * along[runs.groups]).sum(1) / (length**2)[runs.groups]
    offset = (from_centre * across[runs.groups]).sum(1) / (height**2)[runs.groups]
    weight = runs.last - runs.first + 1
    total = np.add.reduceat(weight, runs.starts)
    bends = [
        np.abs(np.add.reduceat(weight * shape * offset, runs.starts) / total)
        for shape in (1.5 * place**2 - 0.5, 2.5 * place**3 - 1.5 * place)
    ]
    is_large = (height >= MIN_HEIGHT) & (length > LONG_ENOUGH * height)
    return is_large & (np.maximum(*bends) > MAYBE_CURVED / 5)


def _fit_ribbon(mask: np.ndarray, text: np.ndarray, box: np.ndarray) -> Ribbon | None:
    """The band around a word's centre line, with some room; None when it is straight or odd.

    The line is a principal curve (Hastie and Stuetzle 1989) whose coordinates are polynomials of
    the arc length: fit to the pixels, project them onto it, fit again.
    """
    ys, xs = np.nonzero(mask)
    every = -(-len(xs) // MAX_PIXELS)
    points = np.stack([xs, ys], axis=1)[::every] + 0.5
    weights = np.sqrt(text[mask][::every].astype(np.float64))[:, None]
    axis = box[1] - box[0] if np.subtract(*quad_sides(box)) > 0 else box[3] - box[0]
    axis = axis * np.sign(axis[np.abs(axis).argmax()])  # to the right, or down
    place = (points - box.mean(0)) @ axis
    place = 2 * (place - place.min()) / max(np.ptp(place), 1e-9) - 1
    degree = DEGREES[0]
    for _ in range(ROUNDS):
        basis = np.polynomial.legendre.legvander(place, degree)
        factors = np.linalg.lstsq(basis * weights, points * weights, rcond=1e-6)[0]
        line = np.polynomial.legendre.legvander(SPACED, degree) @ factors
        steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
        arc = np.append(0, np.cumsum(steps))
        place, distance = _project(points, line, arc)
        height = len(xs) / (FILLING * max(np.ptp(place), 1e-9))
        degree = int(np.clip(round(np.ptp(place) / height - STIFFNESS), *DEGREES))
        place = 2 * (place - place.min()) / max(np.ptp(place), 1e-9) - 1
    half = distance.max() * MARGIN
    tangents = np.gradient(line, arc, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    chord = line[-1] - line[0]
    normal = np.array([-chord[1], chord[0]]) / max(np.linalg.norm(chord), 1e-9)
    if np.ptp((line - line[0]) @ normal) < CURVED * 2 * distance.max():
        return None
    line = np.concatenate([line[:1] - half * tangents[:1], line, line[-1:] + half * tangents[-1:]])
    tangents = np.concatenate([tangents[:1], tangents, tangents[-1:]])
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1) * half
    return _ribbon(line - normals, line + normals)


def _project(points: np.ndarray, line: np.ndarray, arc: np.ndarray):
    """Where along a line the points (P, 2) lie, and how far from it, in px."""
    steps = np.diff(line, axis=0)
    lengths = np.maximum((steps**2).sum(1), 1e-12)
    share = ((points[:, None] - line[:-1]) * steps).sum(2) / lengths
    share[:, 1:-1] = share[:, 1:-1].clip(0, 1)  # the ends go on straight
    share[:, 0] = share[:, 0].clip(None, 1)
    share[:, -1] = share[:, -1].clip(0)
    distance = np.linalg.norm(points[:, None] - line[:-1] - share[..., None] * steps, axis=2)
    nearest = distance.argmin(axis=1)
    rows = np.arange(len(points))
    along = arc[nearest] + share[rows, nearest] * np.diff(arc)[nearest]
    return along, distance[rows, nearest]


def _decode_straightened(text, link, ribbon, thresholds, unit, max_height) -> np.ndarray | None:
    """The polygon (2 POLYGON_SIDE, 2) of the largest word in a straightened band; None when there
    is none, or it is higher than max_height."""
    width, height = int(np.ceil(ribbon.length)), int(np.ceil(ribbon.height))
    if width * height > MAX_STRAIGHT:
        return None
    text, link = (ribbon.straighten(values, width, height) for values in (text, link))
    words = find_words(text, link, *(unit * value for value in thresholds), unit * TOUCHING_TEXT)
    if len(words) == 0:
        return None
    boxes = proportional_boxes(text, words, thresholds[2], unit, upright=True)
    box = boxes[words.areas.argmax()]
    (x0, y0), (x1, y1) = box.min(0), box.max(0)
    if y1 - y0 > max_height:
        return None
    along = np.linspace(x0, x1, POLYGON_SIDE) * (ribbon.length / width)
    upper, lower = (ribbon.at(along, np.full(POLYGON_SIDE, y / height)) for y in (y0, y1))
    return np.concatenate([upper, lower[::-1]])
