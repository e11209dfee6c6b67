"""The box decoder against a plain reference, at its limits, and on curved words."""

import cv2
import numpy as np
import pytest
import shapely
from reference_craft import reference_boxes
from scipy import ndimage
from shapes import word_quads

from craft_utils import adjustResultCoordinates, getDetBoxes
from textdet.data.heatmaps import draw_heatmaps
from textdet.decoding.components import score_maps
from textdet.decoding.craft import decode_craft

DEFAULTS = (0.7, 0.4, 0.4)


def gaussian(shape, x, y, sigma_x, sigma_y, angle=0.0):
    """(H, W) Gaussian of peak 1 at x, y, turned by angle (radians)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    dx, dy = columns - x, rows - y
    along = dx * np.cos(angle) + dy * np.sin(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    return np.exp(-0.5 * ((along / sigma_x) ** 2 + (across / sigma_y) ** 2))


def words_of_blobs(rng, shape):
    """Maps with a few words of Gaussian characters and links, some across the borders."""
    maps = np.zeros((2, *shape))
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(-3, shape[1] + 3), rng.uniform(-3, shape[0] + 3)
        sigma_x, sigma_y, angle = rng.uniform(1, 4), rng.uniform(1, 5), rng.uniform(-np.pi, np.pi)
        peak = rng.uniform(0.3, 1.05)
        for i in range(rng.integers(1, 6)):
            for half in (0, 1):
                distance = 2.5 * sigma_x * (i + half / 2)
                blob = gaussian(
                    shape,
                    x + distance * np.cos(angle),
                    y + distance * np.sin(angle),
                    sigma_x,
                    sigma_y,
                    angle,
                )
                maps[half] = np.maximum(maps[half], peak * blob)
    return maps


def noise(rng, shape):
    return rng.uniform(0, 1.05, (2, *shape)) ** rng.uniform(0.3, 2) - 0.02


def rectangles(rng, shape):
    maps = np.zeros((2, *shape))
    for _ in range(rng.integers(1, 8)):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        h, w = rng.integers(1, 16, 2)
        maps[rng.integers(0, 2), y : y + h, x : x + w] = rng.uniform(0, 1)
    return maps


def drawn_words(rng, shape):
    """Perfect maps of straight words at any angle, rounded to bytes as a network's are."""
    words = [
        word_quads(
            *rng.uniform(-10, 90, 2),
            int(rng.integers(1, 7)),
            *rng.uniform(3, 18, 2),
            rng.choice([0, 45, 90, rng.uniform(0, 360)]),
        )
        for _ in range(rng.integers(1, 7))
    ]
    return draw_heatmaps(words, shape[1], shape[0]).astype(np.float32) / 255


def assert_same_boxes(boxes, expected):
    assert boxes.shape == (len(expected), 4, 2)
    assert boxes.dtype == np.float32
    for box, reference in zip(boxes, expected, strict=True):
        sums = np.sort(reference.sum(axis=1))
        turns = range(4) if sums[1] - sums[0] < 0.02 else range(1)
        # At 45 degrees two corners tie, and the reference takes the first that OpenCV names.
        assert any(np.allclose(box, np.roll(reference, -k, axis=0), atol=1e-3) for k in turns)


@pytest.mark.parametrize("make_maps", [words_of_blobs, noise, rectangles, drawn_words])
def test_boxes_are_those_of_the_reference(make_maps):
    rng = np.random.default_rng(7)
    words = 0
    for _ in range(300):
        shape = tuple(rng.integers(1, 70, 2))
        maps = make_maps(rng, shape).astype(np.float32)
        # All orders occur, text_threshold below low_text too.
        thresholds = rng.uniform(0.1, 0.9, 3).tolist()
        before = maps.copy()
        boxes, polys = getDetBoxes(*maps, *thresholds)
        assert_same_boxes(boxes, reference_boxes(*maps, *thresholds))
        assert polys == [None] * len(boxes)
        np.testing.assert_array_equal(maps, before)
        words += len(boxes)
    assert words > 140


