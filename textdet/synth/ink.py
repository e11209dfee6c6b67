"""How text meets its background: checked contrast, blending, plates, outlines, shadows, light."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from textdet.common.stage_times import stage
from textdet.synth.blending import (
    BLENDS,
    blend_gradients,
    blurred,
    extruded,
    flat_paint,
    lay_over,
    lit_paint,
    moved,
)
from textdet.synth.colours import (
    CANDIDATES,
    Contrast,
    sample_contrasting_colour,
    sample_ink_colours,
    sample_plate_colour,
    sample_similar_colour,
)
from textdet.synth.plates import Plate
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind
from textdet.synth.textures import cloud, noise

LENGTHS = ("plate_padding", "plate_border", "stroke", "shadow_blur", "glow")
OFFSETS = ("shadow", "extrusion")


@dataclass
class InkStyle:
    """What is drawn besides the letters. Lengths in px; zero turns an effect off.

    Params:
        em: px, the size of the letters.
        blur: px of standard deviation, the letters' softness.
        opacity, plate_opacity, shadow_opacity, glow_strength: 0..1.
        blend, fill, plate_shape: a kind of BLEND_SHARES, FILL_SHARES, PLATE_SHAPE_SHARES.
        shading, grain: 0..1, how much of the background's light and texture shows in the ink.
        plate_padding, plate_border: how far the plate reaches beyond the text, and its rim's width.
        stroke: the outline's width.
        shadow, extrusion: x (to the right) and y (down) of the shadow's offset, and of the depth.
        shadow_blur, glow: standard deviation of their blur.
        colours: RGB by part, those of a block that was drawn, so that a block beside it can be
            drawn alike.
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
    glow: float = 0.0
    glow_strength: float = 0.0
    extrusion: tuple[float, float] = (0.0, 0.0)
    colours: dict = field(default_factory=dict)

    def reach(self) -> float:
        """How far beyond the letters and their plate anything may be drawn, in px.

        The last traces of a shadow and of a glow go further.
        """
        shadow = max(map(abs, self.shadow)) + 2 * self.shadow_blur
        return max(shadow, 2 * self.glow, *map(abs, self.extrusion), self.stroke)


def sample_ink_style(
    rng: np.random.Generator, settings: GeneratorSettings, em: float, softness: float = 0.0
) -> InkStyle:
    """A random style for a new block, without colours.

    Params:
        em: px, the size of the letters.
        softness: px of standard deviation, the background's blur.
    """
    style = InkStyle(
        em=em, opacity=rng.uniform(*settings.OPACITY), blend=sample_kind(rng, settings.BLEND_SHARES)
    )
    style.fill = sample_kind(rng, settings.FILL_SHARES)
    if rng.random() < settings.INK_LIGHT_PROBABILITY:
        style.shading = rng.uniform(*settings.INK_SHADING)
        style.grain = rng.uniform(*settings.INK_GRAIN)
        style.blur = softness * rng.uniform(0.5, 1)
    if rng.random() < settings.PLATE_PROBABILITY:
        style.plate_padding = rng.uniform(*settings.PLATE_PADDING) * em
        style.plate_opacity = rng.uniform(*settings.PLATE_OPACITY)
        style.plate_shape = sample_kind(rng, settings.PLATE_SHAPE_SHARES)
        if rng.random() < settings.PLATE_BORDER_PROBABILITY:
            style.plate_border = max(1.0, rng.uniform(*settings.PLATE_BORDER) * em)
    if rng.random() < settings.STROKE_PROBABILITY and em >= settings.WEAR_FONT_SIZE:
        sticker = rng.random() < settings.STICKER_PROBABILITY
        width = settings.STICKER_RIM if sticker else settings.STROKE_WIDTH
        style.stroke = max(1.0, rng.uniform(*width) * em)
    if rng.random() < settings.SHADOW_PROBABILITY:
        offset = rng.uniform(*settings.SHADOW_OFFSET, 2) * rng.choice([-1, 1], 2) * em
        style.shadow = tuple(float(v) for v in offset)
        style.shadow_blur = rng.uniform(*settings.SHADOW_BLUR) * em
        style.shadow_opacity = rng.uniform(*settings.SHADOW_OPACITY)
    if rng.random() < settings.GLOW_PROBABILITY:
        style.glow = rng.uniform(*settings.GLOW) * em
        style.glow_strength = rng.uniform(*settings.GLOW_STRENGTH)
    if rng.random() < settings.EXTRUSION_PROBABILITY:
        angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(*settings.EXTRUSION) * em
        style.extrusion = (float(depth * np.cos(angle)), float(depth * np.sin(angle)))
    return style


def scaled_style(style: InkStyle, em: float) -> InkStyle:
    """The same style for letters of another size.

    Params:
        em: px, the new size of the letters.

    Returns:
        a new style with the same colours, and all offsets, widths and blurs but `blur` in
        proportion.
    """
    scale = em / style.em
    changed = {name: getattr(style, name) * scale for name in LENGTHS}
    changed |= {k: tuple(v * scale for v in getattr(style, k)) for k in OFFSETS}
    return replace(style, em=em, colours=dict(style.colours), **changed)


# --- Drawing ---------------------------------------------------------------------------------


