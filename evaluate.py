"""Judge trained models on images with known words, by the protocol of ICDAR 2015.

    python evaluate.py --input_dir syntdata --model_dir checkpoits --output results.csv
    python evaluate.py --input_dir my_images --model_dir checkpoits static/model

Reads triplet folders (of those that a model was trained on, only the images it was tested on),
other formats that are known by their looks, and the rest by --format.
Leaves a line an image in --output (at IoU 0.5) and the totals with the settings in a .json of the
same name; prints the totals at IoU 0.5, the protocol's, and at higher ones, which show how well the
boxes fit. Several models are judged on the same images, side by side: those that none of them was
trained on. --output then has a line an image and model, and the .json a list, "models".
"""

import argparse
import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.cli import (
    ArgumentParser,
    add_cluster_flag,
    integer,
    name_left_out,
    progress_bar,
    run_main,
)
from textdet.common.cluster import IMAGES_A_CALL, Cluster, choose_cluster
from textdet.common.errors import DataError
from textdet.common.files import (
    check_writable,
    earlier_record,
    shortened,
    write_atomically,
    write_json,
)
from textdet.common.pictures import (
    GREEN,
    GREY,
    RED,
    contact_sheet,
    draw_polygons,
    outline_width,
    save_picture,
)
from textdet.common.workers import run_calls
from textdet.data.annotation import Sample
from textdet.data.formats.registry import FORMATS, read_dataset
from textdet.data.held_out import read_record, record_file, tell_unseen
from textdet.data.triplets import read_sample_image
from textdet.decoding.metrics import SCORES, ImageMatch, summarise, sweep
from textdet.decoding.settings import SETTINGS
from textdet.decoding.word_fates import FALSE_BOXES, FATES, FATES_COLUMN
from textdet.network.detector import TextDetector
from textdet.network.flags import add_detection_flags, detector_opener
from textdet.network.judging import Judged, judge_images, open_detectors
from textdet.network.model_files import choose_model, find_model

OTHER_FATES = (*FATES[1:], *FALSE_BOXES)  # "found", the first, is "matched"
COUNTS = ("file", "words", "found", "matched", *SCORES)  # what every table begins with
COLUMNS = (*COUNTS, "seconds", *OTHER_FATES, FATES_COLUMN)  # of the table
RECORD = {"data", "split"}  # fields of the .json, at least, and one of these two
OF_MODELS = {"totals", "models"}
PICTURES_FILE, PICTURES = "pictures.json", "pictures"  # names what is in the folder of the worst
SHEET_COLUMNS, SHEET_TILE = 3, 900  # of a picture of several models; px, side of its squares


@dataclass
class Image:
    """An image and what the models made of it.

    Params:
        sample: the image and its words.
        judged: of each model.
    """

    sample: Sample
    judged: list[Judged]

    @property
    def matches(self) -> list[ImageMatch]:
        """What each model found."""
        return [entry.match for entry in self.judged]

    @property
    def badness(self) -> tuple[float, int]:
        """What the worst images come first by: F1, then words missed and false boxes."""
        errors = sum(m.true + m.predicted - 2 * m.matched for m in self.matches)
        return summarise(self.matches)["f1"], -errors


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--input_dir", type=Path, required=True, help="folder with images and their words")
    add("--format", choices=("auto", *FORMATS), default="auto", help="of that folder")
    add("--output", type=Path, default=Path("results.csv"), help="table with a line an image")
    add(
        "--split",
        choices=("test", "all"),
        default="test",
        help="of a folder that a model was trained on: the images held out, or all",
    )
    add("--max_samples", type=integer(1), help="judge only the first so many images")
    add("--worst", type=integer(0), default=0, help="draw so many images with the lowest F1")
    add_cluster_flag(parser, "judge the images")
    add_detection_flags(parser, models=True)
    return parser.parse_args()


