"""Pictures for people: heatmaps over images, boxes, contact sheets, training curves."""

import io
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from textdet.common.files import write_atomically
from textdet.common.images import encode_image, resize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINE_WIDTH = 500  # px of the image's shorter side for each px of an outline's width
FILE_QUALITY = 92  # 1..100, of a .jpg that people look at
LONGEST_SIDE = 65_500  # px, the most that a JPEG holds
TITLE_HEIGHT = 26  # px, of the strip above a titled picture
GREEN, RED, BLUE, GREY = (0, 220, 0), (255, 40, 40), (60, 110, 255), (150, 150, 150)  # RGB


def draw_maps(image: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Lay the character map (warm) and the affinity map (blue) over a darkened image.

    Params:
        image: (H, W, 3) uint8 RGB.
        maps: (2, H, W) uint8, 0..255 for 0..1, character then affinity.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    character, affinity = (m[..., None].astype(np.float32) / 255 for m in maps)
    shade = image.astype(np.float32) * 0.5
    shade += (np.float32([255, 140, 0]) - shade) * character * 0.85
    shade += (np.float32([40, 90, 255]) - shade) * affinity * 0.75
    return shade.astype(np.uint8)


def draw_polygons(
    image: np.ndarray,
    polygons: Iterable[np.ndarray],
    colour: tuple[int, int, int] = GREEN,
    thickness: int = 1,
) -> np.ndarray:
    """Outline polygons on a copy of an image.

    Params:
        image: (H, W, 3) uint8 RGB.
        polygons: (k, 2) each, continuous coordinates, px.
        colour: RGB, 0..255.
        thickness: px.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    image = image.copy()
    for polygon in polygons:
        points = np.round((np.asarray(polygon) - 0.5) * 16).astype(np.int32)  # 1/16 px
        cv2.polylines(image, [points], True, colour, thickness, cv2.LINE_AA, 4)
    return image


def outline_width(image: np.ndarray) -> int:
    """Thickness of outlines that can be seen when the whole picture is looked at.

    Params:
        image: (H, W) or (H, W, C).

    Returns:
        px, 1 at least.
    """
    return 1 + min(image.shape[:2]) // LINE_WIDTH


def draw_found(image: np.ndarray, result: Any) -> np.ndarray:
    """Outline the words of a detector's result (green) and their characters (blue) on a copy.

    Params:
        image: (H, W, 3) uint8 RGB, in whose coordinates the words are.
        result: a Result of textdet.network.detector.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    width = outline_width(image)
    cells = [c for word in result.words if word.characters is not None for c in word.characters]
    picture = draw_polygons(image, cells, BLUE, max(1, width // 2)) if cells else image
    return draw_polygons(picture, [word.outline for word in result.words], GREEN, width)


def contact_sheet(
    tiles: list[np.ndarray], columns: int, side: int, titles: Sequence[str] = ()
) -> np.ndarray:
    """Arrange pictures in rows, each fitted into a square, under its title if it has one.

    Params:
        tiles: (h, w, 3) uint8 RGB each, one at least.
        columns: pictures in a row.
        side: px, of the squares.
        titles: none, or one for each picture.

    Returns:
        (H, W, 3) uint8 RGB, white where no picture is.
    """
    fitted = []
    for tile, title in itertools.zip_longest(tiles, titles):
        small = resize(tile, side / max(tile.shape[:2]))
        canvas = np.full((side, side, 3), 255, np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        fitted.append(canvas if title is None else np.vstack([draw_title(title, side), canvas]))
    while len(fitted) % columns:
        fitted.append(np.full_like(fitted[0], 255))
    rows = [np.hstack(fitted[i : i + columns]) for i in range(0, len(fitted), columns)]
    return np.vstack(rows)


def draw_title(text: str, width: int) -> np.ndarray:
    """Write a line of black text on a white strip.

    Params:
        text: cut off at the right border where it is too long.
        width: px.

    Returns:
        (TITLE_HEIGHT, width, 3) uint8 RGB.
    """
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("RGB", (width, TITLE_HEIGHT), "white")
    font = ImageFont.load_default(size=TITLE_HEIGHT * 0.6)
    ImageDraw.Draw(strip).text((4, TITLE_HEIGHT / 2), text, "black", font, anchor="lm")
    return np.array(strip)


def save_picture(path: Path, image: np.ndarray) -> None:
    """Write a picture, whole or not at all.

    Params:
        path: its suffix chooses the format.
        image: (H, W, 3) uint8 RGB.

    Raises:
        OSError: when the disk refuses.
    """
    write_atomically(path, encode_picture(image, path.suffix, FILE_QUALITY))


def encode_picture(image: np.ndarray, suffix: str = ".jpg", quality: int = 85) -> bytes:
    """Encode a picture as a file's bytes; a very long one is shrunk.

    Params:
        image: (H, W, 3) uint8 RGB.
        suffix: of a file's name in the format wanted, with the dot.
        quality: 1..100, of .jpg.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    shown = resize(image, min(1.0, LONGEST_SIDE / max(image.shape)))
    return encode_image(shown, suffix, options)


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a matplotlib figure, whole or not at all.

    Params:
        path: its suffix chooses the format, such as .png or .svg.

    Raises:
        OSError: when the disk refuses.
    """
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, dpi=110, format=path.suffix[1:])
    write_atomically(path, data.getvalue())
