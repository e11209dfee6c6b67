"""What stands on a sheet of paper: letters, forms, tables, receipts and dense text as layers, with
their rules, boxes, stamps and strokes by hand. What paper and scanner do to it is in scanner.py."""

import numpy as np

from textdet.common.stage_times import stage
from textdet.synth.content import Vocabulary, sample_entry
from textdet.synth.fonts import Font
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind
from textdet.synth.strokes import draw_hole, draw_scribble, draw_shade, draw_stamp_frame, draw_tick
from textdet.synth.writer import Page, Writer


@stage("text")
def draw_page(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    size: int,
    fonts: list[Font],
    vocabulary: Vocabulary,
    inset: float = 0.0,
) -> Page:
    """Lay out one page on a square, from top to bottom.

    Params:
        size: px, side of the square.
        fonts: the body's font first, then the headings'; all of them support the vocabulary.
        inset: px between the square's border and the sheet.

    Returns:
        layers of `size`, and the words, in the square's continuous coordinates.
    """
    kind = sample_kind(rng, settings.PAGE_KIND_SHARES)
    left, right = inset, size - inset
    if kind == "receipt":
        width = min(right - left, size * rng.uniform(*settings.RECEIPT_WIDTH))
        left = rng.uniform(left, max(left, right - width))
        right = left + width
    writer = Writer(
        rng, settings, size, fonts, vocabulary, kind, (left, inset, right, size - inset)
    )
    margin = (right - left) * rng.uniform(*settings.PAGE_MARGIN)
    columns = 1 if kind in ("receipt", "letter") else int(rng.choice(settings.PAGE_COLUMNS))
    width = (right - left - 2 * margin) / columns
    top, writer.bottom = inset + margin, size - inset - margin
    if kind == "letter":
        top = _letterhead(writer, left + margin, top, width)
    parts = _PARTS[kind]
    for column in range(columns):
        x, y = left + margin + column * width, top
        while y < writer.bottom - 2 * writer.em:
            part = parts[rng.integers(len(parts))]
            y = part(writer, x, y, width - writer.em) + writer.em * rng.uniform(0.3, 2)
    if rng.random() < settings.NUMBERING_PROBABILITY:
        _numbering(writer)
    if rng.random() < settings.STAMP_PROBABILITY:
        _stamp(writer)
    if rng.random() < settings.SCRIBBLE_PROBABILITY:
        _note(writer)
    if rng.random() < settings.PUNCH_PROBABILITY:
        _punch_holes(writer)
    return writer.page


# --- Parts of a page: set from (x, y) px on, `width` px wide; each returns the y below it ------


def _heading(writer, x, y, width):
    rng = writer.rng
    large = writer.em * rng.uniform(*writer.settings.PAGE_TITLE_SCALE)
    align = float(rng.choice([0, 0.5, 0.5]))
    words, font = int(rng.integers(1, 6)), writer.fonts[-1]
    if y + 1.3 * large > writer.bottom:
        return y + large
    before = len(writer.page.words)
    end = writer.line(x, y, width, large, words, font, align)
    below = y + 1.25 * large
    if len(writer.page.words) > before and rng.random() < writer.settings.UNDERLINE_PROBABILITY:
        start = writer.page.words[before].polygon[0, 0]
        writer.rule(start, below - 1, end, below - 1, int(rng.integers(1, 3)))
    elif writer.ruled and rng.random() < 0.2:
        writer.rule(x, below + 2, x + width, below + 2, int(rng.integers(1, 5)))
    return below + 4


def _letterhead(writer, x, y, width):
    """A mark, a name, an address in small print and a rule."""
    rng, em = writer.rng, writer.em
    mark = int(em * rng.uniform(2, 4))
    draw_stamp_frame(rng, writer.page.rules, (x + mark / 2, y + mark / 2), (mark, mark), 0, True)
    writer.line(x + 1.3 * mark, y, width - 1.4 * mark, 1.6 * em, 4, writer.fonts[-1])
    writer.line(x + 1.3 * mark, y + 2.1 * em, width - 1.4 * mark, max(9.0, 0.7 * em), 6)
    y += max(mark, 3 * em) + 0.5 * em
    writer.rule(x, y, x + width, y, int(rng.integers(1, 4)))
    return y + em


