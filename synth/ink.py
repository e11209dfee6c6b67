"""How text meets its background: checked contrast, blending, plates, outlines, shadows, light."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.fft import dstn, idstn

from stage_times import stage
from static import constants as C
from synth.content import choose
from synth.plates import Plate
from synth.textures import cloud, noise

LENGTHS = ("plate_padding", "plate_border", "stroke", "shadow_blur")
OFFSETS = ("shadow", "extrusion")
SAMPLES = 1500  # pixels that the contrast is measured on
INK_DRAWS = 8  # colours to choose from


@dataclass
class InkStyle:
    """What is drawn besides the letters. Lengths in px; zero turns an effect off.

    blur: standard deviation of the letters' softness. shading, grain: 0..1, how much of the
    background's light and texture shows in the ink. colours: RGB by part, set when a block was
    drawn, so that a block beside it can be drawn alike.
    """

    em: float = 32.0
    blur: float = 0.0
    opacity: float = 1.0
    blend: str = "normal"
    fill: str = "flat"
    shading: float = 0.0
    grain: float = 0.0
    plate_padding: float = 0.0
    plate_opacity: float = 0.0
    plate_shape: str = "rectangle"
    plate_border: float = 0.0
    stroke: float = 0.0
    shadow: tuple[float, float] = (0.0, 0.0)
    shadow_blur: float = 0.0
    shadow_opacity: float = 0.0
    extrusion: tuple[float, float] = (0.0, 0.0)
    colours: dict = field(default_factory=dict)


def draw_ink_style(
    rng: np.random.Generator, em: float, like: InkStyle | None = None, softness: float = 0.0
) -> InkStyle:
    """em: px. like: a style to repeat at this size, its colours too. softness: px of standard
    deviation, the background's blur."""
    if like is not None:
        return scaled_style(like, em)
    style = InkStyle(em=em, opacity=rng.uniform(*C.OPACITY), blend=choose(rng, C.BLEND_SHARES))
    style.fill = choose(rng, C.FILL_SHARES)
    if rng.random() < C.INK_LIGHT_PROBABILITY:
        style.shading, style.grain = rng.uniform(*C.INK_SHADING), rng.uniform(*C.INK_GRAIN)
        style.blur = softness * rng.uniform(0.5, 1)
    if rng.random() < C.PLATE_PROBABILITY:
        style.plate_padding = rng.uniform(*C.PLATE_PADDING) * em
        style.plate_opacity = rng.uniform(*C.PLATE_OPACITY)
        style.plate_shape = choose(rng, C.PLATE_SHAPE_SHARES)
        if rng.random() < C.PLATE_BORDER_PROBABILITY:
            style.plate_border = max(1.0, rng.uniform(*C.PLATE_BORDER) * em)
    if rng.random() < C.STROKE_PROBABILITY and em >= C.WEAR_FONT_SIZE:
        sticker = rng.random() < C.STICKER_PROBABILITY
        style.stroke = max(1.0, rng.uniform(*(C.STICKER_RIM if sticker else C.STROKE_WIDTH)) * em)
    if rng.random() < C.SHADOW_PROBABILITY:
        offset = rng.uniform(*C.SHADOW_OFFSET, 2) * rng.choice([-1, 1], 2) * em
        style.shadow = tuple(float(v) for v in offset)
        style.shadow_blur = rng.uniform(*C.SHADOW_BLUR) * em
        style.shadow_opacity = rng.uniform(*C.SHADOW_OPACITY)
    if rng.random() < C.EXTRUSION_PROBABILITY:
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(*C.EXTRUSION) * em
        style.extrusion = (float(depth * np.cos(angle)), float(depth * np.sin(angle)))
    return style


def scaled_style(style: InkStyle, em: float) -> InkStyle:
    """The same style, its colours too, for letters of `em` px."""
    scale = em / style.em
    changed = {name: getattr(style, name) * scale for name in LENGTHS}
    changed |= {k: tuple(v * scale for v in getattr(style, k)) for k in OFFSETS}
    return replace(style, em=em, colours=dict(style.colours), **changed)


