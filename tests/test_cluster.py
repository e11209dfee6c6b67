"""A real Dask scheduler with two worker processes: every script that takes --cluster does with it
what it does alone, also when a worker is killed, and each worker opens a model once."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT, SIZE, contents, run_well, start

from static import constants as C
from textdet.common.cluster import choose_cluster
from textdet.common.errors import DataError
from textdet.common.workers import run_calls

MODEL = C.STATIC / "model"


class DaskCluster:
    """A scheduler and workers that were started as docs/scaling.md says."""

    def __init__(self, folder: Path):
        self.folder, self.workers = folder, []
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self.environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        record = folder / "scheduler.json"
        self.scheduler = self.run("scheduler", "--port", 0, "--scheduler-file", record)
        wait_for(record.exists)
        self.address = json.loads(record.read_text())["address"]

    def run(self, part, *args):
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", *map(str, args)]
        command += ["--no-dashboard", "--host", "127.0.0.1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, **quiet)

    def add_worker(self):
        args = (self.address, "--nthreads", 2, "--no-nanny", "--local-directory", self.folder)
        self.workers.append(self.run("worker", *args))

    def wait_for_workers(self, number):
        from distributed import Client

        with Client(self.address) as client:
            client.wait_for_workers(number, timeout=60)

    def end(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = DaskCluster(tmp_path_factory.mktemp("dask"))
    for _ in range(2):
        cluster.add_worker()
    cluster.wait_for_workers(2)
    yield cluster
    cluster.end()


def opened(folder):
    """What calls share; each making of it leaves a file."""
    Path(folder, f"{os.getpid()}_{time.monotonic_ns()}").touch()
    return (os.getpid(),)


def nap(pid, number):
    time.sleep(0.05)
    assert pid == os.getpid()
    return number, pid


def test_a_worker_opens_what_is_shared_once_a_run(cluster, tmp_path):
    """Two threads a worker: the second waits for the first. The next run opens it anew, since the
    model may be another one by then."""
    for run in ("first", "second"):
        folder = tmp_path / run
        folder.mkdir()
        calls, shared = ((number,) for number in range(24)), partial(opened, folder)
        found = dict(run_calls(nap, calls, 1, choose_cluster(cluster.address), shared))
        assert sorted(found) == [*range(24)]
        made = [int(path.name.split("_")[0]) for path in folder.iterdir()]
        assert sorted(made) == sorted(set(found.values()))


def test_a_worker_that_lacks_a_folder_says_so(cluster, tmp_path):
    needs = choose_cluster(cluster.address, tmp_path, tmp_path / "not_mounted")
    with pytest.raises(DataError, match="not_mounted: not there on the worker"):
        list(run_calls(abs, [(-1,)], 1, needs))


def test_generated_images_are_the_same(cluster, triplets, tmp_path):
    run_well(
        *("generate_images.py", "--num_images", 8, "--image_size", SIZE, "--save_folder", tmp_path),
        *("--cluster", cluster.address),
    )
    assert contents(tmp_path) == contents(triplets)


@pytest.mark.parametrize(
    ("script", "source", "flags"),
    [
        ("convert_dataset.py", "--source", ("--format", "triplets")),
        ("cut_backgrounds.py", "--input_dir", ("--min_size", 32)),
        ("pseudo_label.py", "--input_dir", ("--piece_size", SIZE, "--device", "cpu")),
    ],
)
def test_folders_are_the_same(
    cluster, triplets, random_model, tmp_path, run_well_here, script, source, flags
):
    args = (source, triplets, *flags, "--chunk_size", 3, "--num_workers", 1)
    args += ("--model_dir", random_model) * (script == "pseudo_label.py")
    run_well_here(script, *args, "--save_folder", tmp_path / "alone")
    folder = tmp_path / "together"
    run_well(script, *args, "--save_folder", folder, "--cluster", cluster.address)
    assert contents(folder) == contents(tmp_path / "alone")
    assert len(contents(folder)) > 8


def test_detections_are_the_same(cluster, triplets, tmp_path, run_well_here):
    """A damaged image is skipped by name there, too."""
    images = tmp_path / "images"
    images.mkdir()
    names = sorted(path.name for path in (triplets / "images").iterdir())[:3]
    for name in names:
        (images / name).write_bytes((triplets / "images" / name).read_bytes())
    broken = (triplets / "images" / names[0]).read_bytes()[:-900]
    (images / "broken.jpg").write_bytes(broken)
    args = ("detect.py", images, "--model_dir", MODEL, "--device", "cpu", "--output_dir")
    run_well_here(*args, tmp_path / "alone")
    result = run_well(*args, tmp_path / "together", "--cluster", cluster.address)
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert len(contents(tmp_path / "alone")) == 9
    assert "skipped: " in result.stderr and "broken.jpg" in result.stderr


def judged(table):
    """What evaluate.py wrote, without the seconds."""
    rows = [
        {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(table.open())
    ]
    record = json.loads(table.with_suffix(".json").read_text())
    for entry in record["models"]:
        del entry["totals"]["seconds_an_image"]
    return rows, record


def test_figures_are_the_same(cluster, triplets, random_model, tmp_path, run_well_here):
    args = ("evaluate.py", "--input_dir", triplets, "--model_dir", random_model, MODEL)
    args += ("--device", "cpu", "--output")
    run_well_here(*args, tmp_path / "alone.csv")
    run_well(*args, tmp_path / "together.csv", "--cluster", cluster.address)
    rows, record = judged(tmp_path / "alone.csv")
    assert judged(tmp_path / "together.csv") == (rows, record)
    assert len(rows) == 16 and record["models"][1]["totals"]["found"]


def test_a_killed_worker_is_told_and_made_good(cluster, triplets, tmp_path, run_well_here):
    """One that is stopped first has surely been given something, and not finished it."""
    args = ("convert_dataset.py", "--format", "triplets", "--source", triplets, "--chunk_size", 1)
    args += ("--num_workers", 1, "--save_folder")
    run_well_here(*args, tmp_path / "alone")
    cluster.workers[0].send_signal(signal.SIGSTOP)
    script = start(*args, tmp_path / "together", "--cluster", cluster.address)
    wait_for(lambda: list((tmp_path / "together").glob("annotations/*.jsonl")))
    cluster.workers[0].kill()
    _, errors = script.communicate(timeout=100)
    assert script.returncode == 0, errors
    assert errors.count("lost its worker tcp://") == 1 and "Traceback" not in errors
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


def test_a_cluster_without_workers_is_waited_for(cluster, capfd):
    for worker in cluster.workers:
        worker.kill()
        worker.wait()
    found = []
    cluster_of = choose_cluster(cluster.address)
    thread = threading.Thread(
        target=lambda: found.extend(run_calls(abs, [(-1,), (-2,)], 1, cluster_of)), daemon=True
    )
    thread.start()
    said = []

    def is_told():
        said.append(capfd.readouterr().err)
        assert thread.is_alive()
        return "no worker; waiting" in "".join(said)

    wait_for(is_told)
    cluster.add_worker()
    thread.join(60)
    assert sorted(found) == [1, 2]
