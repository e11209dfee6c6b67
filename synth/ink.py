"""How text meets its background: checked contrast, opacity, plates, outlines, shadows."""

from dataclasses import dataclass

import cv2
import numpy as np

from stage_times import stage
from static import constants as C


@dataclass(frozen=True)
class InkStyle:
    """What is drawn besides the letters. Lengths in px; zero turns an effect off."""

    opacity: float = 1.0
    plate_padding: float = 0.0
    plate_opacity: float = 0.0
    stroke: int = 0
    shadow: tuple[int, int] = (0, 0)
    shadow_opacity: float = 0.0


def draw_ink_style(rng: np.random.Generator, em: float) -> InkStyle:
    """em: px."""
    plate = rng.random() < C.PLATE_PROBABILITY
    shadow = rng.random() < C.SHADOW_PROBABILITY
    stroke = rng.random() < C.STROKE_PROBABILITY
    offset = rng.uniform(*C.SHADOW_OFFSET, 2) * rng.choice([-1, 1], 2) * em
    return InkStyle(
        opacity=rng.uniform(*C.OPACITY),
        plate_padding=rng.uniform(*C.PLATE_PADDING) * em if plate else 0.0,
        plate_opacity=rng.uniform(*C.PLATE_OPACITY) if plate else 0.0,
        stroke=max(1, round(rng.uniform(*C.STROKE_WIDTH) * em)) if stroke else 0,
        shadow=tuple(int(v) for v in np.round(offset)) if shadow else (0, 0),
        shadow_opacity=rng.uniform(*C.SHADOW_OPACITY) if shadow else 0.0,
    )


@stage("ink")
def apply_ink(
    rng: np.random.Generator,
    region: np.ndarray,
    alpha: np.ndarray,
    plate: np.ndarray | None,
    style: InkStyle,
) -> bool:
    """Draw a block into `region` in place, unless no colour stands out.

    region: (h, w, 3) uint8 RGB part of the image; alpha: (h, w) uint8 coverage of the letters;
    plate: (h, w) uint8 coverage of the sign behind them, or None. Returns whether it was drawn:
    COLOUR_TRIES colours are tried, and the contrast is checked after blending.
    """
    ring = _ring(alpha)
    letters = alpha > 127
    if not letters.any():
        letters = alpha > 0.5 * alpha.max()
    base = region
    if plate is not None:
        base = _blend(region, _random_colours(rng, 1)[0], plate, style.plate_opacity)
    around = cv2.cvtColor(base[ring][None], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
    centre, spread = around.mean(0), float(np.linalg.norm(_scaled(around.std(0))))
    needed = C.MIN_CONTRAST + C.CONTRAST_BUSYNESS * spread
    for _ in range(C.COLOUR_TRIES):
        colour = _draw_colour(rng, centre, needed / max(style.opacity, 0.1))
        result = base
        if style.shadow_opacity:
            moved = np.float32([[1, 0, style.shadow[0]], [0, 1, style.shadow[1]]])
            shade = cv2.warpAffine(alpha, moved, alpha.shape[::-1])
            result = _blend(result, np.zeros(3), shade, style.shadow_opacity)
        if style.stroke:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * style.stroke + 1,) * 2)
            outline = _random_colours(rng, 1)[0]
            result = _blend(result, outline, cv2.dilate(alpha, kernel), style.opacity)
        result = _blend(result, colour, alpha, style.opacity)
        ink = cv2.cvtColor(result[letters][None], cv2.COLOR_RGB2LAB)[0].astype(np.float32).mean(0)
        rim = cv2.cvtColor(result[ring][None], cv2.COLOR_RGB2LAB)[0].astype(np.float32).mean(0)
        if np.linalg.norm(_scaled(ink) - _scaled(rim)) >= needed:
            region[:] = result
            return True
    return False


def _draw_colour(rng: np.random.Generator, around: np.ndarray, needed: float) -> np.ndarray:
    """A random RGB colour; of a few draws the first that is `needed` (CIELAB) from `around`."""
    colours = _random_colours(rng, 8)
    greys = rng.choice(C.INK_GREYS, 8).astype(np.uint8)
    grey = rng.random(8) < C.GREY_INK_PROBABILITY
    colours[grey] = greys[grey, None]
    lab = cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
    distance = np.linalg.norm(_scaled(lab) - _scaled(around), axis=1)
    fit = np.flatnonzero(distance >= needed)
    return colours[fit[0] if len(fit) else distance.argmax()]


def _random_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) uint8 RGB within the ranges of the constants."""
    low, high = np.array([C.RED, C.GREEN, C.BLUE]).T
    return rng.integers(low, high + 1, (count, 3)).astype(np.uint8)


def _scaled(lab: np.ndarray) -> np.ndarray:
    """OpenCV's 8-bit LAB (L stretched to 0..255) to CIELAB units, the colour axes halved: letters
    that differ from their surroundings in hue alone are hard to read."""
    return lab * np.array([100 / 255, 0.5, 0.5], np.float32)


def _ring(alpha: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixels near the letters that carry no ink."""
    ink = (alpha > 25).astype(np.uint8)
    near = cv2.dilate(ink, np.ones((9, 9), np.uint8)).astype(bool)
    ring = near & ~cv2.dilate(ink, np.ones((3, 3), np.uint8)).astype(bool)
    return ring if ring.any() else ~ink.astype(bool) if not ink.all() else ink.astype(bool)


def _blend(region: np.ndarray, colour: np.ndarray, alpha: np.ndarray, opacity: float) -> np.ndarray:
    """Lay a colour over `region` through a mask; a new (h, w, 3) uint8 array."""
    weight = (alpha.astype(np.float32) * (opacity / 255))[..., None]
    flat = np.asarray(colour, np.float32)
    return (region + (flat - region) * weight + 0.5).astype(np.uint8)
