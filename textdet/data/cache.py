"""Decoded data sets: triplets decoded once, in parallel, into memory-mapped arrays on disk."""

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock, Timeout

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError, SizeError
from textdet.common.files import earlier_record, read_json, write_json
from textdet.common.fingerprints import fingerprint
from textdet.common.workers import run_calls
from textdet.data.annotation import Sample
from textdet.data.fitted import read_fitted

CACHE = "cache"  # folder within a triplet folder
SIDES = ("train", "validation")  # of a split; each has a cache of its own
RECORD = "cache.json"  # in a cache: who made it and, once it is finished, which rows are damaged
MAKER = "a cache of train.py --caching"  # what RECORD says in it
LOCK = ".lock"  # ending of the file that a run holds locked in a cache that it uses
FILES = ("images", "maps", "weights", RECORD)
BLOCK = 64  # samples a worker decodes in one go
FREE_SPACE = 200 * 2**20  # bytes of the disk that a cache leaves free


class Cache:
    """The decoded samples of one triplet folder: three memory-mapped uint8 arrays.

    One row per sample: images (size, size, 3), RGB; maps (size, size, 2); weights (size, size), of
    the samples that have any.
    """

    def __init__(self, folder: Path, size: int, weighted: list[int]):
        """
        Params:
            folder: the cache's own, with one file per array.
            size: px, side of the squares.
            weighted: the rows of the samples with weights, in the order of these.
        """
        self.folder, self.size = folder, size
        self._weight_rows = {row: number for number, row in enumerate(weighted)}
        self._files: dict[str, object] = {}
        self._lock = ExitStack()

    def __getstate__(self) -> dict:
        # Each process opens the files for itself; the lock is the first one's.
        return {**self.__dict__, "_files": {}, "_lock": ExitStack()}

    def keep(self) -> None:
        """Keep other runs from deleting the folder while this object lives."""
        self._lock.enter_context(_lock_in(self.folder, f"{uuid.uuid4().hex}{LOCK}"))

    def create(self, count: int) -> None:
        """Make the files, for `count` samples."""
        for name, (rows, size) in self._layout(count).items():
            with open(self.folder / name, "wb") as file:
                file.truncate(max(1, rows * size))

    def needed(self, count: int) -> int:
        """Bytes of the files for `count` samples."""
        return sum(rows * size for rows, size in self._layout(count).values())

    def _layout(self, count: int) -> dict[str, tuple[int, int]]:
        """Each file's rows and bytes a row."""
        pixels = self.size**2
        return {
            "images": (count, 3 * pixels),
            "maps": (count, 2 * pixels),
            "weights": (len(self._weight_rows), pixels),
        }

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """See read_fitted."""
        weight_row = self._weight_rows.get(row)
        return (
            self._map("images", row, 3),
            self._map("maps", row, 2),
            None if weight_row is None else self._map("weights", weight_row, 1)[..., 0],
        )

    def write(
        self, row: int, image: np.ndarray, maps: np.ndarray, weights: np.ndarray | None
    ) -> None:
        """Fill a row.

        Params:
            row: number of the sample.
            image, maps, weights: as read_fitted gives them.
        """
        self._map("images", row, 3, "r+")[:] = image
        self._map("maps", row, 2, "r+")[:] = maps
        if weights is not None:
            self._map("weights", self._weight_rows[row], 1, "r+")[..., 0] = weights

    def _map(self, name: str, row: int, channels: int, mode: str = "r") -> np.ndarray:
        """Map one row, so that no more of the file than what is in use counts as the process's."""
        if name not in self._files:
            self._files[name] = open(self.folder / name, f"{mode}b")  # noqa: SIM115
        shape = self.size, self.size, channels
        return np.memmap(self._files[name], np.uint8, mode, row * int(np.prod(shape)), shape)


