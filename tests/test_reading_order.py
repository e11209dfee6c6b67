"""Words into lines: pages, turned pages, columns, mixed sizes, vertical words, bad input."""

import numpy as np
import pytest

from textdet.decoding.reading_order import group_lines


def box(x, y, width, height):
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def page(rows, x=0.0, y=0.0, height=20.0, spacing=1.4, widths=(60, 20, 90, 40)):
    """Lines of words from (x, y) on, and the expected result."""
    quads, lines = [], []
    for row in range(rows):
        left = x
        lines.append([])
        for width in np.roll(widths, row):
            lines[-1].append(len(quads))
            quads.append(box(left, y + row * spacing * height, width, height))
            left += width + 0.3 * height
    return quads, lines


def turned(quads, degrees):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(quads, float) @ turn.T


def shuffled(quads, lines, seed=0):
    """The same words in another order: (quads, lines)."""
    order = np.random.default_rng(seed).permutation(len(quads))
    place = np.argsort(order)
    return np.asarray(quads, float)[order], [[int(place[i]) for i in line] for line in lines]


@pytest.mark.parametrize(
    ("degrees", "spacing"), [(0, 1.4), (3, 1.4), (-8, 1.4), (20, 1.4), (-35, 1.4), (0, 1.05)]
)
def test_a_page_whatever_the_order_and_the_angle(degrees, spacing):
    quads, lines = page(12, spacing=spacing)
    quads, lines = shuffled(turned(quads, degrees), lines)
    assert group_lines(quads) == lines


def test_each_line_may_be_oblique_on_its_own():
    lines, quads = [], []
    for row, degrees in enumerate((-4, 0, 4)):
        words, (line,) = page(1)
        lines.append([i + len(quads) for i in line])
        quads += (turned(words, degrees) + (0, row * 60)).tolist()
    assert group_lines(np.array(quads)) == lines


def test_columns_are_read_one_after_the_other_below_their_heading():
    heading, head_line = page(1, x=60, y=-70, height=34, widths=(200, 150, 180))
    left, left_lines = page(6)
    right, right_lines = page(6, x=330)
    quads = heading + left + right
    lines = head_line
    lines += [[i + len(heading) for i in line] for line in left_lines]
    lines += [[i + len(heading) + len(left) for i in line] for line in right_lines]
    quads, lines = shuffled(quads, lines)
    assert group_lines(quads) == lines


def test_words_of_different_height_on_one_baseline():
    # x-height, ascenders and descenders, capitals, a dash, and the line below.
    quads = [
        box(0, 8, 40, 10),
        box(48, 2, 50, 22),
        box(106, 2, 30, 16),
        box(142, 11, 12, 7),
        box(0, 30, 60, 16),
    ]
    assert group_lines(quads) == [[0, 1, 2, 3], [4]]


def test_a_headline_does_not_swallow_small_print():
    quads = [box(0, 0, 200, 80), box(210, 5, 40, 12), box(210, 30, 50, 12), box(210, 55, 45, 12)]
    lines = group_lines(quads)
    assert [0] in lines and [line for line in lines if line != [0]] == [[1], [2], [3]]


def test_vertical_words_stand_alone():
    quads = [box(0, 0, 20, 120), box(30, 0, 20, 120), box(70, 40, 60, 20), box(136, 40, 60, 20)]
    lines = group_lines(quads)
    assert sorted(map(tuple, lines)) == [(0,), (1,), (2, 3)]


def test_of_two_words_before_another_the_nearer_one_goes_on_with_it():
    quads = [box(0, 0, 40, 20), box(20, 9, 30, 20), box(60, 4, 40, 20)]
    assert sorted(group_lines(quads)) == [[0], [1, 2]]


def test_single_narrow_letters_join_their_line():
    quads = [box(0, 0, 40, 20), box(47, 0, 5, 20), box(59, 0, 40, 20)]
    assert group_lines(quads) == [[0, 1, 2]]


def test_every_word_once_on_random_boxes():
    rng = np.random.default_rng(5)
    for _ in range(60):
        number = int(rng.integers(1, 80))
        centres, sides = rng.uniform(0, 300, (number, 1, 2)), rng.uniform(0, 60, (number, 1, 2))
        quads = centres + sides * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2
        quads += rng.normal(0, 5, quads.shape)
        found = group_lines(quads)
        assert sorted(sum(found, [])) == list(range(number))


def test_equal_and_degenerate_boxes():
    assert sorted(sum(group_lines([box(3, 3, 10, 5)] * 20), [])) == list(range(20))
    assert sorted(sum(group_lines([box(3, 3, 0, 0)] * 3), [])) == [0, 1, 2]
    assert group_lines([]) == []
    assert group_lines(np.zeros((0, 4, 2))) == []


@pytest.mark.parametrize("bad", [np.zeros((3, 2)), np.full((2, 4, 2), np.nan), np.zeros((2, 5, 2))])
def test_bad_input(bad):
    with pytest.raises(ValueError, match="quads must be"):
        group_lines(bad)


def test_thousands_of_words():
    quads, lines = page(500, widths=(30, 40, 25, 50, 35, 45, 20, 60))
    assert group_lines(np.array(quads)) == lines
