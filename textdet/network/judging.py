"""Judge models on images whose words are known: what each model finds, matched with the truth."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from textdet.common.errors import DataError
from textdet.data.annotation import Sample
from textdet.data.triplets import read_sample_image
from textdet.decoding.metrics import ImageMatch, match_image, truth_of
from textdet.decoding.word_fates import count_fates, name_fates
from textdet.network.detector import TextDetector


@dataclass
class Judged:
    """What a model made of one image.

    Params:
        match: what was found of the image's words.
        words: what became of each word that counts, see name_fates.
        fates: how many of these and of the boxes that found none, see count_fates.
        found: outlines (k, 2), px of the image.
        seconds: that it took, without reading the image.
        runtime: what the network ran on.
    """

    match: ImageMatch
    words: list[str]
    fates: Counter
    found: list[np.ndarray]
    seconds: float
    runtime: str


def open_detectors(openers: Sequence[Callable[[], TextDetector]]) -> tuple[list[TextDetector]]:
    """Open several models: `shared` of run_calls for judge_images."""
    return ([open_one() for open_one in openers],)


def judge_images(
    detectors: Sequence[TextDetector], start: int, samples: Sequence[Sample]
) -> tuple[int, list[list[Judged] | str]]:
    """Have models find the words of images, and match these with the truth.

    Params:
        detectors: the models.
        start: the number of the first image, which is handed back.
        samples: the images and their words.

    Returns:
        `start`, and for each image what each model made of it, or a line that says why the image
        is left out: damaged, or too large for the memory with one of the models.
    """
    return start, [_judge(detectors, sample) for sample in samples]


def _judge(detectors: Sequence[TextDetector], sample: Sample) -> list[Judged] | str:
    try:
        image = read_sample_image(sample)
    except DataError as error:
        return str(error)
    truth, judged = truth_of(sample.words), []
    for detector in detectors:
        started = time.perf_counter()
        try:
            found = [word.outline for word in detector(image).words]
        except DataError as error:  # the memory is too small
            return f"{sample.image_path}: {error}"
        seconds = time.perf_counter() - started
        words, boxes = name_fates(found, truth)
        fates = count_fates(words, boxes)
        match = match_image(found, truth)
        judged.append(Judged(match, words, fates, found, seconds, str(detector.runtime)))
    return judged
