"""Find the thresholds with which a trained model's maps give the best word boxes.

    python tune.py --input_dir syntdata --model_dir checkpoits --n_trials 100

Runs the network once over the test split, then lets Optuna search text_threshold, link_threshold
and low_text for the highest F1 and mean IoU on one half of these images; the other half is held
back and tells what the result is worth. Where it is better than the settings that the model has, it
goes to detection.json beside the model, which detect.py and evaluate.py read; plots are in tune/
there. The same command goes on where the last one stopped; with one --storage several processes or
machines share the trials.

--input_dir takes triplet folders and other formats that are known by their looks: thresholds for
photographs are best tuned on photographs.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textdet.common.cli import (
    ArgumentParser,
    existing_folder,
    integer,
    name_left_out,
    number,
    progress_bar,
    run_main,
)
from textdet.common.errors import DataError
from textdet.common.files import keep_copy
from textdet.common.workers import available_cores
from textdet.data.annotation import Sample
from textdet.data.formats.registry import read_dataset
from textdet.data.held_out import find_held_out
from textdet.data.splits import split_samples
from textdet.data.triplets import has_heatmaps
from textdet.decoding.decode import LARGE_WORD, SURE
from textdet.decoding.settings import (
    LISTED,
    SETTINGS,
    SETTINGS_FILE,
    DetectionSettings,
    save_settings,
)
from textdet.network.detector import TextDetector
from textdet.network.flags import add_setting_flag
from textdet.network.model_files import choose_model, find_model
from textdet.network.runtimes import DEVICES
from textdet.tuning import maps as map_files
from textdet.tuning.scoring import CHECKS, OBJECTIVES, Point, Scorer, choose, score_of

if TYPE_CHECKING:  # importing it takes seconds, which --help does not have
    import optuna

WORK = "tune"  # folder within the model's, for maps, trials and plots
MIN_HALVED = 4  # test images; fewer are not worth halving


def parse_arguments() -> argparse.Namespace:
    """The flags, checked; settings that are not given are None."""
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add(
        "--input_dir",
        type=existing_folder,
        nargs="+",
        default=["syntdata"],
        help="folders with images and their words; the model's own training data among them is "
        "split as train.py did, real images without heatmaps all count; default: syntdata",
    )
    text = "folder that train.py left, or CRAFT's weights, a .pth file"
    add("--model_dir", type=Path, default=Path("checkpoits"), help=text)
    add("--n_trials", type=integer(1), default=100, help="finished trials in the study when done")
    add("--n_jobs", type=integer(1), default=available_cores(), help="processes that score trials")
    add(
        "--objective",
        choices=OBJECTIVES,
        default="both",
        help="highest mean of F1 and IoU, or one of them; IoU alone does not mind false boxes",
    )
    add(
        "--storage",
        help="journal FILE.log or database to share: sqlite:///FILE on one machine, "
        "postgresql://USER@HOST/DATABASE for several; default: a journal in tune/",
    )
    add("--study_name", help="default: from the model, the images and what is searched")
    add(
        "--timeout",
        type=integer(1),
        metavar="SECONDS",
        help="s of search, after which no trial starts",
    )
    add(
        "--test_size",
        type=number(0, 1),
        default=0.1,
        help="0..1, share tested on where the model's training.json does not name the images; "
        "1 for data that the model has not seen",
    )
    add(
        "--min_images",
        type=integer(1),
        default=20,
        help="test images below which nothing is written: fewer tell settings apart by chance",
    )
    add("--max_samples", type=integer(1), default=500, help="use at most so many test images")
    for name, declared in SETTINGS.items():
        if declared.listed:
            more = "the best of several is chosen; default: the model's own"
            add_setting_flag(parser, name, more, nargs="+")
        elif not declared.searched:
            add_setting_flag(parser, name, "default: the model's own")
    add("--device", choices=DEVICES, default="auto", help="where the network runs")
    add("--seed", type=integer(0), default=0, help="of the search; the split does not depend on it")
    return parser.parse_args()


def main() -> None:
    """Search as the flags say, judge what was found, and save it."""
    args = parse_arguments()
    args.model_dir = choose_model(args.model_dir)
    samples = find_test_samples(args)
    own = own_settings(args.model_dir)
    base = base_settings(args, own)
    choices = choices_of(args, base)
    default = default_settings(args, own, base, choices)
    work = find_model(args.model_dir).folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    study, key = open_study(args, work, samples, base, choices)
    maps, rows = predict_maps(args, work, samples, choices["long_side"], base)
    searched, held_back = (Scorer(maps, half, samples) for half in split_rows(rows, samples))
    search(args, study, searched, held_back, base, choices)
    points, chosen = choose_point(study, searched, default, base, args.objective)
    scores = judge(searched, held_back, points[0], chosen)
    gain = gain_of(scores["held_back"], args.objective)
    draw(args, study, points, chosen, held_back, samples)
    images = len({samples[row].origin for row in rows})
    unseen = not set(searched.rows) & set(held_back.rows)
    report(default, chosen.settings, scores["held_back"], gain, unseen)
    folder = find_model(args.model_dir).folder
    if images < args.min_images:
        print(
            f"  nothing is written: {images} images tell too little, --min_images {images} "
            "writes all the same"
        )
    elif gain > 0 or own is None:
        kept = keep_copy(folder / SETTINGS_FILE)
        path = save(args, chosen.settings if gain > 0 else default, scores, study, key)
        print(
            f"  {path}: read by detect.py and evaluate.py"
            + (f"; what it was is in {kept.name}" if kept else "")
        )
    else:
        print(f"  {folder / SETTINGS_FILE}: stays as it is")
    print(f"  plots{' and pictures' * (chosen.settings != default)} in {work}")


# --- Before the search -----------------------------------------------------------------------


def find_test_samples(args: argparse.Namespace) -> list[Sample]:
    """Find the images to tune on, at most --max_samples, spread evenly over all of them.

    Of folders that the model was trained on, those that it was tested on; of others that can be
    trained on, those that train.py would test on; of the rest all.

    Raises:
        DataError: flags that do not fit, a folder without a model or without data, or no word.
    """
    model_folder = find_model(args.model_dir).folder
    if args.test_size == 0:
        raise DataError("--test_size must be above 0")
    trained, unseen = [], []
    for folder in args.input_dir:
        samples, problems = read_dataset(folder)
        name_left_out(problems)
        held_back = find_held_out(model_folder, samples) if args.test_size < 1 else samples
        characters = any(sample.has_characters for sample in samples)
        if held_back is None and characters and has_heatmaps(Path(folder)):
            trained += samples
        else:
            unseen += held_back or samples
    test = (split_samples(trained, args.test_size)[1] if trained else []) + unseen
    number = min(args.max_samples, len(test))
    test = [test[i] for i in np.linspace(0, len(test) - 1, number).round().astype(int)]
    if all(word.ignore for sample in test for word in sample.words):
        # The best settings would be those that find nothing.
        folders = ", ".join(map(str, args.input_dir))
        raise DataError(f"{folders}: the {number} images to tune on have no words that count")
    return test


def own_settings(model_dir: Path) -> DetectionSettings | None:
    """The settings in the model's detection.json; None where there is no sound one."""
    files = find_model(model_dir)
    try:
        return files.settings() if (files.folder / SETTINGS_FILE).exists() else None
    except DataError as error:
        print(f"{error}: going by the default settings", file=sys.stderr)
        return None


