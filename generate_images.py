"""Make synthetic training images with exact character and affinity heatmaps.

    python generate_images.py --num_images 5000 --save_folder syntdata

    python generate_images.py --set PAGE_PROBABILITY=0 "BLOCKS=[3, 5]"
    python generate_images.py --show_settings > mine.toml  # to be edited, then
    python generate_images.py --settings mine.toml

Image i depends on (--seed, i) and the settings alone, so any number of workers writes the same
bytes. A chunk's annotation file is written last and marks the chunk done; a second run goes on
after the finished chunks, and a larger --num_images extends the folder.
"""

import argparse
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: the processes share the cores

from generate_utils import HEIGHTS, Job, count_records, run_chunk  # noqa: E402
from static import constants as C  # noqa: E402
from textdet.common.cli import (  # noqa: E402
    ArgumentParser,
    add_cluster_flag,
    existing_folder,
    integer,
    name_left_out,
    one_line,
    progress_bar,
    run_main,
)
from textdet.common.cluster import choose_cluster  # noqa: E402
from textdet.common.errors import DataError  # noqa: E402
from textdet.common.workers import available_cores, run_calls  # noqa: E402
from textdet.data.chunked_folder import (  # noqa: E402
    DATASET_FILE,
    PREVIEW_FILE,
    Chunk,
    cut_chunks,
    fill_folder,
    iterate_samples,
    read_chunk,
    refuse_sources,
    start_folder,
    using_chunk,
)
from textdet.data.preview import write_preview  # noqa: E402
from textdet.synth.content import list_usage, load_vocabularies  # noqa: E402
from textdet.synth.preparation import (  # noqa: E402
    choose_settings,
    describe,
    find_materials,
)
from textdet.synth.settings import PRESETS, GeneratorSettings, to_toml  # noqa: E402

CHECKED = 100  # backgrounds that are searched for text unless all are asked for


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--num_images", type=integer(1), default=1000, help="images in the folder when done")
    add("--save_folder", type=Path, default=Path("syntdata"), help="folder to write or extend")
    add("--chunk_size", type=integer(1), default=100, help="images a worker makes in one go")
    add("--num_workers", type=integer(1), default=available_cores(), help="processes")
    add("--subfolders", action="store_true", help="a subfolder for each 1000 images")
    add("--image_size", type=integer(64, 4096), default=C.IMAGE_SIZE, help="side of the images, px")
    add("--seed", type=integer(0), default=0, help="another seed gives other images")
    add("--backgrounds", type=existing_folder, default=C.BACKGROUNDS, help="folder of photographs")
    text = "name the photographs in which the bundled model finds text: with this flag it looks at "
    text += f"all of them; default: at up to {CHECKED} of a folder of your own"
    add("--check_backgrounds", action=argparse.BooleanOptionalAction, help=text)
    add(
        "--fonts", type=existing_folder, default=C.FONTS, help="folder of .ttf, .otf and .ttc files"
    )
    add("--words", type=Path, default=C.WORDS, help="your own texts: a file, one a line")
    text = "draw no text but that of --words: no dates, prices, addresses, no pages"
    add("--only_words", action="store_true", help=text)
    add("--overwrite", action="store_true", help="delete what the folder holds, then start anew")
    text = f"settings for a kind of images, from {C.PRESETS.relative_to(C.STATIC.parent)}"
    add("--preset", choices=PRESETS, help=text)
    add("--settings", type=Path, metavar="FILE.toml", help="settings, named as in constants.py")
    add(
        "--set",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="single settings; they override the file's",
    )
    add("--show_settings", action="store_true", help="print all settings as TOML, and stop")
    add_cluster_flag(parser, "make the images")
    return parser.parse_args()


