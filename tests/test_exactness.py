"""Random fonts, words and warps: one glyph rendered alone lies in the quad that its label says."""

import cv2
import numpy as np
import pytest
import shapely
from test_synth import ink_share

from generate_utils import open_resources
from static import constants as C
from textdet.common.geometry import scaling, translation
from textdet.synth.backgrounds import list_backgrounds
from textdet.synth.bends import sample_elastic
from textdet.synth.blocks import (
    Canvas,
    place_block,
    sample_bend,
    scene_area,
    typeset_block,
)
from textdet.synth.content import load_vocabularies
from textdet.synth.fonts import Font, load_fonts
from textdet.synth.placement import Placement
from textdet.synth.scene import draw_image
from textdet.synth.settings import GeneratorSettings
from textdet.synth.typeset import TextStyle, typeset, typeset_on_curve, typeset_stack
from textdet.synth.warps import Warp, map_words, plane_homography
from textdet.synth.writer import sample_supported

DEFAULTS = GeneratorSettings()
FONTS = load_fonts(C.FONTS)[0]
VOCABULARIES = load_vocabularies(C.WORDS, DEFAULTS.languages())
LAYOUTS = ("straight", "turned", "bent", "elastic", "bent and elastic", "stack")
CANVAS = 400  # px, larger than any of the words


def sample_word(rng):
    """A random font, and a word of three letters or more that it can draw."""
    for _ in range(200):
        font, vocabulary = FONTS[rng.integers(len(FONTS))], VOCABULARIES[rng.integers(2)]
        case = ("lower", "title", "upper")[rng.integers(3)]
        for word in sample_supported(rng, DEFAULTS, font, vocabulary, case):
            if 3 <= len(word) <= 9:
                return font, word
    raise AssertionError("no font can draw a word")


def set_word(rng, layout, font, word, style):
    if layout == "turned":
        return typeset_on_curve(rng, DEFAULTS, [word], font, style)
    if layout == "stack":
        return typeset_stack(DEFAULTS, word, font, style)
    layer = typeset(DEFAULTS, [[word]], font, style)
    if "bent" in layout:
        layer.bends += (sample_bend(rng, DEFAULTS, layer, style.size),)
    if "elastic" in layout:
        layer.bends += (sample_elastic(rng, DEFAULTS, style.size),)
    return layer


def seen(rng, layer):
    """A layer's one word and its ink, on a random plane: (Word, (CANVAS, CANVAS) uint8)."""
    height, width = layer.alpha.shape
    plane = plane_homography(*rng.uniform(-0.5, 0.5, 3), focal=rng.uniform(500, 1200))
    fit = min(1.0, 0.7 * CANVAS / max(width, height))
    warp = translation(CANVAS / 2, CANVAS / 2) @ plane @ scaling(fit * rng.uniform(0.5, 1))
    warp = Warp(warp @ translation(-width / 2, -height / 2), layer.bends)
    (word,) = map_words(warp, layer.words)
    return word, warp.pixels(layer.alpha, CANVAS, CANVAS)


def only(monkeypatch, wanted):
    """From now on fonts draw this glyph alone; the layout stays."""
    for method in ("bitmap", "turned_bitmap"):
        original = getattr(Font, method)

        def one(self, index, *args, original=original):
            pixels, left, top = original(self, index, *args)
            return (pixels if index == wanted else np.zeros_like(pixels)), left, top

        monkeypatch.setattr(Font, method, one)


