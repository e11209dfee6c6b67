"""The settings that turn maps into words, each declared once, and the detection.json with them.

The flags of the scripts (network/flags.py), what tune.py searches and the table in docs/tuning.md
(settings_table.py) are made from these declarations.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from pathlib import Path
from typing import Any

from textdet.common.errors import DataError
from textdet.common.files import read_json, write_json

SETTINGS_FILE = "detection.json"
DECODERS = ("craft", "proportional")


@dataclass(frozen=True)
class Setting:
    """What is declared of a setting besides its name, type and default.

    Params:
        help: what it is.
        advice: when to change it.
        unit: "px", "times", or "" for a share of one and for a choice.
        low, high: its range, both included; None for a choice.
        choices: the values of a choice.
        searched: the range from which tune.py draws it; None where it does not.
        listed: whether tune.py picks the best of the values that the user lists.
    """

    help: str
    advice: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    searched: tuple[float, float] | None = None
    listed: bool = False

    @property
    def range(self) -> str:
        """Range and unit in words, "0..1" or "1..16 times"; the values of a choice."""
        if self.choices:
            return " or ".join(self.choices)
        return f"{self.low}..{self.high} {self.unit}".strip()


def setting(default: Any, help: str, advice: str, **more: Any) -> Any:
    """Make a field of DetectionSettings.

    Params:
        help, advice: see Setting.
        more: the other fields of Setting.
    """
    return field(default=default, metadata={"setting": Setting(help, advice, **more)})


@dataclass(frozen=True)
class DetectionSettings:
    """What turns a network's maps into words; the thresholds' defaults are CRAFT's own.

    Numbers may be of any kind, such as NumPy's: they are kept as Python's, as detection.json needs
    them.

    Raises:
        ValueError: a value out of its range, or of another kind.
    """

    text_threshold: float = setting(
        0.7,
        "a word's highest character value must reach it",
        "lower it when words are missed, raise it when there are boxes without text",
        low=0,
        high=1,
        searched=(0.05, 0.95),
    )
    link_threshold: float = setting(
        0.4,
        "affinity above it joins characters into words",
        "raise it when neighbouring words merge, lower it when words fall apart",
        low=0,
        high=1,
        searched=(0.05, 0.95),
    )
    low_text: float = setting(
        0.4,
        "character values above it belong to a word",
        "the same, weaker; with `--decoder craft` it also sets the size of the boxes: higher, "
        "smaller",
        low=0,
        high=1,
        searched=(0.05, 0.7),
    )
    decoder: str = setting(
        "proportional",
        "how a box grows beyond low_text's contour: proportional moves each side out to where the "
        "last characters' Gaussians end, and parts words that merely touch and lines that hang "
        "together; craft dilates as CRAFT does",
        "`craft` to compare with CRAFT",
        choices=DECODERS,
        listed=True,
    )
    long_side: int = setting(
        1280,
        "an image's longer side as the network sees it",
        "raise it for small text, lower it for speed",
        unit="px",
        low=32,  # the network's stride
        high=8192,
        listed=True,
    )
    max_enlargement: float = setting(
        1.5,  # as CRAFT's release
        "how far a small image is enlarged towards long_side at most",
        "raise it for tiny text in small images",
        unit="times",
        low=1,
        high=16,
    )
    second_scale: float = setting(
        0.0,
        "the network sees an image so much smaller as well, and large words are taken from there; "
        "0: one view only",
        "0.4 or 0.5 for large text in photographs; the second pass costs about an eighth more "
        "time, which 0 saves where all text is small",
        unit="times",
        low=0,
        high=1,
    )
    box_margin: float = setting(
        0.0,
        "by how much of what the network sees the sides of a word's box are moved out",
        "0 for boxes as close to the ink as generated labels are; 1 to 2 for boxes such as people "
        "draw; `tune.py --box_margin 0 1 2` finds it for your real images",
        unit="px",
        low=0,
        high=50,
        listed=True,
    )
    relative_link: float = setting(
        0.0,
        "share of a word's own strong affinities that its links must exceed, beside "
        "link_threshold, unless the letters stand as evenly as in typed words; 0: no matter",
        "0.6 when words of clear lines merge while faint words fall apart, as with a weak model; "
        "lower `link_threshold` to 0.1 with it. `tune.py --relative_link 0 0.6` tells whether it "
        "helps",
        low=0,
        high=1,
        listed=True,
    )

    def __post_init__(self):
        for each in fields(self):
            name, declared, value = each.name, each.metadata["setting"], getattr(self, each.name)
            if declared.choices:
                if value not in declared.choices:
                    known = " and ".join(declared.choices)
                    raise ValueError(f"no {name} {value!r}, only {known}")
                continue
            if not isinstance(value, Real):
                raise ValueError(f"{name} must be a number, not {value!r}")
            if not declared.low <= value <= declared.high:
                raise ValueError(f"{name} must lie in {declared.range}, not {value}")
            number = type(each.default)(value)
            if isinstance(number, int) and number != value:
                raise ValueError(f"{name} must be a whole number, not {value}")
            object.__setattr__(self, name, number)  # the class is frozen


SETTINGS: dict[str, Setting] = {
    each.name: each.metadata["setting"] for each in fields(DetectionSettings)
}
DEFAULTS = DetectionSettings()
TYPES: dict[str, type] = {name: type(value) for name, value in asdict(DEFAULTS).items()}
# Those of which tune.py takes several values.
LISTED = tuple(name for name, declared in SETTINGS.items() if declared.listed)


def load_settings(
    model_dir: str | Path, default: DetectionSettings = DEFAULTS
) -> DetectionSettings:
    """Read a model's detection.json.

    Params:
        model_dir: the model's folder.
        default: for what the file does not name.

    Returns:
        The tuned settings, or the defaults where the model has none. Unknown names are ignored.

    Raises:
        DataError: the file is damaged or holds a value out of range.
    """
    path = Path(model_dir) / SETTINGS_FILE
    if not path.exists():
        return default
    try:
        record = read_json(path)["settings"]
        return replace(default, **{k: TYPES[k](v) for k, v in record.items() if k in TYPES})
    except DataError as error:
        raise DataError(f"{error}; tune.py writes it anew") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{path}: damaged ({error}); tune.py writes it anew") from None


def save_settings(model_dir: str | Path, settings: DetectionSettings, **notes: Any) -> Path:
    """Write a model's detection.json.

    Params:
        model_dir: the model's folder.
        settings: to write.
        notes: on where they come from, further entries of the file.

    Returns:
        The file's path.
    """
    path = Path(model_dir) / SETTINGS_FILE
    write_json(path, {"settings": asdict(settings), **notes})
    return path