def main() -> None:
    """Make the images that the folder lacks, as the flags say, and report."""
    args = parse_arguments()
    settings = choose_settings(args.preset, args.settings, args.only_words, args.set or ())
    if args.show_settings:
        print(to_toml(settings), end="")
        return
    refuse_sources(args.save_folder, (args.backgrounds, args.fonts, args.words))
    job, problems = prepare(args, settings)
    name_left_out(problems)
    record = start_folder(
        *(args.save_folder, describe_run(job, args), args.overwrite), growing="num_images"
    )
    chunks = cut_chunks(args.save_folder, range(args.num_images), args.chunk_size)
    done = {chunk for chunk in chunks if is_finished(chunk)}
    if done:
        print(f"{args.save_folder}: {len(done)} of {len(chunks)} chunks are there, going on")
    if not done or args.check_backgrounds:
        name_texts(args, job.backgrounds)
    started = time.monotonic()
    try:
        counts, seconds = make_images(args, job, record, chunks, done, problems)
        write_preview(args.save_folder)
    except OSError as error:
        raise DataError(
            f"{error.filename or args.save_folder}: {error.strerror or error}; "
            "when this is mended, the same command continues"
        ) from None
    made = args.num_images - sum(chunk.images for chunk in done)
    print_summary(args, made, time.monotonic() - started, counts, seconds)
    if not args.words.is_dir():
        print_list_usage(args, settings)


# --- Before the start ------------------------------------------------------------------------


def prepare(args: argparse.Namespace, settings: GeneratorSettings) -> tuple[Job, list[str]]:
    """Find and check fonts, backgrounds and words.

    Returns:
        the job, and a line for each file that is left out.

    Raises:
        DataError: as find_materials.
    """
    found, problems = find_materials(
        *(settings, args.backgrounds, args.fonts, args.words, args.image_size),
        apart_from=args.save_folder,
    )
    folder = args.save_folder.absolute()
    job = Job(folder, settings, args.seed, args.image_size, *found, subfolders=args.subfolders)
    return job, problems


def name_texts(args: argparse.Namespace, backgrounds: Sequence[Path]) -> None:
    """Name the backgrounds in which the bundled model finds text. They are used all the same.

    The model may be wrong, and the images have to follow from the files alone.

    Params:
        args: --check_backgrounds; by default up to CHECKED of an own folder are looked at.
        backgrounds: all that are used.
    """
    if args.check_backgrounds is None and args.backgrounds != C.BACKGROUNDS:
        looked_at = backgrounds[:: math.ceil(len(backgrounds) / CHECKED)]
    elif args.check_backgrounds:
        looked_at = backgrounds
    else:
        return
    from textdet.network.unwanted_text import find_text  # which loads PyTorch

    try:
        with progress_bar(looked_at, desc="looking for text", unit="photo") as bar:
            found = find_text(bar, args.num_workers)
    except DataError as error:
        print(f"the backgrounds are not searched for text: {one_line(error)}", file=sys.stderr)
        return
    for path, words in found.items():
        print(f"text in a background: {one_line(path)} ({words} words)", file=sys.stderr)
    told = f"{len(looked_at)} of {len(backgrounds)} backgrounds searched for text: "
    print(told + (f"{len(found)} may have some, all are used" if found else "none found"))
    if found:
        print(
            "  text in a background is taught as background: take such photographs out; "
            f"detect.py --recursive {args.backgrounds} shows the words"
        )


def describe_run(job: Job, args: argparse.Namespace) -> dict:
    """What decides what the images look like, as it stands in dataset.json."""
    return {
        "num_images": args.num_images,
        "seed": job.seed,
        "image_size": job.size,
        "chunk_size": args.chunk_size,
        "subfolders": args.subfolders or None,  # as in folders that do not say
        **describe(job.settings, job.backgrounds, job.fonts, job.words),
    }


def is_finished(chunk: Chunk) -> bool:
    """Whether a chunk is there with all its images.

    When a folder is extended, its last chunk may have fewer than it should.
    """
    return chunk.path.exists() and chunk.path.read_bytes().count(b"\n") == chunk.images


# --- The images ------------------------------------------------------------------------------


