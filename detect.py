"""Find words in images with a trained model.

    python detect.py photo.jpg --model_dir checkpoits --output_dir detections

Inputs are images, folders of images and globs. Each image leaves in --output_dir

    NAME.json            {"file", "size": [width, height], "settings", "model",
                          "words": [{"quad": 4 x [x, y], "polygon": k x [x, y] or null, "score"}]}
    NAME.txt             x1,y1,x2,y2,x3,y3,x4,y4 a line, as ICDAR 2015 wants it
    NAME.jpg             the image with the words outlined
    NAME_heatmaps.jpg    with --heatmaps: character map warm, affinity map blue

NAME is the image's name without its suffix; an image from elsewhere whose name is taken gets
NAME_2, NAME_3, and so on. Points are px of the image turned upright, clockwise from the word's top
left; the score is the word's highest character value, 0..1. The .json is written last.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cli_utils import ArgumentParser, count, progress_bar, run_main, unit_interval
from craft_utils import DECODERS
from static import constants as C

if TYPE_CHECKING:  # importing it takes seconds, which --help does not have
    from detector import Result, TextDetector

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"}


def parse_arguments() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("inputs", nargs="+", metavar="image", help="images, folders of images, globs")
    add("--output_dir", type=Path, default=Path("detections"), help="folder to write to")
    add("--recursive", action="store_true", help="search the folders' subfolders as well")
    add("--heatmaps", action="store_true", help="also write a picture of the maps")
    add_detection_flags(parser)
    return parser.parse_args()


def add_detection_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say which model runs and how its maps turn into words."""
    add = parser.add_argument
    tuned = "; default: the model's detection.json"
    add("--model_dir", type=Path, help="default: checkpoits if a model is there, or static/model")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the network runs")
    add("--poly", action="store_true", help="follow curved words with polygons")
    add("--tiles", action="store_true", help="cut large images into tiles instead of shrinking")
    add("--long_side", type=count(C.STRIDE, 8192), help="px, longer side the network sees" + tuned)
    add("--decoder", choices=DECODERS, help="how boxes grow, see craft_utils.py" + tuned)
    for name, text in (
        ("text_threshold", "0..1, a word's highest character value must reach it"),
        ("link_threshold", "0..1, affinity above it joins characters into words"),
        ("low_text", "0..1, character values above it belong to a word"),
    ):
        add(f"--{name}", type=unit_interval, help=text + tuned)


def main() -> None:
    args = parse_arguments()
    from dataset_utils import DataError, read_image

    paths, skipped = find_images(args.inputs, args.recursive, args.output_dir)
    detector = open_detector(args)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    names, counts = {}, []
    for path in progress_bar(paths, unit="image", disable=len(paths) == 1):
        try:
            image = read_image(path)
            result = detector(image)
        except DataError as error:
            skipped.append(str(error))
            continue
        names[path] = free_name(args.output_dir, path, set(names.values()))
        write_result(args, names[path], path, image, result, detector)
        counts.append(len(result.words))
    for problem in skipped:
        print(f"skipped: {problem}", file=sys.stderr)
    if not counts:
        raise DataError(f"none of the {len(skipped)} images could be read")
    report(args.output_dir, names, counts, len(skipped))


def open_detector(args: argparse.Namespace) -> "TextDetector":
    """The detector that add_detection_flags' flags describe. Raises DataError."""
    from detection_utils import choose_model
    from detector import TextDetector

    return TextDetector(
        choose_model(args.model_dir),
        None if args.device == "auto" else args.device,
        poly=args.poly,
        tiles=args.tiles,
        long_side=args.long_side,
        decoder=args.decoder,
        text_threshold=args.text_threshold,
        link_threshold=args.link_threshold,
        low_text=args.low_text,
    )


# --- Files -----------------------------------------------------------------------------------


