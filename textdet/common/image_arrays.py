"""Images as programs hold them, arrays and Pillow images, made RGB arrays."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from textdet.common.images import read_image, to_rgb

if TYPE_CHECKING:
    from PIL import Image

ImageInput: TypeAlias = "np.ndarray | str | Path | Image.Image"
CHANNEL_ORDERS = ("rgb", "bgr")
ROUNDING = 1e-3  # a float image may leave 0..1 by so much, as resizing it does


def as_rgb(image: ImageInput, channel_order: str = "rgb") -> np.ndarray:
    """An image from a file, an array or Pillow.

    Params:
        image: a file's path; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, or of
            floats 0..1; or a Pillow image of any mode. What is transparent is laid over a plain
            ground, as of files. A Pillow image is taken as it lies, whatever its EXIF tag says.
        channel_order: "rgb", or "bgr" where arrays come from OpenCV; files and Pillow images know
            their own.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: a file that is not a sound image.
        ValueError: an array of another kind, or a Pillow image without pixels.
        TypeError: something else.
    """
    from PIL import Image

    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        if not all(image.size):
            raise ValueError(f"an image must have pixels, not size {image.size}")
        return np.array(to_rgb(image))
    if not isinstance(image, np.ndarray):
        raise TypeError(f"an image is a path, an array or a Pillow image, not {type(image)}")
    values = _as_bytes(image[..., None] if image.ndim == 2 else image)
    channels = values.shape[2]
    if channels == 1:
        return np.repeat(values, 3, axis=2)
    if channel_order == "bgr":
        values = np.ascontiguousarray(values[..., [2, 1, 0, 3][:channels]])
    return np.array(to_rgb(Image.fromarray(values))) if channels == 4 else values


def _as_bytes(image: np.ndarray) -> np.ndarray:
    """An array (H, W, C) of uint8, of one that is that or holds floats 0..1."""
    kind = f"{image.shape} {image.dtype}"
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
        raise ValueError(f"an image must be (H, W) or (H, W, 1, 3 or 4), not {kind}")
    if image.dtype == np.uint8:
        return image
    if image.dtype.kind != "f":
        raise ValueError(f"an image must be uint8, or float within 0..1, not {kind}")
    low, high = float(image.min()), float(image.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # nan is refused too
        raise ValueError(f"a float image must lie within 0..1, not {low:g}..{high:g}")
    return np.rint(255 * image.clip(0, 1)).astype(np.uint8)
