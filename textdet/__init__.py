"""Find words in images with a trained text detector.

    from textdet import TextDetector

    detector = TextDetector()  # the bundled model; TextDetector("folder") takes a trained one
    for word in detector("photo.jpg").words:
        print(word.quad, word.score)

What is offered here loads OpenCV with its first use, and PyTorch with the first detector: the
scripts import modules of this package, and their --help must not wait for either.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textdet.common.errors import DataError
    from textdet.network.detector import TextDetector
    from textdet.network.result import FoundWord, Maps, Result

__version__ = "0.1.0"
__all__ = ["DataError", "FoundWord", "Maps", "Result", "TextDetector", "__version__"]

_HOMES = {
    "DataError": "textdet.common.errors",
    "FoundWord": "textdet.network.result",
    "Maps": "textdet.network.result",
    "Result": "textdet.network.result",
    "TextDetector": "textdet.network.detector",
}


def __getattr__(name: str) -> object:
    """Import an offered class from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
