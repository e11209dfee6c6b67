"""From CRAFT's two maps to word boxes, with the names of the authors' release.

    boxes, polys = getDetBoxes(textmap, linkmap, 0.7, 0.4, 0.4)
    boxes = adjustResultCoordinates(boxes, ratio_w, ratio_h, ratio_net=4)

The method is that of "Character Region Awareness for Text Detection" (Baek et al., CVPR 2019).
Coordinates are pixel indices of the maps, x then y, so 0 is the centre of the first pixel;
everywhere else in this project it is that pixel's edge.
"""

import numpy as np

from textdet.decoding.components import score_maps
from textdet.decoding.craft import decode_craft

PIXEL_CENTRE = 0.5  # px, from a pixel's edge, where the project's coordinates begin, to its centre


def getDetBoxes(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    text_threshold: float,
    link_threshold: float,
    low_text: float,
    poly: bool = False,
) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """The words of one pair of maps, as in the CRAFT release.

    Params:
        textmap: (H, W) character map (region score), float, about 0..1, or uint8, 0..255.
        linkmap: (H, W) affinity map, likewise.
        text_threshold: 0..1, a word needs a character score of at least this somewhere.
        link_threshold: 0..1, above it a pixel joins the characters beside it.
        low_text: 0..1, above it a pixel belongs to a character.
        poly: also follow curved words with polygons.

    Returns:
        boxes: float32 (N, 4, 2), map pixels, clockwise from the corner with the smallest x + y.
        polys: list of N entries, float32 (14, 2), clockwise, seven points along the upper side of
            a curved word and seven back; or None (use the box).

    Raises:
        ValueError: maps that are not two equally large, non-empty, finite (H, W) arrays, or a
            threshold outside 0..1.
    """
    thresholds = {
        "text_threshold": text_threshold,
        "link_threshold": link_threshold,
        "low_text": low_text,
    }
    for name, value in thresholds.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in 0..1, got {value}")
    found = decode_craft(score_maps(textmap, linkmap, **thresholds), poly)

    def to_indices(points: np.ndarray) -> np.ndarray:
        return (points - PIXEL_CENTRE).astype(np.float32)

    polys = [None if polygon is None else to_indices(polygon) for polygon in found.polys]
    return to_indices(found.boxes), polys


def adjustResultCoordinates(
    polys: np.ndarray | list[np.ndarray | None],
    ratio_w: float,
    ratio_h: float,
    ratio_net: float = 2,
) -> np.ndarray | list[np.ndarray | None]:
    """Scale boxes or polygons from map pixels to pixels of the original image.

    Params:
        polys: float (N, K, 2) array, or a list of (K, 2) arrays and Nones. Left as it is.
        ratio_w, ratio_h: original size / size of the network's input.
        ratio_net: size of the network's input / size of the maps.

    Returns:
        As given, an array or a list, float32; None entries stay None.
    """
    scale = np.array([ratio_w * ratio_net, ratio_h * ratio_net], np.float32)
    if isinstance(polys, np.ndarray):
        return polys.astype(np.float32) * scale
    return [None if poly is None else np.asarray(poly, np.float32) * scale for poly in polys]
