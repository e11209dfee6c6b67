"""What every image of a run is made from: photographs, lists of words and fonts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.synth.content import Vocabulary
from textdet.synth.fonts import Font

# Of a vocabulary's words and of its frequent ones, to see whether a font has its language.
PROBED_WORDS, PROBED_COMMON = 40, 200
ENOUGH_SUPPORTED = 0.9  # of them must have ink in a font


@dataclass(frozen=True)
class Resources:
    """What every image of a run is made from.

    Params:
        backgrounds: image files.
        vocabularies: one a language.
        fonts: by language, those that have its letters; the list may be empty.
    """

    backgrounds: list[Path]
    vocabularies: list[Vocabulary]
    fonts: dict[str, list[Font]]


def fonts_by_language(vocabularies: list[Vocabulary], fonts: list[Font]) -> dict[str, list[Font]]:
    """Match fonts to languages: a font has one when there is ink in it for nearly all of its words.

    Params:
        vocabularies: one a language.

    Returns:
        the fonts of each language, in their order; an empty list where no font has it.

    Raises:
        DataError: no font has any of the languages.
    """
    matches = {}
    for vocabulary in vocabularies:
        words = _evenly(vocabulary.words, PROBED_WORDS) + _evenly(vocabulary.common, PROBED_COMMON)
        matches[vocabulary.language] = [
            font
            for font in fonts
            if np.mean([font.supports(word) for word in words]) > ENOUGH_SUPPORTED
        ]
    if not any(matches.values()):
        best = max(fonts, key=lambda font: np.mean([font.supports(word) for word in words]))
        reason = next(filter(None, map(best.lacks, words)), "lacks some letters")
        raise DataError(f"no font can draw the words; the nearest, {best.path.name}, {reason}")
    return matches


def _evenly(words: list[str], number: int) -> list[str]:
    """At least `number` of the words, evenly from all of them, where there are so many."""
    return words[:: max(1, len(words) // number)]


def name_undrawn(
    vocabulary: Vocabulary, fonts: list[Font], em: float, size: int
) -> tuple[list[str], list[str]]:
    """The words of a list that no image will show.

    Params:
        fonts: of the vocabulary's language.
        em: px, the smallest that text is set at.
        size: px, side of the images.

    Returns:
        those for which no font has all characters, and those too long even at the smallest size.
    """
    lacking, long = [], []
    for word in dict.fromkeys(vocabulary.words):
        able = (font for font in fonts if font.supports(word))
        if len(word) * em > size:  # no letter is much wider than an em
            widths = [_width(font, word, em) for font in able]
            if widths and min(widths) > size:
                long.append(word)
            elif not widths:
                lacking.append(word)
        elif next(able, None) is None:
            lacking.append(word)
    return lacking, long


def _width(font: Font, word: str, em: float) -> float:
    font.set_size(em)
    return sum(glyph.advance for glyph in font.shape(word))
