"""Precision, recall and F1 of word boxes: the protocol of ICDAR 2015, task 4.1 (text localization).

    matches = [match_image(predicted, true, ignore) for predicted, true, ignore in images]
    print(summarise(matches))

A polygon is a float (K, 2) array, K >= 3, x then y, in any unit of length that predictions and
truth share, either way round, convex or not. One that crosses itself counts with the area it
encloses. One without area never matches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import shapely

from textdet.common.geometry import without_crossings
from textdet.decoding.decode import decode_maps
from textdet.decoding.settings import DetectionSettings

Polygons = Sequence[np.ndarray] | np.ndarray

SCORES = ("precision", "recall", "f1", "iou")  # of summarise
FOUND_IOU = 0.5  # from which a detection has found a word, as in the protocol
SWEEP = (0.5, 0.6, 0.7, 0.8, 0.9)  # such IoUs, of sweep


class AnnotatedWord(Protocol):
    """A word of an annotation.

    Params:
        polygon: (K, 2), its outline.
        ignore: whether it is don't-care.
    """

    polygon: np.ndarray
    ignore: bool


@dataclass
class Shapes:
    """N polygons made ready for overlaps.

    Params:
        geometries: (N,) valid shapely polygons, possibly empty or of several parts.
        areas: float (N,).
        bounds: float (N, 4), x0 y0 x1 y1; NaN for an empty one.
    """

    geometries: np.ndarray
    areas: np.ndarray
    bounds: np.ndarray


@dataclass
class Truth:
    """The truth of one image, prepared once: the words that count and the don't-care regions."""

    cared: Shapes
    ignored: Shapes


@dataclass
class ImageMatch:
    """Counts for one image.

    Params:
        matched: detections that found a word, one-to-one.
        predicted: detections outside the don't-care regions.
        true: words that count.
        iou_sum: over the words that count, IoU with the detection paired with it, 0 if there is
            none.
        pair_ious: the IoUs above 0 of the pairs, from which every threshold's matches can be
            counted.
    """

    matched: int
    predicted: int
    true: int
    iou_sum: float
    pair_ious: list[float] = field(default_factory=list, compare=False)


def prepare_truth(polygons: Polygons, ignore: Polygons | None = None) -> Truth:
    """Truth for match_image, worth it when one image is matched several times.

    Params:
        polygons: words that count, list of (K, 2) or array (T, K, 2).
        ignore: don't-care regions, likewise; None for none.

    Raises:
        ValueError: a polygon that is not a finite (K >= 3, 2) array.
    """
    return Truth(prepare_shapes(polygons), prepare_shapes([] if ignore is None else ignore))


def polygon_ious(predicted: Polygons, true: Polygons) -> np.ndarray:
    """Intersection over union of every pair.

    Params:
        predicted: list of P (K, 2) polygons or array (P, K, 2).
        true: likewise, T of them.

    Returns:
        float64 (P, T), 0..1, 0 where a polygon has no area.

    Raises:
        ValueError: a polygon that is not a finite (K >= 3, 2) array.
    """
    return _ious(prepare_shapes(predicted), prepare_shapes(true))