def _paragraph(writer, x, y, width):
    rng, em = writer.rng, writer.em
    spacing, lined = em * rng.uniform(1.05, 1.6), writer.ruled and rng.random() < 0.2
    indent = rng.choice([0, 0, 0.1, 0.25]) * width
    for _ in range(rng.integers(2, 9)):
        if y > writer.bottom - 1.5 * em:
            break
        writer.line(x + indent, y, (width - indent) * rng.choice([1, 1, 1, 0.6]), em, 30)
        if lined:
            writer.rule(x, y + 1.2 * em, x + width, y + 1.2 * em, 1, writer.rule_style)
        y += spacing
    return y


def _form(writer, x, y, width):
    """Labels with values behind them, on rules that begin where the label ends, or in boxes."""
    rng, em = writer.rng, writer.em
    split, spacing = width * rng.uniform(0.25, 0.5), em * rng.uniform(1.5, 2.6)
    boxed, aligned, filled = rng.random() < 0.25, rng.random() < 0.5, rng.uniform(0.2, 1)
    for _ in range(rng.integers(2, 8)):
        if y > writer.bottom - 2 * em:
            break
        end = writer.line(x, y, split - em, em, int(rng.integers(1, 4)), end=":")
        start = x + split if aligned else end + 0.3 * em
        reach = (x + width - start) * rng.choice([1, 1, 0.6])
        if rng.random() < filled:
            large = min(em * rng.uniform(0.9, 1.3), spacing / 1.3)
            entry = sample_entry(rng, writer.vocabulary) if rng.random() < 0.3 else None
            writer.line(
                start + em * rng.uniform(0.3, 2),
                y + em - large,
                reach - 2 * em,
                large,
                1 if entry else 4,
                writer.fonts[-1],
                text=entry,
            )
        if writer.ruled and boxed:
            writer.box(x - 3, y - em * 0.2, x + width, y - em * 0.2 + spacing)
        elif writer.ruled:
            low = y + em * rng.uniform(1.12, 1.25)
            writer.rule(start, low, start + reach, low, int(rng.integers(1, 3)), writer.rule_style)
        y += spacing
    return y


def _leaders(writer, x, y, width):
    """Entries, dots up to the right margin, and a number: contents, price lists."""
    rng, em = writer.rng, writer.em
    style = "dotted" if rng.random() < 0.7 else "dashed"
    for _ in range(rng.integers(2, 7)):
        if y > writer.bottom - 1.5 * em:
            break
        end = writer.line(x, y, 0.6 * width, em, int(rng.integers(1, 4)))
        number = str(rng.integers(1, 10 ** rng.integers(1, 5)))
        before = len(writer.page.words)
        writer.line(x + 0.7 * width, y, 0.3 * width, em, 1, align=1.0, text=number)
        stop = x + width
        if len(writer.page.words) > before:
            stop = writer.page.words[before].polygon[0, 0]
        if stop - end > em:
            writer.rule(end + 0.3 * em, y + em, stop - 0.4 * em, y + em, 1, style)
        y += em * 1.4
    return y


def _check_boxes(writer, x, y, width):
    """Squares or brackets, some of them ticked, with their labels behind them."""
    rng, em = writer.rng, writer.em
    side, step = 0.8 * em, width / rng.integers(1, 4)
    in_brackets = step > 6 * em and rng.random() < 0.3  # a ticked pair may take 4 em
    for _ in range(rng.integers(1, 5)):
        if y > writer.bottom - 1.5 * em:
            break
        for left in np.arange(x, x + width - step / 2, step):
            end = left
            if in_brackets:
                for mark in ("(", "X", ")") if rng.random() < 0.4 else ("(", ")"):
                    end = writer.line(end, y, 2 * em, em, 1, text=mark) + 0.6 * em
            else:
                end += side
                writer.box(left, y + 0.2 * em, end, y + 0.2 * em + side)
                if rng.random() < 0.4:
                    draw_tick(rng, writer.page.rules, (left + side / 2, y + 0.6 * em), side)
            label = end + 0.5 * em
            writer.line(label, y, left + step - 0.7 * em - label, em, int(rng.integers(1, 4)))
        y += em * 1.7
    return y


def _blank_rules(writer, x, y, width):
    """Empty lines to write on."""
    rng, em = writer.rng, writer.em
    spacing = em * rng.uniform(1.0, 2.2)
    for _ in range(rng.integers(2, 7)):
        if y > writer.bottom - em:
            break
        writer.rule(x, y + em, x + width, y + em, int(rng.integers(1, 3)), writer.rule_style)
        y += spacing
    return y


