"""Inks and plates: legible after blending, near their masks, and off when they are turned off."""

import cv2
import numpy as np
import pytest

from textdet.synth import blending, textures
from textdet.synth.ink import (
    InkStyle,
    apply_ink,
    measure_softness,
    sample_ink_style,
    scaled_style,
)
from textdet.synth.plates import draw_plate
from textdet.synth.settings import GeneratorSettings

C = GeneratorSettings()

STYLES = {
    "plain": {},
    "shadow": {"shadow": (3.0, 2.0), "shadow_blur": 1.0, "shadow_opacity": 0.8},
    "glow": {"glow": 3.0, "glow_strength": 1.0},
    "stroke": {"stroke": 2.0},
    "extrusion": {"extrusion": (4.0, -3.0)},
    "light": {"shading": 0.8, "grain": 0.9},
    "blur": {"blur": 1.0},
    **{f"fill {fill}": {"fill": fill} for fill in C.FILL_SHARES if fill != "flat"},
    **{f"blend {blend}": {"blend": blend} for blend in C.BLEND_SHARES if blend != "normal"},
}
WALLS = {"glow": 50}  # grey level of the wall, else 140: light is seen in the dark
SHADES = ("shadow", "glow", "stroke", "extrusion")


def letters(h=60, w=180):
    alpha = np.zeros((h, w), np.uint8)
    cv2.putText(alpha, "Text", (30, 42), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 255, 4, cv2.LINE_AA)
    return alpha


def wall(level=140, noise=4, shape=(60, 180)):
    rng = np.random.default_rng(level)
    return (level + rng.normal(0, noise, (*shape, 3))).clip(0, 255).astype(np.uint8)


def drawn(name, region, alpha, seed=0):
    """The style that the block was drawn in; None when it was not drawn."""
    rng, style = np.random.default_rng(seed), InkStyle(**STYLES[name])
    return apply_ink(rng, C, region, alpha, None, style)


@pytest.mark.parametrize("name", STYLES)
def test_effect_draws_near_its_letters_and_leaves_the_mask(name):
    alpha, region = letters(), wall(WALLS.get(name, 140))
    before, mask = region.copy(), alpha.copy()
    style = drawn(name, region, alpha)
    assert style and (alpha == mask).all()
    change = np.abs(region.astype(int) - before).max(2)
    reach = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    # Mixed gradients settle the rest of the region to its new letters, faintly.
    limit = 25 if style.blend == "poisson" else 0
    assert change[~reach].max() <= limit
    assert change[alpha > 200].mean() > 15
    beside = (alpha == 0) & reach
    if name in SHADES:
        assert change[beside].max() > 20
    elif name not in ("blur", "blend poisson"):
        assert change[beside].max() == 0


@pytest.mark.parametrize("name", SHADES)
def test_a_block_grown_by_its_reach_holds_all_that_is_drawn(name):
    """And not much more: at half of it something would be cut."""
    alpha, region = letters(), wall(WALLS.get(name, 140), noise=0)
    before = region.copy()
    style = drawn(name, region, alpha)
    change = np.abs(region.astype(int) - before).max(2)
    left, top, w, h = cv2.boundingRect((alpha > 0).astype(np.uint8))

    def beyond(reach):
        outside = np.ones(alpha.shape, bool)
        grown = int(np.ceil(reach))
        outside[top - grown : top + h + grown, left - grown : left + w + grown] = False
        return change[outside].max()

    assert beyond(style.reach()) <= 8 < beyond(style.reach() / 2 - 1)


@pytest.mark.parametrize("name", STYLES)
def test_ink_stands_out_after_blending(name):
    """Over many colours of walls: what was drawn is MIN_CONTRAST away from what is around it, what
    was not drawn left no trace."""
    alpha = letters()
    inner, outer = alpha == 255, cv2.dilate(alpha, np.ones((9, 9), np.uint8)) > 0
    outer &= cv2.dilate(alpha, np.ones((3, 3), np.uint8)) < 25
    done = 0
    for level in range(5, 256, 25):
        region = wall(level)
        before = region.copy()
        if not drawn(name, region, alpha, level):
            assert (region == before).all()
            continue
        done += 1
        lab = cv2.cvtColor(region, cv2.COLOR_RGB2LAB).astype(float) * (100 / 255, 1, 1)
        assert np.linalg.norm(lab[inner].mean(0) - lab[outer].mean(0)) >= C.MIN_CONTRAST * 0.9
    assert done >= 9


def test_text_over_two_surfaces_is_legible_on_both_or_dropped():
    rng, alpha = np.random.default_rng(3), letters()
    left = np.arange(180) < 90
    for _ in range(30):
        region = np.where(left[:, None], np.uint8(20), np.uint8(235)) + np.zeros(
            (60, 1, 3), np.uint8
        )
        if apply_ink(rng, C, region, alpha, None, InkStyle()):
            lab = cv2.cvtColor(region, cv2.COLOR_RGB2LAB).astype(float) * (100 / 255, 1, 1)
            for half in (left, ~left):
                ink_here, wall_here = (
                    lab[mask & half].mean(0) for mask in (alpha == 255, alpha == 0)
                )
                assert np.linalg.norm(ink_here - wall_here) > C.MIN_CONTRAST * 0.8


def test_nothing_is_drawn_when_no_colour_can_be_read():
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (60, 180, 3), dtype=np.uint8)
    before = noise.copy()
    assert not apply_ink(rng, C, noise, letters(), None, InkStyle(opacity=0.05))
    assert not apply_ink(rng, C, noise, np.zeros((60, 180), np.uint8), None, InkStyle())
    assert (noise == before).all()


