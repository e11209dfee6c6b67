"""Where a model lies: the one that comes with this project, and the one that a script uses."""

from pathlib import Path

from textdet.common.errors import DataError

MODEL_FILE = "config.json"  # is in every model's folder
TRAINED = Path("checkpoits")  # where train.py leaves a model by default


def bundled_model() -> Path:
    """The folder of the bundled model, whether it is there or not.

    An installed package holds it; a checkout has it beside the package.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "static" / "model"
    return installed if installed.is_dir() else package.parent / "static" / "model"


def choose_model(folder: Path | None) -> Path:
    """The folder that the user named, else checkpoits, else the bundled model.

    Raises:
        DataError: there is no model in it.
    """
    candidates = [folder] if folder else [TRAINED, bundled_model()]
    for candidate in candidates:
        if (candidate / MODEL_FILE).is_file():
            return candidate
    raise DataError(
        f"no model ({MODEL_FILE}) in {' or '.join(map(str, candidates))}; train.py writes one"
    )
