"""Data sets for the page to browse: read once, filtered, an image with its labels and its fates."""

import csv
import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import read_json
from textdet.data.annotation import UNREAD, Sample, Word
from textdet.data.chunked_folder import iterate_samples
from textdet.data.formats.recognise import find_format
from textdet.data.formats.registry import read_dataset
from textdet.data.triplets import has_heatmaps, read_heatmaps
from textdet.decoding.metrics import SCORES, truth_of
from textdet.decoding.settings import DetectionSettings
from textdet.decoding.word_fates import FALSE_BOXES, FATES, name_fates
from textdet.network.result import Result
from textdet.page.detection import Models
from textdet.page.drawing import outline, word_height

MAX_IMAGES = 10_000  # of a data set; reading more takes minutes and gigabytes
# How images can be sorted, by columns of evaluate.py's table; the largest number first.
ORDERS = {
    "lowest F1": None,
    "most missed": ("missed",),
    "most merged": ("merged",),
    "most split": ("split",),
    "most false boxes": FALSE_BOXES,
}


@dataclass
class Collection:
    """A data set to browse.

    Params:
        samples: its images, those of `rows` where there are any.
        problems: a line for each image or word that was left out.
        rows: of a table of evaluate.py, by the image's file.
        model, settings: with which that table was made; None without one.
        poly, tiles: likewise, see TextDetector.
        is_cut: whether it has more images than were read.
    """

    samples: list[Sample]
    problems: list[str]
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    model: str | None = None
    settings: DetectionSettings | None = None
    poly: bool = False
    tiles: bool = False
    is_cut: bool = False

    @property
    def kinds(self) -> list[str]:
        """What the annotations call the images: scene, page."""
        return sorted(
            {str(sample.extra["kind"]) for sample in self.samples if "kind" in sample.extra}
        )


def check_path(path: Path) -> None:
    """Whether a path is a data set's folder or a table of evaluate.py, by its looks.

    Raises:
        DataError: it is neither.
    """
    if path.is_dir():
        find_format(path)
    elif not (path.suffix == ".csv" and path.is_file() and path.with_suffix(".json").is_file()):
        raise DataError(f"{path}: no table that evaluate.py wrote, with its .json beside it")


def name_collections(paths: Iterable[Path]) -> dict[str, tuple[Path, str | None]]:
    """The names of what there is to look at: of a table of several models, one for each of them.

    Params:
        paths: data sets' folders and tables of evaluate.py.

    Returns:
        by name, what read_collection takes.
    """
    named = {}
    for path in paths:
        try:
            models = [] if path.is_dir() else read_json(path.with_suffix(".json")).get("models", [])
            names = [str(entry["model"]) for entry in models]
        except (DataError, TypeError, KeyError):  # said when it is looked at
            names = []
        named |= {f"{path}: {name}": (path, name) for name in names} or {str(path): (path, None)}
    return named


def read_collection(path: Path, model: str | None = None) -> Collection:
    """Read a data set's folder, or a table of evaluate.py with the folder it was made from.

    Params:
        path: of it.
        model: whose results to take, where the table is of several.

    Raises:
        DataError: it is none.
    """
    return read_folder(path) if path.is_dir() else read_results(path, model)


def read_folder(folder: Path) -> Collection:
    """Read a data set, the first MAX_IMAGES of a triplet folder. Raises DataError."""
    others = []
    name = find_format(folder, others)
    if name != "triplets":
        samples, problems = read_dataset(folder, name)
        return Collection(samples, others + problems)
    try:
        samples = list(itertools.islice(iterate_samples(folder), MAX_IMAGES + 1))
    except DataError:  # a damaged line among others is named, and left out
        return Collection(*read_dataset(folder, "triplets"))
    if not samples:
        raise DataError(f"{folder}: no annotated image in it")
    return Collection(samples[:MAX_IMAGES], others, is_cut=len(samples) > MAX_IMAGES)


