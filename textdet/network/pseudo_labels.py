"""Word boxes to character cells with a trained model.

The weak supervision of CRAFT: Baek et al., "Character Region Awareness for Text Detection", CVPR
2019, section 3.2.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from textdet.common.bidi import visual_runs
from textdet.common.geometry import (
    CENTRE,
    FROM_CENTRE,
    arc_lengths,
    directions,
    map_points,
    quad_size,
    rectangle,
    signed_area,
)
from textdet.common.letters import letters_of
from textdet.data.annotation import Word
from textdet.decoding.characters import FOREGROUND, ink_outline, peak_clarity, split_characters
from textdet.network.runtimes import STRIDE

WORD_HEIGHT = 48  # px, to which a word is brought for the network
CROP_MARGIN = 0.5  # of the word's height, around it: the network is used to surroundings
MAX_WIDTH = 1024  # px of a crop; longer words are shrunk to it
TALL_ASPECT = 1.5  # height / width from which an upright word of several letters runs downwards
MIN_CORNER_AREA = 0.05  # of a quad's area: a corner's triangle, doubled, is at least so large
LOWEST_CONFIDENCE = 0.5  # a confidence at or below it: the word is cut into equal parts (CRAFT)


# --- All words of some images ----------------------------------------------------------------


def label_images(
    images: list[np.ndarray],
    words: list[list[Word]],
    predict: Callable[[np.ndarray], np.ndarray],
    batch_size: int,
    ignored_weight: float = 0.0,
) -> list[list[Word]]:
    """Give the words of some images their characters.

    Params:
        images: (H, W, 3) uint8 RGB each.
        words: those of each image.
        predict: the network, (B, h, w, 3) uint8 to maps (B, 2, h, w) uint8, 0..255 for 0..1,
            character then affinity; h and w are multiples of STRIDE.
        batch_size: crops that it sees at once.
        ignored_weight: 0..1, see label_word.

    Returns:
        The words of each image; don't-care words, and those without extent, as don't-care.
    """
    frames = {
        (i, k): frame
        for i, own in enumerate(words)
        for k, word in enumerate(own)
        if (ignored_weight or not word.ignore) and (frame := frame_of(word.polygon)) is not None
    }
    labelled = [[unlabelled(word) for word in own] for own in words]

    def size_of(place: tuple[int, int]) -> tuple[int, int]:
        return frames[place].size

    for _, group in itertools.groupby(sorted(frames, key=size_of), key=size_of):
        places = list(group)
        for start in range(0, len(places), batch_size):
            batch = places[start : start + batch_size]
            # Cut now: all crops of a page with thousands of words would take gigabytes.
            crops = [cut_crop(images[i], frames[i, k]) for i, k in batch]
            maps = predict(np.stack([crop.pixels for crop in crops]))
            for (i, k), crop, (textmap, _) in zip(batch, crops, maps, strict=True):
                labelled[i][k] = label_word(words[i][k], crop, textmap, ignored_weight)
    return labelled


# --- Word to crop ----------------------------------------------------------------------------


@dataclass
class Crop:
    """A word brought upright and to a common height.

    Params:
        pixels: (h, w, 3) uint8, sides multiples of STRIDE.
        polygon: (k, 2) px, the word in it.
        to_image: (3, 3) homography from the crop's continuous coordinates to the image's.
    """

    pixels: np.ndarray
    polygon: np.ndarray
    to_image: np.ndarray


@dataclass
class Frame:
    """How a word is brought upright and to a common height.

    Params:
        polygon: (k, 2) px of the image, with two sides or four corners.
        to_crop: (3, 3) homography from the image's continuous coordinates to the crop's.
        size: width and height of the crop, px, multiples of STRIDE.
        scale: px of the crop for one of the image.
    """

    polygon: np.ndarray
    to_crop: np.ndarray
    size: tuple[int, int]
    scale: float


def frame_of(polygon: np.ndarray) -> Frame | None:
    """How a word is to be cut out of its image.

    Params:
        polygon: (k, 2) px, clockwise from the top left corner as one reads.

    Returns:
        The frame; None when the word has no extent.
    """
    if len(polygon) % 2 or (len(polygon) == 4 and not is_convex(polygon)):
        polygon = enclosing_quad(polygon)  # an outline has two sides, a quad four corners
    quad = polygon if len(polygon) == 4 else enclosing_quad(polygon)
    width, height = quad_size(quad)
    if min(width, height) < 1:
        return None
    lateral = width if _is_tall(quad) else height
    scale = min(WORD_HEIGHT / lateral, MAX_WIDTH / max(width, height))
    width, height, margin = width * scale, height * scale, CROP_MARGIN * lateral * scale
    right, bottom = margin + width, margin + height
    inner = rectangle(margin, margin, right, bottom).astype(np.float32)
    to_crop = cv2.getPerspectiveTransform(quad.astype(np.float32), inner)
    size = tuple(int(-(-(side + margin) // STRIDE) * STRIDE) for side in (right, bottom))
    return Frame(polygon, to_crop, size, scale)


def cut_crop(image: np.ndarray, frame: Frame) -> Crop:
    """Cut a word out of its image.

    Params:
        image: (H, W, 3) or (H, W) uint8.
        frame: see frame_of.
    """
    pixels = cv2.warpPerspective(
        image,
        FROM_CENTRE @ frame.to_crop @ CENTRE,
        frame.size,
        flags=cv2.INTER_AREA if frame.scale < 1 else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return Crop(pixels, map_points(frame.to_crop, frame.polygon), np.linalg.inv(frame.to_crop))


def crop_word(image: np.ndarray, polygon: np.ndarray) -> Crop | None:
    """Cut a word out of an image.

    Params:
        image: (H, W, 3) or (H, W) uint8.
        polygon: (k, 2) px, clockwise from the top left corner as one reads.

    Returns:
        The crop; None when the word has no extent.
    """
    frame = frame_of(polygon)
    return None if frame is None else cut_crop(image, frame)


def is_convex(quad: np.ndarray) -> bool:
    """Whether the four corners of a quad all turn one way, none of them nearly flat.

    Only then there is a homography to a rectangle.

    Params:
        quad: (4, 2), in any order of turning.
    """
    sides = np.roll(quad, -1, 0) - quad
    following = np.roll(sides, -1, 0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    area = turns.sum() / 4  # of a parallelogram
    return bool((turns * np.sign(area) > MIN_CORNER_AREA * abs(area)).all())


def enclosing_quad(polygon: np.ndarray) -> np.ndarray:
    """The smallest turned rectangle around a polygon.

    Params:
        polygon: (k, 2) px, clockwise from the top left corner as one reads.

    Returns:
        (4, 2) float32 px, clockwise from the corner where the polygon's reading begins.
    """
    corners = cv2.boxPoints(cv2.minAreaRect(polygon.astype(np.float32)))
    if signed_area(corners) < 0:
        corners = corners[::-1]
    reading = np.zeros(2)
    # Of an odd number of points one side has one more; the split that lets both run alike counts.
    for half in {len(polygon) // 2, -(-len(polygon) // 2)}:
        sides = np.stack([polygon[half - 1] - polygon[0], polygon[half] - polygon[-1]])
        reading += max(np.dot(*directions(sides)), 1e-6) * sides.sum(0)
    along = directions(np.roll(corners, -1, 0) - corners)
    return np.roll(corners, -int((along @ reading).argmax()), axis=0)


# --- Crop and map to characters --------------------------------------------------------------


def label_word(word: Word, crop: Crop, textmap: np.ndarray, ignored_weight: float = 0.0) -> Word:
    """Give a word the cells that the model sees in its crop, and how far they can be trusted.

    Confidence is (l - |l - lc|) / l for l letters and lc cells found; at LOWEST_CONFIDENCE or below
    the word is cut into l equal parts, and that is its confidence. A word without a transcription
    has what was found, trusted by how clear it is, LOWEST_CONFIDENCE at least; it is don't-care
    when nothing was. The cells fill the word's ink, not the room that people leave around it, where
    neighbouring words would touch.

    Params:
        word: as annotated, in px of the image.
        crop: of it.
        textmap: (h, w) uint8, 0..255 for 0..1, the crop's character map.
        ignored_weight: 0..1, how much a don't-care word counts in training, times its confidence.
            Its transcription is not relied on, and it stays don't-care.

    Returns:
        A new word with its characters' quads, (n, 4, 2) px of the image.
    """
    letters = [] if word.ignore else letters_of(word.text)
    if len(letters) > max(textmap.shape):  # narrower than a pixel: this is not what it says
        return unlabelled(word)
    outline = ink_outline(textmap, crop.polygon)
    quads = split_characters(textmap, outline)
    known, found, confidence = len(letters), len(quads), LOWEST_CONFIDENCE
    if known:
        confidence = (known - min(known, abs(known - found))) / known
        if confidence <= LOWEST_CONFIDENCE:
            quads, confidence = cut_evenly(outline, known), LOWEST_CONFIDENCE
        elif known != found:
            quads = split_characters(textmap, outline, known)
    elif _has_ink(textmap, crop.polygon):
        confidence = max(LOWEST_CONFIDENCE, peak_clarity(textmap, outline))
    else:
        return unlabelled(word)
    weight = ignored_weight * confidence if word.ignore else None
    texts = letters or [""] * len(quads)
    # Letters one below the other start at their top right corner: affinity_quads joins them.
    quads = np.roll(quads, -1, axis=1) if _is_stack(quads) else _in_reading_order(quads, letters)
    quads = map_points(crop.to_image, quads)
    return Word(word.text, texts, quads, word.polygon, word.ignore, confidence, weight)


def unlabelled(word: Word) -> Word:
    """A word as don't-care and without characters, whatever an earlier labelling gave it: the maps
    would show them beyond its outline, where they count."""
    return Word(word.text, [], word.quads[:0], word.polygon, True)


def _has_ink(textmap: np.ndarray, polygon: np.ndarray) -> bool:
    """Whether the map has a character's peak within the box around a polygon."""
    (left, top), (right, bottom) = polygon.min(0).astype(int), np.ceil(polygon.max(0)).astype(int)
    return bool(textmap[top:bottom, left:right].max() >= 255 * FOREGROUND)


