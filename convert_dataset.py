"""Turn a public data set into the folders that train.py, tune.py and evaluate.py read.

    python convert_dataset.py --format synthtext --source SynthText --save_folder synthtext

Sets that know their characters get heatmaps, like generated images. Sets with outlines of words
only get none: evaluate.py and tune.py take them as they are, pseudo_label.py makes heatmaps of
them. A chunk's annotation file is written last and marks the chunk done; the same command goes on
where the last one stopped.
"""

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from static import constants as C
from textdet.common.bidi import side_by_side
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
from textdet.common.images import encode_image, name_further_frames
from textdet.common.workers import available_cores
from textdet.data.annotation import Sample, unread_words
from textdet.data.chunked_folder import (
    DATASET_FILE,
    PREVIEW_FILE,
    Chunk,
    chunk_path,
    fill_folder,
    finish_chunk,
    in_workers,
    iterate_samples,
    read_chunk,
    read_left_out,
    refuse_inside,
    report_left_out,
    start_folder,
)
from textdet.data.formats.common import Item
from textdet.data.formats.recognise import find_labels
from textdet.data.formats.registry import FORMATS, read_items, sample_of
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.preview import write_preview
from textdet.data.triplets import numbered_file, read_sample_image, write_triplet


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    listed = "; ".join(f"{name}: {known.title}" for name, known in FORMATS.items())
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    text = f"auto: by its files, where these tell; {listed}"
    add("--format", choices=("auto", *FORMATS), default="auto", metavar="NAME", help=text)
    add("--source", type=existing_folder, required=True, help="folder as it was downloaded")
    add("--save_folder", type=Path, required=True, help="folder to write or go on with")
    add("--split", help="only the images of this split (train, val, ...), where the set tells")
    add("--max_samples", type=integer(1), help="stop after so many images")
    add("--chunk_size", type=integer(1), default=100, help="images a worker converts in one go")
    add("--num_workers", type=integer(1), default=available_cores(), help="processes")
    add("--subfolders", action="store_true", help="a subfolder for each 1000 images")
    add_cluster_flag(parser, "convert the images")
    add("--overwrite", action="store_true", help="delete what the folder holds, then start anew")
    args = parser.parse_args()
    args.source = args.source.absolute()  # the same for every process
    return args


def main() -> None:
    """Convert as the flags say, go on where the last run stopped, and report."""
    args = parse_arguments()
    refuse_inside(args.save_folder, args.source)
    others = []
    args.format = find_labels(args.source, others) if args.format == "auto" else args.format
    name_left_out(others)
    characters = FORMATS[args.format].characters
    settings = {
        "format": args.format,
        "source": str(args.source.resolve()),
        "characters": characters,
        "split": args.split,
        "max_samples": args.max_samples,
        "chunk_size": args.chunk_size,
        "subfolders": args.subfolders or None,  # as in folders that do not say
    }
    chunks = find_chunks(args)
    first = next(chunks)  # a wrong folder is found before anything is written
    settings = start_folder(args.save_folder, settings, args.overwrite, read_only=[args.source])
    cluster = choose_cluster(args.cluster, args.save_folder / DATASET_FILE, args.source)
    options = characters, args.subfolders
    counts = fill_folder(
        args.save_folder,
        settings,
        itertools.chain([first], chunks),
        in_workers(convert_chunk, *options, workers=args.num_workers, cluster=cluster),
        summarise,
        is_done=lambda chunk: is_done(chunk, characters),
    )
    report(args.save_folder, counts)