def read_results(path: Path, model: str | None = None) -> Collection:
    """Read a table of evaluate.py and the data set that it judges.

    Params:
        path, model: see read_collection.

    Raises:
        DataError: it is damaged, or the data set is gone.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [row for row in csv.DictReader(file) if model in (None, row.get("model"))]
        rows = {row["file"]: row for row in lines}
        record = read_json(path.with_suffix(".json"))
        own = record
        if model is not None:
            own = next(entry for entry in record["models"] if entry["model"] == model)
        settings = DetectionSettings(**own["settings"])
        folder, name, model = Path(record["data"]), record["format"], str(own["model"])
        for row in rows.values():
            for order in ORDERS:
                sort_key(row, order)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise DataError(f"{path}: no table of evaluate.py with its .json ({error!r})") from None
    samples, problems = read_dataset(folder, name)
    samples = [sample for sample in samples if sample.file in rows]
    more = {name: record.get(name) is True for name in ("poly", "tiles")}
    return Collection(samples, problems, rows, model, settings, **more)


def sort_key(row: dict[str, str], order: str) -> tuple[float, int]:
    """What images are sorted by, the smallest first.

    Params:
        row: of evaluate.py's table.
        order: one of ORDERS.
    """
    errors = int(row["words"]) + int(row["found"]) - 2 * int(row["matched"])
    columns = ORDERS[order]
    return (-sum(int(row[c]) for c in columns) if columns else float(row["f1"])), -errors


# --- Filters ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """Which images to show.

    Params:
        kind: of the image, "" for any.
        words: least and largest number of words that count.
        heights: px; an image has a word at least as high as the first and no higher than the
            second. Images without words pass where the first is 0.
        with_ignored: only those with don't-care words.
        confidence: 0..1; below 1 only images with a word that is trusted no more than this.
        with_problems: only those of which words were left out.
    """

    kind: str = ""
    words: tuple[float, float] = (0, float("inf"))
    heights: tuple[float, float] = (0, float("inf"))
    with_ignored: bool = False
    confidence: float = 1.0
    with_problems: bool = False

    def takes(self, sample: Sample) -> bool:
        """Whether an image is to be shown."""
        counted = [word for word in sample.words if not word.ignore]
        low, high = self.heights
        return (
            self.kind in ("", sample.extra.get("kind"))
            and self.words[0] <= len(counted) <= self.words[1]
            and ((low == 0 and not counted) or any(low <= word_height(w) <= high for w in counted))
            and (not self.with_ignored or len(counted) < len(sample.words))
            and (self.confidence == 1 or any(w.confidence <= self.confidence for w in counted))
            and (not self.with_problems or bool(sample.extra.get(UNREAD)))
        )


def select(collection: Collection, chosen: Filter, order: str) -> list[int]:
    """The positions of the images to show, in their order.

    Params:
        order: one of ORDERS; it matters where there is a table of evaluate.py.
    """
    samples, rows = collection.samples, collection.rows
    found = [i for i, sample in enumerate(samples) if chosen.takes(sample)]
    return sorted(found, key=lambda i: sort_key(rows[samples[i].file], order)) if rows else found


# --- One image -------------------------------------------------------------------------------


def read_maps(sample: Sample) -> np.ndarray | None:
    """The heatmaps (2, H, W) uint8 that belong to an image, None where there are none.

    Raises:
        DataError: one is damaged, missing or of another size than the image.
    """
    if sample.elsewhere is not None or not has_heatmaps(sample.folder):
        return None
    return read_heatmaps(sample)


def look(
    collection: Collection,
    image: np.ndarray,
    models: Models,
    model: str,
    settings: DetectionSettings,
) -> tuple[str, Result]:
    """Find the words of an image of a collection, as evaluate.py did for its table.

    Params:
        image: (H, W, 3) uint8 RGB.
        model, settings: to find them with where there is no table.

    Returns:
        the model, and what it found.

    Raises:
        DataError: there is no sound model, or the memory is too small.
    """
    if collection.settings is not None:
        model, settings = collection.model, collection.settings
    detector = models.detector(model, settings, collection.poly, tiles=collection.tiles)
    return model, detector(image)


def show_fates(words: list[Word], boxes: Iterable[np.ndarray]) -> list[dict[str, Any]]:
    """Outlines of words by what became of them, and of boxes by what they found.

    Params:
        words: annotated ones.
        boxes: (k, 2) px each, what a model found.

    Returns:
        outlines on layers named as FATES and FALSE_BOXES, those that found a word on "boxes".
    """
    boxes = list(boxes)
    fates, names = name_fates(boxes, truth_of(words))
    cared = [word for word in words if not word.ignore]
    outlines = [
        outline(fate, word.polygon, [word.text, f"{word_height(word):.0f}", ""])
        for word, fate in zip(cared, fates, strict=True)
    ]
    outlines += [
        outline("boxes" if name is None else name, box)
        for box, name in zip(boxes, names, strict=True)
    ]
    return outlines


def describe(sample: Sample, row: dict[str, str] | None) -> str:
    """An image in a few words: size, words, what its annotation and the results say of it."""
    ignored = sum(word.ignore for word in sample.words)
    parts = [f"{sample.width} x {sample.height} px", f"{len(sample.words) - ignored} words"]
    parts += [f"{ignored} don't-care"] * bool(ignored)
    parts += [f"{sample.extra[UNREAD]} words left out"] if sample.extra.get(UNREAD) else []
    for name, value in sample.extra.items():
        if name == UNREAD or not value:
            continue
        if isinstance(value, dict):
            value = [f"{number} {reason}" for reason, number in value.items()]
        parts.append(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    if row:
        parts += [f"{name} {float(row[name]):.2f}" for name in SCORES]
    return " · ".join(parts)


def count_fates(outlines: list[dict[str, Any]]) -> str:
    """A sentence on what became of the words, from show_fates."""
    numbers = Counter(each["layer"] for each in outlines)
    fates, false = (
        [f"{numbers[name]} {name}" for name in names if numbers[name]]
        for names in (FATES, FALSE_BOXES)
    )
    return "; ".join([", ".join(fates) or "no words", *false])