# --- Drawing ---------------------------------------------------------------------------------


@stage("ink")
def apply_ink(
    rng: np.random.Generator,
    region: np.ndarray,
    alpha: np.ndarray,
    plate: Plate | None,
    style: InkStyle,
) -> bool:
    """Draw a block into `region` in place, unless no colour can be read.

    region: (h, w, 3) uint8 RGB part of the image; alpha: (h, w) uint8 coverage of the letters.
    Returns whether it was drawn: COLOUR_TRIES colours are tried, the style's own first, and the
    contrast is checked after blending, letter by letter as it were. Sets the style's colours.
    """
    if not alpha.any():
        return False
    blur = min(style.blur, C.INK_BLUR_EM * style.em)
    if blur > 0.3:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    base, legibility = region, None
    for attempt in range(C.COLOUR_TRIES):
        colours = dict(style.colours) if attempt == 0 else {}
        if plate is not None:
            base = _lay_plate(rng, region, plate, style, colours)
        if plate is not None or legibility is None:
            legibility = _Legibility(base, alpha, style.em)
        # A mode that needs a very dark or light ink gives way before the block does.
        blend = style.blend if attempt == 0 else "normal"
        if "ink" not in colours and not _choose_ink(rng, style, blend, colours, legibility):
            continue
        result = _lay_letters(rng, base, alpha, style, blend, colours)
        if legibility.holds(result):
            region[:] = result
            style.colours = colours
            return True
    return False


def _choose_ink(rng, style: InkStyle, blend: str, colours: dict, legibility) -> bool:
    """Set colours that should be legible, the first of INK_DRAWS draws; False when none is.

    It costs little to foresee, and much to draw a block that is then seen to fail.
    """
    inks = _ink_colours(rng, INK_DRAWS)
    foreseen = legibility.foresee(inks, BLENDS[blend], style.opacity)
    fit = np.flatnonzero(foreseen >= C.LEGIBLE_SHARE)
    if not len(fit) and not style.stroke:  # a line around the letters may help
        return False
    colours["ink"] = inks[fit[0] if len(fit) else foreseen.argmax()]
    if style.stroke:
        colours["stroke"] = _contrasting(rng, colours["ink"], 2 * C.MIN_CONTRAST)
    if style.fill != "flat":
        colours["second"] = _near(rng, colours["ink"])
    return True


def _lay_plate(rng, region, plate: Plate, style: InkStyle, colours: dict) -> np.ndarray:
    if "plate" not in colours:
        colours["plate"] = _sign_colour(rng)
        colours["border"] = _contrasting(rng, colours["plate"], C.MIN_CONTRAST)
    paint = _lit(region, colours["plate"], style.shading, 0.0)
    result = _blend(region, paint, plate.face, style.plate_opacity)
    if plate.border is not None:
        result = _blend(result, _flat(region, colours["border"]), plate.border, style.plate_opacity)
    return result


