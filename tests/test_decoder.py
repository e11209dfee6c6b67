"""The proportional decoder: perfect maps of known words must give these words back."""

import numpy as np
import pytest

from box_metrics import match_image, polygon_ious, summarise
from craft_utils import detect_words, getDetBoxes
from heatmap_utils import draw_heatmaps

SIZE = 320


def word_quads(x, y, characters, width, height, degrees=0.0):
    """Cells of a straight word from (x, y) on, turned about that point: (n, 4, 2)."""
    left = np.arange(characters)[:, None] * width
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    quads = corners + np.stack([left, np.zeros_like(left)], -1)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return quads @ turn.T + (x, y)


def outline(quads):
    return np.array([quads[0, 0], quads[-1, 1], quads[-1, 2], quads[0, 3]])


def decode(words, low_text, decoder="proportional"):
    """Boxes in continuous coordinates, from the words' perfect maps."""
    text, link = draw_heatmaps(words, SIZE, SIZE).astype(np.float32) / 255
    return detect_words(text, link, 0.6, 0.4, low_text, decoder=decoder).boxes + 0.5


@pytest.mark.parametrize("low_text", [0.25, 0.3, 0.4, 0.5])
@pytest.mark.parametrize("degrees", [0, 17, -40, 90, 160])
def test_words_come_back(degrees, low_text):
    quads = word_quads(160, 160, 5, 14, 24, degrees)
    (box,) = decode([quads], low_text)
    assert polygon_ious([box], [outline(quads)])[0, 0] > 0.9
    assert box.mean(0) == pytest.approx(outline(quads).mean(0), abs=0.7)


@pytest.mark.parametrize(("width", "height"), [(20, 20), (12, 30), (40, 24), (60, 90)])
def test_single_characters_come_back(width, height):
    quads = word_quads(100, 90, 1, width, height)
    (box,) = decode([quads], 0.4)
    assert polygon_ious([box], [outline(quads)])[0, 0] > 0.8


def test_better_than_the_dilation_on_a_page():
    """Forty words of all sizes: every one is found, and fits better than CRAFT's boxes do."""
    rng = np.random.default_rng(0)
    words, y = [], 8.0
    while y < SIZE - 40:
        height, x = rng.uniform(10, 34), 6.0
        while True:
            letters, width = int(rng.integers(1, 8)), height * rng.uniform(0.45, 0.7)
            if x + letters * width > SIZE - 6:
                break
            words.append(word_quads(x, y, letters, width, height))
            x += letters * width + 0.5 * height
        y += 1.4 * height
    truth = [outline(quads) for quads in words]
    scores = {}
    for decoder in ("craft", "proportional"):
        boxes = decode(words, 0.4, decoder)
        scores[decoder] = summarise([match_image(boxes, truth)])
    assert scores["proportional"]["f1"] == 1
    assert scores["proportional"]["iou"] > 0.88 > 0.85 > scores["craft"]["iou"]


def test_thin_and_tiny_components():
    """Rows and columns of one pixel have no direction of their own in one axis."""
    text = np.zeros((40, 60), np.float32)
    text[5, 5:25] = text[20:35, 40] = 1
    boxes = detect_words(text, 0 * text, 0.6, 0.4, 0.4, decoder="proportional").boxes + 0.5
    assert np.isfinite(boxes).all() and len(boxes) == 2
    assert boxes.mean(1) == pytest.approx(np.array([(15, 5.5), (40.5, 27.5)]), abs=0.01)
    assert np.ptp(boxes, axis=1).min() > 1


def test_craft_stays_craft():
    quads = word_quads(60, 60, 5, 14, 24, 17)
    text, link = draw_heatmaps([quads], SIZE, SIZE).astype(np.float32) / 255
    boxes, _ = getDetBoxes(text, link, 0.6, 0.4, 0.4)
    assert (boxes + 0.5 == decode([quads], 0.4, "craft")).all()
    with pytest.raises(ValueError, match="decoder"):
        detect_words(text, link, 0.6, 0.4, 0.4, decoder="magic")
