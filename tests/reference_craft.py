"""CRAFT's box decoding written the plain way: whole-image work for every component.

Slow, and independent of craft_utils; the tests compare the two.
"""

import cv2
import numpy as np
from scipy import ndimage

FOUR_CONNECTED = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]


def reference_boxes(textmap, linkmap, text_threshold, link_threshold, low_text):
    """List of float32 (4, 2) boxes in map pixels, clockwise from the smallest x + y."""
    text = textmap > low_text
    link = linkmap > link_threshold
    labels, count = ndimage.label(text | link, FOUR_CONNECTED)
    boxes = []
    for label in range(1, count + 1):
        component = labels == label
        area = int(component.sum())
        if area < 10 or textmap[component].max() < text_threshold:
            continue
        rows = np.flatnonzero(component.any(axis=1))
        columns = np.flatnonzero(component.any(axis=0))
        component[link & ~text] = False
        if component.any():
            grown = grow(component, area, rows[0], rows[-1], columns[0], columns[-1])
            boxes.append(wrap(grown))
    return boxes


def grow(component, area, top, bottom, left, right):
    """Dilate once, in the bounding box grown by niter and clamped to the image."""
    h, w = bottom - top + 1, right - left + 1
    niter = int(np.sqrt(area * min(w, h) / (w * h)) * 2)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (1 + niter, 1 + niter))
    y0, y1 = max(top - niter, 0), min(bottom + niter + 1, component.shape[0])
    x0, x1 = max(left - niter, 0), min(right + niter + 1, component.shape[1])
    grown = component.astype(np.uint8)
    grown[y0:y1, x0:x1] = cv2.dilate(grown[y0:y1, x0:x1].copy(), kernel)
    return grown


def wrap(mask):
    """The rectangle of minimal area, or the upright one when that is nearly a square."""
    ys, xs = np.nonzero(mask)
    box = cv2.boxPoints(cv2.minAreaRect(np.stack([xs, ys], axis=1).astype(np.int32)))
    first, second = np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[1] - box[2])
    if abs(1 - max(first, second) / (min(first, second) + 1e-5)) <= 0.1:
        left, right, top, bottom = xs.min(), xs.max(), ys.min(), ys.max()
        box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    return np.roll(box, -int(box.sum(axis=1).argmin()), axis=0)
