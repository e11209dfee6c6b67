"""Image files: find them, decode them to RGB arrays, shrink or enlarge these."""

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np

from textdet.common.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112  # EXIF tag; from 5 on, width and height change places
# What read_image takes. Pillow knows more; some of them start other programs.
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000")
# Endings of such files' names, in small letters.
IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp", ".jp2")
)
MAX_PIXELS = 100_000_000  # of an image; files that declare more are refused before they are decoded


# --- Finding ---------------------------------------------------------------------------------


def is_image(path: Path) -> bool:
    """Whether a path's name ends like an image's; the file is not looked at."""
    return path.suffix.lower() in IMAGE_SUFFIXES


# --- Reading ---------------------------------------------------------------------------------


def read_image(source: Path | BinaryIO, upright: bool = True) -> np.ndarray:
    """Decode an image file.

    Grey, palette, alpha (over white), CMYK, 16-bit and floating-point images are converted; of
    several frames or pages the first counts.

    Params:
        source: a path or an open binary file.
        upright: whether to turn it as its EXIF tag says.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: with the file's name, for anything that is not a sound image of one of
            IMAGE_FORMATS or declares more than MAX_PIXELS.
    """
    import warnings

    from PIL import Image, ImageOps, UnidentifiedImageError

    name = source if isinstance(source, Path) else getattr(source, "name", "image")
    try:
        with warnings.catch_warnings():
            # About odd metadata, and about sizes that are checked here.
            warnings.simplefilter("ignore")
            with Image.open(source, formats=IMAGE_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{name}: {image.width}x{image.height} px is too large, "
                        f"the limit is {MAX_PIXELS / 1e6:g} million pixels"
                    )
                image.load()
                if upright and exif_orientation(image) > 1:
                    ImageOps.exif_transpose(image, in_place=True)
                return np.array(to_rgb(image))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except UnidentifiedImageError:
        formats = ", ".join(IMAGE_FORMATS)
        raise DataError(f"{name}: not a readable image (none of {formats})") from None
    except Image.DecompressionBombError as error:  # raised for sizes far above MAX_PIXELS
        raise DataError(f"{name}: is too large ({error})") from None
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise DataError(f"{name}: not a readable image ({error})") from None


def exif_orientation(image: "Image.Image") -> int:
    """1 to 8, how a Pillow image was held; 1 where its EXIF data are damaged or do not tell."""
    import warnings

    try:
        with warnings.catch_warnings():  # about those data
            warnings.simplefilter("ignore")
            value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds on damaged data
        return 1
    return value if value in range(1, 9) else 1


def to_rgb(image: "Image.Image") -> "Image.Image":
    """A Pillow image of any mode as one of mode RGB."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        largest = values.max()
        top = 255.0 if largest <= 255 else 65535.0
        if image.mode == "F" and largest <= 1:
            top = 1.0
        image = Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


# --- Resizing --------------------------------------------------------------------------------


def resize(image: np.ndarray, scale: float, shrinking: int = cv2.INTER_AREA) -> np.ndarray:
    """Shrink or enlarge an image.

    Params:
        image: (H, W) or (H, W, C) uint8.
        scale: times; the sides are rounded to whole pixels, one at least.
        shrinking: OpenCV's interpolation where the scale is below 1; above, it is bilinear.

    Returns:
        the resized image; the same one where its size stays.
    """
    height, width = image.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return image
    return cv2.resize(image, size, interpolation=shrinking if scale < 1 else cv2.INTER_LINEAR)
