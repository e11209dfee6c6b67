"""The generator for the page: its main settings, images with labels, the same as a command."""

import shlex
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from generate_utils import bundled_resources, generate_triplet
from textdet.data.annotation import Sample
from textdet.synth.settings import (
    PRESETS,
    GeneratorSettings,
    Setting,
    declared_settings,
    read_settings,
    to_toml,
)
from textdet.synth.shares import Shares

TOML_FILE = "mine.toml"
# What people change first; textdet/synth/settings.py says the rest of them.
MAIN_SETTINGS = (
    *("PAGE_PROBABILITY", "EMPTY_PROBABILITY", "BLOCKS", "SIGN_SCENE_PROBABILITY"),
    *("CLUTTER_PROBABILITY", "NEIGHBOUR_PROBABILITY"),
    *("LANGUAGE_SHARES", "CASE_SHARES", "LINES", "LINE_WORDS", "PARAGRAPH_PROBABILITY"),
    *("FONT_SIZE", "TRACKING", "WIDE_TRACKING_PROBABILITY", "WORD_SPACE", "STRETCH_PROBABILITY"),
    *("CURVE_PROBABILITY", "PICTOGRAM_PROBABILITY", "STACK_PROBABILITY", "SMALL_ROTATION"),
    *("LARGE_ROTATION_PROBABILITY", "ANY_ROTATION_PROBABILITY", "TILT_PROBABILITY", "TILT"),
    *("GREY_INK_PROBABILITY", "OPACITY", "MIN_CONTRAST", "PLATE_PROBABILITY"),
    *("STROKE_PROBABILITY", "SHADOW_PROBABILITY", "GLOW_PROBABILITY", "WEAR_PROBABILITY"),
    *("PAGE_FONT_SIZE", "STAMP_PROBABILITY", "DESK_PROBABILITY", "BINARY_PROBABILITY"),
    *("TEXTURE_PROBABILITY", "DISTRACTOR_PROBABILITY"),
    *("BLUR_PROBABILITY", "NOISE_PROBABILITY", "DOWNSCALE_PROBABILITY", "JPEG_PROBABILITY"),
)


def sections() -> dict[str, list[Setting]]:
    """The main settings by section, in the order of static/constants.py."""
    found: dict[str, list[Setting]] = {}
    for setting in declared_settings().values():
        if setting.name in MAIN_SETTINGS:
            found.setdefault(setting.section, []).append(setting)
    return found


def parts(setting: Setting) -> list[str]:
    """What the page has a control for: the kinds of a table of shares, the ends of a range."""
    if isinstance(setting.default, Shares):
        return list(setting.default)
    return ["from", "to"] if isinstance(setting.default, tuple) else [""]


def preset_settings(name: str | None) -> GeneratorSettings:
    """The settings of a preset; the defaults for None. Raises DataError."""
    return GeneratorSettings(**(read_settings(PRESETS[name]) if name else {}))


def values_of(settings: GeneratorSettings) -> list[float]:
    """What the page's controls hold for some settings, as make_settings takes it."""
    values: list[float] = []
    for setting in (each for section in sections().values() for each in section):
        value = getattr(settings, setting.name)
        if isinstance(value, Shares):
            values += [value[kind] for kind in parts(setting)]
        else:
            values += value if isinstance(value, tuple) else [value]
    return values


def make_settings(
    values: Iterable[float | None], base: GeneratorSettings | None = None
) -> GeneratorSettings:
    """Settings from the page's controls.

    Params:
        values: of each section's settings each part's, in their order.
        base: gives those that have no control; None for the defaults.

    Raises:
        DataError: a value is missing, of another kind or out of range.
    """
    rest, changes = iter(values), {}
    for setting in (each for section in sections().values() for each in section):
        names, default = parts(setting), setting.default
        given = [next(rest) for _ in names]
        if isinstance(default, Shares):
            changes[setting.name] = dict(zip(names, given, strict=True))
        elif isinstance(default, tuple):
            changes[setting.name] = [_as(kind, n) for kind, n in zip(default, given, strict=True)]
        else:
            changes[setting.name] = _as(default, given[0])
    return (base or GeneratorSettings()).changed(**changes)


def _as(kind: float, value: float | None) -> float | None:
    """A whole number as an int where one is wanted; the browser sends 3 as 3.0 or 3."""
    is_whole = isinstance(kind, int) and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def make_image(
    settings: GeneratorSettings, seed: int, index: int, size: int
) -> tuple[Sample, np.ndarray, np.ndarray]:
    """Image number `index` of a run of generate_images.py, as generate_triplet gives it."""
    return generate_triplet(bundled_resources(settings), settings, Path(), seed, index, size)


def changes_as_toml(settings: GeneratorSettings) -> str:
    """The settings that differ from the defaults, with their comments, for --settings."""
    changed = settings.differences()
    lines = to_toml(settings).splitlines()
    kept = [line for line in lines if line.split(" = ")[0].split(".")[0] in changed]
    return "\n".join(kept) + "\n" if kept else "# the defaults\n"


def command_line(settings: GeneratorSettings, seed: int, size: int) -> str:
    """The command that makes such images."""
    words = ["python", "generate_images.py", "--seed", str(seed), "--image_size", str(size)]
    words += ["--settings", TOML_FILE] if settings.differences() else []
    return shlex.join(words)
