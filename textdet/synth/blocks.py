"""Blocks of text: set, bent, mapped into the scene with all their points, and drawn there."""

from dataclasses import dataclass

import numpy as np
import shapely

from textdet.common.geometry import part_inside, scaling, side_lengths, translation
from textdet.common.stage_times import stage
from textdet.data.annotation import Word
from textdet.synth.augment import augment, make_pipelines
from textdet.synth.bends import Curve, sample_curve, sample_elastic
from textdet.synth.content import Vocabulary
from textdet.synth.fonts import Font
from textdet.synth.ink import InkStyle, apply_ink, sample_ink_style, scaled_style
from textdet.synth.pictograms import add_pictogram
from textdet.synth.placement import Placement, Spot
from textdet.synth.plates import draw_plate
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind, within_one
from textdet.synth.typeset import (
    TextLayer,
    TextStyle,
    enclosing_outline,
    sample_text_style,
    typeset,
    typeset_on_curve,
    typeset_stack,
)
from textdet.synth.warps import Warp, map_words
from textdet.synth.writer import sample_supported

CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])  # directions, from the top left clockwise
SHORT_TRIES = 6  # lines drawn until one is short enough for its size
NEAREST = 0.1  # of a block's parts to the camera, times the distance of its middle
SHARP_SIZE = 32  # px an em; smaller text is set twice as large and then shrunk by its warp


@dataclass
class Canvas:
    """A picture while blocks are drawn into it.

    Params:
        image: (size, size, 3) uint8 RGB.
        ink: (size, size) uint8, the coverage of its letters.
    """

    image: np.ndarray
    ink: np.ndarray


@dataclass(frozen=True)
class Block:
    """A block of text in its picture.

    Params:
        spot: the surface that it is on.
        outline: (k, 2) px of the image.
        style: as it was drawn.
        words: in the image's continuous coordinates.
    """

    spot: Spot
    outline: np.ndarray
    style: InkStyle
    words: list[Word]


class Dropped(Exception):
    """A block that is left out of its image; the message says why, for the run's summary."""


@stage("text")
def typeset_block(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    vocabulary: Vocabulary,
    font: Font,
    sizes: tuple[float, float] | None = None,
) -> tuple[TextLayer, float]:
    """Set a block of a few lines, at the size of the scene or twice that for small text.

    Params:
        font: has the letters of the vocabulary's language.
        sizes: px an em, lowest and highest; FONT_SIZE's and the paragraphs' when None.

    Returns:
        the layer, and the em in the scene, px.

    Raises:
        Dropped: nothing could be set.
    """
    dense = sizes is None and rng.random() < settings.PARAGRAPH_PROBABILITY
    if sizes is None:
        sizes = settings.PARAGRAPH_FONT_SIZE if dense else settings.FONT_SIZE
    em = float(np.exp(rng.uniform(*np.log(sizes))))
    lines = _sample_lines(rng, settings, vocabulary, font, em, dense)
    style = sample_text_style(rng, settings, em * _supersampling(em))
    kind = "straight" if dense else sample_kind(rng, _line_shares(settings))
    layer = _SETTERS[kind](rng, settings, lines, font, style)
    if layer is None:
        raise Dropped("nothing that the font can draw")
    if kind == "straight" and not dense and rng.random() < settings.PICTOGRAM_PROBABILITY:
        layer = add_pictogram(rng, settings, layer, style.size)
    if rng.random() < settings.ELASTIC_PROBABILITY:
        layer.bends += (sample_elastic(rng, settings, style.size),)
    if not dense and rng.random() < settings.STRETCH_PROBABILITY:
        layer.stretch = float(np.exp(rng.uniform(*np.log(settings.STRETCH))))
    if em >= settings.WEAR_FONT_SIZE and rng.random() < settings.WEAR_PROBABILITY:
        layer.alpha = augment(rng, make_pipelines(settings).letters, layer.alpha)
    return layer, em


def _sample_lines(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    vocabulary: Vocabulary,
    font: Font,
    em: float,
    dense: bool,
) -> list[list[str]]:
    line_range, word_range = (
        (settings.PARAGRAPH_LINES, settings.PARAGRAPH_WORDS)
        if dense
        else (settings.LINES, settings.LINE_WORDS)
    )
    # Large lettering is short: it would not fit into the image otherwise.
    longest = max(1, int(word_range[1] * min(1.0, 60 / em)))
    most_lines = max(1, int(line_range[1] * min(1.0, 80 / em)))
    case = sample_kind(rng, settings.CASE_SHARES)
    lines = []
    for _ in range(rng.integers(min(line_range[0], most_lines), most_lines + 1)):
        count = rng.integers(min(word_range[0], longest), longest + 1)
        lines.append(_sample_line(rng, settings, vocabulary, font, case, count, em))
    return lines


