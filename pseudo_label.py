"""Make character heatmaps for images of which only the words are known, with a trained model.

    python pseudo_label.py --input_dir words --model_dir checkpoits --save_folder labelled

The weak supervision of CRAFT: the model looks at each word by itself, its character map is cut
into characters, and how well their number fits the transcription says how far they are trusted;
train.py weighs the loss by it. Train on the result together with generated images, label again
with the better model, and so on. With --labels maps the model's own maps of the whole images become
the labels, corrected by the words.

A chunk's annotation file is written last and marks it done; the same command goes on where the last
one stopped, and run several times at once it shares the work.
"""

import argparse
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from static import constants as C
from textdet.common.cli import (
    ArgumentParser,
    add_cluster_flag,
    existing_folder,
    integer,
    name_left_out,
    number,
    progress_bar,
    run_main,
)
from textdet.common.cluster import choose_cluster
from textdet.common.errors import DataError
from textdet.common.files import glob_below
from textdet.common.image_inputs import name_results
from textdet.common.images import is_image, name_further_frames, name_other_pictures
from textdet.common.workers import available_cores
from textdet.data.annotation import Sample
from textdet.data.chunked_folder import (
    DATASET_FILE,
    PREVIEW_FILE,
    cut_chunks,
    fill_folder,
    in_workers,
    iterate_samples,
    read_left_out,
    refuse_inside,
    report_left_out,
    start_folder,
    words_fingerprint,
)
from textdet.data.formats.registry import FORMATS, read_dataset
from textdet.data.preview import write_preview
from textdet.network.detector import TextDetector, share_detector
from textdet.network.flags import add_model_flags
from textdet.network.labelling import Labelling, label_chunk, label_chunks
from textdet.network.model_files import choose_model, find_model
from textdet.network.result_files import is_result

UNANNOTATED = "images"  # as a --format: a folder of images without annotation


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--input_dir", type=existing_folder, required=True, help="images with their words")
    text = (
        "of --input_dir; images: not annotated, all its words are the model's (with --labels maps)"
    )
    add("--format", choices=("auto", *FORMATS, UNANNOTATED), default="auto", help=text)
    add("--save_folder", type=Path, required=True, help="folder to write or go on with")
    text = (
        "cells: characters cut from the model's map of each word; maps: its own maps of the whole "
    )
    text += "image, corrected by the words; default: cells"
    add("--labels", choices=("cells", "maps"), default="cells", help=text)
    text = "0..1, how much don't-care words are to count in training; default: 0, not labelled"
    add("--ignored_weight", type=number(0, 1), default=0.0, metavar="WEIGHT", help=text)
    add(
        "--piece_size",
        type=integer(64, 4096),
        default=C.IMAGE_SIZE,
        help="px; larger images are written shrunk to it, and cut into squares of it",
    )
    add("--max_samples", type=integer(1), help="label only the first so many images")
    add("--chunk_size", type=integer(1), default=20, help="images that are labelled in one go")
    add("--batch_size", type=integer(1), default=32, help="words that the network sees at once")
    add(
        "--num_workers",
        type=integer(1),
        default=available_cores(),
        help="threads beside the network",
    )
    add("--subfolders", action="store_true", help="a subfolder for the pieces of each 1000 images")
    add_cluster_flag(parser, "label the images")
    add("--overwrite", action="store_true", help="delete what the folder holds, then start anew")
    add_model_flags(parser)
    args = parser.parse_args()
    args.input_dir = args.input_dir.absolute()  # the same for every process
    if args.format == UNANNOTATED and args.labels != "maps":
        parser.error(f"--format {UNANNOTATED} goes with --labels maps: there are no words to cut")
    return args


