"""Bent text: points and pixels go the same way, labels hold their ink, nothing folds."""

import cv2
import numpy as np
import pytest
import shapely
from test_synth import ink_share

from static import constants as C
from textdet.common.bidi import side_by_side, visual_order, visual_runs
from textdet.common.geometry import translation
from textdet.data.heatmaps import affinity_quads
from textdet.synth.bends import sample_curve, sample_elastic
from textdet.synth.fonts import Font, load_fonts
from textdet.synth.settings import GeneratorSettings
from textdet.synth.typeset import (
    TextStyle,
    typeset,
    typeset_on_curve,
    typeset_stack,
)
from textdet.synth.warps import Warp, map_words, plane_homography

DEFAULTS = GeneratorSettings()
FONTS = {font.name: font for font in load_fonts(C.FONTS)[0]}


def bends(rng):
    curve = sample_curve(rng, DEFAULTS, (150.0, 40.0), 300.0, 35.0)
    elastic = sample_elastic(rng, DEFAULTS, 40.0)
    return [(curve,), (elastic,), (curve, elastic)][rng.integers(3)]


@pytest.mark.parametrize("seed", range(20))
def test_points_follow_pixels(seed):
    """A dot drawn in the layer is found where its point is mapped."""
    rng = np.random.default_rng(seed)
    plane = plane_homography(*rng.uniform(-0.5, 0.5, 3), focal=600)
    warp = Warp(translation(250, 250) @ plane @ translation(-150, -40), bends(rng))
    x, y = int(rng.integers(20, 280)), int(rng.integers(15, 65))
    picture = np.zeros((80, 300), np.float32)
    picture[y - 2 : y + 3, x - 2 : x + 3] = 1
    warped = warp.pixels(picture, 500, 500)
    j, i = np.mgrid[:500, :500] + 0.5
    found = np.array([(warped * i).sum(), (warped * j).sum()]) / warped.sum()
    assert found == pytest.approx(warp.points(np.array([x + 0.5, y + 0.5])), abs=0.3)


@pytest.mark.parametrize("seed", range(20))
def test_bends_are_inverted_and_do_not_fold(seed):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(5, 296, 3.0), np.arange(6, 75, 3.0)), -1)
    for bend in bends(rng):
        there = bend.points(grid)
        assert np.abs(bend.sources(there) - grid).max() < 0.05
        dx, dy = there[:-1, 1:] - there[:-1, :-1], there[1:, :-1] - there[:-1, :-1]
        assert (dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0] > 0).all()


def test_a_stack_is_linked_downwards():
    layer = typeset_stack(DEFAULTS, "HOTEL", FONTS["NotoSans-Regular"], TextStyle(40))
    (word,) = layer.words
    assert word.characters == list("HOTEL")
    centres = word.quads.mean(1)
    links = affinity_quads(word.quads)
    assert links.mean(1) == pytest.approx((centres[:-1] + centres[1:]) / 2, abs=0.01)
    assert (np.ptp(links, axis=1) > 5).all()  # not flat


def test_right_to_left_words_read_so():
    layer = typeset(DEFAULTS, [["שלום", "עולם"]], FONTS["DejaVuSans-Bold"], TextStyle(40))
    first, second = layer.words
    assert "".join(first.characters) == "שלום" and (np.diff(first.quads[:, 0, 0]) < 0).all()
    assert first.polygon[:, 0].min() > second.polygon[:, 0].max()
    assert visual_runs("ב12:45") == [(1, 6, False), (0, 1, True)]
    assert visual_order([1, 2, 2, 1]) == [3, 1, 2, 0]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("\u05d1-COVID-19", [(2, 10, False), (0, 2, True)]),  # the number is part of the name
        ("\u05d0$5%", [(1, 4, False), (0, 1, True)]),
        ("\u0628" "5%", [(2, 3, True), (1, 2, False), (0, 1, True)]),  # after an Arabic letter
        ("\u0628" "12-45", [(4, 6, False), (3, 4, True), (1, 3, False), (0, 1, True)]),
        ("\u0660\u0661-\u0662", [(3, 4, False), (2, 3, True), (0, 2, False)]),
        ("COVID-19", [(0, 8, False)]),
    ],
)  # fmt: skip
def test_parts_of_a_word_stand_as_unicode_says(text, runs):
    """Hebrew, Arabic and Latin letters, figures and signs in one word, by UAX #9."""
    assert visual_runs(text) == runs


