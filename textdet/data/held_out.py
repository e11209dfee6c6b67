"""Which images a model was tested on and not trained on, as its training.json says."""

import json
from pathlib import Path

from textdet.common.errors import DataError
from textdet.data.annotation import Sample

RECORD = "training.json"  # in a model's folder


def list_held_back(train: list[Sample], test: list[Sample]) -> dict[str, list[str]]:
    """The test images' files, for each folder's name: the split goes by the name too, so that a
    folder may be moved. Pieces count as the image that they are of; of two folders with one name,
    files that only one side has. A folder that is trained on as a whole has an empty list."""
    seen = {sample.origin for sample in train}
    held_back = {_folder_of(origin): [] for origin in sorted(seen)}
    for origin in sorted({sample.origin for sample in test} - seen):
        held_back.setdefault(_folder_of(origin), []).append(origin.partition("/")[2])
    return held_back


def still_held_back(model_dir: Path, held_back: dict[str, list[str]]) -> dict[str, list[str]]:
    """What a model that is trained on has still not seen: of a folder that its record knows, what
    was held back both then and now; of a folder no longer trained on, what was then.

    held_back: as list_held_back gives it, for the training to come. Raises DataError for a damaged
    record.
    """
    before = _read_held_back(model_dir)
    both = {
        folder: sorted(set(files) & set(before.get(folder, files)))
        for folder, files in held_back.items()
    }
    return {**before, **both}


def _read_held_back(model_dir: Path) -> dict[str, list[str]]:
    """The record's list; empty where there is no record. Raises DataError for a damaged one."""
    path = Path(model_dir) / RECORD
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8")).get("held_back", {})
        return {folder: [str(file) for file in files] for folder, files in record.items()}
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it or train again") from None


def find_held_back(model_dir: Path, samples: list[Sample]) -> list[Sample] | None:
    """Those of one folder's samples that the model was not trained on; None where it was trained
    on other images, or where nothing tells. Raises DataError for a damaged record, and for a folder
    of which nothing was held back."""
    record = _read_held_back(model_dir)
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
