"""Writing systems: which need a font's shaping rules, and which run from right to left.

The order of a word's parts and of a line's words follows the Unicode bidirectional algorithm
(UAX #9), without its explicit marks and its rules for nested brackets.
"""

import unicodedata

# ISO 15924 tag: name, of scripts whose letters take other shapes or places beside each other.
SHAPED = {
    "Arab": "Arabic",
    "Syrc": "Syriac",
    "Nkoo": "N'Ko",
    "Mong": "Mongolian",
    "Deva": "Devanagari",
    "Beng": "Bengali",
    "Guru": "Gurmukhi",
    "Gujr": "Gujarati",
    "Orya": "Oriya",
    "Taml": "Tamil",
    "Telu": "Telugu",
    "Knda": "Kannada",
    "Mlym": "Malayalam",
    "Sinh": "Sinhala",
    "Khmr": "Khmer",
    "Mymr": "Myanmar",
    "Tibt": "Tibetan",
}
FIRST_RIGHT_TO_LEFT = "\u0590"  # no character before it runs from right to left


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
    if max(text, default="") < FIRST_RIGHT_TO_LEFT:
        return [(0, len(text), False)]
    kinds = [_KINDS.get(unicodedata.bidirectional(c), unicodedata.bidirectional(c)) for c in text]
    if "R" not in kinds:
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


_KINDS = {"AL": "R", "EN": "N", "AN": "N"}  # N: a number


def _levels(kinds: list[str], base: int) -> list[int]:
    """The embedding level of each character of a word (rules W1 to W6, N1, N2, I1, I2)."""
    kinds = list(kinds)
    last = len(kinds) - 1
    for k, kind in enumerate(kinds):
        before = kinds[k - 1] if k else None
        after = kinds[k + 1] if k < last else None
        if kind in ("NSM", "BN"):  # a mark, a joiner
            kinds[k] = before or "RL"[base == 0]
        elif kind in ("ES", "CS") and before == after == "N" or kind == "ET" and before == "N":
            kinds[k] = "N"  # 12:45, 12.50, 5%
    for k in range(last - 1, -1, -1):
        if kinds[k] == "ET" and kinds[k + 1] == "N":  # $5
            kinds[k] = "N"
    levels, strong = [], base
    for k, kind in enumerate(kinds):
        if kind in "LR":
            strong = int(kind == "R")
            levels.append(1 if strong else 2 * base)
        elif kind == "N":
            levels.append(2 if strong or base else 0)
        else:
            following = next((x for x in kinds[k:] if x in "LRN"), None)
            after = base if following is None else int(following != "L")
            before = base if not k else (1 if kinds[k - 1] == "N" and strong else strong)
            side = before if before == after else base
            levels.append(1 if side else 2 * base)
    return levels
