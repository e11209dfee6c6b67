"""Chunks of images: made one after the other, in worker processes or on a Dask cluster.

A chunk's annotation file is written last and marks it done.
"""

import json
import math
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

from dataset_utils import DataError, write_atomically, write_triplet
from stage_times import SECONDS, stage
from static import constants as C

HEIGHTS = (0, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # px, where the bins of text heights begin
_one_at_a_time = threading.Lock()  # fonts and the stages' times belong to one thread of a process


@dataclass(frozen=True)
class Job:
    """What a worker needs to make any chunk: plain values, so that it travels anywhere."""

    folder: Path
    seed: int
    size: int
    backgrounds: tuple[Path, ...]
    fonts: tuple[Path, ...]
    words: Path


@dataclass(frozen=True)
class Chunk:
    """The numbers of its images, and the annotation file that marks it done."""

    indices: range
    path: Path


def run_chunk(job: Job, chunk: Chunk) -> tuple[Counter, Counter]:
    """Make the images of one chunk, then its annotation file: its counts, and seconds by stage."""
    with _one_at_a_time:
        before = SECONDS.copy()
        with stage("starting"):
            import cv2

            from generate_utils import generate_triplet, open_resources

            cv2.setNumThreads(1)  # the processes share the cores
            resources = open_resources(job.backgrounds, job.fonts, job.words)
        records = []
        with stage("other"):
            for index in chunk.indices:
                sample, image, maps = generate_triplet(
                    resources, job.folder, job.seed, index, job.size
                )
                with stage("files"):
                    write_triplet(sample, image, maps, C.JPEG_QUALITY)
                records.append(sample.to_json())
            lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
            write_atomically(chunk.path, "".join(lines))
        return count_records(records), SECONDS - before


def read_records(path: Path) -> list[dict]:
    """A finished chunk's annotations. Raises DataError when they are damaged."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); delete it to have it made again") from None


def count_records(records: list[dict]) -> Counter:
    """Images, words, characters, dropped blocks, and words by height bin (its first px)."""
    counts = Counter(images=len(records))
    for record in records:
        counts["dropped blocks"] += record.get("dropped_blocks", 0)
        counts["words"] += len(record["words"])
        for word in record["words"]:
            cells = word["characters"]
            counts["characters"] += len(cells)
            height = math.dist(cells[0]["quad"][3], cells[0]["quad"][0])
            counts[max(low for low in HEIGHTS if low <= height)] += 1
    return counts


# --- Workers ---------------------------------------------------------------------------------


def run_chunks(
    job: Job, chunks: list[Chunk], workers: int, cluster: str | None
) -> Iterator[tuple[Counter, Counter]]:
    """Run the chunks; what run_chunk returns, in the order in which they are done.

    workers: processes of this machine; cluster: address of a Dask scheduler to use instead.
    Raises DataError when no cluster answers or a worker is lost, and what run_chunk raises.
    """
    if workers == 1 and not cluster:
        for chunk in chunks:
            yield run_chunk(job, chunk)
        return
    pool = _dask_executor(cluster) if cluster else local_executor(min(workers, len(chunks)))
    running = [pool.submit(run_chunk, job, chunk) for chunk in chunks]
    try:
        with _lost_workers():
            for future in as_completed(running):
                yield future.result()
    except BaseException:
        for future in running:
            future.cancel()
        stop_workers()
        raise


def stop_workers() -> None:
    """End this process's workers at once; what they have not finished is made again later."""
    for process in active_children():
        process.kill()


def local_executor(workers: int) -> ProcessPoolExecutor:
    """Worker processes that end with this one."""
    # A fresh interpreter a worker: forking a process that holds threads can deadlock.
    return ProcessPoolExecutor(max(1, workers), get_context("spawn"), start_worker)


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow_parent() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


def _dask_executor(address: str):
    """The workers need this project on their path and the folders under the same names."""
    try:
        from distributed import Client
    except ImportError:
        raise DataError("--cluster needs Dask: pip install distributed") from None
    try:
        return Client(address, timeout="10s").get_executor()
    except (OSError, ValueError) as error:
        raise DataError(f"{address}: no Dask scheduler answers there ({error})") from None


@contextmanager
def _lost_workers():
    """Say in a line what became of workers that did not come back with a result."""
    go_on = "the same command goes on from here"
    try:
        yield
    except BrokenExecutor:
        raise DataError(
            f"a worker process was killed, perhaps for want of memory; {go_on}, "
            "with fewer --num_workers it takes less"
        ) from None
    except CancelledError:
        raise DataError(f"the cluster's scheduler has gone; {go_on}") from None
    except ModuleNotFoundError as error:
        raise DataError(
            f"a worker has no module {error.name}; start the cluster's workers in this project's "
            "folder, with the same packages"
        ) from None
    except Exception as error:
        if type(error).__name__ != "KilledWorker":  # Dask's; it need not be installed
            raise
        raise DataError(
            f"the cluster's workers were killed, perhaps for want of memory; {go_on}"
        ) from None
