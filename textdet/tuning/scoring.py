"""What detection settings are worth on images with known words, and which to choose."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from textdet.data.annotation import Sample
from textdet.decoding.decode import decode_maps
from textdet.decoding.metrics import (
    SCORES,
    ImageMatch,
    Truth,
    match_table,
    overlap_table,
    summarise,
    within,
)
from textdet.decoding.settings import SETTINGS, DetectionSettings
from textdet.tuning.maps import MapFolder

OBJECTIVES = {"both": ("f1", "iou"), "f1": ("f1",), "iou": ("iou",)}
THRESHOLD_STEP = 0.02  # between the text_thresholds of a sweep
DIGITS = 3  # of a threshold; the maps have 256 levels
CHECKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # a trial is judged after these shares of the images,
CHECKED_WORDS = 700  # where they have so many words: with fewer, chance decides
# / sqrt(words); a trial that is then so far behind the best one is stopped. Measured with the
# bundled model and 16 settings within 0.02 of the best: between two of them, the first 348, 719 or
# 1460 words were off by 0.015, 0.009 and 0.006 (one standard deviation), that is a quarter of this,
# and 719 words by 0.045 at most in 4800 draws.
STOP_MARGIN = 1.0


def score_of(scores: dict[str, float], objective: str) -> float:
    """What is looked for: F1, mean IoU, or the mean of the two; 0..1.

    Params:
        scores: f1 and iou, 0..1, by their names.
        objective: one of OBJECTIVES.
    """
    return float(np.mean([scores[name] for name in OBJECTIVES[objective]]))


def rank(scores: dict[str, float], objective: str) -> tuple[float, float]:
    """What the best settings are highest in: the score, then, where it is equal, the F1.

    Params:
        scores, objective: see score_of.
    """
    return score_of(scores, objective), scores["f1"]


# --- A trial ---------------------------------------------------------------------------------


class Scorer:
    """The samples on which settings are scored; travels to worker processes.

    Params:
        maps: for each long_side, the folder that predict_maps filled.
        rows: numbers of the samples that count; they are scored in an order drawn at random, always
            the same one, so that the first of them stand for all kinds of images.
        samples: as given to predict_maps.
    """

    def __init__(self, maps: dict[int, MapFolder], rows: list[int], samples: list[Sample]):
        self.maps, self.rows = maps, np.random.default_rng(0).permutation(rows).tolist()
        self.truth = {
            side: [folder.truth(row, samples[row]) for row in self.rows]
            for side, folder in maps.items()
        }

    def maps_and_truth(
        self, settings: DetectionSettings
    ) -> tuple[Iterator[np.ndarray], list[Truth]]:
        """Give what compute_metrics takes.

        Params:
            settings: its long_side chooses the maps.

        Returns:
            Each sample's maps (2, h, w) uint8, read as they are asked for, and its words in them.
        """
        folder = self.maps[settings.long_side]
        return (folder.read(row) for row in self.rows), self.truth[settings.long_side]

    def sweep(
        self, settings: DetectionSettings, objective: str, leader: Sequence[float] = ()
    ) -> dict:
        """The scores for every text_threshold from low_text upwards, decoding each image once.

        Params:
            settings: with any text_threshold.
            objective: one of OBJECTIVES.
            leader: `checks` of the best trial so far; where no text_threshold comes within
                STOP_MARGIN of it, the rest of the images is left out.

        Returns:
            points: a list [text_threshold, *SCORES] each; of the first images when stopped.
            checks: the highest score at each of CHECKS that has enough words, or until stopped.
            stopped: whether it was.
        """
        thresholds = text_thresholds(settings.low_text)
        totals, checks = np.zeros((len(thresholds), 4)), []
        ends = {math.ceil(share * len(self.rows)) for share in CHECKS}
        pairs = zip(*self.maps_and_truth(settings), strict=True)
        for done, (maps, truth) in enumerate(pairs, 1):
            totals += _match_sweep(maps, truth, settings, thresholds)
            words = totals[0, 2]
            if done in ends and words >= CHECKED_WORDS:
                points = _points(thresholds, totals)
                checks.append(best_score(points, objective))
                best = leader[len(checks) - 1] if leader else 0.0
                if checks[-1] < best - STOP_MARGIN / words**0.5:
                    return {"points": points, "checks": checks, "stopped": True}
        return {"points": _points(thresholds, totals), "checks": checks, "stopped": False}


def text_thresholds(low_text: float) -> np.ndarray:
    """Those that a sweep tries.

    Params:
        low_text: 0..1.

    Returns:
        float (T,), multiples of THRESHOLD_STEP from low_text to the end of the searched range.
    """
    highest = SETTINGS["text_threshold"].searched[1]
    first = np.ceil(low_text / THRESHOLD_STEP - 1e-6)
    last = np.floor(highest / THRESHOLD_STEP + 1e-6)
    return (np.arange(first, last + 1) * THRESHOLD_STEP).round(DIGITS)


def _match_sweep(
    maps: np.ndarray, truth: Truth, settings: DetectionSettings, thresholds: np.ndarray
) -> np.ndarray:
    """ImageMatch's fields for each text_threshold, (T, 4).

    A word's score is its highest character value: a higher text_threshold leaves out the words
    below it. It changes no other, but where words touch: decoded with it, a part that does not
    reach it stays with its neighbour. tune.py judges its choice decoded again.
    """
    found = decode_maps(maps, replace(settings, text_threshold=settings.low_text))
    counted, ious = overlap_table(within(maps, found.boxes), truth)
    kept = found.scores >= thresholds[:, None]
    matches: dict[bytes, tuple] = {}
    for row in kept:
        if row.tobytes() not in matches:
            match = match_table(counted[row], ious[row])
            matches[row.tobytes()] = match.matched, match.predicted, match.true, match.iou_sum
    return np.array([matches[row.tobytes()] for row in kept])


def _points(thresholds: np.ndarray, totals: np.ndarray) -> list[list[float]]:
    return [
        [float(threshold), *(round(summarise([ImageMatch(*row)])[name], 6) for name in SCORES)]
        for threshold, row in zip(thresholds, totals.tolist(), strict=True)
    ]


def scores_in(point: list[float]) -> dict[str, float]:
    """The scores by name of one point of a sweep.

    Params:
        point: [text_threshold, *SCORES].
    """
    return dict(zip(SCORES, point[1:], strict=True))


def best_score(points: list[list[float]], objective: str) -> float:
    """The highest score of a sweep.

    Params:
        points: see Scorer.sweep.
        objective: one of OBJECTIVES.
    """
    return max(score_of(scores_in(point), objective) for point in points)


def score_trial(
    scorer: Scorer,
    number: int,
    settings: DetectionSettings,
    objective: str,
    leader: Sequence[float],
) -> tuple[int, dict]:
    """Score a trial; for a worker process, which from then on uses one thread of OpenCV's.

    Params:
        number: the trial's.
        settings, objective, leader: see Scorer.sweep.

    Returns:
        The number, and what Scorer.sweep returns.
    """
    cv2.setNumThreads(1)  # the processes share the cores
    return number, scorer.sweep(settings, objective, leader)


# --- The choice ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """Settings and what they are worth on the searched images.

    Params:
        scores: f1, iou, precision and recall, each 0..1.
    """

    settings: DetectionSettings
    scores: dict[str, float]


def pareto_front(points: list[Point]) -> list[Point]:
    """The points that no other one beats in both F1 and IoU, by falling F1."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.scores["f1"], -p.scores["iou"])):
        if not front or point.scores["iou"] > front[-1].scores["iou"]:
            front.append(point)
    return front


def choose(points: list[Point], objective: str) -> Point:
    """The point with the highest score; ties go to the higher F1, then to the earlier point.

    Params:
        points: one at least.
        objective: one of OBJECTIVES.
    """
    return max(points, key=lambda point: rank(point.scores, objective))
