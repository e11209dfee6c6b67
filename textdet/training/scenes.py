"""Crops of scenes that are drawn while the network trains, beside those of folders or alone."""

from collections.abc import Callable

import numpy as np

from textdet.data.annotation import Sample, Word
from textdet.data.fitted import draw_weights, fitted_words
from textdet.data.source import Source

# Makes scene number i: the sample, its image (size, size, 3) and its maps (2, size, size), uint8.
MakeScene = Callable[[int], tuple[Sample, np.ndarray, np.ndarray]]


class SceneSource:
    """A source of images for TrainDataset without an end: those of folders, then new scenes.

    What it gives for an index depends on nothing else, so that each of the loader's processes can
    draw any of them.

    Params:
        folders: images that are read; there may be none.
        draw: makes a scene, a square of the folders' size. It has to come through pickling where
            processes are spawned.
        scenes: as many as count as an epoch.
    """

    def __init__(self, folders: Source, draw: MakeScene, scenes: int):
        self.folders, self.draw, self.scenes = folders, draw, scenes
        self.size = folders.size
        # The last scene, of which several crops may be asked for: number, sample, arrays.
        self._last: tuple[int, Sample, tuple] | None = None

    def __len__(self) -> int:
        """Images of an epoch in which each image of the folders comes once."""
        return len(self.folders) + self.scenes

    def read_sound(self, index: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray | None]:
        """See Source.read_sound. A scene needs neither encoding nor decoding."""
        if index < len(self.folders):
            return self.folders.read_sound(index)
        if self._last is None or self._last[0] != index:
            sample, image, maps = self.draw(index - len(self.folders))
            scene = image, np.dstack(list(maps)), draw_weights(sample, self.size)
            self._last = index, sample, scene
        return index, *self._last[2]

    def words(self, index: int) -> list[Word]:
        """See Source.words."""
        if index < len(self.folders):
            return self.folders.words(index)
        self.read_sound(index)  # which keeps it
        return fitted_words(self._last[1], self.size)