@stage("ink")
def apply_ink(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    region: np.ndarray,
    alpha: np.ndarray,
    plate: Plate | None,
    style: InkStyle,
) -> InkStyle | None:
    """Draw a block into `region` in place, unless no colour can be read.

    COLOUR_TRIES colours are tried, the style's own first, and the contrast is checked after
    blending, letter by letter as it were.

    Params:
        region: (h, w, 3) uint8 RGB, a part of the image.
        alpha: (h, w) uint8, coverage of the letters.
        plate: what is behind them, of the same size; None for no plate.

    Returns:
        the style as drawn, with its colours; None when nothing was drawn.
    """
    if not alpha.any():
        return None
    blur = min(style.blur, settings.INK_BLUR_EM * style.em)
    if blur > 0.3:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    base, contrast = region, None
    for attempt in range(settings.COLOUR_TRIES):
        colours = dict(style.colours) if attempt == 0 else {}
        if plate is not None:
            base = _lay_plate(rng, settings, region, plate, style, colours)
        if plate is not None or contrast is None:
            contrast = Contrast(settings, base, alpha, style.em)
        # What needs a very dark or light ink gives way before the block does.
        blend = style.blend if attempt == 0 else "normal"
        if attempt:
            style = replace(style, glow_strength=0.0)
        if "ink" not in colours and not _sample_colours(
            rng, settings, style, blend, colours, contrast
        ):
            continue
        result = _lay_letters(rng, settings, base, alpha, style, blend, colours)
        if contrast.holds(result):
            region[:] = result
            return replace(style, colours=colours)
    return None


def _sample_colours(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    style: InkStyle,
    blend: str,
    colours: dict[str, np.ndarray],
    contrast: Contrast,
) -> bool:
    """Set colours that should be legible, the first of CANDIDATES; False when none is.

    It costs little to foresee, and much to draw a block that is then seen to fail.
    """
    inks = sample_ink_colours(rng, settings, CANDIDATES)
    if style.glow_strength:  # what shines is bright: the same hues, the strongest part at 255
        inks = inks + (255 - inks.max(1, keepdims=True))
    foreseen = contrast.foresee(inks, BLENDS[blend], style.opacity)
    fit = np.flatnonzero(foreseen >= settings.LEGIBLE_SHARE)
    if not len(fit) and not style.stroke:  # a line around the letters may help
        return False
    colours["ink"] = inks[fit[0] if len(fit) else foreseen.argmax()]
    if style.stroke:
        colours["stroke"] = sample_contrasting_colour(
            rng, settings, colours["ink"], 2 * settings.MIN_CONTRAST
        )
    if style.fill != "flat":
        colours["second"] = sample_similar_colour(rng, colours["ink"])
    return True


def _lay_plate(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    region: np.ndarray,
    plate: Plate,
    style: InkStyle,
    colours: dict[str, np.ndarray],
) -> np.ndarray:
    if "plate" not in colours:
        colours["plate"] = sample_plate_colour(rng, settings)
        colours["border"] = sample_contrasting_colour(
            rng, settings, colours["plate"], settings.MIN_CONTRAST
        )
    paint = lit_paint(region, colours["plate"], style.shading, 0.0)
    result = lay_over(region, paint, plate.face, style.plate_opacity)
    if plate.border is not None:
        result = lay_over(
            result, flat_paint(region, colours["border"]), plate.border, style.plate_opacity
        )
    return result


def _lay_letters(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    base: np.ndarray,
    alpha: np.ndarray,
    style: InkStyle,
    blend: str,
    colours: dict[str, np.ndarray],
) -> np.ndarray:
    """Shadow, glow, extrusion, outline, then the letters; a new (h, w, 3) uint8 array."""
    result = base
    if style.shadow_opacity:
        shade = moved(alpha, style.shadow)
        if style.shadow_blur > 0.3:
            shade = blurred(shade, style.shadow_blur)
        result = lay_over(result, np.zeros_like(base), shade, style.shadow_opacity)
    if style.glow_strength:
        halo = blurred(alpha, max(style.glow, 0.3))
        light = BLENDS["screen"](result, flat_paint(base, colours["ink"]))
        result = lay_over(result, light, halo, style.glow_strength)
    if any(style.extrusion):
        side = flat_paint(base, np.asarray(colours["ink"]) * 0.55)
        result = lay_over(result, side, extruded(alpha, style.extrusion), 1.0)
    if style.stroke:
        reach = 2 * max(1, round(style.stroke)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        outline = flat_paint(base, colours["stroke"])
        result = lay_over(result, outline, cv2.dilate(alpha, kernel), max(style.opacity, 0.8))
    ink = lit_paint(base, colours["ink"], style.shading, style.grain)
    if style.fill != "flat":
        ink = _filled_ink(rng, ink, colours["second"], style)
    if blend == "poisson" and alpha.size <= settings.POISSON_AREA:
        return blend_gradients(result, lay_over(result, ink, alpha, 1.0))
    return lay_over(result, BLENDS[blend](result, ink), alpha, style.opacity)


def _filled_ink(
    rng: np.random.Generator, ink: np.ndarray, second: np.ndarray, style: InkStyle
) -> np.ndarray:
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
    return lay_over(ink, flat_paint(ink, second), weight.clip(0, 255).astype(np.uint8), 1.0)


def measure_softness(image: np.ndarray, most: float) -> float:
    """The blur of an image, judged by its sharpest edges.

    A step blurred by s px has a slope of about s / 1.65 times its curvature.

    Params:
        image: (h, w, 3) uint8 RGB.
        most: px, the largest result.

    Returns:
        px of standard deviation.
    """
    side = image.shape[0]
    rows = np.flatnonzero(np.arange(side) // 32 % 3 == 0)  # every third strip is enough
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
    return float(np.clip(1.65 * steep / max(bent, 1.0) - 0.8, 0, most))