def main() -> None:
    """Label as the flags say, go on where the last run stopped, and report."""
    args = parse_arguments()
    model_dir = choose_model(args.model_dir)
    if args.format == UNANNOTATED:
        samples, problems = unannotated(args.input_dir, args.save_folder)
    else:
        refuse_inside(args.save_folder, args.input_dir)
        samples, problems = read_dataset(args.input_dir, args.format)
    name_left_out(problems)
    samples = samples[: args.max_samples]
    model = find_model(model_dir)
    detection = asdict(model.settings())
    settings = {
        "input_dir": str(args.input_dir.resolve()),
        "format": args.format,
        "images": words_fingerprint(samples),
        "model": model.fingerprint(),
        "labels": args.labels,
        # Cells depend on none of it: the network sees each word by itself.
        "detection": detection if args.labels == "maps" else None,
        "ignored_weight": args.ignored_weight,
        "piece_size": args.piece_size,
        "max_samples": args.max_samples,
        "chunk_size": args.chunk_size,
        "subfolders": args.subfolders or None,  # as in folders that do not say
    }
    settings = start_folder(args.save_folder, settings, args.overwrite, read_only=[args.input_dir])
    # With these settings, whatever tune.py writes meanwhile.
    teacher = partial(TextDetector, model_dir.absolute(), args.device, args.runtime)
    opener = partial(teacher, characters=True, **detection)
    options = Labelling(
        labels=args.labels,
        is_annotated=args.format != UNANNOTATED,
        ignored_weight=args.ignored_weight,
        piece_size=args.piece_size,
        batch_size=args.batch_size,
        jpeg_quality=C.JPEG_QUALITY,
        threads=args.num_workers,
        subfolders=args.subfolders,
    )
    work = partial(label_chunks, open_teacher=opener, options=options)
    needed = args.save_folder / DATASET_FILE, args.input_dir, model_dir
    if cluster := choose_cluster(args.cluster, *needed):
        shared = partial(share_detector, opener)
        work = in_workers(label_chunk, options, workers=1, cluster=cluster, shared=shared)
    counts = fill_folder(
        args.save_folder,
        settings,
        cut_chunks(args.save_folder, samples, args.chunk_size),
        work,
        partial(summarise, unread=len(problems)),
        total=len(samples),
        problems=problems,
        shared=True,
    )
    report(args.save_folder, counts)


def unannotated(folder: Path, apart_from: Path) -> tuple[list[Sample], list[str]]:
    """A sample for each image in a folder and below it, without words.

    Params:
        folder: to search.
        apart_from: a folder that is left out, where a run may write its own images.

    Returns:
        The samples, and a line for each thing that is left out.

    Raises:
        DataError: there is no image.
    """
    own = Path(os.path.realpath(apart_from))
    files = sorted(filter(Path.is_file, glob_below(folder)))
    if own.is_relative_to(os.path.realpath(folder)):
        files = [path for path in files if not Path(os.path.realpath(path)).is_relative_to(own)]
    results = set(filter(is_result, files))  # with boxes drawn over them
    samples, problems = [], name_other_pictures(files) + name_results(results)
    paths = sorted(set(filter(is_image, files)) - results)
    for path in progress_bar(paths, unit="file", desc="opening", delay=2):
        try:
            problems += name_further_frames(path)
        except DataError as error:
            problems.append(str(error))
            continue
        name = path.relative_to(folder).as_posix()
        samples.append(Sample(folder, name, 0, 0, [], {}, path))
    if not samples:
        raise DataError("; ".join([f"{folder}: no images in it", *problems[:1]]))
    return samples, problems


def summarise(folder: Path, unread: int = 0) -> dict[str, int | float]:
    """Counts over the whole folder, a chunk at a time, and how far its words are trusted.

    Params:
        unread: how many images and words were left out before there were chunks.

    Raises:
        DataError: when it holds no image.
    """
    images, ignored, characters, fitting, trust = 0, 0, 0, 0, []
    for sample in iterate_samples(folder):
        images += 1
        counted = [word for word in sample.words if not word.ignore]
        ignored += len(sample.words) - len(counted)
        characters += sum(len(word.characters) for word in counted)
        # Of a word without a transcription nobody knows how many letters it has.
        fitting += sum(word.confidence == 1 for word in counted if word.text)
        trust += [word.confidence for word in counted]
    left_out = read_left_out(folder)
    if not images:
        raise DataError(f"{folder}: not one image could be labelled; {left_out[:1]}")
    return {
        "images": images,
        "words": len(trust),
        "don't-care words": ignored,
        "characters": characters,
        "words with as many characters as letters": fitting,
        "mean confidence": round(float(np.mean(trust)), 3) if trust else 0.0,
        "left out": unread + len(left_out),
    }


def report(folder: Path, counts: dict) -> None:
    """Say what is there now, and what to do with it.

    Params:
        folder: that was written.
        counts: as summarise gives them.
    """
    write_preview(folder)
    print(f"{folder}:")
    for name, value in counts.items():
        print(f"  {name}: {value}")
    report_left_out(folder)
    print(f"  look at {folder / PREVIEW_FILE}, then train on it and on generated images:")
    print(f"  python train.py --input_dir syntdata {folder} --mix 5 1 ...")


if __name__ == "__main__":
    run_main(main, resumable=True)
