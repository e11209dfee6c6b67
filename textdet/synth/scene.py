"""The recipe of one image: blocks of text on a background, or a sheet of paper, and a camera."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from textdet.common.geometry import map_pixels, map_points, rectangle, translation
from textdet.data.annotation import Word
from textdet.synth.augment import augment, make_pipelines
from textdet.synth.backgrounds import draw_background, draw_paper
from textdet.synth.blending import flat_paint, lay_over
from textdet.synth.blocks import (
    NEAREST,
    Block,
    Canvas,
    Dropped,
    clip_words,
    place_block,
    scene_area,
    typeset_block,
)
from textdet.synth.content import Vocabulary
from textdet.synth.fonts import Font
from textdet.synth.ink import InkStyle
from textdet.synth.legibility import mark_illegible
from textdet.synth.pages import draw_page
from textdet.synth.placement import Placement
from textdet.synth.resources import Resources
from textdet.synth.scanner import age_paper, lay_on, scan
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind
from textdet.synth.warps import map_words, plane_homography
from textdet.synth.writer import is_typewriter


@dataclass(frozen=True)
class Scene:
    """A picture with text and what is known of it.

    Params:
        image: (size, size, 3) uint8 RGB.
        ink: (size, size) uint8, the coverage of its letters.
        words: in the image's continuous coordinates.
        notes: what the annotation says of the image: "kind" ("scene" or "page"), "background",
            "fonts", and of a scene "dropped", the number of blocks left out by reason.
    """

    image: np.ndarray
    ink: np.ndarray
    words: list[Word]
    notes: dict[str, Any]


def draw_image(
    rng: np.random.Generator, settings: GeneratorSettings, resources: Resources, size: int
) -> Scene:
    """Draw a photo or a page as a camera sees it; words that nobody can read in it are don't-care.

    Params:
        rng: all of the image's randomness.
        size: px, side of the square image.
    """
    draw = draw_page_scene if rng.random() < settings.PAGE_PROBABILITY else draw_photo_scene
    scene = draw(rng, settings, resources, size)
    image = augment(rng, make_pipelines(settings).camera, scene.image)
    words = mark_illegible(settings, image, scene.ink, scene.words)
    return Scene(image, scene.ink, words, scene.notes)


# --- Photos ----------------------------------------------------------------------------------


def draw_photo_scene(
    rng: np.random.Generator, settings: GeneratorSettings, resources: Resources, size: int
) -> Scene:
    """Draw blocks of text on a background.

    Params:
        size: px, side of the square image.

    Returns:
        the scene before the camera's effects and the check of legibility.
    """
    image, name = draw_background(rng, settings, resources.backgrounds, size)
    image = augment(rng, make_pipelines(settings).background, image)
    canvas = Canvas(image, np.zeros((size, size), np.uint8))
    blocks, dropped = [], Counter()
    if rng.random() >= settings.EMPTY_PROBABILITY:
        blocks, dropped = _draw_blocks(rng, settings, resources, canvas)
    notes = {
        "kind": "scene",
        "background": name,
        "fonts": [plan.font.name for plan, _ in blocks],
        "dropped": dropped,
    }
    words = [word for _, block in blocks for word in block.words]
    return Scene(canvas.image, canvas.ink, words, notes)


@dataclass(frozen=True)
class _Plan:
    """What a block is to be like.

    Params:
        sizes: px an em, None for the usual ones.
        near: the earlier block that it is to stand beside.
        like: the style that it is to repeat.
    """

    vocabulary: Vocabulary
    font: Font
    sizes: tuple[float, float] | None
    near: Block | None = None
    like: InkStyle | None = None


def _draw_blocks(
    rng: np.random.Generator, settings: GeneratorSettings, resources: Resources, canvas: Canvas
) -> tuple[list[tuple[_Plan, Block]], Counter]:
    """Draw a scene's blocks: those that found a place, and how many were dropped, by reason."""
    placement = Placement(rng, settings, canvas.image)
    blocks, dropped = [], Counter()
    few_large = rng.random() < settings.SIGN_SCENE_PROBABILITY
    low, high = settings.SIGN_BLOCKS if few_large else settings.BLOCKS
    wanted = rng.integers(low, high + 1)
    for number in range(wanted + settings.EXTRA_BLOCKS if wanted else 0):
        if number >= wanted and blocks:
            break
        plan = _sample_plan(rng, settings, resources, blocks, few_large)
        try:
            layer, em = typeset_block(rng, settings, plan.vocabulary, plan.font, plan.sizes)
            if plan.near:
                spot = placement.spot_beside(plan.near.spot, plan.near.outline)
            else:
                spot = placement.sample_spot(rng, scene_area(layer, em))
            block = place_block(rng, settings, canvas, placement, spot, layer, em, plan.like)
        except Dropped as reason:
            dropped[str(reason)] += 1
            continue
        placement.take(block.outline)
        blocks.append((plan, block))
    return blocks, dropped


