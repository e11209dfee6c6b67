"""Seconds by stage of a process: always on, a few microseconds for each time a stage is entered."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS: Counter[str] = Counter()
_entered: list[str] = []


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the time that a block takes. Also a decorator: @stage("warping").

    Params:
        name: the key in SECONDS to which the block's seconds are added, less those of the stages
            within it.
    """
    _entered.append(name)
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = time.perf_counter() - started
        _entered.pop()
        SECONDS[name] += spent
        if _entered:
            SECONDS[_entered[-1]] -= spent