def main() -> None:
    """Judge models as the flags say: find words, compare, write and print the figures."""
    args = parse_arguments()
    check_output(args)
    samples, problems = read_dataset(args.input_dir.absolute(), args.format)
    chosen = {}  # one that is named in two ways is judged once
    for model in map(choose_model, args.model_dir or [None]):
        chosen.setdefault(model.resolve(), model)
    models = list(chosen.values())
    openers = [detector_opener(args, model) for model in models]
    folders = [find_model(model).folder for model in models]
    samples, records = choose_samples(args, folders, samples)
    cluster = choose_cluster(args.cluster, args.input_dir, *models)
    images, damaged = judge(openers, samples[: args.max_samples], cluster)
    name_left_out(problems + damaged)
    if not images:
        raise DataError(f"{args.input_dir}: none of its {len(damaged)} images can be read")
    left_out = len(problems) + len(damaged)
    results = [
        describe_model(model, opener, [image.judged[i] for image in images], left_out)
        for i, (model, opener) in enumerate(zip(models, openers, strict=True))
    ]
    write_tables(args, images, results, records)
    draw_worst(args, images, results)
    if len(results) == 1:
        print_one(args.input_dir, results[0])
    else:
        print_several(args.input_dir, results)
    if not results[0]["totals"]["words"]:
        print("  these images have no words that count: the scores say nothing")
    print(f"  each image: {args.output}, these figures: {args.output.with_suffix('.json')}")


# --- Before the start ------------------------------------------------------------------------


def check_output(args: argparse.Namespace) -> None:
    """Check that the results replace nothing but those of an earlier run.

    Raises:
        DataError: there is something else in their place, or --output is not a .csv in a
            writable folder.
    """
    table = args.output
    if table.suffix != ".csv" or not table.absolute().parent.is_dir():
        raise DataError(f"--output {table}: must be a .csv file in a folder that exists")
    check_writable(table.absolute().parent)
    strangers = []
    if table.exists() and not table.read_bytes().startswith(",".join(COUNTS).encode()):
        strangers.append(table)
    record = table.with_suffix(".json")
    if record.exists():
        fields = earlier_record(record).keys()
        if not (fields >= RECORD and fields & OF_MODELS):
            strangers.append(record)
    folder = worst_folder(table)
    if args.worst and folder.exists() and PICTURES not in earlier_record(folder / PICTURES_FILE):
        strangers.append(folder)
    if strangers:
        raise DataError(
            f"{strangers[0]} is there already and was not made by this script; "
            "name another --output"
        )


def worst_folder(table: Path) -> Path:
    """Where the pictures of --worst go, beside --output."""
    return table.with_name(f"{table.stem}_worst")


def own_pictures(record: dict) -> list[str]:
    """The names of pictures in the record of the folder of the worst; nothing outside it."""
    names = record.get(PICTURES)
    names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return [name for name in names if name.endswith(".jpg") and Path(name).name == name]


def choose_samples(
    args: argparse.Namespace, folders: Sequence[Path], samples: list[Sample]
) -> tuple[list[Sample], list[Path]]:
    """The images that no model was trained on, or all with --split all; says which they are.

    Params:
        args: the flags.
        folders: of the models.
        samples: all of --input_dir.

    Returns:
        The images, and the records that say of some others that a model was trained on them.

    Raises:
        DataError: when a model's record is damaged, or nothing of the folder was held out.
    """
    judged_by, its = f"{args.input_dir}: judged by", f"its {len(samples)} images"
    everything = f"{judged_by} {first_of(args.max_samples, samples) or 'all of '}{its}"
    if args.split == "all":
        print(f"{everything}, whether trained on or not")
        return samples, []
    flags = tell_unseen([read_record(folder) for folder in folders], samples)
    held_out = [sample for sample, *own in zip(samples, *flags, strict=True) if all(own)]
    telling = [f for f, own in zip(folders, flags, strict=True) if not all(own)]
    records = list(dict.fromkeys(map(record_file, telling)))
    if not held_out:
        which = "the models, together, were" if len(folders) > 1 else "the model was"
        raise DataError(
            f"{args.input_dir}: {which} trained on all images of this folder; --split all takes "
            "them all the same"
        )
    if records:
        which = f"{first_of(args.max_samples, held_out)}the {len(held_out)} of {its}"
        where = ", ".join(map(str, records))
        print(f"{judged_by} {which} that were held out (recorded in {where}; --split all for all)")
        return held_out, records
    unknown = [str(folder) for folder in folders if record_file(folder) is None]
    if unknown:
        print(f"{everything}; there is no record of the training of {', '.join(unknown)}")
    else:
        print(f"{everything}; none is known to have been trained on")
    return samples, []


