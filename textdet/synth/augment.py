"""Albumentations pipelines for letters, backgrounds and whole images: made from settings, run."""

import functools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from textdet.common.errors import DataError
from textdet.common.stage_times import stage
from textdet.synth.settings import GeneratorSettings

if TYPE_CHECKING:
    import albumentations


@dataclass(frozen=True)
class Pipelines:
    """The three pipelines that one value of the settings makes.

    Params:
        letters: wear of the letters' mask.
        background: before the text is on it.
        camera: light, lens, sensor and file of the whole image.
    """

    letters: "albumentations.Compose"
    background: "albumentations.Compose"
    camera: "albumentations.Compose"


@functools.lru_cache(maxsize=16)
def make_pipelines(settings: GeneratorSettings) -> Pipelines:
    """The pipelines of the settings, kept for the next call.

    Raises:
        DataError: albumentations refuses a value.
    """
    from textdet.synth import transforms  # albumentations takes a second to import

    try:
        return Pipelines(
            transforms.letters_pipeline(settings),
            transforms.background_pipeline(settings),
            transforms.camera_pipeline(settings),
        )
    except ValueError as error:  # in several lines
        reason = " ".join(str(error).split("[type=")[0].split()[5:])
        raise DataError(f"settings of the background or the camera: {reason}") from None


@stage("augmentation")
def augment(
    rng: np.random.Generator, pipeline: "albumentations.Compose", image: np.ndarray
) -> np.ndarray:
    """Run a pipeline with its randomness taken from `rng`.

    Params:
        pipeline: one of make_pipelines(); its random state is set anew.
        image: (h, w, 3) uint8 RGB, or a mask (h, w) uint8.

    Returns:
        an array of the same shape and dtype.
    """
    # One state for all transforms: set_random_seed would give each of them the same draws, so that
    # rare ones came together, and takes longer.
    pipeline.set_random_state(rng, random.Random(int(rng.integers(2**31))))
    return pipeline(image=image)["image"]
