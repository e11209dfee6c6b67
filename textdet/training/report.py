"""What a training run tells people: pictures of what it sees, and the record of its settings."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from textdet.common.files import write_json
from textdet.common.fingerprints import fingerprint
from textdet.common.pictures import (
    contact_sheet,
    draw_maps,
    draw_polygons,
    outline_width,
    save_figure,
)
from textdet.data.annotation import Sample
from textdet.data.source import Source
from textdet.decoding.decode import decode_maps
from textdet.network.segformer import to_maps
from textdet.training.datasets import MixSampler, TrainDataset

if TYPE_CHECKING:
    from transformers import Trainer

PACKAGES = ("torch", "transformers", "accelerate", "monai", "albumentations", "numpy")
PREDICTIONS = 6  # validation images that are shown
TILE = 400  # px, side of a tile in the pictures


def draw_samples(dataset: TrainDataset, sampler: MixSampler, count: int) -> np.ndarray:
    """Draw the first crops of an epoch.

    Params:
        dataset: with the words of its images.
        sampler: the order.
        count: how many crops at most.

    Returns:
        (H, W, 3) uint8 RGB, one row per crop: image with the outlines of its words, maps over the
        image, weights (white counts in full).
    """
    tiles = []
    for draw in islice(sampler, count):
        index = dataset.source.read_sound(draw.index)[0]  # in place of a damaged one
        polygons = [word.polygon for word in dataset.source.words(index)]
        points = np.concatenate([np.zeros((0, 2), np.float32), *polygons])
        image, maps, weights, moved = dataset.crop(draw, points)
        ends = np.cumsum([len(polygon) for polygon in polygons])[:-1]
        outlines = np.split(np.asarray(moved), ends) if polygons else []
        if weights is None:
            weights = np.full(image.shape[:2], 255, np.uint8)
        tiles += [
            draw_polygons(image, outlines),
            draw_maps(image, maps.transpose(2, 0, 1)),
            draw_polygons(np.repeat(weights[..., None], 3, 2), outlines),
        ]
    return contact_sheet(tiles, columns=3, side=TILE)


def draw_predictions(trainer: "Trainer", source: Source) -> np.ndarray:
    """Draw what the network sees in the first PREDICTIONS validation images.

    Params:
        trainer: a HeatmapTrainer; its model is put in evaluation mode.
        source: the validation images.

    Returns:
        (H, W, 3) uint8 RGB, one row per image: true maps, predicted maps, boxes found in these.
    """
    tiles = []
    model = trainer.model.eval()
    for index in range(min(PREDICTIONS, len(source))):
        _, image, true, _ = source.read_sound(index)
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(model.device)
        with torch.no_grad():
            logits = model(pixel_values=trainer.normalise(pixels)).logits
        maps = to_maps(logits, image.shape[:2])[0].cpu().numpy()
        boxes = decode_maps(maps, trainer.settings).boxes
        tiles += [
            draw_maps(image, true.transpose(2, 0, 1)),
            draw_maps(image, maps),
            draw_polygons(image, boxes, thickness=outline_width(image)),
        ]
    return contact_sheet(tiles, columns=3, side=TILE)


def data_fingerprint(samples: list[Sample]) -> str:
    """Digest that changes with the images' names and lengths and with the words' places."""

    def parts() -> Iterator[str | bytes]:
        for sample in samples:
            path = sample.image_path
            size = path.stat().st_size if path.exists() else None
            yield f"{path.name}/{size}"
            for word in sample.words:
                yield f"{word.ignore}{word.confidence}{word.weight}"
                yield word.polygon.tobytes()
                yield word.quads.tobytes()

    return fingerprint(parts())


def save_record(path: Path, **sections: object) -> None:
    """Write training.json: the command, the package versions and what else is given.

    Params:
        path: the file.
        sections: values that JSON can hold, by their names.
    """
    record = {
        "command": _without_token(sys.argv),
        "versions": {"python": sys.version.split()[0]} | {n: version(n) for n in PACKAGES},
        **sections,
    }
    write_json(path, record)


def _without_token(command: list[str]) -> list[str]:
    """A command line without what --hub_token names; the parser also takes the flag with a hyphen
    and cut short."""
    flag = r"--hub[_-]t[a-z]*"
    hidden = [re.sub(rf"^({flag}=).*", r"\1***", word, flags=re.DOTALL) for word in command]
    return [
        "***" if re.fullmatch(flag, before) else word
        for before, word in zip(["", *hidden], hidden, strict=False)
    ]


def plot_training_curves(history: list[dict], path: Path) -> None:
    """Plot losses and the maps' error, and the scores of the validation, over the steps.

    Params:
        history: a Trainer's log_history.
        path: of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4))
    left, right = figure.subplots(1, 2)
    for axes, names in (
        (left, ("loss", "eval_loss", "eval_heatmap_error")),
        (right, ("eval_f1", "eval_precision", "eval_recall", "eval_iou")),
    ):
        for name in names:
            # The best model is validated once more after the last step: not a point of the curve.
            points = {entry["step"]: entry[name] for entry in reversed(history) if name in entry}
            if points:
                axes.plot(*zip(*sorted(points.items()), strict=True), marker=".", label=name)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    left.set_ylabel("DiceFocal loss; mean error of the maps")
    left.set_ylim(bottom=0)
    right.set_ylabel("score of the boxes")
    right.set_ylim(0, 1)
    save_figure(figure, path)
