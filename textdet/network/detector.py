"""A trained model that finds words in images."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from textdet.common.image_arrays import CHANNEL_ORDERS, ImageInput, as_rgb
from textdet.common.images import resize
from textdet.decoding.characters import split_characters
from textdet.decoding.decode import decode_maps, take_large_words
from textdet.decoding.reading_order import group_lines
from textdet.network.model_files import bundled_model, find_model
from textdet.network.result import FoundWord, Maps, Result
from textdet.network.runtimes import open_runtime
from textdet.network.tiles import Tile, cut_tiles

MAX_TILED_PIXELS = 40_000_000  # with tiles, larger images are shrunk to it, for memory's sake


class TextDetector:
    """A trained model that finds words.

        detector = TextDetector("checkpoits", text_threshold=0.6)
        for word in detector("photo.jpg").words: ...

    An image is shrunk until its longer side is long_side px, or enlarged towards it, at most
    max_enlargement times. With tiles a large image keeps its size: squares of long_side px go
    through the network, and their maps are put together before words are looked for, so that a
    word on a seam is one word. With a second_scale the network also sees the image so much
    smaller, unless it is small already, and large words are taken from there.

    Params:
        model_dir: folder that train.py left, or CRAFT's weights, see find_model; None for the
            bundled model. Its detection.json is used where there is one.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
        runtime: what runs the network, see network/runtimes.py.
        poly: also follow curved words with polygons.
        characters: also split the words into characters.
        tiles: cut images larger than long_side instead of shrinking them.
        batch_size: images or tiles of one size that go through the network together.
        channel_order: of arrays: "rgb", or "bgr" as OpenCV reads images.
        overrides: fields of DetectionSettings; None for the model's own.

    Raises:
        DataError: a folder without a sound model, or a device that is not there.
        ValueError: a setting out of its range, or a device, runtime or order of another name.
        TypeError: an override that is not a setting.
    """

    map_step = 1  # px of the network's input for each px of the maps that are decoded
    shrinking = cv2.INTER_AREA  # OpenCV's interpolation

    def __init__(
        self,
        model_dir: str | Path | None = None,
        device: str = "auto",
        runtime: str = "auto",
        poly: bool = False,
        characters: bool = False,
        tiles: bool = False,
        batch_size: int = 1,
        channel_order: str = "rgb",
        **overrides: float | str | None,
    ):
        self.model_dir = bundled_model() if model_dir is None else Path(model_dir)
        self.poly, self.characters, self.tiles = poly, characters, tiles
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.batch_size = batch_size
        if channel_order not in CHANNEL_ORDERS:
            raise ValueError(
                f"channel_order must be one of {CHANNEL_ORDERS}, not {channel_order!r}"
            )
        self.channel_order = channel_order
        given = {name: value for name, value in overrides.items() if value is not None}
        self.files = find_model(self.model_dir)
        self.settings = self.files.settings(**given)
        self.runtime = open_runtime(self.model_dir, device, runtime)
        if self.files.is_craft:
            self.shrinking = cv2.INTER_LINEAR  # as its authors do
            if self.settings.decoder == "craft":
                self.map_step = 2  # which expects the maps as that network gives them

    def __call__(self, image: "ImageInput | Sequence[ImageInput]") -> Result | list[Result]:
        """Find the words of one image, or of several.

        Params:
            image: a file's path, an array or a Pillow image, see as_rgb; or a list of these.

        Returns:
            What was found; of a list, a list of that.

        Raises:
            DataError: a file that is not a sound image, or an image too large for the memory.
            ValueError: an array of another kind.
            TypeError: something else.
        """
        if not isinstance(image, list | tuple):
            return self.detect([image])[0]
        size = self.batch_size
        parts = (image[start : start + size] for start in range(0, len(image), size))
        return [result for part in parts for result in self.detect(part)]

    def detect(self, images: Sequence[ImageInput]) -> list[Result]:
        """Find the words of several images, which are all in memory at once.

        Params:
            images, and what is raised: as for the detector itself.

        Returns:
            What was found in each.
        """
        images = [as_rgb(image, self.channel_order) for image in images]
        return [
            self.decode(Maps(values, image.shape[1], image.shape[0], image))
            for values, image in zip(self.predict(images), images, strict=True)
        ]

    def maps(self, image: ImageInput) -> Maps:
        """Run the network on one image; decode() finds the words in what it gives.

            maps = detector.maps("photo.jpg")
            for threshold in (0.3, 0.5, 0.7):
                print(len(detector.decode(maps, text_threshold=threshold).words))

        Params:
            image, and what is raised: as for the detector itself.
        """
        image = as_rgb(image, self.channel_order)
        return Maps(self.predict([image])[0], image.shape[1], image.shape[0], image)

    def predict(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Compute the maps that words are looked for in.

        Params:
            images: (H, W, 3) uint8 RGB each.

        Returns:
            (2, h, w) uint8 each, 0..255 for 0..1, at the size the network saw; where CRAFT's
            decoder reads the maps of CRAFT's network, float32, 0..1, at half of it.

        Raises:
            DataError: the memory is too small.
        """
        return self.predict_fitted([self.fit(image) for image in images])

    def fit(self, image: np.ndarray) -> np.ndarray:
        """An image (H, W, 3) uint8 RGB at the size at which the network sees it."""
        return resize(image, self.scale(image.shape[1], image.shape[0]), self.shrinking)

    def padded_size(self, image: np.ndarray) -> tuple[int, int] | None:
        """Height and width, px, of the network's input for an image of fit(); None for several
        tiles. Images of one size can go through it together."""
        first, *others = self._tiles(image)
        return None if others else first.padded_size

    def predict_fitted(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """What predict() computes, of images as fit() gives them."""
        maps = self._predict(images)
        second, side = self.settings.second_scale, self.settings.long_side
        large = [i for i, image in enumerate(images) if max(image.shape) > side * second]
        if second and large:
            smaller = self._predict([resize(images[i], second, self.shrinking) for i in large])
            for i, pair in zip(large, smaller, strict=True):
                take_large_words(maps[i], pair)
        return maps

    def scale(self, width: int, height: int) -> float:
        """How much an image is enlarged (above 1) or shrunk for the network.

        Params:
            width, height: px of the image.
        """
        scale = min(self.settings.long_side / max(width, height), self.settings.max_enlargement)
        if self.tiles and scale < 1:
            scale = min(1.0, (MAX_TILED_PIXELS / (width * height)) ** 0.5)
        return scale

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Run the network alone.

        Params:
            batch: (B, H, W, 3) uint8 RGB, H and W multiples of STRIDE.

        Returns:
            Maps (B, 2, H, W) uint8, 0..255 for 0..1, character then affinity.

        Raises:
            DataError: the memory is too small.
        """
        maps = self.runtime(batch)
        if maps.shape[2:] == batch.shape[1:3]:
            return maps
        size = batch.shape[2], batch.shape[1]
        large = [[cv2.resize(values, size) for values in pair] for pair in maps]
        return np.rint(255 * np.array(large)).astype(np.uint8)

    def _predict(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Maps of each image (h, w, 3) uint8, at its own size or, see predict, half of it."""
        step, run = self.map_step, self.run if self.map_step == 1 else self.runtime
        kind = np.uint8 if step == 1 else np.float32
        shapes = [[-(-side // step) for side in image.shape[:2]] for image in images]
        maps = [np.empty((2, *shape), kind) for shape in shapes]
        by_size = defaultdict(list)  # of the network's input
        for index, image in enumerate(images):
            for tile in self._tiles(image):
                by_size[tile.padded_size].append((index, tile))
        for size, tiles in by_size.items():
            for start in range(0, len(tiles), self.batch_size):
                part = tiles[start : start + self.batch_size]
                batch = np.zeros((len(part), *size, 3), np.uint8)  # padded with black
                for padded, (index, tile) in zip(batch, part, strict=True):
                    pixels = images[index][tile.rows, tile.columns]
                    padded[: pixels.shape[0], : pixels.shape[1]] = pixels
                for found, (index, tile) in zip(run(batch), part, strict=True):
                    tile.keep(found, maps[index], step)
        return maps

    def _tiles(self, image: np.ndarray) -> list[Tile]:
        side = self.settings.long_side if self.tiles else max(image.shape)
        return cut_tiles(*image.shape[:2], side, self.map_step)

    def decode(self, maps: Maps, **overrides: float | str) -> Result:
        """Find the words in an image's maps.

        Params:
            maps: of maps(), by a detector with the same settings as far as the network needs them,
                see ModelFiles.network_settings.
            overrides: fields of DetectionSettings, except those.

        Raises:
            ValueError: a setting out of its range, or one that would change the maps.
            TypeError: an override that is not a setting.
        """
        for name in self.files.network_settings:
            if overrides.get(name, own := getattr(self.settings, name)) != own:
                raise ValueError(f"{name} changes the maps: make them by a detector with it")
        values = maps.values
        to_image = np.float32([maps.width / values.shape[2], maps.height / values.shape[1]])
        limits = np.float32([maps.width, maps.height])

        def on_image(points: np.ndarray | None) -> np.ndarray | None:
            return None if points is None else (points * to_image).clip(0, limits)

        settings = replace(self.settings, **overrides)
        # The margin is in px of what the network sees.
        margin = settings.box_margin / self.map_step
        found = decode_maps(values, replace(settings, box_margin=margin), self.poly)
        words, lines = [], []
        for line in group_lines(found.boxes):
            lines.append(list(range(len(words), len(words) + len(line))))
            for i in line:
                box, polygon = found.boxes[i], found.polys[i]
                characters = None
                if self.characters:
                    characters = split_characters(values[0], box if polygon is None else polygon)
                quad, polygon, characters = map(on_image, (box, polygon, characters))
                words.append(FoundWord(quad, polygon, float(found.scores[i]), characters))
        if values.dtype != np.uint8:
            values = np.rint(255 * values).astype(np.uint8)
        return Result(maps.width, maps.height, words, lines, values, maps.image)


def share_detector(opener: Callable[[], TextDetector]) -> tuple[TextDetector]:
    """`shared` of run_calls, for calls that a detector is handed first."""
    return (opener(),)
