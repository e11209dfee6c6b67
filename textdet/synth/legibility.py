"""Which words a person could still read once the picture is finished: the others are don't-care."""

from dataclasses import replace

import cv2
import numpy as np

from textdet.common.stage_times import stage
from textdet.data.annotation import Word
from textdet.synth.settings import GeneratorSettings

INKED, CLEAR = 150, 25  # levels of coverage: letters at or above the first, none below the second
REACH = 4  # px around the letters that they have to differ from
MEASURED_PIXELS = 600  # pixels of a word that are looked at
GROUND, LETTERS = 1, 2


@stage("legibility")
def mark_illegible(
    settings: GeneratorSettings, image: np.ndarray, ink: np.ndarray, words: list[Word]
) -> list[Word]:
    """Mark the words that cannot be told from what is around them as don't-care.

    Params:
        image: (h, w, 3) uint8 RGB, finished.
        ink: (h, w) uint8, coverage of all letters in it.
        words: in its continuous coordinates.

    Returns:
        all words in their order; those marked are copies.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    near = cv2.dilate(ink, np.ones((2 * REACH + 1,) * 2, np.uint8)) >= CLEAR
    parts = np.uint8(near & (ink < CLEAR)) * GROUND
    parts[ink >= INKED] = LETTERS
    return [
        word if is_legible(settings, lab, parts, word.polygon) else replace(word, ignore=True)
        for word in words
    ]


def is_legible(
    settings: GeneratorSettings, lab: np.ndarray, parts: np.ndarray, polygon: np.ndarray
) -> bool:
    """Whether a word's letters differ enough from the ground beside them, and from its noise.

    Both are compared along the colour axis on which their means differ.

    Params:
        lab: (h, w, 3) uint8, the image in OpenCV's CIELAB.
        parts: (h, w) uint8: LETTERS, GROUND or neither.
        polygon: (k, 2) px, the word's, in the image's continuous coordinates.

    Returns:
        True as well where the word has no pixels of letters or of ground to compare.
    """
    left, top = np.floor(polygon.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(polygon.max(0)).astype(int)
    step = max(1, int(np.sqrt((bottom - top) * (right - left) / MEASURED_PIXELS)))
    part = parts[top:bottom:step, left:right:step]
    colours = lab[top:bottom:step, left:right:step]
    letters, ground = colours[part == LETTERS], colours[part == GROUND]
    if not len(letters) or not len(ground):
        return True  # strokes too fine to be told apart here, or a bar that fills its cell
    # L runs to 255 in OpenCV; hue counts half, as where inks are chosen.
    letters, ground = (np.float32(p) * np.float32([100 / 255, 0.5, 0.5]) for p in (letters, ground))
    apart = letters.mean(0) - ground.mean(0)
    distance = float(np.linalg.norm(apart))
    if distance < settings.LEGIBLE_DISTANCE:
        return False
    axis = apart / distance
    noise = np.sqrt(((letters @ axis).var() + (ground @ axis).var()) / 2)
    return bool(distance >= settings.LEGIBLE_RATIO * noise)