def _sample_plan(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    resources: Resources,
    blocks: list[tuple[_Plan, Block]],
    few_large: bool,
) -> _Plan:
    """few_large: whether the scene is one of a few large signs."""
    sizes = settings.SIGN_FONT_SIZE if few_large else None
    if not blocks or rng.random() >= settings.NEIGHBOUR_PROBABILITY:
        return _Plan(*_sample_font(rng, settings, resources), sizes)
    plan, near = blocks[rng.integers(len(blocks))]
    if rng.random() >= settings.SAME_STYLE_PROBABILITY:
        return _Plan(*_sample_font(rng, settings, resources), sizes, near)
    sizes = tuple(np.multiply(settings.SAME_STYLE_SIZE, near.style.em))
    return _Plan(plan.vocabulary, plan.font, sizes, near, near.style)


# --- Pages -----------------------------------------------------------------------------------


def draw_page_scene(
    rng: np.random.Generator, settings: GeneratorSettings, resources: Resources, size: int
) -> Scene:
    """Draw a sheet of paper, slightly turned, scanned or on a desk.

    Params:
        size: px, side of the square image.

    Returns:
        the scene before the camera's effects and the check of legibility.
    """
    vocabulary, fonts = _sample_page_fonts(rng, settings, resources)
    on_desk = rng.random() < settings.DESK_PROBABILITY
    inset = size * rng.uniform(*settings.DESK_INSET) * on_desk
    page = draw_page(rng, settings, size, fonts, vocabulary, inset)
    warp = _sample_page_warp(rng, settings, size)
    text, rules, stamps = (
        map_pixels(warp, layer, size, size) if layer.any() else layer
        for layer in (page.text, page.rules, page.stamps)
    )
    paper = age_paper(rng, settings, draw_paper(rng, settings, size), text)
    dark = rng.uniform(*settings.PAGE_INK_LEVEL)
    image = paper
    for alpha, grey in ((rules, rng.uniform(*settings.PAGE_RULE_INK_LEVEL)), (text, dark)):
        image = _lay_ink(image, rng.normal(0, 8, 3) + grey, alpha)
    if stamps.any():
        colour = settings.STAMP_INKS[rng.integers(len(settings.STAMP_INKS))]
        image = _lay_ink(image, rng.normal(0, 12, 3) + colour, stamps)
    words = clip_words(map_words(warp, page.words), size)
    left, _, right, _ = page.sheet
    name = "paper"
    if right - left < size:  # a receipt, or any sheet on a desk
        desk, name = draw_background(rng, settings, resources.backgrounds, size)
        image = lay_on(rng, image, desk, map_points(warp, rectangle(*page.sheet)))
    else:
        image = scan(rng, settings, image, paper, dark, [word.polygon for word in words])
    if rng.random() < settings.INVERT_PAGE_PROBABILITY:
        image = 255 - image
    notes = {"kind": "page", "background": name, "fonts": sorted({f.name for f in fonts})}
    return Scene(image, cv2.max(text, stamps), words, notes)


def _sample_page_warp(
    rng: np.random.Generator, settings: GeneratorSettings, size: int
) -> np.ndarray:
    """Homography of a sheet, turned about its centre; seen from further away than FOCAL_LENGTH says
    where a part of it would lie behind the camera."""
    focal = rng.uniform(*settings.FOCAL_LENGTH) * size
    roll = np.deg2rad(rng.uniform(*settings.PAGE_ROTATION))
    yaw, pitch = np.deg2rad(rng.uniform(*settings.PAGE_TILT, 2)) * (rng.random() < 0.5)
    plane = plane_homography(roll, yaw, pitch, focal)
    # How much nearer to the camera a corner may lie than the centre, whose distance is 1.
    nearer = np.abs(plane[2, :2]).sum() * size / 2
    plane[2, :2] *= min(1.0, (1 - NEAREST) / max(nearer, NEAREST))
    return translation(size / 2, size / 2) @ plane @ translation(-size / 2, -size / 2)


def _lay_ink(image: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Print a page's layer in an RGB colour, of levels that may lie beyond 0..255."""
    return lay_over(image, flat_paint(image, colour.clip(0, 255)), alpha, 1.0)


# --- Fonts -----------------------------------------------------------------------------------


def _sample_page_fonts(
    rng: np.random.Generator, settings: GeneratorSettings, resources: Resources
) -> tuple[Vocabulary, list[Font]]:
    """A language, the body's font and the headings', which is often the same."""
    vocabulary, font = _sample_font(rng, settings, resources)
    fonts = resources.fonts[vocabulary.language]
    if rng.random() < settings.PAGE_TYPEWRITER_PROBABILITY:
        typewriters = [font for font in fonts if is_typewriter(font)]
        font = typewriters[rng.integers(len(typewriters))] if typewriters else font
    same = rng.random() < settings.PAGE_ONE_FONT_PROBABILITY
    return vocabulary, [font, font if same else fonts[rng.integers(len(fonts))]]


def _sample_font(
    rng: np.random.Generator, settings: GeneratorSettings, resources: Resources
) -> tuple[Vocabulary, Font]:
    """A language, and a font that has its letters."""
    shares = {
        v.language: settings.LANGUAGE_SHARES.get(v.language, 1.0)
        for v in resources.vocabularies
        if resources.fonts[v.language]
    }
    language = sample_kind(rng, shares)
    fonts = resources.fonts[language]
    vocabulary = next(v for v in resources.vocabularies if v.language == language)
    return vocabulary, fonts[rng.integers(len(fonts))]
