"""Make synthetic training images with exact character and affinity heatmaps.

    python generate_images.py --num_images 5000 --save_folder syntdata

Image i depends on (--seed, i) and the settings alone, so any number of workers writes the same
bytes. A chunk's annotation file is written last and marks the chunk done; a second run goes on
after the finished chunks, and a larger --num_images extends the folder.
"""

import argparse
import os
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from cli_utils import ArgumentParser, count, existing_folder, name_left_out, progress_bar, run_main
from dataset_utils import (
    AFFINITIES,
    ANNOTATIONS,
    CHARACTERS,
    FORMAT_VERSION,
    IMAGES,
    DataError,
    make_folders,
    write_atomically,
    write_json,
    write_triplet,
)
from static import constants as C


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--num_images", type=count(1), default=1000, help="images in the folder when done")
    add("--save_folder", type=Path, default=Path("syntdata"), help="folder to write or extend")
    add("--chunk_size", type=count(1), default=100, help="images a worker makes in one go")
    add("--num_workers", type=count(1), default=os.cpu_count(), help="processes")
    add("--image_size", type=count(64, 4096), default=C.IMAGE_SIZE, help="side of the images, px")
    add("--seed", type=count(0), default=0, help="another seed gives other images")
    add("--backgrounds", type=existing_folder, default=C.BACKGROUNDS, help="folder of photographs")
    add("--fonts", type=existing_folder, default=C.FONTS, help="folder of .ttf and .otf files")
    add("--words", type=Path, default=C.WORDS, help="your own words: a text file, one a line")
    add("--overwrite", action="store_true", help="delete what the folder holds, then start anew")
    add("--cluster", metavar="tcp://HOST:PORT", help="run the chunks on this Dask cluster")
    return parser.parse_args()


@dataclass(frozen=True)
class Job:
    """What a worker needs to make any chunk: plain values, so that it travels anywhere."""

    folder: Path
    seed: int
    size: int
    backgrounds: tuple[Path, ...]
    fonts: tuple[Path, ...]
    words: Path


def main() -> None:
    args = parse_arguments()
    job, problems = prepare(args)
    name_left_out(problems)
    settings = describe(job, args)
    start_folder(args, settings)
    done, todo = plan_chunks(args)
    if done:
        print(f"{args.save_folder}: {done} of {done + len(todo)} chunks are there, going on")
    started = time.monotonic()
    run_chunks(args, job, todo)
    summary = summarise(args.save_folder)
    write_json(
        args.save_folder / "dataset.json",
        {**settings, "num_images": args.num_images, "counts": summary, "left_out": problems},
    )
    write_preview(args.save_folder)
    made = sum(len(indices) for _, indices in todo)
    seconds = time.monotonic() - started
    speed = f" in {seconds:.0f} s ({made / seconds:.1f} a second)" if made else ""
    print(f"{args.save_folder}: {made} images made{speed}, {args.num_images} there")
    for name, value in summary.items():
        if name != "words by height":
            print(f"  {name}: {value}")
    for name, value in summary["words by height"].items():
        print(f"  {name:>10} high: {value:6d} {'#' * round(40 * value / summary['words'])}")
    print(f"  look at {args.save_folder / 'preview.jpg'}")


# --- Before the start ------------------------------------------------------------------------


def prepare(args: argparse.Namespace) -> tuple[Job, list[str]]:
    """Find and check fonts, backgrounds and words: the job, and a line for each file left out.

    Raises DataError when nothing usable is left of one of them.
    """
    from generate_utils import find_speakers
    from synth.backgrounds import check_backgrounds, list_backgrounds
    from synth.content import load_vocabularies
    from synth.fonts import load_fonts

    vocabularies = load_vocabularies(args.words)
    fonts, bad_fonts = load_fonts(args.fonts)
    backgrounds, bad_backgrounds = check_backgrounds(list_backgrounds(args.backgrounds))
    speakers = find_speakers(vocabularies, fonts)
    if not any(speakers.values()):
        raise DataError(f"no font in {args.fonts} has the letters of {args.words}")
    silent = [f"no font in {args.fonts} speaks {k}" for k, v in speakers.items() if not v]
    job = Job(
        folder=args.save_folder.absolute(),
        seed=args.seed,
        size=args.image_size,
        backgrounds=tuple(path.absolute() for path in backgrounds),
        fonts=tuple(font.path.absolute() for font in fonts),
        words=args.words.absolute(),
    )
    return job, bad_fonts + bad_backgrounds + silent


def describe(job: Job, args: argparse.Namespace) -> dict:
    """The settings that decide what the images look like, as they stand in dataset.json."""
    import hashlib

    def digest(paths) -> str:
        total = hashlib.sha256()
        for path in paths:
            total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()[:16]

    words = sorted(job.words.glob("*.txt")) if job.words.is_dir() else [job.words]
    root = Path(__file__).resolve().parent
    modules = sorted((root / "synth").glob("*.py"))
    return {
        "format_version": FORMAT_VERSION,
        "seed": job.seed,
        "image_size": job.size,
        "chunk_size": args.chunk_size,
        "backgrounds": digest(job.backgrounds),
        "fonts": digest(job.fonts),
        "words": digest(words),
        "constants": digest([C.STATIC / "constants.py"]),
        "code": digest([root / "generate_utils.py", root / "heatmap_utils.py", *modules]),
    }