def make_images(
    args: argparse.Namespace,
    job: Job,
    record: dict,
    chunks: list[Chunk],
    done: set[Chunk],
    problems: list[str],
) -> tuple[Counter, Counter]:
    """Make what is missing, with a progress bar, then dataset.json.

    Params:
        record: the settings as they stand in dataset.json.
        chunks: all of the folder.
        done: those of the chunks that are there.
        problems: a line for each file that was left out.

    Returns:
        the whole folder's counts; and seconds by stage, of all workers together, for the images
        made now.
    """
    counts, seconds = Counter(), Counter()
    for chunk in progress_bar(done, unit="chunk", desc="counting", delay=2):
        with using_chunk(chunk.path):
            counts += count_records([sample.to_json() for sample in read_chunk(chunk.path)])
    workers = min(args.num_workers, len(chunks) - len(done))
    needed = (args.save_folder / DATASET_FILE, args.backgrounds, args.fonts, args.words)
    cluster = choose_cluster(args.cluster, *needed)

    def make(missing: Iterable[Chunk]) -> Iterator[int]:
        calls = ((chunk,) for chunk in missing)  # without the job, which may name many photographs
        found = run_calls(run_chunk, calls, workers, cluster, shared=(job,))
        for chunk_counts, chunk_seconds in found:
            counts.update(chunk_counts)
            seconds.update(chunk_seconds)
            yield chunk_counts["images"]

    fill_folder(
        args.save_folder,
        record,
        chunks,
        make,
        lambda folder: name_counts(counts),
        is_done=done.__contains__,
        total=args.num_images,
        problems=problems,
    )
    return counts, seconds


# --- Afterwards ------------------------------------------------------------------------------


def name_counts(counts: Counter) -> dict:
    """The counts as they stand in dataset.json.

    Params:
        counts: of generate_utils.count_records().

    Returns:
        numbers by name; "words by height" and "dropped blocks" are tables of their own, the latter
        with the most frequent reason first.
    """
    ends = [f"-{high} px" for high in HEIGHTS[1:]] + ["+ px"]
    heights = {f"{low}{end}": counts[low] for low, end in zip(HEIGHTS, ends, strict=True)}
    dropped = {key[1]: counts[key] for key in counts if isinstance(key, tuple)}
    return {
        **{name: counts[name] for name in ("images", "words", "characters", "unreadable words")},
        "words by height": {name: value for name, value in heights.items() if value},
        "dropped blocks": dict(sorted(dropped.items(), key=lambda item: (-item[1], item[0]))),
    }


def print_summary(
    args: argparse.Namespace, made: int, elapsed: float, counts: Counter, seconds: Counter
) -> None:
    """Print what a run has made, what the folder holds and where the time went.

    Params:
        made: images made by this run.
        elapsed: seconds that it took.
        counts: of the whole folder, see generate_utils.count_records().
        seconds: by stage, of all workers together.
    """
    named = name_counts(counts)
    heights, dropped = named.pop("words by height"), named.pop("dropped blocks")
    speed = f" in {elapsed:.0f} s ({made / elapsed:.1f} a second)" if made else ""
    print(f"{args.save_folder}: {made} images made{speed}, {args.num_images} there")
    for name, value in named.items():
        more = " (don't-care: lost in blur, noise or shade)" if name == "unreadable words" else ""
        print(f"  {name}: {value}{more}")
    print(f"  blocks of text dropped: {sum(dropped.values())}")
    for reason, value in dropped.items():
        print(f"  {value:8d} {reason}")
    print("  heights of words (FONT_SIZE, SIGN_FONT_SIZE, PARAGRAPH_FONT_SIZE, PAGE_FONT_SIZE):")
    for name, value in heights.items():
        print(f"  {name:>10} high: {value:6d} {'#' * round(40 * value / counts['words'])}")
    total = seconds.total()
    if total:
        print(f"  {total:.1f} s of work, all workers together:")
    for name, spent in seconds.most_common():
        print(f"  {name:>15}: {spent:7.1f} s {spent / total:5.0%}")
    print(f"  look at {args.save_folder / PREVIEW_FILE}")


def print_list_usage(args: argparse.Namespace, settings: GeneratorSettings) -> None:
    """Print how much of the text is from a person's own list, and which lines are not there."""
    (vocabulary,) = load_vocabularies(args.words, settings.languages())
    samples = iterate_samples(args.save_folder)
    share, missing = list_usage(vocabulary, (word.text for s in samples for word in s.words))
    print(f"  words from {args.words}: {share:.0%}")
    if missing:
        some = [one_line(line[:40]) for line in missing[:5]]
        shown = ", ".join(some + ["..."] * (len(missing) > 5))
        print(f"  {len(missing)} of its {len(vocabulary.words)} lines were not drawn: {shown}")


if __name__ == "__main__":
    run_main(main, resumable=True)
