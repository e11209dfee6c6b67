"""The heatmaps against a slow computation, pixel by pixel, that shares no code with them."""

import math

import numpy as np
import pytest

from textdet.data.heatmaps import affinity_quads, draw_heatmaps


def slow_gaussian(width, height, quad):
    """CRAFT's patch of 200 px with sigma 40 inside its circle, on the quad enlarged 1.5 times."""
    centre = np.mean(quad, axis=0)
    patch = centre + (np.asarray(quad, float) - centre) * 1.5
    rows, target = [], []
    for (x, y), (u, v) in zip(patch, [(0, 0), (200, 0), (200, 200), (0, 200)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        target += [u, v]
    h = np.append(np.linalg.solve(np.array(rows), np.array(target)), 1).reshape(3, 3)
    h /= h[2] @ (*centre, 1)  # the quad is in front of the camera
    heatmap, at_edge = np.zeros((height, width)), np.zeros((height, width), bool)
    for j in range(height):
        for i in range(width):
            u, v, w = h @ (i + 0.5, j + 0.5, 1)
            if w <= 0:
                continue
            distance = math.hypot(u / w - 100, v / w - 100)
            at_edge[j, i] = abs(distance - 100) < 0.01
            if distance <= 100:
                heatmap[j, i] = math.exp(-(distance**2) / (2 * 40**2))
    return heatmap * 255, at_edge


def draw_one(width, height, quad):
    """The character map of one quad."""
    return draw_heatmaps([np.array([quad], float)], width, height)[0]


def random_quad(rng, side):
    """A turned, uneven quad about `side` px large, somewhere in or near 50x44 px."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (side, side * rng.uniform(0.4, 2)) / 2
    return (square + rng.uniform(-0.1, 0.1, (4, 2)) * side) @ turn.T + rng.uniform(-5, 55, 2)


@pytest.mark.parametrize("side", [1.5, 3, 8, 20, 60, 400])
@pytest.mark.parametrize("seed", range(4))
def test_gaussian_equals_slow_computation(seed, side):
    quad = random_quad(np.random.default_rng(seed), side)
    expected, at_edge = slow_gaussian(50, 44, quad)
    assert np.abs(draw_one(50, 44, quad) - expected)[~at_edge].max() <= 1.0


@pytest.mark.parametrize(
    "quad",
    [
        [(4, 20), (46, 4), (46, 40), (4, 24)],  # its sides meet near the left border
        [(2.2, 2), (40.6, 38), (39.9, 38.7), (1.5, 2.7)],  # a thin slanted stroke
        [(-900, -30), (30, -25), (30, 60), (-900, 60)],  # only its right end is in the image
        [(10, 10), (30, 10), (30, 30), (10, 30)],  # axis-aligned
        [(30, 10), (10, 10), (10, 30), (30, 30)],  # mirrored
    ],
)
def test_odd_quads_equal_slow_computation(quad):
    expected, at_edge = slow_gaussian(50, 44, quad)
    assert np.abs(draw_one(50, 44, quad) - expected)[~at_edge].max() <= 1.0


def test_whole_maps_equal_slow_computation():
    """Words of many sizes, affine and in perspective, drawn together."""
    rng = np.random.default_rng(1)
    words = []
    for count in (1, 0, 5, 9, 2):
        side = rng.uniform(4, 25)
        x = rng.uniform(0, 15) + np.arange(count + 1) * side * 0.7
        top, slope = rng.uniform(0, 30), rng.uniform(-0.03, 0.03) * (count % 2)
        upper = np.stack([x, top + slope * x], 1)
        lower = np.stack([x, top + side - slope * x], 1)
        words.append(np.stack([upper[:-1], upper[1:], lower[1:], lower[:-1]], 1))
    maps = draw_heatmaps(words, 50, 44)
    for drawn, quads in zip(
        maps,
        (np.concatenate(words), np.concatenate([affinity_quads(word) for word in words])),
        strict=True,
    ):
        patches = [slow_gaussian(50, 44, quad) for quad in quads]
        expected = np.max([values for values, _ in patches], 0)
        at_edge = np.any([edge for _, edge in patches], 0)
        assert (np.abs(drawn - expected) <= 1.0)[~at_edge].all() and drawn.max() > 100


def test_values_on_a_cell():
    at = draw_one(81, 81, [(10.5, 10.5), (70.5, 10.5), (70.5, 70.5), (10.5, 70.5)]) / 255
    assert at[40, 40] == 1
    assert at[40, 10] == pytest.approx(0.249, abs=0.003)  # middle of an edge
    assert at[10, 10] == pytest.approx(0.062, abs=0.003)  # corner


def test_larger_value_is_kept_and_borders_clip():
    quads = np.array([[(0, 0), (10, 0), (10, 10), (0, 10)], [(8, 0), (18, 0), (18, 10), (8, 10)]])
    together = draw_heatmaps([quads], 16, 12)[0]
    alone = [draw_heatmaps([quads[k : k + 1]], 16, 12)[0] for k in (0, 1)]
    assert (together == np.maximum(*alone)).all()
    wide = draw_heatmaps([quads + 20], 60, 60)[0][20:32, 20:36]
    assert (together == wide).all()


def test_affinity_quad():
    quads = np.array([[(0, 0), (8, 0), (8, 12), (0, 12)], [(8, 0), (16, 0), (16, 12), (8, 12)]])
    expected = [(4, 2), (12, 2), (12, 10), (4, 10)]
    assert affinity_quads(quads)[0] == pytest.approx(np.array(expected))
    assert len(affinity_quads(quads[:1])) == 0
    maps = draw_heatmaps([quads[:1], quads[1:]], 20, 14)
    assert maps[1].max() == 0  # nothing links two words


@pytest.mark.parametrize(
    "quad",
    [
        [(5, 5)] * 4,
        [(1, 1), (9, 1), (9, 1), (1, 1)],
        [(90, 5), (99, 5), (99, 15), (90, 15)],  # outside
        [(-30, -30), (-20, -30), (-20, -20), (-30, -20)],
    ],
)
def test_quads_without_area_and_outside_draw_nothing(quad):
    assert draw_one(12, 12, quad).max() == 0


def test_no_words():
    assert draw_heatmaps([], 7, 5).shape == (2, 5, 7)
    assert draw_heatmaps([np.zeros((0, 4, 2))], 7, 5).max() == 0
