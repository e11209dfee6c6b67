"""Procedural backgrounds: plain walls and boards as they stand in every street.

Each function draws one as (size, size, 3) uint8 RGB. Their noise is cut from one fixed sheet, so
that it costs a copy instead of a draw a pixel.
"""

import functools

import cv2
import numpy as np

from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind

SHEET = 1024  # px, side of the sheet of noise


def draw_texture(
    rng: np.random.Generator, settings: GeneratorSettings, size: int
) -> tuple[np.ndarray, str]:
    """Draw one of TEXTURE_SHARES, unevenly lit.

    Params:
        size: px, side of the square.

    Returns:
        (size, size, 3) uint8 RGB, and its name.
    """
    name = sample_kind(rng, settings.TEXTURE_SHARES)
    image = TEXTURES[name](rng, size)
    light = 1 + rng.uniform(*settings.TEXTURE_LIGHT) * rng.uniform(-1, 1, (2, 2))
    light = cv2.resize(np.float32(light), (size, size), interpolation=cv2.INTER_LINEAR)
    levels = cv2.cvtColor(cv2.convertScaleAbs(light, None, 127), cv2.COLOR_GRAY2RGB)
    return cv2.multiply(image, levels, scale=1 / 127), name


@functools.lru_cache(maxsize=1)
def _sheet() -> np.ndarray:
    sheet = np.random.default_rng(0).standard_normal((SHEET, SHEET), np.float32)
    sheet.flags.writeable = False  # parts of it are handed out
    return sheet


def noise(rng: np.random.Generator, h: int, w: int, across: float, down: float) -> np.ndarray:
    """Cut noise from the fixed sheet.

    Params:
        h, w: px.
        across, down: px, width and height of its specks.

    Returns:
        (h, w) float32 about 0, of about unit deviation; it may be read-only.
    """
    rows, columns = int(h / down) + 2, int(w / across) + 2
    if max(rows, columns) <= SHEET:
        y, x = rng.integers(0, (SHEET - rows + 1, SHEET - columns + 1)).tolist()
        small = _sheet()[y : y + rows, x : x + columns]
    else:
        y, x = rng.integers(0, SHEET, 2)
        small = _sheet().take(np.arange(y, y + rows), 0, mode="wrap")
        small = small.take(np.arange(x, x + columns), 1, mode="wrap")
    if across <= 1 and down <= 1:
        return small[:h, :w]
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


def cloud(rng: np.random.Generator, h: int, w: int, grain: float) -> np.ndarray:
    """Draw noise of three sizes of specks, each half as large and half as strong as the one before.

    Params:
        h, w: px.
        grain: px, the coarsest size.

    Returns:
        (h, w) float32 about 0.
    """
    total = noise(rng, h, w, grain, grain)
    for octave in (2, 4):
        total = total + noise(rng, h, w, grain / octave, grain / octave) / octave
    return cv2.GaussianBlur(total, (0, 0), max(0.6, grain / 12)) if grain < 40 else total


