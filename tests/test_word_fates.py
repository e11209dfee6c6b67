"""What became of each word: small scenes whose outcome is plain to see."""

import numpy as np
import pytest

from textdet.decoding.metrics import match_image, prepare_truth
from textdet.decoding.word_fates import FALSE_BOXES, FATES, count_fates, name_fates


def box(left, top, right, bottom):
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


WORD, NEIGHBOUR = box(0, 0, 100, 20), box(110, 0, 200, 20)


@pytest.mark.parametrize(
    ("boxes", "words", "expected"),
    [
        ([WORD], [WORD], {"found": 1}),
        ([], [WORD], {"missed": 1}),
        ([box(300, 0, 400, 20)], [WORD], {"missed": 1, "boxes on no text": 1}),
        ([box(0, 18.5, 100, 40)], [WORD], {"missed": 1, "boxes on no text": 1}),
        # One box around both, of which neither is half.
        ([box(0, 0, 200, 20)], [WORD, NEIGHBOUR], {"found": 1, "merged": 1}),
        ([box(0, -10, 200, 30)], [WORD, NEIGHBOUR], {"merged": 2, "boxes on text": 1}),
        ([box(-60, -10, 160, 30)], [WORD], {"merged": 1, "boxes on text": 1}),
        ([box(0, 0, 40, 20), box(45, 0, 90, 20)], [WORD], {"split": 1, "boxes on text": 2}),
        ([box(0, 0, 30, 20)], [WORD], {"split": 1, "boxes on text": 1}),
        ([box(0, 11, 100, 31)], [WORD], {"off": 1, "boxes on text": 1}),
        ([], [], {}),
    ],
)
def test_fates(boxes, words, expected):
    counts = count_fates(*name_fates(boxes, prepare_truth(words)))
    assert {name: count for name, count in counts.items() if count} == expected
    assert sum(counts[name] for name in FATES) == len(words)
    assert counts["found"] == match_image(boxes, words).matched
    assert counts["found"] + sum(counts[name] for name in FALSE_BOXES) == len(boxes)


def test_dont_care_regions():
    """A box within one counts neither way; one that only touches it is a false box on text."""
    truth = prepare_truth([WORD], [box(0, 100, 100, 120)])
    counts = count_fates(*name_fates([WORD, box(0, 100, 90, 120)], truth))
    assert counts["found"] == 1 and counts["boxes on text"] == counts["boxes on no text"] == 0
    counts = count_fates(*name_fates([WORD, box(0, 112, 100, 140)], truth))
    assert counts["boxes on text"] == 1 and counts["boxes on no text"] == 0


def test_found_as_in_the_protocol():
    rng = np.random.default_rng(0)
    for _ in range(50):
        sizes = rng.uniform(5, 60, (2, 8, 2))
        corners = rng.uniform(0, 150, (2, 8, 2))
        boxes, words = (
            [box(*c, *(c + s)) for c, s in zip(*side, strict=True)]
            for side in zip(corners, sizes, strict=True)
        )
        counts = count_fates(*name_fates(boxes, prepare_truth(words[:6], words[6:])))
        match = match_image(boxes, words[:6], words[6:])
        assert counts["found"] == match.matched
        assert sum(counts[name] for name in FATES) == 6
        assert sum(counts[n] for n in ("found", *FALSE_BOXES)) == match.predicted


def test_each_word_and_box_by_its_name():
    boxes = [box(300, 0, 400, 20), WORD, box(110, 0, 140, 20)]
    words, others = name_fates(boxes, prepare_truth([NEIGHBOUR, WORD]))
    assert words == ["split", "found"]
    assert others == ["boxes on no text", None, "boxes on text"]