def first_of(count: int | None, samples: Sequence[Sample]) -> str:
    """The words for what --max_samples takes of some images; none where it takes them all."""
    return f"the first {count} of " if count and count < len(samples) else ""


# --- The images ------------------------------------------------------------------------------


def judge(
    openers: Sequence[Callable[[], TextDetector]],
    samples: Sequence[Sample],
    cluster: Cluster | None = None,
) -> tuple[list[Image], list[str]]:
    """Have each model find each image's words.

    Params:
        openers: of the models.
        samples: the images.
        cluster: where to, instead of in this process.

    Returns:
        The results, and a line for each damaged image.
    """
    size = IMAGES_A_CALL if cluster else 1
    calls = ((start, samples[start : start + size]) for start in range(0, len(samples), size))
    shared = partial(open_detectors, openers)
    found = {}
    with progress_bar(total=len(samples), unit="image") as bar:
        for start, outcomes in run_calls(judge_images, calls, 1, cluster, shared):
            found |= dict(enumerate(outcomes, start))
            bar.update(len(outcomes))
    images, problems = [], []
    for number, sample in enumerate(samples):
        if isinstance(found[number], str):
            problems.append(found[number])
        else:
            images.append(Image(sample, found[number]))
    return images, problems


def describe_model(
    model: Path, opener: partial, judged: Sequence[Judged], left_out: int
) -> dict[str, Any]:
    """What the .json says of a model.

    Params:
        model: as it was named.
        opener: its settings are named.
        judged: its results, one per image.
        left_out: how many images and words were left out.
    """
    matches = [entry.match for entry in judged]
    totals = {
        "images": len(judged),
        "words": sum(match.true for match in matches),
        "found": sum(match.predicted for match in matches),
        "left_out": left_out,
        **summarise(matches),
        "sweep": {str(t): v for t, v in sweep(matches).items()},
        "fates": {
            name: sum(entry.fates[name] for entry in judged) for name in (*FATES, *FALSE_BOXES)
        },
        "seconds_an_image": float(np.mean([entry.seconds for entry in judged])),
    }
    return {
        "model": str(model),
        "settings": {name: opener.keywords[name] for name in SETTINGS},
        "runtime": ", ".join(sorted({entry.runtime for entry in judged})),
        "totals": totals,
    }


# --- Afterwards ------------------------------------------------------------------------------


def write_tables(
    args: argparse.Namespace,
    images: Iterable[Image],
    results: Sequence[dict[str, Any]],
    records: Sequence[Path],
) -> None:
    """Write the table of the images, and the totals with what is needed to get them again.

    Params:
        args: the flags.
        images: one row of the table each, with several models a row for each of them.
        results: of each model, as describe_model gives them.
        records: of the models' trainings, by which images were held out.
    """
    names = [result["model"] for result in results]
    several = len(results) > 1
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow((*COLUMNS, "model") if several else COLUMNS)
    for image in images:
        for name, entry in zip(names, image.judged, strict=True):
            match, values = entry.match, summarise([entry.match])
            writer.writerow(
                [image.sample.file, match.true, match.predicted, match.matched]
                + [f"{values[score]:.4f}" for score in SCORES]
                + [f"{entry.seconds:.3f}", *(entry.fates[fate] for fate in OTHER_FATES)]
                + [" ".join(entry.words)]
                + [name] * several
            )
    write_atomically(args.output, table.getvalue())
    record = {
        "data": str(args.input_dir),
        "format": args.format,
        "split": args.split,
        "max_samples": args.max_samples,
        "held_out_by": [str(path) for path in records],
        "poly": args.poly,
        "tiles": args.tiles,
        **({"models": [*results]} if several else results[0]),
    }
    write_json(args.output.with_suffix(".json"), record)


