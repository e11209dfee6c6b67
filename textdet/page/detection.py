"""Detection step by step for the page: models, maps kept while settings are tried, results."""

import copy
import json
import shlex
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import keep_copy
from textdet.common.images import read_image
from textdet.common.pictures import draw_found, encode_picture
from textdet.decoding.settings import (
    SETTINGS,
    SETTINGS_FILE,
    DetectionSettings,
    save_settings,
)
from textdet.network.detector import TextDetector
from textdet.network.model_files import (
    CONFIG_FILE,
    TRAINED,
    bundled_model,
    choose_model,
    find_model,
)
from textdet.network.result import Maps, Result
from textdet.network.result_files import result_record

# --- Models ----------------------------------------------------------------------------------


def list_models(given: Iterable[Path]) -> list[str]:
    """The models to choose from: the given ones, else checkpoits if a model is there; the bundled
    one.

    Params:
        given: see choose_model.

    Raises:
        DataError: there is no model in one of them.
    """
    paths = [choose_model(path) for path in given]
    if not paths and (TRAINED / CONFIG_FILE).is_file():
        paths = [TRAINED]
    bundled = bundled_model()
    if bundled.is_relative_to(Path.cwd()):
        bundled = bundled.relative_to(Path.cwd())
    return list(dict.fromkeys(map(str, [*paths, bundled])))


class Models:
    """Opens models, each once while its weights stay as they are; for several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._open: dict[tuple, tuple[float, TextDetector]] = {}

    def detector(
        self,
        model: str,
        settings: DetectionSettings,
        poly: bool = False,
        characters: bool = False,
        tiles: bool = False,
    ) -> TextDetector:
        """A detector of its own with some settings, on the network that others use as well.

        Params:
            model: see find_model.
            poly, characters, tiles: see TextDetector.

        Raises:
            DataError: there is no sound model.
        """
        files = find_model(model)
        key = model, settings.decoder if files.is_craft else None  # its maps depend on it
        changed = files.weights.stat().st_mtime
        with self._lock:
            if key not in self._open or self._open[key][0] != changed:
                opened = TextDetector(model, decoder=settings.decoder)
                self._open[key] = changed, opened
            detector = copy.copy(self._open[key][1])
        detector.settings, detector.poly = settings, poly
        detector.characters, detector.tiles = characters, tiles
        return detector


# --- One image -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What the network made of an image, and with which settings.

    Params:
        path: the image's file.
        name: its name for people.
        model: see find_model.
        settings: those with which the network ran.
        own: what the model's own settings find in the maps.
    """

    path: Path
    name: str
    model: str
    settings: DetectionSettings
    maps: Maps
    own: Result

    def fits(self, model: str, settings: DetectionSettings) -> bool:
        """Whether words can be looked for in these maps with other settings."""
        names = find_model(model).network_settings
        same = all(getattr(settings, name) == getattr(self.settings, name) for name in names)
        return same and model == self.model


def look_at(models: Models, path: Path, name: str, model: str, settings: DetectionSettings) -> Seen:
    """Run the network on an image.

    Params:
        name: for people, and in messages.

    Raises:
        DataError: it is not a sound image, too large for the memory, or there is no sound model.
    """
    image = read_named(path, name)
    detector = models.detector(model, settings)
    maps = replace(detector.maps(image), image=None)  # which a visitor would hold for long
    fixed = detector.files.network_settings
    own = {k: v for k, v in asdict(own_settings(model)).items() if k not in fixed}
    return Seen(path, name, model, settings, maps, detector.decode(maps, **own))


def read_named(path: Path, name: str) -> np.ndarray:
    """read_image, with the name that the user knows the file by in its errors."""
    try:
        return read_image(path)
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from None


def find_words(
    models: Models,
    seen: Seen,
    settings: DetectionSettings,
    poly: bool = False,
    characters: bool = False,
) -> Result:
    """Find words in what the network made of an image, without running it again.

    Params:
        settings: that seen.fits().
        poly, characters: see TextDetector.
    """
    return models.detector(seen.model, settings, poly, characters).decode(seen.maps)


def count_words(now: Result, own: Result) -> str:
    """A sentence on how many words there are, now and with the model's own settings."""
    number, before = len(now.words), len(own.words)
    text = f"{_some(number, 'word')} in {_some(len(now.lines), 'line')} of text"
    return text if number == before else f"{text}; with the model's own settings {before}"


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- What is kept ----------------------------------------------------------------------------


def own_settings(model: str) -> DetectionSettings:
    """The settings of a model's detection.json, or the defaults. Raises DataError."""
    return find_model(model).settings()


def make_settings(values: Iterable[float | str]) -> DetectionSettings:
    """Settings from the page's controls.

    Params:
        values: in the order of SETTINGS.

    Raises:
        DataError: a value is missing or out of its range.
    """
    given = dict(zip(SETTINGS, values, strict=True))
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise DataError(f"{missing[0]} needs a value")
    try:
        return DetectionSettings(**given)
    except ValueError as error:
        raise DataError(str(error)) from None


def command_line(
    name: str, model: str, settings: DetectionSettings, poly: bool, characters: bool
) -> str:
    """The command of detect.py that does what the page does.

    Params:
        name: of the image.
    """
    words = ["python", "detect.py", name, "--model_dir", model]
    own = asdict(own_settings(model))
    for setting, value in asdict(settings).items():
        if value != own[setting]:
            words += [f"--{setting}", f"{value:g}" if isinstance(value, float) else str(value)]
    words += ["--poly"] * poly + ["--characters"] * characters
    return shlex.join(words)


def result_file(
    kind: str, models: Models, seen: Seen, settings: DetectionSettings, poly: bool, characters: bool
) -> tuple[str, bytes]:
    """A file as detect.py writes it.

    Params:
        kind: "json", "txt" or "jpg".

    Returns:
        its name and its content.

    Raises:
        DataError: the image is gone.
    """
    result = find_words(models, seen, settings, poly, characters)
    name = f"{Path(seen.name).stem}.{kind}"
    if kind == "txt":
        return name, result.to_icdar().encode()
    if kind == "jpg":
        return name, encode_picture(
            draw_found(read_named(seen.path, seen.name), result), quality=92
        )
    record = result_record(seen.name, 1, result, seen.model, settings)
    return name, (json.dumps(record, ensure_ascii=False) + "\n").encode()


def write_settings(model: str, settings: DetectionSettings) -> str:
    """Write a model's detection.json, and keep what it was.

    Returns:
        a sentence on what was written.

    Raises:
        OSError: the disk refuses.
    """
    folder = find_model(model).folder
    folder.mkdir(parents=True, exist_ok=True)
    kept = keep_copy(folder / SETTINGS_FILE)
    path = save_settings(folder, settings, chosen_by="hand, on the page of app.py")
    return f"{path}: written" + (f"; what it was is in {kept.name} beside it" if kept else "")
