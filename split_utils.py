"""Which images a model was tested on and not trained on, as its training.json says."""

import json
from pathlib import Path

from dataset_utils import DataError, Sample

RECORD = "training.json"  # in a model's folder


def list_held_back(train: list[Sample], test: list[Sample]) -> dict[str, list[str]]:
    """The test images' files, for each folder's name: the split goes by the name too, so that a
    folder may be moved. Of two folders with one name, files that only one side has."""
    held_back: dict[str, set[str]] = {}
    for sample in test:
        held_back.setdefault(_name(sample), set()).add(sample.file)
    for sample in train:
        held_back.get(_name(sample), set()).discard(sample.file)
    return {name: sorted(files) for name, files in held_back.items()}


def find_held_back(model_dir: Path, samples: list[Sample]) -> list[Sample] | None:
    """Those of one folder's samples that the model was not trained on; None where it was trained
    on another folder, or where nothing tells. Raises DataError for a damaged record."""
    path = Path(model_dir) / RECORD
    if not path.exists() or not samples:
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8")).get("held_back", {})
        files = set(record.get(_name(samples[0]), []))
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it or train again") from None
    return [sample for sample in samples if sample.file in files] or None


def _name(sample: Sample) -> str:
    return sample.folder.resolve().name