def _signature(writer, x, y, width):
    """A stroke by hand on a rule, with a label before it."""
    rng, em = writer.rng, writer.em
    if y > writer.bottom - 3 * em:
        return y + em
    end = writer.line(x, y + em, 0.5 * width, em, 2, end=":")
    stop = min(x + width, end + em * rng.uniform(7, 14))
    if stop - end > 4 * em:
        middle, half = ((end + stop) / 2, y + 1.1 * em), ((stop - end) * 0.4, 0.8 * em)
        draw_scribble(rng, writer.page.rules, middle, half)
        writer.rule(end + 0.3 * em, y + 2.1 * em, stop, y + 2.1 * em, 1, writer.rule_style)
    return y + 2.8 * em


def _table(writer, x, y, width):
    rng, em = writer.rng, writer.em
    columns, spacing = int(rng.integers(2, 6)), em * rng.uniform(1.35, 2.0)
    edges = np.concatenate([[0], np.sort(rng.uniform(0.15, 0.95, columns - 1)), [1]]) * width
    rows = min(int(rng.integers(3, 9)), int((writer.bottom - y) / spacing))
    top, above = y, 0.15 * em
    if rows < 2:
        return y + em
    if writer.ruled and rng.random() < 0.3:  # a shaded head
        draw_shade(rng, writer.page.rules, (x, y - above), (x + width, y - above + spacing))
    for _ in range(rows):
        for left, right in zip(edges[:-1], edges[1:], strict=True):
            if rng.random() < 0.85:
                writer.line(x + left + 3, y + 1, right - left - 6, em, int(rng.integers(1, 3)))
        if writer.ruled:
            writer.rule(x, y - above, x + width, y - above)
        y += spacing
    if writer.ruled:
        writer.rule(x, y - above, x + width, y - above)
        if rng.random() < 0.6:
            for edge in edges:
                writer.rule(x + edge, top - above, x + edge, y - above)
    return y


def _figures(writer, x, y, width):
    """A label and short entries in every row, each entry above a rule of its own or of its row."""
    rng, em = writer.rng, writer.em
    columns, spacing = int(rng.integers(1, 6)), em * rng.uniform(1.2, 2.2)
    split, align = width * rng.uniform(0.2, 0.5), float(rng.choice([0, 0.5, 1]))
    step = (width - split) / columns
    cell, low = step * rng.choice([0.7, 0.9, 1]), em * rng.uniform(1.08, 1.18)
    for _ in range(rng.integers(3, 10)):
        if y > writer.bottom - 1.5 * em:
            break
        writer.line(x, y, split - em, em, int(rng.integers(1, 4)))
        for left in x + split + step * np.arange(columns):
            if rng.random() < 0.8:
                entry = sample_entry(rng, writer.vocabulary)
                writer.line(left + 0.2 * em, y, cell - 0.4 * em, em, 1, align=align, text=entry)
            if writer.ruled:
                writer.rule(left, y + low, left + cell, y + low, int(rng.integers(1, 3)))
        y += spacing
    return y


def _numbered(writer, x, y, width):
    """Lines or paragraphs behind 1. or (a), one below the other."""
    rng, em = writer.rng, writer.em
    label, indent = str(rng.choice(["{}.", "({})", "{})"])), em * rng.uniform(2, 4)
    first, by_letter = int(rng.integers(1, 12)), rng.random() < 0.4
    for number in range(first, first + int(rng.integers(2, 7))):
        if y > writer.bottom - 1.5 * em:
            break
        item = chr(ord("a") + number - 1) if by_letter else number
        writer.line(x, y, indent - 0.3 * em, em, 1, text=label.format(item))
        for _ in range(rng.choice([1, 1, 2, 3])):
            if y > writer.bottom - 1.5 * em:
                return y
            writer.line(x + indent, y, width - indent, em, int(rng.choice([2, 4, 30])))
            y += 1.25 * em
        y += em * rng.uniform(0, 0.5)
    return y