def base_settings(args: argparse.Namespace, own: DetectionSettings | None) -> DetectionSettings:
    """Find where the search starts.

    Params:
        own: see own_settings.

    Returns:
        The model's settings with what the flags say; of several values that a flag lists the first.
    """
    settings = own or find_model(args.model_dir).default_settings
    given = {name: getattr(args, name) for name, each in SETTINGS.items() if not each.searched}
    first = {name: v[0] if isinstance(v, list) else v for name, v in given.items()}
    return replace(settings, **{name: v for name, v in first.items() if v is not None})


def default_settings(
    args: argparse.Namespace,
    own: DetectionSettings | None,
    base: DetectionSettings,
    choices: dict[str, list],
) -> DetectionSettings:
    """What the result is compared with: the settings that the model has.

    Params:
        own: see own_settings.
        base: see base_settings; the network sees the images by it.
        choices: see choices_of.

    Returns:
        The model's settings, at the sizes of `base` where there are no maps at its own; `base` for
        a model without settings.
    """
    if own is None:
        return base
    sizes = fixed_sizes(args.model_dir, base)
    if own.long_side not in choices["long_side"]:
        sizes["long_side"] = base.long_side
    return replace(own, **sizes)


def fixed_sizes(model_dir: Path, base: DetectionSettings) -> dict[str, float | str]:
    """What the network sees the images by, beside the long_side: the settings that cannot be
    searched, since they change the maps."""
    names = find_model(model_dir).network_settings
    return {name: getattr(base, name) for name in names if name != "long_side"}


