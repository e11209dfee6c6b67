"""Text that runs from right to left: in which order a word's parts and a line's words stand.

It follows the Unicode bidirectional algorithm (UAX #9), without its explicit marks and its rules
for nested brackets.
"""

import unicodedata

import numpy as np

# No character before it runs from right to left, or is of a script with shaping rules.
FIRST_COMPLEX = "\u0590"


def base_level(text: str) -> int | None:
    """The direction of a text, by its first letter that has one (UAX #9, rules P2 and P3).

    Returns:
        1 for right to left, 0 for left to right; None if no letter tells.
    """
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return int(kind != "L")
    return None


def visual_runs(text: str) -> list[tuple[int, int, bool]]:
    """Part a word where its direction changes (Unicode bidirectional algorithm, UAX #9).

    Params:
        text: a word, in reading order.

    Returns:
        (start, end, whether right to left) of each part, from the left to the right of the picture.
    """
    if max(text, default="") < FIRST_COMPLEX:
        return [(0, len(text), False)]
    kinds = [unicodedata.bidirectional(character) for character in text]
    if not {"R", "AL", "AN"} & set(kinds):
        return [(0, len(text), False)]
    levels = _levels(kinds, base_level(text) or 0)
    cuts = [k for k in range(1, len(text)) if levels[k] != levels[k - 1]]
    runs = list(zip([0, *cuts], [*cuts, len(text)], strict=True))
    order = visual_order([levels[start] for start, _ in runs])
    return [(*runs[k], levels[runs[k][0]] % 2 == 1) for k in order]


def visual_order(levels: list[int]) -> list[int]:
    """Order items as they stand in the picture (UAX #9, rule L2).

    Params:
        levels: embedding level of each item in reading order, odd for right to left.

    Returns:
        indices of the items from left to right.
    """
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), 0, -1):
        start = None
        for k in range(len(order) + 1):
            within = k < len(order) and levels[order[k]] >= level
            if within and start is None:
                start = k
            elif not within and start is not None:
                order[start:k] = reversed(order[start:k])
                start = None
    return order


def side_by_side(text: str, quads: np.ndarray) -> np.ndarray:
    """A word's cells so that neighbours follow each other, which those in reading order do not
    where the word has parts from left to right and from right to left.

    Params:
        text: the word's.
        quads: (n, 4, 2) px in reading order.

    Returns:
        (n, 4, 2), `quads` itself where they follow each other already.
    """
    if len(visual_runs(text)) == 1:
        return quads
    places = quads.mean(1) @ (quads[:, 1] - quads[:, 0]).sum(0)
    steps = np.diff(places)
    one_way = (steps > 0).all() or (steps < 0).all()  # as on a stack
    return quads if one_way else quads[np.argsort(places)]


def _levels(kinds: list[str], base: int) -> list[int]:
    """The embedding level of each character of a word (rules W1 to W7, N1, N2, I1, I2).

    kinds: bidirectional classes; base: level of the word as a whole, 0 or 1.
    """
    kinds = _resolve_weak(kinds, "LR"[base])
    sides, strong = [], base  # 1 for right to left, None where the neighbours decide
    for kind in kinds:
        if kind in ("L", "R", "AL"):
            strong = int(kind != "L")
        sides.append({"L": 0, "R": 1, "AL": 1, "EN": strong, "AN": 1}.get(kind))
    levels = []
    for k, (kind, side) in enumerate(zip(kinds, sides, strict=True)):
        if side is None:
            before = next((s for s in sides[:k][::-1] if s is not None), base)
            after = next((s for s in sides[k:] if s is not None), base)
            side = before if before == after else base
        number = side and kind in ("EN", "AN")  # one that is not as a letter from left to right
        levels.append(2 if number else 1 if side else 2 * base)
    return levels


def _resolve_weak(kinds: list[str], first: str) -> list[str]:
    """The classes of marks, and of signs that belong to a number (rules W1, W2, W4, W5).

    first: that before the word, L or R.
    """
    kinds, strong, last = list(kinds), first, len(kinds) - 1
    for k, kind in enumerate(kinds):
        if kind in ("NSM", "BN"):  # a mark, a joiner
            kind = kinds[k - 1] if k else first
        if kind in ("L", "R", "AL"):
            strong = kind
        kinds[k] = "AN" if kind == "EN" and strong == "AL" else kind
    for k in range(1, last):
        before, kind, after = kinds[k - 1 : k + 2]
        joint = {"EN": ("ES", "CS"), "AN": ("CS",)}.get(after, ())
        if before == after and kind in joint:
            kinds[k] = after  # 12:45, 12.50
    for beside, places in ((-1, range(1, last + 1)), (1, range(last - 1, -1, -1))):
        for k in places:
            if kinds[k] == "ET" and kinds[k + beside] == "EN":
                kinds[k] = "EN"  # 5%, $5
    return kinds
