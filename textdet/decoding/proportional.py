"""The decoder "proportional": boxes that end where the Gaussians of the characters do.

data/heatmaps.py draws a Gaussian on each character's cell, so sqrt(-2 ln value), the distance in
sigmas, grows linearly from the middle of a character, and is the same, CELL_EDGE, at the middle
of each side of its cell. Two contours of a word tell how fast it grows at each side of the box:
there the box ends where it reaches CELL_EDGE. So a box ends right beside a narrow letter and a
wide one, whatever low_text is.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from textdet.common.gaussian import CELL_EDGE
from textdet.common.geometry import quad_size, start_at_top_left
from textdet.decoding.components import (
    Detections,
    ScoreMaps,
    Segmentation,
    Words,
    label,
    measure,
    sample_map,
    scores_of,
)
from textdet.decoding.curved import Ribbon, fit_ribbon, may_be_curved
from textdet.decoding.run_lengths import Runs, group_runs
from textdet.decoding.split_lines import split_lines
from textdet.decoding.split_words import cut_weak_links, split_touching

LINE_PASSES = 3  # how often components are searched for two lines, at most

INNER_CONTOUR = 0.6  # distance of the inner contour / distance of low_text's, in sigmas
GROWTH = (0.3, 1.2)  # a side's sigma as a share of that across the word; a network's is noisier
UPRIGHT_EXCESS = 1.04  # an upright box is preferred when it is larger by less than this factor
LONE_LENGTH = 2.0  # length / height of a box that its character may have turned, not the line
LONE_UPRIGHT_EXCESS = 1.2  # the factor for such a box: a / fills a slanted one in upright text
CORNERS = ((2, 3), (0, 3), (0, 1), (2, 1))  # the two sides, of _axes, at each corner
SHORT_LENGTH = 3.0  # length / height of a box that may hold a single character
SHORT_GROWTH = 1.15  # room for rounding, above the sigma that such a box has
DEPTH_STEPS = 10  # places on the way inwards where the map is looked at
LEVELS = (1e-3, 0.95)  # thresholds beyond these are taken for them: their sigmas are too far

POLYGON_SIDE = 10  # points on each long side of a curved word's polygon
MAX_POLYGON_HEIGHT = 0.9  # times that of the box: of a higher polygon the box says the same
MAX_WINDOWS = 8  # times the map's area, all words' windows together; later words keep their box
MAX_STRAIGHT = 2_000_000  # pixels of a straightened word; a larger one keeps its box


def decode_proportional(
    maps: ScoreMaps, poly: bool = False, relative_link: float = 0.0
) -> Detections:
    """The words of one image's maps, in boxes that fit the characters' Gaussians.

    A word is a component of text and links. Components that hold several words or lines are split,
    each side of a box is moved out to where the Gaussian of the characters there ends, and polygons
    follow curves in any direction.

    Params:
        poly: also follow curved words with polygons.
        relative_link: 0..1, links must also be above this share of the strong affinities of what
            they join.
    """
    words = measure(segment(maps, relative_link))
    boxes = start_at_top_left(fit_boxes(maps, words))
    polys = curved_polygons(maps, words, boxes) if poly else [None] * len(words)
    return Detections(boxes, scores_of(words, maps), polys)


def segment(maps: ScoreMaps, relative_link: float = 0.0) -> Segmentation:
    """Find the components that are words: those of the maps, split where they hold several.

    Params:
        relative_link: 0..1, see decode_proportional.
    """
    segmentation = cut_weak_links(label(maps), relative_link)
    if maps.low_text >= maps.touching_text:
        return segmentation  # text does more than touch
    segmentation = split_touching(segmentation)
    for _ in range(LINE_PASSES):
        split = split_lines(segmentation)
        if split is segmentation:
            break
        segmentation = split_touching(cut_weak_links(split, relative_link))
    return segmentation


def fit_boxes(maps: ScoreMaps, words: Words, upright: bool = False) -> np.ndarray:
    """Fit a box to each word.

    Params:
        upright: no box is turned.

    Returns:
        float64 (N, 4, 2), in continuous map coordinates.
    """
    if len(words) == 0:
        return np.zeros((0, 4, 2))
    contour = _contour(maps.text, words, maps.low_text)
    axes = _axes(contour, upright)
    reach, tips = _reach(contour, axes)

    level = min(max(maps.low_text / maps.unit, LEVELS[0]), LEVELS[1])
    inner = level ** (INNER_CONTOUR**2)
    distance, inner_distance = np.sqrt(-2 * np.log([level, inner]))
    half = (reach + np.roll(reach, 2, axis=1)) / 2 / distance
    across = half.min(axis=1, keepdims=True)
    # A short word may be a single character, whose sides are as far off as they seem.
    widest = np.where(half <= SHORT_LENGTH * across, SHORT_GROWTH * half, GROWTH[1] * across)
    sigma = _sigmas(
        maps.text, tips, axes, (across, widest), distance - inner_distance, inner * maps.unit
    )
    reach = reach + sigma * (CELL_EDGE - distance)
    return _corners(axes, reach)


def _sigmas(
    textmap: np.ndarray,
    tips: np.ndarray,
    axes: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    difference: float,
    level: float,
) -> np.ndarray:
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
    values = sample_map(textmap, places[..., 0], places[..., 1]).astype(np.float32)
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

    Params:
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


def _crossings(textmap: np.ndarray, runs: Runs, level: float) -> list[np.ndarray]:
    """The crossing before and that after each run, two (R, 2) of x and y."""
    y = runs.rows + 0.5
    return [
        np.stack(
            [inside + 0.5 + step * _share(textmap, runs.rows, inside, inside + step, level), y], 1
        )
        for inside, step in ((runs.first, -1), (runs.last, 1))
    ]


def _share(
    textmap: np.ndarray, rows: np.ndarray, inside: np.ndarray, outside: np.ndarray, level: float
) -> np.ndarray:
    """How far the level is crossed on the way from one pixel's centre to its neighbour's, 0..1.

    0.5, the pixel's edge, where the outer one is not below the level: at the map's border, and
    between words that were split.
    """
    high = textmap[rows, inside].astype(np.float32)
    low = textmap[rows, outside.clip(0, textmap.shape[1] - 1)].astype(np.float32)
    return np.where(low < level, (high - level) / np.maximum(high - low, 1e-6), 0.5)


def _axes(contour: Contour, upright: bool) -> np.ndarray:
    """The directions (N, 4, 2) of each word's box, outwards: the box of minimal area around its
    contour, or an upright one where `upright` says so or that is hardly larger. The minimal area
    around a round blob is found at any angle, around few pixels at a wrong one."""
    ends = [*contour.starts.tolist(), len(contour.xy)]  # np.split takes three times as long
    rectangles = [cv2.minAreaRect(contour.xy[a:b]) for a, b in pairwise(ends)]
    _, sizes, angles = zip(*rectangles, strict=True)
    width, height = (
        np.maximum.reduceat(contour.xy, contour.starts)
        - np.minimum.reduceat(contour.xy, contour.starts)
    ).T
    short, long = np.sort(sizes, axis=1).T
    excess = np.where(long < LONE_LENGTH * short, LONE_UPRIGHT_EXCESS, UPRIGHT_EXCESS)
    is_upright = upright | (width * height <= excess * short * long)
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


def curved_polygons(maps: ScoreMaps, words: Words, boxes: np.ndarray) -> list[np.ndarray | None]:
    """Follow the curved words with polygons.

    A word is straightened along its centre line, decoded as any word, and bent back.

    Params:
        boxes: (N, 4, 2) of the words, in continuous map coordinates.

    Returns:
        N polygons (2 POLYGON_SIDE, 2) in the same coordinates; None for straight words. The first
        half of a polygon runs along the upper side of the word, the second back along the lower
        one. The upper side of a word higher than wide is the right one.
    """
    polygons: list[np.ndarray | None] = [None] * len(words)
    room = MAX_WINDOWS * maps.text.size
    for number in np.flatnonzero(may_be_curved(words, boxes)):
        height = min(quad_size(boxes[number]))
        pad = int(height) + 2  # for what lies beyond low_text
        x0, y0, x1, y1 = words.bounds[number]
        left, top = max(x0 - pad, 0), max(y0 - pad, 0)
        window = np.s_[top : y1 + pad + 1, left : x1 + pad + 1]
        mine = words.labels[window] == words.components[number]
        room -= mine.size
        if room < 0:
            break
        others = (words.labels[window] > 0) & ~mine
        text, link = (np.where(others, 0, values[window]) for values in (maps.text, maps.link))
        offset = np.array([left, top])
        ribbon = fit_ribbon(mine & words.is_text[window], text, boxes[number] - offset)
        if ribbon is None:
            continue
        alone = replace(maps, text=text, link=link)
        polygon = _decode_along(ribbon, alone, MAX_POLYGON_HEIGHT * height)
        if polygon is not None:
            polygons[number] = polygon + offset
    return polygons


def _decode_along(ribbon: Ribbon, maps: ScoreMaps, max_height: float) -> np.ndarray | None:
    """The polygon (2 POLYGON_SIDE, 2) of the largest word in a band; None when there is none, or it
    is higher than max_height."""
    width, height = int(np.ceil(ribbon.length)), int(np.ceil(ribbon.height))
    if width * height > MAX_STRAIGHT:
        return None
    text, link = (ribbon.straighten(values, width, height) for values in (maps.text, maps.link))
    straight = replace(maps, text=text, link=link)
    words = measure(segment(straight))  # its weak links were cut before
    if len(words) == 0:
        return None
    box = fit_boxes(straight, words, upright=True)[words.areas.argmax()]
    (x0, y0), (x1, y1) = box.min(0), box.max(0)
    if y1 - y0 > max_height:
        return None
    along = np.linspace(x0, x1, POLYGON_SIDE) * (ribbon.length / width)
    upper, lower = (ribbon.at(along, np.full(POLYGON_SIDE, y / height)) for y in (y0, y1))
    return np.concatenate([upper, lower[::-1]])
