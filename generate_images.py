"""Make synthetic training images with exact character and affinity heatmaps.

    python generate_images.py --num_images 5000 --save_folder syntdata

Image i depends on (--seed, i) and the settings alone, so any number of workers writes the same
bytes. A chunk's annotation file is written last and marks the chunk done; a second run goes on
after the finished chunks, and a larger --num_images extends the folder.
"""

import argparse
import os
import string
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: the processes share the cores

import numpy as np  # noqa: E402

from chunk_utils import (  # noqa: E402
    HEIGHTS,
    Chunk,
    Job,
    count_records,
    read_records,
    run_chunks,
    stop_workers,
)
from cli_utils import (  # noqa: E402
    ArgumentParser,
    count,
    existing_folder,
    name_left_out,
    progress_bar,
    run_main,
)
from dataset_utils import (  # noqa: E402
    AFFINITIES,
    ANNOTATIONS,
    CHARACTERS,
    FORMAT_VERSION,
    IMAGES,
    DataError,
    Sample,
    make_folders,
    read_triplet,
    write_json,
)
from static import constants as C  # noqa: E402

PREVIEW = "preview.jpg"
PREVIEW_IMAGES = 12
PREVIEW_SIDE = 512  # px, of each picture in it


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


def main() -> None:
    args = parse_arguments()
    job, problems = prepare(args)
    name_left_out(problems)
    settings = describe(job, args)
    start_folder(args, settings)
    done, todo = plan_chunks(args)
    if done:
        print(
            f"{args.save_folder}: {len(done)} of {len(done) + len(todo)} chunks are there, going on"
        )
    started = time.monotonic()
    try:
        counts, seconds = make_images(args, job, done, todo)
        record = {"num_images": args.num_images, "counts": name_counts(counts)}
        write_json(args.save_folder / "dataset.json", {**settings, **record, "left_out": problems})
        write_preview(args.save_folder)
    except KeyboardInterrupt:
        stop_workers()
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        raise DataError(
            f"{error.filename or args.save_folder}: {error.strerror or error}; "
            "when this is mended, the same command goes on from here"
        ) from None
    made = sum(len(chunk.indices) for chunk in todo)
    print_summary(args, made, time.monotonic() - started, counts, seconds)


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
    fonts, problems = load_fonts(args.fonts)
    letters = {
        letter for vocabulary in vocabularies for word in vocabulary.words for letter in word
    }
    letters |= set(string.digits + string.punctuation)
    damaged = [font for font in fonts if not draws(font, letters)]
    problems += [f"{font.path}: a damaged font" for font in damaged]
    speakers = find_speakers(vocabularies, [font for font in fonts if font not in damaged])
    if not any(speakers.values()):
        raise DataError(f"no sound font in {args.fonts} has the letters of {args.words}")
    used = [font for font in fonts if any(font in group for group in speakers.values())]
    problems += [
        f"{font.path}: lacks letters of {args.words}"
        for font in fonts
        if font not in used and font not in damaged
    ]
    problems += [f"no font in {args.fonts} speaks {k}" for k, v in speakers.items() if not v]
    with progress_bar(list_backgrounds(args.backgrounds), desc="checking", unit="photo") as bar:
        backgrounds, bad_backgrounds = check_backgrounds(bar)
    job = Job(
        folder=args.save_folder.absolute(),
        seed=args.seed,
        size=args.image_size,
        backgrounds=tuple(path.absolute() for path in backgrounds),
        fonts=tuple(font.path.absolute() for font in used),
        words=args.words.absolute(),
    )
    return job, problems + bad_backgrounds


def draws(font, letters: set[str]) -> bool:
    """Whether the font can draw its glyphs for these letters: a damaged file opens as well."""
    try:
        font.set_size(32)
        for glyph in font.shape("".join(sorted(letters))):
            font.bitmap(glyph.index)
    except Exception:  # FreeType raises a kind of its own
        return False
    return True


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

    Its dataset.json is there before anything else and never absent afterwards, so that whatever
    moment the run is killed at, the next one knows the folder. Raises DataError when the settings
    differ, the folder holds other things or cannot be written.
    """
    import shutil

    folder, record = args.save_folder, args.save_folder / "dataset.json"
    parts = [folder / name for name in (IMAGES, CHARACTERS, AFFINITIES, ANNOTATIONS)]
    if not record.exists():
        refuse_stranger(folder)
    elif not args.overwrite:
        refuse_other_settings(record, settings, args.num_images)
    try:
        if record.exists() and args.overwrite:
            # The annotations first: they say which images are there.
            for part in (*reversed(parts), folder / "cache"):
                if part.exists():
                    shutil.rmtree(part)
            (folder / PREVIEW).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(record, {**settings, "num_images": args.num_images})
        make_folders(folder)
        for part in (folder, *parts):
            for leftover in part.glob(".*.tmp"):  # of a run that was killed
                leftover.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from None


def refuse_stranger(folder: Path) -> None:
    """Raises DataError when the folder is not one to begin in: neither absent nor empty."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    if folder.exists() and any(not path.name.endswith(".tmp") for path in folder.iterdir()):
        raise DataError(f"{folder} is there already and was not made by this script")


