"""Find the thresholds with which a trained model's maps give the best word boxes.

    python tune.py --input_dir syntdata --model_dir checkpoits --n_trials 100

Runs the network once over the test split, then lets Optuna search text_threshold, link_threshold
and low_text for the highest F1 and mean IoU on one half of these images; the other half is held
back and tells what the result is worth. Leaves detection.json beside the model, which detect.py
and evaluate.py read, and plots in tune/ there. The same command goes on where the last one stopped;
with one --storage several processes or machines share the trials.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

from cli_utils import ArgumentParser, count, existing_folder, name_left_out, run_main, unit_interval
from craft_utils import DECODERS
from static import constants as C

WORK = "tune"  # folder within the model's, for maps, trials and plots
MIN_HALVED = 4  # test images; fewer are not worth halving


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add(
        "--input_dir",
        type=existing_folder,
        nargs="+",
        default=["syntdata"],
        help="triplet folders, those that the model was trained on",
    )
    add("--model_dir", type=Path, default=Path("checkpoits"), help="folder that train.py left")
    add("--n_trials", type=count(1), default=100, help="finished trials in the study when done")
    add("--n_jobs", type=count(1), default=os.cpu_count(), help="processes that score trials")
    add("--storage", metavar="URL", help="Optuna storage, as sqlite:///FILE; default: in tune/")
    add("--study_name", help="default: from the model, the images and their size")
    add("--timeout", type=count(1), metavar="SECONDS", help="s, start no trial after that")
    add("--test_size", type=unit_interval, default=0.1, help="0..1, share tested on, as train.py's")
    add("--image_size", type=count(64, 4096), default=C.IMAGE_SIZE, help="px, as train.py's")
    add("--max_samples", type=count(1), default=500, help="use at most so many test images")
    add("--decoder", choices=DECODERS, default=C.DECODER, help="how boxes grow, see craft_utils.py")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the network runs")
    add("--seed", type=count(0), default=0, help="of the search; the split does not depend on it")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    samples = find_test_samples(args)

    import tune_utils as tuning
    from detection_utils import save_settings

    key = tuning.fingerprint(args.model_dir, samples, args.image_size)
    work = args.model_dir / WORK
    work.mkdir(exist_ok=True)
    name = args.study_name or f"{args.decoder}-{key}"
    study = tuning.open_study(args.storage, work / "trials.log", name, key, args.seed)
    rows, problems = tuning.predict_maps(
        work, key, samples, args.image_size, lambda: open_detector(args)
    )
    name_left_out(problems)
    searched, held_back = (
        tuning.Scorer(work, half, samples, args.image_size) for half in split_rows(rows)
    )
    print(
        f"study {name}: {tuning.count_finished(study)} of {args.n_trials} trials are there; "
        f"searching on {len(searched.rows)} images, {len(held_back.rows)} held back"
    )
    default = default_settings(args)
    tuning.search(study, searched, default, args.n_trials, args.n_jobs, args.timeout)

    tuned = tuning.choose(study, searched, default)
    scores = {
        half: {"images": len(score.rows), "default": score(default), "tuned": score(tuned)}
        for half, score in (("searched", searched), ("held_back", held_back))
    }
    path = save_settings(
        args.model_dir,
        tuned if gain_of(scores) >= 0 else default,
        chosen_by="highest mean of F1 and IoU on the searched images, ties by F1; the defaults "
        "when these are better on the images held back",
        scores=scores,
        n_trials=tuning.count_finished(study),
        image_size=args.image_size,
        study_name=name,
        data_fingerprint=key,
    )
    tuning.plot_study(study, tuned, work)
    report(default, tuned, scores)
    print(f"  {path}: read by detect.py and evaluate.py; plots in {work}")


# --- Before the search -----------------------------------------------------------------------


def find_test_samples(args: argparse.Namespace) -> list:
    """The images that train.py tests on, at most --max_samples, spread evenly over all of them.

    Raises DataError for flags that cannot be, and for a folder without a model or without data.
    """
    import numpy as np

    from dataset_utils import DataError, read_folders, split_samples
    from detection_utils import choose_model

    if args.image_size % C.STRIDE:
        raise DataError(f"--image_size must be a multiple of {C.STRIDE}, not {args.image_size}")
    choose_model(args.model_dir)
    samples, problems = read_folders(args.input_dir)
    name_left_out(problems)
    test = split_samples(samples, args.test_size)[1]
    number = min(args.max_samples, len(test))
    return [test[i] for i in np.linspace(0, len(test) - 1, number).round().astype(int)]


def open_detector(args: argparse.Namespace):
    from detector import TextDetector

    return TextDetector(args.model_dir, None if args.device == "auto" else args.device)


def split_rows(rows: list[int]) -> tuple[list[int], list[int]]:
    """Every second image to search on, the others held back; all for both when there are few."""
    if len(rows) < MIN_HALVED:
        print(f"only {len(rows)} test images: the same ones are searched on and held back")
        return rows, rows
    return rows[0::2], rows[1::2]


def default_settings(args: argparse.Namespace):
    """Where the search starts: default thresholds; the model's long_side, which stays."""
    from dataset_utils import DataError
    from detection_utils import DetectionSettings, load_settings

    default = DetectionSettings(decoder=args.decoder)
    try:
        return replace(default, long_side=load_settings(args.model_dir).long_side)
    except DataError:  # a damaged detection.json is about to be replaced
        return default


# --- Afterwards ------------------------------------------------------------------------------


def gain_of(scores: dict) -> float:
    """How much the tuned thresholds raise the mean of F1 and IoU on the images held back."""
    before, after = scores["held_back"]["default"], scores["held_back"]["tuned"]
    return (after["f1"] + after["iou"] - before["f1"] - before["iou"]) / 2


def report(default, tuned, scores: dict) -> None:
    """Say which thresholds were chosen and what they are worth."""
    thresholds = ("text_threshold", "link_threshold", "low_text")
    print(
        "best of the search: " + ", ".join(f"{name} {getattr(tuned, name)}" for name in thresholds)
    )
    held = scores["held_back"]
    before, after = held["default"], held["tuned"]
    print(f"  on the {held['images']} images held back, default -> tuned:")
    for name in ("f1", "iou", "precision", "recall"):
        print(f"    {name:9} {before[name]:.3f} -> {after[name]:.3f}")
    gain = gain_of(scores)
    if tuned == default:
        print("  no trial was better than the defaults: they stay")
    elif gain >= 0:
        print(f"  the mean of f1 and iou rose by {gain:.3f} on images that the search did not see")
    else:
        print("  worse than the defaults on images that the search did not see: the defaults stay;")
        print("  tune on more images")


if __name__ == "__main__":
    run_main(main)
