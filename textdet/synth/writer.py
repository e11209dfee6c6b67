"""Sets text, rules and boxes onto a sheet of paper, and remembers where its words are."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from textdet.common.geometry import map_pixels, map_points, rectangle, translation
from textdet.data.annotation import Word, moved_words
from textdet.synth.content import Vocabulary, sample_phrase
from textdet.synth.fonts import Font
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind
from textdet.synth.strokes import draw_rule
from textdet.synth.typeset import TextLayer, TextStyle, typeset
from textdet.synth.warps import map_words, plane_homography

ROOM_TRIES = 40  # places looked at for a stamp or a stroke
MEETING = 128  # level of coverage that two lines of letters both have where they meet


@dataclass
class Page:
    """A sheet of paper as layers of ink.

    Params:
        text, rules, stamps: (size, size) uint8, coverage of three inks.
        words: in the page's continuous coordinates.
        sheet: px, its left, top, right and bottom edge.
    """

    text: np.ndarray
    rules: np.ndarray
    stamps: np.ndarray
    words: list[Word]
    sheet: tuple[float, float, float, float]


class Writer:
    """Sets text onto a page, and remembers it.

    Params:
        size: px, side of the page.
        fonts: the body's first.
        kind: one of PAGE_KIND_SHARES.
        sheet: px, its left, top, right and bottom edge.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        settings: GeneratorSettings,
        size: int,
        fonts: list[Font],
        vocabulary: Vocabulary,
        kind: str,
        sheet: tuple[float, float, float, float],
    ):
        """Begin an empty page, and sample what all of its text has in common."""
        layers = (np.zeros((size, size), np.uint8) for _ in range(3))
        self.page = Page(*layers, [], sheet)
        self.rng, self.settings, self.fonts, self.vocabulary = rng, settings, fonts, vocabulary
        self.case = sample_kind(rng, settings.CASE_SHARES)
        self.ruled = rng.random() < settings.PAGE_RULE_PROBABILITY
        self.rule_style = sample_kind(rng, settings.RULE_STYLE_SHARES)
        sizes = settings.DENSE_FONT_SIZE if kind == "dense" else settings.PAGE_FONT_SIZE
        self.em = float(np.exp(rng.uniform(*np.log(sizes))))
        self.spacing = rng.uniform(*settings.PAGE_WORD_SPACE), rng.uniform(*settings.PAGE_TRACKING)
        self.bottom = size

    def sample_tokens(
        self,
        width: float,
        em: float,
        words: int,
        font: Font,
        end: str = "",
        text: str | None = None,
    ) -> list[str]:
        """Sample words that fit into a line; those that belong together all or none.

        Params:
            width: px, the room.
            em: px, size of the letters.
            words: how many are wanted; more only where the last ones belong together.
            end: added to the last of so many, if the font has it.
            text: instead of a random first word.

        Returns:
            the words that fit; none where the font lacks letters of `text`.
        """
        if text and not font.supports(text):
            return []
        font.set_size(em)
        space = em * max(font.space * self.spacing[0], self.settings.SMALLEST_SPACE)
        tracking = em * self.spacing[1]
        phrase = [text] if text else []
        sampling = (self.rng, self.settings, font, self.vocabulary, self.case)
        tokens, room = [], width
        while len(tokens) < words and (phrase := phrase or sample_supported(*sampling)):
            if end and len(tokens) + len(phrase) >= words and font.supports(end):
                phrase = [*phrase[:-1], phrase[-1] + end]
            for token in phrase:
                room -= font.width(token, max(tracking, 0)) + space + max(tracking, 0)
            if room < -space - max(tracking, 0):  # the last word needs no space behind it
                break
            tokens += phrase
            phrase = []
        return tokens

    def line(
        self,
        x: float,
        y: float,
        width: float,
        em: float,
        words: int,
        font: Font | None = None,
        align: float = 0.0,
        end: str = "",
        text: str | None = None,
    ) -> float:
        """Set a line of words, unless it would reach beyond the page's border or meet letters that
        are there, as those of a font that are higher than their em.

        Params:
            x, y: px, top left corner of the room; the baseline is at y + em.
            width: px, the room.
            em: px, size of the letters.
            words: how many at most.
            font: the body's when None.
            align: 0 left, 0.5 centred, 1 right.
            end: added to the last of so many words, if the font has it.
            text: instead of a random first word.

        Returns:
            the x of the line's end, px; of its start where nothing was set.
        """
        font = font or self.fonts[0]
        tokens = self.sample_tokens(width, em, words, font, end, text)
        layer = self.set_line(tokens, font, em)
        if layer is None:
            return x
        height, length = layer.alpha.shape
        x += max(0.0, width - length) * align
        x, y = int(x), int(y + em) - layer.baseline
        page = self.page.text
        if x < 0 or y < 0 or y + height > page.shape[0] or x + length > page.shape[1]:
            return x
        region = page[y : y + height, x : x + length]
        if np.minimum(region, layer.alpha).max() >= MEETING:
            return x
        np.maximum(region, layer.alpha, out=region)
        self.page.words += moved_words(layer.words, x, y)
        return x + length

    def set_line(self, tokens: list[str], font: Font, em: float) -> TextLayer | None:
        """Set one line in the page's spacing, without placing it.

        Params:
            em: px, size of the letters.

        Returns:
            None without ink.
        """
        word_space, tracking = self.spacing
        style = TextStyle(em, tracking=tracking, word_space=word_space)
        return typeset(self.settings, [tokens], font, style) if tokens else None

    def place_turned(
        self,
        tokens: list[str],
        font: Font,
        em: float,
        degrees: float,
        centre: np.ndarray,
        ink: np.ndarray,
    ) -> bool:
        """Set a line turned about its centre, unless it leaves the sheet or meets what is there.

        Params:
            em: px, size of the letters.
            degrees: its rotation, clockwise.
            centre: (2,) px.
            ink: (size, size) uint8, one of the page's layers; drawn into in place.

        Returns:
            whether it was set.
        """
        layer = self.set_line(tokens, font, em)
        if layer is None:
            return False
        height, width = layer.alpha.shape
        turn = plane_homography(np.deg2rad(degrees), 0, 0, 1e9)
        warp = translation(*centre) @ turn @ translation(-width / 2, -height / 2)
        corners = map_points(warp, rectangle(0, 0, width, height))
        if not self.is_free(corners, 2):
            return False
        turned = map_pixels(warp, layer.alpha, *ink.shape[::-1])
        np.maximum(ink, turned, out=ink)
        self.page.words += map_words(warp, layer.words)
        return True

    def is_free(self, points: np.ndarray, margin: float) -> bool:
        """Whether the upright box of some points is on the sheet, and empty.

        Params:
            points: (k, 2) px.
            margin: px, added to the box on each side.
        """
        low, high = points.min(0) - margin, points.max(0) + margin
        left, top, right, bottom = self.page.sheet
        if low[0] < left or low[1] < top or high[0] > right or high[1] > bottom:
            return False
        (x, y), (end, below) = low.astype(int), high.astype(int) + 1
        if any(ink[y:below, x:end].any() for ink in (self.page.rules, self.page.stamps)):
            return False
        polygons = np.array([word.polygon for word in self.page.words]).reshape(-1, 4, 2)
        apart = (polygons.max(1) < low) | (polygons.min(1) > high)
        return bool(apart.any(1).all())

    def find_room(self, width: float, height: float) -> np.ndarray | None:
        """Look for a free upright box at ROOM_TRIES random places.

        Params:
            width, height: px.

        Returns:
            (2,) float64 px, its centre; None when none was found.
        """
        left, top, right, bottom = self.page.sheet
        half = np.array([width, height]) / 2
        for centre in self.rng.uniform((left, top), (right, bottom), (ROOM_TRIES, 2)):
            if self.is_free(np.array([centre - half, centre + half]), 2):
                return centre
        return None

    def rule(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        thick: int = 1,
        style: str = "solid",
    ) -> None:
        """Draw a line from (x0, y0) to (x1, y1).

        Params:
            x0, y0, x1, y1, thick: px.
            style: one of RULE_STYLE_SHARES.
        """
        level = self._sample_level()
        draw_rule(self.rng, self.page.rules, (x0, y0), (x1, y1), level, thick, style)

    def _sample_level(self) -> int:
        low, high = self.settings.RULE_LEVEL
        return int(self.rng.integers(low, high + 1))

    def box(self, x0: float, y0: float, x1: float, y1: float, thick: int = 1) -> None:
        """Draw an upright rectangle between two opposite corners.

        Params:
            x0, y0, x1, y1, thick: px.
        """
        points = (int(x0), int(y0)), (int(x1), int(y1))
        level = self._sample_level()
        cv2.rectangle(self.page.rules, *points, level, thick)


def sample_supported(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    font: Font,
    vocabulary: Vocabulary,
    case: str,
) -> list[str]:
    """Sample words that belong together and that the font can draw.

    Params:
        case: one of CASE_SHARES; where the font lacks its capitals, as most Georgian ones do, words
            come as they are in their list.

    Returns:
        the words in their order; none when the font can draw none of ten samples.
    """
    for case_tried in [case] * 5 + ["lower"] * 5:
        phrase = sample_phrase(rng, settings, vocabulary, case_tried)
        if all(font.supports(token) for token in phrase):
            return phrase
    return []


@functools.lru_cache(maxsize=1024)
def is_typewriter(font: Font) -> bool:
    """Whether a font's letters are equally wide. It may leave the font at another size."""
    font.set_size(20)
    return font.shape("i")[0].advance == font.shape("M")[0].advance
