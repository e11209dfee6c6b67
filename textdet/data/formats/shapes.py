"""Outlines as other tools write them: turned boxes, upright ones, quads; marks of don't-care."""

import re
from collections.abc import Iterable

import cv2
import numpy as np

from textdet.common.geometry import rectangle, start_at_top_left
from textdet.data.annotation import rounded

DONT_CARE = "###"  # a transcription that says so, in ICDAR's files and most others
# Labels that say so, in lower case without spaces and punctuation.
IGNORED = frozenset(
    ("ignore", "ignored", "dontcare", "donotcare", "illegible", "unreadable", "difficult")
)
TOLERANCE = 0.005  # px; coordinates are written to 1/100


def is_ignored(text: str, labels: Iterable[object] = ()) -> bool:
    """Whether a word is marked as don't-care.

    Params:
        text: its transcription.
        labels: names of its class or classes.
    """
    return text.strip() == DONT_CARE or any(
        re.sub(r"[\W_]", "", str(label).lower()) in IGNORED for label in labels
    )


def turned_box(
    box: tuple[float, float, float, float], degrees: float, about: tuple[float, float]
) -> np.ndarray:
    """Corners (4, 2) float64 of a box that was turned clockwise.

    Params:
        box: left, top, right, bottom before, px.
        degrees: by how much.
        about: the point that stays, px.
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return (rectangle(*box) - about) @ np.array([[cos, sin], [-sin, cos]]) + about


def bounds(outline: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an outline (k, 2), px, to 1/100."""
    points = np.asarray(outline, np.float64)
    left, top, right, bottom = np.round([*points.min(0), *points.max(0)], 2).tolist()
    return left, top, right, bottom


def is_upright(outline: np.ndarray) -> bool:
    """Whether an outline is an upright box that starts at its top left corner."""
    if len(outline) != 4:
        return False
    return bool((np.abs(outline - rectangle(*bounds(outline))) < TOLERANCE).all())


def as_quad(outline: np.ndarray) -> np.ndarray:
    """An outline's four corners: its own, or those of the smallest turned box around it.

    Params:
        outline: (k, 2) px.

    Returns:
        (4, 2) float32, clockwise.
    """
    outline = np.asarray(outline, np.float32)
    if len(outline) == 4:
        return outline
    return start_at_top_left(cv2.boxPoints(cv2.minAreaRect(outline))[None])[0]


def coco_shape(outline: np.ndarray) -> dict:
    """An outline as COCO has it: its box [left, top, width, height] and the polygon, px."""
    left, top, right, bottom = bounds(outline)
    box = [left, top, round(right - left, 2), round(bottom - top, 2)]
    return {"bbox": box, "segmentation": [np.ravel(rounded(outline)).tolist()]}


def icdar_corners(outline: np.ndarray) -> str:
    """An outline's four corners as ICDAR 2015 wants them, x1,y1,...,x4,y4 in whole px."""
    return ",".join(str(value) for value in np.rint(as_quad(outline)).astype(int).ravel())
