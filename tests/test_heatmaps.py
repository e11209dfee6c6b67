"""The heatmaps against a slow computation, pixel by pixel, that shares no code with them."""

import math

import numpy as np
import pytest

from heatmap_utils import affinity_quads, draw_gaussian, draw_heatmaps


def slow_gaussian(width, height, quad):
    """CRAFT's patch of 200 px with sigma 40 inside its circle, on the quad enlarged 1.5 times."""
    centre = np.mean(quad, axis=0)
    patch = centre + (np.asarray(quad, float) - centre) * 1.5
    rows, target = [], []
    for (x, y), (u, v) in zip(patch, [(0, 0), (200, 0), (200, 200), (0, 200)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        target += [u, v]
    h = np.append(np.linalg.solve(np.array(rows), np.array(target)), 1).reshape(3, 3)
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


@pytest.mark.parametrize("seed", range(25))
def test_gaussian_equals_slow_computation(seed):
    rng = np.random.default_rng(seed)
    angle, side = rng.uniform(0, 2 * np.pi), rng.uniform(3, 18)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (side, side * rng.uniform(0.4, 2))
    quad = (square + rng.uniform(-0.2, 0.2, (4, 2)) * side) @ turn.T + rng.uniform(-5, 55, 2)
    expected, at_edge = slow_gaussian(50, 44, quad)
    heatmap = np.zeros((44, 50), np.uint8)
    draw_gaussian(heatmap, quad)
    assert np.abs(heatmap.astype(float) - expected)[~at_edge].max() <= 1.0


def test_values_on_a_cell():
    heatmap = np.zeros((81, 81), np.uint8)
    draw_gaussian(heatmap, np.array([(10.5, 10.5), (70.5, 10.5), (70.5, 70.5), (10.5, 70.5)]))
    at = heatmap / 255
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


@pytest.mark.parametrize("quad", [[(5, 5)] * 4, [(1, 1), (9, 1), (9, 1), (1, 1)]])
def test_degenerate_quads_draw_nothing(quad):
    heatmap = np.zeros((12, 12), np.uint8)
    draw_gaussian(heatmap, np.array(quad, float))
    assert heatmap.max() == 0
