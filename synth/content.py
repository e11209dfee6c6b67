"""What the text says: words of the lists, numbers, prices, dates, web addresses, codes."""

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from dataset_utils import DataError
from static import constants as C

LETTERS = {
    "english": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "russian": "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ",
    "own": "",
}
CURRENCIES = "$€£₽"


@dataclass(frozen=True)
class Vocabulary:
    """The words of one language: its list and the short list of its most frequent words."""

    language: str
    words: list[str]
    common: list[str]


def load_vocabularies(path: Path) -> list[Vocabulary]:
    """Read the shipped folder of lists, or a person's own file (one word a line, UTF-8).

    Raises DataError when the path is missing, cannot be read as UTF-8 or holds no word.
    """
    if path.is_dir():
        return [
            Vocabulary(
                name, _read_list(path / f"{name}.txt"), _read_list(path / f"common_{name}.txt")
            )
            for name in C.LANGUAGE_SHARES
        ]
    words = _read_list(path)
    return [Vocabulary("own", words, words)]


def _read_list(path: Path) -> list[str]:
    try:
        words = path.read_text(encoding="utf-8-sig").split()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; --words takes a text file, one word a line"
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: not a UTF-8 text file ({error})") from None
    if not words:
        raise DataError(f"{path}: there is no word in it")
    return words


def choose(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """Draw one key of `shares` with probability in proportion to its value."""
    # As Generator.choice with p, which is much slower.
    edges = list(accumulate(shares.values()))
    return list(shares)[min(bisect(edges, rng.random() * edges[-1]), len(edges) - 1)]


def draw_token(rng: np.random.Generator, vocabulary: Vocabulary, case: str) -> str:
    """One token without spaces. case: lower (keeps the list's own capitals), title or upper."""
    kind = choose(rng, C.KIND_SHARES)
    if kind in ("word", "common"):
        words = vocabulary.words if kind == "word" else vocabulary.common
        token = words[rng.integers(len(words))]
        token = {"upper": token.upper(), "title": token[:1].upper() + token[1:]}.get(case, token)
        return _punctuate(rng, token)
    return _TOKENS[kind](rng, vocabulary)


def _punctuate(rng: np.random.Generator, token: str) -> str:
    if rng.random() >= C.PUNCTUATION_PROBABILITY:
        return token
    forms = ("{},", "{}.", "{}:", "{}!", "{}?", "{};", '"{}"', "({})", "«{}»", "{}…")
    return forms[rng.integers(len(forms))].format(token)


def _digits(rng: np.random.Generator, low: int, high: int) -> str:
    return "".join(str(d) for d in rng.integers(0, 10, rng.integers(low, high + 1)))


def _number(rng, _):
    return _digits(rng, 1, 6) + ("%" if rng.random() < 0.1 else "")


def _price(rng, _):
    amount = f"{rng.integers(1, 2000)}{'.,'[rng.integers(2)]}{rng.integers(0, 100):02d}"
    sign = CURRENCIES[rng.integers(len(CURRENCIES))]
    return sign + amount if rng.random() < 0.5 else amount + sign


def _date(rng, _):
    day, month, year = rng.integers(1, 29), rng.integers(1, 13), rng.integers(1970, 2030)
    forms = ("{d:02d}.{m:02d}.{y}", "{m}/{d}/{s:02d}", "{y}-{m:02d}-{d:02d}", "{d:02d}/{m:02d}/{y}")
    return forms[rng.integers(len(forms))].format(d=day, m=month, y=year, s=year % 100)


def _time(rng, _):
    return f"{rng.integers(0, 24)}:{rng.integers(0, 60):02d}"


def _phone(rng, _):
    forms = ("+7({})", "{}-", "8-{}-", "({})")
    return forms[rng.integers(len(forms))].format(_digits(rng, 3, 3)) + "-".join(
        (_digits(rng, 3, 3), _digits(rng, 2, 2), _digits(rng, 2, 2))
    )


def _web(rng, vocabulary):
    name = vocabulary.words[rng.integers(len(vocabulary.words))].lower().replace("'", "")
    forms = ("www.{}.com", "{}.ru", "info@{}.com", "https://{}.org", "@{}", "#{}")
    return forms[rng.integers(len(forms))].format(name)


def _code(rng, vocabulary):
    letters = LETTERS[vocabulary.language] or LETTERS["english"]
    head = "".join(letters[i] for i in rng.integers(0, len(letters), rng.integers(1, 4)))
    forms = ("{}-{}", "{}{}", "№{1}{0}", "{1}{0}", "{}/{}", "#{1}", "&", "{0}.")
    return forms[rng.integers(len(forms))].format(head, _digits(rng, 1, 5))


def _letter(rng, vocabulary):
    letters = LETTERS[vocabulary.language] or LETTERS["english"]
    return letters[rng.integers(len(letters))]


_TOKENS = {
    "number": _number,
    "price": _price,
    "date": _date,
    "time": _time,
    "phone": _phone,
    "web": _web,
    "code": _code,
    "letter": _letter,
}