def _sample_line(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    vocabulary: Vocabulary,
    font: Font,
    case: str,
    count: int,
    em: float,
) -> list[str]:
    """Up to `count` words; large lettering is a short word, else it would not stay large.

    Several words that stand on one line of a person's own list stay together as a line.
    """
    best = []
    for _ in range(SHORT_TRIES):
        line = []
        while len(line) < count and (
            phrase := sample_supported(rng, settings, font, vocabulary, case)
        ):
            if vocabulary.is_own and len(phrase) > 1:
                line = line or phrase
                break
            line += phrase
        else:
            line = line[:count]
        length = sum(map(len, line))
        if not best or 0 < length < sum(map(len, best)):
            best = line
        if length <= max(2, settings.LINE_LENGTH / em):
            break
    return best


def _supersampling(em: float) -> int:
    return 2 if em < SHARP_SIZE else 1


def scene_area(layer: TextLayer, em: float) -> float:
    """The area that a block covers in the scene, before its plane is tilted.

    Params:
        em: px in the scene.

    Returns:
        px^2.
    """
    return layer.stretch * layer.alpha.size / _supersampling(em) ** 2


def _line_shares(settings: GeneratorSettings) -> dict[str, float]:
    bent = within_one({"curve": settings.CURVE_PROBABILITY, "stack": settings.STACK_PROBABILITY})
    return {"straight": max(0.0, 1 - sum(bent.values())), **bent}


def _set_curve(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    lines: list[list[str]],
    font: Font,
    style: TextStyle,
) -> TextLayer | None:
    """A line on a guide curve with its letters turned, or a few lines bent as a whole."""
    turned = rng.random() < settings.TURNED_LETTERS_PROBABILITY
    if turned and not any(font.joins(text) for text in lines[0]):
        return typeset_on_curve(rng, settings, lines[0], font, style)
    layer = typeset(settings, lines[: settings.CURVE_LINES], font, style)
    if layer is not None:
        layer.bends = (sample_bend(rng, settings, layer, style.size),)
    return layer


def sample_bend(
    rng: np.random.Generator, settings: GeneratorSettings, layer: TextLayer, size: float
) -> Curve:
    """A guide curve for a layer as a whole, so gentle that its letters' sides stay nearly straight.

    Params:
        layer: straight.
        size: px of the layer an em.
    """
    height, width = layer.alpha.shape
    widest = max(np.ptp(word.quads[..., 0], axis=1).max() for word in layer.words)
    # A side of w px on a curve rises by curvature * w^2 / 8 above the straight one.
    reach = max(height / 2, settings.CURVE_BEND * widest**2 / (8 * settings.CURVE_SAG * size))
    return sample_curve(rng, settings, (width / 2, height / 2), width, reach)


def _set_stack(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    lines: list[list[str]],
    font: Font,
    style: TextStyle,
) -> TextLayer | None:
    """The first word that can be read from top to bottom, else the lines as they are."""
    for word in (word for line in lines for word in line):
        if len(word) in range(*settings.STACK_LENGTH) and word.isalnum() and not font.joins(word):
            capitals = word.upper() if rng.random() < settings.STACK_CAPITALS_PROBABILITY else word
            return typeset_stack(
                settings, capitals if font.supports(capitals) else word, font, style
            )
    return typeset(settings, lines, font, style)


_SETTERS = {
    "straight": lambda _, settings, *text: typeset(settings, *text),
    "curve": _set_curve,
    "stack": _set_stack,
}


def place_block(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    canvas: Canvas,
    placement: Placement,
    spot: Spot,
    layer: TextLayer,
    em: float,
    like: InkStyle | None = None,
) -> Block:
    """Warp a block, find its place and draw it.

    Params:
        canvas: drawn into in place.
        placement: of that picture; that the place is now taken is for the caller to tell it.
        spot: where the block is to go.
        em: px in the scene, before it is shrunk to fit.
        like: a style to repeat, its colours too; None for a random one.

    Returns:
        the block as drawn, in the image's continuous coordinates.

    Raises:
        Dropped: there is no room for it, or it could not be read there.
    """
    to_image, outline, style = _fit(rng, settings, placement, spot, layer, em, like)
    reach = style.reach()
    low = np.floor(outline.min(0) - reach).astype(int).clip(0)
    high = np.ceil(outline.max(0) + reach).astype(int).clip(None, placement.size)
    w, h = high - low
    alpha = to_image.then(translation(*-low)).pixels(layer.alpha, w, h)
    plate = draw_plate(outline - low, (w, h), style)
    inside = np.s_[low[1] : high[1], low[0] : high[0]]
    drawn = None
    if alpha.any():
        drawn = apply_ink(rng, settings, canvas.image[inside], alpha, plate, style)
    if drawn is None:
        raise Dropped("no ink that can be read")
    np.maximum(canvas.ink[inside], alpha, out=canvas.ink[inside])
    return Block(spot, outline, drawn, map_words(to_image, layer.words))


