"""Find words in images with a trained model.

    python detect.py photo.jpg --model_dir checkpoits --output_dir detections
    python detect.py --export_onnx --model_dir checkpoits

Inputs are images, folders of images and globs; "-" is one image from standard input. Each image
leaves in --output_dir

    NAME.json            see below
    NAME.txt             x1,y1,x2,y2,x3,y3,x4,y4 a line, as ICDAR 2015 wants it
    NAME.jpg             the image with the words outlined green, with --characters these blue
    NAME_heatmaps.jpg    with --heatmaps: character map warm, affinity map blue
    NAME_variants.jpg    instead of all these, where a setting has several values, as in
                         --link_threshold 0.1 0.4 0.7: what each of them finds, side by side

NAME is the image's name without its suffix, for further pages of a TIFF NAME_p2, NAME_p3, and so
on; where files of that name are there already, other than this image's own results, it is NAME_2,
NAME_3, and so on. The .json is written last:

    file        absolute path of the image, "-" for standard input
    page        its number in the file, from 1
    size        [width, height], px of the image turned upright by its EXIF tag
    model       absolute path of the model
    settings    thresholds, decoder and resolution, as in detection.json
    words       in reading order; each has
        quad        4 points around the word
        polygon     k points around a curved word with --poly, else null
        score       0..1, the word's highest character value
        characters  with --characters: 4 points around each, in reading direction
    lines       the words' positions in "words", one list a line of text

Points are [x, y], px of the image turned upright, clockwise from the word's top left.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

from textdet.common.cli import (
    ArgumentParser,
    add_cluster_flag,
    integer,
    one_line,
    progress_bar,
    run_main,
)
from textdet.common.cluster import IMAGES_A_CALL, choose_cluster
from textdet.common.errors import DataError
from textdet.common.files import make_folder
from textdet.common.image_inputs import Page, common_folder, find_images, find_pages, read_page
from textdet.common.pictures import contact_sheet, save_picture
from textdet.common.workers import run_calls
from textdet.network.detector import share_detector
from textdet.network.flags import (
    add_detection_flags,
    detector_opener,
    repeat_flags,
    take_variants,
)
from textdet.network.model_files import choose_model
from textdet.network.result_files import free_name, is_result
from textdet.network.result_pages import Written, write_pages, write_some_pages

COLUMNS, TILE = 3, 640  # of a sheet of variants; px, side of its squares
SMALL = 0.5  # scale; when an image is shrunk further, small text may be lost


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("inputs", nargs="*", metavar="image", help="images, folders of images, globs; - for stdin")
    add("--output_dir", type=Path, default=Path("detections"), help="folder to write to")
    add("--recursive", action="store_true", help="search the folders' subfolders as well")
    add("--heatmaps", action="store_true", help="also write a picture of the maps")
    add("--characters", action="store_true", help="also split the words into characters")
    text = "images or tiles that the network sees at one size and at a time; more for a GPU"
    add("--batch_size", type=integer(1), default=1, help=text)
    text = "write model.onnx beside the weights, which makes detection on a CPU faster"
    add("--export_onnx", action="store_true", help=text)
    add_cluster_flag(parser, "find words")
    add_detection_flags(parser, several=True)
    args = parser.parse_args(repeat_flags(sys.argv[1:]))
    args.variants = take_variants(args)
    if not args.inputs and not args.export_onnx:
        parser.error("name at least one image, folder or glob, or - for standard input")
    for flag in ("cluster", "heatmaps"):
        if getattr(args, flag) and len(args.variants) > 1:
            parser.error(f"--{flag} goes with one value of each setting")
    return args


def main() -> None:
    """Export the model, find words, or both, as the flags say."""
    args = parse_arguments()
    if args.export_onnx:
        export(choose_model(args.model_dir))
    if args.inputs:
        detect(args) if len(args.variants) == 1 else compare(args)


def export(model_dir: Path) -> None:
    """Write model.onnx, and say where."""
    from textdet.network.onnx_export import export_onnx

    path = export_onnx(model_dir)
    print(f"{path}: written; detection on a CPU uses it from now on")


def detect(args: argparse.Namespace) -> None:
    """Find the images, find the words in them, write them, and say how it went.

    Params:
        args: the flags.

    Raises:
        DataError: when not one image can be read.
    """
    paths, skipped = find_images(args.inputs, args.recursive, args.output_dir, is_result)
    pages = find_pages(paths, skipped)
    opener = opener_of(args)
    detector = None if args.cluster else opener()  # before anything is written
    make_folder(args.output_dir)
    if detector:
        named = name_results(pages, args.output_dir.absolute())
        finding = write_pages(detector, named, args.heatmaps)
    else:
        finding = find_on_cluster(args, opener, pages)
    written = []
    bar = progress_bar(total=len(pages), unit="image", disable=len(pages) == 1 and not args.tiles)
    with bar, closing(finding) as found:
        for done in found:
            (skipped if isinstance(done, str) else written).append(done)
            bar.update()
    name_skipped(skipped, bool(written))
    report(args, sorted(written, key=lambda one: one.number), len(skipped))


def opener_of(args: argparse.Namespace) -> partial:
    """What opens the detector that the flags describe. Raises DataError."""
    options = {"characters": args.characters, "batch_size": args.batch_size}
    return detector_opener(args, args.model_dir, **options)


def find_on_cluster(
    args: argparse.Namespace, opener: partial, pages: list[Page]
) -> Iterator[Written | str]:
    """Find the words of images and write them on a cluster.

    Params:
        args: the flags.
        opener: opens the detector.
        pages: the images.

    Returns:
        yields what write_pages does, as images are done.

    Raises:
        DataError: the cluster is not there, or lacks the folders.
    """
    pages = [page.at_absolute_path() for page in pages]
    cluster = choose_cluster(args.cluster, args.output_dir, opener.args[0], *common_folder(pages))
    named = name_results(pages, args.output_dir.absolute())
    size = max(args.batch_size, IMAGES_A_CALL)
    calls = ((part, args.heatmaps) for part in iter(lambda: list(islice(named, size)), []))
    for part in run_calls(write_some_pages, calls, 1, cluster, partial(share_detector, opener)):
        yield from part


def name_results(pages: list[Page], output_dir: Path) -> Iterator[tuple[int, Page, Path]]:
    """Name the results of images.

    Params:
        pages: the images.
        output_dir: where results go.

    Returns:
        yields what write_pages takes.
    """
    taken = set()
    for number, page in enumerate(pages):
        yield number, page, output_dir / free_name(output_dir, page, taken)


def compare(args: argparse.Namespace) -> None:
    """Draw what the settings' values find, side by side; the network runs once per image.

    Params:
        args: the flags; some setting has several values.

    Raises:
        DataError: when not one image can be read.
    """
    paths, skipped = find_images(args.inputs, args.recursive, args.output_dir, is_result)
    pages = find_pages(paths, skipped)
    detector = opener_of(args)()
    if detector.files.is_craft and "decoder" in args.variants[0]:
        raise DataError("with CRAFT's weights the decoder decides which maps there are: name one")
    make_folder(args.output_dir)
    taken, done = set(), 0
    for page in progress_bar(pages, unit="image"):
        image = None
        try:
            image = read_page(page)
            maps = detector.maps(image)
        except DataError as error:
            skipped.append(str(error) if image is None else f"{page}: {error}")
            continue
        name = free_name(args.output_dir, page, taken)
        found = [detector.decode(maps, **variant) for variant in args.variants]
        titles = [
            ", ".join(f"{name} {value}" for name, value in variant.items())
            + f": {len(result.words)} words"
            for variant, result in zip(args.variants, found, strict=True)
        ]
        columns = min(len(found), COLUMNS)
        sheet = contact_sheet([result.draw() for result in found], columns, TILE, titles)
        save_picture(args.output_dir / f"{name}_variants.jpg", sheet)
        done += 1
    name_skipped(skipped, bool(done))
    print(f"{args.output_dir}: {len(args.variants)} variants of {done} images")
    print("  look at *_variants.jpg there; a value by itself writes the results")


def name_skipped(skipped: list[str], any_done: bool) -> None:
    """Name what was skipped.

    Params:
        skipped: a line each.
        any_done: whether some image was not.

    Raises:
        DataError: none was done.
    """
    if not any_done and len(skipped) == 1:
        raise DataError(skipped[0])
    for problem in skipped:
        print(f"skipped: {one_line(problem)}", file=sys.stderr)
    if not any_done:
        raise DataError(f"none of the {len(skipped)} images could be read")


def report(args: argparse.Namespace, written: list[Written], skipped: int) -> None:
    """Say how many words were found, where they are, and where to look when some are missing.

    Params:
        args: the flags.
        written: the images that could be read.
        skipped: how many images could not be read.
    """
    total = sum(one.words for one in written)
    print(f"{args.output_dir}: {total} words in {len(written)} images, {skipped} skipped")
    if args.heatmaps:
        print("  what the network saw: *_heatmaps.jpg there")
    empty = [one.page for one in written if not one.words]
    if empty:
        print(f"  nothing found in {len(empty)}: {', '.join(map(one_line, empty[:5]))}")
        if not args.heatmaps:
            print("  --heatmaps shows why")
        print("  lower --text_threshold and --low_text find fainter words")
    shrunk = sum(one.scale < SMALL for one in written)
    if shrunk and not args.tiles:
        print(f"  {shrunk} shrunk to less than half their size: --tiles keeps small text, slower")
    if len(written) == 1:
        print(f"  look at {args.output_dir}/{one_line(written[0].name)}.jpg")


if __name__ == "__main__":
    run_main(main)
