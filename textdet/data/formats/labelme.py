"""labelme: NAME.json beside each image.

    {"imagePath": "a.jpg", "imageWidth": 640, "imageHeight": 480, "imageData": null, "flags": {},
     "version": "6.3.1", "shapes": [{"label": "text", "description": "on", "shape_type": "polygon",
     "points": [[x, y], ...], "group_id": null, "flags": {}}]}

Shapes of type rectangle (two corners), oriented_rectangle and polygon are words, and so are those
of type rotation of X-AnyLabeling, whose files are the same otherwise. A description is the
transcription; in a set without any, the labels are, if most of them differ. A label like "ignore",
a flag of that name or X-AnyLabeling's difficult that is set, or the transcription ### means
don't-care.
"""

from collections import Counter
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from textdet.common.files import parse_json, write_json
from textdet.common.geometry import rectangle
from textdet.data.annotation import Sample, Word, points_of, rounded
from textdet.data.formats.common import Items, find_one
from textdet.data.formats.listed import Entry, Layout, read_json_files, size_of, with_unlabelled
from textdet.data.formats.shapes import bounds, is_ignored, is_upright

VERSION = "6.3.1"  # whose files these are


def read_labelme(source: Path) -> Items:
    """Whatever was drawn with labelme."""
    text_key = _key_of_texts(source)

    def text_of(shape: dict) -> tuple[str, bool]:
        text = str(shape.get(text_key) or "")
        flags = {**(shape.get("flags") or {}), "difficult": shape.get("difficult")}
        marks = [name for name, is_set in flags.items() if is_set]
        return text, is_ignored(text, [shape.get("label"), *marks])

    layout = Layout(_entry, _outline, text_of)
    items = read_json_files(source, looks_like, lambda data: [data], layout)
    return with_unlabelled(source, items)


def looks_like(data: Any) -> bool:
    """Whether a decoded file is one of labelme's."""
    return isinstance(data, dict) and "shapes" in data and "imagePath" in data


def _key_of_texts(source: Path) -> str:
    labels, described = Counter(), False
    for path in find_one(source, "*.json"):
        try:
            data = parse_json(path.read_bytes())
            for shape in data["shapes"] if looks_like(data) else ():
                label = str(shape.get("label"))
                labels[label] += not is_ignored("", [label])
                described = described or bool(shape.get("description"))
        except (OSError, ValueError, TypeError, AttributeError):
            continue  # a damaged file is named when it is read
    differ = len(+labels) > 1 and 2 * len(+labels) > labels.total()  # one may be any class
    return "label" if differ and not described else "description"


def _entry(data: dict) -> Entry:
    name = PureWindowsPath(data["imagePath"]).as_posix()  # as labelme itself does
    return Entry(name, data["shapes"], size_of(data.get("imageWidth"), data.get("imageHeight")))


def _outline(shape: dict) -> np.ndarray:
    kind, points = shape.get("shape_type", "polygon"), points_of(shape["points"])
    if kind == "rectangle" and len(points) == 2:
        return rectangle(*points.ravel())
    if kind not in ("rectangle", "oriented_rectangle", "rotation", "polygon"):
        raise ValueError(f"a {kind} is not the outline of a word")
    return points


def write_labelme(folder: Path, samples: list[Sample]) -> None:
    """Write NAME.json beside each image.

    Params:
        folder: with the images in images/.
        samples: these.

    Raises:
        OSError: when the disk refuses.
    """
    for sample in samples:
        record = {
            "version": VERSION,
            "flags": {},
            "shapes": [_shape(word) for word in sample.words],
            "imagePath": sample.image_path.name,
            "imageData": None,
            "imageHeight": sample.height,
            "imageWidth": sample.width,
        }
        write_json(sample.image_path.with_suffix(".json"), record)


def _shape(word: Word) -> dict:
    if is_upright(word.polygon):
        left, top, right, bottom = bounds(word.polygon)
        kind, points = "rectangle", [[left, top], [right, bottom]]
    else:
        kind, points = "polygon", rounded(word.polygon)
    return {
        "label": "ignore" if word.ignore else "text",
        "points": points,
        "group_id": None,
        "description": word.text,
        "shape_type": kind,
        "flags": {},
        "mask": None,
    }
