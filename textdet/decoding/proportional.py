"""Word boxes from the contours of the character map, at fractions of a pixel.

data/heatmaps.py draws a Gaussian on each character's cell, so sqrt(-2 ln value), the distance in
sigmas, grows linearly from the middle of a character, and is the same, CELL_EDGE, at the middle
of each side of its cell. Two contours of a word tell how fast it grows at each side of the box:
there the box ends where it reaches CELL_EDGE. So a box ends right beside a narrow letter and a
wide one, whatever low_text is.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from static.constants import GAUSSIAN_ENLARGE, GAUSSIAN_SIGMA
from textdet.decoding.components import Words, sample
from textdet.decoding.run_lengths import group_runs

CELL_EDGE = 0.5 / GAUSSIAN_ENLARGE / GAUSSIAN_SIGMA  # sigmas from a cell's centre to its edge
INNER_CONTOUR = 0.6  # distance of the inner contour / distance of low_text's, in sigmas
GROWTH = (0.3, 1.2)  # a side's sigma as a share of that across the word; a network's is noisier
UPRIGHT_EXCESS = 1.04  # an upright box is preferred when it is larger by less than this factor
CORNERS = ((2, 3), (0, 3), (0, 1), (2, 1))  # the two sides, of _axes, at each corner
SHORT = 3.0  # length / height of a box that may hold a single character
MORE = 1.15  # room for rounding, above the sigma that such a box has
DEPTH_STEPS = 10  # places on the way inwards where the map is looked at
LEVELS = (1e-3, 0.95)  # thresholds beyond these are taken for them: their sigmas are too far


def proportional_boxes(
    textmap: np.ndarray, words: Words, low_text: float, unit: float, upright: bool = False
) -> np.ndarray:
    """Boxes (N, 4, 2) float64 of the words, in continuous map coordinates.

    low_text: the level of words.is_text, 0..1. unit: the map's value for 1. upright: no box is
    turned.
    """
    if len(words) == 0:
        return np.zeros((0, 4, 2))
    contour = _contour(textmap, words, low_text * unit)
    axes = _axes(contour, np.inf if upright else UPRIGHT_EXCESS)
    reach, tips = _reach(contour, axes)

    level = min(max(low_text, LEVELS[0]), LEVELS[1])
    inner = level ** (INNER_CONTOUR**2)
    distance, inner_distance = np.sqrt(-2 * np.log([level, inner]))
    half = (reach + np.roll(reach, 2, axis=1)) / 2 / distance
    across = half.min(axis=1, keepdims=True)
    # A short word may be a single character, whose sides are as far off as they seem.
    widest = np.where(half <= SHORT * across, MORE * half, GROWTH[1] * across)
    sigma = _sigmas(textmap, tips, axes, (across, widest), distance - inner_distance, inner * unit)
    reach = reach + sigma * (CELL_EDGE - distance)
    return _corners(axes, reach)


def _sigmas(textmap, tips, axes, bounds, difference, level):
    """The sigma (N, 4), px, of the Gaussian at each side: the map reaches a level so many times
    `difference` px inside of the outermost point.

    bounds: the sigma across each word (N, 1), taken where the level is not reached, and the
    largest of each side (N, 4).
    """
    across, widest = bounds
    narrowest = GROWTH[0] * across
    share = np.linspace(0, 1, DEPTH_STEPS)
    steps = narrowest[..., None] + (widest - narrowest)[..., None] * share
    places = tips[:, :, None] - axes[:, :, None] * (difference * steps)[..., None]
    values = sample(textmap, places[..., 0], places[..., 1]).astype(np.float32)
    reached = values >= level
    index = reached.argmax(axis=2)[..., None]
    before = np.maximum(index - 1, 0)
    high, low = (np.take_along_axis(values, i, 2)[..., 0] for i in (index, before))
    last, first = (np.take_along_axis(steps, i, 2)[..., 0] for i in (index, before))
    sigma = last - (last - first) * (high - level) / np.maximum(high - low, 1e-6)
    return np.where(reached.any(axis=2), sigma, across)


@dataclass
class Contour:
    """Points where the map crosses a level, sorted by word.

    xy: float32 (P, 2), continuous map coordinates.
    starts: int (N,), where each word begins.
    """

    xy: np.ndarray
    starts: np.ndarray


def _contour(textmap: np.ndarray, words: Words, level: float) -> Contour:
    """The first and the last crossing in each row and in each column of each word."""
    flipped = cv2.transpose(words.is_text.view(np.uint8)).view(bool)
    _, columns, _ = group_runs(flipped, words.labels.T, groups=words.numbers)
    rows, columns = words.text.outer(), columns.outer()
    starts = 2 * (rows.starts + columns.starts)
    xy = np.empty((2 * (len(rows.rows) + len(columns.rows)), 2), np.float32)
    # Each word's points: those of its rows, then those of its columns.
    place = 2 * np.repeat(columns.starts, rows.counts) + np.arange(0, 2 * len(rows.rows), 2)
    xy[place], xy[place + 1] = _crossings(textmap, rows, level)
    after = 2 * np.append(rows.starts[1:], len(rows.rows))
    place = np.repeat(after, columns.counts) + np.arange(0, 2 * len(columns.rows), 2)
    xy[place, ::-1], xy[place + 1, ::-1] = _crossings(textmap.T, columns, level)
    return Contour(xy, starts)


def _crossings(textmap, runs, level):
    """The crossing before and that after each run, two (R, 2) of x and y."""
    y = runs.rows + 0.5
    return [
        np.stack(
            [inside + 0.5 + step * _share(textmap, runs.rows, inside, inside + step, level), y], 1
        )
        for inside, step in ((runs.first, -1), (runs.last, 1))
    ]


def _share(textmap, rows, inside, outside, level):
    """How far the level is crossed on the way from one pixel's centre to its neighbour's, 0..1.

    0.5, the pixel's edge, where the outer one is not below the level: at the map's border, and
    between words that were parted.
    """
    high = textmap[rows, inside].astype(np.float32)
    low = textmap[rows, outside.clip(0, textmap.shape[1] - 1)].astype(np.float32)
    return np.where(low < level, (high - level) / np.maximum(high - low, 1e-6), 0.5)


def _axes(contour: Contour, upright_excess: float) -> np.ndarray:
    """The directions (N, 4, 2) of each word's box, outwards: the box of minimal area around its
    contour, or an upright one that is larger by no more than upright_excess. The minimal area
    around a round blob is found at any angle, around few pixels at a wrong one."""
    ends = [*contour.starts.tolist(), len(contour.xy)]  # np.split takes three times as long
    rectangles = [cv2.minAreaRect(contour.xy[a:b]) for a, b in pairwise(ends)]
    _, sizes, angles = zip(*rectangles, strict=True)
    width, height = (
        np.maximum.reduceat(contour.xy, contour.starts)
        - np.minimum.reduceat(contour.xy, contour.starts)
    ).T
    is_upright = width * height <= upright_excess * np.prod(sizes, axis=1)
    angles = np.where(is_upright, 0, np.deg2rad(angles))
    cosine, sine = np.cos(angles), np.sin(angles)
    along, down = np.stack([cosine, sine], 1), np.stack([-sine, cosine], 1)
    return np.stack([along, down, -along, -down], axis=1)


def _reach(contour: Contour, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each word's contour reaches in each of its directions, (N, 4), and the points (N, 4,
    2) where it does."""
    counts = np.diff(contour.starts, append=len(contour.xy))
    x, y = contour.xy.T
    reach, tips = np.empty(axes.shape[:2]), np.empty(axes.shape)
    for side in range(4):
        cosine, sine = axes[:, side].astype(np.float32).T
        ahead = x * np.repeat(cosine, counts) + y * np.repeat(sine, counts)
        highest = np.maximum.reduceat(ahead, contour.starts)
        at_tip = np.flatnonzero(ahead == np.repeat(highest, counts))
        reach[:, side] = highest
        tips[:, side] = contour.xy[at_tip[np.searchsorted(at_tip, contour.starts)]]
    return reach, tips


def _corners(axes: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Corners (N, 4, 2) of the boxes whose sides lie so far out, clockwise."""
    sides = axes * reach[:, :, None]
    return np.stack([sides[:, a] + sides[:, b] for a, b in CORNERS], axis=1)
