"""Letters that stand evenly spaced are one word, however weak a link among them is."""

import cv2
import numpy as np

from textdet.decoding.basins import basins

SMOOTHING = 0.12  # of a word's height, over which its profile is averaged
FARTHEST = 1.35  # times the distance of the other letters: farther apart they are two words
SHALLOWEST = 0.85  # times the map between the other letters: lower it is a space
MIN_LENGTH = 1.2  # length / height of a word; what is shorter shows no spacing


def even_gaps(
    textmap: np.ndarray, is_text: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Where pieces of a word belong together, as the spacing of its letters shows.

    Where the affinity between two letters is weak, their distance and the map between them tell
    whether a space is there: they are compared with those of the letters that are linked.

    Params:
        textmap: (h, w) character map around the word, uint8, 0..255, or float, 0..1.
        is_text: bool (h, w), pixels of the word's characters.
        labels: int (h, w), the piece of each.

    Returns:
        along: float (2,), x and y of a step of one px along the word.
        gaps: from where to where, as products with `along`, a space would be and is not.
    """
    y, x = np.nonzero(is_text)
    points = np.stack([x, y], axis=1).astype(np.float32)
    corners = cv2.boxPoints(cv2.minAreaRect(points))
    sides = corners[1] - corners[0], corners[2] - corners[1]
    height, length = sorted(np.linalg.norm(side) + 1 for side in sides)
    along = max(sides, key=np.linalg.norm) / max(length - 1, 1)
    if length < MIN_LENGTH * height:
        return along, []
    places = points @ along
    start = places.min()
    values = textmap[y, x] / (255 if textmap.dtype == np.uint8 else 1)
    found = _gaps((places - start).astype(int), values, labels[y, x], height)
    return along, [(start + first, start + last) for first, last in found]


def _gaps(places, values, owners, height) -> list[tuple[int, int]]:
    """From where to where along a word letters of two pieces are no farther apart than others, nor
    the map between them lower.

    places: int (n,), px along the word, of each pixel. values: (n,), of the map, 0..1. owners: int
    (n,), piece of each pixel. height: px, of the word.
    """
    profile = np.zeros(places.max() + 1)
    np.maximum.at(profile, places, values)
    width = int(SMOOTHING * height) | 1
    if width >= len(profile):
        return []
    profile = np.convolve(profile, np.full(width, 1 / width), "same")
    peaks, valleys = (np.array(found, int) for found in basins(profile))
    if len(peaks) < 3:
        return []
    order = np.lexsort((values, places))  # the last pixel of each place is its brightest
    brightest = np.searchsorted(places[order], peaks, side="right") - 1
    pieces = owners[order][brightest]
    is_linked = pieces[1:] == pieces[:-1]
    if not is_linked.any():
        return []
    distances, depths = np.diff(peaks), profile[valleys]
    is_even = distances <= FARTHEST * np.median(distances[is_linked])
    is_even &= depths >= SHALLOWEST * np.median(depths[is_linked])
    return [(peaks[i], peaks[i + 1]) for i in np.flatnonzero(is_even & ~is_linked)]