def _is_stack(quads: np.ndarray) -> bool:
    """Whether letters stand one below the other."""
    if len(quads) < 2:
        return False
    step = quads[-1].mean(0) - quads[0].mean(0)
    right, down = (quads[:, 1] - quads[:, 0]).mean(0), (quads[:, 3] - quads[:, 0]).mean(0)
    return abs(step @ down) * np.linalg.norm(right) > abs(step @ right) * np.linalg.norm(down)


def _in_reading_order(quads: np.ndarray, letters: list[str]) -> np.ndarray:
    """A word's quads from left to right in the order of its letters, which may run from right to
    left; without letters as they are."""
    if not letters:
        return quads
    runs = visual_runs("".join(letters))
    seen = [k for start, end, back in runs for k in range(start, end)[:: -1 if back else 1]]
    starts = np.cumsum([0, *map(len, letters[:-1])])
    return quads[np.argsort(seen)[starts].argsort().argsort()]


def cut_evenly(polygon: np.ndarray, parts: int) -> np.ndarray:
    """Cut a word's outline into equal parts along its reading direction.

    A tall upright outline is cut downwards.

    Params:
        polygon: (2K, 2); the first half of its points is the upper side, the second the lower one,
            backwards.
        parts: how many.

    Returns:
        (parts, 4, 2), in the polygon's coordinates.
    """
    half = len(polygon) // 2
    upper, lower = polygon[:half], polygon[: half - 1 : -1]
    if len(polygon) == 4 and parts > 1 and _is_tall(polygon):
        left, right = (_along(np.stack(side), parts) for side in zip(upper, lower, strict=True))
        return np.stack([left[:-1], right[:-1], right[1:], left[1:]], 1)
    above, below = _along(upper, parts), _along(lower, parts)
    return np.stack([above[:-1], above[1:], below[1:], below[:-1]], 1)


def _is_tall(quad: np.ndarray) -> bool:
    width, height = quad_size(quad)
    return height > TALL_ASPECT * width


def _along(line: np.ndarray, parts: int) -> np.ndarray:
    """Points (parts + 1, 2) at equal distances along a polyline (k, 2)."""
    at = arc_lengths(line)
    wanted = np.linspace(0, at[-1], parts + 1)
    return np.stack([np.interp(wanted, at, line[:, axis]) for axis in (0, 1)], 1)
