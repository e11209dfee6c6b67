"""Tuning on a handful of images for the page: boxes corrected by hand, a search on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.data.annotation import Sample, Word
from textdet.decoding.metrics import match_maps, summarise
from textdet.decoding.settings import DetectionSettings
from textdet.network.model_files import find_model
from textdet.page.detection import Models, Seen, find_words, look_at
from textdet.page.drawing import outline
from textdet.tuning.maps import MapFolder
from textdet.tuning.scoring import Point, Scorer, choose, score_of

MIN_IMAGES, MAX_IMAGES = 3, 10  # images
OBJECTIVE = "both"
LAYER = "boxes"  # the viewer's, of the boxes that the user corrects


@dataclass
class Handful:
    """Images of one visitor, each with its boxes as outlines of the viewer.

    Params:
        outlines: one list per image, on LAYER.
        shown: position of the image that is being corrected.
        corrected: positions of the images whose outlines the user has changed.
    """

    seen: list[Seen] = field(default_factory=list)
    outlines: list[list[dict[str, Any]]] = field(default_factory=list)
    shown: int = 0
    corrected: frozenset[int] = frozenset()


def add_images(
    models: Models,
    handful: Handful,
    files: list[tuple[Path, str]],
    model: str,
    settings: DetectionSettings,
) -> tuple[Handful, list[str]]:
    """Run the network on images; what it finds are the boxes to correct.

    Params:
        files: paths, and their names for people.

    Returns:
        the handful with them, and a line for each image that was left out.
    """
    added, problems = replace(handful, seen=[*handful.seen], outlines=[*handful.outlines]), []
    for path, name in files:
        if len(added.seen) == MAX_IMAGES:
            problems.append(f"{name}: {MAX_IMAGES} images are enough; for more there is tune.py")
            continue
        try:
            seen = look_at(models, path, name, model, settings)
        except DataError as error:
            problems.append(str(error))
            continue
        added.seen.append(seen)
        added.outlines.append(_found(models, seen))
    return added, problems


def look_again(
    models: Models, handful: Handful, model: str, settings: DetectionSettings
) -> Handful:
    """Run the network again on all images; what the user has corrected stays.

    Raises:
        DataError: an image cannot be read any more, or there is no sound model.
    """
    seen = [look_at(models, each.path, each.name, model, settings) for each in handful.seen]
    outlines = [
        boxes if number in handful.corrected else _found(models, seen[number])
        for number, boxes in enumerate(handful.outlines)
    ]
    return replace(handful, seen=seen, outlines=outlines)


def correct(handful: Handful, outlines: list[dict[str, Any]]) -> Handful:
    """The handful with other outlines of the image that is shown, drawn by the user."""
    shown = handful.shown
    changed = [outlines if i == shown else each for i, each in enumerate(handful.outlines)]
    return replace(handful, outlines=changed, corrected=handful.corrected | {shown})


def _found(models: Models, seen: Seen) -> list[dict[str, Any]]:
    words = find_words(models, seen, seen.settings).words
    return [outline(LAYER, word.quad) for word in words]


def corrected_sample(seen: Seen, outlines: list[dict[str, Any]]) -> Sample:
    """An image's corrected boxes as a sample.

    Params:
        outlines: from the page, whose numbers need not be sound.

    Raises:
        DataError: one is not an outline.
    """
    words = []
    for each in outlines:
        try:
            points = np.array(each["points"], np.float32)
        except (ValueError, KeyError, TypeError):
            points = np.zeros(0, np.float32)
        is_outline = points.ndim == 2 and points.shape[1] == 2 and len(points) >= 3
        if not (is_outline and np.isfinite(points).all()):
            raise DataError(f"{seen.name}: one of its boxes is none")
        words.append(Word("", [], np.zeros((0, 4, 2), np.float32), points))
    return Sample(Path(), seen.name, seen.maps.width, seen.maps.height, words)


@dataclass(frozen=True)
class Progress:
    """How far a search is.

    Params:
        done, total: trials.
        before: the settings that it began with, and their scores on the images.
        best: the best so far.
    """

    done: int
    total: int
    before: Point
    best: Point

    @property
    def gain(self) -> float:
        """By how much the mean of F1 and IoU rose, 0 or more."""
        return score_of(self.best.scores, OBJECTIVE) - score_of(self.before.scores, OBJECTIVE)


def search(
    handful: Handful, settings: DetectionSettings, n_trials: int, folder: Path
) -> Iterator[Progress]:
    """Search the thresholds that find the corrected boxes best, as tune.py does.

    Params:
        settings: to begin with, and those that are not searched.
        folder: an empty one, for the maps.

    Returns:
        how far it is, after each trial; the first before the first trial.

    Raises:
        DataError: too few images or boxes, or images seen by several models or at several sizes.
    """
    import optuna

    from textdet.tuning.study import DRAWN, NumberedSampler, params_of, points_of, suggest, tell

    if len(handful.seen) < MIN_IMAGES:
        raise DataError(
            f"The search needs {MIN_IMAGES} images at least; there are {len(handful.seen)}."
        )
    if not any(handful.outlines):
        raise DataError("The images have no boxes yet: draw one around each word.")
    first = handful.seen[0]
    if not all(seen.fits(first.model, settings) for seen in handful.seen):
        raise DataError(
            "Model or sizes were changed since the images were added: press 'Look again' first."
        )
    samples = [corrected_sample(*pair) for pair in zip(handful.seen, handful.outlines, strict=True)]
    maps = MapFolder(folder)
    for number, seen in enumerate(handful.seen):
        np.save(maps.file(number), seen.maps.values)
    scorer = Scorer({settings.long_side: maps}, list(range(len(samples))), samples)
    # The margin is in px of the network's input, of which CRAFT's own maps have half as many.
    halved = find_model(first.model).is_craft and settings.decoder == "craft"
    base = replace(settings, box_margin=settings.box_margin / (2 if halved else 1))

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize"] * 2, sampler=NumberedSampler(0))
    study.enqueue_trial(params_of(base, DRAWN))
    before = Point(base, summarise(match_maps(*scorer.maps_and_truth(base), base)))
    for done in range(n_trials + 1):
        best = choose([before, *points_of(study, base)], OBJECTIVE)
        best = Point(replace(best.settings, box_margin=settings.box_margin), best.scores)
        yield Progress(done, n_trials, Point(settings, before.scores), best)
        if done < n_trials:
            trial = study.ask()
            sweep = scorer.sweep(suggest(trial, base, {}), OBJECTIVE)
            tell(study, trial, sweep, OBJECTIVE)
