"""Which images a model has not been trained on, as its training.json says."""

import json
from pathlib import Path

from textdet.common.errors import DataError
from textdet.data.annotation import Sample

TRAINING_FILE = "training.json"  # in a model's folder
KEY = "held_back"  # its field with the files that were held out, by their folder's name


def list_held_out(train: list[Sample], validation: list[Sample]) -> dict[str, list[str]]:
    """The files of the images that are not trained on, for each folder's name.

    The split goes by the name too, so that a folder may be moved. Pieces count as the image that
    they are of; of two folders with one name, files that only one side has. A folder that is
    trained on as a whole has an empty list.

    Params:
        train, validation: the two sides of a split.

    Returns:
        Names of files within images/, by the name of their folder.
    """
    seen = {sample.origin for sample in train}
    held_out = {_folder_of(origin): [] for origin in sorted(seen)}
    for origin in sorted({sample.origin for sample in validation} - seen):
        held_out.setdefault(_folder_of(origin), []).append(origin.partition("/")[2])
    return held_out


def still_held_out(model_dir: Path, held_out: dict[str, list[str]]) -> dict[str, list[str]]:
    """What a model that is trained further will still not have seen.

    Of a folder that its record knows it is what was held out both then and now; of a folder no
    longer trained on, what was then.

    Params:
        model_dir: the folder of the model as it is.
        held_out: as list_held_out gives it, for the training to come.

    Returns:
        Likewise.

    Raises:
        DataError: when the model's record is damaged.
    """
    before = _read_held_out(model_dir)
    both = {
        folder: sorted(set(files) & set(before.get(folder, files)))
        for folder, files in held_out.items()
    }
    return {**before, **both}


def _read_held_out(model_dir: Path) -> dict[str, list[str]]:
    """The record's list; empty where there is no record. Raises DataError for a damaged one."""
    path = Path(model_dir) / TRAINING_FILE
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8")).get(KEY, {})
        return {folder: [str(file) for file in files] for folder, files in record.items()}
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it or train again") from None


def find_held_out(model_dir: Path, samples: list[Sample]) -> list[Sample] | None:
    """Those of one folder's samples that the model was not trained on.

    Params:
        model_dir: the folder of the model.
        samples: all of the folder.

    Returns:
        The samples; None where it was trained on other images, or where nothing tells.

    Raises:
        DataError: when the record is damaged, and for a folder of which nothing was held out.
    """
    record = _read_held_out(model_dir)
    origins = {f"{folder}/{file}" for folder, files in record.items() for file in files}
    found = [sample for sample in samples if sample.origin in origins]
    folders = {_folder_of(sample.origin) for sample in samples}
    if not found and any(record.get(folder) == [] for folder in folders):
        raise DataError(
            f"{samples[0].folder}: the model was trained on all images of a folder of this name; "
            "evaluate.py --split all and tune.py --test_size 1 take them all the same"
        )
    return found or None


def _folder_of(origin: str) -> str:
    return origin.partition("/")[0]
