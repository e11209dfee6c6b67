"""Which format a folder is in, told by its files."""

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
PLAIN_TEXT = ("icdar2013", "icdar2015", "mlt")  # of which the reader of one names the others' lines
BY_LINE = (  # each gives a format's name, or None
    icdar.looks_like,
    lambda line: "paddleocr" if paddleocr.looks_like(line) else None,
    lambda line: "yolo" if yolo.looks_like(line) else None,
)


def find_format(folder: Path, problems: list[str] | None = None) -> str:
    """The name of the format that a folder is in.

    Params:
        folder: any.
        problems: gets a line for each other format of which there are labels, too.

    Raises:
        DataError: it looks like none.
    """
    found = _formats_of(folder)
    if found and problems is not None:
        name, *others = found
        problems += [
            f"{found[other]}: labels as of {other}; {folder} is read as {name} unless another "
            "format is named"
            for other in others
        ]
    if found:
        return next(iter(found))
    raise DataError(
        f"{folder}: not a data set known by its looks, neither by {ANNOTATIONS}/*.jsonl "
        "(generate_images.py) nor by a file .json, .xml, .txt or metadata.jsonl; name its --format "
        "(export_dataset.py: --input_format), or export COCO or YOLO from the tool that made it; "
        "for tune.py and app.py convert_dataset.py comes first"
    )


def _formats_of(folder: Path) -> dict[str, Path]:
    """The formats that a folder's files look like, the surest first, each with one that does."""
    own = next((folder / ANNOTATIONS).glob("*.jsonl"), None)
    # There may be a million files in a folder of triplets, but no labels beside its images.
    places = (folder, folder / ANNOTATIONS) if own else ()
    paths = [path for place in places for path in sorted(place.iterdir())] or paths_below(folder)
    files = [path for path in paths if path.is_file()]
    seen = [("triplets", own)] if own else []
    seen += [("huggingface", path) for path in files if path.name == huggingface.METADATA]
    seen += [("cvat", path) for path in _of_kind(files, ".xml") if cvat.looks_like(path)]
    seen += [(_by_json(path), path) for path in _of_kind(files, ".json")]
    seen += [(_by_lines(path), path) for path in _of_kind(files, ".txt")]
    found = {}
    for name, path in seen:
        # detect.py writes ICDAR's lines beside its JSON.
        beside = found.keys() & {"detections", *PLAIN_TEXT} if name in PLAIN_TEXT else ()
        if name and not beside:
            found.setdefault(name, path)
    return found


def find_labels(folder: Path, problems: list[str] | None = None) -> str:
    """The name of the format that a folder of true words is in.

    Params:
        folder, problems: see find_format.

    Raises:
        DataError: it looks like none, or holds what a model found.
    """
    name = find_format(folder, problems)
    if name == "detections":
        raise DataError(
            f"{folder}: results of detect.py, which a model is neither taught nor judged by; "
            "export_dataset.py takes them to a tool where people correct them"
        )
    return name


def _of_kind(files: Iterable[Path], suffix: str) -> list[Path]:
    """The first files of a kind that hold anything, since YOLO and others have an empty one for
    each image without words; then the largest of each folder, which may be of all images."""
    sizes = {path: path.stat().st_size for path in files if path.suffix.lower() == suffix}
    held = [path for path, size in sizes.items() if size]
    largest = {path.parent: path for path in sorted(held, key=sizes.get)}
    return list(dict.fromkeys([*held[:LOOKED_AT], *largest.values()]))


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
