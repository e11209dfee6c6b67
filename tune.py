"""Find the thresholds with which a trained model's maps give the best word boxes.

    python tune.py --input_dir syntdata --model_dir checkpoits --n_trials 100

Runs the network once over the test split, then lets Optuna search text_threshold, link_threshold
and low_text for the highest F1 and mean IoU on one half of these images; the other half is held
back and tells what the result is worth. Leaves detection.json beside the model, which detect.py
and evaluate.py read, and plots in tune/ there. The same command goes on where the last one stopped;
with one --storage several processes or machines share the trials.

--input_dir takes triplet folders and the layouts of ICDAR 2013, ICDAR 2015, MLT and FUNSD, see
data/formats/registry.py: thresholds for photographs are best tuned on photographs.
"""

import argparse
import os
from pathlib import Path

from static import constants as C
from textdet.common.cli import (
    ArgumentParser,
    existing_folder,
    integer,
    name_left_out,
    number,
    progress_bar,
    run_main,
    unit_interval,
)
from textdet.decoding.craft import DECODERS
from textdet.network.runtimes import DEVICES

WORK = "tune"  # folder within the model's, for maps, trials and plots
MIN_HALVED = 4  # test images; fewer are not worth halving
OBJECTIVES = ("both", "f1", "iou")


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add(
        "--input_dir",
        type=existing_folder,
        nargs="+",
        default=["syntdata"],
        help="folders with images and their words; the model's own training data among them is "
        "split as train.py did, real images without heatmaps all count",
    )
    add("--model_dir", type=Path, default=Path("checkpoits"), help="folder that train.py left")
    add("--n_trials", type=integer(1), default=100, help="finished trials in the study when done")
    add("--n_jobs", type=integer(1), default=os.cpu_count(), help="processes that score trials")
    add(
        "--objective",
        choices=OBJECTIVES,
        default="both",
        help="highest mean of F1 and IoU, or one of them; IoU alone does not mind false boxes",
    )
    add(
        "--storage",
        help="Optuna storage as sqlite:///FILE, or a journal FILE.log; default: in tune/",
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
        type=unit_interval,
        default=0.1,
        help="0..1, share tested on where the model's training.json does not name the images; "
        "1 for data that the model has not seen",
    )
    add("--max_samples", type=integer(1), default=500, help="use at most so many test images")
    add(
        "--long_side",
        type=integer(C.STRIDE, 8192),
        nargs="+",
        help="px, longer side the network sees; the best of several is chosen, with one run of "
        "the network each; default: the model's own",
    )
    text = "times; large words are taken from a view so much smaller; default: the model's own"
    add("--second_scale", type=unit_interval, help=text)
    add(
        "--decoder",
        choices=DECODERS,
        nargs="+",
        help="how boxes grow, see craft_utils.py; the best of several is chosen; default: the "
        "model's own",
    )
    add(
        "--box_margin",
        type=number(0, C.MOST_MARGIN),
        nargs="+",
        help="px of what the network sees that are added on every side; the best of several is "
        "chosen, for boxes that people drew, looser than generated ones; default: the model's own",
    )
    add(
        "--relative_link",
        type=unit_interval,
        nargs="+",
        help="share of a word's own strong affinities that its links must exceed, which parts "
        "words that merge; the best of several is chosen; default: the model's own",
    )
    add("--device", choices=DEVICES, default="auto", help="where the network runs")
    add("--seed", type=integer(0), default=0, help="of the search; the split does not depend on it")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    samples = find_test_samples(args)

    from textdet.decoding.settings import save_settings
    from textdet.tuning import study as tuning
    from textdet.tuning.plots import Result, draw_before_after, plot_study

    default = default_settings(args)
    choices = {
        name: sorted(set(getattr(args, name) or [getattr(default, name)])) for name in tuning.CHOSEN
    }
    work = args.model_dir / WORK
    work.mkdir(exist_ok=True)
    study, name, key = open_study(args, work, samples, default, choices)
    maps, rows = predict_maps(args, work, samples, choices["long_side"], default)
    searched, held_back = (tuning.Scorer(maps, half, samples) for half in split_rows(rows, samples))
    print(
        f"study {name}: {len(tuning.finished_trials(study))} of {args.n_trials} trials are there; "
        f"searching on {len(searched.rows)} images, {len(held_back.rows)} held back"
    )
    tuning.search(
        *(study, searched, default, args.n_trials, args.n_jobs, args.timeout),
        *(args.objective, choices, args.seed),
    )

    # The defaults take part even when their trial was lost, so that tuning never ends below them.
    points = [tuning.Point(default, searched(default)), *tuning.points_of(study, default)]
    chosen = tuning.choose(points, args.objective)
    tuned = chosen.settings
    pairs = [(searched, tuned), (held_back, default), (held_back, tuned)]
    bar = progress_bar(pairs, unit="scoring", desc="judging the choice")
    found, before, after = (scorer(settings) for scorer, settings in bar)
    scores = {
        "searched": score_both(searched, points[0].scores, found),
        "held_back": score_both(held_back, before, after),
    }
    gain = gain_of(scores["held_back"], args.objective)
    path = save_settings(
        args.model_dir,
        tuned if gain >= 0 else default,
        objective=args.objective,
        chosen_by="highest F1, IoU or mean of both (the objective) on the searched images, ties "
        "by F1; the defaults when these are better on the images held back",
        scores=scores,
        n_trials=len(tuning.finished_trials(study)),
        study_name=name,
        data_fingerprint=key,
    )
    plot_study(Result(study, points, chosen, args.objective), work)
    draw_before_after(held_back, samples, default, tuned, work)
    unseen = not set(searched.rows) & set(held_back.rows)
    report(default, tuned, scores["held_back"], gain, unseen)
    print(f"  {path}: read by detect.py and evaluate.py; plots and pictures in {work}")