@pytest.mark.parametrize("area", [9, 10])
def test_components_of_about_the_least_area(area):
    """Link pixels count: nine of text and one of link are ten."""
    for link in (0, 1):
        textmap, linkmap = np.zeros((2, 20, 30))
        textmap[5, 5 : 5 + area - link] = 1
        linkmap[5, 5 + area - link] = link
        boxes, _ = getDetBoxes(textmap, linkmap, *DEFAULTS)
        assert len(boxes) == (area >= 10)
        assert_same_boxes(boxes, reference_boxes(textmap, linkmap, *DEFAULTS))


def test_large_words_are_those_of_the_reference():
    shape = (300, 420)
    textmap, linkmap = np.zeros((2, *shape), np.float32)
    for x in (40, 110, 180, 250, 320, 390):
        textmap = np.maximum(textmap, gaussian(shape, x, 100 + x / 3, 16, 30, 0.3))
        linkmap = np.maximum(linkmap, gaussian(shape, x + 35, 112 + x / 3, 16, 20, 0.3))
    boxes, _ = getDetBoxes(textmap, linkmap, *DEFAULTS)
    assert len(boxes) == 1
    assert_same_boxes(boxes, reference_boxes(textmap, linkmap, *DEFAULTS))


def test_the_same_corners_wherever_box_points_starts(monkeypatch):
    maps = words_of_blobs(np.random.default_rng(3), (60, 60))
    box_points = cv2.boxPoints
    expected, _ = getDetBoxes(*maps, 0.2, 0.4, 0.2)
    assert len(expected) > 1
    for turn in (1, 2, 3):
        monkeypatch.setattr(
            cv2, "boxPoints", lambda rect, k=turn: np.roll(box_points(rect), k, axis=0)
        )
        np.testing.assert_allclose(getDetBoxes(*maps, 0.2, 0.4, 0.2)[0], expected, atol=1e-3)


def test_a_turned_word_has_clockwise_corners_around_it():
    shape = (120, 120)
    for angle in (-0.6, -0.2, 0.2, 0.6):
        textmap = gaussian(shape, 60, 60, 22, 5, angle)
        (box,), _ = getDetBoxes(textmap, 0 * textmap, *DEFAULTS)
        first, second = box[1] - box[0], box[2] - box[1]
        assert box.sum(axis=1).argmin() == 0
        assert first[0] * second[1] - first[1] * second[0] > 0
        assert np.arctan2(first[1], first[0]) == pytest.approx(angle, abs=0.06)
        np.testing.assert_allclose(box.mean(axis=0), [60, 60], atol=1)


def test_at_45_degrees_the_first_side_runs_along_the_word():
    steps = np.arange(30)
    for ys in (10 + steps, 40 - steps):
        textmap = np.zeros((50, 50))
        for offset in (0, 1):
            textmap[ys, 8 + steps + offset] = 1
        (box,), _ = getDetBoxes(textmap, 0 * textmap, *DEFAULTS)
        assert np.linalg.norm(box[1] - box[0]) > 2 * np.linalg.norm(box[2] - box[1])


def test_corners_of_one_rectangle_by_hand():
    textmap = np.zeros((40, 60))
    textmap[10:20, 15:45] = 0.9
    # 300 pixels, 30 x 10: niter = int(2 sqrt(10)) = 6, a 7 x 7 kernel, 3 pixels on each side.
    boxes, _ = getDetBoxes(textmap, 0 * textmap, *DEFAULTS)
    np.testing.assert_allclose(boxes, [[[12, 7], [47, 7], [47, 22], [12, 22]]], atol=1e-3)


def test_a_round_blob_has_an_upright_box():
    textmap = gaussian((40, 40), 20, 20, 5, 5)
    (box,), _ = getDetBoxes(textmap, 0 * textmap, *DEFAULTS)
    assert box[0, 1] == box[1, 1] and box[1, 0] == box[2, 0]


def test_links_join_characters_but_do_not_grow_the_box():
    textmap, linkmap = np.zeros((2, 40, 80))
    textmap[10:20, 10:20] = textmap[10:20, 40:50] = 1
    assert len(getDetBoxes(textmap, linkmap, *DEFAULTS)[0]) == 2
    linkmap[5:30, 18:42] = 1
    (box,), _ = getDetBoxes(textmap, linkmap, *DEFAULTS)
    assert box[:, 1].min() > 3 and box[:, 1].max() < 27