def draw_worst(
    args: argparse.Namespace, images: Sequence[Image], results: Sequence[dict[str, Any]]
) -> None:
    """Draw the images with the lowest F1 (then the most errors): the truth red, don't-care grey,
    what was found green; what several models found is drawn side by side.

    Params:
        args: the flags; --worst is how many.
        images: all of them.
        results: of each model, as describe_model gives them.
    """
    if not args.worst:
        return
    folder = worst_folder(args.output)
    folder.mkdir(exist_ok=True)
    order = sorted(images, key=lambda image: image.badness)
    worst = {
        f"{rank:03d}_{shortened(Path(image.sample.file).stem)}.jpg": image
        for rank, image in enumerate(order[: args.worst], 1)
    }
    record = folder / PICTURES_FILE
    earlier = own_pictures(earlier_record(record))
    write_json(record, {PICTURES: [*earlier, *worst]})
    for name in earlier:
        (folder / name).unlink(missing_ok=True)
    write_json(record, {PICTURES: [*worst]})
    for name, image in worst.items():
        try:
            picture = read_sample_image(image.sample)
        except DataError as error:
            name_left_out([str(error)])
            continue
        width = outline_width(picture)
        for ignore, colour in ((True, GREY), (False, RED)):
            outlines = [word.polygon for word in image.sample.words if word.ignore == ignore]
            picture = draw_polygons(picture, outlines, colour, width)
        pictures = [draw_polygons(picture, entry.found, GREEN, width) for entry in image.judged]
        if len(pictures) > 1:
            titles = [
                f"{result['model']}: F1 {summarise([match])['f1']:.2f}"
                for result, match in zip(results, image.matches, strict=True)
            ]
            columns = min(len(pictures), SHEET_COLUMNS)
            pictures = [contact_sheet(pictures, columns, SHEET_TILE, titles)]
        save_picture(folder / name, pictures[0])
    print(f"{folder}: the {len(worst)} worst images, truth red, found green")


def print_one(folder: Path, result: dict[str, Any]) -> None:
    """Say how good a model is.

    Params:
        folder: of the images.
        result: as describe_model gives it.
    """
    totals, fates = result["totals"], result["totals"]["fates"]
    settings = ", ".join(f"{name} {value}" for name, value in result["settings"].items())
    print(f"{result['model']} on {totals['images']} images of {folder}")
    print(f"  settings: {settings}")
    print(f"  words: {totals['words']}, found: {totals['found']}, left out: {totals['left_out']}")
    print("  IoU >=  precision  recall     F1")
    for threshold, values in totals["sweep"].items():
        scores = "".join(f"{values[name]:8.3f}" for name in ("precision", "recall", "f1"))
        print(f"     {threshold} {scores}")
    print(f"  mean IoU of the words with what was found: {totals['iou']:.3f}")
    print("  true words: " + ", ".join(f"{fates[name]} {name}" for name in FATES))
    print("  false boxes: " + ", ".join(f"{fates[name]} {name[6:]}" for name in FALSE_BOXES))
    print(f"  seconds an image: {totals['seconds_an_image']:.2f}, {result['runtime']}")


def print_several(folder: Path, results: Sequence[dict[str, Any]]) -> None:
    """Say how good models are, a line each.

    Params:
        folder: of the images.
        results: as describe_model gives them.
    """
    first = results[0]["totals"]
    print(
        f"{len(results)} models on {first['images']} images of {folder}, "
        f"{first['words']} words, left out: {first['left_out']}"
    )
    width = max(5, *(len(result["model"]) for result in results))

    def show(titles: Iterable[str], row: Callable[[dict[str, Any]], Iterable[str]]) -> None:
        titles = list(titles)
        widths = [max(len(title), 6) + 2 for title in titles]
        for name, cells in [("", titles), *((r["model"], row(r["totals"])) for r in results)]:
            cells = (f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True))
            print(f"  {name:{width}}" + "".join(cells))

    def scores(totals: dict[str, Any]) -> list[str]:
        values = [totals[name] for name in ("precision", "recall", "f1")]
        values += [totals["sweep"]["0.7"]["f1"], totals["iou"]]
        return [f"{v:.3f}" for v in values] + [f"{totals['seconds_an_image']:.2f}"]

    titles = ("precision", "recall", "F1", "F1 at IoU 0.7", "mean IoU", "seconds an image")
    show(titles, scores)
    print("  true words, and boxes that found none:")
    names = (*FATES, *FALSE_BOXES)
    show(names, lambda totals: [str(totals["fates"][name]) for name in names])


if __name__ == "__main__":
    run_main(main)