# --- Before the search -----------------------------------------------------------------------


def find_test_samples(args: argparse.Namespace) -> list:
    """The images to tune on, at most --max_samples, spread evenly over all of them.

    Of folders that the model was trained on, those that it was tested on; of others that can be
    trained on, those that train.py would test on; of the rest all. Raises DataError for flags that
    cannot be, and for a folder without a model or without data.
    """
    import numpy as np

    from textdet.common.errors import DataError
    from textdet.data.formats.registry import read_dataset
    from textdet.data.held_out import find_held_out
    from textdet.data.splits import split_samples
    from textdet.data.triplets import has_heatmaps
    from textdet.decoding.decode import choose_model

    choose_model(args.model_dir)
    if args.test_size == 0:
        raise DataError("--test_size must be above 0")
    trained, unseen = [], []
    for folder in args.input_dir:
        samples, problems = read_dataset(folder)
        name_left_out(problems)
        held_back = find_held_out(args.model_dir, samples) if args.test_size < 1 else samples
        characters = any(len(word.quads) for sample in samples for word in sample.words)
        if held_back is None and characters and has_heatmaps(Path(folder)):
            trained += samples
        else:
            unseen += held_back or samples
    test = (split_samples(trained, args.test_size)[1] if trained else []) + unseen
    number = min(args.max_samples, len(test))
    return [test[i] for i in np.linspace(0, len(test) - 1, number).round().astype(int)]


def default_settings(args: argparse.Namespace):
    """Where the search starts: default thresholds; the model's sizes unless others are given."""
    from textdet.common.errors import DataError
    from textdet.decoding.settings import DetectionSettings, load_settings
    from textdet.tuning.study import CHOSEN

    try:
        settings = load_settings(args.model_dir)
    except DataError:  # a damaged detection.json is about to be replaced
        settings = DetectionSettings()
    second = settings.second_scale if args.second_scale is None else args.second_scale
    chosen = {name: (getattr(args, name) or [getattr(settings, name)])[0] for name in CHOSEN}
    return DetectionSettings(
        **chosen, max_enlargement=settings.max_enlargement, second_scale=second
    )


def open_study(args: argparse.Namespace, work: Path, samples: list, default, choices: dict):
    """The study, its name and its fingerprint; before the network runs, which takes minutes."""
    from textdet.decoding.decode import LARGE_WORD
    from textdet.tuning import study as tuning
    from textdet.tuning.maps import fingerprint

    fixed = default.max_enlargement, default.second_scale, LARGE_WORD
    key = fingerprint(args.model_dir, samples, choices, fixed, args.objective)
    name = args.study_name or f"{args.objective}-{key}"
    journal = work / "trials.log"
    study = tuning.open_study(args.storage, journal, name, key, default, args.objective)
    return study, name, key


def predict_maps(args: argparse.Namespace, work: Path, samples: list, sides: list, default):
    """The maps at each long_side, and the numbers of the samples that have them."""
    from textdet.decoding.decode import LARGE_WORD
    from textdet.tuning import maps as tune_maps

    maps, damaged = {}, set()
    sizes = {"max_enlargement": default.max_enlargement, "second_scale": default.second_scale}
    for side in sides:

        def open_detector(side=side):
            from textdet.network.detector import TextDetector

            return TextDetector(args.model_dir, args.device, long_side=side, **sizes)

        key = tune_maps.fingerprint(args.model_dir, samples, side, sizes, LARGE_WORD)
        maps[side], problems = tune_maps.predict_maps(work, key, samples, open_detector)
        damaged.update(problems)
    name_left_out(sorted(damaged))
    rows = [i for i in range(len(samples)) if all(m.file(i).exists() for m in maps.values())]
    return maps, rows


def split_rows(rows: list[int], samples: list) -> tuple[list[int], list[int]]:
    """Every second image to search on, the others held back; all for both when there are few.

    Pieces of one image count as one: they show the same words.
    """
    origins = list(dict.fromkeys(samples[row].origin for row in rows))
    if len(origins) < MIN_HALVED:
        print(f"only {len(origins)} test images: none are held back")
        return rows, rows
    chosen = set(origins[0::2])
    searched = [row for row in rows if samples[row].origin in chosen]
    return searched, [row for row in rows if samples[row].origin not in chosen]


# --- Afterwards ------------------------------------------------------------------------------


def score_both(scorer, default: dict, tuned: dict) -> dict:
    return {"images": len(scorer.rows), "default": default, "tuned": tuned}


def gain_of(held_back: dict, objective: str) -> float:
    """How much the tuned settings raise the score on the images held back."""
    from textdet.tuning.study import score_of

    before, after = (score_of(held_back[name], objective) for name in ("default", "tuned"))
    return after - before


def report(default, tuned, held_back: dict, gain: float, unseen: bool) -> None:
    """Say which settings were chosen and what they are worth.

    unseen: whether the images held back are others than those searched on.
    """
    from dataclasses import asdict

    print("best of the search: " + ", ".join(f"{k} {v}" for k, v in asdict(tuned).items()))
    before, after = held_back["default"], held_back["tuned"]
    where = "images held back" if unseen else "images searched on"
    print(f"  on the {held_back['images']} {where}, default -> tuned:")
    for name in ("f1", "iou", "precision", "recall"):
        print(f"    {name:9} {before[name]:.3f} -> {after[name]:.3f}")
    if tuned == default:
        print("  no trial was better than the defaults: they stay")
    elif gain >= 0:
        print(f"  the score rose by {gain:.3f} there")
    else:
        print("  worse than the defaults there: the defaults stay; tune on more images")


if __name__ == "__main__":
    run_main(main)
