"""Data sets in memory: triplets decoded once, in parallel, into memory-mapped arrays on disk."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from textdet.common.cli import name_left_out, progress_bar
from textdet.common.errors import DataError, SizeError
from textdet.common.files import write_json
from textdet.common.workers import run_calls
from textdet.data.annotation import Sample, Word
from textdet.data.triplets import check_triplet, read_triplet

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


def read_fitted(sample: Sample, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """A triplet fitted into a square, all uint8: image (size, size, 3), maps (size, size, 2) and
    weights (size, size), see draw_weights.

    Raises DataError with the file's name.
    """
    image, maps = read_triplet(sample)
    maps = np.ascontiguousarray(maps.transpose(1, 2, 0))
    return fit(image, size), fit(maps, size), draw_weights(sample, size)


def is_weighted(word: Word) -> bool:
    """Whether a word counts less than others in training: don't-care, trusted less, or without
    characters, which the maps then lack."""
    return word.ignore or word.confidence < 1 or not word.characters


def draw_weights(sample: Sample, size: int) -> np.ndarray | None:
    """How much each pixel of the fitted square counts in training: (size, size) uint8, 0..255 for
    0..1; None when all count in full.

    0 in don't-care regions and in words without characters, its confidence in the polygon of any
    other word; the lowest where they overlap.
    """
    words = [word for word in fitted_words(sample, size) if is_weighted(word)]
    if not words:
        return None
    values = [
        0 if word.ignore or not word.characters else max(word.confidence, 0) for word in words
    ]
    weights = np.full((size, size), 255, np.uint8)
    for value, word in sorted(zip(values, words, strict=True), key=lambda pair: -pair[0]):
        # From continuous coordinates to those of the pixels' centres, in 1/16 px.
        corners = np.round((word.polygon - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(weights, [corners], round(value * 255), shift=4)
    return weights


def fitted_words(sample: Sample, size: int) -> list[Word]:
    """A sample's words in the coordinates of its fitted square."""
    scale = np.float32(fit_scale(sample.width, sample.height, size))
    return [
        Word(w.text, w.characters, w.quads * scale, w.polygon * scale, w.ignore, w.confidence)
        for w in sample.words
    ]


class Source:
    """Samples and where their pixels come from: caches on disk, or the triplets' own files.

    rows: for each sample its cache and its row there; None to read the files.
    """

    def __init__(self, samples: list[Sample], size: int, rows: "list[tuple[Cache, int]] | None"):
        self.samples, self.size, self.rows = samples, size, rows
        self._named: set[str] = set()

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """See read_fitted."""
        if self.rows is None:
            return read_fitted(self.samples[index], self.size)
        cache, row = self.rows[index]
        return cache.read(row)

    def read_sound(self, index: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray | None]:
        """As read(), with the index; where that triplet is damaged (and named), the next sound one.

        Raises DataError when there is none.
        """
        for candidate in (*range(index, len(self)), *range(index)):
            try:
                return candidate, *self.read(candidate)
            except DataError as error:
                if str(error) not in self._named:
                    name_left_out([str(error)])
                    self._named.add(str(error))
        raise DataError("none of the images can be decoded")


def forget_words(source: Source) -> None:
    """Keep only the words that weights are drawn from: training takes the others from the maps, and
    those of a large data set would fill the memory of each of the loader's processes."""
    for sample in source.samples:
        kept = [word for word in sample.words if is_weighted(word)] if source.rows is None else []
        sample.words = kept


class Cache:
    """The decoded samples of one triplet folder: three memory-mapped uint8 arrays.

    weights holds a row only for the samples in `weighted`, in this order.
    """

    def __init__(self, folder: Path, size: int, weighted: list[int]):
        self.folder, self.size = folder, size
        self._weight_rows = {row: number for number, row in enumerate(weighted)}
        self._files: dict[str, object] = {}
        self._lock = None

    def __getstate__(self) -> dict:
        # Each process opens the files for itself; the lock is the first one's.
        return {**self.__dict__, "_files": {}, "_lock": None}

    def keep(self) -> None:
        """Bar other runs from deleting the folder as long as this object lives."""
        self._lock = _lock(self.folder, fcntl.LOCK_SH)

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

    def write(self, row: int, image: np.ndarray, maps: np.ndarray, weights) -> None:
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


