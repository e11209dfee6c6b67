"""What an image costs each script that --cluster can share out, and what sharing it out costs.

    python benchmarks/bench_cluster.py [--images 60]

CPU time of one core, so that other work on the machine hardly matters: of each script an image
(start-up subtracted, by runs of different length), of what no worker can take over an image, and of
a Dask scheduler and of the script itself a call, with two workers that do nothing. And the bytes
that a generated image takes on disk.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}  # of the scripts, too
sys.path.insert(0, str(ROOT))

import psutil  # noqa: E402

from detect import name_results  # noqa: E402
from textdet.common.cli import ArgumentParser, integer, run_main  # noqa: E402
from textdet.common.cluster import IMAGES_A_CALL, choose_cluster  # noqa: E402
from textdet.common.errors import DataError  # noqa: E402
from textdet.common.image_inputs import find_pages  # noqa: E402
from textdet.common.workers import run_calls  # noqa: E402
from textdet.data.annotation import AFFINITIES, ANNOTATIONS, CHARACTERS, IMAGES  # noqa: E402
from textdet.data.chunked_folder import iterate_samples  # noqa: E402
from textdet.data.triplets import read_samples  # noqa: E402

CALLS = 2000
ROUNDS = 5
FEW = 10  # images of the run that is subtracted


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=integer(FEW + 1), default=60, help="of the longer run")
    images = parser.parse_args().images
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        few, many = scratch / "few", scratch / "many"
        spent = [generate(few, FEW), generate(many, images)]
        report("generate_images.py, 512 px", spent, images)
        for name in (IMAGES, CHARACTERS, AFFINITIES, ANNOTATIONS):
            size = sum(path.stat().st_size for path in (many / name).iterdir())
            print(f"  {name}: {size / images / 1000:.1f} kB an image")
        for title, command in commands(scratch).items():
            spent = [run(*command(folder)) for folder in (few, many)]
            report(title, spent, images)
        before_the_workers(many)
        share_out(scratch, read_samples(many)[0])


def before_the_workers(folder: Path) -> None:
    """CPU time an image of what the script itself does, however many workers there are."""
    paths = sorted((folder / IMAGES).iterdir())

    def open_images() -> None:
        list(name_results(find_pages(paths, []), folder))

    def count_words() -> None:
        sum(len(sample.words) for sample in iterate_samples(folder))

    for title, work in (
        ("detect.py itself, to open and name an image", open_images),
        ("what makes a folder, to count an image at the end", count_words),
    ):
        work()  # once to warm up
        started = time.process_time()
        for _ in range(ROUNDS):
            work()
        spent = (time.process_time() - started) / ROUNDS / len(paths)
        print(f"{title}: {1000 * spent:.2f} ms", flush=True)


def commands(scratch: Path) -> dict:
    """The command line of each script for a folder of images, by what it is called."""
    folders = (scratch / f"out{number}" for number in range(1000))

    def chunked(script, source, *flags):
        def command(folder):
            target = ("--save_folder", next(folders), "--num_workers", 1)
            return script, source, folder, *target, "--chunk_size", 5, *flags

        return command

    def detect(folder):
        return "detect.py", folder / "images", "--output_dir", next(folders), "--device", "cpu"

    def judge(folder):
        table = next(folders).with_suffix(".csv")
        return "evaluate.py", "--input_dir", folder, "--output", table, "--device", "cpu"

    return {
        "convert_dataset.py": chunked("convert_dataset.py", "--source", "--format", "triplets"),
        "cut_backgrounds.py": chunked("cut_backgrounds.py", "--input_dir", "--min_size", 100),
        "pseudo_label.py": chunked("pseudo_label.py", "--input_dir", "--device", "cpu"),
        "detect.py": detect,
        "evaluate.py": judge,
    }


def generate(folder: Path, images: int) -> float:
    return run(
        *("generate_images.py", "--num_images", images, "--save_folder", folder),
        *("--num_workers", 1, "--seed", 4242),
    )


def run(script: str, *args) -> float:
    """CPU seconds of a script and its processes."""
    before = sum(os.times()[2:4])  # of ended children
    command = [sys.executable, ROOT / script, *map(str, args)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return sum(os.times()[2:4]) - before


def report(title: str, spent: list[float], images: int) -> None:
    each = (spent[1] - spent[0]) / (images - FEW)
    start = spent[0] - FEW * each
    print(f"{title}: {1000 * each:.0f} ms of CPU time an image, {start:.1f} s to start", flush=True)


def share_out(scratch: Path, samples: list) -> None:
    """CPU time a call of the scheduler and of the script."""
    record = scratch / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": ROOT}
    dask = [sys.executable, "-m"]
    options = ["--no-dashboard", "--host", "127.0.0.1"]
    part = [*dask, "distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", record]
    processes = [subprocess.Popen([*part, *options], **quiet)]
    try:
        while not record.exists():
            if processes[0].poll() is not None:
                raise DataError("Dask's scheduler has ended at once")
            time.sleep(0.1)
        address = json.loads(record.read_text(encoding="utf-8"))["address"]
        part = [*dask, "distributed.cli.dask_worker", address, "--nthreads", "1", *options]
        part += ["--no-nanny", "--local-directory", scratch / "workers"]
        processes += [subprocess.Popen(part, **quiet) for _ in range(2)]
        for title, call in (
            ("empty calls", ([],)),
            (f"calls with {IMAGES_A_CALL} samples", (samples[:IMAGES_A_CALL],)),
        ):
            list(run_calls(len, [call] * 50, 1, choose_cluster(address)))
            before = [processor_seconds(pid) for pid in (processes[0].pid, os.getpid())]
            list(run_calls(len, [call] * CALLS, 1, choose_cluster(address)))
            after = [processor_seconds(pid) for pid in (processes[0].pid, os.getpid())]
            each = [1000 * (b - a) / CALLS for a, b in zip(before, after, strict=True)]
            print(f"{title}: {each[0]:.2f} ms a call for the scheduler, {each[1]:.2f} ms here")
    finally:
        for process in processes:
            process.kill()
            process.wait()


def processor_seconds(pid: int) -> float:
    """Of a process."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    run_main(main)