def _items(writer, x, y, width):
    """A receipt's lines: what was bought at the left, its price at the right."""
    rng, em = writer.rng, writer.em
    for _ in range(rng.integers(2, 9)):
        if y > writer.bottom - 1.5 * em:
            break
        writer.line(x, y, 0.62 * width, em, int(rng.integers(1, 4)))
        price = f"{rng.integers(0, 1000)}{'.,'[rng.integers(2)]}{rng.integers(0, 100):02d}"
        writer.line(x + 0.66 * width, y, 0.34 * width, em, 1, align=1.0, text=price)
        y += 1.3 * em
    if rng.random() < 0.6:
        writer.rule(x, y + 0.4 * em, x + width, y + 0.4 * em, 1, writer.rule_style)
        y += em
    return y


def _gap(writer, x, y, width):
    return y + writer.em * writer.rng.uniform(1, 4)


def _numbering(writer):
    """A long number, as archives stamp it: near a border, upright or lying on its side."""
    rng, font = writer.rng, writer.fonts[-1]
    number = "".join(str(digit) for digit in rng.integers(0, 10, rng.integers(6, 11)))
    em = min(1.2 * writer.em, 24.0)
    left, top, right, bottom = writer.page.sheet
    if not font.supports(number):
        return
    degrees = rng.uniform(-3, 3) + rng.choice([0, 90, -90])
    for _ in range(4):
        centre = np.array([right - em * rng.uniform(1, 5), rng.uniform(top, bottom)])
        if abs(degrees) < 45:
            centre = np.array([rng.uniform(left, right), bottom - em * rng.uniform(1, 3)])
        if writer.place_turned([number], font, em, degrees, centre, writer.page.text):
            return


def _stamp(writer):
    """A frame in stamp ink where there is room, with a line of words in it or with strokes."""
    rng, em = writer.rng, writer.em * writer.rng.uniform(0.9, 1.4)
    font, ink = writer.fonts[-1], writer.page.stamps
    degrees = float(rng.uniform(*writer.settings.STAMP_ROTATION))
    tokens = writer.sample_tokens(8 * em, em, int(rng.integers(1, 3)), font)
    layer = writer.set_line(tokens, font, em)
    if layer is None:
        return
    length, is_round = layer.alpha.shape[1] + em, rng.random() < 0.5
    extent = np.array([length, length if is_round else 2.2 * em])
    sine, cosine = np.abs((np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))))
    room = np.array([[cosine, sine], [sine, cosine]]) @ extent + 10
    centre = writer.find_room(*room)
    if centre is None:
        return
    if rng.random() < writer.settings.STAMP_TEXT_PROBABILITY:
        writer.place_turned(tokens, font, em, degrees, centre, ink)
    else:
        draw_scribble(rng, ink, centre, extent * 0.3)
    draw_stamp_frame(rng, ink, centre, extent, degrees, is_round)


def _note(writer):
    """A tick or a stroke by hand in an empty place."""
    rng, em = writer.rng, writer.em
    half = em * rng.uniform(1, 5), em * rng.uniform(0.6, 2)
    centre = writer.find_room(2 * half[0], 2 * half[1])
    if centre is None:
        return
    if rng.random() < 0.4:
        draw_tick(rng, writer.page.rules, centre, min(half))
    else:
        draw_scribble(rng, writer.page.rules, centre, half)


def _punch_holes(writer):
    """Two to four dark discs or crescents along the left or the right border, off the words."""
    rng = writer.rng
    left, top, right, bottom = writer.page.sheet
    radius = rng.uniform(0.008, 0.018) * (bottom - top)
    x = left + 2.2 * radius if rng.random() < 0.7 else right - 2.2 * radius
    crescent = rng.random() < 0.4
    count = int(rng.integers(2, 5))
    for y in top + (bottom - top) * (np.arange(count) + 0.5) / count:
        centre = np.array([x, y])
        if writer.is_free(np.array([centre - radius, centre + radius]), 2):
            draw_hole(rng, writer.page.rules, centre, radius, crescent)


_PARTS = {
    "mixed": (
        _heading,
        _paragraph,
        _paragraph,
        _form,
        _form,
        _table,
        _figures,
        _numbered,
        _leaders,
        _check_boxes,
    ),
    "form": (
        _heading,
        _form,
        _form,
        _form,
        _check_boxes,
        _blank_rules,
        _signature,
        _table,
        _figures,
        _figures,
        _numbered,
        _gap,
    ),
    "letter": (_paragraph, _paragraph, _paragraph, _numbered, _gap, _signature),
    "dense": (_paragraph, _paragraph, _table, _figures, _leaders),
    "receipt": (_heading, _items, _items, _paragraph, _gap),
}
