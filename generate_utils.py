"""The recipe of one synthetic image, from its index to its triplet."""

import functools
import gc
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from static import constants as C
from textdet.common.errors import DataError
from textdet.common.geometry import map_pixels, map_points, translation
from textdet.common.stage_times import stage
from textdet.data.annotation import Sample, Word
from textdet.data.heatmaps import draw_heatmaps
from textdet.synth.augment import BACKGROUND, CAMERA, augment
from textdet.synth.backgrounds import draw_background, draw_paper
from textdet.synth.blending import flat_paint, lay_over
from textdet.synth.blocks import Dropped, clip_words, draw_block, map_words, place_block, scene_area
from textdet.synth.content import Vocabulary, choose, load_vocabularies
from textdet.synth.fonts import Font
from textdet.synth.legibility import mark_illegible
from textdet.synth.pages import draw_page
from textdet.synth.placement import Placement, Spot
from textdet.synth.scanner import age_paper, lay_on, scan
from textdet.synth.warps import plane_homography
from textdet.synth.writer import is_typewriter

# Of a vocabulary's words and of its frequent ones, to see whether a font speaks its language.
SAMPLE_WORDS, SAMPLE_COMMON = 40, 200


@dataclass
class Resources:
    """What every image of a run draws from. speakers: a vocabulary's language to its fonts."""

    backgrounds: list[Path]
    vocabularies: list[Vocabulary]
    speakers: dict[str, list[Font]]


@functools.lru_cache(maxsize=1)
def open_resources(
    backgrounds: tuple[Path, ...], fonts: tuple[Path, ...], words: Path
) -> Resources:
    """Open the files of a job, once a process."""
    vocabularies = load_vocabularies(words)
    speakers = find_speakers(vocabularies, [Font(path) for path in fonts])
    gc.freeze()  # modules and resources stay; a collection through them takes 0.1 s
    return Resources(list(backgrounds), vocabularies, speakers)


def find_speakers(vocabularies: list[Vocabulary], fonts: list[Font]) -> dict[str, list[Font]]:
    """Match fonts to languages: a font speaks one when it has ink for nearly all of its words."""
    speakers = {}
    for vocabulary in vocabularies:
        words = _sample(vocabulary.words, SAMPLE_WORDS) + _sample(vocabulary.common, SAMPLE_COMMON)
        speakers[vocabulary.language] = [
            font for font in fonts if np.mean([font.supports(word) for word in words]) > 0.9
        ]
    if not any(speakers.values()):
        best = max(fonts, key=lambda font: np.mean([font.supports(word) for word in words]))
        reason = next(filter(None, map(best.lacks, words)), "lacks some letters")
        raise DataError(f"no font can draw the words; the nearest, {best.path.name}, {reason}")
    return speakers


