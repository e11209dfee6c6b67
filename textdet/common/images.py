"""Image files: find them, decode them to RGB arrays, shrink or enlarge these."""

import ctypes
import math
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import cv2
import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import MACOS

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112  # EXIF tag; from 5 on, width and height change places
PHOTOMETRIC, WHITE_IS_ZERO = 0x0106, 0  # TIFF tag; its value where the largest value is black
SUBFILE_TYPE, NO_PAGE = 0x00FE, 0b101  # TIFF tag; its bits for a smaller copy and for a mask
# What read_image takes. Pillow knows more; some of them start other programs.
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF")
# Endings of such files' names, in lower case.
IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".gif", ".webp", ".avif")
    + (".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff")
    + (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx")
)
# Endings of other pictures, which a person may expect to be read.
OTHER_SUFFIXES = frozenset(
    (".heic", ".heif", ".hif", ".avifs", ".jxl", ".jxr", ".ico", ".tga", ".dds", ".exr", ".hdr")
    + (".pdf", ".djvu", ".ps", ".eps", ".svg", ".ai", ".psd", ".xcf")
    + (".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf")
)
TINY_BITS = 12  # of a 16-bit image's values; its white is then the largest that so many bits hold
LIGHT = 170  # grey level, 0..255, of what would be lost on white
MAX_PIXELS = 100_000_000  # of an image; files that declare more are refused before they are decoded


# --- Finding ---------------------------------------------------------------------------------


def is_image(path: Path) -> bool:
    """Whether a path's name ends like an image's, and is not that of what macOS has put beside one;
    the file is not looked at."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(MACOS)


def name_other_pictures(paths: Iterable[Path]) -> list[str]:
    """Lines about pictures in kinds of files that read_image does not take, by their names.

    Params:
        paths: all files of a folder.

    Returns:
        a line for each ending, with the number of such files and the first one.
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        if path.suffix.lower() in OTHER_SUFFIXES and not path.name.startswith(MACOS):
            found.setdefault(path.suffix.lower(), []).append(path)
    return [
        f"{len(files)} {suffix} ({files[0]}); make them .jpg or .png, others are not read"
        for suffix, files in sorted(found.items())
    ]


# --- Reading ---------------------------------------------------------------------------------


def read_image(
    source: Path | BinaryIO, upright: bool = True, frame: int = 0, least: int | None = None
) -> np.ndarray:
    """Decode an image file.

    Grey, palette, CMYK, 16-bit and floating-point images are converted; what is transparent lies
    over white, or over black where it shows something light.

    Params:
        source: a path or an open binary file.
        upright: whether to turn it as its EXIF tag says, or to leave the pixels as they are stored.
        frame: of several frames or pages, see find_frames.
        least: px, of the longer side; a larger JPEG may be decoded at a half, a quarter or an
            eighth of its size that is no smaller, in a fraction of the time.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: with the file's name, for anything that is not a sound image of one of
            IMAGE_FORMATS or declares more than MAX_PIXELS.
    """
    from PIL import ImageOps

    with _opened(source, frame) as image:
        held, is_negative = _orientation(image), _is_negative(image)
        if least is not None:
            factor = least / max(image.size)
            image.draft(None, tuple(math.ceil(side * factor) for side in image.size))
        image.load()
        left = _orientation(image)  # 1 where Pillow has turned it while loading: TIFFs
        if upright and left > 1:
            ImageOps.exif_transpose(image, in_place=True)
        elif not upright and left != held:
            image = _turned_back(image, held)
        pixels = np.array(to_rgb(image))
        return 255 - pixels if is_negative else pixels


def image_size(source: Path | BinaryIO, upright: bool = True) -> tuple[int, int]:
    """Width and height of what read_image gives, by the file's header.

    Params:
        source, upright: as read_image takes them.

    Returns:
        px.

    Raises:
        DataError: as read_image, but damage behind the header is not seen.
    """
    with _opened(source) as image:
        orientation = _orientation(image)
        # Of a TIFF that is to be turned, Pillow gives the upright size, of others the stored one.
        turned = image.format == "TIFF" and image.tag_v2.get(ORIENTATION) == orientation
        return image.size[::-1] if orientation > 4 and turned != upright else image.size


def is_turned(source: Path | BinaryIO) -> bool:
    """Whether an image's EXIF tag says that it is to be turned or mirrored.

    Params:
        source: as read_image takes it.

    Raises:
        DataError: as image_size.
    """
    with _opened(source) as image:
        return _orientation(image) > 1


class Frames(NamedTuple):
    """What an image file holds.

    Params:
        pages: numbers of the frames that are images of their own, from 0 on: a TIFF's pages, or
            the first frame alone.
        more: how many further frames an animation has.
        pixels: of the largest page, by the file's header.
    """

    pages: list[int]
    more: int
    pixels: int


def find_frames(source: Path | BinaryIO) -> Frames:
    """Look for further pages and frames. The smaller copies, masks and second views that some files
    hold of their one image do not count.

    Params:
        source: as read_image takes it.

    Raises:
        DataError: as read_image. Of a damaged later page only read_image raises it.
    """
    with _opened(source) as image:
        pixels = image.width * image.height
        if image.format == "MPO":
            return Frames([0], 0, pixels)
        if image.format != "TIFF":
            try:
                return Frames([0], getattr(image, "n_frames", 1) - 1, pixels)
            except Exception:  # Pillow raises many kinds on damaged files
                return Frames([0], 0, pixels)
        pages = [0]
        for frame in count(1):
            try:
                image.seek(frame)
            except EOFError:
                return Frames(pages, 0, pixels)
            except Exception:  # Pillow raises many kinds on damaged files
                return Frames([*pages, frame], 0, pixels)
            pixels = max(pixels, image.width * image.height)
            if not image.tag_v2.get(SUBFILE_TYPE, 0) & NO_PAGE:
                pages.append(frame)


