"""Fitted triplets by their numbers, whether from caches on disk or from the triplets' own files."""

from pathlib import Path

import numpy as np

from textdet.common.cli import name_left_out, progress_bar
from textdet.common.errors import DataError
from textdet.data.annotation import Sample, Word
from textdet.data.cache import SIDES, Cache, open_cache
from textdet.data.fitted import fitted_words, read_fitted
from textdet.data.triplets import check_triplet


class Source:
    """Samples and where their pixels come from: caches on disk, or the triplets' own files."""

    def __init__(self, samples: list[Sample], size: int, rows: list[tuple[Cache, int]] | None):
        """
        Params:
            samples: those that can be read.
            size: px, side of the squares that they are fitted into.
            rows: for each sample its cache and its row there; None to read the files.
        """
        self.samples, self.size, self.rows = samples, size, rows
        self._named: set[str] = set()

    def __len__(self) -> int:
        return len(self.samples)

    def words(self, index: int) -> list[Word]:
        """See fitted_words."""
        return fitted_words(self.samples[index], self.size)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """See read_fitted."""
        if self.rows is None:
            return read_fitted(self.samples[index], self.size)
        cache, row = self.rows[index]
        return cache.read(row)

    def read_sound(self, index: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray | None]:
        """As read(), with the index; where that triplet is damaged (and named), the next sound one.

        Raises:
            DataError: there is none.
        """
        for candidate in (*range(index, len(self)), *range(index)):
            try:
                return candidate, *self.read(candidate)
            except DataError as error:
                if str(error) not in self._named:
                    name_left_out([str(error)])
                    self._named.add(str(error))
        raise DataError("none of the images can be decoded")


def open_source(
    samples: list[Sample], size: int, caching: bool, workers: int, side: str = SIDES[0]
) -> tuple[Source, list[str]]:
    """Make the samples readable as squares, cached or from their files.

    Params:
        samples: triplets, of one folder after the other.
        size: px, side of the squares.
        caching: decode them all now, into files on disk, unless an earlier run did. Without it
            only the files' presence and sizes are looked at.
        workers: processes that decode.
        side: one of SIDES, the part of a split that they are.

    Returns:
        The source without the damaged triplets, and a line for each of these.

    Raises:
        SizeError: the sizes of a triplet disagree.
        DataError: none of the samples is left, or the disk cannot hold the caches.
    """
    kept, rows, problems = [], [], []
    if caching:
        for own in _by_folder(samples):
            cache, damaged = open_cache(own, size, workers, side)
            sound = [row for row in range(len(own)) if row not in damaged]
            kept += [own[row] for row in sound]
            rows += [(cache, row) for row in sound]
            problems += damaged.values()
    else:
        for sample in progress_bar(samples, unit="image", desc="checking", delay=2):
            problem = check_triplet(sample)
            if problem is None:
                kept.append(sample)
            else:
                problems.append(problem)
    if problems and not kept:
        raise DataError(f"no sound image is left; {problems[0]}")
    return Source(kept, size, rows if caching else None), problems


def _by_folder(samples: list[Sample]) -> list[list[Sample]]:
    folders: dict[Path, list[Sample]] = {}
    for sample in samples:
        folders.setdefault(sample.folder, []).append(sample)
    return list(folders.values())
