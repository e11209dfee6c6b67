"""PaddleOCR and PPOCRLabel: Label.txt, one line per image, its path and a list, separated by a tab.

    images/a.jpg<TAB>[{"transcription": "on", "points": [[x, y], ...], "difficult": false}, ...]

A transcription ### or *, and difficult, mean don't-care; TEMPORARY is what PPOCRLabel writes before
a word was read.
"""

import json
from pathlib import Path
from typing import Any

from textdet.common.errors import DataError
from textdet.common.files import parse_json, write_atomically
from textdet.data.annotation import Sample, flag_of, points_of, rounded
from textdet.data.formats.common import Items, find_one, images_by_name, read_lines
from textdet.data.formats.listed import Entry, Layout, read_listed, with_unlabelled
from textdet.data.formats.shapes import DONT_CARE, is_ignored

LABELS = "Label.txt"
UNREAD_TEXT = "TEMPORARY"


def read_paddleocr(source: Path) -> Items:
    """Labels for PaddleOCR's text detection.

    Raises:
        DataError: when no file has such lines.
    """
    return with_unlabelled(source, _read(source))


def _read(source: Path) -> Items:
    images, found = images_by_name(source), 0
    for path in find_one(source, LABELS, "*.txt"):
        lines = [line for _, line in read_lines(path)]
        if any(map(looks_like, lines[:20])):
            found += 1
            yield from read_listed(images, path, lines, Layout(_entry, _outline, _text))
    if not found:
        raise DataError(f"{source}: no .txt in it has lines of PaddleOCR, IMAGE<TAB>[{{...}}]")


def looks_like(line: str) -> bool:
    """Whether a line of a text file is one of PaddleOCR's."""
    name, tab, words = line.partition("\t")
    return bool(name and tab) and words.lstrip().startswith("[") and words.rstrip().endswith("]")


def _entry(line: str) -> Entry:
    name, _, words = line.partition("\t")
    return Entry(name, list(parse_json(words)))


def _outline(record: dict) -> Any:
    return points_of(record["points"])


def _text(record: dict) -> tuple[str, bool]:
    text = str(record.get("transcription") or "")
    ignore = is_ignored(text) or text == "*" or flag_of(record.get("difficult"))
    return "" if text == UNREAD_TEXT else text, ignore


def write_paddleocr(folder: Path, samples: list[Sample]) -> None:
    """Write Label.txt into the folder of the images, where PPOCRLabel looks for it; its paths begin
    with that folder's name.

    Params:
        folder: with the images in images/.
        samples: these.

    Raises:
        OSError: when the disk refuses.
    """
    lines = []
    for sample in samples:
        words = [
            {
                "transcription": DONT_CARE if word.ignore else word.text,
                "points": rounded(word.polygon),
                "difficult": word.ignore,
            }
            for word in sample.words
        ]
        name = sample.image_path.relative_to(folder).as_posix()
        lines.append(f"{name}\t{json.dumps(words, ensure_ascii=False)}\n")
    write_atomically(folder / "images" / LABELS, "".join(lines))
