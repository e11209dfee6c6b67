"""Lines of words set in a font: an alpha mask with the exact cell of every character."""

from dataclasses import dataclass

import numpy as np

from dataset_utils import Word
from stage_times import stage
from static import constants as C
from synth.fonts import Font

PAD = 2  # px, empty border of a layer


@dataclass(frozen=True)
class TextStyle:
    """How a block is set. size in px an em; the others in em, word_space in times the font's."""

    size: float
    tracking: float = 0.0
    word_space: float = 1.0
    line_spacing: float = 1.2
    align: float = 0.0  # 0 left, 0.5 centred, 1 right


@dataclass
class TextLayer:
    """alpha: (H, W) uint8 coverage; words: their cells in the layer's continuous coordinates;
    baseline: row of the first line's baseline, px."""

    alpha: np.ndarray
    words: list[Word]
    baseline: int


def draw_style(rng: np.random.Generator, size: float) -> TextStyle:
    wide = rng.random() < C.WIDE_TRACKING_PROBABILITY
    return TextStyle(
        size=size,
        tracking=rng.uniform(*(C.WIDE_TRACKING if wide else C.TRACKING)),
        word_space=rng.uniform(*C.WORD_SPACE),
        line_spacing=rng.uniform(*C.LINE_SPACING),
        align=float(rng.choice([0.0, 0.0, 0.5, 0.5, 1.0])),
    )


@stage("text")
def typeset(lines: list[list[str]], font: Font, style: TextStyle) -> TextLayer | None:
    """Set lines of words; None when nothing has ink.

    A character's cell is its advance wide (from the pen position that was really used) and as high
    as its word's ink, plus CELL_PADDING. Combining marks share the cell of their base.
    """
    font.set_size(style.size)
    placed, lines_of_cells = [], []  # (bitmap, x, y) and, a line, (words, width)
    for number, line in enumerate(lines):
        baseline, x, words = round(number * style.line_spacing * style.size), 0.0, []
        for text in line:
            word, bitmaps, width = _set_word(text, font, style, x, baseline)
            if word is not None:
                words.append(word)
                placed.append((len(lines_of_cells), bitmaps))
            x += width + style.size * (font.space * style.word_space + max(style.tracking, 0))
        lines_of_cells.append((words, x))
    if not placed:
        return None
    widest = max(width for _, width in lines_of_cells)
    shifts = [round(style.align * (widest - width)) for _, width in lines_of_cells]
    boxes = [(x + shifts[line], y, bitmap) for line, bitmaps in placed for x, y, bitmap in bitmaps]
    words = []
    for shift, (line_words, _) in zip(shifts, lines_of_cells, strict=True):
        words += [moved(word, (shift, 0)) for word in line_words]
    corners = np.concatenate([word.polygon for word in words])
    left = int(np.floor(min([x for x, _, _ in boxes] + [corners[:, 0].min()]))) - PAD
    top = int(np.floor(min([y for _, y, _ in boxes] + [corners[:, 1].min()]))) - PAD
    right = max([x + b.shape[1] for x, _, b in boxes] + [corners[:, 0].max()])
    bottom = max([y + b.shape[0] for _, y, b in boxes] + [corners[:, 1].max()])
    alpha = np.zeros((int(np.ceil(bottom)) - top + PAD, int(np.ceil(right)) - left + PAD), np.uint8)
    for x, y, bitmap in boxes:
        region = alpha[y - top : y - top + bitmap.shape[0], x - left : x - left + bitmap.shape[1]]
        np.maximum(region, bitmap, out=region)
    return TextLayer(alpha, [moved(word, (-left, -top)) for word in words], -top)


def moved(word: Word, offset: tuple[float, float]) -> Word:
    """The word with all its points moved by `offset` (x, y), in px."""
    offset = np.asarray(offset, np.float32)
    return Word(word.text, word.characters, word.quads + offset, word.polygon + offset)


def _set_word(
    text: str, font: Font, style: TextStyle, x: float, baseline: int
) -> tuple[Word | None, list, float]:
    """Set one word with its pen starting at x.

    Returns the word (None without ink), its bitmaps as (x, y, bitmap) and its width in px.
    """
    bitmaps, cells, shift, width = [], {}, 0.0, 0.0
    tracking = style.tracking * style.size
    for glyph in font.shape(text):
        # Bitmaps stand at whole pixels; the cells follow them, so they are exact.
        pen = round(x + glyph.x + shift)
        bitmap, left, top = font.bitmap(glyph.index)
        if bitmap.size:
            bitmaps.append((pen + left, baseline + round(glyph.y) + top, bitmap))
        start, end = cells.get(glyph.cluster, (pen, pen))
        cells[glyph.cluster] = (min(start, pen), max(end, pen + glyph.advance))
        width += glyph.advance
        shift += tracking if glyph.advance else 0.0
    width += shift
    if not bitmaps:
        return None, [], width
    top = min(y for _, y, _ in bitmaps)
    bottom = max(y + bitmap.shape[0] for _, y, bitmap in bitmaps)
    grow = max(
        (bottom - top) * C.CELL_PADDING, (C.MIN_CELL_HEIGHT * style.size - (bottom - top)) / 2
    )
    top, bottom = top - grow, bottom + grow
    starts = sorted(cells)
    ends = starts[1:] + [len(text)]
    order = sorted(range(len(starts)), key=lambda k: cells[starts[k]][0])
    quads = np.array(
        [_rectangle(*cells[starts[k]], top, bottom) for k in order], np.float32
    ).reshape(-1, 4, 2)
    characters = [text[starts[k] : ends[k]] for k in order]
    polygon = _rectangle(quads[:, 0, 0].min(), quads[:, 1, 0].max(), top, bottom)
    return Word(text, characters, quads, np.array(polygon, np.float32)), bitmaps, width


def _rectangle(left: float, right: float, top: float, bottom: float) -> list:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
