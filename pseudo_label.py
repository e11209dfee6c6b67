"""Make character heatmaps for images of which only the words are known, with a trained model.

    python pseudo_label.py --input_dir words --model_dir checkpoits --save_folder labelled

The weak supervision of CRAFT: the model looks at each word by itself, its character map is cut
into characters, and how well their number fits the transcription says how far they are trusted;
train.py weighs the loss by it. Train on the result together with generated images, label again
with the better model, and so on. With --labels maps the model's own maps of the whole images become
the labels, corrected by the words. A chunk's annotation file is written last and marks it done; the
same command goes on where the last one stopped.
"""

import argparse
import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from static import constants as C
from textdet.common.cli import (
    ArgumentParser,
    existing_folder,
    integer,
    name_left_out,
    number,
    run_main,
)
from textdet.common.errors import DataError
from textdet.common.images import is_image, read_image
from textdet.data.annotation import PIECE_OF, Sample, Word
from textdet.data.chunked_folder import (
    PREVIEW_FILE,
    Chunk,
    cut_chunks,
    fill_folder,
    finish_chunk,
    iterate_samples,
    read_left_out,
    report_left_out,
    start_folder,
    words_fingerprint,
)
from textdet.data.formats.registry import FORMATS, read_dataset
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.pieces import cut_pieces, piece_file
from textdet.data.preview import write_preview
from textdet.data.triplets import read_sample_image, write_triplet
from textdet.network.detector import TextDetector
from textdet.network.flags import add_model_flags
from textdet.network.model_files import choose_model, find_model
from textdet.network.pseudo_labels import label_images
from textdet.network.soft_labels import free_labels, soft_labels

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
    add("--num_workers", type=integer(1), default=os.cpu_count(), help="threads beside the network")
    add("--overwrite", action="store_true", help="delete what the folder holds, then start anew")
    add_model_flags(parser)
    args = parser.parse_args()
    if args.format == UNANNOTATED and args.labels != "maps":
        parser.error(f"--format {UNANNOTATED} goes with --labels maps: there are no words to cut")
    return args


def main() -> None:
    """Label as the flags say, go on where the last run stopped, and report."""
    args = parse_arguments()
    model_dir = choose_model(args.model_dir)
    if args.format == UNANNOTATED:
        samples, problems = unannotated(args.input_dir), []
    else:
        samples, problems = read_dataset(args.input_dir, args.format)
    name_left_out(problems)
    samples = samples[: args.max_samples]
    settings = {
        "input_dir": str(args.input_dir.resolve()),
        "format": args.format,
        "images": words_fingerprint(samples),
        "model": find_model(model_dir).fingerprint(),
        "labels": args.labels,
        "ignored_weight": args.ignored_weight,
        "piece_size": args.piece_size,
        "max_samples": args.max_samples,
        "chunk_size": args.chunk_size,
    }
    settings = start_folder(args.save_folder, settings, args.overwrite, read_only=[args.input_dir])
    counts = fill_folder(
        args.save_folder,
        settings,
        cut_chunks(args.save_folder, samples, args.chunk_size),
        lambda chunks: label(args, model_dir, chunks),
        summarise,
        total=len(samples),
        problems=problems,
    )
    report(args, counts)


def unannotated(folder: Path) -> list[Sample]:
    """A sample for each image in a folder and below it, without words.

    Raises:
        DataError: there is none.
    """
    paths = sorted(path for path in folder.rglob("*") if is_image(path) and path.is_file())
    if not paths:
        raise DataError(f"{folder}: no images in it")
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [Sample(folder, n, 0, 0, [], {}, p) for n, p in zip(names, paths, strict=True)]


def label(args: argparse.Namespace, model_dir: Path, chunks: Iterable[Chunk]) -> Iterator[int]:
    """Label chunks; while the network runs on one, the next one is read.

    Params:
        args: the flags.
        model_dir: the folder of the model.
        chunks: those that are not there yet; their sources are samples.

    Returns:
        The number of images of each chunk, damaged ones included, as it is finished.
    """
    with ThreadPoolExecutor(args.num_workers) as pool:
        detector, waiting = None, None
        for following in itertools.chain(chunks, [None]):
            sources = following.sources if following else []
            reading = [pool.submit(read_sound, s, args.format != UNANNOTATED) for s in sources]
            if waiting:
                chunk, images = waiting
                detector = detector or TextDetector(
                    model_dir, args.device, args.runtime, characters=True
                )
                label_chunk(args, chunk, [image.result() for image in images], detector, pool)
                yield chunk.images
            waiting = following, reading


def read_sound(sample: Sample, is_annotated: bool) -> np.ndarray | str:
    """A sample's image (H, W, 3) uint8 RGB, or a line that says why there is none."""
    try:
        return read_sample_image(sample) if is_annotated else read_image(sample.image_path)
    except DataError as error:
        return str(error)


