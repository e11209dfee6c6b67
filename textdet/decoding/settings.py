"""The settings that turn maps into words, and the detection.json that keeps them."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from static import constants as C
from textdet.common.errors import DataError
from textdet.common.files import write_json
from textdet.decoding.craft import DECODERS

SETTINGS_FILE = "detection.json"


@dataclass(frozen=True)
class DetectionSettings:
    """What turns maps into words, see static/constants.py. long_side and box_margin are px,
    the others but max_enlargement (a factor) and decoder are 0..1."""

    text_threshold: float = C.TEXT_THRESHOLD
    link_threshold: float = C.LINK_THRESHOLD
    low_text: float = C.LOW_TEXT
    decoder: str = C.DECODER
    long_side: int = C.LONG_SIDE
    max_enlargement: float = C.MAX_ENLARGEMENT
    second_scale: float = C.SECOND_SCALE
    box_margin: float = C.BOX_MARGIN
    relative_link: float = C.RELATIVE_LINK

    def __post_init__(self):
        """Raises ValueError for a value that cannot be."""
        shares = "text_threshold", "link_threshold", "low_text", "second_scale", "relative_link"
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, not {getattr(self, name)}")
        if self.decoder not in DECODERS:
            raise ValueError(f"no decoder {self.decoder!r}, only {' and '.join(DECODERS)}")
        if self.long_side < 1:
            raise ValueError(f"long_side must be at least 1 px, not {self.long_side}")
        for name, low, high in (
            ("max_enlargement", 1, C.MOST_ENLARGEMENT),
            ("box_margin", 0, C.MOST_MARGIN),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in {low}..{high}, not {getattr(self, name)}")


def load_settings(model_dir: str | Path) -> DetectionSettings:
    """A model's tuned settings, or the defaults where it has none. Raises DataError."""
    path = Path(model_dir) / SETTINGS_FILE
    if not path.exists():
        return DetectionSettings()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))["settings"]
        known = {field.name: field.type for field in fields(DetectionSettings)}
        return DetectionSettings(**{k: known[k](v) for k, v in record.items() if k in known})
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); tune.py writes it anew") from None


def save_settings(model_dir: str | Path, settings: DetectionSettings, **notes) -> Path:
    """Write detection.json: the settings, and notes on where they come from."""
    path = Path(model_dir) / SETTINGS_FILE
    write_json(path, {"settings": asdict(settings), **notes})
    return path
