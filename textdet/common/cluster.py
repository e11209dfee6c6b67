"""A Dask cluster whose workers make calls: what they must see, what they keep, who is lost."""

import functools
import logging
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textdet.common.errors import DataError

if TYPE_CHECKING:  # it takes time, and need not be installed
    from distributed import Client

# What Dask's processes must be able to import: textdet, generate_utils and static.
WITH_MODULES = "in this project's folder with PYTHONPATH=. and the same packages"
GOES_ON = "the same command, given again, goes on with a folder that it was making"
MIN_CALLS = 8  # handed out to a cluster of whatever size: one that grows by need must see it
POLL_INTERVAL = 2.0  # s, until the cluster's size is looked at again
IMAGES_A_CALL = 8  # where images are seen one by one: handing out a call takes milliseconds
RUNS_KEPT = 2  # of whose shared values a worker keeps: two commands may use a cluster at a time


@dataclass(frozen=True)
class Cluster:
    """Which cluster to use, and what its workers need.

    Params:
        address: of its scheduler, tcp://HOST:PORT.
        paths: absolute, files and folders that a worker must have under the same names.
    """

    address: str
    paths: tuple[Path, ...] = ()


def choose_cluster(address: str | None, *paths: Path) -> Cluster | None:
    """The cluster that a command names with --cluster, if it does.

    Params:
        address: of its scheduler, or None.
        paths: what the workers need, see Cluster; they are made absolute.
    """
    return Cluster(address, tuple(path.absolute() for path in paths)) if address else None


class ClusterPool:
    """Hands calls to the workers of a cluster; says on standard error when one is lost.

    Params:
        cluster: see there.
        function, shared: see workers.run_calls.
        ahead: calls per worker thread that are handed out early.

    Raises:
        DataError: no scheduler answers, or Dask is not installed.
    """

    def __init__(self, cluster: Cluster, function: Callable, shared: tuple | Callable, ahead: int):
        self.client = _connect(cluster.address)
        self.client.subscribe_topic("all", _tell_of_lost)
        self.executor = self.client.get_executor()
        self.submitted = functools.partial(
            self.executor.submit, call_in_run, uuid.uuid4().hex, cluster.paths, shared, function
        )
        self.ahead, self.threads, self.looked = ahead, 0, -POLL_INTERVAL
        self.is_waiting = False

    def submit(self, *call: object) -> Future:
        """Hand out a call."""
        return self.submitted(*call)

    def most(self) -> int:
        """How many calls may be under way: it follows the cluster's size.

        Raises:
            DataError: the scheduler has gone.
        """
        if time.monotonic() - self.looked >= POLL_INTERVAL:
            try:
                self.threads = sum(self.client.nthreads().values())
            except Exception:  # kinds of Dask's own
                raise _scheduler_gone() from None
            self.looked = time.monotonic()
            if not self.threads and not self.is_waiting:
                print("the cluster has no worker; waiting for one", file=sys.stderr, flush=True)
            self.is_waiting = not self.threads
        return max(MIN_CALLS, self.ahead * self.threads)

    def cancel(self, running: set[Future]) -> None:
        """Have the cluster forget calls that are not needed any more."""
        for future in running:
            future.cancel()

    def close(self) -> None:
        """Leave the cluster; it goes on running."""
        self.client.close(timeout=2)

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Say in a line why a cluster did not come back with a result."""
        try:
            yield
        except CancelledError:
            raise _scheduler_gone() from None
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
                "workers of the cluster were killed over one call, perhaps for want of memory; "
                f"{GOES_ON}"
            ) from None


def call_in_run(
    run: str,
    paths: tuple[Path, ...],
    shared: tuple | Callable[[], tuple],
    function: Callable,
    *call: object,
) -> object:
    """Make one call, as a worker does.

    Params:
        run: a name of the command that it is for; what is shared is kept under it.
        paths: see Cluster.
        shared, function, call: see workers.run_calls.

    Raises:
        DataError: the worker lacks one of the paths; and what the function raises.
    """
    for path in paths:
        if not os.path.exists(path):
            raise DataError(
                f"{path}: not there on the worker {socket.gethostname()}; all machines of the "
                "cluster need the same folders under the same names"
            )
    return function(*_made(run, shared), *call)


_making = threading.Lock()  # a worker may have several threads, but opens a model once


def _made(run: str, shared: tuple | Callable[[], tuple]) -> tuple:
    """What a run's calls share, made once per process."""
    if not callable(shared):
        return shared
    with _making:
        kept = _kept(run)
        if not kept:
            kept.append(shared())
        return kept[0]


@functools.lru_cache(maxsize=RUNS_KEPT)
def _kept(run: str) -> list[tuple]:
    """A list for what a run's calls share; of older runs it is forgotten."""
    return []


def _connect(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError:
        raise DataError("--cluster needs Dask: pip install distributed") from None
    for name in ("distributed", "distributed.client"):  # it is said here, without a traceback
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise DataError(f"{address}: no Dask scheduler answers there ({error})") from None


def _tell_of_lost(event: tuple[float, dict]) -> None:
    """Say that a worker ended that was not asked to; Dask gives its calls to others."""
    _, message = event
    if message.get("action") == "remove-worker" and not message.get("expected"):
        print(
            f"the cluster lost its worker {message.get('worker')}; others do what it was doing",
            file=sys.stderr,
            flush=True,
        )


def _scheduler_gone() -> DataError:
    return DataError(f"the cluster's scheduler has gone; {GOES_ON}")
