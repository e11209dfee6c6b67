"""From a network's maps to words, by the settings of a model's detection.json."""

import cv2
import numpy as np

from textdet.common.errors import DataError
from textdet.common.geometry import directions, side_lengths
from textdet.decoding.components import Detections, score_maps
from textdet.decoding.craft import decode_craft
from textdet.decoding.proportional import decode_proportional
from textdet.decoding.settings import DetectionSettings

LARGE_WORD = 60  # px, height in the network's input from which a word is large
SURE = 0.88  # 0..1, what a large word's highest character value must reach in the smaller view


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

    Close by, letters much larger than those that the network learned from fall to pieces. From
    afar, lines of small text run together to one large blot.

    Params:
        maps: (2, H, W) uint8, character then affinity.
        smaller: (2, h, w) uint8, of the smaller view. Its words that are at least LARGE_WORD px
            high in `maps` and as clear as SURE replace what `maps` has there, unless `maps` has
            two or more words of less than half their height in them. All are found with fixed
            thresholds, so that maps kept for tune.py do not depend on those that it tries.
    """
    height, width = maps.shape[1:]
    large = decode_maps(smaller, DetectionSettings(text_threshold=SURE)).boxes
    large = large * np.float32([width / smaller.shape[2], height / smaller.shape[1]])
    large = large[side_lengths(large).min(axis=1) >= LARGE_WORD]
    if not len(large):
        return
    close = decode_maps(maps, DetectionSettings()).boxes
    inside = np.zeros((height, width), np.uint8)
    for box in large:
        if not _holds_small_words(box, close):
            cv2.fillConvexPoly(inside, np.round(box).astype(np.int32), 1)
    for ours, theirs in zip(maps, smaller, strict=True):
        theirs = cv2.resize(theirs, (width, height), interpolation=cv2.INTER_LINEAR)
        np.copyto(ours, theirs, where=inside > 0)


def _holds_small_words(large: np.ndarray, boxes: np.ndarray) -> bool:
    """Whether two or more of the boxes (N, 4, 2) lie in a large one (4, 2) and reach across less
    than half of its height."""
    side = min(large[1:3] - large[:2], key=np.linalg.norm)  # across the word
    reach = np.ptp(boxes @ side, axis=1) / (side @ side)  # times its height
    small = boxes[reach < 0.5].mean(axis=1)
    inside = [cv2.pointPolygonTest(large, centre, measureDist=False) > 0 for centre in small]
    return sum(inside) >= 2


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
