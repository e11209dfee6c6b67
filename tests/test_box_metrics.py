"""The evaluation against cases worked out by hand and against counting on a grid."""

import itertools

import numpy as np
import pytest

from textdet.decoding.metrics import (
    ImageMatch,
    match_image,
    polygon_ious,
    prepare_truth,
    summarise,
    sweep,
)

GRID = 32  # side of the square that the grid covers; polygons have whole-number corners


def rectangle(x, y, w, h):
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], float)


def covered(polygon, cells_per_unit=8):
    """Booleans of a fine grid: whether each cell's centre lies inside, by crossing number."""
    ticks = (np.arange(GRID * cells_per_unit) + 0.5) / cells_per_unit
    x, y = np.meshgrid(ticks, ticks)
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def grid_iou(a, b):
    a, b = covered(a), covered(b)
    return (a & b).sum() / max((a | b).sum(), 1)


def star(rng, corners):
    """Simple polygon around a centre, usually concave, inside the grid."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(3, 9, corners)
    return rng.uniform(9, 23, 2) + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]


def best_matching(ious, threshold):
    """Largest number of one-to-one pairs, by trying every assignment."""
    if min(ious.shape) == 0:
        return 0
    if ious.shape[0] > ious.shape[1]:
        ious = ious.T
    hits = ious >= threshold
    return max(
        sum(hits[row, column] for row, column in enumerate(columns))
        for columns in itertools.permutations(range(ious.shape[1]), len(hits))
    )


def test_ious_by_hand():
    predicted = [rectangle(0, 0, 2, 2), rectangle(1, 0, 2, 2), rectangle(9, 9, 1, 1)]
    true = np.array([rectangle(0, 0, 2, 2), rectangle(2, 0, 2, 2)])
    ious = polygon_ious(predicted, true)
    np.testing.assert_allclose(ious, [[1, 0], [1 / 3, 1 / 3], [0, 0]])
    assert ious.max() <= 1


def test_ious_do_not_depend_on_the_way_round():
    a, b = rectangle(0, 0, 4, 2), rectangle(1, 0, 4, 2)
    for first, second in itertools.product((a, a[::-1]), (b, b[::-1])):
        np.testing.assert_allclose(polygon_ious([first], [second]), 0.6)


def test_concave_polygons():
    # An L of area 7 and the 3 x 3 square in its corner, which shares no area with it.
    corner = np.array([[0, 0], [4, 0], [4, 1], [1, 1], [1, 4], [0, 4]], float)
    ious = polygon_ious([corner], [rectangle(1, 1, 3, 3), rectangle(0, 0, 4, 4)])
    np.testing.assert_allclose(ious, [[0, 7 / 16]])


def test_polygons_that_cross_themselves():
    bow_tie = np.array([[0, 0], [2, 2], [2, 0], [0, 2]], float)
    np.testing.assert_allclose(polygon_ious([bow_tie], [rectangle(0, 0, 2, 2)]), 0.5)


@pytest.mark.parametrize(
    "flat",
    [
        [[3, 3], [3, 3], [3, 3]],
        [[0, 0], [1, 1], [0, 0]],
        [[0, 0], [1, 1], [2, 2], [3, 3]],
        [[0, 0], [3, 0], [3, 0], [0, 0]],
    ],
)
def test_polygons_without_area_never_match(flat):
    flat = np.array(flat, float)
    np.testing.assert_array_equal(polygon_ious([flat], [flat, rectangle(0, 0, 4, 4)]), [[0, 0]])
    assert match_image([flat], [flat], [flat]) == ImageMatch(0, 1, 1, 0.0)


def test_ious_of_nothing():
    assert polygon_ious([], []).shape == (0, 0)
    assert polygon_ious([], [rectangle(0, 0, 1, 1)]).shape == (0, 1)
    assert polygon_ious(np.zeros((2, 4, 2)), np.zeros((0, 4, 2))).shape == (2, 0)


def test_ious_agree_with_a_grid():
    rng = np.random.default_rng(5)
    for _ in range(25):
        predicted = [star(rng, rng.integers(4, 9)) for _ in range(3)]
        true = [star(rng, rng.integers(4, 9)) for _ in range(3)]
        expected = [[grid_iou(p, t) for t in true] for p in predicted]
        np.testing.assert_allclose(polygon_ious(predicted, true), expected, atol=0.01)


@pytest.mark.parametrize(
    "bad",
    [
        [np.zeros((2, 2))],
        [np.zeros((4, 3))],
        [np.zeros(8)],
        [np.full((4, 2), np.nan)],
        [rectangle(0, 0, 1, 1), np.full((4, 2), np.inf)],
    ],
)
def test_bad_polygons(bad):
    good = [rectangle(0, 0, 1, 1)]
    for arguments in ((bad, good), (good, bad), (good, good, bad)):
        with pytest.raises(ValueError, match="polygon"):
            match_image(*arguments)


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_bad_threshold(threshold):
    with pytest.raises(ValueError, match="iou_threshold"):
        match_image([], [], iou_threshold=threshold)


def test_prepared_truth_gives_the_same():
    rng = np.random.default_rng(2)
    predicted, true, ignore = ([star(rng, 6) for _ in range(4)] for _ in range(3))
    truth = prepare_truth(true, ignore)
    assert match_image(predicted, truth) == match_image(predicted, true, ignore)
    with pytest.raises(ValueError, match="ignore"):
        match_image(predicted, truth, ignore)


def test_a_perfect_image():
    words = [rectangle(0, 0, 4, 2), rectangle(10, 0, 4, 2)]
    assert match_image(words, words[::-1]) == ImageMatch(2, 2, 2, 2.0)


def test_an_iou_of_exactly_the_threshold_matches():
    match = match_image([rectangle(0, 0, 2, 1)], [rectangle(0, 0, 1, 1)])
    assert match == ImageMatch(1, 1, 1, 0.5)


def test_below_the_threshold_the_iou_still_counts():
    match = match_image([rectangle(0, 0, 4, 1)], [rectangle(0, 0, 1, 1), rectangle(9, 9, 1, 1)])
    assert match == ImageMatch(0, 1, 2, 0.25)


def test_two_detections_of_one_word():
    word = rectangle(0, 0, 10, 2)
    near, nearer = rectangle(0, 0, 7, 2), rectangle(0, 0, 8, 2)
    match = match_image([near, nearer], [word])
    assert (match.matched, match.predicted, match.true) == (1, 2, 1)
    assert match.iou_sum == pytest.approx(0.8)


def test_one_detection_of_two_words():
    match = match_image([rectangle(0, 0, 10, 2)], [rectangle(0, 0, 6, 2), rectangle(6, 0, 4, 2)])
    assert (match.matched, match.predicted, match.true) == (1, 1, 2)
    assert match.iou_sum == pytest.approx(0.6)


def test_detections_in_dont_care_regions_are_not_counted():
    ignore = [rectangle(0, 0, 10, 10), rectangle(20, 0, 2, 2)]
    inside, half, more = rectangle(2, 2, 2, 2), rectangle(8, 0, 4, 2), rectangle(7, 4, 4, 2)
    around = rectangle(19, 0, 5, 5)  # covers a region, but most of it lies outside
    match = match_image([inside, half, more, around], [], ignore)
    assert match == ImageMatch(0, 2, 0, 0.0)


def test_each_dont_care_region_counts_alone():
    halves = [rectangle(0, 0, 4, 4), rectangle(4, 0, 4, 4)]
    assert match_image([rectangle(0, 0, 8, 4)], [], halves).predicted == 1


def test_dont_care_comes_before_matching():
    word = rectangle(0, 0, 4, 2)
    assert match_image([word], [word], [rectangle(0, 0, 3, 2)]) == ImageMatch(0, 0, 1, 0.0)


def test_greedy_takes_the_best_pair_even_where_another_choice_pairs_more():
    # The second detection alone could serve the second word, but it fits the first word better.
    true = [rectangle(0, 0, 10, 2), rectangle(4, 0, 10, 2)]
    predicted = [rectangle(0, 0, 6, 2), rectangle(1, 0, 10, 2)]
    ious = polygon_ious(predicted, true)
    np.testing.assert_allclose(ious, [[0.6, 2 / 14], [9 / 11, 7 / 13]])
    match = match_image(predicted, true)
    assert best_matching(ious, 0.5) == 2
    assert match.matched == 1
    assert match.iou_sum == pytest.approx(9 / 11 + 2 / 14)


def test_matches_agree_with_brute_force_on_a_grid():
    """Where words do not overlap, a detection above 0.5 has one word, so that greedy is optimal
    unless two detections overlap; then it finds at least half as many."""
    rng = np.random.default_rng(8)
    matched = different = 0
    for _ in range(40):
        true = [
            rectangle(8 * column, 8 * row, *rng.integers(3, 9, 2))
            for row, column in rng.permutation(list(np.ndindex(3, 3)))[: rng.integers(0, 6)]
        ]
        predicted = [
            rectangle(x + rng.integers(0, 2), y, w + rng.integers(-1, 2), h + rng.integers(-1, 2))
            for (x, y), (w, h) in ((word[0], word[2] - word[0]) for word in true)
            if rng.uniform() < 0.8
        ]
        predicted += [rectangle(*rng.integers(0, 20, 2), *rng.integers(2, 9, 2))]
        ignore = [rectangle(*rng.integers(0, 20, 2), *rng.integers(4, 12, 2))]
        match = match_image(predicted, true, ignore)

        region = covered(ignore[0])
        kept = [p for p in predicted if 2 * (covered(p) & region).sum() <= covered(p).sum()]
        ious = np.array([[grid_iou(p, t) for t in true] for p in kept])
        ious = ious.reshape(len(kept), len(true))
        best = best_matching(ious, 0.5)
        assert (match.predicted, match.true) == (len(kept), len(true))
        assert best / 2 <= match.matched <= best
        assert match.iou_sum <= ious.max(axis=0, initial=0).sum() + 1e-6
        matched += match.matched
        different += match.matched != best
    assert matched > 40
    assert different <= 1


def test_summary_by_hand():
    scores = summarise([ImageMatch(1, 2, 4, 1.5), ImageMatch(2, 2, 2, 1.5)])
    assert scores == pytest.approx({"precision": 0.75, "recall": 0.5, "f1": 0.6, "iou": 0.5})
    assert all(type(value) is float for value in scores.values())


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (ImageMatch(0, 0, 0, 0.0), (1, 1, 1, 1)),
        (ImageMatch(0, 3, 0, 0.0), (0, 0, 0, 0)),
        (ImageMatch(0, 0, 3, 0.0), (0, 0, 0, 0)),
    ],
)
def test_summary_of_nothing(match, expected):
    scores = summarise([match, ImageMatch(0, 0, 0, 0.0)])
    assert tuple(scores.values()) == expected
    assert all(type(value) is float for value in scores.values())


def test_summary_of_no_images():
    assert summarise([])["f1"] == 1.0


def test_sweep_by_hand():
    # IoUs 0.5, 0.75 and 1 of three words, a fourth is missed, one detection is false.
    true = [rectangle(10 * i, 0, 4, 2) for i in range(4)]
    found = [rectangle(0, 0, 2, 2), rectangle(10, 0, 3, 2), true[2], rectangle(50, 0, 4, 2)]
    scores = sweep([match_image(found, true)], (0.5, 0.75, 0.8))
    assert [values["recall"] for values in scores.values()] == [0.75, 0.5, 0.25]
    assert [values["precision"] for values in scores.values()] == [0.75, 0.5, 0.25]
    assert all(values["iou"] == pytest.approx(2.25 / 4) for values in scores.values())


def test_sweep_agrees_with_matching_anew():
    rng = np.random.default_rng(11)
    images = [[[star(rng, 6) for _ in range(n)] for n in (6, 5, 1)] for _ in range(12)]
    thresholds = (0.1, 0.2, 0.3, 0.5)
    scores = sweep([match_image(*image) for image in images], thresholds)
    for threshold in thresholds:
        anew = summarise([match_image(*image, iou_threshold=threshold) for image in images])
        assert scores[threshold] == anew
    assert scores[0.1]["f1"] > scores[0.3]["f1"] > 0
