"""What became of each true word: found, missed, merged with others, split, or slightly off.

F1 says how many words are wrong; this says how, and so what to change.
"""

from collections import Counter

import numpy as np

from textdet.decoding.metrics import (
    FOUND_IOU,
    Polygons,
    Truth,
    greedy_pairs,
    overlap_table,
    prepare_shapes,
    shared_areas,
)

FATES = ("found", "missed", "merged", "split", "off")
FATES_COLUMN = "fate of each word"  # of evaluate.py's table
FALSE_BOXES = ("boxes on no text", "boxes on text")
HELD_SHARE = 0.5  # of a word's area: a box holds it; of a box's area: a word holds the box
TOUCHED_SHARE = 0.1  # share of an area below which an overlap does not count
TOO_LARGE_RATIO = 2.0  # box / word in area, from which a box around one word is not its own


def count_fates(words: list[str], boxes: list[str | None]) -> Counter:
    """Count what became of the words of one image, and the boxes that found none.

    Params:
        words, boxes: as name_fates gives them.

    Returns:
        Counter of FATES, one for each word that counts, and of FALSE_BOXES.
    """
    return Counter([*words, *filter(None, boxes)])


def name_fates(boxes: Polygons, truth: Truth) -> tuple[list[str], list[str | None]]:
    """Determine what became of each word of one image, and which boxes found none.

    Params:
        boxes: N polygons (K, 2), in the truth's coordinates. Those of which more than half lies in
            a don't-care region do not count, as in match_image.
        truth: the words that count and the don't-care regions.

    Returns:
        For each word that counts one of FATES:
            found: paired with a box at IoU FOUND_IOU or more;
            missed: all boxes together cover less than TOUCHED_SHARE of it;
            merged: a box holds it that holds other words as well or is TOO_LARGE_RATIO for it;
            split: a box lies in it, on a part of it;
            off: a box is near that does none of this.
        For each box one of FALSE_BOXES where it found no word, else None: boxes on text overlap
        some, don't-care regions included, with TOUCHED_SHARE of their own area or more.

    Raises:
        ValueError: a polygon that is not a finite (K >= 3, 2) array.
    """
    counted, ious = overlap_table(boxes, truth)
    shapes = prepare_shapes(boxes)
    shared = np.where(counted[:, None], shared_areas(shapes, truth.cared), 0)
    word_areas, box_areas = truth.cared.areas, shapes.areas[:, None]
    pairs = [pair for pair in greedy_pairs(ious) if ious[pair] >= FOUND_IOU]
    found = np.zeros(len(word_areas), bool)
    found[[word for _, word in pairs]] = True

    holds = (shared > 0) & (shared >= HELD_SHARE * word_areas)
    is_common = (holds.sum(axis=1, keepdims=True) > 1) | (box_areas >= TOO_LARGE_RATIO * word_areas)
    conditions = {  # the first that holds decides
        "found": found,
        "missed": shared.sum(axis=0) < TOUCHED_SHARE * word_areas,
        "merged": (holds & is_common).any(axis=0),
        "split": ((shared > 0) & (shared >= HELD_SHARE * box_areas)).any(axis=0),
        "off": np.ones_like(found),
    }
    fates = np.select(list(conditions.values()), np.arange(len(FATES))[:, None])

    is_false = counted.copy()
    is_false[[box for box, _ in pairs]] = False
    on_text = shared.sum(axis=1) + shared_areas(shapes, truth.ignored).sum(axis=1)
    on_text = (on_text > 0) & (on_text >= TOUCHED_SHARE * shapes.areas)
    names = [
        FALSE_BOXES[int(text)] if false else None
        for false, text in zip(is_false, on_text, strict=True)
    ]
    return [FATES[fate] for fate in fates], names