def _lay_letters(rng, base, alpha, style, blend, colours) -> np.ndarray:
    """Shadow, extrusion, outline, then the letters; a new (h, w, 3) uint8 array."""
    result = base
    if style.shadow_opacity:
        shade = _moved(alpha, style.shadow)
        if style.shadow_blur > 0.3:
            shade = cv2.GaussianBlur(shade, (0, 0), style.shadow_blur)
        result = _blend(result, np.zeros_like(base), shade, style.shadow_opacity)
    if any(style.extrusion):
        side = _flat(base, np.asarray(colours["ink"]) * 0.55)
        result = _blend(result, side, _extruded(alpha, style.extrusion), 1.0)
    if style.stroke:
        reach = 2 * max(1, round(style.stroke)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        outline = _flat(base, colours["stroke"])
        result = _blend(result, outline, cv2.dilate(alpha, kernel), max(style.opacity, 0.8))
    ink = _lit(base, colours["ink"], style.shading, style.grain)
    if style.fill != "flat":
        ink = _filled_ink(rng, ink, colours["second"], style)
    if blend == "poisson" and alpha.size <= C.POISSON_AREA:
        return _poisson(result, _blend(result, ink, alpha, 1.0))
    return _blend(result, BLENDS[blend](result, ink), alpha, style.opacity)


def _filled_ink(rng, ink: np.ndarray, second: np.ndarray, style: InkStyle) -> np.ndarray:
    """Ink of two colours: running into each other from top to bottom, in stripes or in blotches."""
    h, w = ink.shape[:2]
    if style.fill == "gradient":
        weight = np.repeat(np.linspace(0, 255, h)[:, None], w, 1)
    elif style.fill == "stripes":
        step = max(3.0, 0.12 * style.em)
        rows = (np.arange(h)[:, None] + rng.uniform(-0.7, 0.7) * np.arange(w)) / step
        weight = 255.0 * (rows % 1 < 0.5)
    else:
        blotches = cloud(rng, h, w, max(3.0, 0.2 * style.em)) + 0.4 * noise(rng, h, w, 1, 1)
        weight = 128 + 90 * blotches
    return _blend(ink, _flat(ink, second), weight.clip(0, 255).astype(np.uint8), 1.0)


def _multiply(base: np.ndarray, ink: np.ndarray) -> np.ndarray:
    return cv2.multiply(base, ink, scale=1 / 255)


def _screen(base: np.ndarray, ink: np.ndarray) -> np.ndarray:
    return 255 - _multiply(255 - base, 255 - ink)


def _overlay(base: np.ndarray, ink: np.ndarray) -> np.ndarray:
    dark = cv2.multiply(base, ink, scale=2 / 255)
    light = 255 - cv2.multiply(255 - base, 255 - ink, scale=2 / 255)
    return np.where(base < 128, dark, light)


BLENDS = {
    "normal": lambda base, ink: ink,
    "multiply": _multiply,
    "screen": _screen,
    "overlay": _overlay,
    "poisson": lambda base, ink: ink,
}


def _poisson(base: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Mixed gradients: of both pictures' gradients the stronger, solved with `base` at the border.

    The difference to `base` is zero there, so a sine transform solves it exactly.
    """
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


def measure_softness(image: np.ndarray) -> float:
    """Standard deviation in px, at most INK_BLUR, of the blur of an image (h, w, 3) uint8 RGB,
    judged by its sharpest edges: a step blurred by s px has a slope of about s / 1.65 times its
    curvature.
    """
    side = image.shape[0]
    rows = np.flatnonzero(np.arange(side) // 32 % 2 == 0)  # every other strip is enough
    grey = cv2.cvtColor(image[rows], cv2.COLOR_RGB2GRAY)
    first = cv2.Sobel(grey, cv2.CV_16S, 1, 0, scale=1)
    second = cv2.filter2D(grey, cv2.CV_16S, np.float32([[1, -2, 1], [2, -4, 2], [1, -2, 1]]))
    edges = np.abs(first) > max(100, 0.5 * int(first.max()))
    if edges.sum() < 30:
        return 0.0
    steep = float(np.abs(first[edges]).mean()) / 2
    near = cv2.dilate(edges.astype(np.uint8), np.ones((1, 5), np.uint8)) > 0
    bent = float(np.percentile(np.abs(second[near]), 90))
    # Sampling alone blurs an edge that is as sharp as can be by about 0.8 px.
    return float(np.clip(1.65 * steep / max(bent, 1.0) - 0.8, 0, C.INK_BLUR))


def _lit(base: np.ndarray, colour: np.ndarray, shading: float, grain: float) -> np.ndarray:
    """(h, w, 3) uint8 paint in a colour, under the light that falls on `base` (its luminance at a
    scale of a few parts of the region), with a part of its texture."""
    if not shading and not grain:
        return _flat(base, colour)
    h, w = base.shape[:2]
    grey = cv2.cvtColor(base, cv2.COLOR_RGB2GRAY)
    light = cv2.resize(grey, (min(4, w), min(3, h)), interpolation=cv2.INTER_AREA)
    light = light.astype(np.float32) / max(float(light.mean()), 20.0)
    light = (1 + shading * (light - 1)).clip(0.6, 1.4)
    light = cv2.resize(light, (w, h), interpolation=cv2.INTER_LINEAR)
    texture = np.zeros_like(light)
    if grain:
        fine = cv2.subtract(grey, cv2.blur(grey, (9, 9)), dtype=cv2.CV_32F)
        texture = grain * fine.clip(-40, 40)
    planes = [cv2.addWeighted(light, float(c), texture, 1.0, 0, dtype=cv2.CV_8U) for c in colour]
    return cv2.merge(planes)


def _flat(base: np.ndarray, colour: np.ndarray) -> np.ndarray:
    paint = np.empty_like(base)
    paint[0] = np.asarray(colour, np.uint8)
    paint[1:] = paint[0]  # whole rows are copied forty times faster than single colours
    return paint


def _moved(alpha: np.ndarray, offset: tuple[float, float]) -> np.ndarray:
    move = np.float32([[1, 0, offset[0]], [0, 1, offset[1]]])
    return cv2.warpAffine(alpha, move, alpha.shape[::-1])


def _extruded(alpha: np.ndarray, offset: tuple[float, float]) -> np.ndarray:
    """The letters swept along `offset`."""
    steps = max(1, int(np.ceil(max(abs(offset[0]), abs(offset[1])))))
    swept = alpha
    for k in range(1, steps + 1):
        swept = np.maximum(swept, _moved(alpha, (offset[0] * k / steps, offset[1] * k / steps)))
    return swept


def _blend(base: np.ndarray, paint: np.ndarray, alpha: np.ndarray, opacity: float) -> np.ndarray:
    """Lay paint (h, w, 3) over `base` through a mask; a new (h, w, 3) uint8 array."""
    weight = cv2.merge([cv2.convertScaleAbs(alpha, None, opacity)] * 3)
    kept = cv2.multiply(base, 255 - weight, scale=1 / 255)
    return cv2.add(kept, cv2.multiply(paint, weight, scale=1 / 255))


# --- Colours ---------------------------------------------------------------------------------


def _sign_colour(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < C.SIGN_COLOUR_PROBABILITY:
        colour = np.array(C.SIGN_COLOURS[rng.integers(len(C.SIGN_COLOURS))])
        return (colour + rng.normal(0, 8, 3)).clip(0, 255).astype(np.uint8)
    return _random_colours(rng, 1)[0]


def _contrasting(rng: np.random.Generator, around: np.ndarray, needed: float) -> np.ndarray:
    """A random RGB colour; of a few draws the first that is `needed` (CIELAB) away from the RGB
    colour `around`."""
    colours = _ink_colours(rng, INK_DRAWS)
    distance = np.linalg.norm(_lab(colours) - _lab(np.uint8(around)[None]), axis=1)
    fit = np.flatnonzero(distance >= needed)
    return colours[fit[0] if len(fit) else distance.argmax()]


def _ink_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) uint8 RGB, many of them grey."""
    colours = _random_colours(rng, count)
    greys = rng.choice(C.INK_GREYS, count).astype(np.uint8)
    grey = rng.random(count) < C.GREY_INK_PROBABILITY
    colours[grey] = greys[grey, None]
    return colours


def _near(rng: np.random.Generator, colour: np.ndarray) -> np.ndarray:
    """A colour of about the same lightness."""
    return (np.asarray(colour, float) + rng.normal(0, 40, 3)).clip(0, 255).astype(np.uint8)


def _random_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3) uint8 RGB within the ranges of the constants."""
    low, high = np.array([C.RED, C.GREEN, C.BLUE]).T
    return rng.integers(low, high + 1, (count, 3)).astype(np.uint8)


def _lab(colours: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 RGB to CIELAB with the colour axes halved: letters that differ from their
    surroundings in hue alone are hard to read."""
    lab = cv2.cvtColor(colours.reshape(1, -1, 3), cv2.COLOR_RGB2LAB).reshape(colours.shape)
    return lab * np.float32([100 / 255, 0.5, 0.5])


class _Legibility:
    """Whether letters stand out from what is next to them, square by square of about an em."""

    def __init__(self, base: np.ndarray, alpha: np.ndarray, em: float):
        """base: (h, w, 3) uint8 RGB before the letters are drawn."""
        letters = alpha > 127
        if not letters.any():
            letters = alpha > 0.5 * alpha.max()
        self._letters, self._ring = (_some(mask) for mask in (letters, _ring(alpha)))
        side = max(12, round(em))
        columns = -(-alpha.shape[1] // side)
        squares = columns * -(-alpha.shape[0] // side)

        def square(pixels: np.ndarray) -> np.ndarray:
            y, x = np.divmod(pixels, alpha.shape[1])
            return y // side * columns + x // side

        self._at = [(square(p), squares) for p in (self._letters, self._ring)]
        counts = [np.bincount(at, minlength=n) for at, n in self._at]
        self._counts, self._known = counts, np.minimum(*counts) >= 3
        colours = base.reshape(-1, 3)[self._ring]
        lab = _lab(colours)
        squared = _means(lab * lab, *self._at[1], counts[1]) - self._mean(lab, 1) ** 2
        spread = np.sqrt(squared.clip(0).sum(1))
        self._needed = C.MIN_CONTRAST + C.CONTRAST_BUSYNESS * spread
        self._needed_overall = float(np.average(self._needed, weights=counts[1]))
        self._weights = np.where(self._known, counts[0], 0)
        self._around = self._mean(colours, 1)  # RGB, square by square

    def foresee(self, inks: np.ndarray, blend: Callable, opacity: float) -> np.ndarray:
        """(n,) share of the letters that will stand out when drawn in each of the RGB inks (n, 3);
        0 where they do not on average."""
        known = np.flatnonzero(self._known)
        if not len(known):
            return np.ones(len(inks))
        around = np.repeat(self._around[None, known].astype(np.uint8), len(inks), 0)
        seen = blend(around, np.repeat(inks[:, None], len(known), 1))
        seen = cv2.addWeighted(seen, opacity, around, 1 - opacity, 0)
        apart = _lab(seen) - _lab(around)
        weights = self._weights[known] / self._weights[known].sum()
        good = (np.linalg.norm(apart, axis=2) >= self._needed[known]) @ weights
        overall = np.linalg.norm(weights @ apart, axis=1)
        return np.where(overall >= self._needed_overall, good, 0)

    def holds(self, result: np.ndarray) -> bool:
        """Whether LEGIBLE_SHARE of the ink stands out in `result`, and all of it on average."""
        pixels = result.reshape(-1, 3)
        lab = [_lab(pixels[p]) for p in (self._letters, self._ring)]
        if np.linalg.norm(lab[0].mean(0) - lab[1].mean(0)) < self._needed_overall:
            return False
        distance = np.linalg.norm(self._mean(lab[0], 0) - self._mean(lab[1], 1), axis=1)
        good = self._weights @ (distance >= self._needed)
        return bool(good >= C.LEGIBLE_SHARE * self._weights.sum())

    def _mean(self, lab: np.ndarray, which: int) -> np.ndarray:
        return _means(lab, *self._at[which], self._counts[which])


def _means(values: np.ndarray, at: np.ndarray, squares: int, counts: np.ndarray) -> np.ndarray:
    """(squares, 3) means of values (n, 3) by their square."""
    sums = [np.bincount(at, column, squares) for column in values.T]
    return np.stack(sums, 1) / np.maximum(counts, 1)[:, None]


def _some(mask: np.ndarray) -> np.ndarray:
    """At most about SAMPLES of a mask's pixels, evenly: their indices in the flat array."""
    pixels = np.flatnonzero(mask)
    return pixels[:: max(1, len(pixels) // SAMPLES)]


def _ring(alpha: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixels near the letters that carry no ink."""
    ink = (alpha > 25).astype(np.uint8)
    near = cv2.dilate(ink, np.ones((9, 9), np.uint8))
    ring = near > cv2.dilate(ink, np.ones((3, 3), np.uint8))
    return ring if ring.any() else ~ink.astype(bool) if not ink.all() else ink.astype(bool)
