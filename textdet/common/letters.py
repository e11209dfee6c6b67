"""Which characters of a text leave ink, and which of them are one letter."""

import unicodedata

# First and last code points of Unicode's property Default_Ignorable_Code_Point, which Python's
# unicodedata lacks (DerivedCoreProperties.txt, version 16): joiners, marks of direction, soft
# hyphens, fillers, selectors.
_IGNORABLE = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)


def leaves_ink(character: str) -> bool:
    """Whether a character is to be seen: no white space, and none of those that Unicode lets a
    font ignore, such as marks of direction."""
    code = ord(character)
    ignorable = code >= 0xAD and any(first <= code <= last for first, last in _IGNORABLE)
    return not (ignorable or character.isspace())


def letters_of(text: str) -> list[str]:
    """The letters of a text, as a person counts them: each character that leaves ink with the marks
    that follow it, such as accents, vowel signs and tones, which the generator has in its cell."""
    letters = []
    for character in filter(leaves_ink, text):
        if letters and unicodedata.category(character).startswith("M"):
            letters[-1] += character
        else:
            letters.append(character)
    return letters