def name_further_frames(source: Path) -> list[str]:
    """A line about the pages and frames after the first, none where there are none.

    Raises:
        DataError: as find_frames.
    """
    pages, more, _ = find_frames(source)
    more += len(pages) - 1
    return [f"{source}: {more} of its {more + 1} pages, only the first is read"] if more else []


@contextmanager
def _opened(source: Path | BinaryIO, frame: int = 0) -> "Iterator[Image.Image]":
    """A Pillow image whose header was read. Raises DataError in place of what Pillow raises."""
    from PIL import Image, UnidentifiedImageError

    _silence_libtiff()
    name = source if isinstance(source, Path) else getattr(source, "name", "image")
    name = f"{name}, page {frame + 1}" if frame else name
    try:
        # Warnings are about odd metadata, and about sizes that are checked here.
        with _quiet, Image.open(source, formats=IMAGE_FORMATS) as image:
            image.seek(frame)
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{name}: {image.width}x{image.height} px is too large, "
                    f"the limit is {MAX_PIXELS / 1e6:g} million pixels"
                )
            yield image
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


class _Quiet:
    """No warnings while any thread is inside; catch_warnings by itself mixes up the filters of
    threads that leave in another order than they came."""

    def __init__(self):
        self.lock, self.inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.caught = warnings.catch_warnings(action="ignore")
                self.caught.__enter__()

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.caught.__exit__(None, None, None)


_quiet = _Quiet()


@cache
def _silence_libtiff() -> None:
    """Have libtiff say nothing: it writes to standard error without the name of the file, which the
    DataError has."""
    from PIL import _imaging

    try:
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
    except (OSError, AttributeError):  # Pillow built with libtiff inside
        pass


def _orientation(image: "Image.Image") -> int:
    """1 to 8, how a Pillow image was held; 1 where its EXIF data are damaged or do not tell."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds on damaged data
        return 1
    return value if value in range(1, 9) else 1


def _is_negative(image: "Image.Image") -> bool:
    """Whether a Pillow image is a TIFF of more than 8 bits in which 0 is white: Pillow turns those
    of fewer bits alone."""
    is_deep = image.format == "TIFF" and image.mode.startswith(("I", "F"))
    return is_deep and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO


def _turned_back(image: "Image.Image", orientation: int) -> "Image.Image":
    """An image as it was stored, that was turned as its EXIF orientation, 2 to 8, says."""
    from PIL.Image import Transpose

    back = (
        Transpose.FLIP_LEFT_RIGHT,
        Transpose.ROTATE_180,
        Transpose.FLIP_TOP_BOTTOM,
        Transpose.TRANSPOSE,
        Transpose.ROTATE_90,
        Transpose.TRANSVERSE,
        Transpose.ROTATE_270,
    )
    return image.transpose(back[orientation - 2])


def to_rgb(image: "Image.Image") -> "Image.Image":
    """A Pillow image of any mode as one of mode RGB."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        top = _white_of(float(values.max()), image.mode == "F")
        image = Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
    if image.mode == "La":  # which Pillow makes nothing else of
        image = image.convert("LA")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, _ground_of(image))
        image = Image.alpha_composite(ground, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _white_of(largest: float, fractions: bool) -> float:
    """The value that stands for white in an image with more than 8 bits a pixel.

    Params:
        largest: of its values.
        fractions: whether they may be 0..1.
    """
    if fractions and largest <= 1:
        return 1.0
    bits = max(8, int(largest).bit_length())
    return 65535.0 if TINY_BITS < bits < 16 else 2.0**bits - 1


def _ground_of(image: "Image.Image") -> str:
    """White or black, to lie under a transparent image, so that what it shows can be seen.

    What borders on transparent parts decides: black where that is light.

    Params:
        image: of mode RGBA.
    """
    alpha = np.asarray(image.getchannel("A"))
    clear = cv2.dilate((alpha < 128).astype(np.uint8), np.ones((3, 3), np.uint8))
    border = (clear > 0) & (alpha >= 128)
    levels = np.asarray(image.convert("L"))[border]
    return "black" if levels.size and levels.mean() > LIGHT else "white"


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


# --- Writing ---------------------------------------------------------------------------------


def encode_image(image: np.ndarray, suffix: str, options: Sequence[int] = ()) -> bytes:
    """Encode an image as a file's bytes.

    Params:
        image: (H, W, 3) RGB or (H, W), uint8.
        suffix: of a file's name in the format wanted, with the dot.
        options: OpenCV's, names and values alternating.

    Raises:
        DataError: the format has no room for so large an image; a JPEG's sides are 65,500 px at
            most.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    try:
        sound, data = cv2.imencode(suffix, pixels, options)
    except cv2.error:
        sound = False
    if not sound:
        height, width = image.shape[:2]
        raise DataError(f"{width}x{height} px cannot be written as {suffix}")
    return data.tobytes()
