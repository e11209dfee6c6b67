"""Judge a trained model on images with known words, by the protocol of ICDAR 2015.

    python evaluate.py --input_dir syntdata --model_dir checkpoits --output results.csv

Reads triplet folders (of those that the model was trained on, only the images it was tested on),
the layouts of ICDAR 2013, ICDAR 2015, MLT and FUNSD, known by their looks, and others by --format.
Leaves a line an image in --output (at IoU 0.5) and the totals with the settings in a .json of the
same name; prints the totals at IoU 0.5, the protocol's, and at higher ones, which show how well the
boxes fit.
"""

import argparse
import csv
import io
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from textdet.common.cli import ArgumentParser, integer, name_left_out, progress_bar, run_main
from textdet.common.errors import DataError
from textdet.common.files import read_json, shortened, write_atomically, write_json
from textdet.common.pictures import GREEN, GREY, RED, draw_polygons, outline_width, save_picture
from textdet.data.annotation import Sample
from textdet.data.formats.registry import FORMATS, read_dataset
from textdet.data.held_out import find_held_out
from textdet.data.triplets import read_sample_image
from textdet.decoding.metrics import ImageMatch, match_image, summarise, sweep, truth_of
from textdet.decoding.word_fates import FALSE_BOXES, FATES, word_fates
from textdet.network.detector import TextDetector
from textdet.network.flags import add_detection_flags, open_detector

SCORES = ("precision", "recall", "f1", "iou")
OTHER_FATES = (*FATES[1:], *FALSE_BOXES)  # "found", the first, is "matched"
COLUMNS = ("file", "words", "found", "matched", *SCORES, "seconds", *OTHER_FATES)  # of the table
RECORD = {"data", "split", "model", "settings", "totals"}  # fields of the .json, at least
PICTURES_FILE, PICTURES = "pictures.json", "pictures"  # names what is in the folder of the worst


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
        help="of a folder that the model was trained on: the images held back, or all",
    )
    add("--max_samples", type=integer(1), help="judge only the first so many images")
    add("--worst", type=integer(0), default=0, help="draw so many images with the lowest F1")
    add_detection_flags(parser)
    return parser.parse_args()


@dataclass
class Judged:
    """One image's result.

    Params:
        sample: the image and its words.
        match: what was found of them.
        fates: what became of each word, see word_fates.
        found: outlines (k, 2), px of the image.
        seconds: that it took, without reading the image.
    """

    sample: Sample
    match: ImageMatch
    fates: Counter
    found: list[np.ndarray]
    seconds: float

    @property
    def errors(self) -> int:
        """Words missed and detections that are none."""
        return self.match.true + self.match.predicted - 2 * self.match.matched


def main() -> None:
    """Judge a model as the flags say: find words, compare, write and print the figures."""
    args = parse_arguments()
    check_output(args)
    samples, problems = read_dataset(args.input_dir, args.format)
    detector = open_detector(args)
    samples = choose_samples(args, detector.files.folder, samples)
    judged, damaged = judge(detector, samples[: args.max_samples])
    name_left_out(problems + damaged)
    if not judged:
        raise DataError(f"{args.input_dir}: none of its {len(damaged)} images can be read")
    totals = {
        "images": len(judged),
        "words": sum(entry.match.true for entry in judged),
        "found": sum(entry.match.predicted for entry in judged),
        "left_out": len(problems) + len(damaged),
        **summarise([entry.match for entry in judged]),
        "sweep": {str(t): v for t, v in sweep([entry.match for entry in judged]).items()},
        "fates": {
            name: sum(entry.fates[name] for entry in judged) for name in (*FATES, *FALSE_BOXES)
        },
        "seconds_an_image": float(np.mean([entry.seconds for entry in judged])),
    }
    write_tables(args, judged, totals, detector)
    draw_worst(args, judged)
    print_totals(args, totals, detector)


def check_output(args: argparse.Namespace) -> None:
    """See that the results replace nothing but those of an earlier run.

    Raises:
        DataError: there is something else in their place, or --output is no .csv in a folder.
    """
    table = args.output
    if table.suffix != ".csv" or not table.absolute().parent.is_dir():
        raise DataError(f"--output {table}: must be a .csv file in a folder that exists")
    strangers = []
    if table.exists() and not table.read_bytes().startswith(",".join(COLUMNS[:8]).encode()):
        strangers.append(table)
    record = table.with_suffix(".json")
    if record.exists() and not earlier_record(record).keys() >= RECORD:
        strangers.append(record)
    folder = worst_folder(args)
    if args.worst and folder.exists() and PICTURES not in earlier_record(folder / PICTURES_FILE):
        strangers.append(folder)
    if strangers:
        raise DataError(
            f"{strangers[0]} is there already and was not made by this script; "
            "name another --output"
        )


def worst_folder(args: argparse.Namespace) -> Path:
    """Where the pictures of --worst go."""
    return args.output.with_name(f"{args.output.stem}_worst")


def earlier_record(path: Path) -> dict:
    """A file's JSON object; an empty one where there is none."""
    try:
        return read_json(path)
    except DataError:
        return {}


def own_pictures(record: dict) -> list[str]:
    """The names of pictures in the record of the folder of the worst; nothing outside it."""
    names = record.get(PICTURES)
    names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return [name for name in names if name.endswith(".jpg") and Path(name).name == name]


