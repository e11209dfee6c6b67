"""Find words in images with a trained model.

    python detect.py photo.jpg --model_dir checkpoits --output_dir detections
    python detect.py --export_onnx --model_dir checkpoits

Inputs are images, folders of images and globs; "-" is one image from standard input. Each image
leaves in --output_dir

    NAME.json            see below
    NAME.txt             x1,y1,x2,y2,x3,y3,x4,y4 a line, as ICDAR 2015 wants it
    NAME.jpg             the image with the words outlined green, with --characters these blue
    NAME_heatmaps.jpg    with --heatmaps: character map warm, affinity map blue

NAME is the image's name without its suffix; where files of that name are there already, other than
this image's own results, it is NAME_2, NAME_3, and so on. The .json is written last:

    file        absolute path of the image, "-" for standard input
    size        [width, height], px of the image turned upright by its EXIF tag
    model       folder of the model
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
import io
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from static import constants as C
from textdet.common.cli import (
    ArgumentParser,
    integer,
    number,
    progress_bar,
    run_main,
    unit_interval,
)
from textdet.common.images import IMAGE_SUFFIXES, MAX_PIXELS, is_image, read_image
from textdet.decoding.craft import DECODERS
from textdet.network.runtimes import DEVICES, RUNTIMES

if TYPE_CHECKING:  # importing it takes a while, which --help does not have
    from textdet.network.detector import Result, TextDetector

STDIN = Path("-")
ENDINGS = (".json", ".txt", ".jpg", "_heatmaps.jpg")  # of an image's results
HEATMAP_SIDE = 4096  # px, larger pictures of the maps are shrunk to it
SMALL = 0.5  # scale; when an image is shrunk further, small text may be lost


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("inputs", nargs="*", metavar="image", help="images, folders of images, globs; - for stdin")
    add("--output_dir", type=Path, default=Path("detections"), help="folder to write to")
    add("--recursive", action="store_true", help="search the folders' subfolders as well")
    add("--heatmaps", action="store_true", help="also write a picture of the maps")
    add("--characters", action="store_true", help="also split the words into characters")
    text = "images or tiles of one size that go through the network together; more for a GPU"
    add("--batch_size", type=integer(1), default=1, help=text)
    text = "write model.onnx beside the weights, which makes detection on a CPU faster"
    add("--export_onnx", action="store_true", help=text)
    add_detection_flags(parser)
    args = parser.parse_args()
    if not args.inputs and not args.export_onnx:
        parser.error("name at least one image, folder or glob, or - for standard input")
    return args


def add_detection_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say which model runs and how its maps turn into words."""
    add = parser.add_argument
    tuned = "; default: the model's detection.json"
    add("--model_dir", type=Path, help="default: checkpoits if a model is there, or static/model")
    add("--device", choices=DEVICES, default="auto", help="where the network runs")
    text = "what runs it; auto: ONNX Runtime on a CPU when --export_onnx has been run"
    add("--runtime", choices=RUNTIMES, default="auto", help=text)
    add("--poly", action="store_true", help="follow curved words with polygons")
    add("--tiles", action="store_true", help="cut large images into tiles instead of shrinking")
    add(
        "--long_side", type=integer(C.STRIDE, 8192), help="px, longer side the network sees" + tuned
    )
    text = "times, of small images towards it"
    add("--max_enlargement", type=number(1, C.MOST_ENLARGEMENT), help=text + tuned)
    text = "times; large words are taken from a view so much smaller; 0: one view only"
    add("--second_scale", type=unit_interval, help=text + tuned)
    text = "px of what the network sees, by which the sides of a box are moved out"
    add("--box_margin", type=number(0, C.MOST_MARGIN), help=text + tuned)
    text = "0..1, of a word's own strong affinities, which its links must exceed; 0: no matter"
    add("--relative_link", type=unit_interval, help=text + tuned)
    add("--decoder", choices=DECODERS, help="how boxes grow, see craft_utils.py" + tuned)
    for name, text in (
        ("text_threshold", "0..1, a word's highest character value must reach it"),
        ("link_threshold", "0..1, affinity above it joins characters into words"),
        ("low_text", "0..1, character values above it belong to a word"),
    ):
        add(f"--{name}", type=unit_interval, help=text + tuned)


