"""JSON files with the annotations of many images.

coco        COCO's images[] and annotations[]: {image_id, bbox or segmentation, utf8_string or
            text, characters[{text, polygon or bbox}]}; the characters may be missing. CVAT has text
            and don't-care in attributes{transcription, ignore}, there a box may have a rotation
cocotext    COCO-Text 1 and 2: imgs{}, anns{image_id, bbox or mask or polygon, legibility, ...}
textocr     TextOCR: imgs{}, anns{image_id, points, utf8_string}; "." = don't care
hiertext    HierText: annotations[].paragraphs[].lines[].words[].{vertices, text, legible}, as
            .json or .jsonl, packed (.gz) or not
"""

import gzip
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import parse_json, write_json
from textdet.common.geometry import signed_area
from textdet.data.annotation import READING_ERRORS, Sample, Word, flag_of, points_of, rounded
from textdet.data.formats.common import (
    Item,
    Items,
    ReadWords,
    choose_image,
    find_one,
    images_by_name,
    make_word,
    numbered_words,
    paths_below,
    read_words,
)
from textdet.data.formats.cvat import text_of_attributes
from textdet.data.formats.listed import size_of, with_unlabelled
from textdet.data.formats.shapes import as_quad, coco_shape, is_ignored, turned_box


def read_coco(source: Path) -> Items:
    """COCO itself, and sets that were brought into its form, character polygons included."""

    def parse(record: dict) -> Word:
        attributes, category = record.get("attributes") or {}, record.get("category_name", "")
        text, marked = text_of_attributes(attributes, category)
        text = _text(record) or text.strip()
        marked = marked or is_ignored(text)
        ignore = marked or flag_of(record.get("ignore")) or flag_of(record.get("iscrowd"))
        letters = record.get("characters") or []
        quads = [as_quad(_outline(letter)) for letter in letters]
        return make_word(
            text, _outline(record), ignore, [_text(letter) for letter in letters], quads
        )

    return with_unlabelled(source, _read(source, ("*.json",), parse, upright=True))


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
    paths = find_one(source, "*.jsonl", "*.jsonl.gz", "*.json", "*.json.gz")
    if (ending := paths[0].suffix.lower()) != ".gz":  # one part may be unpacked, another not
        packed = paths_below(source, f"*{ending}.gz")
        paths += [path for path in packed if path.with_suffix("") not in paths]
    for file in _decoded(paths, ("annotations",)):
        if isinstance(file, str):
            yield file
            continue
        path, _, (entries,) = file
        split = path.name.split(".")[0]
        for entry in entries:
            try:
                name = str(entry.get("image_id"))
                image = choose_image(images, name, path)
                found = _words(list(_leaves(entry)), f"{path}: {name}", _parse_hiertext)
            except READING_ERRORS as error:
                yield f"{path}: {error}"
                continue
            size = _size(entry.get("image_width"), entry.get("image_height"))
            yield Item(image, found.words, split, found.problems, found.unread, size=size)


def _leaves(entry: dict) -> Iterator[dict]:
    """The words of an image; paragraphs without lines and lines without words in their place."""
    for paragraph in entry["paragraphs"]:
        lines = paragraph.get("lines")
        for line in lines or [paragraph]:
            words = line.get("words")
            yield from words or [{**line, "legible": False}]


def _parse_hiertext(record: dict) -> Word:
    ignore = not flag_of(record.get("legible", True))
    return make_word(_text(record), record["vertices"], ignore)


def _read(
    source: Path, patterns: tuple[str, ...], parse: Callable[[dict], Word], upright: bool = False
) -> Items:
    """The items of all files, see _decoded.

    Params:
        source: the folder.
        patterns: of the files' names.
        parse: takes a word's record.
        upright: as in Item; the tools that people draw with show images so.
    """
    images = images_by_name(source)
    lists = ("imgs", "images"), ("anns", "annotations")
    for file in _decoded(find_one(source, *patterns), *lists):
        if isinstance(file, str):
            yield file
            continue
        path, data, (pictures, words) = file
        names = {_id_of(known, "id"): known.get("name") for known in _categories(data)}
        by_image, named = defaultdict(list), defaultdict(set)
        for picture in pictures:
            named[_id_of(picture, "id")].add(_id_of(picture, "file_name"))
        for record in words:
            if isinstance(record, dict):
                record["category_name"] = names.get(_id_of(record, "category_id"), "")
            by_image[_id_of(record, "image_id")].append(record)
        for picture in pictures:
            number = _id_of(picture, "id")
            records = by_image.get(number, [])
            try:
                name = str(picture.get("file_name"))
                image = choose_image(images, name, path)
            except READING_ERRORS as error:
                yield f"{path}: {error}"
                continue
            if len(named[number]) > 1:  # as in files that were put together
                yield f"{path}: {name}: its id {number} is that of another image, too"
                continue
            found = _words(records, f"{path}: {name}", parse)
            split = str(picture.get("set", ""))
            size = _size(picture.get("width"), picture.get("height"))
            how = {"upright": upright, "size": size, "named": name}
            yield Item(image, found.words, split, found.problems, found.unread, **how)
        if count := sum(len(own) for number, own in by_image.items() if number not in named):
            yield f"{path}: {count} words of images that it does not list"


