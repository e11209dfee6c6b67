"""A triplet folder that is written chunk by chunk: started, gone on with, finished.

dataset.json is there before anything else and never absent afterwards. Each chunk writes its own
files, then the annotation file that marks it done.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from textdet.common.cli import name_left_out
from textdet.common.errors import DataError
from textdet.common.files import write_atomically, write_json
from textdet.data.annotation import (
    AFFINITIES,
    ANNOTATION_ERRORS,
    ANNOTATIONS,
    CHARACTERS,
    IMAGES,
    Sample,
)
from textdet.data.triplets import FORMAT_VERSION, make_folders

RECORD, PREVIEW = "dataset.json", "preview.jpg"
NAMED = 10  # lines about what was left out that are shown at the end
LEFT_OUT = "left_out"  # folder with a file for each chunk that lacks something, a line each


def start_folder(
    folder: Path,
    settings: dict,
    overwrite: bool,
    growing: str | None = None,
    sources: Iterable[Path] = (),
) -> dict:
    """Create a folder, or see that what it holds was made with the same settings.

    Whatever moment a run is killed at, the next one knows the folder by its record. growing: the
    setting that may be larger than it was. sources: what is only read, which overwriting must not
    delete. Returns the settings as they stand in the record. Raises DataError when they differ, the
    folder holds a source or other things or cannot be written.
    """
    for source in sources:
        if source.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{source} is only read from; name another --save_folder than {folder}")
    settings = {"format_version": FORMAT_VERSION, **settings}
    record = folder / RECORD
    parts = [folder / name for name in (IMAGES, CHARACTERS, AFFINITIES, ANNOTATIONS)]
    if not record.exists():
        _refuse_stranger(folder)
    elif not overwrite:
        _refuse_other_settings(record, settings, growing)
    try:
        if record.exists() and overwrite:
            # The annotations first: they say which images are there.
            for part in (*reversed(parts), folder / LEFT_OUT, folder / "cache"):
                if part.exists():
                    shutil.rmtree(part)
            (folder / PREVIEW).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(record, settings)
        make_folders(folder)
        for part in (folder, *parts, folder / LEFT_OUT):
            for leftover in part.glob(".*.tmp"):  # of a run that was killed
                leftover.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from None
    return settings


def _refuse_stranger(folder: Path) -> None:
    """Raises DataError when the folder is not one to begin in: neither absent nor empty."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    if folder.exists() and any(not path.name.endswith(".tmp") for path in folder.iterdir()):
        raise DataError(f"{folder} is there already and was not made by this script")


def _refuse_other_settings(record: Path, settings: dict, growing: str | None) -> None:
    """Raises DataError when a folder's record cannot be read or names other settings."""
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError
    except ValueError:
        raise DataError(f"{record} is damaged; --overwrite starts anew") from None
    differing = [
        f"{name} ({before.get(name)} there, {value} now)"
        for name, value in settings.items()
        if before.get(name) != value and not (name == growing and before.get(name, 0) < value)
    ]
    if differing:
        raise DataError(
            f"{record.parent} was made with other settings: {', '.join(differing)}; "
            "--overwrite deletes it and starts anew"
        )


def chunk_path(folder: Path, number: int) -> Path:
    """The annotation file of a chunk."""
    return folder.absolute() / ANNOTATIONS / f"{number:05d}.jsonl"


def chunks_to_do(
    folder: Path, samples: list[Sample], size: int
) -> tuple[list[tuple[Path, list[Sample]]], int]:
    """The chunks of `size` samples that are not there yet, each with its annotation file, and the
    number of samples in the others."""
    chunks = [samples[i : i + size] for i in range(0, len(samples), size)]
    paths = [chunk_path(folder, number) for number in range(len(chunks))]
    todo = [(p, chunk) for p, chunk in zip(paths, chunks, strict=True) if not p.exists()]
    return todo, len(samples) - sum(len(chunk) for _, chunk in todo)


def words_fingerprint(samples: list[Sample]) -> str:
    """Changes with the images' names, their order and their words: with what each chunk holds."""
    total = hashlib.sha256()
    for sample in samples:
        total.update(f"{sample.file}\n{len(sample.words)}\n".encode(errors="surrogatepass"))
        for word in sample.words:
            about = f"{word.text}\n{word.ignore}\n{len(word.polygon)}\n"
            total.update(about.encode(errors="surrogatepass"))
            total.update(word.polygon.tobytes())
    return total.hexdigest()[:16]


def finish_chunk(path: Path, records: list[dict], problems: list[str]) -> None:
    """Write a chunk's annotations; before them, the lines about what it lacks.

    path: as chunk_path gives it.
    """
    note = path.parent.parent / LEFT_OUT / f"{path.stem}.txt"
    if problems:
        note.parent.mkdir(exist_ok=True)
        write_atomically(note, "".join(f"{' '.join(line.split())}\n" for line in problems))
    else:  # an earlier run may have met some
        note.unlink(missing_ok=True)
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_atomically(path, "".join(lines))


def read_left_out(folder: Path, chunk: str = "*") -> list[str]:
    """The lines about everything that a folder lacks, or one of its chunks, in order."""
    files = sorted((folder / LEFT_OUT).glob(f"{chunk}.txt"))
    return [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def report_left_out(folder: Path) -> None:
    """Name the first things that a folder lacks, and the files that name them all."""
    lines = read_left_out(folder)
    if lines:
        print(f"  what was left out, and why: {folder / LEFT_OUT}")
        name_left_out(lines[:NAMED])


def read_records(path: Path) -> list[dict]:
    """A finished chunk's annotations. Raises DataError when they are damaged."""
    try:
        # Not splitlines(): a text may hold a line separator of another kind.
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    except ValueError as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged ({error!r}); delete it to have it made again")


def iterate_samples(folder: Path) -> Iterator[Sample]:
    """The samples of a finished folder, a chunk at a time. Raises DataError as read_records."""
    for path in sorted((folder / ANNOTATIONS).glob("*.jsonl")):
        for record in read_records(path):
            try:
                sample = Sample.from_json(folder, record)
            except ANNOTATION_ERRORS as error:
                raise _damaged(path, error) from None
            yield sample
