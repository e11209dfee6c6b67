"""Things that are not text, and the camera: drawn in place, off when off, repeatable."""

import cv2
import numpy as np
import pytest

from generate_utils import open_resources
from static import constants as C
from textdet.synth import backgrounds, distractors
from textdet.synth.augment import augment, make_pipelines
from textdet.synth.distractors import Patch
from textdet.synth.fonts import load_fonts
from textdet.synth.scene import draw_photo_scene
from textdet.synth.settings import GeneratorSettings

DEFAULTS = GeneratorSettings()


@pytest.mark.parametrize("kind", sorted(distractors.DISTRACTORS))
def test_each_kind_draws_in_place_and_repeats(kind):
    drawn = 0
    for seed in range(40):
        pictures = []
        for _ in range(2):
            rng = np.random.default_rng(seed)
            x, y = (int(v) for v in rng.integers(-20, 160, 2))  # also over the border
            w, h = (int(v) for v in rng.integers(12, 150, 2))
            image = np.full((160, 160, 3), 120, np.uint8)
            patch = Patch(x, y, w, h, (20, 30, 40), (220, 210, 200))
            distractors.DISTRACTORS[kind](rng, image, patch)
            pictures.append(image)
        assert (pictures[0] == pictures[1]).all()
        drawn += (pictures[0] != 120).any()
    assert drawn > 20


def test_shares_choose_the_kinds(monkeypatch):
    assert set(DEFAULTS.DISTRACTOR_SHARES) == set(distractors.DISTRACTORS)
    asked = []
    monkeypatch.setattr(distractors, "DISTRACTORS", {"lamps": lambda *_: asked.append("lamps")})
    shares = dict.fromkeys(DEFAULTS.DISTRACTOR_SHARES, 0) | {"lamps": 1}
    settings = DEFAULTS.changed(DISTRACTOR_SHARES=shares)
    image = np.zeros((64, 64, 3), np.uint8)
    distractors.draw_distractors(np.random.default_rng(0), settings, image, 9)
    assert asked == ["lamps"] * 9


def test_they_leave_no_label():
    settings = DEFAULTS.changed(EMPTY_PROBABILITY=1, DISTRACTOR_PROBABILITY=1)
    fonts = tuple(font.path for font in load_fonts(C.FONTS)[0][:2])
    photos = tuple(backgrounds.list_backgrounds(C.BACKGROUNDS)[:2])
    resources = open_resources(photos, fonts, C.WORDS, settings.languages())
    for seed in range(5):
        scene = draw_photo_scene(np.random.default_rng(seed), settings, resources, 160)
        assert scene.words == [] and not scene.ink.any() and scene.image.shape == (160, 160, 3)


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


def camera_with(settings=DEFAULTS, **probabilities):
    """The camera with these effects alone."""
    effects = {f"{name}_PROBABILITY": probabilities.get(name, 0) for name in CAMERA}
    return make_pipelines(settings.changed(**effects)).camera


def test_camera_off_changes_nothing(picture):
    camera = camera_with()
    for seed in range(5):
        result = augment(np.random.default_rng(seed), camera, picture)
        assert (result == picture).all()


@pytest.mark.parametrize("name", CAMERA)
def test_each_camera_effect(name, picture):
    """Forced on it changes the picture, keeps its shape and is repeatable."""
    camera = camera_with(**{name: 1})
    changed = 0
    for seed in range(12):
        first, again = (augment(np.random.default_rng(seed), camera, picture) for _ in range(2))
        assert first.shape == picture.shape and first.dtype == np.uint8
        assert (first == again).all()
        changed += (first != picture).any()
    assert changed >= 8


@pytest.mark.parametrize("name", ["BLUR", "NOISE", "DOWNSCALE", "SMALL_CAMERA", "JPEG", "VIGNETTE"])
def test_a_bright_dot_stays_where_it_is(name):
    camera = camera_with(**{name: 1})
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[28:37, 40:49] = 255
    for seed in range(10):
        result = augment(np.random.default_rng(seed), camera, picture)
        light = result.mean(2).astype(float)
        light[light < 100] = 0
        j, i = np.mgrid[:64, :64]
        centre = np.array([(light * i).sum(), (light * j).sum()]) / light.sum()
        assert centre == pytest.approx((44, 32), abs=0.7)


def test_noise_has_the_strength_that_the_setting_says():
    camera = camera_with(DEFAULTS.changed(NOISE_STRENGTH=(8, 8)), NOISE=1)
    grey = np.full((128, 128, 3), 128, np.uint8)
    for seed in range(6):
        noisy = augment(np.random.default_rng(seed), camera, grey).astype(float)
        assert noisy.std() == pytest.approx(8, rel=0.06)
        assert noisy.mean() == pytest.approx(128, abs=0.5)
