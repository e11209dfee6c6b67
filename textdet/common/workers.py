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
    CancelledError,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, get_context, parent_process

from textdet.common.errors import DataError

# What Dask's processes must be able to import: textdet, generate_utils and static.
WITH_MODULES = "in this project's folder with PYTHONPATH=. and the same packages"
MOST_ON_WINDOWS = 61  # processes, the most that one thread can wait for there
AHEAD = 2  # calls a worker that are handed out early, so that a long list is never held whole


def run_calls(
    function: Callable,
    calls: Iterable[tuple],
    workers: int,
    cluster: str | None = None,
    shared: tuple = (),
    ahead: int | None = None,
) -> Iterator:
    """Call function(*shared, *call) for every call, in this process or in others.

    Params:
        function: of a module, so that every process finds it.
        calls: taken one by one as workers get free.
        workers: processes of this machine; 1 for this process itself.
        cluster: address of a Dask scheduler whose workers to use instead.
        shared: large values that each process of this machine is sent once.
        ahead: calls a process that are handed out early, by default AHEAD; with 1 the next call is
            asked for when a process is free and its result has been taken.

    Returns:
        yields the results, in the order in which they are done.

    Raises:
        DataError: when no cluster answers or a worker is lost; and what the function raises.
    """
    if workers == 1 and not cluster:
        for call in calls:
            yield function(*shared, *call)
        return
    if cluster:
        pool, most = _dask_executor(cluster), float("inf")
        submit = partial(pool.submit, function, *shared)
    else:
        pool, most = local_executor(workers, shared), (ahead or AHEAD) * workers
        submit = partial(pool.submit, _call_with_shared, function)
    running = set()
    try:
        with _lost_workers():
            for call in calls:
                running.add(submit(*call))
                while len(running) >= most:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        yield future.result()
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
    except BaseException:
        if cluster:
            for future in running:
                future.cancel()
        # A local pool's calls end with its processes. Cancelled as well, one that no process has
        # begun makes the pool's thread fail (InvalidStateError, Python 3.11).
        stop_workers()
        raise
    finally:
        if not cluster:
            # Its thread must have ended before the interpreter does: that one wakes every such
            # thread, through a pipe that a broken pool may be closing just then.
            pool.shutdown(cancel_futures=True)


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


def local_executor(workers: int, shared: tuple = ()) -> ProcessPoolExecutor:
    """Worker processes of this machine that end with this one.

    Params:
        workers: processes, one at least.
        shared: large values that each process is sent once, as in run_calls.
    """
    if sys.platform == "win32":
        workers = min(workers, MOST_ON_WINDOWS)
    # A fresh interpreter a worker: forking a process that holds threads can deadlock.
    return ProcessPoolExecutor(max(1, workers), get_context("spawn"), start_worker, (shared,))


_shared: tuple = ()  # of a worker process: a pool offers no other way to send a value only once


def start_worker(shared: tuple) -> None:
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
    return function(*_shared, *call)


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
    go_on = "the same command goes on from what is finished"
    try:
        yield
    except BrokenExecutor:
        raise DataError(
            f"a worker process was killed, perhaps for want of memory; {go_on}, "
            "with fewer workers it takes less"
        ) from None
    except CancelledError:
        raise DataError(f"the cluster's scheduler has gone; {go_on}") from None
    except ModuleNotFoundError as error:
        raise DataError(
            f"a worker has no module {error.name}; start the cluster's workers {WITH_MODULES}"
        ) from None
    except RuntimeError as error:
        if "deserialization" not in str(error):
            raise
        raise DataError(
            f"the cluster's scheduler lacks this project's modules; start it {WITH_MODULES}"
        ) from None
    except Exception as error:
        if type(error).__name__ != "KilledWorker":  # Dask's; it need not be installed
            raise
        raise DataError(
            f"the cluster's workers were killed, perhaps for want of memory; {go_on}"
        ) from None
