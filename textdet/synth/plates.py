"""Plates behind a block, as of signs and stickers: their outlines and borders, in its plane."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from textdet.common.geometry import quad_size, rectangle


@dataclass
class Plate:
    """A plate, drawn.

    Params:
        face: (h, w) uint8, coverage of all of it.
        border: (h, w) uint8, coverage of its border; None when it has none.
    """

    face: np.ndarray
    border: np.ndarray | None = None


def draw_plate(outline: np.ndarray, shape: tuple[int, int], style: Any) -> Plate | None:
    """Draw the plate behind a block.

    Corners are rounded or cut as far as they leave the letters alone, in the plane of the four
    corners; an outline of more points is a plate cut along the text.

    Params:
        outline: (k, 2) its corners in px of the region.
        shape: (width, height) of the region, px.
        style: the block's InkStyle, of ink.py.

    Returns:
        the plate, of the region's size; None when the style has none.
    """
    if not style.plate_opacity:
        return None
    size = shape[::-1]
    if len(outline) != 4:
        face = _filled(outline, size)
        border = None
        if style.plate_border:
            kernel = np.ones((2 * round(style.plate_border) + 1,) * 2, np.uint8)
            border = face - cv2.erode(face, kernel, borderValue=0)
        return Plate(face, border)
    w, h = quad_size(outline)
    flat = rectangle(0, 0, w, h).astype(np.float32)
    plane = cv2.getPerspectiveTransform(flat, np.float32(outline))

    def cut(inset: float) -> np.ndarray:
        points = _cornered(w, h, style.plate_shape, style.plate_padding, inset)
        return _filled(cv2.perspectiveTransform(points[None], plane)[0], size)

    face, border = cut(0.0), None
    thick = min(style.plate_border, style.plate_padding / 2)
    if thick >= 0.7:
        inset = thick * 0.7
        border = cv2.subtract(cut(inset), cut(inset + thick))
    return Plate(face, border)


def _cornered(w: float, h: float, shape: str, padding: float, inset: float) -> np.ndarray:
    """(k, 2) float32: a rectangle of w x h px, made smaller by `inset`, with corners of a shape."""
    # The largest corners that leave a letter at the padding's inner corner alone.
    reach = {"rounded": 3.0, "cut": 1.8, "notched": 0.9}.get(shape, 0.0) * padding
    reach = max(
        0.0,
        min(reach, min(w, h) * (0.15 if shape == "notched" else 0.5))
        - inset * (shape != "notched"),
    )
    turn = np.linspace(np.pi, 1.5 * np.pi, 7 if shape == "rounded" else 2)
    if reach < 1:
        corner = np.zeros((1, 2))
    elif shape == "notched":
        corner = reach * np.array([(0, 1), (1, 1), (1, 0)])
    else:
        corner = reach * (1 + np.stack([np.cos(turn), np.sin(turn)], 1))
    points = []
    for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)):
        inwards = np.array([1 - 2 * x, 1 - 2 * y])
        at = np.array([x * w, y * h]) + inwards * (inset + corner)
        points.append(at if x == y else at[::-1])
    return np.concatenate(points).astype(np.float32)


def _filled(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask
