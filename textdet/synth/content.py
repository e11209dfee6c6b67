"""What the text says: words of the lists, names, prices, dates, addresses, codes."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.synth import patterns
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind

LETTERS = {
    "english": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "russian": "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ",
}
FIELD = re.compile(r"{(.)}")
RUSSIAN = re.compile(r"[\W\d]*[а-яё][а-яё\W\d]*", re.IGNORECASE)  # no other letters


@dataclass(frozen=True)
class Vocabulary:
    """The words of one language.

    Params:
        language: the name of its list.
        words, common: its list, and the short list of its most frequent words. An entry of a
            person's own list may be several words with single spaces, a line that stays together.
        names: of people, given name and surname.
        is_own: whether it is a person's own list.
    """

    language: str
    words: list[str]
    common: list[str]
    names: list[tuple[str, ...]] = field(default_factory=list)
    is_own: bool = False


def load_vocabularies(path: Path, languages: Iterable[str]) -> list[Vocabulary]:
    """Read a folder of lists, those of each language, or a person's own file (one text a line).

    An own list of Russian words goes with the Russian patterns of names, dates, addresses and so
    on, any other one with the English ones.

    Params:
        path: a folder or a UTF-8 file.
        languages: the names of the lists in a folder; a file is read without them.

    Returns:
        a vocabulary for each language, in their order; for a file, its own alone.

    Raises:
        DataError: a file is missing, cannot be read as UTF-8 or holds no word.
    """
    if path.is_dir():
        return [
            Vocabulary(
                name,
                _read_lines(path / f"{name}.txt"),
                _read_lines(path / f"common_{name}.txt"),
                _read_names(path / f"names_{name}.txt"),
            )
            for name in languages
        ]
    words = _read_lines(path)
    lettered = [line for line in words if any(map(str.isalpha, line))]
    russian = sum(bool(RUSSIAN.fullmatch(line)) for line in lettered) > len(lettered) / 2
    return [Vocabulary("russian" if russian else "own", words, words, is_own=True)]


def _read_lines(path: Path) -> list[str]:
    lines = [" ".join(line.split()) for line in _read_text(path).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path}: there is no word in it")
    return lines


def _read_names(path: Path) -> list[tuple[str, ...]]:
    names = [tuple(line.split()) for line in _read_text(path).splitlines() if line.strip()]
    for name in names:
        if len(name) != 2:
            raise DataError(f"{path}: {' '.join(name)!r} is not a given name and a surname")
    return names


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; --words takes a text file, one text a line"
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: not a UTF-8 text file ({error})") from None


def only_words(settings: GeneratorSettings) -> GeneratorSettings:
    """The settings with which nothing is drawn that does not stand in the list of words.

    Sheets of paper are left out: their forms and receipts hold figures.
    """
    kinds = {**dict.fromkeys(settings.KIND_SHARES, 0.0), "word": 1.0}
    return settings.changed(KIND_SHARES=kinds, PUNCTUATION_PROBABILITY=0.0, PAGE_PROBABILITY=0.0)


def list_usage(vocabulary: Vocabulary, texts: Iterable[str]) -> tuple[float, list[str]]:
    """How much of what was drawn stands in a list, and what of the list was never drawn.

    Params:
        vocabulary: the list.
        texts: of all words that were drawn; letters' case and punctuation around do not matter.

    Returns:
        0..1, the share of the texts that are words of the list; and its lines that have a word
        which is not among the texts.
    """
    parts = {line: [_bare(part) for part in line.split(" ")] for line in vocabulary.words}
    listed = {part for own in parts.values() for part in own}
    drawn = Counter(map(_bare, texts))
    share = sum(n for text, n in drawn.items() if text in listed) / max(drawn.total(), 1)
    return share, [line for line, own in parts.items() if any(part not in drawn for part in own)]


def _bare(text: str) -> str:
    """A word as two spellings of it agree: letters' case and the marks of _punctuate aside."""
    return text.casefold().strip(',.:!?;"()«»-*') or text


def sample_phrase(
    rng: np.random.Generator, settings: GeneratorSettings, vocabulary: Vocabulary, case: str
) -> list[str]:
    """Words that belong together, such as the parts of a date.

    Params:
        case: lower (keeps the list's own capitals), title or upper; web addresses stay as they are.

    Returns:
        one to five tokens without spaces in them; all those of a line of a person's own list.
    """
    kind = sample_kind(rng, settings.KIND_SHARES)
    if kind in ("word", "common"):
        words = vocabulary.words if kind == "word" else vocabulary.common
        return _punctuate(rng, settings, _cased(words[rng.integers(len(words))], case)).split(" ")
    if kind == "letter":
        return [_letters(rng, vocabulary, 1)]
    choices = _PATTERNS[kind].get(vocabulary.language, _PATTERNS[kind]["english"])
    pattern = choices[rng.integers(len(choices))]
    text = _fill(pattern, rng, vocabulary, _person(rng, vocabulary) if kind == "name" else {})
    text = text.upper() if case == "upper" and kind != "web" else text
    return text.split("|")


def sample_entry(rng: np.random.Generator, vocabulary: Vocabulary) -> str:
    """What stands alone in a field of a form or a table: a figure, a capital, a mark."""
    entries = patterns.ENTRIES.split()
    return _fill(entries[rng.integers(len(entries))], rng, vocabulary, {})


def _fill(pattern: str, rng, vocabulary, person: dict[str, str]) -> str:
    return FIELD.sub(
        lambda match: person.get(match[1]) or _FIELDS[match[1]](rng, vocabulary), pattern
    )


def _cased(token: str, case: str) -> str:
    if case == "title":
        # Not upper(): Georgian capitals are for whole words, none begins with one.
        return " ".join(part[:1].title() + part[1:] for part in token.split(" "))
    return token.upper() if case == "upper" else token


def _punctuate(rng: np.random.Generator, settings: GeneratorSettings, token: str) -> str:
    if rng.random() >= settings.PUNCTUATION_PROBABILITY:
        return token
    marks = (
        "{},",
        "{}.",
        "{}:",
        "{}!",
        "{}?",
        "{};",
        '"{}"',
        "({})",
        "«{}»",
        "{}...",
        "{}-",
        "*{}",
    )
    return marks[rng.integers(len(marks))].format(token)


def _digits(count: int) -> Callable[..., str]:
    return lambda rng, _: "".join(str(digit) for digit in rng.integers(0, 10, count))


def _padded(low: int, high: int) -> Callable[..., str]:
    """A number from low to high, often with two digits at least."""
    return lambda rng, _: f"{rng.integers(low, high + 1):0{1 + (rng.random() < 0.7)}d}"


def _number(rng, vocabulary) -> str:
    """One to six digits, short ones more often; the larger ones sometimes in groups."""
    number = int(10 ** rng.uniform(0, rng.uniform(1, 6)))
    grouped = number > 9999 and rng.random() < 0.3 and vocabulary.language != "russian"
    return f"{number:,}" if grouped else str(number)


def _amount(rng, _) -> str:
    return f"{int(10 ** rng.uniform(0, 4))}{'.,'[rng.integers(2)]}{rng.integers(0, 100):02d}"


def _word(rng, vocabulary) -> str:
    parts = vocabulary.words[rng.integers(len(vocabulary.words))].split(" ")
    return parts[rng.integers(len(parts))] if len(parts) > 1 else parts[0]


def _host(rng, vocabulary) -> str:
    """A word as it may stand in a web address; some letters where it has none, as "₽"."""
    word = "".join(filter(_in_hosts, _word(rng, vocabulary).lower()))
    return word if word.strip("-") else _letters(rng, vocabulary, 3).lower()


def _in_hosts(character: str) -> bool:
    """Marks count: without its vowel signs an Indian word is another one."""
    is_mark = unicodedata.category(character).startswith("M")
    return character.isalnum() or character == "-" or is_mark


def _person(rng, vocabulary) -> dict[str, str]:
    """What a pattern may say of one person: given name, surname, two initials."""
    names = vocabulary.names or [tuple(_cased(_word(rng, vocabulary), "title") for _ in "fl")]
    given, surname = names[rng.integers(len(names))]
    other = names[rng.integers(len(names))][0]
    return {"f": given, "l": surname, "I": given[0], "J": other[0]}


def _letters(rng, vocabulary, most: int) -> str:
    letters = LETTERS.get(vocabulary.language, LETTERS["english"])
    return "".join(letters[i] for i in rng.integers(0, len(letters), rng.integers(1, most + 1)))


def _one_of(lists: dict[str, str]) -> Callable[..., str]:
    def sample(rng, vocabulary) -> str:
        words = lists.get(vocabulary.language, lists["english"]).split()
        return words[rng.integers(len(words))]

    return sample


_FIELDS = {
    "n": _number,
    "q": lambda rng, _: str(int(10 ** rng.uniform(0, 3))),
    "a": _amount,
    "d": _padded(1, 28),
    "m": _padded(1, 12),
    "M": _one_of(patterns.MONTHS),
    "S": _one_of(patterns.STREETS),
    "C": _one_of(patterns.TOWNS),
    "y": lambda rng, _: str(rng.integers(1950, 2031)),
    "s": lambda rng, _: f"{rng.integers(0, 100):02d}",
    "h": lambda rng, _: str(rng.integers(1, 24)),
    "H": lambda rng, _: str(rng.integers(1, 13)),
    "i": lambda rng, _: f"{rng.integers(0, 60):02d}",
    "e": _digits(1),
    "o": _digits(2),
    "t": _digits(3),
    "v": _digits(4),
    "x": _digits(6),
    "u": _host,
    "c": lambda rng, vocabulary: _letters(rng, vocabulary, 3),
    "k": lambda rng, vocabulary: _letters(rng, vocabulary, 1),
}
_PATTERNS = {
    kind: {language: text.split() for language, text in texts.items()}
    for kind, texts in patterns.PATTERNS.items()
}
