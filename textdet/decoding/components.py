"""An image's two maps, their pixels as connected components, and these as words.

The decoders are rows of steps over a Segmentation: each takes one and returns one, and changes no
array of the one that it was given.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from textdet.common.errors import DataError
from textdet.decoding.run_lengths import MIN_AREA, Runs, find_components, group_runs

TOUCHING_TEXT = 0.5  # 0..1, words that are joined by text below it alone merely touch


@dataclass(frozen=True)
class ScoreMaps:
    """The two maps of an image, and the thresholds that make words of them, in the maps' unit.

    Params:
        text: (H, W) character map (region score), uint8, 0..255 for 0..1, or float32, about 0..1.
        link: (H, W) affinity map, of the same type.
        unit: what the maps hold for 1: 255 or 1.
        text_threshold: a word's highest character value reaches it.
        link_threshold: affinity above it joins characters.
        low_text: character values above it belong to a word.
    """

    text: np.ndarray
    link: np.ndarray
    unit: float
    text_threshold: float
    link_threshold: float
    low_text: float

    @property
    def touching_text(self) -> float:
        """TOUCHING_TEXT in the maps' unit."""
        return TOUCHING_TEXT * self.unit


@dataclass(frozen=True)
class Segmentation:
    """The pixels of an image's maps as components, each a word or a part of one.

    Params:
        is_text: bool (H, W), above low_text: pixels of characters.
        is_link: bool (H, W), above link_threshold: pixels that join characters.
        count: the number of labels, 0 included; some may be of no pixel.
        labels: int32 (H, W), the component of each pixel that is text or link, 0 for none.
        is_border: bool (H, W), pixels between two components that were split, with the label of
            either: no part of a word. None where there are none.
        is_open: bool (H, W), the components that have not been looked at yet. None for all.
    """

    maps: ScoreMaps
    is_text: np.ndarray
    is_link: np.ndarray
    count: int
    labels: np.ndarray
    is_border: np.ndarray | None = None
    is_open: np.ndarray | None = None

    @property
    def is_word(self) -> np.ndarray:
        """bool (H, W), pixels that are text or link, without borders."""
        return self._without_border(self.is_text | self.is_link)

    @cached_property
    def is_letter(self) -> np.ndarray:
        """bool (H, W), pixels of characters, without borders."""
        return self._without_border(self.is_text)

    @property
    def is_core(self) -> np.ndarray:
        """bool (H, W), pixels of characters where words do more than touch."""
        return above(self.maps.text, self.maps.touching_text) & self.is_text

    @cached_property
    def letters(self) -> tuple[np.ndarray, Runs, np.ndarray]:
        """The labels (n,) of the components that hold characters, ascending; the runs of their
        is_letter, one group per component; their highest character values (n,).
        """
        return group_runs(self.is_letter, self.labels, self.maps.text)

    def _without_border(self, mask: np.ndarray) -> np.ndarray:
        # Of two booleans the greater one is "this and not that".
        return mask if self.is_border is None else np.greater(mask, self.is_border)


@dataclass(frozen=True)
class Words:
    """The N words of a map, in the order of their first pixel, row by row.

    Params:
        labels: int32 (H, W), the component of each pixel.
        components: int (N,), the label of each word.
        numbers: int (L,), the word of each label, -1 for none.
        is_text: bool (H, W), pixels of characters.
        text: the runs of is_text, one group per word.
        bounds: int (N, 4), of the word: first column, first row, last column, last row.
        areas: int (N,), its pixels.
        peaks: (N,), the highest character value, in the map's unit.
    """

    labels: np.ndarray
    components: np.ndarray
    numbers: np.ndarray
    is_text: np.ndarray
    text: Runs
    bounds: np.ndarray
    areas: np.ndarray
    peaks: np.ndarray

    def __len__(self) -> int:
        return len(self.areas)


@dataclass(frozen=True)
class Detections:
    """The N words found on one pair of maps, in the order of their first pixel, row by row.

    Coordinates are the maps' continuous ones: pixel (column i, row j) covers [i, i + 1) x
    [j, j + 1).

    Params:
        boxes: float (N, 4, 2), clockwise from the corner with the smallest x + y.
        scores: float32 (N,), the peak of the character map within each word, 0..1.
        polys: N entries, each float (2K, 2) for a curved word, clockwise, K points along its upper
            side and K back; or None where the box serves. K is 7 for "craft", and
            proportional.POLYGON_SIDE for "proportional".
    """

    boxes: np.ndarray
    scores: np.ndarray
    polys: list[np.ndarray | None]


