"""The files that detect.py leaves for an image: JSON, text as ICDAR 2015 wants it, pictures."""

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from textdet.common.files import write_atomically
from textdet.common.image_inputs import STDIN
from textdet.common.pictures import draw_found, draw_maps, save_picture
from textdet.network.detector import TextDetector
from textdet.network.result import Result

ENDINGS = (".json", ".txt", ".jpg", "_heatmaps.jpg")  # of an image's results
HEATMAP_SIDE = 4096  # px, larger pictures of the maps are shrunk to it


def free_name(output_dir: Path, path: Path, taken: set[str]) -> str:
    """A name for an image's results that replaces nothing but its own results of an earlier run.

    Params:
        output_dir: the folder of the results.
        path: the image; STDIN for standard input.
        taken: names that this run has given.

    Returns:
        The image's name without its suffix; with _2, _3, ... where that is taken.
    """
    stem = "stdin" if path == STDIN else path.stem
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        if name not in taken and _is_free(output_dir / name, path):
            return name
        number += 1


def _is_free(base: Path, path: Path) -> bool:
    """Whether there is no file of this name, or one that this script wrote for the same image."""
    try:
        record = json.loads(base.with_name(f"{base.name}.json").read_text(encoding="utf-8"))
        if record["file"] == _file(path):
            return True
    except (OSError, ValueError, KeyError, TypeError):  # none, or not one of ours
        return not any(base.with_name(f"{base.name}{ending}").exists() for ending in ENDINGS)
    return False


def _file(path: Path) -> str:
    return "-" if path == STDIN else str(path.absolute())


def write_result(
    base: Path,
    path: Path,
    image: np.ndarray,
    result: Result,
    detector: TextDetector,
    heatmaps: bool = False,
) -> None:
    """Write one image's files, the JSON last.

    Params:
        base: their path without the ending.
        path: the image's; STDIN for standard input.
        image: (H, W, 3) uint8 RGB.
        result: what the detector found in it.
        detector: names the model and the settings.
        heatmaps: whether to write a picture of the maps as well.

    Raises:
        OSError: no space, no permission.
    """
    if heatmaps:
        _save(base, "_heatmaps.jpg", _picture_of_maps(image, result.maps))
    _save(base, ".jpg", draw_found(image, result))
    write_atomically(base.with_name(f"{base.name}.txt"), result.to_icdar())
    found = result.to_json()
    record = {
        "file": _file(path),
        "size": found["size"],
        "model": str(detector.model_dir),
        "settings": asdict(detector.settings),
        "words": found["words"],
        "lines": found["lines"],
    }
    text = json.dumps(record, ensure_ascii=False) + "\n"
    write_atomically(base.with_name(f"{base.name}.json"), text)


def _picture_of_maps(image: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The maps (2, h, w) over the image, at the maps' size or at HEATMAP_SIDE px."""
    shown = min(1.0, HEATMAP_SIDE / max(maps.shape))
    size = [max(1, round(side * shown)) for side in maps.shape[:0:-1]]
    layers = [cv2.resize(m, size, interpolation=cv2.INTER_AREA) for m in (image, *maps)]
    return draw_maps(layers[0], np.stack(layers[1:]))


def _save(base: Path, ending: str, picture: np.ndarray) -> None:
    save_picture(base.with_name(f"{base.name}{ending}"), picture)
