"""Writing systems that need a font's shaping rules."""

import functools
from itertools import pairwise

import uharfbuzz as hb

from textdet.common.bidi import FIRST_COMPLEX

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


def script_runs(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Part a run where its script changes to or from a shaped one: HarfBuzz takes the rules of the
    first letter's script for all that it is given. Signs belong to the letters before them.

    Params:
        text: a word.
        start, end: of the run, which has one direction.

    Returns:
        (start, end) of each part, in reading order.
    """
    if max(text, default="") < FIRST_COMPLEX:
        return [(start, end)]
    scripts = [_script_of(character) for character in text[start:end]]
    if SHAPED.keys().isdisjoint(scripts):
        return [(start, end)]
    letters = [k for k, script in enumerate(scripts) if script]
    cuts = [start + b for a, b in pairwise(letters) if scripts[a] != scripts[b]]
    return list(pairwise([start, *cuts, end]))


@functools.cache
def _script_of(character: str) -> str | None:
    """ISO 15924 tag; None for signs and marks of several scripts."""
    buffer = hb.Buffer()
    buffer.add_str(character)
    buffer.guess_segment_properties()
    return buffer.script