def test_scores_are_the_peaks_of_the_character_map():
    textmap, linkmap = np.zeros((2, 40, 80))
    textmap[5:15, 10:30] = 0.5
    textmap[7, 12] = 0.8
    textmap[25:35, 10:30] = 1.2
    textmap[25:35, 50:70] = 0.6
    found = decode_craft(score_maps(textmap, linkmap, *DEFAULTS))
    np.testing.assert_allclose(found.scores, [0.8, 1.0])
    assert found.boxes.shape == (2, 4, 2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2), (5, 7)])
@pytest.mark.parametrize("text", [-0.1, 0.0, 0.4, 0.5, 1.0, 1.1])
@pytest.mark.parametrize("link", [0.0, 1.0])
def test_maps_of_one_value(shape, text, link):
    textmap, linkmap = np.full(shape, text), np.full(shape, link)
    for thresholds in (DEFAULTS, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.2, 0.4, 0.6)):
        boxes, polys = getDetBoxes(textmap, linkmap, *thresholds, poly=True)
        assert_same_boxes(boxes, reference_boxes(textmap, linkmap, *thresholds))
        assert polys == [None] * len(boxes)
        found = decode_craft(score_maps(textmap, linkmap, *thresholds))
        assert found.scores.shape == (len(boxes),)


def test_components_of_links_alone_are_dropped():
    textmap, linkmap = np.full((20, 40), 0.3), np.zeros((20, 40))
    linkmap[5:15, 5:35] = 1
    boxes, polys = getDetBoxes(textmap, linkmap, 0.2, 0.4, 0.4)
    assert boxes.shape == (0, 4, 2)
    assert polys == []


def test_words_on_all_borders_stay_on_the_map():
    textmap = np.zeros((50, 60))
    textmap[:6, :20] = textmap[-6:, -20:] = textmap[20:40, :5] = textmap[15:35, -5:] = 1
    boxes, _ = getDetBoxes(textmap, 0 * textmap, *DEFAULTS)
    assert_same_boxes(boxes, reference_boxes(textmap, 0 * textmap, *DEFAULTS))
    assert boxes.min() > -1e-3
    assert (boxes.max(axis=(0, 1)) < [59 + 1e-3, 49 + 1e-3]).all()


