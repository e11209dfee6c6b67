"""A model's maps of the test images: made once, kept on disk, read by every trial.

One .npy file per image, (2, h, w) as TextDetector.predict gives it, in a folder whose name says
which model, images and size. Each file appears whole or not at all, so a run that was stopped
goes on, and several processes that start together share the images.
"""

import contextlib
import io
import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError
from textdet.common.files import UNFINISHED, read_json, write_atomically, write_json
from textdet.common.fingerprints import fingerprint
from textdet.data.annotation import Sample
from textdet.data.cache import FREE_SPACE
from textdet.data.triplets import read_sample_image
from textdet.decoding.metrics import Truth, truth_of
from textdet.network.detector import TextDetector
from textdet.network.model_files import find_model

BATCH_PIXELS = 8 * 512 * 512  # that the network sees at once; more is not faster, and takes memory
PREFIX = "maps-"
# Of the files in a folder of maps.
NAMES = rf"\d{{6}}\.npy|\.\d{{6}}\.npy\.\d+{re.escape(UNFINISHED)}|maps\.json"
MARK, MAKER = "maps.json", "maps that tune.py keeps"  # a file in their folder, and what it says
MAX_AGE = 24 * 3600  # s, after which unused maps of another model, data set or size are deleted


@dataclass(frozen=True)
class MapFolder:
    """Where the maps of some samples are, at one size of the network's input.

    Params:
        path: the folder of the files; predict_maps fills it.
    """

    path: Path

    def file(self, number: int) -> Path:
        """Where the maps of the sample with this number are, or will be."""
        return self.path / f"{number:06d}.npy"

    def read(self, number: int) -> np.ndarray:
        """Maps (2, h, w) uint8 of the sample with this number."""
        return np.load(self.file(number))

    def truth(self, number: int, sample: Sample) -> Truth:
        """Prepare a sample's words for matching with what its maps hold.

        Params:
            number: the sample's, whose maps must be there.
            sample: its words are in the image's px.

        Returns:
            The words in the coordinates of the maps.
        """
        height, width = np.load(self.file(number), mmap_mode="r").shape[1:]
        scale = np.float32([width / sample.width, height / sample.height])
        return truth_of(replace(word, polygon=word.polygon * scale) for word in sample.words)


def maps_fingerprint(model_dir: Path, samples: list[Sample], *settings: object) -> str:
    """Digest that changes with the model's weights, the images and words, and the settings.

    Params:
        model_dir: see find_model.
        samples: their images are identified by their lengths, and need not be there.
        settings: values that JSON can hold.
    """
    parts = [json.dumps([settings, find_model(model_dir).fingerprint()])]
    for sample in samples:
        length = sample.image_path.stat().st_size if sample.image_path.exists() else None
        parts.append(json.dumps([sample.to_json(), length]))
    return fingerprint(parts)


def predict_maps(
    work: Path, key: str, samples: list[Sample], open_detector: Callable[[], TextDetector]
) -> tuple[MapFolder, list[str]]:
    """Run the network over the samples whose maps are not there yet.

    Params:
        work: the folder to make the maps' own folder in.
        key: its name.
        samples: their positions number the maps.
        open_detector: gives the TextDetector, called only when it is needed.

    Returns:
        The folder, and a line for each sample without maps because its image is damaged.

    Raises:
        DataError: no image can be read, or the disk has no room.
    """
    _delete_unused(work, key)
    folder = MapFolder(work / (PREFIX + key))
    folder.path.mkdir(exist_ok=True)
    write_json(folder.path / MARK, {"is": MAKER})
    os.utime(folder.path)
    missing = [i for i in range(len(samples)) if not folder.file(i).exists()]
    if not missing:
        print(f"{folder.path}: using the maps of an earlier run")
        return folder, []
    detector, problems = open_detector(), []
    # Processes that start together begin in different places, and skip what the others have made.
    start = random.SystemRandom().randrange(len(missing))
    batch: list[tuple[int, np.ndarray]] = []
    for number in progress_bar(missing[start:] + missing[:start], unit="image", desc="network"):
        if folder.file(number).exists():
            continue
        try:
            image = read_sample_image(samples[number])
        except DataError as error:
            problems.append(str(error))
            continue
        if batch and image.shape != batch[0][1].shape:
            _run(folder, batch, detector)
            batch = []
        batch.append((number, image))
        height, width = image.shape[:2]
        pixels = height * width * detector.scale(width, height) ** 2
        if (len(batch) + 1) * pixels > BATCH_PIXELS:
            _run(folder, batch, detector)
            batch = []
    if batch:
        _run(folder, batch, detector)
    if len(problems) == len(samples):
        raise DataError(f"none of the {len(samples)} test images can be read; {problems[0]}")
    return folder, sorted(problems)


def _delete_unused(work: Path, key: str) -> None:
    """Delete other maps that no run has used for a while; another process may need younger ones.
    Nothing else is deleted, whatever its folder is called."""
    for old in work.glob(PREFIX + "*"):
        try:
            is_own = read_json(old / MARK).get("is") == MAKER and not old.is_symlink()
            age = time.time() - old.stat().st_mtime
            if not is_own or old.name == PREFIX + key or age < MAX_AGE:
                continue
        except (DataError, FileNotFoundError):  # the latter: another process may just delete it
            continue
        for path in [*old.glob("*.npy"), *old.glob(f".*{UNFINISHED}"), old / MARK]:
            if re.fullmatch(NAMES, path.name):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody has put more there
            old.rmdir()


def _run(folder: MapFolder, batch: list[tuple[int, np.ndarray]], detector: TextDetector) -> None:
    """Write the maps of a batch of equally large images. Raises DataError for a full disk."""
    detector.batch_size = len(batch)
    found = detector.predict([image for _, image in batch])
    if sum(maps.nbytes for maps in found) + FREE_SPACE > shutil.disk_usage(folder.path).free:
        raise DataError(
            f"the disk of {folder.path} is full; use a smaller --max_samples or --long_side"
        )
    for (number, _), maps in zip(batch, found, strict=True):
        data = io.BytesIO()
        np.save(data, maps)
        write_atomically(folder.file(number), data.getvalue())
