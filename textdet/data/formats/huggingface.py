"""Hugging Face's imagefolder: metadata.jsonl, one line per image.

    {"file_name": "images/a.jpg", "objects": {"bbox": [[left, top, width, height], ...],
     "categories": [0, ...], "polygon": [[[x, y], ...], ...], "text": ["on", ...],
     "ignore": [false, ...]}}

The documentation of datasets gives bbox and categories; polygon, text and ignore are this project's
names. polygons or segmentation, and texts, transcription or words are taken as well; objects may be
a list of records.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import parse_json, write_atomically
from textdet.common.geometry import rectangle
from textdet.data.annotation import Sample, flag_of, points_of, rounded
from textdet.data.formats.common import Items, find_one, images_by_name, read_lines
from textdet.data.formats.listed import Entry, Layout, read_listed, size_of, with_unlabelled
from textdet.data.formats.shapes import coco_shape, is_ignored

METADATA = "metadata.jsonl"
OUTLINES = ("polygon", "polygons", "segmentation")
BOXES = ("bbox", "bboxes", "boxes")
TEXTS = ("text", "texts", "transcription", "transcriptions", "words")


def read_huggingface(source: Path) -> Items:
    """Image folders of the library datasets."""
    return with_unlabelled(source, _read(source))


def _read(source: Path) -> Items:
    images = images_by_name(source)
    for path in find_one(source, METADATA):
        layout = Layout(_entry, _outline, _text)
        yield from read_listed(images, path, [line for _, line in read_lines(path)], layout)


def _entry(line: str) -> Entry:
    """One record per word: from each list, what it says about that word."""
    image = parse_json(line)
    objects = image.get("objects", image)
    if isinstance(objects, dict):
        objects = _rows(objects)
    size = size_of(image.get("width"), image.get("height"))
    return Entry(image["file_name"], objects, size)


def _rows(columns: dict[str, Any]) -> list[dict]:
    """Columns to rows. Raises DataError when there are no outlines or they do not fit together."""
    if not any(key in columns for key in (*OUTLINES, *BOXES)):
        raise DataError(f"there is neither {' nor '.join((OUTLINES[0], BOXES[0]))} in it")
    keys = (*OUTLINES, *BOXES, *TEXTS, "ignore")
    known = {key: columns[key] for key in keys if columns.get(key)}
    number = max((len(known[key]) for key in (*OUTLINES, *BOXES) if key in known), default=0)
    if any(len(values) != number for values in known.values()):
        lengths = ", ".join(f"{len(values)} {key}" for key, values in known.items())
        raise DataError(f"its lists do not fit together: {lengths}")
    return [{key: values[i] for key, values in known.items()} for i in range(number)]


def _first(record: dict, keys: tuple[str, ...]) -> Any:
    return next((record[key] for key in keys if record.get(key)), None)


def _outline(record: dict) -> np.ndarray:
    if outline := _first(record, OUTLINES):
        return points_of(outline)
    left, top, width, height = map(float, _first(record, BOXES))
    return rectangle(left, top, left + width, top + height)


def _text(record: dict) -> tuple[str, bool]:
    text = str(_first(record, TEXTS) or "")
    return text, flag_of(record.get("ignore")) or is_ignored(text)


def write_huggingface(folder: Path, samples: list[Sample]) -> None:
    """Write metadata.jsonl.

    Params:
        folder: with the images in images/.
        samples: these.

    Raises:
        OSError: when the disk refuses.
    """
    lines = []
    for sample in samples:
        record = {
            "file_name": sample.image_path.relative_to(folder).as_posix(),
            "width": sample.width,
            "height": sample.height,
            "objects": {
                "bbox": [coco_shape(word.polygon)["bbox"] for word in sample.words],
                "categories": [0 for _ in sample.words],
                "polygon": [rounded(word.polygon) for word in sample.words],
                "text": [word.text for word in sample.words],
                "ignore": [word.ignore for word in sample.words],
            },
        }
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    write_atomically(folder / METADATA, "".join(lines))