GOOD = np.zeros((8, 9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GOOD, GOOD.T, *DEFAULTS), "linkmap is"),
        ((GOOD[None], GOOD, *DEFAULTS), "textmap must be"),
        ((GOOD, GOOD[0], *DEFAULTS), "linkmap must be"),
        ((GOOD[:0], GOOD[:0], *DEFAULTS), "non-empty"),
        ((GOOD + np.nan, GOOD, *DEFAULTS), "textmap holds"),
        ((GOOD, GOOD + np.inf, *DEFAULTS), "linkmap holds"),
        ((GOOD, GOOD, 1.1, 0.4, 0.4), "text_threshold"),
        ((GOOD, GOOD, 0.7, -0.1, 0.4), "link_threshold"),
        ((GOOD, GOOD, 0.7, 0.4, float("nan")), "low_text"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        getDetBoxes(*arguments)
    assert "\n" not in str(raised.value)


def curved_word(characters, width, height, bend, rotation, size=240):
    """Maps of a word on an arc, and the band that its characters cover.

    bend: radians that the word turns from its first to its last character; positive bends to the
    right as one goes along. The Gaussians fall to 1/4 at the middle of the characters' sides.
    """
    length = characters * width
    turn = np.array([[np.cos(rotation), np.sin(rotation)], [-np.sin(rotation), np.cos(rotation)]])

    def place(distance, offset):
        angle = bend * distance / length
        radius = length / bend - offset
        return np.stack([np.sin(angle) * radius, length / bend - np.cos(angle) * radius], -1) @ turn

    distances = np.linspace(-length / 2, length / 2, 65)
    band = [place(distances, -height / 2), place(distances[::-1], height / 2)]
    band = np.concatenate(band)
    shift = size / 2 - (band.min(axis=0) + band.max(axis=0)) / 2
    maps = np.zeros((2, size, size))
    for i in range(2 * characters - 1):
        distance = (i + 1 - characters) * width / 2
        x, y = place(distance, 0) + shift
        angle = rotation + bend * distance / length
        blob = gaussian((size, size), x, y, width / 3.3, height / 3.3 / (1 + i % 2), angle)
        maps[i % 2] = np.maximum(maps[i % 2], blob)
    return *maps, shapely.Polygon(band + shift)


def iou(a, b):
    return a.intersection(b).area / a.union(b).area


@pytest.mark.parametrize("rotation", [0, 0.3, np.pi / 2, -np.pi / 2, 1.9, np.pi])
@pytest.mark.parametrize("bend", [-2, -1, 1, 2])
def test_polygons_follow_curved_words(bend, rotation):
    textmap, linkmap, band = curved_word(9, 16, 22, bend, rotation)
    (box,), (polygon,) = getDetBoxes(textmap, linkmap, *DEFAULTS, poly=True)
    assert polygon.shape == (14, 2)
    assert polygon.dtype == np.float32
    ring = shapely.Polygon(polygon)
    assert ring.is_valid
    # Clockwise on the image, whose y points down, is counter-clockwise to shapely.
    assert ring.exterior.is_ccw
    assert iou(ring, band) > 0.7
    assert iou(ring, band) > iou(shapely.Polygon(box), band) + 0.15


def test_polygon_pairs_lie_across_the_word():
    textmap, linkmap, _ = curved_word(9, 16, 22, 1, np.pi / 2)
    _, (polygon,) = getDetBoxes(textmap, linkmap, *DEFAULTS, poly=True)
    right, left = polygon[:7], polygon[:6:-1]
    assert (right[:, 0] > left[:, 0]).all()
    assert (np.diff(right[:, 1]) > 0).all() and (np.diff(left[:, 1]) > 0).all()


def test_straight_and_small_words_have_no_polygon():
    textmap = np.zeros((100, 100))
    textmap[10:40, 10:90] = 1
    textmap[60:64, 10:30] = 1
    boxes, polys = getDetBoxes(textmap, 0 * textmap, *DEFAULTS, poly=True)
    assert len(boxes) == 2
    assert polys == [None, None]


def test_polygons_of_odd_components_are_none_or_sound():
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(40):
        sigmas = (0, *rng.uniform(2, 7, 2))
        maps = ndimage.gaussian_filter(rng.uniform(-1, 1, (2, 150, 150)), sigmas)
        maps = maps / maps.max() + 0.2
        boxes, polys = getDetBoxes(*maps, 0.6, *rng.uniform(0.4, 0.7, 2), poly=True)
        assert len(polys) == len(boxes)
        for polygon in polys:
            if polygon is not None:
                assert polygon.shape == (14, 2)
                assert shapely.Polygon(polygon).is_valid
                found += 1
    assert found > 10


def test_adjust_result_coordinates_of_an_array():
    boxes = np.arange(16, dtype=np.float32).reshape(2, 4, 2)
    before = boxes.copy()
    scaled = adjustResultCoordinates(boxes, 1.5, 0.5)
    np.testing.assert_allclose(scaled, before * [3, 1])
    np.testing.assert_array_equal(boxes, before)
    assert scaled.dtype == np.float32
    assert adjustResultCoordinates(boxes[:0], 1, 1).shape == (0, 4, 2)


def test_adjust_result_coordinates_of_a_list():
    polys = [None, np.ones((14, 2), np.float32), np.ones((4, 2), np.float32)]
    scaled = adjustResultCoordinates(polys, 2, 3, ratio_net=4)
    assert isinstance(scaled, list)
    assert scaled[0] is None
    np.testing.assert_allclose(scaled[1], np.tile([8, 12], (14, 1)))
    np.testing.assert_allclose(scaled[2], np.tile([8, 12], (4, 1)))
    assert (polys[1] == 1).all()
    assert adjustResultCoordinates([], 1, 1) == []