def main() -> None:
    args = parse_arguments()
    from textdet.common.errors import DataError

    if args.export_onnx:
        export(args)
    if not args.inputs:
        return
    paths, skipped = find_images(args.inputs, args.recursive, args.output_dir)
    detector = open_detector(args, characters=args.characters, batch_size=args.batch_size)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    names, results = {}, {}
    bar = progress_bar(paths, unit="image", disable=len(paths) == 1 and not args.tiles)
    for chunk in read_chunks(bar, args.batch_size, skipped):
        try:
            found = detector.detect([image for _, image in chunk])
        except DataError as error:  # the memory is too small
            skipped += [f"{path}: {error}" for path, _ in chunk]
            continue
        for (path, image), result in zip(chunk, found, strict=True):
            names[path] = free_name(args.output_dir, path, set(names.values()))
            write_result(args, names[path], path, image, result, detector)
            results[path] = len(result.words), detector.scale(result.width, result.height)
    if not results and len(skipped) == 1:
        raise DataError(skipped[0])
    for problem in skipped:
        print(f"skipped: {problem}", file=sys.stderr)
    if not results:
        raise DataError(f"none of the {len(skipped)} images could be read")
    report(args, names, results, len(skipped))


def export(args: argparse.Namespace) -> None:
    """Write model.onnx, and say where."""
    from textdet.decoding.decode import choose_model

    model_dir = choose_model(args.model_dir)  # before PyTorch is imported, which takes a while
    from textdet.network.onnx_export import export_onnx

    path = export_onnx(model_dir)
    print(f"{path}: written; detection on a CPU uses it from now on")


def open_detector(args: argparse.Namespace, **options) -> "TextDetector":
    """The detector that add_detection_flags' flags describe. Raises DataError.

    options: further parameters of TextDetector.
    """
    from textdet.decoding.decode import choose_model
    from textdet.network.detector import TextDetector

    return TextDetector(
        choose_model(args.model_dir),
        args.device,
        args.runtime,
        poly=args.poly,
        tiles=args.tiles,
        long_side=args.long_side,
        max_enlargement=args.max_enlargement,
        second_scale=args.second_scale,
        box_margin=args.box_margin,
        relative_link=args.relative_link,
        decoder=args.decoder,
        text_threshold=args.text_threshold,
        link_threshold=args.link_threshold,
        low_text=args.low_text,
        **options,
    )


# --- Files -----------------------------------------------------------------------------------


def find_images(
    inputs: list[str], recursive: bool, output_dir: Path
) -> tuple[list[Path], list[str]]:
    """The images that the inputs name, each once, and a line for each input that names none.

    Raises DataError when no image is left, or when an image's result would replace it.
    """
    from glob import glob

    from textdet.common.errors import DataError

    output_dir = output_dir.resolve()
    paths, problems = [], []
    for text in inputs:
        if text == str(STDIN):
            paths.append(STDIN)
            continue
        # A name with brackets is a file before it is a pattern.
        matches = [text] if Path(text).exists() else sorted(glob(text, recursive=True))
        if not matches:
            problems.append(f"{text}: no such file or folder")
        for match in map(Path, matches):
            if match.is_dir():
                found = _images_in(match, recursive, output_dir)
                if not found:
                    problems.append(
                        f"{match}: no images in it ({', '.join(sorted(IMAGE_SUFFIXES))})"
                    )
                paths += found
            else:
                paths.append(match)
    paths = list({path.absolute(): path for path in paths}.values())
    if not paths:
        raise DataError("; ".join(problems))
    for path in paths:
        if path != STDIN and path.absolute().parent.resolve() == output_dir:
            raise DataError(f"{path} lies in --output_dir and would be replaced; choose another")
    return paths, problems


def _images_in(folder: Path, recursive: bool, output_dir: Path) -> list[Path]:
    """A folder's images in the order of their names; earlier results in subfolders left out."""
    found = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if is_image(path)
        and path.is_file()
        and not (output_dir in path.resolve().parents and path.parent != folder)
    )


