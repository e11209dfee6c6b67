"""Worker processes: results, and what becomes of those that are lost."""

import math
import os
import subprocess
import sys
import threading
import time
from concurrent.futures.process import _ExecutorManagerThread
from multiprocessing import active_children

import psutil
import pytest
from conftest import ROOT

from textdet.common import workers
from textdet.common.errors import DataError
from textdet.common.workers import run_calls

SHARERS = ("generate_images", "convert_dataset", "cut_backgrounds", "pseudo_label", "tune")


@pytest.mark.parametrize("script", SHARERS)
def test_scripts_take_the_cores_that_they_may_use(script, monkeypatch, run_well_here):
    """As under SLURM, of a machine that has more."""
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 64}, raising=False)
    said = " ".join(run_well_here(f"{script}.py", "--help").stdout.split())
    assert "(default: 3)" in said and "128" not in said


def assert_nothing_is_left():
    """A manager thread that outlived its pool would race with the interpreter's end."""
    assert not active_children()
    assert not any(isinstance(t, _ExecutorManagerThread) for t in threading.enumerate())


@pytest.mark.parametrize("workers", [1, 2])
def test_every_call_is_made_once(workers):
    calls = ((number,) for number in range(40))
    assert sorted(run_calls(math.factorial, calls, workers)) == [*map(math.factorial, range(40))]
    assert_nothing_is_left()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_shared_comes_first_in_every_call(workers):
    calls = ((number,) for number in range(9))
    found = run_calls(math.pow, calls, workers, shared=(2.0,))
    assert sorted(found) == [2.0**number for number in range(9)]
    assert_nothing_is_left()


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_are_asked_for_when_a_process_is_free(workers):
    """With ahead=1 a call can follow from the results of those before it."""
    under_way, most = set(), 0

    def calls():
        for number in range(12):
            under_way.add(number)
            yield (number, 0)

    for number in run_calls(max, calls(), workers, ahead=1):
        most = max(most, len(under_way))
        under_way.remove(number)
    assert most == workers and not under_way


def test_a_killed_worker_is_said_in_one_line():
    with pytest.raises(DataError, match="a worker process was killed"):
        list(run_calls(os._exit, [(1,)] * 3, 2))
    assert_nothing_is_left()


def test_what_a_call_raises_comes_through():
    with pytest.raises(ValueError):
        list(run_calls(math.factorial, [(3,), (-1,), (4,)], 2))
    assert_nothing_is_left()


def test_an_interrupt_is_quiet_when_the_pool_sees_its_workers_die_first(monkeypatch):
    failures, stop_workers = [], workers.stop_workers

    def calls():
        yield from [(60,)] * 12
        time.sleep(0.5)  # until the pool's thread has handed out what its queue holds
        raise KeyboardInterrupt

    def stop_and_wait():
        stop_workers()
        time.sleep(0.5)  # the pool's thread notices meanwhile

    monkeypatch.setattr(threading, "excepthook", failures.append)
    monkeypatch.setattr(workers, "stop_workers", stop_and_wait)
    with pytest.raises(KeyboardInterrupt):  # ahead, so that calls wait which no worker has begun
        list(run_calls(time.sleep, calls(), 2, ahead=10))
    assert not failures
    assert_nothing_is_left()


@pytest.mark.skipif(sys.platform == "win32", reason="processes have no SIGTERM there")
def test_sigterm_ends_a_script_and_its_workers_at_once():
    code = (
        "import time, textdet.common.cli as cli, textdet.common.workers as workers\n"
        "def main():\n"
        "    pool = workers.local_executor(1)\n"
        "    print(pool.submit(workers.os.getpid).result(), flush=True)\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    cli.run_main(main)\n"
    )
    pipe = subprocess.PIPE
    script = subprocess.Popen(
        [sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, cwd=ROOT
    )
    worker = psutil.Process(int(script.stdout.readline()))
    script.terminate()
    _, said = script.communicate(timeout=60)
    assert script.returncode == 143 and said.split() == ["interrupted"]
    worker.wait(60)
