"""A folder of triplets that is made chunk by chunk: begun, gone on with, finished.

dataset.json is there before anything else and never absent afterwards. Each chunk writes its own
files, then the annotation file that marks it done.
"""

import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from textdet.common.cli import name_left_out, one_line, progress_bar
from textdet.common.cluster import Cluster
from textdet.common.errors import DataError
from textdet.common.files import (
    UNFINISHED,
    earlier_record,
    parse_json,
    write_atomically,
    write_json,
)
from textdet.common.fingerprints import fingerprint
from textdet.common.workers import run_calls
from textdet.data.annotation import (
    AFFINITIES,
    ANNOTATIONS,
    CHARACTERS,
    IMAGES,
    READING_ERRORS,
    Sample,
)
from textdet.data.cache import CACHE, delete_caches, is_held
from textdet.data.triplets import FORMAT_VERSION, make_folders

DATASET_FILE, PREVIEW_FILE = "dataset.json", "preview.jpg"
OWN_FIELDS = {"format_version", "chunk_size"}  # of dataset.json, whatever made the folder
LEFT_OUT = "left_out"  # folder with a file for each chunk that lacks something, a line each
# What a run makes; the annotations first, which say that the others are there.
PARTS = (ANNOTATIONS, AFFINITIES, CHARACTERS, IMAGES, LEFT_OUT)
CLAIMS = ".claims"  # folder with a file for each chunk that a process is making, while it does
WAIT = 1.0  # s, until chunks that others make are looked at again
MAX_NAMED = 10  # lines about what was left out that are shown at the end


# --- All chunks ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chunk:
    """A part of a folder that is made in one go.

    Params:
        path: its annotation file, which marks it done.
        start: the number of its first image in the folder.
        sources: what its images are made of, such as samples; a line of text stands for an image
            that is left out.
    """

    path: Path
    start: int
    sources: Sequence

    @property
    def folder(self) -> Path:
        """The folder of triplets that it is a part of."""
        return self.path.parent.parent

    @property
    def images(self) -> int:
        """How many images it is made of."""
        return sum(not isinstance(source, str) for source in self.sources)