def match_image(
    predicted: Polygons,
    true: Polygons | Truth,
    ignore: Polygons | None = None,
    iou_threshold: float = FOUND_IOU,
) -> ImageMatch:
    """Match the detections of one image with its words.

    A detection is taken out if more than half of its own area lies in one don't-care region. The
    rest is paired with the words one-to-one, greedily from the highest IoU down, ties by the
    order of the detections, then of the words. The official script takes the pairs above the
    threshold in the order of the files; the two can differ only where two words, or two
    detections, overlap each other, and in an IoU of exactly the threshold, which is a match here.

    Params:
        predicted: list of (K, 2) polygons or array (P, K, 2).
        true: likewise, the words that count; or a Truth.
        ignore: likewise, the don't-care regions; None for none, and with a Truth, which has its
            own.
        iou_threshold: a pair with at least this IoU is a match, above 0 and at most 1.

    Returns:
        ImageMatch.

    Raises:
        ValueError: a polygon that is not a finite (K >= 3, 2) array, a threshold out of range, or
            ignore next to a Truth.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold}")
    if not isinstance(true, Truth):
        true = prepare_truth(true, ignore)
    elif ignore is not None:
        raise ValueError("ignore must be None when the truth is prepared: it holds its own")
    return match_table(*overlap_table(predicted, true), iou_threshold)


def overlap_table(predicted: Polygons, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """What match_table needs to know of one image, worth it when some detections are dropped later.

    Params:
        predicted: list of (K, 2) polygons or array (P, K, 2).
        truth: Truth with T words that count.

    Returns:
        counted: bool (P,), False for a detection that a don't-care region takes out.
        ious: float64 (P, T), 0..1, 0 in the rows of these.
    """
    predicted = prepare_shapes(predicted)
    half = predicted.areas[:, None] / 2
    counted = ~(shared_areas(predicted, truth.ignored) > half).any(axis=1)
    return counted, np.where(counted[:, None], _ious(predicted, truth.cared), 0)


def match_table(
    counted: np.ndarray, ious: np.ndarray, iou_threshold: float = FOUND_IOU
) -> ImageMatch:
    """Count the matches of an overlap_table, or of some of its rows; see match_image.

    Params:
        counted: bool (P,), the detections outside the don't-care regions.
        ious: float (P, T), of detections and words that count.
        iou_threshold: 0..1, from which a detection has found a word.
    """
    pair_ious = [float(ious[pair]) for pair in greedy_pairs(ious)]
    return ImageMatch(
        matched=sum(iou >= iou_threshold for iou in pair_ious),
        predicted=int(counted.sum()),
        true=ious.shape[1],
        iou_sum=float(sum(pair_ious)),
        pair_ious=pair_ious,
    )


def summarise(matches: Iterable[ImageMatch]) -> dict[str, float]:
    """Scores over a whole set: counts are added up over the images first.

    Params:
        matches: ImageMatch of each image.

    Returns:
        Dict of floats, 0..1, by SCORES:
            precision: matched / predicted.
            recall: matched / true.
            f1: harmonic mean of the two, ICDAR's hmean.
            iou: mean over the words that count of the IoU with their detection.
        All are 1 when there is neither a detection nor a word. A quotient 0/0 is 0 otherwise.
    """
    matches = list(matches)
    matched = sum(m.matched for m in matches)
    predicted = sum(m.predicted for m in matches)
    true = sum(m.true for m in matches)
    if predicted == 0 and true == 0:
        return dict.fromkeys(SCORES, 1.0)
    return {
        "precision": matched / max(predicted, 1),
        "recall": matched / max(true, 1),
        "f1": 2 * matched / (predicted + true),
        "iou": sum(m.iou_sum for m in matches) / max(true, 1),
    }


def sweep(
    matches: Iterable[ImageMatch], thresholds: Sequence[float] = SWEEP
) -> dict[float, dict[str, float]]:
    """summarise at several IoU thresholds. The pairs are the same at each: they are taken from the
    highest IoU down, so a threshold only decides which of them count.

    Params:
        matches: ImageMatch of each image.
        thresholds: IoUs above 0 and at most 1.

    Returns:
        Dict from each threshold to what summarise returns.
    """
    matches = list(matches)
    return {
        threshold: summarise(
            replace(m, matched=sum(iou >= threshold for iou in m.pair_ious)) for m in matches
        )
        for threshold in thresholds
    }


def truth_of(words: Iterable[AnnotatedWord]) -> Truth:
    """Make the words of one image ready for matching.

    Params:
        words: their outlines in the coordinates of the detections to come.

    Raises:
        ValueError: an outline that is not a finite (K >= 3, 2) array.
    """
    words = list(words)
    return prepare_truth(
        [word.polygon for word in words if not word.ignore],
        [word.polygon for word in words if word.ignore],
    )


def match_maps(
    maps: Iterable[np.ndarray], truth: Iterable[Truth], settings: DetectionSettings
) -> list[ImageMatch]:
    """Decode maps and match the boxes with each image's words.

    Params:
        maps: of each image (2, H, W), character then affinity, uint8, 0..255 for 0..1.
        truth: of each image its words, in the coordinates of its maps.
        settings: how words are found in maps.

    Returns:
        The counts of each image.

    Raises:
        DataError: maps that cannot be decoded.
        ValueError: one of them is longer than the other.
    """
    return [
        match_image(within(pair, decode_maps(pair, settings).boxes), words)
        for pair, words in zip(maps, truth, strict=True)
    ]


def within(maps: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4, 2) found in maps (2, H, W), as a detector gives them: they end where the image
    does."""
    return boxes.clip(0, np.float32(maps.shape[:0:-1]))


def prepare_shapes(polygons: Polygons) -> Shapes:
    """Make polygons ready for overlaps; those that cross themselves are repaired.

    Params:
        polygons: a list of (K, 2) arrays, or an array (N, K, 2).

    Raises:
        ValueError: a polygon that is not a finite (K >= 3, 2) array.
    """
    rings = [np.asarray(polygon, np.float64) for polygon in polygons]
    for i, ring in enumerate(rings):
        if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
            raise ValueError(f"polygon {i} must be (K, 2) with K >= 3, got shape {ring.shape}")
    corners = np.concatenate(rings) if rings else np.zeros((0, 2))
    if not np.isfinite(corners).all():
        raise ValueError("polygons hold values that are not finite")
    owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    geometries = without_crossings(shapely.polygons(shapely.linearrings(corners, indices=owner)))
    return Shapes(geometries, shapely.area(geometries), shapely.bounds(geometries))


def shared_areas(a: Shapes, b: Shapes) -> np.ndarray:
    """Measure the overlaps of two sets of polygons.

    Params:
        a, b: N and M of them, in the same coordinates.

    Returns:
        float (N, M), the area that each of a shares with each of b.
    """
    shared = np.zeros((len(a.areas), len(b.areas)))
    # A comparison with the NaN bounds of an empty shape is False.
    near = (a.bounds[:, None, :2] < b.bounds[:, 2:]) & (b.bounds[:, :2] < a.bounds[:, None, 2:])
    i, j = np.nonzero(near.all(axis=2))
    shared[i, j] = shapely.area(shapely.intersection(a.geometries[i], b.geometries[j]))
    return shared


def _ious(a: Shapes, b: Shapes) -> np.ndarray:
    """float (N, M): intersection over union of a's N and b's M shapes."""
    shared = shared_areas(a, b)
    union = a.areas[:, None] + b.areas - shared
    # Rounding can put the IoU of equal shapes just above 1.
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0).clip(max=1)


def greedy_pairs(ious: np.ndarray) -> list[tuple[int, int]]:
    """Pair rows and columns one-to-one, the highest IoU first.

    Params:
        ious: float (P, T), 0..1.

    Returns:
        (row, column) of each pair; pairs of 0 are left out.
    """
    rows, columns = np.nonzero(ious)
    order = np.argsort(-ious[rows, columns], kind="stable")
    used_rows, used_columns, taken = set(), set(), []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            taken.append((row, column))
    return taken
