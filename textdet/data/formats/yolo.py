"""YOLO: labels/NAME.txt for images/NAME.jpg, one word per line.

    CLASS x1 y1 x2 y2 x3 y3 x4 y4    oriented boxes (OBB); more points are a polygon
    CLASS x y width height           upright boxes, x and y of their centre

Numbers are 0..1 of the image's width and height. There are no transcriptions. Names of classes are
taken from classes.txt or CVAT's obj.names, one class per line, or from the data set's .yaml; one
like "ignore" means don't-care.
"""

import re
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.geometry import rectangle
from textdet.data.formats.common import (
    Items,
    find_one,
    images_by_name,
    pair_with_images,
    paths_below,
    read_lines,
)
from textdet.data.formats.listed import Entry, Layout, read_listed
from textdet.data.formats.shapes import is_ignored

_LINE = re.compile(r"\d+(?:\s+-?(?:\d+(?:\.\d*)?|\.\d+)(?:e-?\d+)?){4,}\s*", re.IGNORECASE)


def read_yolo(source: Path) -> Items:
    """Data sets for Ultralytics' detection, oriented boxes and segmentation.

    Raises:
        DataError: when no file has such lines.
    """
    images, classes = images_by_name(source), _classes(source)

    def entry(path: Path) -> Entry:
        return Entry(path.stem, [line for _, line in read_lines(path)])

    def text(line: str) -> tuple[str, bool]:
        number = int(line.split()[0])
        return "", is_ignored("", [classes.get(number, "")])

    layout, labels = Layout(entry, _outline, text, in_shares=True), []
    for path in find_one(source, "labels/**/*.txt", "*.txt"):
        lines = [line for _, line in read_lines(path)]
        if any(map(looks_like, lines)) or (not lines and "labels" in path.parts):
            labels.append(path)
    if not labels:
        raise DataError(f"{source}: no .txt in it has lines of YOLO, CLASS and numbers 0..1")
    for pair in pair_with_images(images, labels, lambda path: path.stem):
        if isinstance(pair, str):
            yield pair
        else:
            yield from read_listed(images, pair[0], pair[:1], layout)


def looks_like(line: str) -> bool:
    """Whether a line of a text file is one of YOLO's."""
    return bool(_LINE.fullmatch(line)) and all(-0.5 < float(n) < 1.5 for n in line.split()[1:])


def _outline(line: str, size: tuple[int, int]) -> np.ndarray:
    if not looks_like(line):
        raise ValueError(f"not a line of YOLO: {line[:60]!r}")
    numbers = np.array(line.split()[1:], np.float64)
    if len(numbers) % 2:  # as the model's own predictions, which are not labels
        raise ValueError(f"{len(numbers)} numbers, the last perhaps a confidence: {line[:60]!r}")
    if len(numbers) == 4:
        (x, y), (width, height) = numbers.reshape(2, 2)
        numbers = rectangle(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return numbers.reshape(-1, 2) * size


def _classes(source: Path) -> dict[int, str]:
    """Names of the classes by their numbers, where the set gives them.

    Raises:
        DataError: the set's lines are a box and points on it, not outlines.
    """
    yamls = sorted([*paths_below(source, "*.yaml"), *paths_below(source, "*.yml")])
    sheets = [_sheet(path) for path in yamls]
    if any("kpt_shape" in sheet for sheet in sheets):
        raise DataError(
            f"{source}: key points (its .yaml has kpt_shape); export boxes, oriented boxes or "
            "segmentation instead"
        )
    for path in [*paths_below(source, "classes.txt"), *paths_below(source, "*.names")]:
        return {number - 1: line.strip() for number, line in read_lines(path)}
    for names in (sheet.get("names") for sheet in sheets):
        if isinstance(names, list):
            return dict(enumerate(map(str, names)))
        if isinstance(names, dict) and all(str(number).isdecimal() for number in names):
            return {int(number): str(name) for number, name in names.items()}
    return {}


def _sheet(path: Path) -> dict:
    """What a .yaml says; nothing where it is not one of a data set."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
