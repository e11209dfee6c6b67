"""A trained model that finds words in images.

from detector import TextDetector

detector = TextDetector("checkpoits")
for word in detector("photo.jpg").words:
    print(word.quad, word.score)
"""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from dataset_utils import DataError, read_image
from detection_utils import decode_maps, load_settings
from model_utils import Normalise, has_fast_bf16, load_trained, to_maps
from static import constants as C

MAX_ENLARGEMENT = 1.5  # of small images towards long_side, the value of CRAFT's release
TILE_OVERLAP = 256  # px, about the largest text that a seam cannot harm
MAX_TILED_PIXELS = 40_000_000  # larger images are shrunk to it, so that decoding fits into memory


@dataclass
class FoundWord:
    """One word in an image, in the image's continuous pixel coordinates.

    quad: (4, 2) float32, clockwise from the corner with the smallest x + y.
    polygon: (14, 2) float32 around a curved word, clockwise; None where the quad serves.
    score: 0..1, the word's highest character value.
    """

    quad: np.ndarray
    polygon: np.ndarray | None
    score: float

    @property
    def outline(self) -> np.ndarray:
        return self.quad if self.polygon is None else self.polygon


@dataclass
class Result:
    """What was found in one image.

    width, height: px of the image.
    words: in the order of their first pixel, row by row.
    maps: (2, h, w) uint8, 0..255 for 0..1, character then affinity, of the image as the network
        saw it; h and w differ from height and width by the resizing.
    """

    width: int
    height: int
    words: list[FoundWord]
    maps: np.ndarray


class TextDetector:
    """A trained model that finds words.

        detector = TextDetector("checkpoits", text_threshold=0.6)
        for word in detector("photo.jpg").words: ...

    An image is shrunk until its longer side is long_side px, or enlarged towards it, at most
    MAX_ENLARGEMENT times. With tiles a large image keeps its size: squares of long_side px run
    one after another, and their maps are put together before words are looked for.

    Params:
        model_dir: folder that train.py left; its detection.json is used where there is one.
        device: "cpu", "cuda" or None for the GPU where there is one.
        poly: also follow curved words with polygons.
        tiles: cut images larger than long_side instead of shrinking them.
        overrides: fields of DetectionSettings; None for the model's own.

    Raises DataError for a folder without a sound model and for a device that is not there.
    """

    def __init__(
        self,
        model_dir: str | Path,
        device: str | None = None,
        poly: bool = False,
        tiles: bool = False,
        **overrides: float | None,
    ):
        self.model_dir, self.poly, self.tiles = Path(model_dir), poly, tiles
        given = {name: value for name, value in overrides.items() if value is not None}
        self.settings = replace(load_settings(model_dir), **given)
        self.device = _find_device(device)
        self.bf16 = has_fast_bf16(self.device)
        self.model = load_trained(model_dir).to(self.device)
        self.normalise = Normalise().to(self.device)

    def __call__(self, image: np.ndarray | str | Path) -> Result:
        """Find the words of one image: (H, W, 3) uint8 RGB, or a file.

        Raises DataError for a file that is not a sound image or an image too large for the
        device, ValueError for an array of another kind.
        """
        if not isinstance(image, np.ndarray):
            image = read_image(Path(image))
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"the image must be (H, W, 3) uint8, not {image.shape} {image.dtype}")
        height, width = image.shape[:2]
        maps = self.predict(image)
        found = decode_maps(maps, self.settings, self.poly)
        to_image = np.float32([width / maps.shape[2], height / maps.shape[1]])
        limits = np.float32([width, height])

        def scale_back(points: np.ndarray | None) -> np.ndarray | None:
            return None if points is None else (points * to_image).clip(0, limits)

        words = [
            FoundWord(scale_back(box), scale_back(polygon), float(score))
            for box, polygon, score in zip(found.boxes, found.polys, found.scores, strict=True)
        ]
        return Result(width, height, words, maps)

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Maps (2, h, w) uint8 of an image (H, W, 3) uint8, at the size the network saw."""
        height, width = image.shape[:2]
        scale = self.scale(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if size != (width, height):
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            image = cv2.resize(image, size, interpolation=method)
        side = self.settings.long_side if self.tiles else max(size)
        maps = np.empty((2, size[1], size[0]), np.uint8)
        for rows, kept_rows in tile_spans(size[1], side):
            for columns, kept_columns in tile_spans(size[0], side):
                tile = self._predict_tile(image[rows, columns])
                maps[:, kept_rows, kept_columns] = tile[
                    :, _within(kept_rows, rows), _within(kept_columns, columns)
                ]
        return maps

    def scale(self, width: int, height: int) -> float:
        """Size of the network's input / size of the image."""
        scale = min(self.settings.long_side / max(width, height), MAX_ENLARGEMENT)
        if self.tiles and scale < 1:
            scale = min(1.0, (MAX_TILED_PIXELS / (width * height)) ** 0.5)
        return scale

    def run(self, batch: np.ndarray) -> np.ndarray:
        """The network alone: (B, H, W, 3) uint8 RGB to maps (B, 2, H, W) uint8.

        H and W must be multiples of C.STRIDE. Raises DataError when the memory is too small.
        """
        pixels = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
        kind = self.device.type
        try:
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self.bf16):
                logits = self.model(pixel_values=self.normalise(pixels)).logits
                return to_maps(logits, batch.shape[1:3]).cpu().numpy()
        except torch.OutOfMemoryError:
            size = f"{batch.shape[2]}x{batch.shape[1]}"
            raise DataError(
                f"the GPU's memory is too small for {size} px; use a smaller --long_side"
            ) from None

    def _predict_tile(self, tile: np.ndarray) -> np.ndarray:
        """Maps (2, h, w) of (h, w, 3), padded with black at the right and at the bottom."""
        height, width = tile.shape[:2]
        padded = np.zeros((1, height + -height % C.STRIDE, width + -width % C.STRIDE, 3), np.uint8)
        padded[0, :height, :width] = tile
        return self.run(padded)[0, :, :height, :width]


def tile_spans(length: int, side: int) -> list[tuple[slice, slice]]:
    """Cut `length` px into overlapping spans of `side` px.

    Returns (span, kept) pairs: the kept parts lie in their spans, meet in the middle of the
    overlaps and cover everything once. One pair when the length fits.
    """
    if length <= side:
        return [(slice(0, length), slice(0, length))]
    overlap = min(TILE_OVERLAP, side // 2)
    number = -(-(length - overlap) // (side - overlap))
    starts = [round(i * (length - side) / (number - 1)) for i in range(number)]
    seams = [(a + side + b) // 2 for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return [
        (slice(start, start + side), slice(first, last))
        for start, first, last in zip(starts, [0, *seams], [*seams, length], strict=True)
    ]


def _within(part: slice, span: slice) -> slice:
    """`part` counted from the start of `span`."""
    return slice(part.start - span.start, part.stop - span.start)


def _find_device(name: str | None):
    """torch.device of "cpu", "cuda" or the best there is. Raises DataError."""
    if name == "cuda" and not torch.cuda.is_available():
        raise DataError("--device cuda: PyTorch finds no usable GPU here; use --device cpu")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
