"""Worker processes, of this machine or of a Dask cluster, that end as they should."""

import multiprocessing.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process

from textdet.common.cluster import POLL_INTERVAL, Cluster, ClusterPool
from textdet.common.errors import DataError

MAX_WORKERS_ON_WINDOWS = 61  # processes, the most that one thread can wait for there
CALLS_AHEAD = 2  # calls per worker handed out early, so that a long list is never held whole


def available_cores() -> int:
    """How many cores this process may use: under SLURM, taskset or docker --cpuset-cpus they are
    fewer than the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux alone
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def run_calls(
    function: Callable,
    calls: Iterable[tuple],
    workers: int,
    cluster: Cluster | None = None,
    shared: tuple | Callable[[], tuple] = (),
    ahead: int = CALLS_AHEAD,
) -> Iterator:
    """Call function(*shared, *call) for every call, in this process or in others.

    Params:
        function: of a module, so that every process finds it.
        calls: taken one by one as workers get free.
        workers: processes of this machine; 1 for this process itself.
        cluster: the Dask cluster to use instead.
        shared: large values, or a call that makes them (opens a model): each process has them from
            its first call on.
        ahead: calls per process that are handed out early; with 1 the next call is asked for when a
            process is free and its result has been taken.

    Returns:
        yields the results, in the order in which they are done.

    Raises:
        DataError: when no cluster answers or a worker is lost; and what the function raises.
    """
    if workers == 1 and not cluster:
        made = None
        for call in calls:
            made = _make(shared) if made is None else made
            yield function(*made, *call)
        return
    if cluster:
        yield from _gather(ClusterPool(cluster, function, shared, ahead), calls)
    else:
        yield from _gather(_LocalPool(workers, function, shared, ahead), calls)


class _LocalPool:
    """Hands calls to processes of this machine; see run_calls for the parameters."""

    def __init__(self, workers: int, function: Callable, shared: tuple | Callable, ahead: int):
        self.executor = local_executor(workers, shared)
        self.function, self.at_most = function, ahead * workers

    def submit(self, *call: object) -> Future:
        return self.executor.submit(_call_with_shared, self.function, *call)

    def most(self) -> int:
        return self.at_most

    def cancel(self, running: set[Future]) -> None:
        # The calls end with their processes. Cancelled as well, one that no process has begun makes
        # the pool's thread fail (InvalidStateError, Python 3.11).
        stop_workers()

    def close(self) -> None:
        # Its thread must have ended before the interpreter does: that one wakes every such thread,
        # through a pipe that a broken pool may be closing just then.
        self.executor.shutdown(cancel_futures=True)

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenExecutor:
            raise DataError(
                "a worker process was killed, perhaps for want of memory; the same command goes on "
                "from what is finished, with fewer workers it takes less"
            ) from None


def _gather(pool: "_LocalPool | ClusterPool", calls: Iterable[tuple]) -> Iterator:
    """Hand out calls as the pool takes them, and yield the results as they are done."""
    running = set()
    try:
        with pool.plain_errors():
            for call in calls:
                running.add(pool.submit(*call))
                while len(running) >= pool.most():
                    yield from _take_finished(running)
            while running:
                pool.most()
                yield from _take_finished(running)
    except BaseException:
        pool.cancel(running)
        raise
    finally:
        pool.close()


def _take_finished(running: set[Future]) -> Iterator:
    """Wait a little for results, and yield those that are there."""
    finished, _ = wait(running, POLL_INTERVAL, FIRST_COMPLETED)
    running -= finished
    for future in finished:
        yield future.result()


def stop_workers() -> None:
    """End this process's workers at once; what they have not finished is made again later."""
    for process in active_children():
        process.kill()


def end_quietly() -> None:
    """End this process's workers, whoever started them, before it ends by os._exit."""
    if hasattr(signal, "SIGCHLD"):  # PyTorch's loader takes it for a failure that workers end
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stop_workers()
    # Semaphores that are still there would be complained about, and os._exit leaves them.
    multiprocessing.util._run_finalizers(0)


def local_executor(workers: int, shared: tuple | Callable[[], tuple] = ()) -> ProcessPoolExecutor:
    """Worker processes of this machine that end with this one.

    Params:
        workers: processes, one at least.
        shared: see run_calls.
    """
    if sys.platform == "win32":
        workers = min(workers, MAX_WORKERS_ON_WINDOWS)
    # A fresh interpreter per worker: forking a process that holds threads can deadlock.
    return ProcessPoolExecutor(max(1, workers), get_context("spawn"), start_worker, (shared,))


# Of a worker process: a pool offers no other way to send a value only once.
_shared: tuple | Callable[[], tuple] = ()


def start_worker(shared: tuple | Callable[[], tuple]) -> None:
    """Set up a worker process: it leaves Ctrl-C to its parent, and ends with it however it ends.

    Params:
        shared: kept for all calls of this process.
    """
    global _shared
    _shared = shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow_parent() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=follow_parent, daemon=True).start()


def _call_with_shared(function: Callable, *call):
    global _shared
    _shared = _make(_shared)
    return function(*_shared, *call)


def _make(shared: tuple | Callable[[], tuple]) -> tuple:
    return shared() if callable(shared) else shared
