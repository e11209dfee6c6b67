"""Things that are not text, and the camera: drawn in place, off when off, repeatable."""

import cv2
import numpy as np
import pytest

from generate_utils import draw_photo_scene, open_resources
from static import constants as C
from textdet.synth import augment as pipelines
from textdet.synth import backgrounds, distractors
from textdet.synth.fonts import load_fonts


@pytest.mark.parametrize("kind", sorted(distractors.KINDS))
def test_each_kind_draws_in_place_and_repeats(kind):
    drawn = 0
    for seed in range(40):
        pictures = []
        for _ in range(2):
            rng = np.random.default_rng(seed)
            x, y = (int(v) for v in rng.integers(-20, 160, 2))  # also over the border
            w, h = (int(v) for v in rng.integers(12, 150, 2))
            image = np.full((160, 160, 3), 120, np.uint8)
            distractors.KINDS[kind](rng, image, x, y, w, h, (20, 30, 40), (220, 210, 200))
            pictures.append(image)
        assert (pictures[0] == pictures[1]).all()
        drawn += (pictures[0] != 120).any()
    assert drawn > 20


def test_shares_choose_the_kinds(monkeypatch):
    assert set(C.DISTRACTOR_SHARES) == set(distractors.KINDS)
    asked = []
    monkeypatch.setattr(distractors, "KINDS", {"lamps": lambda *_: asked.append("lamps")})
    shares = dict.fromkeys(C.DISTRACTOR_SHARES, 0) | {"lamps": 1}
    monkeypatch.setattr(C, "DISTRACTOR_SHARES", shares)
    distractors.draw_distractors(np.random.default_rng(0), np.zeros((64, 64, 3), np.uint8), 9)
    assert asked == ["lamps"] * 9


def test_they_leave_no_label(monkeypatch):
    monkeypatch.setattr(C, "EMPTY_PROBABILITY", 1)
    monkeypatch.setattr(C, "DISTRACTOR_PROBABILITY", 1)
    fonts = tuple(font.path for font in load_fonts(C.FONTS)[0][:2])
    photos = tuple(backgrounds.list_backgrounds(C.BACKGROUNDS)[:2])
    resources = open_resources(photos, fonts, C.WORDS)
    for seed in range(5):
        image, ink, words, _ = draw_photo_scene(np.random.default_rng(seed), resources, 160)
        assert words == [] and not ink.any() and image.shape == (160, 160, 3)


CAMERA = (
    "SHADOW_PATCH",
    "FLARE",
    "COLOUR",
    "GREY",
    "VIGNETTE",
    "BLUR",
    "NOISE",
    "DOWNSCALE",
    "SMALL_CAMERA",
    "JPEG",
)


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    coarse = rng.integers(60, 200, (12, 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_NEAREST)


def set_camera(monkeypatch, **probabilities):
    for name in CAMERA:
        monkeypatch.setattr(C, f"{name}_PROBABILITY", probabilities.get(name, 0))
    return pipelines.camera_pipeline()


def test_camera_off_changes_nothing(picture, monkeypatch):
    camera = set_camera(monkeypatch)
    for seed in range(5):
        result = pipelines.augment(camera, np.random.default_rng(seed), picture)
        assert (result == picture).all()


@pytest.mark.parametrize("name", CAMERA)
def test_each_camera_effect(name, picture, monkeypatch):
    """Forced on it changes the picture, keeps its shape and is repeatable."""
    camera = set_camera(monkeypatch, **{name: 1})
    changed = 0
    for seed in range(12):
        first, again = (
            pipelines.augment(camera, np.random.default_rng(seed), picture) for _ in range(2)
        )
        assert first.shape == picture.shape and first.dtype == np.uint8
        assert (first == again).all()
        changed += (first != picture).any()
    assert changed >= 8


@pytest.mark.parametrize("name", ["BLUR", "NOISE", "DOWNSCALE", "SMALL_CAMERA", "JPEG", "VIGNETTE"])
def test_a_bright_dot_stays_where_it_is(name, monkeypatch):
    camera = set_camera(monkeypatch, **{name: 1})
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[28:37, 40:49] = 255
    for seed in range(10):
        result = pipelines.augment(camera, np.random.default_rng(seed), picture)
        light = result.mean(2).astype(float)
        light[light < 100] = 0
        j, i = np.mgrid[:64, :64]
        centre = np.array([(light * i).sum(), (light * j).sum()]) / light.sum()
        assert centre == pytest.approx((44, 32), abs=0.7)


def test_noise_has_the_strength_that_the_constant_says(monkeypatch):
    monkeypatch.setattr(C, "NOISE_STRENGTH", (8, 8))
    camera = set_camera(monkeypatch, NOISE=1)
    grey = np.full((128, 128, 3), 128, np.uint8)
    for seed in range(6):
        noisy = pipelines.augment(camera, np.random.default_rng(seed), grey).astype(float)
        assert noisy.std() == pytest.approx(8, rel=0.06)
        assert noisy.mean() == pytest.approx(128, abs=0.5)