def choices_of(args: argparse.Namespace, base: DetectionSettings) -> dict[str, list]:
    """Find the values to choose from.

    Params:
        base: gives the value of a setting for which no flag names any.

    Returns:
        By the setting's name, of LISTED, its values, ascending.

    Raises:
        DataError: the maps of CRAFT's network are kept for one decoder.
    """
    choices = {name: sorted(set(getattr(args, name) or [getattr(base, name)])) for name in LISTED}
    if find_model(args.model_dir).is_craft:
        if len(choices["decoder"]) > 1:
            raise DataError("--decoder: with CRAFT's weights tune one decoder at a time")
        if choices["decoder"] == ["craft"] and choices["box_margin"] != [0]:
            raise DataError("--box_margin: CRAFT's decoder with CRAFT's weights is tuned without")
    return choices


def open_study(
    args: argparse.Namespace,
    work: Path,
    samples: list[Sample],
    base: DetectionSettings,
    choices: dict[str, list],
) -> tuple["optuna.Study", str]:
    """Open the study; before the network runs, which takes minutes.

    Params:
        work: folder of the journal.
        samples: the images to tune on.
        base: the settings to begin with.
        choices: see choices_of.

    Returns:
        The study and its fingerprint.

    Raises:
        DataError: it is another one's, or the storage cannot be used.
    """
    from textdet.tuning import study as studies

    fixed = base.max_enlargement, base.second_scale, LARGE_WORD, SURE, CHECKS
    key = map_files.maps_fingerprint(args.model_dir, samples, choices, fixed, args.objective)
    name = args.study_name or f"{args.objective}-{key}"
    journal = work / "trials.log"
    return studies.open_study(args.storage, journal, name, key, base, args.objective), key


def predict_maps(
    args: argparse.Namespace,
    work: Path,
    samples: list[Sample],
    sides: list[int],
    base: DetectionSettings,
) -> tuple[dict[int, map_files.MapFolder], list[int]]:
    """Run the network over the images at each size.

    Params:
        work: the folder to keep the maps in.
        samples: the images to tune on.
        sides: px, the values of long_side.
        base: the other settings.

    Returns:
        The maps by their long_side, and the numbers of the samples that have all of them.

    Raises:
        DataError: no image can be read, or the disk is full.
    """
    maps, damaged = {}, set()
    sizes = fixed_sizes(args.model_dir, base)

    def opener(side: int) -> Callable[[], TextDetector]:
        settings = asdict(base) | {"long_side": side}
        return lambda: TextDetector(args.model_dir, args.device, **settings)

    for side in sides:
        key = map_files.maps_fingerprint(args.model_dir, samples, side, sizes, LARGE_WORD, SURE)
        maps[side], problems = map_files.predict_maps(work, key, samples, opener(side))
        damaged.update(problems)
    name_left_out(sorted(damaged))
    rows = [i for i in range(len(samples)) if all(m.file(i).exists() for m in maps.values())]
    return maps, rows


def split_rows(rows: list[int], samples: list[Sample]) -> tuple[list[int], list[int]]:
    """Take every second image to search on and hold the others back.

    Pieces of one image count as one: they show the same words. Of fewer than MIN_HALVED images all
    serve for both.

    Params:
        rows: numbers of the samples that have maps.
        samples: all of them.

    Returns:
        The rows searched on and those held back.
    """
    origins = list(dict.fromkeys(samples[row].origin for row in rows))
    if len(origins) < MIN_HALVED:
        print(f"only {len(origins)} test images: none are held back")
        return rows, rows
    chosen = set(origins[0::2])
    searched = [row for row in rows if samples[row].origin in chosen]
    return searched, [row for row in rows if samples[row].origin not in chosen]


# --- The search, and what it came to ----------------------------------------------------------


def search(
    args: argparse.Namespace,
    study: "optuna.Study",
    searched: Scorer,
    held_back: Scorer,
    base: DetectionSettings,
    choices: dict[str, list],
) -> None:
    """Say where the study stands, and bring it to --n_trials.

    Params:
        searched, held_back: the halves of the images.
        base: the settings that are not searched.
        choices: see choices_of.
    """
    from textdet.tuning import study as studies

    print(
        f"study {study.study_name}: {len(studies.finished_trials(study))} of {args.n_trials} "
        f"trials are there; searching on {len(searched.rows)} images, "
        f"{len(set(held_back.rows) - set(searched.rows))} held back"
    )
    studies.search(
        *(study, searched, base, args.n_trials, args.n_jobs, args.timeout),
        *(args.objective, choices, args.seed),
    )


