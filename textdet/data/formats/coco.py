"""JSON files with the annotations of many images.

coco        COCO's images[] and annotations[]: {image_id, bbox or segmentation, utf8_string or
            text, characters[{text, polygon or bbox}]}; the characters may be missing
cocotext    COCO-Text 1 and 2: imgs{}, anns{image_id, bbox or mask or polygon, legibility, ...}
textocr     TextOCR: imgs{}, anns{image_id, points, utf8_string}; "." = don't care
hiertext    HierText: annotations[].paragraphs[].lines[].words[].{vertices, text, legible}, as
            .json or .jsonl, packed (.gz) or not
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.data.annotation import Word
from textdet.data.formats.common import (
    Item,
    Items,
    choose_image,
    find_one,
    images_by_name,
    make_word,
    rectangle,
)


def read_coco(source: Path) -> Items:
    """COCO itself, and sets that were brought into its form, character polygons included."""

    def parse(record: dict) -> Word:
        text = _text(record)
        ignore = bool(record.get("ignore") or record.get("iscrowd"))
        letters = record.get("characters", [])
        quads = [_quad(_outline(letter)) for letter in letters]
        return make_word(
            text, _outline(record), ignore, [_text(letter) for letter in letters], quads or []
        )

    return _read(source, ("*.json",), parse)


def read_cocotext(source: Path) -> Items:
    """Photographs of COCO; what is not legible is don't-care."""

    def parse(record: dict) -> Word:
        return make_word(_text(record), _outline(record), record.get("legibility") != "legible")

    return _read(source, ("cocotext*.json", "COCO_Text*.json"), parse)


def read_textocr(source: Path) -> Items:
    """Photographs of OpenImages; words without a transcription are don't-care."""

    def parse(record: dict) -> Word:
        text = _text(record)
        return make_word(text, _outline(record), text in (".", ""))

    return _read(source, ("TextOCR*.json",), parse)


def read_hiertext(source: Path) -> Items:
    """Photographs of OpenImages; the words of all paragraphs and lines."""
    images = images_by_name(source)
    for path in find_one(source, "*.jsonl", "*.jsonl.gz", "*.json", "*.json.gz"):
        for entry in _load(path).get("annotations", []):
            name = str(entry.get("image_id"))
            try:
                image = choose_image(images, name, path)
            except ValueError as error:
                yield f"{path}: {error}"
                continue
            records = [
                word
                for paragraph in entry.get("paragraphs", [])
                for line in paragraph.get("lines", [])
                for word in line.get("words", [])
            ]
            words, problems = _words(records, f"{path}: {name}", _parse_hiertext)
            yield Item(image, words, path.name.split(".")[0], problems)


def _parse_hiertext(record: dict) -> Word:
    return make_word(_text(record), record["vertices"], not record.get("legible", True))


def _read(source: Path, patterns: tuple[str, ...], parse: Callable[[dict], Word]) -> Items:
    images = images_by_name(source)
    for path in find_one(source, *patterns):
        data = _load(path)
        pictures = _values(data, "imgs", "images", path)
        by_image = defaultdict(list)
        for record in _values(data, "anns", "annotations", path):
            by_image[str(record.get("image_id"))].append(record)
        for picture in pictures:
            name = str(picture.get("file_name"))
            try:
                image = choose_image(images, name, path)
            except ValueError as error:
                yield f"{path}: {error}"
                continue
            records = by_image.get(str(picture.get("id")), [])
            words, problems = _words(records, f"{path}: {name}", parse)
            yield Item(image, words, str(picture.get("set", "")), problems)


def _load(path: Path) -> dict:
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig") as file:
            data = json.load(file)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        return data
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not readable as JSON ({error})") from None


def _values(data: dict, short: str, long: str, path: Path) -> list[dict]:
    """The records under either key, a list or an object of them."""
    found = data.get(short, data.get(long))
    if found is None:
        raise DataError(f"{path}: neither {short!r} nor {long!r} in it, only {', '.join(data)}")
    return list(found.values()) if isinstance(found, dict) else found


def _words(
    records: list[dict], where: str, parse: Callable[[dict], Word]
) -> tuple[list[Word], list[str]]:
    words, problems = [], []
    for number, record in enumerate(records, 1):
        try:
            words.append(parse(record))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            problems.append(f"{where}: word {number}: {error}")
    return words, problems


def _text(record: dict) -> str:
    return str(record.get("utf8_string") or record.get("text") or "").strip()


def _outline(record: dict) -> np.ndarray:
    """A record's outline (k, 2), from whichever of the usual keys it has."""
    for key in ("points", "polygon", "mask", "segmentation", "quad"):
        points = record.get(key)
        if points:
            nested = isinstance(points[0], list) and np.ndim(points[0][0]) == 0
            # COCO's segmentation is a list of flat polygons, of which text has one.
            if nested and len(points[0]) > 2:
                points = points[0]
            return np.asarray(points, np.float64).reshape(-1, 2)
    left, top, width, height = record["bbox"]
    return rectangle(left, top, left + width, top + height)


def _quad(outline: np.ndarray) -> np.ndarray:
    """Four corners of a character: its own, or those of its smallest turned rectangle."""
    if len(outline) == 4:
        return outline
    import cv2

    corners = cv2.boxPoints(cv2.minAreaRect(outline.astype(np.float32)))
    first = corners.sum(1).argmin()
    return np.roll(corners, -first, axis=0)
