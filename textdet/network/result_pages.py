"""Find words in images and write the results: some images a call, here or in another process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.image_inputs import Page, read_chunks
from textdet.network.detector import TextDetector
from textdet.network.result import Result
from textdet.network.result_files import write_result


@dataclass(frozen=True)
class Written:
    """An image whose results are there.

    Params:
        number: of the image, as it was handed in.
        page: its name.
        name: of its results, without the ending.
        words: how many it has.
        scale: at which they were looked for.
    """

    number: int
    page: str
    name: str
    words: int
    scale: float


def write_pages(
    detector: TextDetector, pages: Sequence[tuple[int, Page, Path]], heatmaps: bool
) -> tuple[list[Written], list[str], int]:
    """Find the words of some images and write them.

    Params:
        detector: its batch_size says how many images are in memory at a time.
        pages: of each image its number, the image, and the path of its results without the ending.
        heatmaps: see write_result.

    Returns:
        what was written, a line for each image that was skipped, and the number of images.

    Raises:
        OSError: no space, no permission.
    """
    places = {page: (number, base) for number, page, base in pages}
    written, skipped = [], []
    for chunk in read_chunks(list(places), detector.batch_size, skipped):
        for page, image, result in _find_words(detector, chunk, skipped):
            number, base = places[page]
            write_result(base, page, image, result, detector, heatmaps)
            scale = detector.scale(result.width, result.height)
            written.append(Written(number, str(page), base.name, len(result.words), scale))
    return written, skipped, len(pages)


def _find_words(
    detector: TextDetector, chunk: list[tuple[Page, np.ndarray]], skipped: list[str]
) -> list[tuple[Page, np.ndarray, Result]]:
    """The words of some images.

    Params:
        chunk: pages and their images.
        skipped: gets a line for each image for which the memory is too small.

    Returns:
        pages, images and what was found, of the others.
    """
    try:
        found = detector.detect([image for _, image in chunk])
        return [(*pair, result) for pair, result in zip(chunk, found, strict=True)]
    except DataError as error:
        if len(chunk) == 1:
            skipped.append(f"{chunk[0][0]}: {error}")
            return []
    return [found for pair in chunk for found in _find_words(detector, [pair], skipped)]