def open_cache(
    samples: list[Sample], size: int, workers: int, side: str
) -> tuple[Cache, dict[int, str]]:
    """Decode the samples of one triplet folder, or find what an earlier run decoded.

    Another set of files, another size or a changed file makes another cache; older ones of this
    side are deleted when no run uses them.

    Params:
        samples: of the folder.
        size: px, side of the squares.
        workers: processes that decode.
        side: one of SIDES.

    Returns:
        The cache, and a line for each row that is not usable.

    Raises:
        DataError: another run is just making it, or the disk cannot hold it.
    """
    root = samples[0].folder / CACHE
    folder = root / f"{side}-{_fingerprint(samples, size)}"
    weighted = [row for row, sample in enumerate(samples) if sample.weighted_words]
    cache = Cache(folder, size, weighted)
    root.mkdir(exist_ok=True)
    with _lock_in(root, LOCK):  # nobody deletes a cache while another begins to use it
        damaged = _read_damaged(folder)
        if damaged is not None:
            cache.keep()
            print(f"{folder}: using the cached data set")
            return cache, damaged
        delete_caches(root, spared=[other for other in SIDES if other != side])
        if folder.exists():
            raise DataError(
                f"{folder}: another run is just making this cache; wait for it, or delete the "
                "folder when there is none"
            )
        needed, free = cache.needed(len(samples)), shutil.disk_usage(root).free
        print(
            f"{folder}: caching takes {needed / 1e9:.2f} GB of disk, {free / 1e9:.0f} GB are free"
        )
        if needed + FREE_SPACE > free:
            raise DataError(
                f"the disk of {root} has no room for the cache ({needed / 1e9:.2f} GB); "
                "use a smaller --image_size, --max_train_samples or --caching False"
            )
        folder.mkdir()
        write_json(folder / RECORD, {"is": MAKER})
        cache.keep()
    cache.create(len(samples))
    damaged = _fill(cache, samples, workers)
    write_json(folder / RECORD, {"is": MAKER, "damaged": damaged})
    return cache, damaged


def _read_damaged(folder: Path) -> dict[int, str] | None:
    """A line for each damaged row of a finished cache; None where there is none."""
    try:
        damaged = read_json(folder / RECORD)["damaged"]
        return {int(row): str(line) for row, line in damaged.items()}
    except (DataError, KeyError, AttributeError, ValueError):
        return None


def delete_caches(root: Path, spared: Sequence[str] = ()) -> None:
    """Delete the caches in a folder that no run uses, and nothing else.

    Params:
        root: CACHE of a triplet folder; it need not be there.
        spared: of SIDES, those whose caches stay.
    """
    for folder in sorted(root.glob("*")):
        if folder.name.partition("-")[0] in spared or not _is_cache(folder):
            continue
        if any(map(is_held, folder.glob(f"*{LOCK}"))):
            print(f"{folder}: not deleted, another run uses it")
            continue
        for path in folder.iterdir():  # nothing that somebody may have put there
            if path.name in FILES or path.name.endswith(LOCK):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            folder.rmdir()


def _is_cache(folder: Path) -> bool:
    """Whether a folder is a cache that this project has made, as its record says."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    record = earlier_record(folder / RECORD)
    return record.get("is") == MAKER or list(record) == ["damaged"]  # of older versions


def _lock_in(folder: Path, name: str) -> AbstractContextManager:
    """A lock on a file of a folder; none where nobody can write, and so nobody can delete."""
    return FileLock(folder / name) if os.access(folder, os.W_OK) else nullcontext()


def is_held(path: Path) -> bool:
    """Whether a process holds a lock, by its file."""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _fill(cache: Cache, samples: list[Sample], workers: int) -> dict[int, str]:
    """Decode all samples into their rows, in parallel; a line for each damaged one's row."""
    damaged, starts = {}, range(0, len(samples), BLOCK)
    blocks = ((cache, samples[start : start + BLOCK], start) for start in starts)
    with progress_bar(total=len(samples), unit="image", desc="caching") as bar:
        for found, number in run_calls(_fill_block, blocks, max(1, min(workers, len(starts)))):
            damaged |= found
            bar.update(number)
    return dict(sorted(damaged.items()))


def _fill_block(cache: Cache, samples: list[Sample], start: int) -> tuple[dict[int, str], int]:
    """Decode samples into the rows from `start` on; a line for each damaged row, and how many."""
    cv2.setNumThreads(1)  # the processes share the cores
    damaged = {}
    for row, sample in enumerate(samples, start):
        try:
            cache.write(row, *read_fitted(sample, cache.size))
        except SizeError:
            raise
        except DataError as error:
            damaged[row] = str(error)
    return damaged, len(samples)


def _fingerprint(samples: list[Sample], size: int) -> str:
    """Changes when a file of the data set does (by time and size), its weights, or `size`."""

    def parts() -> Iterator[str]:
        yield str(size)
        for sample in samples:
            for path in (sample.image_path, *sample.heatmap_paths):
                try:
                    stat = path.stat()
                    state = f"{stat.st_mtime_ns}/{stat.st_size}"
                except OSError:
                    state = "missing"
                yield f"{path.name}/{state}"
            for word in sample.weighted_words:
                yield f"{word.training_weight}/{word.polygon.tolist()}"

    return fingerprint(parts())
