"""Laying paint over a picture: blend modes, paint in the picture's light, masks moved and swept."""

import cv2
import numpy as np


def _multiply(base: np.ndarray, ink: np.ndarray) -> np.ndarray:
    return cv2.multiply(base, ink, scale=1 / 255)


def _screen(base: np.ndarray, ink: np.ndarray) -> np.ndarray:
    return 255 - _multiply(255 - base, 255 - ink)


def _overlay(base: np.ndarray, ink: np.ndarray) -> np.ndarray:
    dark = cv2.multiply(base, ink, scale=2 / 255)
    light = 255 - cv2.multiply(255 - base, 255 - ink, scale=2 / 255)
    return np.where(base < 128, dark, light)


BLENDS = {  # two (h, w, 3) uint8 pictures to one; gradients are blended afterwards
    "normal": lambda base, ink: ink,
    "multiply": _multiply,
    "screen": _screen,
    "overlay": _overlay,
    "poisson": lambda base, ink: ink,
}


def blend_gradients(base: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Mix the gradients of two pictures (Perez et al., Poisson Image Editing, 2003).

    At each place the stronger one, solved with `base` at the border. The difference to `base` is
    zero there, so a sine transform solves it exactly.

    Params:
        base, drawn: (h, w, 3) uint8.

    Returns:
        (h, w, 3) uint8; `drawn` itself where a side has less than three pixels.
    """
    from scipy.fft import dstn, idstn  # as long to import as all the rest of the generator

    # Channels first: the transforms run along contiguous rows.
    old, new = (np.ascontiguousarray(p.transpose(2, 0, 1), np.float32) for p in (base, drawn))
    force = np.zeros_like(old)
    for axis in (1, 2):
        a, b = np.diff(old, axis=axis), np.diff(new, axis=axis)
        extra = np.where(np.abs(b) > np.abs(a), b - a, np.float32(0))
        lead, trail = [(0, 0)] * 3, [(0, 0)] * 3
        lead[axis], trail[axis] = (0, 1), (1, 0)
        force += np.pad(extra, lead) - np.pad(extra, trail)
    inner = force[:, 1:-1, 1:-1]
    if 0 in inner.shape:
        return drawn
    y, x = (
        2 * np.cos(np.pi * np.arange(1, n + 1, dtype=np.float32) / (n + 1)) - 2
        for n in inner.shape[1:]
    )
    waves = dstn(inner, type=1, axes=(1, 2)) / (y[:, None] + x)
    old[:, 1:-1, 1:-1] += idstn(waves, type=1, axes=(1, 2))
    return np.ascontiguousarray(old.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def lit_paint(base: np.ndarray, colour: np.ndarray, shading: float, grain: float) -> np.ndarray:
    """Paint in the light that falls on a picture, with a part of its texture.

    The light is the picture's luminance at a scale of a few parts of the region.

    Params:
        base: (h, w, 3) uint8 RGB.
        colour: (3,) RGB, 0..255.
        shading, grain: 0..1, how much of the light and of the texture.

    Returns:
        (h, w, 3) uint8.
    """
    if not shading and not grain:
        return flat_paint(base, colour)
    h, w = base.shape[:2]
    grey = cv2.cvtColor(base, cv2.COLOR_RGB2GRAY)
    step = max(1, min(h, w) // 24)  # its mean over large areas needs no more
    light = cv2.resize(grey[::step, ::step], (min(4, w), min(3, h)), interpolation=cv2.INTER_AREA)
    light = light.astype(np.float32) / max(float(light.mean()), 20.0)
    light = (1 + shading * (light - 1)).clip(0.6, 1.4)
    light = cv2.resize(light, (w, h), interpolation=cv2.INTER_LINEAR)
    texture = np.zeros_like(light)
    if grain:
        fine = cv2.subtract(grey, cv2.blur(grey, (9, 9)), dtype=cv2.CV_32F)
        texture = grain * fine.clip(-40, 40)
    planes = [cv2.addWeighted(light, float(c), texture, 1.0, 0, dtype=cv2.CV_8U) for c in colour]
    return cv2.merge(planes)


def flat_paint(base: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Paint of one colour, as large as a picture.

    Params:
        base: (h, w, 3) uint8, of which only the size counts.
        colour: (3,) RGB, 0..255.

    Returns:
        (h, w, 3) uint8.
    """
    paint = np.empty_like(base)
    paint[0] = np.asarray(colour, np.uint8)
    paint[1:] = paint[0]  # whole rows are copied forty times faster than single colours
    return paint


def blurred(alpha: np.ndarray, sigma: float) -> np.ndarray:
    """A mask blurred by a Gaussian; by a wide one at a fraction of the resolution.

    Params:
        alpha: (h, w) uint8, coverage.
        sigma: px, its standard deviation.

    Returns:
        (h, w) uint8.
    """
    h, w = alpha.shape
    step = min(int(sigma / 2), h // 8, w // 8)
    if step < 2:
        return cv2.GaussianBlur(alpha, (0, 0), sigma)
    small = cv2.resize(alpha, (w // step, h // step), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


def moved(alpha: np.ndarray, offset: tuple[float, float]) -> np.ndarray:
    """A mask moved within its array; what leaves it is lost.

    Params:
        alpha: (h, w) uint8, coverage.
        offset: x (to the right) and y (down), px, between pixels too.

    Returns:
        (h, w) uint8.
    """
    move = np.float32([[1, 0, offset[0]], [0, 1, offset[1]]])
    return cv2.warpAffine(alpha, move, alpha.shape[::-1])


def extruded(alpha: np.ndarray, offset: tuple[float, float]) -> np.ndarray:
    """A mask with all that it covers on its way along an offset; what leaves it is lost.

    Params:
        alpha: (h, w) uint8, coverage.
        offset: x (to the right) and y (down), px.

    Returns:
        (h, w) uint8.
    """
    steps = max(1, int(np.ceil(max(abs(offset[0]), abs(offset[1])))))
    swept = alpha
    for k in range(1, steps + 1):
        swept = np.maximum(swept, moved(alpha, (offset[0] * k / steps, offset[1] * k / steps)))
    return swept


def lay_over(base: np.ndarray, paint: np.ndarray, alpha: np.ndarray, opacity: float) -> np.ndarray:
    """Lay paint over a picture through a mask.

    Params:
        base, paint: (h, w, 3) uint8.
        alpha: (h, w) uint8, coverage.
        opacity: 0..1, of the paint where it covers all.

    Returns:
        a new (h, w, 3) uint8 array.
    """
    weight = cv2.merge([cv2.convertScaleAbs(alpha, None, opacity)] * 3)
    kept = cv2.multiply(base, 255 - weight, scale=1 / 255)
    return cv2.add(kept, cv2.multiply(paint, weight, scale=1 / 255))