def find_images(
    inputs: list[str], recursive: bool, output_dir: Path
) -> tuple[list[Path], list[str]]:
    """The images that the inputs name, each once, and a line for each input that names none.

    Raises DataError when no image is left, or when an image's result would replace it.
    """
    from glob import glob

    from dataset_utils import DataError

    output_dir = output_dir.absolute()
    paths, problems = [], []
    for text in inputs:
        # A name with brackets is a file before it is a pattern.
        matches = [text] if Path(text).exists() else sorted(glob(text, recursive=True))
        if not matches:
            problems.append(f"{text}: no such file or folder")
        for match in map(Path, matches):
            if match.is_dir():
                found = _images_in(match, recursive, output_dir)
                if not found:
                    problems.append(f"{match}: no images in it ({', '.join(sorted(SUFFIXES))})")
                paths += found
            else:
                paths.append(match)
    paths = list({path.absolute(): path for path in paths}.values())
    if not paths:
        raise DataError("; ".join(problems))
    for path in paths:
        if path.absolute().parent == output_dir:
            raise DataError(f"{path} lies in --output_dir and would be replaced; choose another")
    return paths, problems


def _images_in(folder: Path, recursive: bool, output_dir: Path) -> list[Path]:
    """A folder's images in the order of their names; earlier results in subfolders left out."""
    found = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not (output_dir in path.absolute().parents and path.parent != folder)
    )


def free_name(output_dir: Path, path: Path, taken: set[str]) -> str:
    """A name for an image's results that no other image of this or an earlier run has."""
    import json

    number = 1
    while True:
        name = path.stem if number == 1 else f"{path.stem}_{number}"
        number += 1
        if name in taken:
            continue
        try:
            record = json.loads((output_dir / f"{name}.json").read_text(encoding="utf-8"))
            if record["file"] == str(path.absolute()):
                return name
        except (OSError, ValueError, KeyError, TypeError):
            return name  # nothing there, or nothing whole


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

    from dataset_utils import write_atomically
    from plot_utils import draw_maps, draw_polygons, outline_width, save_picture

    def rounded(points: np.ndarray) -> list:
        return np.round(points.astype(np.float64), 2).tolist()

    thickness = outline_width(image)
    outlines = [word.outline for word in result.words]
    picture = draw_polygons(image, outlines, thickness=thickness)
    save_picture(args.output_dir / f"{name}.jpg", picture)
    if args.heatmaps:
        small = cv2.resize(image, result.maps.shape[:0:-1], interpolation=cv2.INTER_AREA)
        save_picture(args.output_dir / f"{name}_heatmaps.jpg", draw_maps(small, result.maps))
    lines = [
        ",".join(str(value) for value in np.rint(word.quad).astype(int).ravel()) + "\n"
        for word in result.words
    ]
    write_atomically(args.output_dir / f"{name}.txt", "".join(lines))
    record = {
        "file": str(path.absolute()),
        "size": [result.width, result.height],
        "settings": asdict(detector.settings),
        "model": str(detector.model_dir),
        "words": [
            {
                "quad": rounded(word.quad),
                "polygon": None if word.polygon is None else rounded(word.polygon),
                "score": round(word.score, 3),
            }
            for word in result.words
        ],
    }
    write_atomically(
        args.output_dir / f"{name}.json", json.dumps(record, ensure_ascii=False) + "\n"
    )


def report(output_dir: Path, names: dict[Path, str], counts: list[int], skipped: int) -> None:
    """Say how many words were found, where they are, and which images have none."""
    print(f"{output_dir}: {sum(counts)} words in {len(counts)} images, {skipped} skipped")
    empty = [path for path, number in zip(names, counts, strict=True) if not number]
    if empty:
        print(f"  nothing found in {len(empty)}: {', '.join(map(str, empty[:5]))}")
        print("  --heatmaps shows why; lower --text_threshold and --low_text find fainter words")
    if len(names) == 1:
        print(f"  look at {output_dir / next(iter(names.values()))}.jpg")


if __name__ == "__main__":
    run_main(main)
