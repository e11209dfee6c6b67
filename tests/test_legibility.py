"""What nobody can read any more is don't-care, and leaves no trace in the heatmaps."""

import cv2
import numpy as np
import pytest

from textdet.data.annotation import Word
from textdet.synth.legibility import mark_illegible
from textdet.synth.settings import GeneratorSettings

POLYGON = np.float32([(20, 20), (140, 20), (140, 60), (20, 60)])


def marked(change):
    """Whether a word in black letters on light grey is don't-care once `change` was done to it."""
    ink = np.zeros((80, 160), np.uint8)
    cv2.putText(ink, "Word", (24, 54), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 255, 3)
    image = cv2.merge([np.where(ink > 127, np.uint8(20), np.uint8(200))] * 3)
    word = Word("Word", list("Word"), np.repeat(POLYGON[None], 4, 0), POLYGON)
    (result,) = mark_illegible(GeneratorSettings(), change(image), ink, [word])
    assert result.text == "Word" and len(result.quads) == 4
    return result.ignore


def noisy(strength):
    noise = np.random.default_rng(0).normal(0, strength, (80, 160, 3))
    return lambda image: (image * 0.3 + 80 + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda image: image, False),
        (lambda image: 255 - image, False),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 2), False),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 25), True),
        (lambda image: (image // 30 + 120).astype(np.uint8), True),  # five grey levels are left
        (noisy(15), False),
        (noisy(150), True),
        (lambda image: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 8), False),
    ],
)
def test_lost_words_are_marked(change, lost):
    assert marked(change) == lost


def test_shade_over_half_of_a_word_does_not_hide_it():
    shade = np.linspace(0.35, 1, 160)[None, :, None]
    assert not marked(lambda image: (image * shade).astype(np.uint8))


def test_each_word_is_judged_by_its_own_pixels():
    ink = np.zeros((80, 480), np.uint8)
    levels = np.full((80, 480), 200, np.uint8)
    words = []
    for number, grey in enumerate((20, 199, 90)):  # the middle one is as light as the ground
        left = 160 * number
        cv2.putText(ink, "Word", (left + 24, 54), cv2.FONT_HERSHEY_SIMPLEX, 1.3, 255, 3)
        own = ink[:, left : left + 160] > 127
        levels[:, left : left + 160][own] = grey
        words.append(Word("Word", ["Word"], POLYGON[None] + (left, 0), POLYGON + (left, 0)))
    words.append(Word("beyond", ["beyond"], POLYGON[None] + 900, POLYGON + 900))
    marked = mark_illegible(GeneratorSettings(), cv2.merge([levels] * 3), ink, words)
    assert [word.ignore for word in marked] == [False, True, False, False]
    assert mark_illegible(GeneratorSettings(), cv2.merge([levels] * 3), ink, []) == []
