"""What lies under the text: crops of photographs, drawn textures, paper."""

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import glob_below
from textdet.common.images import (
    IMAGE_SUFFIXES,
    image_size,
    is_image,
    name_further_frames,
    read_image,
)
from textdet.common.stage_times import stage
from textdet.synth.distractors import draw_distractors
from textdet.synth.settings import GeneratorSettings
from textdet.synth.textures import draw_texture, noise

SMALLEST_CROP = 8  # px of a photograph, enlarged to a whole image


def list_backgrounds(folder: Path, apart_from: Path | None = None) -> list[Path]:
    """Find photographs.

    Params:
        folder: searched with all folders in it.
        apart_from: a folder in it that is left out, where a run may write its own images.

    Returns:
        the image files, in order of their paths.

    Raises:
        DataError: there is none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; --backgrounds takes a folder of photographs")
    paths = sorted(filter(is_image, glob_below(folder)))
    real = {path: Path(os.path.realpath(path)) for path in (folder, *paths)}
    own = Path(os.path.realpath(apart_from)) if apart_from else None
    if own and own.is_relative_to(real[folder]):
        paths = [path for path in paths if not real[path].is_relative_to(own)]
    if not paths:
        raise DataError(f"{folder}: no image ({', '.join(sorted(IMAGE_SUFFIXES))}) in it")
    return paths


def check_backgrounds(paths: Iterable[Path], largest: int) -> tuple[list[Path], list[str]]:
    """Sort out the files that cannot be decoded or are too small.

    Params:
        paths: image files.
        largest: px, the longer side that they will be used with at most.

    Returns:
        the usable paths, and a line for each other one.

    Raises:
        DataError: none is usable.
    """
    usable, problems = [], []
    for path in paths:
        try:
            width, height = image_size(path)
            read_image(path, least=largest)  # as it will be used: a large JPEG takes a quarter
            problems += name_further_frames(path)
        except DataError as error:
            problems.append(str(error))
            continue
        factor = min(1, largest / max(height, width))  # as it will be used
        if min(height, width) * factor < SMALLEST_CROP:
            problems.append(f"{path}: {width}x{height} px is too small or too narrow")
        else:
            usable.append(path)
    if not usable:
        raise DataError(f"none of the {len(problems)} backgrounds can be read; {problems[0]}")
    return usable, problems


class _Photographs:
    """Photographs read once a process, as many of them as fit into the space."""

    def __init__(self):
        self._kept: dict[tuple[Path, int], np.ndarray] = {}
        self._bytes = 0

    @stage("reading")
    def get(self, path: Path, largest: int, space: float) -> np.ndarray:
        """A photograph, shrunk where it is large.

        Params:
            largest: px, of its longer side.
            space: MB, of the photographs kept in memory.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        image = self._kept.pop((path, largest), None)
        if image is None:
            image = read_image(path, least=largest)
            factor = largest / max(image.shape[:2])
            if factor < 1:
                image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            self._bytes += image.nbytes
        self._kept[path, largest] = image  # the last in line to go
        while self._bytes > space * 1e6 and len(self._kept) > 1:
            self._bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        return image


_photographs = _Photographs()


@stage("background")
def draw_background(
    rng: np.random.Generator, settings: GeneratorSettings, paths: list[Path], size: int
) -> tuple[np.ndarray, str]:
    """A part of a photograph or a drawn texture, with things on it that are not text.

    Params:
        paths: of the photographs.
        size: px, side of the square image.

    Returns:
        (size, size, 3) uint8 RGB, and the name of the photograph or of the texture.
    """
    if rng.random() < settings.TEXTURE_PROBABILITY:
        image, name = draw_texture(rng, settings, size)
    else:
        path = paths[rng.integers(len(paths))]
        photo = _photographs.get(path, settings.BACKGROUND_SIDE, settings.BACKGROUND_CACHE)
        image, name = _crop(rng, settings, photo, size), path.name
    if rng.random() < settings.DISTRACTOR_PROBABILITY:
        low, high = settings.DISTRACTORS
        draw_distractors(rng, settings, image, int(rng.integers(low, high + 1)))
    return image, name


def _crop(
    rng: np.random.Generator, settings: GeneratorSettings, photo: np.ndarray, size: int
) -> np.ndarray:
    height, width = photo.shape[:2]
    side = max(SMALLEST_CROP, round(min(height, width) * rng.uniform(*settings.BACKGROUND_CROP)))
    x, y = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
    image = photo[y : y + side, x : x + side]
    # Bilinear interpolation loses nothing until pixels are left out, and is much quicker.
    shrinking = cv2.INTER_AREA if side > 1.5 * size else cv2.INTER_LINEAR
    image = cv2.resize(image, (size, size), interpolation=shrinking)
    return np.ascontiguousarray(image[:, ::-1] if rng.random() < 0.5 else image)


@stage("background")
def draw_paper(rng: np.random.Generator, settings: GeneratorSettings, size: int) -> np.ndarray:
    """Draw a sheet of light paper, unevenly lit, with grain.

    Params:
        size: px, side of the square image.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    level = rng.uniform(*settings.PAGE_PAPER_LEVEL)
    tint = rng.normal(0, 4, 3) if rng.random() < 0.6 else np.zeros(3)
    first = np.clip(level + tint, 0, 255)
    second = np.clip(first - rng.uniform(0, 40) * (rng.random() < 0.5), 0, 255)
    shade = rng.random((2, 2)).astype(np.float32)
    shade = cv2.resize(shade, (size, size), interpolation=cv2.INTER_LINEAR)
    strength, grain = rng.uniform(0, 6), float(rng.integers(1, 5))  # grey levels, px
    specks = noise(rng, size, size, grain, grain)
    ranges = zip(first.tolist(), (second - first).tolist(), strict=True)
    planes = [
        cv2.addWeighted(shade, darker, specks, strength, level, dtype=cv2.CV_8U)
        for level, darker in ranges
    ]
    return cv2.merge(planes)
