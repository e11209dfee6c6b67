"""What the page's viewer shows: a picture, maps as layers over it, outlines with their figures."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np

from textdet.common.geometry import quad_size
from textdet.common.images import resize
from textdet.common.pictures import draw_polygons, encode_picture
from textdet.data.annotation import Word
from textdet.network.result import FoundWord

SHOWN_SIDE = 1600  # px, larger images are shrunk to it for the browser
THUMBNAIL_SIDE = 240  # px
MAP_SIDE = 640  # px; maps are smooth
WARM, BLUE = (255, 120, 0), (40, 90, 255)  # RGB of the character and the affinity map


def data_url(data: bytes, kind: str) -> str:
    """Bytes as a URL that holds them.

    Params:
        kind: their media type, such as "image/png".
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def show_picture(image: np.ndarray, maps: np.ndarray | None = None) -> dict[str, Any]:
    """Make what the viewer shows under the outlines.

    Params:
        image: (H, W, 3) uint8 RGB.
        maps: (2, h, w) uint8, 0..255 for 0..1, character then affinity, over the whole image.

    Returns:
        "width" and "height", px of the image, in which outlines are given; "image" and, where
        there are maps, "maps" by layer, as data URLs.
    """
    shown = resize(image, min(1.0, SHOWN_SIDE / max(image.shape)))
    layers = {}
    if maps is not None:
        layers = {"characters map": _layer(maps[0], WARM), "affinity map": _layer(maps[1], BLUE)}
    return {
        "width": image.shape[1],
        "height": image.shape[0],
        "image": data_url(encode_picture(shown, ".jpg", 88), "image/jpeg"),
        "maps": layers,
    }


def _layer(values: np.ndarray, colour: tuple[int, int, int]) -> str:
    """A map (h, w) uint8 as a picture of one colour that is clear where the map is 0."""
    small = resize(values, min(1.0, MAP_SIDE / max(values.shape)))
    bgra = np.empty((*small.shape, 4), np.uint8)
    bgra[..., :3] = colour[::-1]
    bgra[..., 3] = small * 0.8
    return data_url(cv2.imencode(".png", bgra)[1].tobytes(), "image/png")


def outline(layer: str, points: np.ndarray, cells: Sequence | None = None) -> dict[str, Any]:
    """An outline on a layer of the viewer.

    Params:
        points: (k, 2), px of the image.
        cells: its row in the table below the picture.
    """
    record = {"layer": layer, "points": np.round(points.astype(float), 1).tolist()}
    return record if cells is None else {**record, "cells": list(cells)}


FOUND_COLUMNS = ["score", "height, px", "width, px"]


def show_found(words: Iterable[FoundWord]) -> list[dict[str, Any]]:
    """Outlines of a detector's words: boxes, the polygons and the characters that they have."""
    outlines = []
    for word in words:
        width, height = quad_size(word.quad)
        cells = [f"{word.score:.2f}", f"{height:.0f}", f"{width:.0f}"]
        outlines.append(outline("boxes", word.quad, cells))
        if word.polygon is not None:
            outlines.append(outline("polygons", word.polygon))
        if word.characters is not None:
            outlines += [outline("characters", quad) for quad in word.characters]
    return outlines


LABEL_COLUMNS = ["text", "height, px", "confidence"]


def show_labels(words: Iterable[Word]) -> list[dict[str, Any]]:
    """Outlines of annotated words, of don't-care ones on a layer of their own, and characters."""
    words = list(words)
    outlines = [outline("characters", quad) for word in words for quad in word.quads]
    for word in words:
        layer = "don't-care" if word.ignore else "words"
        cells = [word.text, f"{word_height(word):.0f}", f"{word.confidence:.2f}"]
        outlines.append(outline(layer, word.polygon, cells))
    return outlines


def word_height(word: Word) -> float:
    """px, of an annotated word: its first character's, else the smaller side around its polygon."""
    if len(word.quads):
        return quad_size(word.quads[0])[1]
    return min(cv2.minAreaRect(word.polygon.astype(np.float32))[1])


def thumbnail(image: np.ndarray, outlines: Iterable[tuple[np.ndarray, Any]] = ()) -> str:
    """A small picture with outlines over it, as a data URL.

    Params:
        image: (H, W, 3) uint8 RGB.
        outlines: polygons (k, 2), px of the image, each with its RGB colour.
    """
    scale = min(1.0, THUMBNAIL_SIDE / max(image.shape))
    small = resize(image, scale)
    for points, colour in outlines:
        small = draw_polygons(small, [points * scale], colour)
    return data_url(encode_picture(small, ".jpg", 85), "image/jpeg")
