"""Text in photographs that should be free of it."""

from collections.abc import Iterable
from pathlib import Path

from textdet.common.errors import DataError
from textdet.network.detector import TextDetector

LONG_SIDE = 640  # px; with half of it small text is missed, with twice it takes four times as long


def find_text(paths: Iterable[Path], threads: int) -> dict[Path, int]:
    """Look for text in photographs with the bundled model.

    Params:
        paths: image files; those that cannot be read are skipped.
        threads: of the network on the CPU.

    Returns:
        The numbers of words by file, the file with the surest word first; files without are not
        among them.

    Raises:
        DataError: the model cannot be loaded.
    """
    import torch

    torch.set_num_threads(threads)
    detector = TextDetector(long_side=LONG_SIDE, max_enlargement=1, second_scale=0)
    scores: dict[Path, list[float]] = {}
    for path in paths:
        try:
            scores[path] = [word.score for word in detector(path).words]
        except DataError:
            continue
    found = [path for path, words in scores.items() if words]
    return {path: len(scores[path]) for path in sorted(found, key=lambda p: -max(scores[p]))}
