"""Where a model's files are: the bundled model's, a trained one's, and CRAFT's."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from textdet.common.errors import DataError
from textdet.common.fingerprints import file_digest
from textdet.data.held_out import CHECKPOINT
from textdet.decoding.settings import DEFAULTS, SETTINGS, DetectionSettings, load_settings

CONFIG_FILE = "config.json"  # is in the folder of every model that train.py left
WEIGHTS_FILE = "model.safetensors"  # likewise
STATE_FILE = "trainer_state.json"  # which the Trainer writes last into a checkpoint
CRAFT_SUFFIXES = (".pth", ".safetensors")
NETWORK_SETTINGS = ("long_side", "max_enlargement", "second_scale")  # the others need maps alone
TRAINED = Path("checkpoits")  # where train.py leaves a model by default


@dataclass(frozen=True)
class ModelFiles:
    """A model's files.

    Params:
        weights: the file with the weights.
        folder: of what belongs to them: detection.json, model.onnx, training.json. It need not be
            there yet.
        is_craft: whether they are weights of CRAFT's own network, not of a SegFormer.
    """

    weights: Path
    folder: Path
    is_craft: bool

    @property
    def default_settings(self) -> DetectionSettings:
        """Those of a model without a detection.json: CRAFT's decoder for CRAFT's network."""
        return replace(DEFAULTS, decoder="craft") if self.is_craft else DEFAULTS

    @property
    def network_settings(self) -> tuple[str, ...]:
        """Names of the settings on which the maps depend: those of CRAFT's network are made for one
        decoder."""
        return (*NETWORK_SETTINGS, "decoder") if self.is_craft else NETWORK_SETTINGS

    def settings(self, **given: float | str) -> DetectionSettings:
        """Those of its detection.json, or the defaults, with those that are given.

        Params:
            given: fields of DetectionSettings. With all of them a damaged file does not matter:
                tune.py is about to replace it.

        Raises:
            DataError: the file is damaged or holds a value out of range.
            ValueError: a given setting is out of its range.
            TypeError: a given one is not a setting.
        """
        own = DEFAULTS
        if not SETTINGS.keys() <= given.keys():
            own = load_settings(self.folder, self.default_settings)
        return replace(own, **given)

    def fingerprint(self) -> str | None:
        """SHA-256 of the weights; None where there are none."""
        if not self.weights.is_file():
            return None
        return file_digest(self.weights).hex()


def bundled_model() -> Path:
    """The folder of the bundled model, whether it is there or not.

    An installed package holds it; a checkout has it beside the package.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "static" / "model"
    return installed if installed.is_dir() else package.parent / "static" / "model"


def choose_model(path: Path | None) -> Path:
    """Choose the model that the user named, else checkpoits, else the bundled model.

    Params:
        path: see find_model; None where the user named none. Of a training under way its last
            checkpoint is taken, and named.

    Returns:
        The path of a model, for all that is done with it: a training goes on meanwhile.

    Raises:
        DataError: there is no model in it.
    """
    if path is None:
        candidates = TRAINED, bundled_model()
        path = next((each for each in candidates if _holds_model(each)), TRAINED)
    if not (path / CONFIG_FILE).is_file() and (last := _last_written(path)):
        print(f"{path}: its training is not finished, taking {last}", file=sys.stderr)
        return last
    find_model(path)
    return path


def _holds_model(folder: Path) -> bool:
    """Whether train.py has left a model in a folder, or a checkpoint of the training under way."""
    return (folder / CONFIG_FILE).is_file() or _last_written(folder) is not None


def hint_at_last(path: Path) -> str:
    """End of a message that a model is not there: of a checkpoint, that its training deletes it."""
    if not CHECKPOINT.fullmatch(path.name):
        return ""
    return f"; its training keeps a few of them (--save_total_limit), {path.parent} has the last"


def checkpoints_in(folder: Path) -> list[Path]:
    """The folders checkpoint-N in a run's folder, the newest first."""
    found = [path for path in folder.glob("checkpoint-*") if CHECKPOINT.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]), reverse=True)


def _last_written(folder: Path) -> Path | None:
    """The newest checkpoint in a run's folder that is written to its end; None: there is none."""
    found = (path for path in checkpoints_in(folder) if (path / STATE_FILE).exists())
    return next(found, None)


def find_model(path: str | Path) -> ModelFiles:
    """Find the files of a model.

    Params:
        path: a folder that train.py left, or one of its checkpoints; a file with CRAFT's weights,
            .pth or .safetensors; or a folder with one such file. What belongs to a file lies in the
            folder beside it that has its name without the suffix.

    Raises:
        DataError: there is none.
    """
    path = Path(path)
    if path.is_file() and path.suffix in CRAFT_SUFFIXES:
        return ModelFiles(path, path.with_suffix(""), True)
    if (path / CONFIG_FILE).is_file():
        return ModelFiles(path / WEIGHTS_FILE, path, False)
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix in CRAFT_SUFFIXES]
        found = [file for file in found if file.name != WEIGHTS_FILE]
        if len(found) == 1:
            return ModelFiles(found[0], path, True)
        if found:
            names = ", ".join(sorted(file.name for file in found))
            raise DataError(f"{path}: several files of weights in it ({names}); name one of them")
    if not path.exists():
        raise DataError(f"{path}: no such file or folder{hint_at_last(path)}")
    if last := _last_written(path):
        raise DataError(f"{path}: no model yet, its training is not finished; name {last} instead")
    raise DataError(
        f"{path}: no model, neither a folder that train.py left ({CONFIG_FILE}) nor CRAFT's "
        "weights (one .pth or .safetensors)"
    )
