"""Letters that stand evenly spaced are one word, however weak a link among them is."""

import cv2
import numpy as np

from basin_utils import basins

SMOOTHING = 0.12  # of a word's height, over which its profile is averaged
FARTHEST = 1.35  # times the distance of the other letters: farther apart they are two words
SHALLOWEST = 0.85  # times the map between the other letters: lower it is a space
MIN_LENGTH = 1.2  # length / height of a word; what is shorter shows no spacing


def restore_even_links(
    textmap: np.ndarray,
    is_text: np.ndarray,
    is_link: np.ndarray,
    loose: np.ndarray,
    labels: np.ndarray,
    wholes: np.ndarray,
    windows: list[tuple[int, tuple[slice, slice]]],
) -> None:
    """Put links back that join pieces of a word.

    Where the affinity between two letters is weak, their distance and the map between them tell
    whether a space is there: they are compared with those of the letters that are linked.

    Params:
        textmap: (H, W) character map, uint8, 0..255, or float, 0..1.
        is_text: bool (H, W), pixels of characters.
        is_link: bool (H, W), the links that are left; links are added in place.
        loose: bool (H, W), these and the weak ones.
        labels: int32 (H, W), components of text and links: the pieces.
        wholes: int32 (H, W), components of text and loose links.
        windows: label and window of each of the wholes that are looked at.
    """
    unit = 255 if textmap.dtype == np.uint8 else 1
    for whole, window in windows:
        inside = wholes[window] == whole
        y, x = np.nonzero(inside & is_text[window])
        points = np.stack([x, y], axis=1).astype(np.float32)
        corners = cv2.boxPoints(cv2.minAreaRect(points))
        sides = corners[1] - corners[0], corners[2] - corners[1]
        height, length = sorted(np.linalg.norm(side) + 1 for side in sides)
        if length < MIN_LENGTH * height:
            continue
        along = max(sides, key=np.linalg.norm) / (length - 1)
        start = (points @ along).min()
        values = textmap[window][y, x] / unit
        gaps = _even_gaps(
            (points @ along - start).astype(int), values, labels[window][y, x], height
        )
        if not gaps:
            continue
        y, x = np.nonzero(inside & loose[window])
        place = np.stack([x, y], axis=1) @ along - start
        for first, last in gaps:
            between = (place >= first) & (place <= last)
            is_link[window][y[between], x[between]] = True


def _even_gaps(places, values, owners, height) -> list[tuple[int, int]]:
    """From where to where along a word neighbouring letters of different pieces are no farther
    apart than others, nor the map between them lower.

    places: int (n,), px along the word, of each pixel. values: (n,), of the map, 0..1. owners: int
    (n,), piece of each pixel. height: px, of the word.
    """
    profile = np.zeros(places.max() + 1)
    np.maximum.at(profile, places, values)
    width = int(SMOOTHING * height) | 1
    if width >= len(profile):
        return []
    profile = np.convolve(profile, np.full(width, 1 / width), "same")
    peaks, valleys = (np.array(found, int) for found in basins(profile, None))
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
