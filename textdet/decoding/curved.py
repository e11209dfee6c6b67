"""Curved words: which words are curved, and the band that follows one."""

from dataclasses import dataclass

import numpy as np

from textdet.common.geometry import arc_lengths, quad_size
from textdet.decoding.components import Words, sample_map

MIN_BEND = 0.06  # bend / width across of the box, from which a word is looked at closely
MIN_DEVIATION = 0.12  # of the centre line from its chord / the word's height; else it is straight
MIN_HEIGHT = 10  # px of the map, short side of a box; a smaller one shows no curve
MIN_LENGTH = 1.6  # length / height of a box; a shorter one shows no curve
DEGREES = (2, 5)  # of the centre line's polynomials: an arc of half a circle, or a whole sine
STIFFNESS = 0.8  # subtracted from length / height for the degree: else it follows the letters
FILLING = 0.5  # of a straight word's cells is above the usual low_text
ROUNDS = 8  # of fitting and projecting
LINE_POINTS = np.linspace(-1, 1, 48)  # of the fitted line
MAX_POINTS = 800  # pixels of a word, for the fit
BAND_MARGIN = 1.4  # half height of the straightened picture / distance of the word's farthest pixel


@dataclass
class Ribbon:
    """A band between two lines of points.

    Params:
        upper, lower: (K, 2) px each, in reading direction.
        places: (K,) px, where the points lie along the middle, from its start.
    """

    upper: np.ndarray
    lower: np.ndarray
    places: np.ndarray

    @property
    def length(self) -> float:
        """px, along its middle."""
        return float(self.places[-1])

    @property
    def height(self) -> float:
        """px, the mean distance of the two lines."""
        return float(np.linalg.norm(self.lower - self.upper, axis=1).mean())

    def at(self, along: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Find points of the band.

        Params:
            along: px along the middle, of any shape.
            across: of the same shape, 0 on the upper line to 1 on the lower one.

        Returns:
            (..., 2) px.
        """
        upper, lower = (
            np.stack([np.interp(along, self.places, values) for values in line.T], axis=-1)
            for line in (self.upper, self.lower)
        )
        return upper + (lower - upper) * across[..., None]

    def straighten(self, values: np.ndarray, width: int, height: int) -> np.ndarray:
        """Sample a map along the band.

        Params:
            values: (H, W) map, uint8 or float32.
            width, height: px of the result.

        Returns:
            (height, width), of the map's type.
        """
        along = (np.arange(width) + 0.5) * (self.length / width)
        across = (np.arange(height) + 0.5) / height
        points = self.at(*np.broadcast_arrays(along, across[:, None]))
        return sample_map(values, points[..., 0], points[..., 1])


def ribbon_of(polygon: np.ndarray) -> Ribbon:
    """The band of a polygon.

    Params:
        polygon: (2K, 2) px, K points along its upper side, K back along its lower one.
    """
    polygon = np.asarray(polygon, np.float64)
    half = len(polygon) // 2
    return _ribbon(polygon[:half], polygon[: half - 1 : -1])


def _ribbon(upper: np.ndarray, lower: np.ndarray) -> Ribbon:
    return Ribbon(upper, lower, arc_lengths((upper + lower) / 2))


def may_be_curved(words: Words, boxes: np.ndarray) -> np.ndarray:
    """Find the words whose pixels bend to one side of their box, or to both in turn.

    Params:
        boxes: (N, 4, 2), of the words, in continuous map coordinates.

    Returns:
        bool (N,).
    """
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
    is_large = (height >= MIN_HEIGHT) & (length > MIN_LENGTH * height)
    return is_large & (np.maximum(*bends) > MIN_BEND / 5)


def fit_ribbon(mask: np.ndarray, text: np.ndarray, box: np.ndarray) -> Ribbon | None:
    """Fit a band around a word's centre line, with some room.

    The line is a principal curve (Hastie and Stuetzle 1989) whose coordinates are polynomials of
    the arc length: fit to the pixels, project them onto it, fit again.

    Params:
        mask: bool (H, W), the word's pixels.
        text: (H, W) character map, of which the values in the mask weigh the pixels.
        box: (4, 2), the word's, in the mask's continuous coordinates.

    Returns:
        The band, in the same coordinates; None when the word is straight or odd.
    """
    ys, xs = np.nonzero(mask)
    every = -(-len(xs) // MAX_POINTS)
    points = np.stack([xs, ys], axis=1)[::every] + 0.5
    weights = np.sqrt(text[mask][::every].astype(np.float64))[:, None]
    axis = box[1] - box[0] if np.subtract(*quad_size(box)) > 0 else box[3] - box[0]
    axis = axis * np.sign(axis[np.abs(axis).argmax()])  # to the right, or down
    place = (points - box.mean(0)) @ axis
    place = 2 * (place - place.min()) / max(np.ptp(place), 1e-9) - 1
    degree = DEGREES[0]
    for _ in range(ROUNDS):
        basis = np.polynomial.legendre.legvander(place, degree)
        factors = np.linalg.lstsq(basis * weights, points * weights, rcond=1e-6)[0]
        line = np.polynomial.legendre.legvander(LINE_POINTS, degree) @ factors
        arc = arc_lengths(line)
        place, distance = _project(points, line, arc)
        height = len(xs) / (FILLING * max(np.ptp(place), 1e-9))
        degree = int(np.clip(round(np.ptp(place) / height - STIFFNESS), *DEGREES))
        place = 2 * (place - place.min()) / max(np.ptp(place), 1e-9) - 1
    half = distance.max() * BAND_MARGIN
    tangents = np.gradient(line, arc, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    chord = line[-1] - line[0]
    normal = np.array([-chord[1], chord[0]]) / max(np.linalg.norm(chord), 1e-9)
    if np.ptp((line - line[0]) @ normal) < MIN_DEVIATION * 2 * distance.max():
        return None
    line = np.concatenate([line[:1] - half * tangents[:1], line, line[-1:] + half * tangents[-1:]])
    tangents = np.concatenate([tangents[:1], tangents, tangents[-1:]])
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1) * half
    return _ribbon(line - normals, line + normals)


def _project(
    points: np.ndarray, line: np.ndarray, arc: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
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