def test_each_script_of_a_word_keeps_its_rules():
    """Arabic letters that others stand before are joined as without them."""
    font = FONTS["DejaVuSans-Bold"]
    font.set_size(40)
    alone = [glyph.index for glyph in font.shape("عربي")]
    assert [glyph.index for glyph in font.shape("שعربي")][:4] == alone
    assert [glyph.index for glyph in font.shape("ABعربي")][2:] == alone
    assert font.joins("SMS/عربي") and not font.joins("SMS/שלום")


@pytest.mark.parametrize("bent", [False, True])
def test_cells_of_both_directions_are_linked_as_they_stand(bent):
    font, text = FONTS["DejaVuSans-Bold"], "\u05d1-COVID-19"
    if bent:
        rng = np.random.default_rng(1)
        layer = typeset_on_curve(rng, DEFAULTS, [text], font, TextStyle(40))
    else:
        layer = typeset(DEFAULTS, [[text]], font, TextStyle(40))
    (word,) = layer.words
    assert "".join(word.characters) == text
    lefts = side_by_side(text, word.quads).mean(1)[:, 0]
    assert (np.diff(lefts) > 0).all() and (np.diff(word.quads.mean(1)[:, 0]) < 0).any()
    links = affinity_quads(side_by_side(text, word.quads))
    assert np.ptp(links[..., 0], axis=1).max() < 60  # none from one end to the other
    cells = shapely.union_all([shapely.Polygon(quad) for quad in word.quads])
    assert shapely.Polygon(word.polygon).area < 1.25 * cells.area  # nor does its outline cut across


def test_a_stack_of_both_directions_keeps_its_order():
    layer = typeset_stack(DEFAULTS, "\u05d1a1", FONTS["DejaVuSans-Bold"], TextStyle(40))
    (word,) = layer.words
    assert side_by_side(word.text, word.quads) is word.quads


def test_what_a_font_lacks_is_said():
    assert "Devanagari" in FONTS["NotoSans-Regular"].lacks("नमस्ते")
    assert "Devanagari" in FONTS["NotoSans-Regular"].lacks("SMSनमस्ते")
    assert "ink" in FONTS["NotoSans-Regular"].lacks("漢")
    assert FONTS["DejaVuSans-Bold"].lacks("می\u200cخواهم") is None


@pytest.mark.parametrize("layout", ["turned", "bent", "elastic", "stack"])
def test_one_glyph_lies_in_its_quad(layout, monkeypatch):
    shares = []
    for name in ("NotoSans-Regular", "Roboto-Black", "PTN77F", "DejaVuSans-Bold", "Jura-Medium"):
        font, text, style = FONTS[name], "HxagoЩ", TextStyle(40)
        for k, seed in enumerate(range(len(text))):
            rng = np.random.default_rng(seed)
            wanted = font.shape(text)[k].index if font.set_size(40) is None else 0
            with monkeypatch.context() as patch:
                for method in ("bitmap", "turned_bitmap"):
                    original = getattr(Font, method)

                    def one(self, index, *args, original=original, wanted=wanted):
                        pixels, left, top = original(self, index, *args)
                        return (pixels if index == wanted else np.zeros_like(pixels)), left, top

                    patch.setattr(Font, method, one)
                if layout == "turned":
                    layer = typeset_on_curve(rng, DEFAULTS, [text], font, style)
                elif layout == "stack":
                    layer = typeset_stack(DEFAULTS, text, font, style)
                else:
                    layer = typeset(DEFAULTS, [[text]], font, style)
            height, width = layer.alpha.shape
            if layout == "bent":
                layer.bends = (
                    sample_curve(rng, DEFAULTS, (width / 2, height / 2), width, height / 2),
                )
            if layout == "elastic":
                layer.bends = (sample_elastic(rng, DEFAULTS, 40.0),)
            plane = plane_homography(*rng.uniform(-0.4, 0.4, 3), focal=700)
            centred = translation(250, 250) @ plane @ translation(-width / 2, -height / 2)
            warp = Warp(centred, layer.bends)
            (word,) = map_words(warp, layer.words)
            alpha = warp.pixels(layer.alpha, 500, 500)
            shares.append(ink_share(alpha, word.quads[k], 1.0))
            assert (
                cv2.pointPolygonTest(word.polygon, tuple(map(float, word.quads[k].mean(0))), 0) > 0
            )
    assert np.mean(np.array(shares) >= 0.99) >= 0.9 and min(shares) > 0.95
