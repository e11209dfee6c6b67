"""Words into characters on perfect maps: straight, turned, vertical, curved; and bad input."""

import numpy as np
import pytest
from scipy.signal import find_peaks
from shapes import column_quads, curved_quads, outline, word_quads

from textdet.data.heatmaps import draw_heatmaps
from textdet.decoding.characters import (
    FOREGROUND,
    _local_maxima,
    character_bounds,
    split_characters,
)
from textdet.decoding.metrics import polygon_ious

SIZE = 400


def mean_iou(found, quads):
    return np.diag(polygon_ious(list(found), list(quads))).mean()


def text_map(quads):
    return draw_heatmaps([quads], SIZE, SIZE)[0]


@pytest.mark.parametrize("degrees", [0, 25, -50, 90, 180, -120])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_straight_words_at_any_angle(degrees, kind):
    quads = word_quads(200, 200, 7, 13, 24, degrees)
    textmap = text_map(quads)
    textmap = textmap if kind is np.uint8 else textmap.astype(np.float32) / 255
    found = split_characters(textmap, outline(quads))
    assert found.dtype == np.float32
    assert found.shape == quads.shape
    assert mean_iou(found, quads) > 0.97


def test_characters_of_different_width():
    widths = np.array([8, 22, 6, 15, 26, 10])
    left = np.cumsum(widths) - widths
    quads = np.concatenate(
        [word_quads(40 + x, 60, 1, w, 24) for x, w in zip(left, widths, strict=True)]
    )
    found = split_characters(text_map(quads), outline(quads))
    assert len(found) == len(quads)
    assert mean_iou(found, quads) > 0.93


def test_spaced_characters_keep_their_own_width():
    quads = np.concatenate([word_quads(40 + 24 * i, 60, 1, 14, 24) for i in range(5)])
    found = split_characters(text_map(quads), outline(quads))
    assert len(found) == 5
    assert mean_iou(found, quads) > 0.93


def test_a_column_of_upright_characters():
    quads = column_quads(100, 40, 6, 20, 24)
    polygon = np.array([quads[0, 0], quads[0, 1], quads[-1, 2], quads[-1, 3]])
    found = split_characters(text_map(quads), polygon)
    assert len(found) == 6
    assert mean_iou(found, quads) > 0.97
    # From the top down, each from its top left corner clockwise.
    assert (np.diff(found[:, 0, 1]) > 0).all()
    np.testing.assert_allclose(found[2], quads[2], atol=1.5)


def test_short_words_higher_than_wide_are_read_across():
    quads = word_quads(100, 100, 2, 9, 24)
    found = split_characters(text_map(quads), outline(quads))
    np.testing.assert_allclose(found, quads, atol=1)


@pytest.mark.parametrize("degrees", [0, 70, 180, 250])
@pytest.mark.parametrize("turn", [-1.8, 0.8, 2.2])
def test_curved_words(degrees, turn):
    quads, polygon = curved_quads(9, 14, 24, turn, degrees)
    found = split_characters(text_map(quads), polygon)
    assert len(found) == 9
    assert mean_iou(found, quads) > 0.85


@pytest.mark.parametrize("count", [1, 3, 4, 5, 6, 7, 11])
def test_a_known_count(count):
    quads = word_quads(60, 60, 5, 14, 24)
    found = split_characters(text_map(quads), outline(quads), count)
    assert len(found) == count
    assert np.diff(found[:, :2, 0], axis=1).min() > 1
    if count == 5:
        assert mean_iou(found, quads) > 0.97


def test_the_core_on_a_rectified_word():
    quads = word_quads(0, 0, 4, 16, 24)
    straight = draw_heatmaps([quads], 64, 24)[0]
    np.testing.assert_allclose(
        character_bounds(straight), [(0, 16), (16, 32), (32, 48), (48, 64)], atol=0.6
    )
    np.testing.assert_allclose(
        character_bounds(straight.astype(np.float32) / 255), character_bounds(straight), atol=0.1
    )


@pytest.mark.parametrize("value", [0, 3, 200, 255])
def test_maps_of_one_value_hold_one_character(value):
    textmap = np.full((30, 80), value, np.uint8)
    box = [(2, 2), (70, 2), (70, 25), (2, 25)]
    np.testing.assert_allclose(split_characters(textmap, box), [box])
    assert len(split_characters(textmap, box, 4)) == 4


def test_odd_polygons_are_survived():
    textmap = text_map(word_quads(60, 60, 5, 14, 24))
    for polygon in (np.zeros((4, 2)), np.full((4, 2), 1e6), 1e6 * np.eye(4)[:, :2]):
        assert np.isfinite(split_characters(textmap, polygon)).all()


@pytest.mark.parametrize(
    ("textmap", "polygon", "count", "message"),
    [
        (np.zeros((2, 5, 5)), np.zeros((4, 2)), None, "textmap"),
        (np.zeros((0, 5)), np.zeros((4, 2)), None, "textmap"),
        (np.zeros((5, 5)), np.zeros((5, 2)), None, "polygon"),
        (np.zeros((5, 5)), np.zeros((4, 3)), None, "polygon"),
        (np.zeros((5, 5)), np.full((4, 2), np.nan), None, "finite"),
        (np.zeros((5, 5)), np.zeros((4, 2)), 0, "count"),
    ],
)
def test_bad_input(textmap, polygon, count, message):
    with pytest.raises(ValueError, match=message):
        split_characters(textmap, polygon, count)


def test_peaks_are_scipys():
    """Of profiles with plateaus, also at their ends."""
    rng = np.random.default_rng(0)
    number = 0
    for _ in range(2000):
        profile = rng.integers(0, rng.integers(2, 12), rng.integers(1, 60)) / 10
        expected = find_peaks(np.pad(profile, 1, constant_values=-1), height=FOREGROUND)[0] - 1
        np.testing.assert_array_equal(_local_maxima(profile), expected)
        number += len(expected)
    assert number > 10_000