def open_source(
    samples: list[Sample], size: int, caching: bool, workers: int
) -> tuple[Source, list[str]]:
    """Make the samples readable as squares of `size` px, cached or from their files.

    Returns the source without the damaged triplets, and a line for each of these. Without caching
    only the files' presence and sizes are looked at. Raises SizeError when the sizes of a triplet
    disagree, DataError when none is left, or when the disk cannot hold the caches.
    """
    rows, problems = {}, []
    if caching:
        for own in _by_folder(samples):
            cache, damaged = _build_cache(own, size, workers)
            rows |= {id(s): (cache, row) for row, s in enumerate(own) if row not in damaged}
            problems += damaged.values()
        kept = [sample for sample in samples if id(sample) in rows]
    else:
        damaged = {id(s): line for s in samples if (line := check_triplet(s)) is not None}
        problems = list(damaged.values())
        kept = [sample for sample in samples if id(sample) not in damaged]
    if not kept:
        raise DataError(f"no sound image is left; {problems[0]}")
    return Source(kept, size, [rows[id(s)] for s in kept] if caching else None), problems


def _by_folder(samples: list[Sample]) -> list[list[Sample]]:
    folders: dict[Path, list[Sample]] = {}
    for sample in samples:
        folders.setdefault(sample.folder, []).append(sample)
    return list(folders.values())


def _build_cache(samples: list[Sample], size: int, workers: int) -> tuple[Cache, dict[int, str]]:
    """Decode the samples of one triplet folder, or find what an earlier run decoded.

    Another set of files, another size or a changed file makes another cache; older ones are
    deleted when no run uses them. Returns it, and a line for each row that is not usable. Raises
    DataError when another run is about to make it, or when the disk cannot hold it.
    """
    root = samples[0].folder / CACHE
    folder = root / _fingerprint(samples, size)
    weighted = [row for row, s in enumerate(samples) if any(map(is_weighted, s.words))]
    cache, record = Cache(folder, size, weighted), folder / "cache.json"
    if record.exists():
        cache.keep()
        print(f"{folder}: using the cached data set")
        damaged = json.loads(record.read_text(encoding="utf-8"))["damaged"]
        return cache, {int(row): line for row, line in damaged.items()}
    root.mkdir(exist_ok=True)
    for old in filter(Path.is_dir, root.iterdir()):
        _delete_unused(old)
    if folder.exists():
        raise DataError(
            f"{folder}: another run is just making this cache; wait for it, or delete the folder "
            "when there is none"
        )
    needed, free = cache.needed(len(samples)), shutil.disk_usage(root).free
    print(f"{folder}: caching takes {needed / 1e9:.2f} GB of disk, {free / 1e9:.0f} GB are free")
    if needed + SPARE > free:
        raise DataError(
            f"the disk of {root} has no room for the cache ({needed / 1e9:.2f} GB); "
            "use a smaller --image_size, --max_train_samples or --caching False"
        )
    folder.mkdir()
    cache.keep()
    cache.create(len(samples))
    damaged = _fill(cache, samples, workers)
    write_json(record, {"damaged": damaged})
    return cache, damaged


def _delete_unused(folder: Path) -> None:
    lock = _lock(folder, fcntl.LOCK_EX)
    if lock is None:
        print(f"{folder}: not deleted, another run uses it")
        return
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()


def _lock(folder: Path, kind: int):
    """A lock on a cache that lasts until the returned file is closed; None when others bar it."""
    with contextlib.ExitStack() as closing:
        try:
            file = closing.enter_context(open(folder / "lock", "a"))
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError:  # also where the file system knows no locks: then nothing is deleted
            return None
        closing.pop_all()
        return file


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
    total = hashlib.sha256(str(size).encode())
    for sample in samples:
        for path in (sample.image_path, *sample.heatmap_paths):
            try:
                stat = os.stat(path)
                state = f"{stat.st_mtime_ns}/{stat.st_size}"
            except OSError:
                state = "missing"
            total.update(f"{path.name}/{state}".encode(errors="surrogatepass"))
        for word in filter(is_weighted, sample.words):
            kind = f"{word.ignore}/{word.confidence}/{len(word.characters)}"
            total.update(f"{kind}/{word.polygon.tolist()}".encode())
    return total.hexdigest()[:16]