def refuse_other_settings(record: Path, settings: dict, num_images: int) -> None:
    """Raises DataError when a folder's record cannot be read or names other settings."""
    import json

    try:
        before = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        raise DataError(f"{record} is damaged; --overwrite starts anew") from None
    differing = [
        f"{name} ({before.get(name)} there, {value} now)"
        for name, value in settings.items()
        if before.get(name) != value
    ]
    if before.get("num_images", 0) > num_images:
        differing.append(f"num_images ({before['num_images']} there, {num_images} now)")
    if differing:
        raise DataError(
            f"{record.parent} was made with other settings: {', '.join(differing)}; "
            "--overwrite deletes it and starts anew"
        )


def plan_chunks(args: argparse.Namespace) -> tuple[list[Chunk], list[Chunk]]:
    """The chunks that are finished, and the others."""
    done, todo = [], []
    for start in range(0, args.num_images, args.chunk_size):
        indices = range(start, min(start + args.chunk_size, args.num_images))
        path = args.save_folder / ANNOTATIONS / f"{start // args.chunk_size:05d}.jsonl"
        # The last chunk of a run that is being extended has fewer lines than it should.
        finished = path.exists() and path.read_bytes().count(b"\n") == len(indices)
        (done if finished else todo).append(Chunk(indices, path.absolute()))
    return done, todo


# --- The images ------------------------------------------------------------------------------


def make_images(
    args: argparse.Namespace, job: Job, done: list[Chunk], todo: list[Chunk]
) -> tuple[Counter, Counter]:
    """Make what is missing, with a progress bar: the whole folder's counts, seconds by stage.

    The seconds are those of all workers together, for the images made now.
    """
    counts, seconds = Counter(), Counter()
    for chunk in done:
        counts += count_records(read_records(chunk.path))
    missing = sum(len(chunk.indices) for chunk in todo)
    with progress_bar(total=missing, unit="image") as bar:
        for chunk_counts, chunk_seconds in run_chunks(job, todo, args.num_workers, args.cluster):
            counts += chunk_counts
            seconds += chunk_seconds
            bar.update(chunk_counts["images"])
    return counts, seconds


# --- Afterwards ------------------------------------------------------------------------------


def name_counts(counts: Counter) -> dict:
    """The counts as they stand in dataset.json."""
    ends = [f"-{high} px" for high in HEIGHTS[1:]] + ["+ px"]
    heights = {f"{low}{end}": counts[low] for low, end in zip(HEIGHTS, ends, strict=True)}
    return {
        **{name: counts[name] for name in ("images", "words", "characters", "dropped blocks")},
        "words by height": {name: value for name, value in heights.items() if value},
    }


def print_summary(
    args: argparse.Namespace, made: int, elapsed: float, counts: Counter, seconds: Counter
) -> None:
    named = name_counts(counts)
    heights = named.pop("words by height")
    speed = f" in {elapsed:.0f} s ({made / elapsed:.1f} a second)" if made else ""
    print(f"{args.save_folder}: {made} images made{speed}, {args.num_images} there")
    for name, value in named.items():
        print(f"  {name}: {value}")
    for name, value in heights.items():
        print(f"  {name:>10} high: {value:6d} {'#' * round(40 * value / counts['words'])}")
    total = seconds.total()
    if total:
        print(f"  {total:.1f} s of work, all workers together:")
    for name, spent in seconds.most_common():
        print(f"  {name:>15}: {spent:7.1f} s {spent / total:5.0%}")
    print(f"  look at {args.save_folder / PREVIEW}")


def write_preview(folder: Path) -> None:
    """A contact sheet of the first images: each one, its maps over it, its words and quads."""
    import cv2

    from plot_utils import contact_sheet, draw_maps, draw_words, save_picture

    records = []
    for path in sorted((folder / ANNOTATIONS).glob("*.jsonl")):
        records += read_records(path)
        if len(records) >= PREVIEW_IMAGES:
            break
    tiles = []
    for record in records[:PREVIEW_IMAGES]:
        sample = Sample.from_json(folder, record)
        # Enlarged or shrunk before anything is drawn, so that outlines stay sharp.
        factor = PREVIEW_SIDE / max(sample.width, sample.height)
        image, maps = read_triplet(sample)
        image, *maps = (cv2.resize(p, None, fx=factor, fy=factor) for p in (image, *maps))
        words = [
            replace(word, quads=word.quads * factor, polygon=word.polygon * factor)
            for word in sample.words
        ]
        row = (image, draw_maps(image, np.stack(maps)), draw_words(image, words))
        tiles += [np.pad(tile, ((0, 8), (0, 8), (0, 0)), constant_values=255) for tile in row]
    save_picture(folder / PREVIEW, contact_sheet(tiles, columns=6, side=PREVIEW_SIDE + 8))


if __name__ == "__main__":
    run_main(main)
