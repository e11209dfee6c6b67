"""One effect of the generator at a time: pictures of what a setting of constants.py does."""

from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.synth.resources import Resources
from textdet.synth.scene import draw_image
from textdet.synth.settings import GeneratorSettings

TRIES = 20  # images drawn at most until one has words in it
DEFAULTS = GeneratorSettings()


def _only(shares: str, **kinds: float) -> dict[str, dict[str, float]]:
    """These kinds of a table of shares, and no others."""
    return {shares: dict.fromkeys(getattr(DEFAULTS, shares), 0.0) | kinds}


# Every probability 0 but that of black and white ink, and a few blocks of plain text of a size that
# shows what is done to them.
CALM = DEFAULTS.changed(
    **{name: 0.0 for name in vars(DEFAULTS) if name.endswith("_PROBABILITY")}
    | {"GREY_INK_PROBABILITY": DEFAULTS.GREY_INK_PROBABILITY}
    | {"BLOCKS": (3, 4), "FONT_SIZE": (34, 72), "OPACITY": (1, 1), "PAGE_FONT_SIZE": (15, 19)}
    | _only("BLEND_SHARES", normal=1.0)
    | _only("FILL_SHARES", flat=1.0)
    | _only("KIND_SHARES", word=0.5, common=0.4, number=0.1)
)


def _one_word(**more: Any) -> dict[str, Any]:
    """A large word on plain plaster, for what is done to its ink."""
    return {
        "BLOCKS": (1, 1),
        "LINES": (1, 1),
        "LINE_WORDS": (1, 1),
        "FONT_SIZE": (120, 130),
        "TEXTURE_PROBABILITY": 1.0,
        **_only("KIND_SHARES", common=1.0),
        **_only("TEXTURE_SHARES", plaster=1.0),
        **more,
    }


def _texture(name: str) -> dict[str, Any]:
    return {"TEXTURE_PROBABILITY": 1.0, **_only("TEXTURE_SHARES", **{name: 1.0})}


def _page(kind: str, **more: Any) -> dict[str, Any]:
    own = {"PAGE_PROBABILITY": 1.0, "PAGE_RULE_PROBABILITY": 1.0, "PAGE_COLUMNS": (1,)}
    return {**own, **_only("PAGE_KIND_SHARES", **{kind: 1.0}), **more}


def _colour(name: str, **more: Any) -> dict[str, Any]:
    return {"COLOUR_PROBABILITY": 1.0, **_only("COLOUR_SHARES", **{name: 1.0}), **more}


def _blur(name: str, **more: Any) -> dict[str, Any]:
    return {"BLUR_PROBABILITY": 1.0, **_only("BLUR_SHARES", **{name: 1.0}), **more}