@stage("placement")
def _fit(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    placement: Placement,
    spot: Spot,
    layer: TextLayer,
    em: float,
    like: InkStyle | None,
) -> tuple[Warp, np.ndarray, InkStyle]:
    """Find a place for a block, shrunk as far as it needs and SMALLEST_SHRINK allows: its map into
    the image, its outline there and its style. Raises Dropped when there is no place for it."""
    plane, zoom = placement.plane(spot), 1 / _supersampling(em)
    frame, fit = _grown_frame(layer, 0, em / zoom), 1.0
    while (to_scene := _layer_to_scene(layer, plane, zoom * fit)).depths(frame).min() < NEAREST:
        fit *= settings.SHRINK_STEP
    extent = np.ptp(to_scene.points(frame), axis=0).max()
    fit *= min(1.0, settings.LARGEST_BLOCK * placement.size / extent)
    smallest = fit * settings.SMALLEST_SHRINK
    reason = "letters too small to read" if fit == 1 else "too large for the image"
    if like is None:
        full_size = sample_ink_style(rng, settings, em, placement.softness)
    else:
        full_size = scaled_style(like, em)
    while fit >= smallest:
        to_scene = _layer_to_scene(layer, plane, zoom * fit)
        if not _legible(settings, to_scene, layer.words, em / zoom):
            raise Dropped(reason)
        style = scaled_style(full_size, em * fit)
        grow = (style.plate_padding + 3) / (zoom * fit)
        grown, offset = _grown_frame(layer, grow, em / zoom), None
        outline = to_scene.points(grown)
        if to_scene.depths(grown).min() > 0:  # the plate, too, lies before the camera
            offset = placement.find(rng, spot, outline, settings.BLOCK_MARGIN * em * fit)
        if offset is not None:
            return to_scene.then(translation(*offset)), outline + offset, style
        fit, reason = fit * settings.SHRINK_STEP, "no room"
    raise Dropped(reason)


def _layer_to_scene(layer: TextLayer, plane: np.ndarray, zoom: float) -> Warp:
    height, width = layer.alpha.shape
    size = scaling(layer.stretch * zoom, zoom)
    return Warp(plane @ size @ translation(-width / 2, -height / 2), layer.bends)


def _grown_frame(layer: TextLayer, grow: float, size: float) -> np.ndarray:
    """The block's outline (k, 2) in the layer, grown by `grow` px; with points close enough for its
    bends. size: px of the layer an em."""
    frame = layer.frame
    if len(frame) == 4:  # the layer's border
        frame = frame + grow * CORNERS
    elif grow:
        frame = _corners(shapely.buffer(shapely.Polygon(frame), grow, join_style="mitre"))
    if layer.bends:
        frame = _corners(shapely.segmentize(shapely.Polygon(frame), size / 2))
    return frame


def _corners(polygon: shapely.Polygon) -> np.ndarray:
    return shapely.get_coordinates(polygon.exterior)[:-1]


def clip_words(words: list[Word], size: int) -> list[Word]:
    """Drop what lies outside the image: characters whose centre does, and words left with none.

    A word cut by the border keeps its inner characters, and what of the polygon around them lies
    within the image.

    Params:
        words: in the image's continuous coordinates.
        size: px, side of the square image.

    Returns:
        the words that are left, in their order.
    """
    kept = []
    for word in words:
        if ((word.polygon >= 0) & (word.polygon <= size)).all():
            kept.append(word)
            continue
        centres = word.quads.mean(1)
        inside = ((centres > 0) & (centres < size)).all(1)
        if not inside.any():
            continue
        quads = word.quads[inside]
        characters = [c for c, keep in zip(word.characters, inside, strict=True) if keep]
        text = "".join(characters)
        polygon = part_inside(enclosing_outline(text, quads), size, size)
        kept.append(Word(text, characters, quads, polygon))
    return kept


def _legible(settings: GeneratorSettings, warp: Warp, words: list[Word], size: float) -> bool:
    """Whether a person could read words of a layer once mapped: the narrowest character and the
    smallest letters. size: px of the layer an em."""
    flat = np.concatenate([word.quads for word in words])
    before, after = side_lengths(flat), side_lengths(warp.points(flat))
    narrow = np.minimum(after[:, 0], after[:, 2]).min() < settings.MIN_CHARACTER_SIDE
    scale = np.minimum(after[:, 1] / before[:, 1], after[:, 3] / before[:, 3]).min()
    return not narrow and scale * size >= settings.MIN_FONT_SIZE
