"""The gaps between the words of a line, and how much they count in training."""

import numpy as np
import pytest
import torch
from shapely import Polygon

from textdet.data.annotation import Word
from textdet.data.word_gaps import INTO_WORD, band_of, draw_gaps, find_gaps
from textdet.synth.typeset import enclosing_outline
from textdet.training.augmentation import make_preset
from textdet.training.datasets import CropChoice, TrainDataset, to_tensors, weigh_gaps
from textdet.training.loss import HeatmapLoss

SIDE = 128


def word(left, top, right, bottom):
    return np.float32([(left, top), (right, top), (right, bottom), (left, bottom)])


def turned(points, degrees, centre=(50, 50)):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((points - centre) @ turn + centre).astype(np.float32)


LINE = [word(60, 40, 90, 60), word(10, 40, 50, 60)]  # the second one comes first in the line


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, 251])
def test_a_gap_lies_between_a_word_and_the_next_one_of_its_line(degrees):
    """From the middle of the last character to that of the next word's first, however it runs."""
    room = INTO_WORD * 20
    expected = word(50 - room, 40, 60 + room, 60)
    found = find_gaps([turned(polygon, degrees) for polygon in LINE])
    assert found.shape == (1, 4, 2)
    assert found[0] == pytest.approx(turned(expected, degrees), abs=1e-3)


def test_each_word_of_a_line_has_its_own_neighbour():
    words = [word(x, 10, x + 20, 22) for x in (10, 34, 58)]
    below = [word(x, 26, x + 20, 38) for x in (14, 38)]
    gaps = find_gaps([*below, *words])
    centres = sorted(map(tuple, gaps.mean(1).tolist()))
    assert centres == [(32, 16), (36, 32), (56, 16)]


@pytest.mark.parametrize(
    "other",
    [
        word(60, 62, 90, 82),  # in the next line
        word(85, 40, 110, 60),  # a column further
        word(60, 49, 65, 53),  # much smaller
        turned(word(60, 40, 90, 60), 60, (60, 50)),  # in another direction
        turned(word(60, 40, 90, 60), 180, (75, 50)),  # upside down
    ],
)
def test_what_is_no_next_word_has_no_gap(other):
    assert len(find_gaps([word(10, 40, 50, 60), other])) == 0


def test_a_curved_word_goes_on_in_the_direction_of_its_end():
    angles = np.linspace(np.pi, np.pi / 2, 5)  # a quarter of a circle, up and to the right
    outer, inner = (
        np.stack([60 + r * np.cos(angles), 60 - r * np.sin(angles)], 1) for r in (50, 38)
    )
    curved = np.concatenate([outer, inner[::-1]]).astype(np.float32)
    (gap,) = find_gaps([curved, word(64, 10, 90, 22)])
    room = INTO_WORD * 12
    shape, expected = Polygon(gap), Polygon(word(60 - room, 10, 64 + room, 22))
    # The end of an arc of five points points 11 degrees past its last side.
    assert shape.intersection(expected).area > 0.9 * expected.area


@pytest.mark.parametrize(
    ("text", "order"), [("word", [0, 1, 2, 3]), ("word", [3, 2, 1, 0]), ("20-ל", [2, 3, 1, 0])]
)
def test_characters_tell_the_sides_of_a_curved_word(text, order):
    """The generator's polygon around them has more points on the outer side."""
    angles = np.linspace(np.pi, np.pi / 2, 5)
    outer, inner = (
        np.stack([60 + r * np.cos(angles), 60 - r * np.sin(angles)], 1) for r in (50, 38)
    )
    quads = np.stack([outer[:-1], outer[1:], inner[1:], inner[:-1]], 1).astype(np.float32)
    quads = quads[order]
    curved = Word(text, list(text), quads, enclosing_outline(text, quads))
    assert len(curved.polygon) > 4
    level = Word("on", [], quads[:0], word(64, 10, 90, 22))
    (gap,) = find_gaps([band_of(curved), band_of(level)])
    room = INTO_WORD * 12
    shape, expected = Polygon(gap), Polygon(word(60 - room, 10, 64 + room, 22))
    assert shape.intersection(expected).area > 0.9 * expected.area


def test_outlines_that_tell_no_direction_have_no_gaps():
    triangle = np.float32([(0, 0), (9, 0), (9, 9)])
    assert len(find_gaps([])) == len(find_gaps([LINE[0]])) == len(find_gaps([triangle] * 2)) == 0
    assert len(find_gaps([LINE[0], np.zeros((4, 2), np.float32)])) == 0  # without extent
    assert len(find_gaps([*LINE, triangle])) == 1


def test_the_mask_is_the_gap():
    mask = draw_gaps(LINE, 100)
    rows, columns = np.nonzero(mask)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 60, 44, 66)


def test_gaps_count_more_than_the_rest():
    weights = np.full((4, 8), 255, np.uint8)
    weights[:, 6:] = 100
    gaps = np.zeros_like(weights)
    gaps[:, 2:4] = gaps[:, 7] = 255
    found = weigh_gaps(weights, gaps, 5)
    assert (found[0] == [51, 51, 255, 255, 51, 51, 20, 100]).all()


def test_joined_words_cost_more_with_the_weight():
    """An affinity across the gap; as much of it elsewhere costs less than without the weight."""
    maps = np.zeros((SIDE, SIDE, 2), np.uint8)
    gaps = draw_gaps(LINE, SIDE)
    image, full = np.zeros((SIDE, SIDE, 3), np.uint8), np.full((SIDE, SIDE), 255, np.uint8)
    maps[40:60, 12:48, :] = 255
    joined = np.full((2, SIDE // 2, SIDE // 2), -4.0, np.float32)
    joined[:, 20:30, 6:24] = 4
    elsewhere = joined.copy()
    joined[1, 20:30, 24:30] = 4  # in the gap
    elsewhere[1, 50:60, 24:30] = 4
    losses = {}
    for weight in (1, 5):
        item = to_tensors(image, maps, weigh_gaps(full, gaps, weight))
        parts = (
            [item["labels"][None], item["weights"][None]] if weight > 1 else [item["labels"][None]]
        )
        losses[weight] = [
            float(HeatmapLoss()(torch.from_numpy(logits)[None], *parts))
            for logits in (joined, elsewhere)
        ]
    assert losses[1][0] == pytest.approx(losses[1][1], rel=1e-3)
    assert losses[5][0] > 1.5 * losses[5][1]


def test_crops_move_the_gaps_with_the_words():
    """What is beyond the image counts as the rest does."""

    class OneImage:
        size = SIDE

        def read_sound(self, index):
            mask = draw_gaps(LINE, SIDE)
            return index, np.zeros((SIDE, SIDE, 3), np.uint8), np.dstack([mask, mask]), None

        def words(self, index):
            return [Word("a", [], np.zeros((0, 4, 2)), polygon) for polygon in LINE]

    dataset, seen = TrainDataset(OneImage(), make_preset("strong", 64, SIDE), 5), 0
    for seed in range(20):
        _, maps, weights, _ = dataset.crop(CropChoice(0, seed))
        assert set(np.unique(weights)) <= {51, 255}
        assert ((weights == 255) == (maps[..., 0] > 127)).all()
        seen += (weights == 255).any() and (weights == 51).any()
    assert seen > 5
    assert (
        TrainDataset(OneImage(), make_preset("strong", 64, SIDE)).crop(CropChoice(0, 0))[2] is None
    )
