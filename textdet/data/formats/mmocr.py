"""MMOCR 1.x: one JSON file for text detection.

{"metainfo": {"dataset_type": "TextDetDataset", "task_name": "textdet", "category": [...]},
 "data_list": [{"img_path": "a.jpg", "height": 480, "width": 640, "instances": [{"ignore": false,
 "polygon": [x1, y1, ...], "bbox": [left, top, right, bottom], "bbox_label": 0, "text": "on"}]}]}
"""

from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.files import write_json
from textdet.common.geometry import rectangle
from textdet.data.annotation import Sample, flag_of, points_of, rounded
from textdet.data.formats.common import Items
from textdet.data.formats.listed import Entry, Layout, read_json_files, size_of, with_unlabelled
from textdet.data.formats.shapes import bounds, is_ignored


def read_mmocr(source: Path) -> Items:
    """Labels for MMOCR's text detection and spotting."""
    layout = Layout(_entry, _outline, _text)
    items = read_json_files(source, looks_like, lambda data: data["data_list"], layout)
    return with_unlabelled(source, items)


def looks_like(data: Any) -> bool:
    """Whether a decoded file is one of MMOCR's."""
    return isinstance(data, dict) and isinstance(data.get("data_list"), list)


def _entry(image: dict) -> Entry:
    size = size_of(image.get("width"), image.get("height"))
    return Entry(image["img_path"], image["instances"], size)


def _outline(instance: dict) -> np.ndarray:
    if instance.get("polygon"):
        return points_of(instance["polygon"])
    return rectangle(*map(float, instance["bbox"]))


def _text(instance: dict) -> tuple[str, bool]:
    text = str(instance.get("text") or "")
    return text, flag_of(instance.get("ignore")) or is_ignored(text)


def write_mmocr(folder: Path, samples: list[Sample]) -> None:
    """Write textdet_train.json.

    Params:
        folder: with the images in images/.
        samples: these.

    Raises:
        OSError: when the disk refuses.
    """
    data = {
        "metainfo": {
            "dataset_type": "TextDetDataset",
            "task_name": "textdet",
            "category": [{"id": 0, "name": "text"}],
        },
        "data_list": [
            {
                "img_path": sample.image_path.relative_to(folder).as_posix(),
                "height": sample.height,
                "width": sample.width,
                "instances": [
                    {
                        "polygon": np.ravel(rounded(word.polygon)).tolist(),
                        "bbox": list(bounds(word.polygon)),
                        "bbox_label": 0,
                        "ignore": word.ignore,
                        "text": word.text,
                    }
                    for word in sample.words
                ],
            }
            for sample in samples
        ],
    }
    write_json(folder / "textdet_train.json", data)
