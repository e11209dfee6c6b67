"""Cut text-free windows out of photographs with annotated words, as backgrounds for generating.

    python cut_backgrounds.py --input_dir words --save_folder my_photographs
    python generate_images.py --backgrounds my_photographs ...

Text detectors fail on what surrounds real text: streets, shelves, faces. Photographs with text
show it, and where their words are known, what lies between these can serve as background. Every
word must be annotated, if only as don't-care: what is not would be taught as background, so images
with annotations that cannot be read are left out. A chunk's annotation file is written last and
marks it done; the same command goes on where the last one stopped.
"""

import argparse
from functools import partial
from pathlib import Path

import cv2

from static import constants as C
from textdet.common.cli import (
    ArgumentParser,
    add_cluster_flag,
    existing_folder,
    integer,
    name_left_out,
    run_main,
)
from textdet.common.cluster import choose_cluster
from textdet.common.errors import DataError
from textdet.common.workers import available_cores
from textdet.data.annotation import Sample, unread_words
from textdet.data.chunked_folder import (
    DATASET_FILE,
    Chunk,
    cut_chunks,
    fill_folder,
    finish_chunk,
    in_workers,
    iterate_samples,
    read_left_out,
    refuse_inside,
    report_left_out,
    start_folder,
    words_fingerprint,
)
from textdet.data.formats.registry import FORMATS, read_dataset
from textdet.data.free_windows import free_windows
from textdet.data.pieces import piece_file
from textdet.data.triplets import placed_file, read_sample_image, write_triplet


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--input_dir", type=existing_folder, required=True, help="images with all their words")
    add("--format", choices=("auto", *FORMATS), default="auto", help="of --input_dir")
    add("--save_folder", type=Path, required=True, help="folder to write or go on with")
    add("--min_size", type=integer(32), default=256, help="px, a window's shorter side at least")
    add("--per_image", type=integer(1), default=2, help="windows of one image at most")
    add("--chunk_size", type=integer(1), default=100, help="images a worker cuts in one go")
    add("--num_workers", type=integer(1), default=available_cores(), help="processes")
    text = "a subfolder for the windows of each 1000 images"
    add("--subfolders", action="store_true", help=text)
    add_cluster_flag(parser, "cut the windows")
    add("--overwrite", action="store_true", help="delete what the folder holds, then start anew")
    args = parser.parse_args()
    args.input_dir = args.input_dir.absolute()  # the same for every process
    return args


def main() -> None:
    """Cut windows as the flags say, go on where the last run stopped, and report."""
    args = parse_arguments()
    refuse_inside(args.save_folder, args.input_dir)
    samples, problems = read_dataset(args.input_dir, args.format)
    name_left_out(problems)
    settings = {
        "input_dir": str(args.input_dir.resolve()),
        "format": args.format,
        "images": words_fingerprint(samples),
        "min_size": args.min_size,
        "per_image": args.per_image,
        "chunk_size": args.chunk_size,
        "subfolders": args.subfolders or None,  # as in folders that do not say
    }
    settings = start_folder(args.save_folder, settings, args.overwrite, read_only=[args.input_dir])
    cluster = choose_cluster(args.cluster, args.save_folder / DATASET_FILE, args.input_dir)
    options = args.per_image, args.min_size, args.subfolders
    counts = fill_folder(
        args.save_folder,
        settings,
        cut_chunks(args.save_folder, samples, args.chunk_size),
        in_workers(make_windows, *options, workers=args.num_workers, cluster=cluster),
        partial(summarise, unread=len(problems)),
        total=len(samples),
        problems=problems,
    )
    report(args.save_folder, counts)


def make_windows(chunk: Chunk, per_image: int, min_size: int, subfolders: bool = False) -> int:
    """Write the windows of a chunk's images. Damaged images are left out and named.

    Params:
        chunk: its sources are samples.
        per_image: windows of one image at most.
        min_size: px, a window's shorter side at least.
        subfolders: see triplets.placed_file.

    Returns:
        The number of images, damaged ones included.
    """
    cv2.setNumThreads(1)  # the processes share the cores
    records, problems = [], []
    for place, sample in enumerate(chunk.sources, chunk.start):
        if unread := unread_words(sample):
            problems.append(unread)
            continue
        try:
            image = read_sample_image(sample)
        except DataError as error:
            problems.append(str(error))
            continue
        windows = free_windows(image.shape[:2], sample.words, per_image, min_size)
        for number, (rows, columns) in enumerate(windows):
            window = image[rows, columns]
            extra = {"source": sample.file, "left": columns.start, "top": rows.start}
            file, (height, width) = piece_file(sample, number), window.shape[:2]
            file = placed_file(file, place, subfolders)
            entry = Sample(chunk.folder, file, width, height, [], extra)
            try:
                write_triplet(entry, window, None, C.JPEG_QUALITY)
            except DataError as error:
                problems.append(f"{sample.image_path}: {error}")
            else:
                records.append(entry.to_json())
    finish_chunk(chunk.path, records, problems)
    return chunk.images


def summarise(folder: Path, unread: int = 0) -> dict[str, int]:
    """Counts over the whole folder.

    Params:
        unread: how many images and words were left out before there were chunks.

    Raises:
        DataError: when there is no window.
    """
    windows = [str(sample.extra.get("source")) for sample in iterate_samples(folder)]
    left_out = read_left_out(folder)
    if not windows:
        damaged = f"; {len(left_out)} images cannot be read: {left_out[0]}" if left_out else ""
        raise DataError(f"{folder}: the words leave no window of --min_size free{damaged}")
    number = unread + len(left_out)
    return {"windows": len(windows), "images": len(set(windows)), "left out": number}


def report(folder: Path, counts: dict[str, int]) -> None:
    """Say what is there now, and what it is good for.

    Params:
        folder: that was written.
        counts: as summarise gives them.
    """
    print(f"{folder}: {counts['windows']} windows of {counts['images']} images")
    report_left_out(folder)
    print("  look through them: a word that nobody annotated is taught as background; then")
    print(f"  python generate_images.py --backgrounds {folder} ...")


if __name__ == "__main__":
    run_main(main, resumable=True)
