"""Write a data set, or what detect.py found, as another tool reads it.

    python export_dataset.py --input_dir my_images --format coco --save_folder for_coco
    python export_dataset.py --input_dir detections --format labelstudio --save_folder to_correct

The images are copied into images/ of the new folder, which is there whole or not at all. Words that
the format cannot hold are made to fit or left out, and counted.
"""

import argparse
from collections import Counter
from pathlib import Path

from textdet.common.cli import (
    ArgumentParser,
    existing_folder,
    integer,
    name_left_out,
    progress_bar,
    run_main,
)
from textdet.data.chunked_folder import refuse_inside
from textdet.data.export import export_samples
from textdet.data.formats.recognise import find_format
from textdet.data.formats.registry import EXPORTS, FORMATS, read_dataset


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    listed = "; ".join(f"{name}: {known.title}" for name, known in EXPORTS.items())
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    text = "folder that the other scripts read, or results of detect.py"
    add("--input_dir", type=existing_folder, required=True, help=text)
    text = "format of that folder"
    add("--input_format", choices=("auto", *FORMATS), default="auto", metavar="NAME", help=text)
    add("--format", choices=EXPORTS, required=True, metavar="NAME", help=listed)
    add("--save_folder", type=Path, required=True, help="folder to make")
    add("--max_samples", type=integer(1), help="only so many images")
    return parser.parse_args()


def main() -> None:
    """Export as the flags say, and report."""
    args = parse_arguments()
    refuse_inside(args.save_folder, args.input_dir)
    others, known = [], args.input_format
    known = find_format(args.input_dir, others) if known == "auto" else known
    samples, problems = read_dataset(args.input_dir, known)
    samples = samples[: args.max_samples]
    # What a model found is for people to correct.
    options = {"predicted": known == "detections"} if args.format == "labelstudio" else {}
    bar = progress_bar(samples, unit="image", disable=len(samples) < 2)
    counts, left_out = export_samples(bar, args.save_folder, args.format, **options)
    report(args, counts, others + problems + left_out)


def report(args: argparse.Namespace, counts: Counter, problems: list[str]) -> None:
    """Say what is there now, what was changed, and what could not be read.

    Params:
        args: the flags.
        counts: as export_samples gives them.
        problems: a line for each image or word left out.
    """
    name_left_out(problems)
    images, words = counts.pop("images"), counts.pop("words")
    print(f"{args.save_folder}: {words} words in {images} images, for {EXPORTS[args.format].title}")
    for change, number in counts.items():
        print(f"  {change}: {number}")
    if problems:
        print(f"  left out, named above: {len(problems)}")


if __name__ == "__main__":
    run_main(main)
