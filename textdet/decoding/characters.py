"""Words into characters: the watershed of CRAFT's weak supervision (section 3.2 of the paper).

    quads = split_characters(textmap, polygon)

A word is straightened first, so that its characters stand side by side; what a watershed finds in
such a picture are the basins of its profile along the word, and these are cheap.
"""

from itertools import pairwise

import numpy as np

from textdet.common.gaussian import CELL_EDGE
from textdet.common.geometry import quad_size
from textdet.decoding.curved import Ribbon, ribbon_of

FOREGROUND = 0.35  # 0..1, a character's peak reaches it (the paper's .75 is for the best maps)
PROMINENCE = 0.1  # a valley between two characters is lower than both peaks by this share
CLEAR_PEAK, CLEAR_VALLEY = 0.5, 0.85  # a clear character's peak; of it, the valleys beside it

SAMPLES = 2  # columns of a straightened word for each px of the map
ROWS = 16  # of a straightened word
CORE_ROWS = (0.2, 0.8)  # of the height; beyond, neighbouring lines shine in
VERTICAL_RATIO = 2.0  # height / width from which a word that shows no valleys counts as vertical
LOOSEST_END, LOOSEST_SIDE = 0.3, 0.2  # of a word's shorter side: more than so much is no room
EDGE_VALUE = float(np.exp(-(CELL_EDGE**2) / 2))  # of a character's Gaussian at its cell's edge


def split_characters(
    textmap: np.ndarray, polygon: np.ndarray, count: int | None = None
) -> np.ndarray:
    """The quads (n, 4, 2) float32 of a word's characters, in reading order.

    The characters of a quad higher than wide may stand side by side or one below the other: what
    gives more of them is taken.

    Params:
        textmap: (H, W) character map, uint8 0..255 or float 0..1.
        polygon: (2K, 2) of the word in continuous map coordinates, K points along its upper side
            and K back, as a decoder gives them.
        count: the number of characters where it is known; None to find it.

    Raises:
        ValueError: a polygon of another shape or not finite, a count below 1, or a map that is not
            (H, W).
    """
    textmap, polygon = np.asarray(textmap), np.asarray(polygon, np.float64)
    if textmap.ndim != 2 or textmap.size == 0:
        raise ValueError(f"textmap must be a non-empty (H, W) array, got shape {textmap.shape}")
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 4 or len(polygon) % 2:
        raise ValueError(f"polygon must be (2K, 2), K >= 2, got shape {polygon.shape}")
    if not np.isfinite(polygon).all():
        raise ValueError("polygon holds values that are not finite")
    if textmap.dtype != np.uint8:
        textmap = textmap.astype(np.float32, copy=False)
    ribbon, straight, is_vertical = _in_reading_direction(textmap, polygon)
    bounds = character_bounds(straight, count) * (ribbon.length / straight.shape[1])
    upper, lower = (ribbon.at(bounds, np.full(bounds.shape, share)) for share in (0.0, 1.0))
    corners = [upper[:, 0], upper[:, 1], lower[:, 1], lower[:, 0]]
    # Downwards, the upper side is the right one: a character's first corner is at its left.
    corners = corners[3:] + corners[:3] if is_vertical else corners
    return np.stack(corners, axis=1).astype(np.float32)


def peak_clarity(textmap: np.ndarray, polygon: np.ndarray) -> float:
    """How clearly a word's characters stand apart in the map.

    Params:
        textmap: (H, W) character map, uint8 0..255 or float32 0..1.
        polygon: (2K, 2) of the word, as split_characters takes it.

    Returns:
        0..1, the share of its characters whose peak reaches CLEAR_PEAK, and whose valleys towards
        their neighbours stay below CLEAR_VALLEY of it.
    """
    profile = _profile(_in_reading_direction(textmap, polygon)[1])
    peaks, valleys = find_peaks_and_valleys(profile)
    heights, depths = profile[peaks], profile[valleys]
    between = np.concatenate([[0.0], depths, [0.0]])  # nothing is to be told apart at the ends
    highest_valley = np.maximum(between[:-1], between[1:])
    return float(np.mean((heights >= CLEAR_PEAK) & (highest_valley < CLEAR_VALLEY * heights)))