def label_chunk(
    args: argparse.Namespace,
    chunk: Chunk,
    found: list[np.ndarray | str],
    detector: TextDetector,
    pool: ThreadPoolExecutor,
) -> None:
    """Label a chunk's images and write their pieces, then its annotation file.

    Params:
        args: the flags.
        chunk: its sources are samples.
        found: of each sample its image, (H, W, 3) uint8 RGB, or a line that says why there is none.
        detector: whose network labels.
        pool: threads that write.
    """
    problems = [entry for entry in found if isinstance(entry, str)]
    sound = [(s, e) for s, e in zip(chunk.sources, found, strict=True) if not isinstance(e, str)]
    entries, writing = [], []
    for sample, image, maps, words in labelled(args, sound, detector):
        extra = {**sample.extra, PIECE_OF: sample.origin}
        pieces = cut_pieces(image, words, args.piece_size)
        own_maps = [None] * len(pieces)
        if maps is not None:
            own_maps = [part for part, _ in cut_pieces(maps, [], args.piece_size)]
        for k, ((piece, inside), part) in enumerate(zip(pieces, own_maps, strict=True)):
            height, width = piece.shape[:2]
            entry = Sample(chunk.folder, piece_file(sample, k), width, height, inside, extra)
            entries.append(entry)
            writing.append(pool.submit(write_piece, entry, piece, part))
    for piece in writing:
        piece.result()  # what a thread raised is raised here
    finish_chunk(chunk.path, [entry.to_json() for entry in entries], problems)


def labelled(
    args: argparse.Namespace, sound: list[tuple[Sample, np.ndarray]], detector: TextDetector
) -> Iterator[tuple[Sample, np.ndarray, np.ndarray | None, list[Word]]]:
    """Label images as --labels says.

    Params:
        args: the flags.
        sound: samples and their images, (H, W, 3) uint8 RGB.
        detector: whose network labels.

    Returns:
        yields each sample, its image, its maps (H, W, 2) uint8, 0..255 for 0..1, or None where they
        are to be drawn from its words, and its words.
    """
    if args.labels == "cells":
        images, words = [image for _, image in sound], [sample.words for sample, _ in sound]
        found = label_images(images, words, detector.run, args.batch_size, args.ignored_weight)
        for (sample, image), own in zip(sound, found, strict=True):
            yield sample, image, None, own
        return
    for sample, image in sound:
        if args.format == UNANNOTATED:
            maps, own = free_labels(image, detector)
        else:
            maps, own = soft_labels(image, sample.words, detector, args.ignored_weight)
        yield sample, image, np.dstack(list(maps)), own


def write_piece(sample: Sample, image: np.ndarray, maps: np.ndarray | None) -> None:
    """Write a labelled image with its heatmaps.

    Params:
        sample: says where, and its words.
        image: (H, W, 3) uint8 RGB.
        maps: (H, W, 2) uint8, 0..255 for 0..1, character then affinity; None to draw them.
    """
    if maps is None:
        maps = draw_heatmaps([word.quads for word in sample.words], sample.width, sample.height)
    else:
        maps = np.moveaxis(maps, 2, 0)
    write_triplet(sample, image, maps, C.JPEG_QUALITY)


def summarise(folder: Path) -> dict[str, int | float]:
    """Counts over the whole folder, a chunk at a time, and how far its words are trusted.

    Raises:
        DataError: when it holds no image.
    """
    images, ignored, characters, trust = 0, 0, 0, []
    for sample in iterate_samples(folder):
        images += 1
        counted = [word for word in sample.words if not word.ignore]
        ignored += len(sample.words) - len(counted)
        characters += sum(len(word.characters) for word in counted)
        trust += [word.confidence for word in counted]
    left_out = read_left_out(folder)
    if not images:
        raise DataError(f"{folder}: not one image could be labelled; {left_out[:1]}")
    return {
        "images": images,
        "words": len(trust),
        "don't-care words": ignored,
        "characters": characters,
        "words with as many characters as letters": sum(value == 1 for value in trust),
        "mean confidence": round(float(np.mean(trust)), 3) if trust else 0.0,
        "left out": len(left_out),
    }


def report(args: argparse.Namespace, counts: dict) -> None:
    """Say what is there now, and what to do with it.

    Params:
        args: the flags.
        counts: as summarise gives them.
    """
    write_preview(args.save_folder)
    print(f"{args.save_folder}:")
    for name, value in counts.items():
        print(f"  {name}: {value}")
    report_left_out(args.save_folder)
    print(f"  look at {args.save_folder / PREVIEW_FILE}, then train on it and on generated images:")
    print(f"  python train.py --input_dir syntdata {args.save_folder} --mix 5 1 ...")


if __name__ == "__main__":
    run_main(main)