def tinted(relief: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Make a colour lighter and darker; a light one changes more.

    Params:
        relief: (h, w) float32, in grey levels.
        colour: (3,) RGB, 0..255.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    planes = [
        cv2.addWeighted(relief, float(0.6 + 0.4 * c / 255), relief, 0, float(c), dtype=cv2.CV_8U)
        for c in colour
    ]
    return cv2.merge(planes)


def _sample_wall_colour(rng: np.random.Generator) -> np.ndarray:
    """Mostly light, dull colours; at times strong or dark ones."""
    level = rng.uniform(40, 235) if rng.random() < 0.4 else rng.uniform(130, 235)
    return (level + rng.normal(0, rng.choice([4, 12, 35]), 3)).clip(5, 250)


def _emboss(field: np.ndarray) -> np.ndarray:
    """Lit from the upper left."""
    return cv2.filter2D(field, -1, np.float32([[1, 1, 0], [1, 0, -1], [0, -1, -1]]))


def draw_gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    """Two near colours running into each other, with grain."""
    first = rng.uniform(0, 255, 3)
    second = (first + rng.normal(0, 30, 3)).clip(0, 255)
    corners = (rng.random((2, 2, 1)) * (second - first) + first).astype(np.float32)
    image = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    grain = noise(rng, size, size, *[float(rng.integers(1, 4))] * 2) * rng.uniform(0, 8)
    return cv2.add(image, cv2.merge([grain] * 3), dtype=cv2.CV_8U)


def draw_plaster(rng: np.random.Generator, size: int) -> np.ndarray:
    """Rough plaster, lit from the upper left, at times cracked."""
    relief = cloud(rng, size, size, rng.uniform(5, 24))
    relief = _emboss(relief) * rng.uniform(2, 7) + cloud(rng, size, size, size / 3) * 5
    image = tinted(relief + noise(rng, size, size, 1, 1) * 2, _sample_wall_colour(rng))
    if rng.random() < 0.3:
        _draw_cracks(rng, image)
    return image


def _draw_cracks(rng: np.random.Generator, image: np.ndarray) -> None:
    for _ in range(rng.integers(1, 4)):
        steps = rng.normal(0, 5, (60, 2)) + rng.normal(0, 5, 2)
        points = rng.uniform(0, image.shape[0], 2) + np.cumsum(steps, 0)
        level = int(image.mean() * rng.uniform(0.5, 0.75))
        cv2.polylines(image, [points.astype(np.int32)], False, (level,) * 3, 1, cv2.LINE_AA)


def draw_paper(rng: np.random.Generator, size: int) -> np.ndarray:
    """Light, slightly yellow paper, at times folded."""
    level = rng.uniform(170, 250)
    colour = (level + rng.normal(0, 3, 3) - (0, rng.uniform(0, 6), rng.uniform(0, 25))).clip(0, 255)
    relief = noise(rng, size, size, 2, 2) * 1.5 + cloud(rng, size, size, 24) * 1.5
    if rng.random() < 0.4:  # folds: one side of each catches more light
        for axis in rng.permutation(2)[: rng.integers(1, 3)]:
            at = int(size * rng.uniform(0.3, 0.7))
            side = np.where(np.arange(size) < at, 3.0, -3.0) - 14 * (np.arange(size) == at)
            relief = relief + np.float32(side if axis else side[:, None])
    return tinted(relief, colour)


def draw_metal(rng: np.random.Generator, size: int) -> np.ndarray:
    """Brushed or painted sheets, with seams and rivets; at times ribbed like a shutter."""
    colour = (
        _sample_wall_colour(rng)
        if rng.random() < 0.5
        else rng.uniform(90, 200) + rng.normal(0, 5, 3)
    )
    relief = noise(rng, size, size, 90, 1) * rng.uniform(2, 8)
    rows = np.arange(size, dtype=np.float32)[:, None]
    relief = relief + 10 * np.sin(rows / size * rng.uniform(2, 9) + rng.uniform(0, 6))
    pitch = int(rng.integers(14, 60))
    ribbed = rng.random() < 0.35
    if ribbed:
        relief = relief + rng.uniform(8, 25) * np.sin(rows * (2 * np.pi / pitch))
    image = tinted(np.float32(relief), colour)
    if not ribbed:
        _draw_sheets(rng, image, colour)
    return np.ascontiguousarray(image.transpose(1, 0, 2)) if rng.random() < 0.5 else image


def _draw_sheets(rng: np.random.Generator, image: np.ndarray, colour: np.ndarray) -> None:
    size, side = image.shape[0], int(image.shape[0] * rng.uniform(0.4, 1.2))
    dark, light = (tuple(float(v) for v in (colour * f).clip(0, 255)) for f in (0.55, 1.2))
    for at in range(int(rng.integers(0, side)), size, side):
        cv2.line(image, (at, 0), (at, size), dark, 2)
        cv2.line(image, (at + 2, 0), (at + 2, size), light, 1)
        for y in range(12, size, int(rng.integers(30, 70))):
            cv2.circle(image, (at + 9, y), 3, dark, -1, cv2.LINE_AA)
            cv2.circle(image, (at + 8, y - 1), 1, light, -1, cv2.LINE_AA)


WOODS = (
    (150, 111, 70),
    (181, 140, 95),
    (205, 170, 125),
    (110, 74, 45),
    (120, 110, 100),
    (80, 60, 48),
)


def draw_wood(rng: np.random.Generator, size: int) -> np.ndarray:
    """Boards with their grain running along them."""
    colour = np.array(WOODS[rng.integers(len(WOODS))]) + rng.normal(0, 8, 3)
    high = int(size * rng.uniform(0.1, 0.4))
    boards = size // high + 2
    rows = np.arange(size) + int(rng.integers(0, high))
    board = rows // high
    waves = noise(rng, size, size, size / 3, max(4, high / 4)) * rng.uniform(0.4, 1.4)
    phase = rng.uniform(0, 40, boards)[board][:, None] + rows[:, None] / rng.uniform(2.0, 6.0)
    relief = np.sin(np.float32(phase) + 2 * waves) * rng.uniform(3, 9)
    relief = relief + noise(rng, size, size, 40, 1.2) * rng.uniform(3, 7)
    relief = relief + np.float32(rng.normal(0, 9, boards)[board][:, None])
    relief[rows % high < max(2, high // 40)] -= 55
    image = tinted(np.float32(relief), colour.clip(15, 240))
    return np.ascontiguousarray(image.transpose(1, 0, 2)) if rng.random() < 0.5 else image


def draw_asphalt(rng: np.random.Generator, size: int) -> np.ndarray:
    """A road's surface, at times with a line of paint or cracks."""
    colour = rng.uniform(55, 125) + rng.normal(0, 3, 3)
    relief = (
        noise(rng, size, size, 1.6, 1.6) * rng.uniform(9, 17) + noise(rng, size, size, 4, 4) * 4
    )
    image = tinted(relief + cloud(rng, size, size, size / 3) * 6, colour)
    if rng.random() < 0.4:
        _draw_lane(rng, image, relief)
    if rng.random() < 0.4:
        _draw_cracks(rng, image)
    return image


def _draw_lane(rng: np.random.Generator, image: np.ndarray, relief: np.ndarray) -> None:
    """A worn line of road paint from one border to another."""
    size = image.shape[0]
    mask = np.zeros((size, size), np.uint8)
    ends = rng.integers(0, size, 2)
    cv2.line(mask, (0, int(ends[0])), (size, int(ends[1])), 255, int(rng.integers(12, 40)))
    worn = (mask > 0) & (relief < rng.uniform(12, 40))
    image[worn] = (np.float32(image[worn]) * 0.3 + np.float32((165, 165, 155))).clip(0, 255)


def draw_tiles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Square or long tiles, glazed or stone, with their joints."""
    high = int(size * rng.uniform(0.07, 0.3))
    wide = int(high * rng.choice([1, 1, 2]))
    return _draw_laid(rng, size, wide, high, offset=0.0, varied=rng.uniform(0, 9), rough=1.5)


def draw_bricks(rng: np.random.Generator, size: int) -> np.ndarray:
    """A wall of bricks with its mortar, every second row shifted by half a brick."""
    high = max(8, int(size * rng.uniform(0.03, 0.09)))
    return _draw_laid(rng, size, int(high * 2.8), high, offset=0.5, varied=14, rough=6, brick=True)


def _draw_laid(
    rng: np.random.Generator,
    size: int,
    wide: int,
    high: int,
    offset: float,
    varied: float,
    rough: float,
    brick: bool = False,
) -> np.ndarray:
    """Rows of equal pieces, every second row shifted by `offset` of a piece."""
    colour = _sample_wall_colour(rng)
    if brick and rng.random() < 0.7:
        colour = np.array((150, 80, 60)) + rng.normal(0, 18, 3)
    joint = max(1, round(high * rng.uniform(0.03, 0.13)))
    y = np.arange(size) + int(rng.integers(0, high))
    row, top = np.divmod(y, high)
    odd = row % 2
    shifts = np.array([[0], [round(offset * wide)]]) + int(rng.integers(0, wide))
    column, left = np.divmod(np.arange(size) + shifts, wide)  # for even and odd rows
    pieces = np.float32(rng.normal(0, varied, (row[-1] + 1, column.max() + 1)))
    if not brick and rng.random() < 0.2:  # a chequered floor
        pieces += np.float32(np.indices(pieces.shape).sum(0) % 2 * 70 - 35)
    relief = pieces[row[:, None], column[odd]]
    relief += noise(rng, size, size, 2, 2) * rough
    relief += cloud(rng, size, size, 50) * (rough / 2)
    relief += np.float32(18 * (left == joint) - 25 * (left == wide - 1))[odd]
    relief += np.float32(18 * (top == joint) - 25 * (top == high - 1))[:, None]
    image = tinted(relief, colour.clip(10, 245))
    mortar = rng.uniform(90, 215) + rng.normal(0, 4, 3)
    rough_mortar = tinted(noise(rng, size, size, 1, 1) * 6, mortar.clip(0, 255))
    joints = (left < joint)[odd] | (top < joint)[:, None]
    return cv2.copyTo(rough_mortar, joints.astype(np.uint8), image)


def draw_siding(rng: np.random.Generator, size: int) -> np.ndarray:
    """Painted boards that overlap: each has a shadow under its edge."""
    pitch = int(size * rng.uniform(0.05, 0.16))
    rows = (np.arange(size) + int(rng.integers(0, pitch))) % pitch
    relief = np.float32(8 * rows / pitch - 45 * (rows < max(1, pitch // 14)))[:, None]
    relief = relief + noise(rng, size, size, 60, 2) * 2 + cloud(rng, size, size, size / 3) * 3
    image = tinted(relief, _sample_wall_colour(rng))
    return np.ascontiguousarray(image.transpose(1, 0, 2)) if rng.random() < 0.3 else image


TEXTURES = {
    "gradient": draw_gradient,
    "plaster": draw_plaster,
    "paper": draw_paper,
    "metal": draw_metal,
    "wood": draw_wood,
    "asphalt": draw_asphalt,
    "tiles": draw_tiles,
    "bricks": draw_bricks,
    "siding": draw_siding,
}
