"""Which images a model has not been trained on, as its training.json says.

An image is known by the bytes of its file, wherever that lies. Where these cannot tell, its
folder's and its own name do: pieces of an image are known as that image, and older records have
names alone.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError
from textdet.common.files import read_json
from textdet.common.fingerprints import file_digest
from textdet.data.annotation import PIECE_OF, Sample

TRAINING_FILE = "training.json"  # in a model's folder
CHECKPOINT = re.compile(r"checkpoint-\d+")  # name of a folder that the Trainer makes in it
HELD_OUT, BY_NAME, CONTENTS = "held_back", "known_by_name", "trained_on"  # fields of the record
DIGEST = 8  # bytes of an image's hash: two of a million images agree once in 40 million records
THREADS = 8  # that read files; hashing does not hold the interpreter
BLOCK = 64  # images that a thread hashes in one go: a task each would fill the memory


@dataclass(frozen=True)
class Record:
    """What a model was trained on, as far as it is needed to find what it was not trained on.

    Params:
        held_out: see list_held_out.
        by_name: the folders of `held_out` of which names alone tell.
        contents: hashes of the images that are not held out, see hash_images.
    """

    held_out: dict[str, list[str]] = field(default_factory=dict)
    by_name: frozenset[str] = frozenset()
    contents: frozenset[str] = frozenset()

    def to_json(self) -> dict:
        """Its fields in training.json."""
        return {
            HELD_OUT: self.held_out,
            BY_NAME: sorted(self.by_name),
            CONTENTS: " ".join(sorted(self.contents)),  # one line of the file
        }


def record_of(train: list[Sample], validation: list[Sample], others: Sequence[Sample]) -> Record:
    """What training on a split makes of its images.

    Params:
        train, validation: the two sides.
        others: images that are on neither side, and so share something with both.
    """
    held_out = list_held_out(train, validation)
    known, names = [*train, *others, *validation], _names_in(held_out)
    seen = [sample for sample in known if _name_of(sample) not in names]
    return Record(
        held_out,
        frozenset(_folder_of(sample.origin) for sample in known if PIECE_OF in sample.extra),
        frozenset(hash_images(seen)) - {None},
    )


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
        held_out.setdefault(_folder_of(origin), []).append(_file_of(origin))
    return held_out


def hash_images(samples: Iterable[Sample]) -> list[str | None]:
    """Hash the files of images, several at a time.

    Returns:
        A text of hexadecimal digits each; None for a file that cannot be read.
    """
    samples = list(samples)
    blocks = [samples[start : start + BLOCK] for start in range(0, len(samples), BLOCK)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = itertools.chain.from_iterable(pool.map(_hash_block, blocks))
        return list(progress_bar(found, total=len(samples), unit="image", desc="known images"))


def _hash_block(samples: list[Sample]) -> list[str | None]:
    return [_hash(sample.image_path) for sample in samples]


def _hash(path: Path) -> str | None:
    try:
        return file_digest(path)[:DIGEST].hex()
    except OSError:  # named as damaged where it is to be decoded
        return None


def still_held_out(before: Record, now: Record) -> Record:
    """What a model that is trained further will still not have seen.

    Of a folder that its record knows it is what was held out both then and now; of a folder no
    longer trained on, what was then.

    Params:
        before: the record of the model as it is.
        now: of the training to come.
    """
    both = {
        folder: sorted(set(files) & set(before.held_out.get(folder, files)))
        for folder, files in now.held_out.items()
    }
    return Record(
        {**before.held_out, **both}, before.by_name | now.by_name, before.contents | now.contents
    )


def record_file(model_dir: Path) -> Path | None:
    """The file that says what a model was trained on; None where there is none.

    Params:
        model_dir: the model's folder, or one of its checkpoints.
    """
    path = Path(model_dir) / TRAINING_FILE
    if not path.exists() and CHECKPOINT.fullmatch(path.resolve().parent.name):
        path = path.resolve().parents[1] / TRAINING_FILE  # of the run that it is from
    return path if path.exists() else None


def read_record(model_dir: Path) -> Record:
    """Read what a model was trained on.

    Params:
        model_dir: the model's folder, or one of its checkpoints.

    Returns:
        The record; an empty one where there is none.

    Raises:
        DataError: it is damaged.
    """
    path = record_file(model_dir)
    if path is None:
        return Record()
    record = read_json(path)
    held_out, contents = record.get(HELD_OUT, {}), record.get(CONTENTS, "")
    is_sound = isinstance(held_out, dict) and isinstance(contents, str)
    # In older records names alone tell.
    by_name = record.get(BY_NAME, list(held_out) if is_sound else None)
    if not is_sound or not all(map(_are_names, (*held_out.values(), by_name))):
        raise DataError(
            f"{path}: damaged (its {HELD_OUT}, {BY_NAME} or {CONTENTS}); delete it or train again"
        )
    return Record(held_out, frozenset(by_name), frozenset(contents.split()))


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


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
    unseen = find_unseen(read_record(model_dir), samples)
    if not unseen:
        raise DataError(
            f"{samples[0].folder}: the model was trained on all images of this folder; "
            "evaluate.py --split all and tune.py --test_size 1 take them all the same"
        )
    return unseen if len(unseen) < len(samples) else None


def find_unseen(record: Record, samples: list[Sample]) -> list[Sample]:
    """Those of some samples that are not known to have been trained on."""
    (flags,) = tell_unseen([record], samples)
    return [sample for sample, unseen in zip(samples, flags, strict=True) if unseen]


def tell_unseen(records: Sequence[Record], samples: Sequence[Sample]) -> list[list[bool]]:
    """Whether each sample is not known to have been trained on, for each record.

    Each file is hashed once, and only where a record needs it.
    """
    any_contents = any(record.contents for record in records)
    hashes = hash_images(samples) if any_contents else [None] * len(samples)
    all_names = [_names_in(record.held_out) for record in records]
    flags = [[] for _ in records]
    for sample, digest in zip(samples, hashes, strict=True):
        name = folder, _ = _name_of(sample)
        for own, record, names in zip(flags, records, all_names, strict=True):
            tells = folder in (record.held_out if PIECE_OF in sample.extra else record.by_name)
            # A sample counts as trained on by its name, or by its contents.
            own.append(digest not in record.contents and not (tells and name not in names))
    return flags


def _names_in(held_out: dict[str, list[str]]) -> set[tuple[str, str]]:
    """The folder and the file of each image that is held out."""
    return {(folder, file) for folder, files in held_out.items() for file in files}


def _name_of(sample: Sample) -> tuple[str, str]:
    """The folder and the file that an image is known by."""
    return _folder_of(sample.origin), _file_of(sample.origin)


def _folder_of(origin: str) -> str:
    return origin.partition("/")[0]


def _file_of(origin: str) -> str:
    return origin.partition("/")[2]
