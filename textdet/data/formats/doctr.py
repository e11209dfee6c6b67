"""docTR: labels.json beside the folder of the images.

    {"a.jpg": {"img_dimensions": [height, width], "img_hash": "...", "polygons": [[[x, y], ...]]}}

polygons are for docTR's DetectionDataset: quads in px, or such a list for each class. Instead of
them or beside them, typed_words [{"value": "on", "geometry": [left, top, right, bottom]}] are for
its OCRDataset, which takes 0..1 of the image's width and height; px are read as well. Where both
are there, the words' texts come from these. Nobody says in which order img_dimensions are, so that
they are not looked at.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.files import write_json
from textdet.common.geometry import rectangle
from textdet.data.annotation import Sample, points_of, rounded
from textdet.data.formats.common import Items
from textdet.data.formats.listed import Entry, Layout, read_json_files, with_unlabelled
from textdet.data.formats.shapes import as_quad, bounds, is_ignored

KEYS = ("polygons", "typed_words")
DIGITS = 6  # of a share of an image's side
SHARES_BELOW = 1.5  # the numbers of a box; a word in px is larger


def read_doctr(source: Path) -> Items:
    """Labels for docTR's text detection and its OCR data sets."""
    layout = Layout(_entry, _outline, _text, upright=False, in_shares=True)
    return with_unlabelled(source, read_json_files(source, looks_like, dict.items, layout))


def looks_like(data: Any) -> bool:
    """Whether a decoded file is one of docTR's."""
    first = next(iter(data.values()), None) if isinstance(data, dict) else None
    return isinstance(first, dict) and any(key in first for key in KEYS)


def _entry(named: tuple[str, dict]) -> Entry:
    """One record per word: its outline, text and class."""
    name, label = named
    outlines, words = label.get("polygons"), label.get("typed_words") or []
    texts = [word.get("value") for word in words]
    if outlines is None:
        return Entry(name, [(w["geometry"], t, "") for w, t in zip(words, texts, strict=True)])
    by_class = outlines if isinstance(outlines, dict) else {"": outlines}
    pairs = [(outline, kind) for kind, group in by_class.items() for outline in group]
    if len(texts) != len(pairs):
        texts = [""] * len(pairs)
    return Entry(name, [(o, text, kind) for (o, kind), text in zip(pairs, texts, strict=True)])


def _outline(record: tuple, size: tuple[int, int]) -> np.ndarray:
    points = points_of(record[0])
    if np.abs(points).max(initial=0) < SHARES_BELOW:
        points *= size
    return rectangle(*points.ravel()) if len(points) == 2 else points


def _text(record: tuple) -> tuple[str, bool]:
    text = str(record[1] or "")
    return text, is_ignored(text, [record[2]])


def write_doctr(folder: Path, samples: list[Sample]) -> None:
    """Write labels.json.

    Params:
        folder: with the images in images/.
        samples: these, with words, none of which is don't-care: docTR knows no such thing.

    Raises:
        OSError: when the disk refuses.
    """
    labels = {}
    for sample in samples:
        sides = np.array([sample.width, sample.height] * 2)
        boxes = [(np.array(bounds(word.polygon)) / sides).clip(0, 1) for word in sample.words]
        labels[sample.image_path.name] = {
            "img_dimensions": [sample.height, sample.width],
            "img_hash": hashlib.sha256(sample.image_path.read_bytes()).hexdigest(),
            "polygons": [rounded(as_quad(word.polygon)) for word in sample.words],
            "typed_words": [
                {"value": word.text, "geometry": box.round(DIGITS).tolist()}
                for word, box in zip(sample.words, boxes, strict=True)
            ],
        }
    write_json(folder / "labels.json", labels)
