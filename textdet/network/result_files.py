"""The files that detect.py leaves for an image: JSON, text as ICDAR 2015 wants it, pictures."""

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from textdet.common.files import earlier_record, shortened, write_atomically
from textdet.common.image_inputs import STDIN, Page, place_of
from textdet.common.pictures import draw_found, draw_maps, save_picture
from textdet.decoding.settings import DetectionSettings
from textdet.network.detector import TextDetector
from textdet.network.result import Result

HEATMAPS = "_heatmaps"
PICTURES = (".jpg", f"{HEATMAPS}.jpg")
ENDINGS = (".json", ".txt", *PICTURES)  # of an image's results
RECORD = {"file", "size", "model", "settings", "words", "lines"}  # fields of the .json, at least
HEATMAP_SIDE = 4096  # px, larger pictures of the maps are shrunk to it


def free_name(output_dir: Path, page: Page, taken: set[str]) -> str:
    """A name for an image's results that replaces nothing but its own results of an earlier run.

    Params:
        output_dir: the folder of the results.
        page: the image.
        taken: names that this run has given and may be about to write to, in lower case, since
            not every disk tells these from capitals; gets this one.

    Returns:
        The image's name without its suffix, shortened where it is very long, with _p2 for its
        file's second page, and so on; with _2, _3, ... where that is taken.
    """
    stem = shortened("stdin" if page.path == STDIN else page.path.stem)
    stem = stem if page.number == 1 else f"{stem}_p{page.number}"
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        low = name.lower()
        same_files = {low, f"{low}{HEATMAPS}", low.removesuffix(HEATMAPS)}
        if taken.isdisjoint(same_files) and _is_free(output_dir / name, page):
            taken.add(low)
            return name
        number += 1


def is_result(path: Path) -> bool:
    """Whether a picture is one that this project wrote for an image, by the .json beside it."""
    names = [path.name.removesuffix(ending) for ending in PICTURES if path.name.endswith(ending)]
    return any(_read_record(path.with_name(name)) is not None for name in names)


def _is_free(base: Path, page: Page) -> bool:
    """Whether there is no file of this name, or one that this script wrote for the same image."""
    record = _read_record(base)
    if record is None:  # none, or not one of ours
        return not any(base.with_name(f"{base.name}{ending}").exists() for ending in ENDINGS)
    is_same = place_of(Path(str(record["file"]))) == place_of(page.path)
    return is_same and record.get("page", 1) == page.number


def _read_record(base: Path) -> dict | None:
    """The record of earlier results with this path without the ending; None where it is not one."""
    record = earlier_record(base.with_name(f"{base.name}.json"))
    return record if record.keys() >= RECORD else None


def _file(path: Path) -> str:
    return "-" if path == STDIN else str(path.absolute())


def write_result(
    base: Path,
    page: Page,
    image: np.ndarray,
    result: Result,
    detector: TextDetector,
    heatmaps: bool = False,
) -> None:
    """Write one image's files, the JSON last.

    Params:
        base: their path without the ending.
        page: the image.
        image: (H, W, 3) uint8 RGB.
        result: what the detector found in it.
        detector: names the model and the settings.
        heatmaps: whether to write a picture of the maps as well.

    Raises:
        OSError: no space, no permission.
    """
    if heatmaps:
        _save(base, f"{HEATMAPS}.jpg", _picture_of_maps(image, result.maps))
    _save(base, ".jpg", draw_found(image, result))
    write_atomically(base.with_name(f"{base.name}.txt"), result.to_icdar())
    model = str(detector.model_dir)
    record = result_record(_file(page.path), page.number, result, model, detector.settings)
    text = json.dumps(record, ensure_ascii=False) + "\n"
    write_atomically(base.with_name(f"{base.name}.json"), text)


def result_record(
    file: str, number: int, result: Result, model: str, settings: DetectionSettings
) -> dict:
    """What the JSON of an image says; see detect.py.

    Params:
        file, number: the image's path, and which of its pages.
        model: its folder.
    """
    found = result.to_json()
    return {
        "file": file,
        "page": number,
        "size": found["size"],
        "model": model,
        "settings": asdict(settings),
        "words": found["words"],
        "lines": found["lines"],
    }


def _picture_of_maps(image: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The maps (2, h, w) over the image, at the maps' size or at HEATMAP_SIDE px."""
    shown = min(1.0, HEATMAP_SIDE / max(maps.shape))
    size = [max(1, round(side * shown)) for side in maps.shape[:0:-1]]
    layers = [cv2.resize(m, size, interpolation=cv2.INTER_AREA) for m in (image, *maps)]
    return draw_maps(layers[0], np.stack(layers[1:]))


def _save(base: Path, ending: str, picture: np.ndarray) -> None:
    save_picture(base.with_name(f"{base.name}{ending}"), picture)
