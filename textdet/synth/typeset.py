"""Words set in a font: an alpha mask with the exact cell of every character.

A character's cell is its advance wide, from the pen position that was really used, and as high as
its word's ink plus CELL_PADDING. Combining marks share the cell of their base, and what HarfBuzz
cannot part (an Arabic ligature, an Indian syllable) is one cell. Cells come in reading order.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from textdet.common.bidi import base_level, side_by_side, visual_order
from textdet.common.geometry import clockwise_from, rectangle
from textdet.common.stage_times import stage
from textdet.data.annotation import Word, moved_words
from textdet.synth.bends import Curve, Elastic, sample_curve
from textdet.synth.fonts import Font
from textdet.synth.settings import GeneratorSettings

PAD = 2  # px, empty border of a layer
LINE_OVERLAP = 0.15  # em, the most that the cells of two lines overlap
CURVE_SLACK = 1.25  # a guide curve's length, in widths of the text that stands on it


@dataclass(frozen=True)
class TextStyle:
    """How a block is set.

    Params:
        size: px an em.
        tracking, line_spacing: em.
        word_space: times the font's own.
        align: where lines begin: 0 at the margin, 0.5 centred, 1 at the far margin.
    """

    size: float
    tracking: float = 0.0
    word_space: float = 1.0
    line_spacing: float = 1.2
    align: float = 0.0


@dataclass
class TextLayer:
    """A block of text before it is in a picture.

    Params:
        alpha: (H, W) uint8, coverage.
        words: their cells in the layer's continuous coordinates.
        baseline: px, row of the first line's baseline.
        frame: (k, 2) px, the block's outline.
        bends: what the layer is still to go through before its homography (see warps.Warp).
        stretch: times, how much wider it is to become by that.
    """

    alpha: np.ndarray
    words: list[Word]
    baseline: int
    frame: np.ndarray
    bends: tuple[Curve | Elastic, ...] = ()
    stretch: float = 1.0


@dataclass
class _Cell:
    """text: its characters; left, right: px from the word's start; glyphs: (index, x, y) of their
    pens, px from the word's start and the baseline."""

    text: str
    left: float
    right: float
    glyphs: list[tuple[int, float, float]]


@dataclass
class _SetWord:
    """A word before it is placed. x: px from its line's start; top, bottom: of its cells, px from
    the baseline, y down; cells in reading order."""

    text: str
    joined: bool
    cells: list[_Cell]
    top: float
    bottom: float
    x: float = 0.0


def sample_text_style(
    rng: np.random.Generator, settings: GeneratorSettings, size: float
) -> TextStyle:
    """How a block of a scene is set.

    Params:
        size: px an em.
    """
    wide = rng.random() < settings.WIDE_TRACKING_PROBABILITY
    narrow = rng.random() < settings.NARROW_SPACE_PROBABILITY
    return TextStyle(
        size=size,
        tracking=rng.uniform(*(settings.WIDE_TRACKING if wide else settings.TRACKING)),
        word_space=rng.uniform(*(settings.NARROW_SPACE if narrow else settings.WORD_SPACE)),
        line_spacing=rng.uniform(*settings.LINE_SPACING),
        align=float(rng.choice([0.0, 0.0, 0.5, 0.5, 1.0])),
    )


@stage("text")
def typeset(
    settings: GeneratorSettings, lines: list[list[str]], font: Font, style: TextStyle
) -> TextLayer | None:
    """Set lines of words.

    Params:
        lines: the words of each, in reading order. A line that begins with a word from right to
            left runs so, and begins at the right margin.
        font: left at the style's size.

    Returns:
        None when nothing has ink.
    """
    font.set_size(style.size)
    set_lines = [_set_line(settings, line, font, style) for line in lines]
    widest = max((width for _, width, _ in set_lines), default=0)
    boxes, cells, outlines, placed = [], [], [], []
    moved, lowest = 0, -np.inf
    for number, (line, width, level) in enumerate(set_lines):
        baseline = round(number * style.line_spacing * style.size) + moved
        if line:  # letters may be higher than their em
            highest = baseline + min(word.top for word in line)
            more = int(max(0, lowest - LINE_OVERLAP * style.size - highest))
            baseline, moved = baseline + more, moved + more
            lowest = baseline + max(word.bottom for word in line)
        align = 1 - style.align if level else style.align
        shift = round(align * (widest - width))
        for word in line:
            sides = _place_glyphs(word, font, word.x + shift, baseline, boxes)
            top, bottom = word.top + baseline, word.bottom + baseline
            cells += [rectangle(left, top, right, bottom) for left, right in sides]
            end = max(right for _, right in sides)
            outlines.append(rectangle(min(sides)[0], top, end, bottom))
            placed.append(word)
    if not placed:
        return None
    quads, polygons = np.float32(cells), np.float32(outlines)
    words, start = [], 0
    for word, polygon in zip(placed, polygons, strict=True):
        end = start + len(word.cells)
        texts = [cell.text for cell in word.cells]
        words.append(Word(word.text, texts, quads[start:end], polygon))
        start = end
    return _compose(boxes, words)