# By group and title: what is changed in CALM.
EFFECTS = {
    "text": {
        "straight": {},
        "paragraph": {"PARAGRAPH_PROBABILITY": 1.0},
        "large sign": {"SIGN_SCENE_PROBABILITY": 1.0, "SIGN_FONT_SIZE": (110, 160)},
        "neighbours": {"NEIGHBOUR_PROBABILITY": 1.0, "BLOCKS": (7, 9)},
        "spaced out": {"WIDE_TRACKING_PROBABILITY": 1.0},
        "narrow letters": {"STRETCH_PROBABILITY": 1.0, "STRETCH": (0.65, 0.66)},
        "wide letters": {"STRETCH_PROBABILITY": 1.0, "STRETCH": (1.49, 1.5)},
        "pictograms": {"PICTOGRAM_PROBABILITY": 1.0},
        "any rotation": {"ANY_ROTATION_PROBABILITY": 1.0},
        "sideways": {"SIDEWAYS_PROBABILITY": 1.0},
        "tilted plane": {"TILT_PROBABILITY": 1.0, "TILT": (35, 45)},
        "curve, letters turned": {"CURVE_PROBABILITY": 1.0, "TURNED_LETTERS_PROBABILITY": 1.0},
        "curve, letters bent": {"CURVE_PROBABILITY": 1.0},
        "stacked letters": {"STACK_PROBABILITY": 1.0, "FONT_SIZE": (30, 44)},
        "as if on cloth": {"ELASTIC_PROBABILITY": 1.0, "ELASTIC_AMPLITUDE": (0.07, 0.08)},
        "worn letters": {"WEAR_PROBABILITY": 1.0},
    },
    "ink": {
        "plain": _one_word(),
        "outline": _one_word(STROKE_PROBABILITY=1.0, STROKE_WIDTH=(0.04, 0.05)),
        "sticker": _one_word(STROKE_PROBABILITY=1.0, STICKER_PROBABILITY=1.0),
        "shadow": _one_word(SHADOW_PROBABILITY=1.0),
        "glow": _one_word(
            GLOW_PROBABILITY=1.0, GLOW=(0.15, 0.2), **_only("TEXTURE_SHARES", asphalt=1.0)
        ),
        "depth": _one_word(EXTRUSION_PROBABILITY=1.0),
        "sign": _one_word(
            PLATE_PROBABILITY=1.0, SIGN_COLOUR_PROBABILITY=1.0, PLATE_BORDER_PROBABILITY=1.0
        ),
        "gradient": _one_word(**_only("FILL_SHARES", gradient=1.0)),
        "stripes": _one_word(**_only("FILL_SHARES", stripes=1.0)),
        "blotches": _one_word(**_only("FILL_SHARES", blotches=1.0)),
        "multiplied": _one_word(**_only("BLEND_SHARES", multiply=1.0)),
        "overlaid": _one_word(**_only("BLEND_SHARES", overlay=1.0)),
        "mixed gradients": _one_word(**_only("BLEND_SHARES", poisson=1.0)),
    },
    "backgrounds": {
        "photograph": {},
        **{name: _texture(name) for name in DEFAULTS.TEXTURE_SHARES},
        "things that are no text": {"DISTRACTOR_PROBABILITY": 1.0, "DISTRACTORS": (9, 12)},
        "its own colours": {
            "BACKGROUND_HUE_PROBABILITY": 1.0,
            "BACKGROUND_SATURATION": (30, 40),
            "BACKGROUND_LIGHT_PROBABILITY": 1.0,
        },
    },
    "pages": {
        "letter": _page("letter"),
        "form": _page("form"),
        "receipt on a desk": _page("receipt", DESK_PROBABILITY=1.0),
        "dense text": _page("dense"),
        "mixed": _page("mixed"),
        "stamp": _page("letter", STAMP_PROBABILITY=1.0, STAMP_TEXT_PROBABILITY=1.0),
        "fold, reverse side": _page(
            "mixed",
            FOLD_PROBABILITY=1.0,
            FOLD_STRENGTH=(0.2, 0.25),
            BLEED_PROBABILITY=1.0,
            BLEED_STRENGTH=(0.14, 0.18),
        ),
        "black and white": _page("form", BINARY_PROBABILITY=1.0, SPECKLE_PROBABILITY=1.0),
        "fax": _page("dense", FAX_PROBABILITY=1.0, FAX_CONTRAST=(0.35, 0.4)),
        "streaks, dark edges": _page("mixed", STREAK_PROBABILITY=1.0, EDGE_PROBABILITY=1.0),
        "typewriter": _page("letter", PAGE_TYPEWRITER_PROBABILITY=1.0, PAGE_ONE_FONT_PROBABILITY=1),
        "inverted": _page("form", INVERT_PAGE_PROBABILITY=1.0),
    },
    "camera": {
        "plain": {},
        "cast shadow": {
            "SHADOW_PATCH_PROBABILITY": 1.0,
            "SHADOW_PATCH_INTENSITY": (0.5, 0.55),
        },
        "flare": {"FLARE_PROBABILITY": 1.0, "FLARE_STRENGTH": (110, 130)},
        "vignette": {"VIGNETTE_PROBABILITY": 1.0, "VIGNETTE_STRENGTH": (0.5, 0.55)},
        "gamma": _colour("gamma", GAMMA=(125, 130)),
        "colour cast": _colour("cast", COLOUR_CAST=(-60, 60)),
        "negative": _colour("negative"),
        "defocus": _blur("defocus", DEFOCUS_RADIUS=(1.9, 2)),
        "motion blur": _blur("motion", MOTION_BLUR=(5, 5)),
        "noise": {"NOISE_PROBABILITY": 1.0, "NOISE_STRENGTH": (14, 14)},
        "fewer pixels": {"DOWNSCALE_PROBABILITY": 1.0, "DOWNSCALE": (0.6, 0.6)},
        "small camera": {
            "SMALL_CAMERA_PROBABILITY": 1.0,
            "SMALL_CAMERA_SCALE": (0.5, 0.55),
            "SMALL_CAMERA_SHARPENING": (1.2, 1.5),
        },
        "JPEG": {"JPEG_PROBABILITY": 1.0, "JPEG_AGAIN": (35, 36)},
    },
}


def draw_effects(resources: Resources, group: str, seed: int, size: int) -> dict[str, np.ndarray]:
    """Draw an image of each effect of a group.

    All are drawn from one seed, so that what an effect leaves alone stays as it is.

    Params:
        group: a key of EFFECTS.
        size: px, side of the square images.

    Returns:
        by the effect's title: (size, size, 3) uint8 RGB.

    Raises:
        DataError: with one of the effects, none of TRIES images has words.
    """
    return {
        title: _draw_effect(CALM.changed(**changes), resources, title, seed, size)
        for title, changes in EFFECTS[group].items()
    }


def _draw_effect(
    settings: GeneratorSettings, resources: Resources, title: str, seed: int, size: int
) -> np.ndarray:
    for index in range(TRIES):
        scene = draw_image(np.random.default_rng([seed, index]), settings, resources, size)
        if scene.words:
            return scene.image
    raise DataError(f"{title}: no image has words")
