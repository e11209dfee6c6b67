"""A sheet of paper: headings, paragraphs, forms and tables as one layer, with its ruled lines."""

from dataclasses import dataclass

import cv2
import numpy as np

from dataset_utils import Word
from stage_times import stage
from static import constants as C
from synth.content import Vocabulary, choose, draw_token
from synth.fonts import Font
from synth.typeset import TextStyle, moved, typeset


@dataclass
class Page:
    """text and rules: (size, size) uint8 coverage; words: in the page's continuous coordinates."""

    text: np.ndarray
    rules: np.ndarray
    words: list[Word]


class _Writer:
    """Sets text onto a page, and remembers it."""

    def __init__(self, rng, size, fonts, vocabulary):
        self.rng, self.fonts, self.vocabulary = rng, fonts, vocabulary
        self.page = Page(np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8), [])
        self.case = choose(rng, C.CASE_SHARES)

    def line(self, x: float, y: float, width: float, em: float, words: int, font=None) -> float:
        """Set up to `words` words from x on, as far as `width` px reach, their baseline at y + em.

        Returns the line's height in px.
        """
        rng = self.rng
        font = font or self.fonts[0]
        font.set_size(em)
        space, tokens, room = em * font.space, [], width
        for _ in range(words):
            token = draw_supported(rng, font, self.vocabulary, self.case)
            if token is None:
                break
            room -= sum(glyph.advance for glyph in font.shape(token)) + space
            if room < 0:
                break
            tokens.append(token)
        layer = typeset([tokens], font, TextStyle(em)) if tokens else None
        if layer is None:
            return em
        x, y = int(x), int(y + em) - layer.baseline
        height, length = layer.alpha.shape
        page = self.page.text
        if x < 0 or y < 0 or y + height > page.shape[0] or x + length > page.shape[1]:
            return em
        region = page[y : y + height, x : x + length]
        np.maximum(region, layer.alpha, out=region)
        self.page.words += [moved(word, (x, y)) for word in layer.words]
        return 1.25 * em

    def rule(self, x0: float, y0: float, x1: float, y1: float, thick: int = 1) -> None:
        points = (int(x0), int(y0)), (int(x1), int(y1))
        cv2.line(self.page.rules, *points, int(self.rng.integers(120, 256)), thick)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        points = (int(x0), int(y0)), (int(x1), int(y1))
        cv2.rectangle(self.page.rules, *points, int(self.rng.integers(120, 256)), 1)


def draw_supported(
    rng: np.random.Generator, font: Font, vocabulary: Vocabulary, case: str
) -> str | None:
    """A token that the font can draw; None when it has none of ten."""
    for _ in range(10):
        token = draw_token(rng, vocabulary, case)
        if font.supports(token):
            return token
    return None


@stage("text")
def draw_page(
    rng: np.random.Generator, size: int, fonts: list[Font], vocabulary: Vocabulary
) -> Page:
    """Lay out one page of size x size px from top to bottom.

    fonts: the body's font first, then the headings'; all of them support the vocabulary.
    """
    writer = _Writer(rng, size, fonts, vocabulary)
    em = float(np.exp(rng.uniform(*np.log(C.PAGE_FONT_SIZE))))
    margin = size * rng.uniform(*C.PAGE_MARGIN)
    ruled = rng.random() < C.PAGE_RULE_PROBABILITY
    columns = int(rng.choice([1, 1, 1, 2]))
    width = (size - 2 * margin) / columns
    for column in range(columns):
        x, y = margin + column * width, margin
        while y < size - margin - 2 * em:
            part = _PARTS[rng.integers(len(_PARTS))]
            y = part(writer, x, y, width - em, em, ruled, size - margin) + em * rng.uniform(0.3, 2)
    return writer.page


def _heading(writer, x, y, width, em, ruled, bottom):
    rng = writer.rng
    large = em * rng.uniform(*C.PAGE_TITLE_SCALE)
    shift = rng.choice([0, 0.2, 0.4]) * width
    height = writer.line(
        x + shift, y, width - shift, large, int(rng.integers(1, 6)), writer.fonts[-1]
    )
    if ruled and rng.random() < 0.3:
        writer.rule(x, y + height + 2, x + width, y + height + 2, int(rng.integers(1, 3)))
    return y + height


def _paragraph(writer, x, y, width, em, ruled, bottom):
    spacing = em * writer.rng.uniform(1.0, 1.6)
    for _ in range(writer.rng.integers(2, 9)):
        if y > bottom - 1.5 * em:
            break
        writer.line(x, y, width * writer.rng.choice([1, 1, 1, 0.6]), em, 30)
        y += spacing
    return y


def _form(writer, x, y, width, em, ruled, bottom):
    """Labels with values behind them, on lines or in boxes."""
    rng = writer.rng
    split, spacing = width * rng.uniform(0.3, 0.5), em * rng.uniform(1.4, 2.4)
    boxed = rng.random() < 0.4
    for _ in range(rng.integers(2, 8)):
        if y > bottom - 2 * em:
            break
        writer.line(x, y, split - em, em, int(rng.integers(1, 4)))
        if rng.random() < 0.75:
            writer.line(
                x + split, y, width - split, em * rng.uniform(0.9, 1.3), 3, writer.fonts[-1]
            )
        if ruled and boxed:
            writer.box(x - 3, y - em * 0.2, x + width, y - em * 0.2 + spacing)
        elif ruled:
            writer.rule(x + split - 4, y + em * 1.15, x + width, y + em * 1.15)
        y += spacing
    return y


def _table(writer, x, y, width, em, ruled, bottom):
    rng = writer.rng
    columns, spacing = int(rng.integers(2, 6)), em * rng.uniform(1.3, 2.0)
    edges = np.concatenate([[0], np.sort(rng.uniform(0.15, 0.95, columns - 1)), [1]]) * width
    top = y
    for _ in range(rng.integers(3, 9)):
        if y > bottom - 2 * em:
            break
        for left, right in zip(edges[:-1], edges[1:], strict=True):
            if rng.random() < 0.85:
                writer.line(x + left + 3, y + 1, right - left - 4, em, int(rng.integers(1, 3)))
        if ruled:
            writer.rule(x, y - em * 0.15, x + width, y - em * 0.15)
        y += spacing
    if ruled and rng.random() < 0.6:
        for edge in edges:
            writer.rule(x + edge, top - em * 0.15, x + edge, y - em * 0.15)
    return y


_PARTS = (_heading, _paragraph, _paragraph, _form, _form, _table)