def typeset_on_curve(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    line: list[str],
    font: Font,
    style: TextStyle,
) -> TextLayer | None:
    """Set one line along a random guide curve, each letter turned by the tangent under its middle.

    Letters are set apart so far that on the inner side of the bend, where the line is shortest, the
    cells are as far from each other as on a straight line.

    Params:
        line: words in reading order.
        font: left at the style's size.

    Returns:
        None when nothing has ink.
    """
    font.set_size(style.size)
    line, width, _ = _set_line(settings, line, font, style)
    if not line:
        return None
    top, bottom = min(word.top for word in line), max(word.bottom for word in line)
    curve = sample_curve(rng, settings, (0.0, 0.0), width * CURVE_SLACK, max(-top, bottom))
    bend = curve.curvature(curve.s)
    shortest = np.minimum(1, np.minimum(1 - bend * top, 1 - bend * bottom))
    straight = np.cumsum(shortest) * (curve.s[1] - curve.s[0])
    straight += width / 2 - straight[len(straight) // 2]  # the line's middle on the curve's

    def along(x):  # arc length at a place of the straight line
        inside = np.clip(x, straight[0], straight[-1])
        return np.interp(inside, straight, curve.s) + (x - inside)

    boxes, words = [], []
    for word in line:
        quads = np.empty((len(word.cells), 4, 2), np.float32)
        for cell, quad in zip(word.cells, quads, strict=True):
            middle, half = (cell.left + cell.right) / 2, (cell.right - cell.left) / 2
            foot, tangent, normal = curve.frame(along(word.x + middle))
            angle = np.arctan2(tangent[1], tangent[0])
            for index, x, y in cell.glyphs:
                pen = foot + tangent * (x - middle) + normal * y
                whole = np.floor(pen).astype(int)
                bitmap, left, above = font.turned_bitmap(index, angle, *(pen - whole))
                boxes.append((whole[0] + left, whole[1] + above, bitmap))
            corners = rectangle(-half, word.top, half, word.bottom).astype(np.float32)
            quad[:] = foot + corners[:, :1] * tangent + corners[:, 1:] * normal
        texts = [cell.text for cell in word.cells]
        outline = enclosing_outline(word.text, quads)
        words.append(Word(word.text, texts, quads, outline))
    rim = along(np.linspace(0, width, 2 * len(boxes) + 2))
    frame = [curve.points(np.stack([rim, np.full_like(rim, y)], 1)) for y in (top, bottom)]
    return _compose(boxes, words, np.vstack([frame[0], frame[1][::-1]]))


def typeset_stack(
    settings: GeneratorSettings, word: str, font: Font, style: TextStyle
) -> TextLayer | None:
    """Set a word's letters upright one below the other.

    A cell's and the word's corners are in the order of a line that runs downwards: clockwise from
    the top right, so that affinity quads (data/heatmaps.py) join the letters. All cells are as wide
    as the widest, as those of a straight line are all as high as the highest.

    Params:
        font: left at the style's size.

    Returns:
        None when the word has no ink.
    """
    font.set_size(style.size)
    line, _, _ = _set_line(settings, [word], font, style)
    if not line:
        return None
    (word,) = line
    step = round(word.bottom - word.top + max(style.tracking, 0) * style.size)
    half = max(cell.right - cell.left for cell in word.cells) / 2
    boxes, quads = [], []
    for number, cell in enumerate(word.cells):
        middle, baseline = (cell.left + cell.right) / 2, number * step
        for index, x, y in cell.glyphs:
            bitmap, left, above = font.turned_bitmap(index, 0.0, x - middle, y)
            boxes.append((left, baseline + above, bitmap))
        quads.append(rectangle(-half, word.top + baseline, half, word.bottom + baseline))
    polygon = rectangle(-half, quads[0][0, 1], half, quads[-1][2, 1]).astype(np.float32)
    downwards = [1, 2, 3, 0]
    texts = [cell.text for cell in word.cells]
    stacked = Word(word.text, texts, np.float32(quads)[:, downwards], polygon[downwards])
    return _compose(boxes, [stacked])


def enclosing_outline(text: str, quads: np.ndarray) -> np.ndarray:
    """The polygon around a word on any line: its cells, and what lies between neighbours.

    Params:
        text: the word's.
        quads: (n, 4, 2) px in reading order.

    Returns:
        (k, 2) float32, clockwise from the first corner of the first cell, or of the last one for a
        word that runs from right to left.
    """
    quads = side_by_side(text, quads)
    pairs = np.concatenate([quads[:-1], quads[1:]], 1) if len(quads) > 1 else quads
    hulls = shapely.convex_hull(shapely.multipoints(pairs.astype(np.float64)))
    shape = shapely.simplify(shapely.union_all(hulls), 0.01)
    backwards = np.dot(quads[-1].mean(0) - quads[0].mean(0), quads[0, 1] - quads[0, 0]) < 0
    return clockwise_from(quads[-1 if backwards else 0, 0], shape)


def _set_line(
    settings: GeneratorSettings, texts: list[str], font: Font, style: TextStyle
) -> tuple[list[_SetWord], float, int]:
    """Set words beside each other, in the order that their directions ask for.

    Returns those that have ink, in reading order, the line's width in px, and its level: 1 when it
    runs from right to left.
    """
    levels = [base_level(text) for text in texts]
    base, order = next((level for level in levels if level is not None), 0), range(len(texts))
    if any(levels):  # some run from right to left
        order = visual_order([base if v is None else 2 if base and not v else v for v in levels])
    space = max(font.space * style.word_space, settings.SMALLEST_SPACE) + max(style.tracking, 0)
    words, x = {}, 0.0
    for position in order:
        word, width = _set_word(settings, texts[position], font, style)
        if word is not None:
            word.x = x
            words[position] = word
        x += width + style.size * space
    return [words[position] for position in sorted(words)], x, base


def _set_word(
    settings: GeneratorSettings, text: str, font: Font, style: TextStyle
) -> tuple[_SetWord | None, float]:
    """Set one word; None without ink. Also its width in px."""
    size, joined = style.size, font.joins(text)
    tracking = 0.0 if joined else style.tracking * size
    cells, shift, width, top, bottom = {}, 0.0, 0.0, np.inf, -np.inf
    letter, behind = None, 0.0  # a letter's marks stay with it: what is added comes behind them all
    for index, cluster, x, y, advance in font.shape(text):
        if cluster != letter:
            letter, shift, behind = cluster, shift + behind, 0.0
        x += shift
        width += advance
        if advance:
            behind = tracking
        extent = font.extent(index)
        if extent is None:
            continue
        cell = cells.get(cluster)
        if cell is None:
            cell = cells[cluster] = _Cell("", np.inf, -np.inf, [])
        cell.glyphs.append((index, x, y))
        above, below = y + extent[1] * size, y + extent[3] * size
        top, bottom = above if above < top else top, below if below > bottom else bottom
        if advance > 0:
            cell.left, cell.right = min(cell.left, x), max(cell.right, x + advance)
    width += shift + behind
    if not cells:
        return None, width
    starts = sorted(cells)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        cell = cells[start]
        cell.text = text[start:end]
        if cell.right <= cell.left:  # a mark alone: its ink
            index, x, _ = cell.glyphs[0]
            cell.left, cell.right = (x + edge * size for edge in font.extent(index)[::2])
    grow = max(
        (bottom - top) * settings.CELL_PADDING,
        (settings.MIN_CELL_HEIGHT * size - (bottom - top)) / 2,
    )
    return _SetWord(text, joined, [cells[s] for s in starts], top - grow, bottom + grow), width


def _place_glyphs(
    word: _SetWord, font: Font, x: float, baseline: int, boxes: list
) -> list[tuple[float, float]]:
    """Add a word's bitmaps to `boxes`; the left and right edges of its cells, px.

    Bitmaps stand at whole pixels and the cells follow them, so they are exact. The letters of
    joined scripts must meet, and stand where they should to 1/64 px.
    """
    sides = []
    for cell in word.cells:
        move = None
        for index, pen_x, pen_y in cell.glyphs:
            pen = x + pen_x
            whole = round(pen)
            if word.joined:
                bitmap, left, top = font.turned_bitmap(index, 0.0, pen - whole, pen_y % 1)
                row, moved = baseline + int(np.floor(pen_y)), 0.0
            else:
                bitmap, left, top = font.bitmap(index)
                row, moved = baseline + round(pen_y), whole - pen
            move = moved if move is None else move  # that of the cell's first glyph
            boxes.append((whole + left, row + top, bitmap))
        sides.append((x + cell.left + move, x + cell.right + move))
    return sides


def _compose(boxes: list, words: list[Word], frame: np.ndarray | None = None) -> TextLayer | None:
    """Draw bitmaps at (x, y) into one layer that holds the words too; the first baseline is y = 0.

    frame: (k, 2) the block's outline, else the layer's own border. None when there is no bitmap.
    """
    if not boxes:
        return None
    corners = np.concatenate([word.polygon for word in words])
    left, top = np.floor(corners.min(0)).astype(int).tolist()
    right, bottom = np.ceil(corners.max(0)).astype(int).tolist()
    placed = []
    for x, y, bitmap in boxes:
        height, width = bitmap.shape
        placed.append((x, y, x + width, y + height))
    lefts, tops, rights, bottoms = zip(*placed, strict=True)
    left, top = min(left, *lefts) - PAD, min(top, *tops) - PAD
    right, bottom = max(right, *rights) + PAD, max(bottom, *bottoms) + PAD
    alpha = np.zeros((bottom - top, right - left), np.uint8)
    for (x, y, end, below), (_, _, bitmap) in zip(placed, boxes, strict=True):
        if end > x:
            region = alpha[y - top : below - top, x - left : end - left]
            cv2.add(region, bitmap, region)
    if frame is None:
        frame = rectangle(left, top, right, bottom).astype(np.float32)
    origin = (-left, -top)
    return TextLayer(alpha, moved_words(words, *origin), -top, frame + np.float32(origin))
