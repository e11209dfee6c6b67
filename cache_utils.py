"""Data sets in memory: triplets decoded once, in parallel, into memory-mapped arrays on disk."""

import hashlib
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from cli_utils import name_left_out, progress_bar
from dataset_utils import DataError, Sample, Word, check_triplet, read_triplet, write_json

CACHE = "cache"  # folder within a triplet folder
BLOCK = 64  # samples a worker decodes in one go
SPARE = 200 * 2**20  # bytes of the disk that a cache leaves free


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Shrink or enlarge (H, W, ...) uint8 so that its longer side is `size`, at the top left of
    a black square; without distortion. Points are multiplied by `fit_scale`."""
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    scale = fit_scale(width, height, size)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square = np.zeros((size, size, *image.shape[2:]), np.uint8)
    square[: shape[1], : shape[0]] = cv2.resize(image, shape, interpolation=method)
    return square


def fit_scale(width: int, height: int, size: int) -> float:
    return size / max(width, height)


def read_fitted(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A triplet fitted into a square: image (size, size, 3), maps (size, size, 2), both uint8.

    Raises DataError with the file's name.
    """
    image, maps = read_triplet(sample)
    return fit(image, size), fit(np.ascontiguousarray(maps.transpose(1, 2, 0)), size)


def fitted_words(sample: Sample, size: int) -> list[Word]:
    """A sample's words in the coordinates of its fitted square."""
    scale = np.float32(fit_scale(sample.width, sample.height, size))
    return [
        Word(w.text, w.characters, w.quads * scale, w.polygon * scale, w.ignore, w.confidence)
        for w in sample.words
    ]


_FILES = ("images.npy", "maps.npy")


class Source:
    """Samples and where their pixels come from: caches on disk, or the triplets' own files.

    rows: for each sample its cache folder and its row there; None to read the files.
    """

    def __init__(self, samples: list[Sample], size: int, rows: list[tuple[Path, int]] | None):
        self.samples, self.size, self.rows = samples, size, rows
        self._arrays: dict[Path, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_arrays": {}}  # each process maps the files for itself

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image (size, size, 3) and maps (size, size, 2), uint8. Raises DataError."""
        if self.rows is None:
            return read_fitted(self.samples[index], self.size)
        folder, row = self.rows[index]
        if folder not in self._arrays:
            self._arrays[folder] = tuple(np.load(folder / name, mmap_mode="r") for name in _FILES)
        images, maps = self._arrays[folder]
        return images[row], maps[row]

    def read_sound(self, index: int) -> tuple[int, np.ndarray, np.ndarray]:
        """As read(), with the index; where that triplet is damaged (and named), the next sound one.

        Raises DataError when there is none.
        """
        for candidate in (*range(index, len(self)), *range(index)):
            try:
                return candidate, *self.read(candidate)
            except DataError as error:
                name_left_out([str(error)])
        raise DataError("none of the images can be decoded")


def open_source(
    samples: list[Sample], size: int, caching: bool, workers: int
) -> tuple[Source, list[str]]:
    """Make the samples readable as squares of `size` px, cached or from their files.

    Returns the source without the damaged triplets, and a line for each of these. Without caching
    only the files' presence and sizes are looked at. Raises DataError when none is left, or when
    the disk cannot hold the caches.
    """
    rows, problems = {}, []
    if caching:
        folders = dict.fromkeys(sample.folder for sample in samples)
        for folder in folders:
            own = [sample for sample in samples if sample.folder == folder]
            cache, usable, damaged = _build_cache(own, size, workers)
            rows |= {id(s): (cache, row) for row, s in enumerate(own) if usable[row]}
            problems += damaged
        kept = [sample for sample in samples if id(sample) in rows]
    else:
        damaged = {id(s): line for s in samples if (line := check_triplet(s)) is not None}
        problems = list(damaged.values())
        kept = [sample for sample in samples if id(sample) not in damaged]
    if not kept:
        raise DataError(f"no sound image is left; {problems[0]}")
    return Source(kept, size, [rows[id(s)] for s in kept] if caching else None), problems


def _build_cache(
    samples: list[Sample], size: int, workers: int
) -> tuple[Path, list[bool], list[str]]:
    """Decode the samples of one triplet folder, or find what an earlier run decoded.

    Another set of files, another size or a changed file makes another cache; older ones are
    deleted. Returns its folder, which rows are usable, and a line for each other one.
    """
    root = samples[0].folder / CACHE
    folder = root / _fingerprint(samples, size)
    record = folder / "cache.json"
    if record.exists():
        state = json.loads(record.read_text(encoding="utf-8"))
        print(f"{folder}: using the cached data set")
        return folder, state["usable"], state["problems"]
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    needed, free = len(samples) * size * size * 5, shutil.disk_usage(root).free
    print(f"{folder}: caching takes {needed / 1e9:.2f} GB of disk, {free / 1e9:.0f} GB are free")
    if needed + SPARE > free:
        raise DataError(
            f"the disk of {root} has no room for the cache ({needed / 1e9:.2f} GB); "
            "use a smaller --image_size, --max_train_samples or --caching False"
        )
    folder.mkdir()
    for name, channels in zip(_FILES, (3, 2), strict=True):
        shape = (len(samples), size, size, channels)
        np.lib.format.open_memmap(folder / name, "w+", np.uint8, shape).flush()
    usable, problems = [True] * len(samples), []
    blocks = [range(i, min(i + BLOCK, len(samples))) for i in range(0, len(samples), BLOCK)]
    with (
        progress_bar(total=len(samples), unit="image", desc="caching") as bar,
        ProcessPoolExecutor(max(1, min(workers, len(blocks))), get_context("spawn")) as pool,
    ):
        running = {
            pool.submit(_fill, folder, samples[b.start : b.stop], b.start, size): b for b in blocks
        }
        for future in as_completed(running):
            for row, problem in future.result():
                usable[row] = False
                problems.append(problem)
            bar.update(len(running[future]))
    write_json(record, {"usable": usable, "problems": sorted(problems)})
    return folder, usable, sorted(problems)


def _fill(folder: Path, samples: list[Sample], start: int, size: int) -> list[tuple[int, str]]:
    """Decode a block of samples into their rows; (row, line) for each damaged one."""
    cv2.setNumThreads(1)
    images, maps = (np.load(folder / name, mmap_mode="r+") for name in _FILES)
    problems = []
    for row, sample in enumerate(samples, start):
        try:
            images[row], maps[row] = read_fitted(sample, size)
        except DataError as error:
            problems.append((row, str(error)))
    return problems


def _fingerprint(samples: list[Sample], size: int) -> str:
    """Changes when a file of the data set does (by time and size), and with `size`."""
    total = hashlib.sha256(str(size).encode())
    for sample in samples:
        for path in (sample.image_path, *sample.heatmap_paths):
            try:
                stat = os.stat(path)
                total.update(f"{path.name}/{stat.st_mtime_ns}/{stat.st_size}".encode())
            except OSError:
                total.update(f"{path.name}/missing".encode())
    return total.hexdigest()[:16]