def read_chunks(
    paths: Iterable[Path], size: int, skipped: list[str]
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Read images, `size` at a time; a line for each damaged one goes to `skipped`."""
    from textdet.common.errors import DataError

    chunk = []
    for path in paths:
        try:
            chunk.append((path, read_image(_standard_input() if path == STDIN else path)))
        except DataError as error:
            skipped.append(str(error))
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _standard_input() -> io.BytesIO:
    """All of standard input, in memory, since an image's decoder has to seek. Raises DataError."""
    from textdet.common.errors import DataError

    limit = 4 * MAX_PIXELS  # bytes, the largest image uncompressed
    data = sys.stdin.buffer.read(limit + 1)
    if len(data) > limit:
        raise DataError(f"standard input: more than {limit / 1e6:g} MB, which is no image")
    file = io.BytesIO(data)
    file.name = "standard input"
    return file


def free_name(output_dir: Path, path: Path, taken: set[str]) -> str:
    """A name for an image's results under which there is nothing yet, in the folder or in `taken`,
    but this image's results of an earlier run."""
    import json

    stem, file = ("stdin", "-") if path == STDIN else (path.stem, str(path.absolute()))
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        number += 1
        if name in taken:
            continue
        try:
            record = json.loads((output_dir / f"{name}.json").read_text(encoding="utf-8"))
            if record["file"] == file:
                return name
        except (OSError, ValueError, KeyError, TypeError):  # none, or not one of ours
            if not any((output_dir / f"{name}{ending}").exists() for ending in ENDINGS):
                return name


def write_result(
    args: argparse.Namespace,
    name: str,
    path: Path,
    image: np.ndarray,
    result: "Result",
    detector: "TextDetector",
) -> None:
    """Write one image's files, see the top of this module. Raises OSError."""
    import json

    import cv2

    from textdet.common.files import write_atomically
    from textdet.common.pictures import draw_found, draw_maps, save_picture

    def rounded(points: np.ndarray | None) -> list | None:
        return None if points is None else np.round(points.astype(np.float64), 2).tolist()

    if args.heatmaps:
        shown = min(1.0, HEATMAP_SIDE / max(result.maps.shape))
        size = [max(1, round(side * shown)) for side in result.maps.shape[:0:-1]]
        small, *maps = (
            cv2.resize(layer, size, interpolation=cv2.INTER_AREA) for layer in (image, *result.maps)
        )
        save_picture(args.output_dir / f"{name}_heatmaps.jpg", draw_maps(small, np.stack(maps)))
    save_picture(args.output_dir / f"{name}.jpg", draw_found(image, result))
    lines = [
        ",".join(str(value) for value in np.rint(word.quad).astype(int).ravel()) + "\n"
        for word in result.words
    ]
    write_atomically(args.output_dir / f"{name}.txt", "".join(lines))
    words = []
    for word in result.words:
        record = {"quad": rounded(word.quad), "polygon": rounded(word.polygon)}
        record["score"] = round(word.score, 3)
        if word.characters is not None:
            record["characters"] = rounded(word.characters)
        words.append(record)
    record = {
        "file": "-" if path == STDIN else str(path.absolute()),
        "size": [result.width, result.height],
        "model": str(detector.model_dir),
        "settings": asdict(detector.settings),
        "words": words,
        "lines": result.lines,
    }
    write_atomically(
        args.output_dir / f"{name}.json", json.dumps(record, ensure_ascii=False) + "\n"
    )


def report(
    args: argparse.Namespace,
    names: dict[Path, str],
    results: dict[Path, tuple[int, float]],
    skipped: int,
) -> None:
    """Say how many words were found, where they are, and where to look when some are missing.

    results: of each image, how many words it has and the scale at which they were looked for.
    """
    total = sum(number for number, _ in results.values())
    print(f"{args.output_dir}: {total} words in {len(results)} images, {skipped} skipped")
    if args.heatmaps:
        print("  what the network saw: *_heatmaps.jpg there")
    empty = [path for path, (number, _) in results.items() if not number]
    if empty:
        print(f"  nothing found in {len(empty)}: {', '.join(map(str, empty[:5]))}")
        if not args.heatmaps:
            print("  --heatmaps shows why")
        print("  lower --text_threshold and --low_text find fainter words")
    shrunk = sum(scale < SMALL for _, scale in results.values())
    if shrunk and not args.tiles:
        print(f"  {shrunk} shrunk to less than half their size: --tiles keeps small text, slower")
    if len(names) == 1:
        print(f"  look at {args.output_dir / next(iter(names.values()))}.jpg")


if __name__ == "__main__":
    run_main(main)