def ink_outline(textmap: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """The part of a word's outline that its characters fill, as the map shows them.

    A character's Gaussian ends at EDGE_VALUE of its peak. At most LOOSEST_END is taken off at each
    end and LOOSEST_SIDE above and below, so that faint letters at an end are not lost. An outline
    without a character stays as it is.

    Params:
        textmap: (H, W) uint8, the character map.
        polygon: (2K, 2) of the word in its continuous coordinates, K points along the upper side
            and K back.

    Returns:
        (2K', 2) float32.
    """
    height = ribbon_of(polygon).height
    ribbon, straight = _straightened(textmap, polygon, max(1, round(SAMPLES * height)))
    along = _profile(straight)
    if along.max() < FOREGROUND:
        return polygon
    across = np.quantile(straight[:, along > EDGE_VALUE * along.max()], 0.75, axis=1)
    unit = min(height, ribbon.length)
    start, end = _filled(along, ribbon.length, LOOSEST_END * unit)
    top, bottom = _filled(across, height, LOOSEST_SIDE * unit) / height
    between = (ribbon.places > start) & (ribbon.places < end)
    places = np.concatenate([[start], ribbon.places[between], [end]])
    upper, lower = (ribbon.at(places, np.full(places.shape, share)) for share in (top, bottom))
    return np.concatenate([upper, lower[::-1]]).astype(np.float32)


def _filled(profile: np.ndarray, side: float, limit: float) -> np.ndarray:
    """From where to where, in px of a side, a profile along it exceeds a character's edge; at most
    `limit` px from the side's ends."""
    inside = np.flatnonzero(profile >= EDGE_VALUE * np.quantile(profile, 0.9))
    step = side / len(profile)
    first, last = inside[0] * step, (inside[-1] + 1) * step
    return np.array([min(first, limit), max(last, side - limit)])


def _in_reading_direction(
    textmap: np.ndarray, polygon: np.ndarray
) -> tuple[Ribbon, np.ndarray, bool]:
    """A word's band and its picture, straightened, and whether it is read downwards."""
    ribbon, straight = _straightened(textmap, polygon)
    if len(polygon) == 4 and np.diff(quad_size(polygon))[0] > 0:
        downwards = _straightened(textmap, np.roll(polygon, -1, axis=0))
        gain = len(character_bounds(downwards[1])) - len(character_bounds(straight))
        if gain > 0 or (gain == 0 and downwards[0].length > VERTICAL_RATIO * ribbon.length):
            return *downwards, True
    return ribbon, straight, False


def _straightened(
    textmap: np.ndarray, polygon: np.ndarray, rows: int = ROWS
) -> tuple[Ribbon, np.ndarray]:
    ribbon = ribbon_of(polygon)
    # A polygon far beyond the map does not need more columns than the map can tell apart.
    width = int(np.clip(np.ceil(SAMPLES * ribbon.length), 1, SAMPLES * sum(textmap.shape)))
    return ribbon, ribbon.straighten(textmap, width, rows)


def _profile(straight: np.ndarray) -> np.ndarray:
    """The highest value (W,), 0..1, in each column of a straightened word's core."""
    first, last = (int(round(share * len(straight))) for share in CORE_ROWS)
    profile = straight[first : max(last, first + 1)].max(axis=0).astype(np.float64)
    return profile / (255 if straight.dtype == np.uint8 else 1)


def find_peaks_and_valleys(
    profile: np.ndarray, count: int | None = None
) -> tuple[list[int], list[int]]:
    """Places of the peaks that are characters, and of the valleys between them.

    Params:
        profile: (W,), 0..1, the highest character value at each place along a word.
        count: the number of characters where it is known; None to find it.

    Returns:
        peaks: ascending, at least one; of a plateau its middle.
        valleys: one less.
    """
    peaks = _local_maxima(profile).tolist() or [int(profile.argmax())]
    valleys = [a + int(profile[a : b + 1].argmin()) for a, b in pairwise(peaks)]
    while valleys:
        depths = [
            1 - profile[valley] / max(min(profile[peaks[i]], profile[peaks[i + 1]]), 1e-9)
            for i, valley in enumerate(valleys)
        ]
        faintest = int(np.argmin(depths))
        if len(peaks) <= count if count else depths[faintest] >= PROMINENCE:
            break
        lower = faintest + (profile[peaks[faintest]] > profile[peaks[faintest + 1]])
        del peaks[lower], valleys[faintest]
    return peaks, valleys


def _local_maxima(profile: np.ndarray) -> np.ndarray:
    """Places, ascending, where a profile (W,) is higher than beside it and reaches FOREGROUND; of a
    plateau its middle. scipy.signal.find_peaks gives the same, and takes a second to import."""
    ends = np.append(np.flatnonzero(np.diff(profile)), len(profile) - 1)  # of its plateaus
    starts = np.append(0, ends[:-1] + 1)
    heights = np.concatenate([[-np.inf], profile[ends], [-np.inf]])  # a peak may lie at the border
    is_peak = (heights[1:-1] > heights[:-2]) & (heights[1:-1] > heights[2:])
    return ((starts + ends) // 2)[is_peak & (heights[1:-1] >= FOREGROUND)]


def character_bounds(straight: np.ndarray, count: int | None = None) -> np.ndarray:
    """Where the characters of a straightened word begin and end, (n, 2), ascending, in columns.

    Params:
        straight: (H, W) character map of one word, filled by it from edge to edge, its characters
            side by side; uint8 0..255 or float 0..1.
        count: the number of characters where it is known: the faintest valleys are closed, or the
            widest characters halved, until it is right. Without it there is at least one.

    Raises:
        ValueError: a count below 1.
    """
    if count is not None and count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    profile = _profile(straight)
    peaks, valleys = find_peaks_and_valleys(profile, count)
    bounds = _cut_at(profile, peaks, valleys)
    while count is not None and len(bounds) < count:
        widest = (bounds[:, 1] - bounds[:, 0]).argmax()
        (start, end), middle = bounds[widest], bounds[widest].mean()
        bounds = np.insert(bounds, widest, (start, middle), axis=0)
        bounds[widest + 1] = middle, end
    return bounds


def _cut_at(profile: np.ndarray, peaks: list[int], valleys: list[int]) -> np.ndarray:
    """The bounds (n, 2) of the characters: the valleys, or, where a valley is deeper than the edge
    of two cells that touch, the places where each of them ends."""
    bounds = np.empty((len(peaks), 2))
    bounds[0, 0], bounds[-1, 1] = 0, len(profile)
    for i, valley in enumerate(valleys):
        bounds[i, 1] = bounds[i + 1, 0] = valley + 0.5 + _dip(profile, valley)
        if profile[valley] < EDGE_VALUE:
            before = profile[peaks[i] : valley + 1] < EDGE_VALUE
            after = profile[valley : peaks[i + 1] + 1] >= EDGE_VALUE
            if before.any() and after.any():
                bounds[i, 1] = peaks[i] + before.argmax()
                bounds[i + 1, 0] = valley + after.argmax()
    return bounds


def _dip(profile: np.ndarray, valley: int) -> float:
    """From a column to the bottom of the V through it and its neighbours, -0.5..0.5 columns."""
    if not 0 < valley < len(profile) - 1:
        return 0.0
    left, middle, right = profile[valley - 1 : valley + 2]
    return float((left - right) / (2 * max(left - middle, right - middle, 1e-9)))