def score(scorer: Scorer, settings: DetectionSettings) -> dict[str, float]:
    """precision, recall, f1 and iou, each 0..1, of settings on a scorer's images."""
    from train_utils import compute_metrics  # which loads PyTorch

    return compute_metrics(*scorer.maps_and_truth(settings), settings)


def choose_point(
    study: "optuna.Study",
    searched: Scorer,
    default: DetectionSettings,
    base: DetectionSettings,
    objective: str,
) -> tuple[list[Point], Point]:
    """Choose the best of all that was scored.

    Params:
        searched: the images searched on.
        default: the settings that the model has.
        base: the settings that the search began with.
        objective: one of OBJECTIVES.

    Returns:
        All points, that of `default` first, and the best one.
    """
    from textdet.tuning.study import points_of

    # The model's take part, so that tuning never ends below them.
    points = [Point(default, score(searched, default)), *points_of(study, base)]
    return points, choose(points, objective)


def judge(searched: Scorer, held_back: Scorer, default: Point, chosen: Point) -> dict:
    """Score the settings before and after, on either half of the images.

    Returns:
        For "searched" and "held_back" the number of "images" and the scores, each 0..1, of
        "default" and "tuned".
    """
    tuned = chosen.settings
    pairs = [(searched, tuned), (held_back, default.settings), (held_back, tuned)]
    bar = progress_bar(pairs, unit="scoring", desc="judging the choice")
    found, before, after = (score(scorer, settings) for scorer, settings in bar)
    return {
        "searched": {"images": len(searched.rows), "default": default.scores, "tuned": found},
        "held_back": {"images": len(held_back.rows), "default": before, "tuned": after},
    }


def gain_of(held_back: dict, objective: str) -> float:
    """How much the tuned settings raise the score on the images held back, -1..1.

    Params:
        held_back: of judge.
        objective: one of OBJECTIVES.
    """
    before, after = (score_of(held_back[name], objective) for name in ("default", "tuned"))
    return after - before


def save(
    args: argparse.Namespace,
    settings: DetectionSettings,
    scores: dict,
    study: "optuna.Study",
    key: str,
) -> Path:
    """Write detection.json, with what it comes from.

    Params:
        settings: those that the model is to be used with.
        scores: of judge.
        key: the study's fingerprint.

    Returns:
        The file's path.
    """
    from textdet.tuning.study import finished_trials

    return save_settings(
        find_model(args.model_dir).folder,
        settings,
        objective=args.objective,
        chosen_by="highest F1, IoU or mean of both (the objective) on the searched images, ties "
        "by F1; the model's own where it is not beaten on the images held back",
        scores=scores,
        n_trials=len(finished_trials(study)),
        study_name=study.study_name,
        data_fingerprint=key,
    )


def draw(
    args: argparse.Namespace,
    study: "optuna.Study",
    points: list[Point],
    chosen: Point,
    held_back: Scorer,
    samples: list[Sample],
) -> None:
    """Write plots of the search, and pictures of images held back, before and after.

    Params:
        points: of choose_point, the defaults' first.
        chosen: the best of them.
        samples: as the rows of `held_back` number them.
    """
    from textdet.tuning.plots import SearchResult, draw_before_after, plot_study

    work = find_model(args.model_dir).folder / WORK
    plot_study(SearchResult(study, points, chosen, args.objective), work)
    draw_before_after(held_back, samples, points[0].settings, chosen.settings, work)


def report(
    default: DetectionSettings,
    tuned: DetectionSettings,
    held_back: dict,
    gain: float,
    unseen: bool,
) -> None:
    """Say which settings were found and what they are worth.

    Params:
        default: those that the model has.
        tuned: the best of the search.
        held_back: of judge.
        gain: of gain_of; only above 0 are they taken.
        unseen: whether the images held back are others than those searched on.
    """
    print("best of the search: " + ", ".join(f"{k} {v}" for k, v in asdict(tuned).items()))
    before, after = held_back["default"], held_back["tuned"]
    where = "images held back" if unseen else "images searched on"
    print(f"  on the {held_back['images']} {where}, the model's own settings -> these:")
    for name in ("f1", "iou", "precision", "recall"):
        print(f"    {name:9} {before[name]:.3f} -> {after[name]:.3f}")
    if tuned == default:
        print("  no trial was better than the settings that the model has: they stay")
    elif gain <= 0:
        print("  no better there: the model's own settings stay; tune on more images")
    elif unseen:
        print(f"  the score rose by {gain:.3f} there")
    else:
        print("  the search has seen these images: this is no measure of what was gained")


if __name__ == "__main__":
    run_main(main, resumable=True)