def measure(layout, seed, monkeypatch):
    """(how far a random glyph reaches out of its advance in em, share of its ink in its quad)."""
    rng = np.random.default_rng([seed, LAYOUTS.index(layout)])
    font, word = sample_word(rng)
    style = TextStyle(rng.uniform(20, 70), tracking=rng.uniform(-0.02, 0.3))
    font.set_size(style.size)
    glyphs = sorted(font.shape(word), key=lambda glyph: glyph.cluster)
    indices = [glyph.index for glyph in glyphs]
    single = [k for k, index in enumerate(indices) if indices.count(index) == 1]
    if not single or [glyph.cluster for glyph in glyphs] != list(range(len(word))):
        return None
    k = single[rng.integers(len(single))]
    extent = font.extent(indices[k])
    overhang = max(-extent.left, extent.right - glyphs[k].advance / style.size)
    with monkeypatch.context() as patch:
        only(patch, indices[k])
        shown, alpha = seen(rng, set_word(rng, layout, font, word, style))
    assert shown.characters[k] == word[k]
    return overhang, ink_share(alpha, shown.quads[k], 1.0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_glyph_alone_lies_in_its_quad(layout, monkeypatch):
    found = [measure(layout, seed, monkeypatch) for seed in range(50)]
    overhang, shares = np.array([pair for pair in found if pair]).T
    within = overhang <= 0
    assert within.sum() > 20 and (~within).sum() > 5
    assert shares[within].min() >= 0.99
    assert np.median(shares[~within]) >= 0.95 and shares[~within].min() > 0.4


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_words_polygon_follows_its_line(layout):
    """It holds the ink of letters within their advances, and little besides the cells."""
    loose = []
    for seed in range(25):
        rng = np.random.default_rng([seed, 77])
        font, text = sample_word(rng)
        style = TextStyle(rng.uniform(20, 70), tracking=0.02)
        shown, alpha = seen(rng, set_word(rng, layout, font, text, style))
        assert ink_share(alpha, shown.polygon, 1.0) > 0.9
        polygon, cells = shapely.Polygon(shown.polygon), shapely.polygons(shown.quads)
        assert polygon.is_valid
        held = shapely.area(shapely.intersection(polygon, cells)) / shapely.area(cells)
        assert held.min() > 0.99
        loose.append(polygon.area / shapely.union_all(shapely.make_valid(cells)).area)
    # Letters turned one by one stand apart on the outer side of a bend.
    assert np.median(loose) < (1.3 if layout == "turned" else 1.1) and max(loose) < 1.5


def placed(seed, stretch):
    """A block of one straight word so stretched, on an untilted wall: (Word, its ink)."""
    off = {name: 0 for name in vars(DEFAULTS) if name.endswith("_PROBABILITY")}
    settings = DEFAULTS.changed(**off).changed(
        STRETCH_PROBABILITY=1,
        STRETCH=(stretch, stretch),
        LINES=(1, 1),
        LINE_WORDS=(1, 1),
        SMALL_ROTATION=(0, 0),
    )
    rng = np.random.default_rng(seed)
    image = np.full((800, 800, 3), 120, np.uint8)  # so large that no word has to shrink
    font = FONTS[rng.integers(len(FONTS))]
    canvas = Canvas(image, np.zeros((800, 800), np.uint8))
    layer, em = typeset_block(rng, settings, VOCABULARIES[0], font, sizes=(40, 41))
    placement = Placement(rng, settings, image)
    spot = placement.sample_spot(rng, scene_area(layer, em))
    (word,) = place_block(rng, settings, canvas, placement, spot, layer, em).words
    return word, canvas.ink


def test_stretched_letters_keep_their_cells():
    """Their ink is wider or narrower by what the settings say, and so are their cells."""
    for seed in range(12):
        sides = {}
        for stretch in (0.65, 1.0, 1.5):
            word, ink = placed(seed, stretch)
            assert ink_share(ink, word.polygon, 1.5) > 0.97
            _, _, *inked = cv2.boundingRect((ink > 40).astype(np.uint8))
            sides[stretch] = np.array([np.ptp(word.polygon, axis=0), inked])
        for stretch, (cells, inked) in sides.items():
            (flat_width, flat_height), flat_ink = sides[1.0]
            assert cells == pytest.approx((flat_width * stretch, flat_height), rel=0.01)
            assert inked == pytest.approx(flat_ink * (stretch, 1), abs=2.5)


def stands_out(image, ink, right, down):
    """How far the colours in and around the ink differ, if it were so many px further on."""
    ink = np.roll(ink, (down, right), (0, 1)).astype(np.uint8)
    around = cv2.dilate(ink, np.ones((9, 9))) > cv2.dilate(ink, np.ones((3, 3)))
    return np.linalg.norm(image[ink > 0].mean(0) - image[around].mean(0))


def test_words_are_where_the_finished_picture_shows_them():
    """With all that the camera does: ink that lay one px further on would stand out less."""
    photos = tuple(list_backgrounds(C.BACKGROUNDS)[:4])
    fonts = tuple(dict.fromkeys(font.path for font in FONTS))
    resources = open_resources(photos, fonts, C.WORDS, DEFAULTS.languages())
    settings = DEFAULTS.changed(EMPTY_PROBABILITY=0)
    best = []
    for seed in range(10):
        scene = draw_image(np.random.default_rng([seed, 3]), settings, resources, 320)
        for word in scene.words:
            (left, top), (right, bottom) = word.polygon.min(0) - 9, word.polygon.max(0) + 9
            inside = np.s_[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)]
            mask = np.zeros(scene.ink.shape, np.uint8)
            cv2.fillPoly(mask, [np.round(word.polygon).astype(np.int32)], 1)
            ink = (scene.ink[inside] > 128) & (mask[inside] > 0)
            if word.ignore or ink.sum() < 40:
                continue
            image = scene.image[inside].astype(float)
            places = (0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)
            best.append(np.argmax([stands_out(image, ink, *place) for place in places]) == 0)
    assert len(best) > 60 and np.mean(best) > 0.85