def find_chunks(args: argparse.Namespace) -> Iterator[Chunk]:
    """The set's images in chunks, read one by one: of a large set they never are all in memory.

    A line about an image left out stands in the chunk in which its image would be.

    Params:
        args: the flags.

    Raises:
        DataError: when there is no image.
    """

    def cut(start: int, entries: list[Item | str]) -> Chunk:
        return Chunk(chunk_path(args.save_folder, start // args.chunk_size), start, entries)

    entries, start, images = [], 0, 0
    for item in read_items(args.format, args.source):
        if isinstance(item, Item):
            if args.split and item.split != args.split:
                continue
            if images == args.max_samples:
                break
            if images - start == args.chunk_size:
                yield cut(start, entries)
                entries, start = [], images
            images += 1
        entries.append(item)
    if not images:
        split = f" of split {args.split}" if args.split else ""
        reasons = "".join(f"; {line}" for line in entries[:1])
        raise DataError(f"{args.source}: no annotated image{split} in it{reasons}")
    yield cut(start, entries)


def is_done(chunk: Chunk, characters: bool) -> bool:
    """Whether a chunk is there; one that was made of other images, as the source had them then, is
    deleted. Raises DataError when its annotations are damaged."""
    if not chunk.path.exists():
        return False
    if not holds_its_images(chunk, characters):
        discard(chunk)
    return chunk.path.exists()


def holds_its_images(chunk: Chunk, characters: bool) -> bool:
    """Whether a finished chunk was made of the images that it is to be made of now; those that it
    lacks, because they were damaged or not annotated then, are tried again."""
    sources = [Path(str(sample.extra.get("source"))) for sample in read_chunk(chunk.path)]
    items = [entry for entry in chunk.sources if isinstance(entry, Item)]
    there, names = [path.name for path in sources], [item.image_path.name for item in items]
    order = iter(names)
    if not all(name in order for name in there):
        return False
    missing, known = Counter(names) - Counter(there), set(sources)
    return not any(
        item.image_path.name in missing
        and item.image_path not in known
        and can_be_written(item, characters)
        for item in items
    )


def can_be_written(item: Item, characters: bool) -> bool:
    """Whether convert_chunk would not leave an image out."""
    try:
        encode_image(read_item(item, characters)[1], ".jpg")
    except DataError:
        return False
    return True


def discard(chunk: Chunk) -> None:
    """Delete a finished chunk: its annotation file first, which says that the others are there."""
    samples = read_chunk(chunk.path)
    chunk.path.unlink()
    for file in (f for s in samples for f in (s.image_path, *s.heatmap_paths)):
        file.unlink(missing_ok=True)


def read_item(item: Item, characters: bool) -> tuple[Sample, np.ndarray]:
    """A sample whose image stays where it is, and the image (H, W, 3) uint8 RGB.

    Params:
        characters: see convert_chunk.

    Raises:
        DataError: the image is to be left out.
    """
    sample = sample_of(item, item.image_path.parent)
    if characters and (unread := unread_words(sample)):
        raise DataError(unread)
    return sample, read_sample_image(sample)


def convert_chunk(chunk: Chunk, characters: bool, subfolders: bool = False) -> int:
    """Write the images of a chunk and their heatmaps. Damaged images are left out and named.

    Params:
        chunk: its sources are the reader's Items, and lines about what it left out.
        characters: whether the set knows them; without them there are no heatmaps.
        subfolders: see triplets.numbered_file.

    Returns:
        The number of images, damaged ones included.
    """
    cv2.setNumThreads(1)  # the processes share the cores
    records, problems = [], []
    numbers = itertools.count(chunk.start)
    for entry in chunk.sources:
        if isinstance(entry, str):
            problems.append(entry)
            continue
        file = numbered_file(next(numbers), subfolders)
        problems += entry.problems
        try:
            found, image = read_item(entry, characters)
            problems += name_further_frames(entry.image_path)
        except DataError as error:
            problems.append(str(error))
            continue
        extra = {"source": str(entry.image_path), **found.extra}
        sample = Sample(chunk.folder, file, found.width, found.height, found.words, extra)
        # As generate_utils.py draws them: a generated folder gets the maps that it had.
        quads = [side_by_side(w.text, w.quads) for w in sample.words if w.training_weight]
        maps = draw_heatmaps(quads, sample.width, sample.height) if characters else None
        try:
            write_triplet(sample, image, maps, C.JPEG_QUALITY)
        except DataError as error:
            problems.append(f"{entry.image_path}: {error}")
        else:
            records.append(sample.to_json())
    finish_chunk(chunk.path, records, problems)
    return chunk.images


def summarise(folder: Path) -> dict[str, int]:
    """Counts over the whole folder, a chunk at a time. Raises DataError when it holds no image."""
    left_out = read_left_out(folder)
    counts = dict.fromkeys(("images", "words", "don't-care words", "characters"), 0)
    for sample in iterate_samples(folder):
        counts["images"] += 1
        counts["words"] += len(sample.words)
        counts["don't-care words"] += sum(word.ignore for word in sample.words)
        counts["characters"] += sum(len(word.characters) for word in sample.words)
    if not counts["images"]:
        raise DataError(f"{folder}: not one image could be read; {left_out[:1]}")
    return {**counts, "left out": len(left_out)}


def report(folder: Path, counts: dict[str, int]) -> None:
    """Say what is there now, and what it is good for.

    Params:
        folder: that was written.
        counts: as summarise gives them.
    """
    print(f"{folder}: " + ", ".join(f"{number} {name}" for name, number in counts.items()))
    report_left_out(folder)
    if counts["characters"]:
        write_preview(folder)
        print(f"  look at {folder / PREVIEW_FILE}; train.py takes it as it is")
    else:  # nor has one's own data where only the words are known
        print("  words without characters: evaluate.py and tune.py take them as they are,")
        print("  pseudo_label.py makes the heatmaps that train.py needs")


if __name__ == "__main__":
    run_main(main, resumable=True)