def choose_samples(args: argparse.Namespace, folder: Path, samples: list[Sample]) -> list[Sample]:
    """The images that the model was not trained on, or all with --split all.

    Params:
        args: the flags.
        folder: of the model.
        samples: all of --input_dir.

    Raises:
        DataError: when the model's record is damaged, or nothing of the folder was held out.
    """
    if args.split == "all":
        return samples
    held_out = find_held_out(folder, samples)
    if held_out is None:
        return samples
    print(
        f"{args.input_dir}: the model was trained on it; judged by the {len(held_out)} of its "
        f"{len(samples)} images that were held back (--split all for all)"
    )
    return held_out


def judge(detector: TextDetector, samples: list[Sample]) -> tuple[list[Judged], list[str]]:
    """Find each image's words and match them with the truth.

    Returns:
        The results, and a line for each damaged image.
    """
    judged, problems = [], []
    for sample in progress_bar(samples, unit="image"):
        try:
            image = read_sample_image(sample)
        except DataError as error:
            problems.append(str(error))
            continue
        started = time.perf_counter()
        try:
            found = [word.outline for word in detector(image).words]
        except DataError as error:  # the memory is too small
            problems.append(f"{sample.image_path}: {error}")
            continue
        seconds = time.perf_counter() - started
        truth = truth_of(sample.words)
        fates = word_fates(found, truth)
        judged.append(Judged(sample, match_image(found, truth), fates, found, seconds))
    return judged, problems


def write_tables(
    args: argparse.Namespace, judged: list[Judged], totals: dict, detector: TextDetector
) -> None:
    """Write the table of the images, and the totals with what is needed to get them again.

    Params:
        args: the flags.
        judged: a row of the table each.
        totals: what the .json beside the table says of all images.
        detector: whose settings it names.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in judged:
        match, values = entry.match, summarise([entry.match])
        writer.writerow(
            [entry.sample.file, match.true, match.predicted, match.matched]
            + [f"{values[name]:.4f}" for name in SCORES]
            + [f"{entry.seconds:.3f}", *(entry.fates[name] for name in OTHER_FATES)]
        )
    write_atomically(args.output, table.getvalue())
    record = {
        "data": str(args.input_dir),
        "format": args.format,
        "split": args.split,
        "model": str(detector.model_dir),
        "settings": asdict(detector.settings),
        "poly": args.poly,
        "tiles": args.tiles,
        "runtime": str(detector.runtime),
        "totals": totals,
    }
    write_json(args.output.with_suffix(".json"), record)


def draw_worst(args: argparse.Namespace, judged: list[Judged]) -> None:
    """Draw the images with the lowest F1 (then the most errors): the truth red, don't-care grey,
    what was found green.

    Params:
        args: the flags; --worst is how many.
        judged: all images.
    """
    if not args.worst:
        return
    folder = worst_folder(args)
    folder.mkdir(exist_ok=True)
    order = sorted(judged, key=lambda entry: (summarise([entry.match])["f1"], -entry.errors))
    worst = {
        f"{rank:03d}_{shortened(Path(entry.sample.file).stem)}.jpg": entry
        for rank, entry in enumerate(order[: args.worst], 1)
    }
    record = folder / PICTURES_FILE
    earlier = own_pictures(earlier_record(record))
    write_json(record, {PICTURES: [*earlier, *worst]})
    for name in earlier:
        (folder / name).unlink(missing_ok=True)
    write_json(record, {PICTURES: [*worst]})
    for name, entry in worst.items():
        try:
            picture = read_sample_image(entry.sample)
        except DataError as error:
            name_left_out([str(error)])
            continue
        width = outline_width(picture)
        for ignore, colour in ((True, GREY), (False, RED)):
            outlines = [word.polygon for word in entry.sample.words if word.ignore == ignore]
            picture = draw_polygons(picture, outlines, colour, width)
        picture = draw_polygons(picture, entry.found, GREEN, width)
        save_picture(folder / name, picture)
    print(f"{folder}: the {len(worst)} worst images, truth red, found green")


def print_totals(args: argparse.Namespace, totals: dict, detector: TextDetector) -> None:
    """Say how good the model is on these images, as write_tables writes it.

    Params:
        args: the flags.
        totals: as write_tables takes them.
        detector: whose settings are named.
    """
    settings = ", ".join(f"{name} {value}" for name, value in asdict(detector.settings).items())
    print(f"{detector.model_dir} on {totals['images']} images of {args.input_dir}")
    print(f"  settings: {settings}")
    print(f"  words: {totals['words']}, found: {totals['found']}, left out: {totals['left_out']}")
    print("  IoU >=  precision  recall     F1")
    for threshold, values in totals["sweep"].items():
        scores = "".join(f"{values[name]:8.3f}" for name in ("precision", "recall", "f1"))
        print(f"     {threshold} {scores}")
    print(f"  mean IoU of the words with what was found: {totals['iou']:.3f}")
    fates = totals["fates"]
    print("  true words: " + ", ".join(f"{fates[name]} {name}" for name in FATES))
    print("  false boxes: " + ", ".join(f"{fates[name]} {name[6:]}" for name in FALSE_BOXES))
    print(f"  seconds an image: {totals['seconds_an_image']:.2f}, {detector.runtime}")
    print(f"  each image: {args.output}, these figures: {args.output.with_suffix('.json')}")


if __name__ == "__main__":
    run_main(main)
