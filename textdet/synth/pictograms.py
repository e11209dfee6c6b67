"""Pictograms: people, vehicles, faces, arrows. They are not text, though they often stand beside
it in the same ink, so a detector has to learn to leave them alone."""

import functools
import re

import numpy as np

from static.constants import PICTOGRAMS
from textdet.common.geometry import rectangle
from textdet.data.annotation import moved_words
from textdet.synth.fonts import Font
from textdet.synth.settings import GeneratorSettings
from textdet.synth.typeset import TextLayer

# Names of glyphs with letters, digits or currency in them, and of those that look like a letter or
# a punctuation mark; and what nobody would put on a sign.
WRITING = re.compile(
    r"\b(\w|\d+|ad|asterisk|at|audio|awesome|bars|blog|bold|captioning|circle|code|copyright|csv|"
    r"description|divide|dollar|equals?|excel|exclamation|finger|font|genderless|grip|gun|"
    r"hashtag|heading|helicopter|hospital|info|invoice|italic|joint|language|medical|memory|"
    r"military|minus|neuter|nfi|ngo|ol|om|paragraph|parking|pause|pdf|percent|plus|poop?|"
    r"powerpoint|prescription|question|quote|receipt|registered|rifle|ring|root|section|sign|"
    r"slash|sms|spell|stop|strikethrough|subscript|superscript|terminal|text|than|trademark|"
    r"tty|un|underline|usa|web|word|xmark)\b"
)
SIDES = ("left", "left", "left", "right", "above", "below")  # of a block, as often as named


@functools.cache
def load_pictograms() -> tuple[Font, list[int]]:
    """Load the font of pictograms, once a process.

    Returns:
        the font, and the indices of the glyphs in it that hold no writing.

    Raises:
        DataError: the file is not a usable font.
    """
    font = Font(PICTOGRAMS)
    return font, [i for name, i in font.named_glyphs().items() if not WRITING.search(name)]


def draw_pictogram(rng: np.random.Generator, size: float) -> np.ndarray:
    """Draw a random pictogram, at times mirrored, without a border.

    Params:
        size: px an em of the font of pictograms, about their height and width.

    Returns:
        (h, w) uint8 coverage.
    """
    font, glyphs = load_pictograms()
    font.set_size(size)
    bitmap, _, _ = font.bitmap(glyphs[rng.integers(len(glyphs))])
    return bitmap[:, ::-1] if rng.random() < 0.5 else bitmap


def add_pictogram(
    rng: np.random.Generator, settings: GeneratorSettings, layer: TextLayer, size: float
) -> TextLayer:
    """Put a pictogram on one side of a straight block.

    Params:
        layer: the block; it stays as it is.
        size: px of the layer an em.

    Returns:
        a larger layer, with the same words at their new places.
    """
    coverage = draw_pictogram(rng, size * rng.uniform(*settings.PICTOGRAM_SIZE))
    gap = round(size * rng.uniform(*settings.PICTOGRAM_GAP))
    side = SIDES[rng.integers(len(SIDES))]
    (h, w), (height, width) = coverage.shape, layer.alpha.shape
    if side in ("left", "right"):
        shape = max(h, height), width + gap + w
        text = ((w + gap) * (side == "left"), (shape[0] - height) // 2)
        at = (width + gap) * (side == "right"), (shape[0] - h) // 2
    else:
        shape = height + gap + h, max(w, width)
        text = (shape[1] - width) // 2, (h + gap) * (side == "above")
        at = (shape[1] - w) // 2, (height + gap) * (side == "below")
    alpha = np.zeros(shape, np.uint8)
    alpha[text[1] : text[1] + height, text[0] : text[0] + width] = layer.alpha
    alpha[at[1] : at[1] + h, at[0] : at[0] + w] = coverage
    frame = rectangle(0, 0, shape[1], shape[0]).astype(np.float32)
    words = moved_words(layer.words, *text)
    return TextLayer(alpha, words, layer.baseline + text[1], frame, layer.bends)