def score_maps(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    text_threshold: float,
    link_threshold: float,
    low_text: float,
) -> ScoreMaps:
    """Maps made ready for decoding.

    Params:
        textmap, linkmap: (H, W) character and affinity map, uint8, 0..255 for 0..1, or float, about
            0..1.
        text_threshold, link_threshold, low_text: 0..1, see ScoreMaps.

    Raises:
        DataError: maps that are not two equally large, non-empty, finite (H, W) arrays.
    """
    maps = [np.asarray(textmap, order="C"), np.asarray(linkmap, order="C")]
    is_bytes = all(values.dtype == np.uint8 for values in maps)
    if not is_bytes:
        maps = [values.astype(np.float32, copy=False) for values in maps]
    for name, values in zip(("textmap", "linkmap"), maps, strict=True):
        if values.ndim != 2 or values.size == 0:
            raise DataError(f"{name} must be a non-empty (H, W) array, got shape {values.shape}")
        # The extremes are not finite if any value is not, and need no array of booleans.
        if not is_bytes and not np.isfinite([values.min(), values.max()]).all():
            raise DataError(f"{name} holds values that are not finite")
    if maps[0].shape != maps[1].shape:
        raise DataError(f"textmap is {maps[0].shape}, linkmap is {maps[1].shape}")
    unit = 255 if is_bytes else 1
    # Python's floats: NumPy would compare a float32 map with its own float64 in another precision.
    thresholds = (unit * float(value) for value in (text_threshold, link_threshold, low_text))
    return ScoreMaps(*maps, unit, *thresholds)


def above(values: np.ndarray, level: float) -> np.ndarray:
    """values > level; a uint8 map is compared without a float copy of it.

    Params:
        values: (H, W) map.
        level: in the map's unit.
    """
    return values > (int(np.floor(level)) if values.dtype == np.uint8 else level)


def reaching(values: np.ndarray, level: float) -> np.ndarray:
    """values >= level; a uint8 map is compared without a float copy of it.

    Params:
        values: (H, W) map.
        level: in the map's unit.
    """
    return values >= (int(np.ceil(level)) if values.dtype == np.uint8 else level)


def sample_map(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Read a map between its pixels, bilinearly. (cv2.remap takes no side of 32,768.)

    Params:
        values: (H, W) map, uint8 or float32.
        x, y: continuous map coordinates, of any and the same shape.

    Returns:
        The values there, in that shape and of the map's type; 0 a pixel beyond its border.
    """
    height, width = values.shape
    x, y = x - 0.5, y - 0.5
    known = (x > -1) & (x < width) & (y > -1) & (y < height)
    x, y = np.where(known, x, 0).clip(0, width - 1), np.where(known, y, 0).clip(0, height - 1)
    left, top = x.astype(np.int32), y.astype(np.int32)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x, y = (x - left).astype(np.float32), (y - top).astype(np.float32)
    upper = values[top, left] * (1 - x) + values[top, right] * x
    lower = values[bottom, left] * (1 - x) + values[bottom, right] * x
    found = np.where(known, upper * (1 - y) + lower * y, 0)
    return found.round().astype(np.uint8) if values.dtype == np.uint8 else found


def label(maps: ScoreMaps) -> Segmentation:
    """The 4-connected components of "text or link"."""
    is_text = above(maps.text, maps.low_text)
    is_link = above(maps.link, maps.link_threshold)
    return Segmentation(maps, is_text, is_link, *find_components(is_text | is_link))


def measure(segmentation: Segmentation, count_links: bool = False) -> Words:
    """Find the components that are words: large enough, with text, reaching text_threshold.

    The test for text matters when text_threshold < low_text: then links alone can reach it.

    Params:
        count_links: areas and bounds are those of text and links, as in CRAFT, not of text alone.

    Returns:
        The words, in the order of their first pixel.
    """
    labels = segmentation.labels
    found, text, peaks = segmentation.letters
    components = text
    if count_links:
        owners, components, _ = group_runs(segmentation.is_word, labels)
        components = components.take(np.searchsorted(owners, found))
    areas = components.areas()
    keep = np.flatnonzero((areas >= MIN_AREA) & (peaks >= segmentation.maps.text_threshold))
    origin = components.starts[keep]
    keep = keep[np.lexsort((components.first[origin], components.rows[origin]))]
    numbers = np.full(segmentation.count, -1, np.int32)
    numbers[found[keep]] = np.arange(len(keep))
    return Words(
        labels,
        components=found[keep],
        numbers=numbers,
        is_text=segmentation.is_letter,
        text=text.take(keep),
        bounds=components.bounds()[keep],
        areas=areas[keep],
        peaks=peaks[keep],
    )


def scores_of(words: Words, maps: ScoreMaps) -> np.ndarray:
    """float32 (N,): the words' peaks, 0..1."""
    return np.clip(words.peaks / maps.unit, 0, 1).astype(np.float32)
