"""Weighted choices: tables of shares, and drawing one kind from such a table."""

from bisect import bisect
from collections.abc import Mapping
from itertools import accumulate

import numpy as np


class Shares(dict):
    """A table of shares, by kind, that stays as it is: it can be hashed, and be part of a value.

    Raises:
        TypeError: on any change in place.
    """

    def __hash__(self) -> int:
        return hash(tuple(self.items()))

    def __reduce__(self):
        return Shares, (dict(self),)

    def _refuse(self, *_args, **_named):
        raise TypeError("a table of shares is not changed in place")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def sample_kind(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """One of the kinds, with a probability in proportion to its share.

    Params:
        shares: 0 or more each, not all 0; they need not add up to 1.
    """
    # As Generator.choice with p, which is much slower.
    edges = list(accumulate(shares.values()))
    return list(shares)[min(bisect(edges, rng.random() * edges[-1]), len(edges) - 1)]


def within_one(chances: Mapping[str, float]) -> dict[str, float]:
    """Probabilities of kinds of which at most one can come, made to add up to 1 at most.

    Params:
        chances: 0..1 each. Where they are more than 1 together, the highest stays as it is and the
            others share what is left: who sets one of them to 1 gets nothing else.
    """
    highest = max(chances, key=chances.get)
    others = sum(chances.values()) - chances[highest]
    room = 1 - chances[highest]
    scale = room / others if others > room else 1.0
    return {kind: p if kind == highest else p * scale for kind, p in chances.items()}