def start_folder(args: argparse.Namespace, settings: dict) -> None:
    """Create the folder, or see that what it holds was made with the same settings.

    Raises DataError when they differ or the folder holds other things.
    """
    import json
    import shutil

    folder, record = args.save_folder, args.save_folder / "dataset.json"
    if args.overwrite and record.exists():
        for name in (IMAGES, CHARACTERS, AFFINITIES, ANNOTATIONS, "cache"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "preview.jpg").unlink(missing_ok=True)
        record.unlink()  # last, so that the folder stays ours when this is interrupted
    if record.exists():
        try:
            before = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            raise DataError(f"{record} is damaged; --overwrite starts anew") from None
        differing = [
            f"{name} ({before.get(name)} there, {value} now)"
            for name, value in settings.items()
            if before.get(name) != value
        ]
        if before.get("num_images", 0) > args.num_images:
            differing.append(f"num_images ({before['num_images']} there, {args.num_images} now)")
        if differing:
            raise DataError(
                f"{folder} was made with other settings: {', '.join(differing)}; "
                "--overwrite deletes it and starts anew"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already and was not made by this script")
    make_folders(folder)
    for leftover in folder.rglob(".*.tmp"):  # of a run that was killed
        leftover.unlink()
    write_json(record, {**settings, "num_images": args.num_images})


def plan_chunks(args: argparse.Namespace) -> tuple[int, list[tuple[Path, range]]]:
    """The number of finished chunks, and (annotation file, image numbers) of the others."""
    done, todo = 0, []
    for start in range(0, args.num_images, args.chunk_size):
        indices = range(start, min(start + args.chunk_size, args.num_images))
        path = args.save_folder / ANNOTATIONS / f"{start // args.chunk_size:05d}.jsonl"
        # The last chunk of a run that is being extended has fewer lines than it should.
        finished = path.exists() and path.read_bytes().count(b"\n") == len(indices)
        done += finished
        if not finished:
            todo.append((path.absolute(), indices))
    return done, todo


# --- The chunks ------------------------------------------------------------------------------


def run_chunks(args: argparse.Namespace, job: Job, todo: list[tuple[Path, range]]) -> None:
    """Run the chunks in this process, in worker processes or on a cluster, with a progress bar."""
    with progress_bar(total=sum(len(indices) for _, indices in todo), unit="image") as bar:
        if args.num_workers == 1 and not args.cluster:
            for path, indices in todo:
                bar.update(run_chunk(job, path, indices))
            return
        with open_executor(args, len(todo)) as pool:
            running = [pool.submit(run_chunk, job, path, indices) for path, indices in todo]
            try:
                for future in as_completed(running):
                    bar.update(future.result())
            except BrokenExecutor:
                raise DataError(
                    "a worker process was killed, perhaps for want of memory; "
                    "go on with fewer --num_workers"
                ) from None
            finally:
                for future in running:  # those that wait, when one has failed
                    future.cancel()


def open_executor(args: argparse.Namespace, chunks: int):
    """Worker processes of this machine, or those of a Dask cluster (same submit()).

    The cluster's workers need this project on their path and the folders under the same names.
    Raises DataError when no cluster answers.
    """
    if not args.cluster:
        # A fresh interpreter a worker: forking a process that holds threads can deadlock.
        return ProcessPoolExecutor(max(1, min(args.num_workers, chunks)), get_context("spawn"))
    try:
        from distributed import Client
    except ImportError:
        raise DataError("--cluster needs Dask: pip install distributed") from None
    try:
        return Client(args.cluster, timeout="10s").get_executor()
    except (OSError, ValueError) as error:
        raise DataError(f"{args.cluster}: no Dask scheduler answers there ({error})") from None


def run_chunk(job: Job, path: Path, indices: range) -> int:
    """Make the images of one chunk, then its annotation file; their number."""
    import json

    import cv2

    from generate_utils import generate_triplet, open_resources

    cv2.setNumThreads(1)  # the processes share the cores
    resources = open_resources(job.backgrounds, job.fonts, job.words)
    lines = []
    for index in indices:
        sample, image, maps = generate_triplet(resources, job.folder, job.seed, index, job.size)
        write_triplet(sample, image, maps, C.JPEG_QUALITY)
        lines.append(json.dumps(sample.to_json(), ensure_ascii=False) + "\n")
    write_atomically(path, "".join(lines))
    return len(indices)


# --- Afterwards ------------------------------------------------------------------------------


def summarise(folder: Path) -> dict:
    """Counts over the whole folder: images, words, characters, text heights, dropped blocks."""
    import numpy as np

    from dataset_utils import read_samples

    heights, images, characters, dropped = [], 0, 0, 0
    for sample in read_samples(folder)[0]:
        images += 1
        dropped += sample.extra.get("dropped_blocks", 0)
        for word in sample.words:
            characters += len(word.characters)
            heights.append(float(np.linalg.norm(word.quads[0, 3] - word.quads[0, 0])))
    edges = [0, 8, 12, 16, 24, 32, 48, 64, 96, 128, 1e9]
    histogram = np.histogram(heights, edges)[0]
    names = [f"{a}-{b} px" for a, b in zip(edges[:-2], edges[1:-1], strict=True)] + ["128+ px"]
    return {
        "images": images,
        "words": len(heights),
        "characters": characters,
        "dropped blocks": dropped,
        "words by height": {n: int(c) for n, c in zip(names, histogram, strict=True) if c},
    }


def write_preview(folder: Path, count: int = 12) -> None:
    """A contact sheet of the first images: each one, its maps over it, its quads."""
    from dataset_utils import read_samples, read_triplet
    from plot_utils import contact_sheet, draw_maps, draw_words, save_picture

    tiles = []
    for sample in read_samples(folder)[0][:count]:
        image, maps = read_triplet(sample)
        tiles += [image, draw_maps(image, maps), draw_words(image, sample.words)]
    save_picture(folder / "preview.jpg", contact_sheet(tiles, columns=6, side=320))


if __name__ == "__main__":
    run_main(main)
