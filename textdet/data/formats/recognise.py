"""Which format a folder is in, told by its files."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textdet.common.errors import DataError
from textdet.common.files import parse_json
from textdet.data.annotation import ANNOTATIONS
from textdet.data.formats import (
    cvat,
    detections,
    doctr,
    huggingface,
    icdar,
    labelme,
    labelstudio,
    mmocr,
    paddleocr,
    yolo,
)
from textdet.data.formats.common import paths_below

LOOKED_AT = 20  # files of a kind
HEAD = 1 << 16  # characters of a text file that show its format
BY_JSON = {  # the surest first
    "detections": detections.looks_like,
    "labelme": labelme.looks_like,
    "labelstudio": labelstudio.looks_like,
    "mmocr": mmocr.looks_like,
    "funsd": lambda data: isinstance(data, dict) and "form" in data,
    "coco": lambda data: isinstance(data, dict) and {"images", "annotations"} <= data.keys(),
    "doctr": doctr.looks_like,
}
BY_LINE = (  # each gives a format's name, or None
    icdar.looks_like,
    lambda line: "paddleocr" if paddleocr.looks_like(line) else None,
    lambda line: "yolo" if yolo.looks_like(line) else None,
)


def find_format(folder: Path) -> str:
    """The name of the format that a folder is in.

    Raises:
        DataError: it looks like none.
    """
    if any((folder / ANNOTATIONS).glob("*.jsonl")):
        return "triplets"
    files = [path for path in paths_below(folder) if path.is_file()]
    if any(path.name == huggingface.METADATA for path in files):
        return "huggingface"
    if any(cvat.looks_like(path) for path in _of_kind(files, ".xml")):
        return "cvat"
    for path in _of_kind(files, ".json"):
        if name := _by_json(path):
            return name
    for path in _of_kind(files, ".txt"):
        if name := _by_lines(path):
            return name
    raise DataError(
        f"{folder}: not a data set known by its looks, neither by {ANNOTATIONS}/*.jsonl "
        "(generate_images.py) nor by a file .json, .xml, .txt or metadata.jsonl; name its --format "
        "(export_dataset.py: --input_format), or export COCO or YOLO from the tool that made it; "
        "for tune.py and app.py convert_dataset.py comes first"
    )


def find_labels(folder: Path) -> str:
    """The name of the format that a folder of true words is in.

    Raises:
        DataError: it looks like none, or holds what a model found.
    """
    name = find_format(folder)
    if name == "detections":
        raise DataError(
            f"{folder}: results of detect.py, which a model is neither taught nor judged by; "
            "export_dataset.py takes them to a tool where people correct them"
        )
    return name


def _of_kind(files: Iterable[Path], suffix: str) -> list[Path]:
    """The first files of a kind that hold anything: YOLO and others have an empty one for each
    image without words."""
    found = (path for path in files if path.suffix.lower() == suffix and path.stat().st_size)
    return list(itertools.islice(found, LOOKED_AT))


def _by_json(path: Path) -> str | None:
    try:
        data: Any = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    return next((name for name, looks_like in BY_JSON.items() if looks_like(data)), None)


def _by_lines(path: Path) -> str | None:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = file.read(HEAD).split("\n")
    found = (name for line in lines for look in BY_LINE if (name := look(line.rstrip("\r"))))
    return next(found, None)