def cut_chunks(folder: Path, sources: Sequence, size: int) -> list[Chunk]:
    """The chunks that a folder is made of.

    Params:
        sources: one entry per image, see Chunk.
        size: images in a chunk; the last one has what is left.
    """
    return [
        Chunk(chunk_path(folder, start // size), start, sources[start : start + size])
        for start in range(0, len(sources), size)
    ]


def fill_folder(
    folder: Path,
    settings: dict,
    chunks: Iterable[Chunk],
    work: Callable[[Iterable[Chunk]], Iterator[int]],
    summarise: Callable[[Path], dict],
    *,
    is_done: Callable[[Chunk], bool] = lambda chunk: chunk.path.exists(),
    total: int | None = None,
    problems: Sequence[str] = (),
    shared: bool = False,
) -> dict:
    """Make the chunks that a folder lacks, with a progress bar, then its dataset.json.

    Params:
        folder, settings: as start_folder left and returned them.
        chunks: all of the folder's, taken one by one as they are needed.
        work: takes the chunks that are not there, yields the number of images of each one made;
            see in_workers.
        summarise: takes the finished folder, gives the counts for dataset.json.
        is_done: whether a chunk is there; it may delete what is there wrongly.
        total: images in all chunks; None where nobody knows.
        problems: lines about what was left out before the chunks were cut.
        shared: whether other processes may make chunks of the folder at the same time; then
            summarise must count theirs.

    Returns:
        The counts.

    Raises:
        what the functions given raise.
    """
    claims = _Claims(folder) if shared else None
    with progress_bar(total=total, unit="image") as bar:

        def missing(candidates: Iterable[Chunk], elsewhere: list[Chunk]) -> Iterator[Chunk]:
            for chunk in candidates:
                if is_done(chunk):
                    bar.initial += chunk.images  # they do not count for the rate
                    bar.update(chunk.images)
                elif claims and not claims.take(chunk):
                    elsewhere.append(chunk)
                else:
                    yield chunk

        while chunks:
            elsewhere = []  # what other processes have begun, and may yet leave undone
            made = False
            for images in work(missing(chunks, elsewhere)):
                bar.update(images)
                made = True
                if claims:
                    claims.release()
            chunks = elsewhere
            if chunks and not made:
                time.sleep(WAIT)
    if claims:
        claims.clear()
    counts = summarise(folder)
    left_out = [*problems, *read_left_out(folder)]
    write_json(folder / DATASET_FILE, {**settings, "counts": counts, "left_out": left_out})
    return counts


class _Claims:
    """Which chunks this process makes: it holds a file of each one locked until it is done. A
    process that ends leaves its chunks to the others."""

    def __init__(self, folder: Path):
        self.folder = folder / CLAIMS
        self.held: dict[Path, FileLock] = {}  # by the chunk's annotation file

    def take(self, chunk: Chunk) -> bool:
        """Claim a chunk, unless another process has."""
        lock = FileLock(self.folder / f"{chunk.path.stem}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self.held[chunk.path] = lock
        return True

    def release(self) -> None:
        """Give back the claims to what is done."""
        for path in [path for path in self.held if path.exists()]:
            self.held.pop(path).release()

    def clear(self) -> None:
        """Delete the files, when all chunks are done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_claimed(folder: Path) -> bool:
    """Whether a process makes chunks of the folder at this moment."""
    return any(map(is_held, (folder / CLAIMS).glob("*.lock")))


def in_workers(
    function: Callable,
    *arguments: Any,
    workers: int,
    cluster: Cluster | None = None,
    shared: tuple | Callable[[], tuple] = (),
) -> Callable[[Iterable[Chunk]], Iterator]:
    """`work` for fill_folder that makes chunks in worker processes.

    Params:
        function: of a module; takes what is shared, a chunk and the arguments, returns its number
            of images.
        arguments: what each call gets beside the chunk.
        workers, cluster, shared: see workers.run_calls.
    """

    def work(chunks: Iterable[Chunk]) -> Iterator:
        calls = ((chunk, *arguments) for chunk in chunks)
        return run_calls(function, calls, workers, cluster, shared)

    return work


# --- Beginning -------------------------------------------------------------------------------


def start_folder(
    folder: Path,
    settings: dict,
    overwrite: bool,
    growing: str | None = None,
    read_only: Iterable[Path] = (),
) -> dict:
    """Create a folder, or check that what it holds was made with the same settings.

    Whenever a run is killed, the next one knows the folder by its dataset.json.

    Params:
        settings: what the images depend on, values that JSON can hold.
        overwrite: whether to delete what an earlier run made.
        growing: the setting that may be larger than it was.
        read_only: what is only read, which overwriting must not delete.

    Returns:
        The settings as they stand in dataset.json.

    Raises:
        DataError: when the settings differ, or the folder holds something of `read_only` or other
            things, or cannot be written, or is to be deleted while another process fills it.
    """
    refuse_sources(folder, read_only)
    settings = {"format_version": FORMAT_VERSION, **settings}
    record = folder / DATASET_FILE
    before = _read_settings(record)
    if before is None and _is_in_use(folder):
        before = _read_settings(record)  # another process may just have begun it
        if before is None:
            raise DataError(f"{folder} is there already and was not made by this script")
    if before is not None and not overwrite:
        _refuse_other_settings(folder, before, settings, growing)
    is_shared = _is_claimed(folder)
    if is_shared and overwrite:
        raise DataError(f"{folder} is being made by another process")
    try:
        if before is not None and overwrite:
            _delete_made(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(record, settings)
        make_folders(folder)
        if not is_shared:
            _delete_unfinished(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from None
    return settings


def _delete_made(folder: Path) -> None:
    """Delete what an earlier run made, and nothing else; the record stays."""
    for name in PARTS:
        if (folder / name).exists():
            shutil.rmtree(folder / name)
    (folder / PREVIEW_FILE).unlink(missing_ok=True)
    delete_caches(folder / CACHE)


def _delete_unfinished(folder: Path) -> None:
    """Delete files that a killed run was writing."""
    inside = ((folder / name).rglob(f".*{UNFINISHED}") for name in PARTS)
    for leftover in itertools.chain(folder.glob(f".*{UNFINISHED}"), *inside):
        leftover.unlink(missing_ok=True)


def refuse_sources(folder: Path, read_only: Iterable[Path]) -> None:
    """Raise DataError when a folder to write is, or holds, something that is only read."""
    for source in read_only:
        if Path(os.path.realpath(source)).is_relative_to(os.path.realpath(folder)):
            raise DataError(f"{source} is only read from; name another --save_folder than {folder}")


def refuse_inside(folder: Path, source: Path) -> None:
    """Raise DataError when a folder to write lies within a data set. Whatever reads the set from
    then on, as the same command does to go on, finds its images twice or takes the copy's labels.
    Our own annotations say where their images are: below them nothing is looked for.

    Params:
        folder: to write.
        source: the data set.
    """
    own = Path(os.path.realpath(source))
    inside = own in Path(os.path.realpath(folder)).parents
    if inside and not any((source / ANNOTATIONS).glob("*.jsonl")):
        raise DataError(
            f"{folder} lies in {source}, where it would be taken for a part of the data set; name "
            "a --save_folder elsewhere"
        )


def _is_in_use(folder: Path) -> bool:
    """Whether a folder is neither absent nor empty. Raises DataError when it is none."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    return folder.exists() and any(not p.name.endswith(UNFINISHED) for p in folder.iterdir())


def _read_settings(record: Path) -> dict | None:
    """What a folder was made with, None when it has no record.

    Raises:
        DataError: the record is damaged or another tool's, and so the folder may not be ours.
    """
    if not record.exists():
        return None
    before = earlier_record(record)
    if not before.keys() >= OWN_FIELDS:
        raise DataError(
            f"{record} is damaged or another tool's; name another --save_folder, or delete "
            f"{record.parent} yourself"
        )
    return before


def _refuse_other_settings(folder: Path, before: dict, settings: dict, growing: str | None) -> None:
    """Raises DataError when a folder's record names other settings."""
    differing = [
        f"{name} ({there} there, {now} now)"
        for name, there, now in compare_settings(before, settings)
        if there != now and not (name == growing and isinstance(there, int) and there < now)
    ]
    if differing:
        raise DataError(
            f"{folder} was made with other settings: {', '.join(differing)}; "
            "--overwrite deletes it and starts anew"
        )


def compare_settings(before: dict, settings: dict) -> Iterator[tuple[str, Any, Any]]:
    """The name of each setting, its value in the record and the one now.

    Those of a table come one by one: the table holds what differs from the defaults.
    """
    for name, value in settings.items():
        there = before.get(name)
        if isinstance(there, dict) and isinstance(value, dict):
            for key in {**there, **value}:
                yield key, there.get(key, "the default"), value.get(key, "the default")
        else:
            yield name, there, value


def words_fingerprint(samples: list[Sample]) -> str:
    """Changes with the images' names, their order and their words: with what each chunk holds."""

    def parts() -> Iterator[str | bytes]:
        for sample in samples:
            yield f"{sample.file}\n{len(sample.words)}\n"
            for word in sample.words:
                yield f"{word.text}\n{word.ignore}\n{len(word.polygon)}\n"
                yield word.polygon.tobytes()

    return fingerprint(parts())


# --- A chunk ---------------------------------------------------------------------------------


def chunk_path(folder: Path, number: int) -> Path:
    """The annotation file of a folder's chunk with this number, 0 for the first."""
    return folder.absolute() / ANNOTATIONS / f"{number:05d}.jsonl"


def finish_chunk(path: Path, records: Iterable[dict | str], problems: list[str]) -> None:
    """Write a chunk's annotations; before them, what it lacks.

    Params:
        path: as chunk_path gives it.
        records: one annotation per image, of Sample.to_json, or encoded by annotation_line.
        problems: a line for each thing that was left out.
    """
    note = path.parent.parent / LEFT_OUT / f"{path.stem}.txt"
    if problems:
        note.parent.mkdir(exist_ok=True)
        write_atomically(note, "".join(f"{one_line(line)}\n" for line in problems))
    else:  # an earlier run may have met some
        note.unlink(missing_ok=True)
    lines = (r if isinstance(r, str) else annotation_line(r) for r in records)
    write_atomically(path, "".join(lines))


def annotation_line(record: dict) -> str:
    """An annotation as its line of a file. Thousands of small lists that wait for their chunk's end
    would be gone through again and again by Python's garbage collector, a line is not."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def read_chunk(path: Path) -> list[Sample]:
    """A finished chunk's samples. Raises DataError when its annotations are damaged."""
    with using_chunk(path):
        lines = path.read_bytes().split(b"\n")
        return [Sample.from_json(path.parent.parent, parse_json(line)) for line in lines if line]


@contextmanager
def using_chunk(path: Path) -> Iterator[None]:
    """Raise DataError for whatever a block finds to be wrong with a finished chunk.

    Params:
        path: its annotation file.
    """
    try:
        yield
    except READING_ERRORS as error:
        raise DataError(f"{path} is damaged ({error!r}); delete it to have it made again") from None


# --- What is there ---------------------------------------------------------------------------


def iterate_samples(folder: Path) -> Iterator[Sample]:
    """The samples of a finished folder, a chunk at a time. Raises DataError as read_chunk."""
    paths = sorted((folder / ANNOTATIONS).glob("*.jsonl"))
    for path in progress_bar(paths, unit="chunk", desc="reading", delay=2):
        yield from read_chunk(path)


def read_left_out(folder: Path) -> list[str]:
    """The lines about everything that a folder lacks, in order."""
    files = sorted((folder / LEFT_OUT).glob("*.txt"))
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in files)
    return [line for text in texts for line in text.splitlines()]


def report_left_out(folder: Path) -> None:
    """Name the first things that a folder lacks, and the files that name them all."""
    lines = read_left_out(folder)
    if lines:
        print(f"  what was left out, and why: {folder / LEFT_OUT}")
        name_left_out(lines[:MAX_NAMED])
