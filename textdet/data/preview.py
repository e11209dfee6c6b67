"""Pictures of a data set: a contact sheet, and what its words are like."""

import itertools
from pathlib import Path

import cv2
import numpy as np

from textdet.common.cli import name_left_out
from textdet.common.errors import DataError
from textdet.common.images import resize
from textdet.common.pictures import (
    GREEN,
    RED,
    contact_sheet,
    draw_maps,
    draw_polygons,
    save_figure,
    save_picture,
)
from textdet.data.annotation import Sample, Word
from textdet.data.chunked_folder import PREVIEW_FILE, iterate_samples
from textdet.data.triplets import read_triplet

PREVIEW_IMAGES = 12
PREVIEW_SIDE = 512  # px, of each picture in a preview


def draw_words(image: np.ndarray, words: list[Word]) -> np.ndarray:
    """Outline words (red) and their characters' quads (green).

    Params:
        image: (H, W, 3) uint8 RGB, stays as it is.
        words: in px of the image.

    Returns:
        The picture, (H, W, 3) uint8 RGB.
    """
    image = draw_polygons(image, [quad for word in words for quad in word.quads], GREEN)
    return draw_polygons(image, [word.polygon for word in words], RED)


def write_preview(folder: Path) -> None:
    """Write a contact sheet of a triplet folder's first images: each, its maps over it, its quads.

    Those of which a file is missing or damaged, as when somebody has deleted what did not please,
    are named.
    """
    tiles = []
    for sample in itertools.islice(iterate_samples(folder), PREVIEW_IMAGES):
        try:
            image, maps = read_triplet(sample)
        except DataError as error:
            name_left_out([str(error)])
            continue
        # Enlarged or shrunk before anything is drawn, so that outlines stay sharp.
        factor = PREVIEW_SIDE / max(sample.width, sample.height)
        image, *maps = (resize(p, factor, cv2.INTER_LINEAR) for p in (image, *maps))
        words = [word.mapped(factor) for word in sample.words]
        row = (image, draw_maps(image, np.stack(maps)), draw_words(image, words))
        tiles += [np.pad(tile, ((0, 8), (0, 8), (0, 0)), constant_values=255) for tile in row]
    if tiles:
        save_picture(folder / PREVIEW_FILE, contact_sheet(tiles, columns=6, side=PREVIEW_SIDE + 8))


def plot_statistics(samples: list[Sample], path: Path) -> None:
    """Plot what the words of a data set are like.

    Params:
        samples: of words with characters; others count for the words in an image only.
        path: of the picture: histograms of the words' height, length and direction, and of how many
            there are in an image.
    """
    from matplotlib.figure import Figure

    words = [word for sample in samples for word in sample.words if len(word.quads)]
    heights = [np.linalg.norm(w.quads[:, 3] - w.quads[:, 0], axis=1).mean() for w in words]
    along = np.array([(w.quads[:, 1] - w.quads[:, 0]).mean(0) for w in words]).reshape(-1, 2)
    degrees = np.rad2deg(np.arctan2(-along[:, 1], along[:, 0]))  # y points down
    figure = Figure(figsize=(14, 3.2))
    axes = figure.subplots(1, 4)
    for axis, values, bins, label in (
        (axes[0], heights, np.geomspace(5, 400, 30), "height of a word, px"),
        (axes[1], [len(w.quads) for w in words], np.arange(0.5, 21), "characters in a word"),
        (axes[2], degrees, np.arange(-180, 181, 10), "direction of a word, degrees"),
        (axes[3], [len(s.words) for s in samples], 25, "words in an image"),
    ):
        axis.hist(values, bins, color="C0")
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0].set_xscale("log")
    axes[2].set_yscale("log")  # nearly all text is level
    axes[2].set_xticks(range(-180, 181, 90))
    save_figure(figure, path)
