"""What paper and scanner do to a page: bleed-through, folds, dust, dark edges, streaks, black and
white. No pixel moves, so labels stay exact."""

import cv2
import numpy as np

from textdet.common.stage_times import stage
from textdet.synth.blending import lay_over
from textdet.synth.settings import GeneratorSettings

CLEARANCE = 4  # px between a dark edge and the nearest word


@stage("paper")
def age_paper(
    rng: np.random.Generator, settings: GeneratorSettings, paper: np.ndarray, text: np.ndarray
) -> np.ndarray:
    """Add folds, and the reverse side shining through.

    Params:
        paper: (h, w, 3) uint8 RGB without ink.
        text: (h, w) uint8, coverage of the front's letters; their mirror image stands for the
            reverse side.

    Returns:
        (h, w, 3) uint8 RGB, a new image.
    """
    light = np.full(paper.shape[:2], 255, np.uint8)
    if rng.random() < settings.BLEED_PROBABILITY:
        reverse = cv2.blur(text[:, ::-1], (3, 3))
        light = cv2.addWeighted(light, 1, reverse, -rng.uniform(*settings.BLEED_STRENGTH), 0)
    if rng.random() < settings.FOLD_PROBABILITY:
        for _ in range(rng.integers(1, 3)):
            light = cv2.multiply(
                light, _draw_crease(rng, settings, *paper.shape[:2]), scale=1 / 255
            )
    return cv2.multiply(paper, cv2.merge([light] * 3), scale=1 / 255)


def _draw_crease(
    rng: np.random.Generator, settings: GeneratorSettings, height: int, width: int
) -> np.ndarray:
    """(height, width) uint8 light on a sheet that was folded once: one side of the fold lies in the
    shade, which fades away from it, and the fold itself is a thin dark line."""
    across = rng.random() < 0.5
    length = height if across else width
    distance = np.arange(length) - length * rng.uniform(0.25, 0.75)
    distance *= rng.choice([-1, 1])
    strength = rng.uniform(*settings.FOLD_STRENGTH)
    shade = np.where(distance > 0, np.exp(-distance / (0.15 * length)), 0)
    shade = 0.6 * shade + 0.4 * np.exp(-((distance / 1.2) ** 2))
    light = (255 * (1 - strength * shade)).astype(np.uint8)
    light = light[:, None] if across else light[None]
    return np.ascontiguousarray(np.broadcast_to(light, (height, width)))


@stage("paper")
def lay_on(
    rng: np.random.Generator, page: np.ndarray, desk: np.ndarray, sheet: np.ndarray
) -> np.ndarray:
    """Lay a page on a desk, with a soft shadow at its edges.

    Params:
        page, desk: (h, w, 3) uint8 RGB.
        sheet: (4, 2) px, the page's corners, in order around it.

    Returns:
        (h, w, 3) uint8 RGB, a new image.
    """
    points = np.round(sheet * 16).astype(np.int32)
    mask, shade = (np.zeros(page.shape[:2], np.uint8) for _ in range(2))
    cv2.fillConvexPoly(mask, points, 255, cv2.LINE_AA, 4)
    offset = rng.uniform(-6, 6, 2)
    cv2.fillConvexPoly(shade, points + (offset * 16).astype(np.int32), 130, cv2.LINE_AA, 4)
    desk = cv2.multiply(desk, cv2.merge([255 - cv2.blur(shade, (9, 9))] * 3), scale=1 / 255)
    return lay_over(desk, page, mask, 1.0)