def _sample(words: list[str], number: int) -> list[str]:
    """At least `number` of the words, evenly from all of them, where there are so many."""
    return words[:: max(1, len(words) // number)]


def generate_triplet(
    resources: Resources, folder: Path, seed: int, index: int, size: int
) -> tuple[Sample, np.ndarray, np.ndarray]:
    """Make image number `index`; it depends on the arguments alone.

    size: px, side of the square image. Returns the sample (not yet written), the image
    (size, size, 3) uint8 RGB and both heatmaps (2, size, size) uint8.
    """
    rng = np.random.default_rng([seed, index])
    if rng.random() < C.PAGE_PROBABILITY:
        image, ink, words, extra = draw_page_scene(rng, resources, size)
    else:
        image, ink, words, extra = draw_photo_scene(rng, resources, size)
    image = augment(CAMERA, rng, image)
    words = mark_illegible(image, ink, words)
    with stage("heatmaps"):
        maps = draw_heatmaps([word.quads for word in words if not word.ignore], size, size)
    return Sample(folder, f"{index:08d}.jpg", size, size, words, extra), image, maps


def draw_photo_scene(
    rng: np.random.Generator, resources: Resources, size: int
) -> tuple[np.ndarray, np.ndarray, list[Word], dict]:
    """Blocks of text on a background: the image, its letters' coverage (size, size) uint8, its
    words, and what the annotation notes."""
    image, name = draw_background(rng, resources.backgrounds, size)
    image = augment(BACKGROUND, rng, image)
    words, fonts, dropped = [], [], Counter()
    ink = np.zeros((size, size), np.uint8)
    if rng.random() >= C.EMPTY_PROBABILITY:
        placement, drawn = Placement(rng, image), []  # drawn: (spot, its font and vocabulary)
        ink = placement.ink
        signs = rng.random() < C.SIGN_SCENE_PROBABILITY
        blocks = C.SIGN_BLOCKS if signs else C.BLOCKS
        wanted = rng.integers(blocks[0], blocks[1] + 1)
        for number in range(wanted + C.EXTRA_BLOCKS):
            if number >= wanted and drawn:
                break
            near, speaker, sizes, same = _plan_block(rng, resources, drawn, signs)
            try:
                layer, em = draw_block(rng, *speaker, sizes)
                area = scene_area(layer, em)
                spot = placement.beside(near, same) if near else placement.draw_spot(rng, area)
                words += place_block(rng, image, spot, layer, em)
            except Dropped as reason:
                dropped[str(reason)] += 1
                continue
            placement.take(spot)
            drawn.append((spot, speaker))
            fonts.append(speaker[1].name)
    extra = {"kind": "scene", "background": name, "fonts": fonts, "dropped": dropped}
    return image, ink, words, extra


def _plan_block(
    rng: np.random.Generator, resources: Resources, drawn: list, signs: bool
) -> tuple[Spot | None, tuple[Vocabulary, Font], tuple | None, bool]:
    """What the next block of a scene is to be like.

    Returns the earlier block that it stands near (or None), its vocabulary and font, its range of
    sizes (None for the usual ones) and whether it repeats its neighbour's style.
    """
    sizes = C.SIGN_FONT_SIZE if signs else None
    if not drawn or rng.random() >= C.NEIGHBOUR_PROBABILITY:
        return None, _draw_font(rng, resources), sizes, False
    near, speaker = drawn[rng.integers(len(drawn))]
    if rng.random() >= C.SAME_STYLE_PROBABILITY:
        return near, _draw_font(rng, resources), sizes, False
    return near, speaker, tuple(np.multiply(C.SAME_STYLE_SIZE, near.style.em)), True


def draw_page_scene(
    rng: np.random.Generator, resources: Resources, size: int
) -> tuple[np.ndarray, np.ndarray, list[Word], dict]:
    """A sheet of paper, slightly turned; returns what draw_photo_scene does."""
    vocabulary, fonts = _draw_page_fonts(rng, resources)
    on_desk = rng.random() < C.DESK_PROBABILITY
    page = draw_page(rng, size, fonts, vocabulary, size * rng.uniform(*C.DESK_INSET) * on_desk)
    focal = rng.uniform(*C.FOCAL_LENGTH) * size
    roll = np.deg2rad(rng.uniform(*C.PAGE_ROTATION))
    yaw, pitch = np.deg2rad(rng.uniform(*C.PAGE_TILT, 2)) * (rng.random() < 0.5)
    warp = (
        translation(size / 2, size / 2)
        @ plane_homography(roll, yaw, pitch, focal)
        @ translation(-size / 2, -size / 2)
    )
    text, rules, stamps = (
        map_pixels(warp, layer, size, size) if layer.any() else layer
        for layer in (page.text, page.rules, page.stamps)
    )
    paper = age_paper(rng, draw_paper(rng, size), text)
    dark = rng.uniform(*C.PAGE_INK_LEVEL)
    image = paper
    for alpha, grey in ((rules, rng.uniform(*C.PAGE_RULE_INK_LEVEL)), (text, dark)):
        image = _lay_ink(image, rng.normal(0, 8, 3) + grey, alpha)
    if stamps.any():
        colour = C.STAMP_INKS[rng.integers(len(C.STAMP_INKS))]
        image = _lay_ink(image, rng.normal(0, 12, 3) + colour, stamps)
    words = clip_words(map_words(warp, page.words), size)
    left, top, right, bottom = page.sheet
    name = "paper"
    if right - left < size:  # a receipt, or any sheet on a desk
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        desk, name = draw_background(rng, resources.backgrounds, size)
        image = lay_on(rng, image, desk, map_points(warp, corners))
    else:
        image = scan(rng, image, paper, dark, [word.polygon for word in words])
    if rng.random() < C.INVERT_PAGE_PROBABILITY:
        image = 255 - image
    extra = {"kind": "page", "background": name, "fonts": sorted({f.name for f in fonts})}
    return image, cv2.max(text, stamps), words, extra


def _lay_ink(image: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Print a page's layer in an RGB colour, of levels that may lie beyond 0..255."""
    return lay_over(image, flat_paint(image, colour.clip(0, 255)), alpha, 1.0)


def _draw_page_fonts(
    rng: np.random.Generator, resources: Resources
) -> tuple[Vocabulary, list[Font]]:
    """A language, the body's font and the headings', which is often the same."""
    vocabulary, font = _draw_font(rng, resources)
    speakers = resources.speakers[vocabulary.language]
    if rng.random() < C.PAGE_TYPEWRITER_PROBABILITY:
        typewriters = [speaker for speaker in speakers if is_typewriter(speaker)]
        font = typewriters[rng.integers(len(typewriters))] if typewriters else font
    same = rng.random() < C.PAGE_ONE_FONT_PROBABILITY
    return vocabulary, [font, font if same else speakers[rng.integers(len(speakers))]]


def _draw_font(rng: np.random.Generator, resources: Resources) -> tuple[Vocabulary, Font]:
    shares = {
        v.language: C.LANGUAGE_SHARES.get(v.language, 1.0)
        for v in resources.vocabularies
        if resources.speakers[v.language]
    }
    language = choose(rng, shares)
    fonts = resources.speakers[language]
    vocabulary = next(v for v in resources.vocabularies if v.language == language)
    return vocabulary, fonts[rng.integers(len(fonts))]
