"""Folders written chunk by chunk: each chunk writes its own files, then the annotation file that
marks it done. A second run with the same settings goes on after the finished chunks."""

import json
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from dataset_utils import (
    AFFINITIES,
    ANNOTATIONS,
    CHARACTERS,
    FORMAT_VERSION,
    IMAGES,
    DataError,
    make_folders,
    write_atomically,
    write_json,
)

RECORD, PREVIEW = "dataset.json", "preview.jpg"
LEFT_OUT = "left_out"  # folder with a file for each chunk that lacks something, a line each
WAITING = 2  # chunks a worker that are handed out ahead, so that a long list is never held whole


def start_folder(folder: Path, settings: dict, overwrite: bool, growing: str | None = None) -> dict:
    """Create a triplet folder, or see that what it holds was made with the same settings.

    growing: the setting that may be larger than it was. Returns the settings as they stand in the
    folder's record. Raises DataError when they differ or the folder holds other things.
    """
    settings = {"format_version": FORMAT_VERSION, **settings}
    record = folder / RECORD
    if overwrite and record.exists():
        for name in (IMAGES, CHARACTERS, AFFINITIES, ANNOTATIONS, LEFT_OUT, "cache"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / PREVIEW).unlink(missing_ok=True)
        record.unlink()  # last, so that the folder stays ours when this is interrupted
    if record.exists():
        _compare(folder, settings, growing)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already and was not made by this script")
    make_folders(folder)
    for leftover in folder.rglob(".*.tmp"):  # of a run that was killed
        leftover.unlink()
    write_json(record, settings)
    return settings


def _compare(folder: Path, settings: dict, growing: str | None) -> None:
    """Raise DataError that names the settings in which a folder's record differs."""
    try:
        before = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except ValueError:
        raise DataError(f"{folder / RECORD} is damaged; --overwrite starts anew") from None
    differing = [
        f"{name} ({before.get(name)} there, {value} now)"
        for name, value in settings.items()
        if before.get(name) != value and not (name == growing and before.get(name, 0) <= value)
    ]
    if differing:
        raise DataError(
            f"{folder} was made with other settings: {', '.join(differing)}; "
            "--overwrite deletes it and starts anew"
        )


def finish_chunk(path: Path, records: list[dict], problems: list[str]) -> None:
    """Write a chunk's annotations; before them, the lines about what it lacks.

    path: as chunk_path gives it.
    """
    if problems:
        lines = path.parent.parent / LEFT_OUT / f"{path.stem}.txt"
        lines.parent.mkdir(exist_ok=True)
        write_atomically(lines, "".join(f"{' '.join(line.split())}\n" for line in problems))
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_atomically(path, "".join(lines))


def read_left_out(folder: Path) -> list[str]:
    """The lines about everything that a folder lacks, in order."""
    files = sorted((folder / LEFT_OUT).glob("*.txt"))
    return [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def chunk_path(folder: Path, number: int) -> Path:
    """The annotation file of a chunk."""
    return folder.absolute() / ANNOTATIONS / f"{number:05d}.jsonl"


def run_chunks(run_chunk: Callable, chunks: Iterable[tuple], num_workers: int, report: Callable):
    """Call run_chunk(*chunk) for every chunk, in this process or in num_workers others.

    run_chunk: a module's function; chunks: its arguments, taken one by one as workers get free;
    report: called with each result as it comes. Raises DataError when a worker is killed.
    """
    if num_workers == 1:
        for chunk in chunks:
            report(run_chunk(*chunk))
        return
    # A fresh interpreter a worker: forking a process that holds threads can deadlock.
    with ProcessPoolExecutor(num_workers, get_context("spawn")) as pool:
        run_on(pool, run_chunk, chunks, num_workers, report)


def run_on(pool, run_chunk: Callable, chunks: Iterable[tuple], num_workers: int, report: Callable):
    """run_chunks on an executor that is there (see there)."""
    running = set()
    try:
        for chunk in chunks:
            running.add(pool.submit(run_chunk, *chunk))
            if len(running) >= WAITING * num_workers:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    report(future.result())
        for future in list(running):
            report(future.result())
    except BrokenExecutor:
        raise DataError(
            "a worker process was killed, perhaps for want of memory; go on with fewer "
            "--num_workers"
        ) from None
    finally:
        for future in running:  # those that wait, when one has failed
            future.cancel()