def _decoded(
    paths: list[Path], *lists: tuple[str, ...]
) -> Iterator[tuple[Path, dict, list[list]] | str]:
    """The files that are sound: each with its object and the lists in it; a line for another one.
    Raises DataError where there is no sound one.

    Params:
        lists: of each the keys under which it may stand, see _records.
    """
    refused = []
    for path in paths:
        try:
            data = _load(path)
            found = [_records(data, path, *keys) for keys in lists]
        except DataError as error:
            refused.append(error)
            if len(refused) == len(paths):
                raise refused[0] from None
            yield str(error)
            continue
        yield path, data, found


def _load(path: Path) -> dict:
    try:
        content = path.read_bytes()
        data = parse_json(gzip.decompress(content) if path.suffix.lower() == ".gz" else content)
        if not isinstance(data, dict):
            raise ValueError("not an object")
        return data
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not readable as JSON ({error})") from None


def _records(data: dict, path: Path, *keys: str) -> list:
    """The records under the first of the keys that is there, a list or an object of them. Each may
    be anything."""
    found = next((data[key] for key in keys if key in data), None)
    found = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(found, list):
        known, there = " nor ".join(map(repr, keys)), ", ".join(data)[:200]
        raise DataError(f"{path}: neither {known} in it as a list, only {there or 'nothing'}")
    return found


def _categories(data: dict) -> list[dict]:
    found = data.get("categories")
    return [known for known in found if isinstance(known, dict)] if isinstance(found, list) else []


def _id_of(record: object, key: str) -> str:
    number = record.get(key) if isinstance(record, dict) else ""
    # Tables, as those of pandas, make 1.0 of 1 in a column with gaps.
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def _size(width: object, height: object) -> tuple[int, int] | None:
    """A declared size, px; None where there is none."""
    try:
        return size_of(width, height)
    except READING_ERRORS:
        return None


def _words(records: list[dict], where: str, parse: Callable[[dict], Word]) -> ReadWords:
    return read_words(numbered_words(where, records), parse, _outline)


def _text(record: dict) -> str:
    return str(record.get("utf8_string") or record.get("text") or "").strip()


def _outline(record: dict) -> np.ndarray:
    """A record's outline (k, 2), from whichever of the usual keys it has; its box where that is not
    one polygon."""
    for key in ("points", "polygon", "mask", "segmentation", "quad", "vertices"):
        try:
            if record.get(key):
                return _polygon(record[key])
        except READING_ERRORS:
            if "bbox" not in record:
                raise
    left, top, width, height = map(float, record["bbox"])
    if min(width, height) < 0:
        raise ValueError("its box is narrower than nothing")
    centre = (left + width / 2, top + height / 2)
    degrees = float((record.get("attributes") or {}).get("rotation") or 0)
    return turned_box((left, top, left + width, top + height), degrees, centre)


def _polygon(points: list) -> np.ndarray:
    """(k, 2), of pairs, of one number after the other, or of COCO's list of one flat polygon."""
    if np.ndim(points[0]) == 1 and len(points[0]) > 2:
        if len(points) > 1:
            raise ValueError("its outline is in several parts")
        points = points[0]
    points = points_of(points)
    if len(points) < 3:
        raise ValueError("its outline is none")
    return points


def write_coco(folder: Path, samples: list[Sample]) -> None:
    """Write annotations/instances_default.json, as CVAT calls it.

    Params:
        folder: with the images in images/.
        samples: these.

    Raises:
        OSError: when the disk refuses.
    """
    images, annotations = [], []
    for image_id, sample in enumerate(samples, 1):
        size = {"width": sample.width, "height": sample.height}
        images.append({"id": image_id, "file_name": sample.image_path.name, **size})
        for word in sample.words:
            ids = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1}
            annotations.append({**ids, **_record(word)})
    categories = [{"id": 1, "name": "text", "supercategory": ""}]
    lists = {"images": images, "annotations": annotations, "categories": categories}
    data = {"info": {}, "licenses": [], **lists}  # pycocotools asks for the first
    (folder / "annotations").mkdir()
    write_json(folder / "annotations" / "instances_default.json", data)


def _record(word: Word) -> dict:
    cells = zip(word.characters, word.quads, strict=True)
    characters = [{"text": text, "polygon": rounded(quad)} for text, quad in cells]
    return {
        **coco_shape(word.polygon),
        "area": round(abs(signed_area(word.polygon)), 2),
        "iscrowd": int(word.ignore),
        "utf8_string": word.text,
        "attributes": {"transcription": word.text, "ignore": word.ignore},
        **({"characters": characters} if characters else {}),
    }
