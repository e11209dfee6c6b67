"""From CRAFT's two maps to word boxes: the decoder of "Character Region Awareness for Text
Detection" (Baek et al., CVPR 2019), with the names of the authors' release.

    boxes, polys = getDetBoxes(textmap, linkmap, 0.7, 0.4, 0.4)
    boxes = adjustResultCoordinates(boxes, ratio_w, ratio_h, ratio_net=4)

The corners of getDetBoxes are those of the reference implementation; detect_words has a second
decoder, "proportional", which fits the maps' Gaussians better.

Coordinates are pixel indices of the maps, x then y; a box is four corners, clockwise as seen on
the image.
"""

import numpy as np

from textdet.decoding.craft import detect_words


def getDetBoxes(textmap, linkmap, text_threshold, link_threshold, low_text, poly=False):
    """The words of one pair of maps, as in the CRAFT release.

    Params: those of detect_words.

    Returns:
        boxes: float32 (N, 4, 2), map pixels, clockwise from the corner with the smallest x + y.
        polys: list of N entries, float32 (14, 2) or None (use the box).
    """
    found = detect_words(textmap, linkmap, text_threshold, link_threshold, low_text, poly)
    return found.boxes, found.polys


def adjustResultCoordinates(polys, ratio_w, ratio_h, ratio_net=2):
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