@stage("paper")
def scan(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    image: np.ndarray,
    paper: np.ndarray,
    ink: float,
    polygons: list[np.ndarray],
) -> np.ndarray:
    """Show a page as a scanner or a fax sees it.

    Params:
        image: (h, w, 3) uint8 RGB, changed.
        paper: (h, w, 3) uint8 RGB, the same without ink.
        ink: 0..255, grey level of the letters.
        polygons: (4, 2) px each, the words' outlines, all on the image.

    Returns:
        (h, w, 3) uint8 RGB; may be `image` itself.
    """
    binary = rng.random() < settings.BINARY_PROBABILITY
    if binary:
        image = _threshold(rng, settings, image, paper, ink, polygons)
    if rng.random() < settings.SPECKLE_PROBABILITY:
        _draw_dust(rng, settings, image, 0 if binary else ink)
    if rng.random() < settings.STREAK_PROBABILITY:
        _draw_streaks(rng, settings, image)
    if rng.random() < settings.EDGE_PROBABILITY:
        _draw_dark_edges(rng, settings, image, polygons)
    if rng.random() < settings.FAX_PROBABILITY:
        contrast = rng.uniform(*settings.FAX_CONTRAST)
        image = cv2.convertScaleAbs(image, None, contrast, rng.uniform(0, 1 - contrast) * 255)
    return image


def _threshold(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    image: np.ndarray,
    paper: np.ndarray,
    ink: float,
    polygons: list[np.ndarray],
) -> np.ndarray:
    """Ink becomes black, all else white; the finest word keeps its strokes."""
    grey, ground = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (image, paper))
    depth = cv2.subtract(ground, grey)
    least = (ground.mean() - ink) * (1 - rng.uniform(*settings.BINARY_THRESHOLD))
    for polygon in polygons:
        left, top = polygon.min(0).astype(int)
        right, bottom = np.ceil(polygon.max(0)).astype(int)
        inside = depth[top:bottom, left:right].ravel()
        strong = len(inside) * 9 // 10  # a tenth of a word's box at least is stroke
        least = min(least, 0.6 * np.partition(inside, strong)[strong])
    scanned = cv2.threshold(depth, max(least, 1), 255, cv2.THRESH_BINARY_INV)[1]
    return cv2.cvtColor(scanned, cv2.COLOR_GRAY2RGB)


def _draw_dust(
    rng: np.random.Generator, settings: GeneratorSettings, image: np.ndarray, ink: float
) -> None:
    """Grains of dust, most of them dark, denser on one side."""
    height, width = image.shape[:2]
    count = int(rng.uniform(*settings.SPECKLES) * height * width / 512**2) + 1
    denser = rng.choice([1.0, 1.0, 0.3, 3.0], 2)
    places = (rng.random((count, 2)) ** denser * (width - 2, height - 2)).astype(int)
    dark = rng.random(count) < 0.85
    for (x, y), level, size in zip(
        places, np.where(dark, ink, 255), rng.choice([1, 1, 1, 2], (count, 2)), strict=True
    ):
        image[y : y + size[0], x : x + size[1]] = level


def _draw_streaks(rng: np.random.Generator, settings: GeneratorSettings, image: np.ndarray) -> None:
    """Lines that dust on the scanner's glass draws along the paper's way."""
    for x in rng.integers(0, image.shape[1], rng.integers(1, 4)):
        target, weight = rng.choice([0.0, 0.0, 255.0]), rng.uniform(*settings.STREAK_STRENGTH)
        line = image[:, x : x + 1]
        line[:] = cv2.addWeighted(line, 1 - weight, line, 0, target * weight)


def _draw_dark_edges(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    image: np.ndarray,
    polygons: list[np.ndarray],
) -> None:
    """Ragged dark bands where the scanner sees past the sheet, on one or two sides."""
    points = np.concatenate(polygons) if polygons else np.array([image.shape[1::-1]]) / 2
    free = *points.min(0), *(np.array(image.shape[1::-1]) - points.max(0))
    sides = (image.transpose(1, 0, 2), image, image[:, ::-1].transpose(1, 0, 2), image[::-1])
    for k in rng.choice(4, rng.integers(1, 3), replace=False):
        room = int(free[k]) - CLEARANCE
        width = min(room, round(rng.uniform(*settings.EDGE_WIDTH)))
        if width < 1:
            continue
        view = sides[k]
        slope = np.linspace(*rng.uniform(0.3, 1, 2), view.shape[1]) * width
        rim = slope + rng.normal(0, 0.5, view.shape[1])
        mask = np.arange(width)[:, None] < rim.clip(0, width)
        view[:width][mask] = rng.integers(0, 70)
