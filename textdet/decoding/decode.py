"""From a network's maps to words, by the settings of a model's detection.json."""

import cv2
import numpy as np

from textdet.common.errors import DataError
from textdet.common.geometry import directions, side_lengths
from textdet.decoding.components import Detections, score_maps
from textdet.decoding.craft import decode_craft
from textdet.decoding.proportional import decode_proportional
from textdet.decoding.settings import DetectionSettings

LARGE_WORD = 72  # px, height in the network's input from which a word is large


def decode_maps(maps: np.ndarray, settings: DetectionSettings, poly: bool = False) -> Detections:
    """Find the words of one image's maps.

    Params:
        maps: (2, H, W) character then affinity, at the resolution of the network's input; uint8,
            0..255 for 0..1, or float, 0..1.
        poly: also follow curved words with polygons.

    Returns:
        Detections, boxes and polygons float32.

    Raises:
        DataError: maps that cannot be decoded.
    """
    maps = np.asarray(maps)
    if maps.ndim != 3 or len(maps) != 2:
        raise DataError(f"maps must be (2, H, W), character and affinity, not {maps.shape}")
    scored = score_maps(*maps, settings.text_threshold, settings.link_threshold, settings.low_text)
    if settings.decoder == "craft":
        found = decode_craft(scored, poly)
    else:
        found = decode_proportional(scored, poly, settings.relative_link)
    margin = settings.box_margin
    polys = [None if p is None else add_margin(p[None], margin)[0] for p in found.polys]
    return Detections(add_margin(found.boxes, margin), found.scores, polys)


def take_large_words(maps: np.ndarray, smaller: np.ndarray) -> None:
    """Put large words as a smaller view of the image shows them into its maps, in place.

    Close by, letters much larger than those that the network learned from fall to pieces.

    Params:
        maps: (2, H, W) uint8, character then affinity.
        smaller: (2, h, w) uint8, of the smaller view. Its words that are at least LARGE_WORD px
            high in `maps` replace what `maps` has there. They are found with CRAFT's thresholds,
            so that maps kept for tune.py do not depend on those that it tries.
    """
    height, width = maps.shape[1:]
    boxes = decode_maps(smaller, DetectionSettings()).boxes
    boxes = boxes * np.float32([width / smaller.shape[2], height / smaller.shape[1]])
    boxes = boxes[side_lengths(boxes).min(axis=1) >= LARGE_WORD]
    if not len(boxes):
        return
    inside = np.zeros((height, width), np.uint8)
    for box in np.round(boxes).astype(np.int32):
        cv2.fillConvexPoly(inside, box, 1)
    for ours, theirs in zip(maps, smaller, strict=True):
        theirs = cv2.resize(theirs, (width, height), interpolation=cv2.INTER_LINEAR)
        np.copyto(ours, theirs, where=inside > 0)


def add_margin(outlines: np.ndarray, margin: float) -> np.ndarray:
    """Move every side of some words' outlines outwards.

    Params:
        outlines: (N, 2K, 2) float, K >= 2 points along one long or short side of each word, K
            back along the other: boxes and the decoders' polygons.
        margin: by how much, in the outlines' unit.

    Returns:
        The new outlines, (N, 2K, 2) float32.
    """
    half = outlines.shape[1] // 2
    upper, lower = outlines[:, :half], outlines[:, : half - 1 : -1]
    across, steps = upper - lower, np.diff((upper + lower) / 2, axis=1)
    outwards = np.zeros_like(upper)  # of the ends
    outwards[:, 0], outwards[:, -1] = -directions(steps[:, 0]), directions(steps[:, -1])
    upper = upper + margin * (outwards + directions(across))
    lower = lower + margin * (outwards - directions(across))
    return np.concatenate([upper, lower[:, ::-1]], axis=1).astype(np.float32)