def test_turned_off_means_not_drawn():
    off = C.changed(**{name: 0 for name in vars(C) if name.endswith("_PROBABILITY")})
    off = off.changed(BLEND_SHARES=dict.fromkeys(C.BLEND_SHARES, 0) | {"normal": 1})
    off = off.changed(FILL_SHARES=dict.fromkeys(C.FILL_SHARES, 0) | {"flat": 1})
    rng = np.random.default_rng(0)
    for _ in range(200):
        style = sample_ink_style(rng, off, 40.0, softness=1.0)
        assert style == InkStyle(em=40.0, opacity=style.opacity)
        assert draw_plate(np.float32([(0, 0), (9, 0), (9, 9), (0, 9)]), (9, 9), style) is None


def test_each_effect_occurs_and_can_be_repeated_at_another_size():
    rng = np.random.default_rng(0)
    styles = [sample_ink_style(rng, C, 40.0, softness=1.0) for _ in range(600)]
    parts = ("plate_opacity", "plate_border", "stroke", "shadow_opacity", "glow", "shading", "blur")
    for part in parts:
        assert 0.05 < np.mean([getattr(style, part) > 0 for style in styles]) < 0.95
    assert any(any(style.extrusion) for style in styles)
    assert {style.blend for style in styles} == set(C.BLEND_SHARES)
    assert {style.fill for style in styles} == set(C.FILL_SHARES)
    style = next(style for style in styles if style.stroke and style.shadow_opacity)
    style.colours["ink"] = np.array([1, 2, 3])
    small = scaled_style(style, 20.0)
    assert small.stroke == style.stroke / 2 and small.shadow[0] == style.shadow[0] / 2
    assert small.opacity == style.opacity and (small.colours["ink"] == (1, 2, 3)).all()


@pytest.mark.parametrize("shape", C.PLATE_SHAPE_SHARES)
def test_plates_leave_room_for_the_letters(shape):
    """Whatever its corners, a plate lies in its outline and covers the block within its padding."""
    style = InkStyle(plate_opacity=1.0, plate_padding=10.0, plate_shape=shape, plate_border=4.0)
    outline = np.float32([(5, 12), (150, 4), (160, 70), (12, 84)])
    plate = draw_plate(outline, (170, 90), style)
    w, h = 146.0, 70.0
    plane = cv2.getPerspectiveTransform(np.float32([(0, 0), (w, 0), (w, h), (0, h)]), outline)
    block = np.float32([(11, 11), (w - 11, 11), (w - 11, h - 11), (11, h - 11)])
    block = cv2.perspectiveTransform(block[None], plane)[0]
    inner, outer = np.zeros((2, 90, 170), np.uint8)
    cv2.fillConvexPoly(inner, np.round(block).astype(np.int32), 1)
    cv2.fillConvexPoly(outer, np.round(outline).astype(np.int32), 1)
    assert (plate.face[inner > 0] > 200).all()
    assert not plate.face[cv2.dilate(outer, np.ones((5, 5), np.uint8)) == 0].any()
    assert plate.border.any() and (plate.border <= plate.face).all()
    bent = draw_plate(np.vstack([outline[:2], [(165, 40)], outline[2:]]), (170, 90), style)
    assert (bent.face > 0).sum() > 0.9 * (outer > 0).sum() and bent.border.any()


def test_mixed_gradients_solve_poissons_equation():
    """Where the drawing has no gradient of its own the background's second differences stay; where
    its gradients are the stronger ones, those of the drawing."""
    rng = np.random.default_rng(0)
    base = np.float32(cv2.GaussianBlur(rng.normal(128, 40, (30, 40, 3)), (0, 0), 3)).astype(
        np.uint8
    )
    flat = np.full_like(base, 90)
    assert np.abs(blending.blend_gradients(base, flat).astype(int) - base).max() <= 1
    plain = np.full((30, 40, 3), 100, np.uint8)
    bump = plain.copy()
    bump[10:20, 10:30] = 160
    assert np.abs(blending.blend_gradients(plain, bump).astype(int) - bump).max() <= 1


def test_softness_grows_with_blur():
    edges = np.zeros((256, 256, 3), np.uint8)
    edges[:, 60:130] = 200
    soft = [
        measure_softness(cv2.GaussianBlur(edges, (0, 0), s), C.INK_BLUR) for s in (0.4, 1.0, 1.6)
    ]
    assert soft[0] < 0.5 and soft[0] < soft[1] <= soft[2] <= C.INK_BLUR
    assert measure_softness(np.full((256, 256, 3), 128, np.uint8), C.INK_BLUR) == 0


@pytest.mark.parametrize("name", C.TEXTURE_SHARES)
def test_textures(name):
    """Any size, the same for the same seed, another for another, and never featureless."""
    for size in (64, 131, 512):
        image = textures.TEXTURES[name](np.random.default_rng(1), size)
        assert image.shape == (size, size, 3) and image.dtype == np.uint8
        assert (image == textures.TEXTURES[name](np.random.default_rng(1), size)).all()
        assert (image != textures.TEXTURES[name](np.random.default_rng(2), size)).mean() > 0.5
    assert image.std() > 0.5


@pytest.mark.parametrize("sigma", [0.5, 3.0, 4.0, 9.0, 30.0])
def test_wide_blur_at_a_fraction_of_the_resolution_looks_the_same(sigma):
    letters = np.zeros((150, 260), np.uint8)
    cv2.putText(letters, "Glow", (40, 100), cv2.FONT_HERSHEY_SIMPLEX, 2.5, 255, 7)
    exact = cv2.GaussianBlur(letters, (0, 0), sigma).astype(int)
    assert np.abs(blending.blurred(letters, sigma) - exact).max() <= 10  # of 255
