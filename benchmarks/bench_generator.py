"""Images a second of the generator with one and with two workers, and where the time goes.

    python benchmarks/bench_generator.py

Makes the same images several times, all files on disk, with warm caches, and prints medians.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as generate_images.py does
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from dataset_utils import ANNOTATIONS, make_folders  # noqa: E402
from generate_chunks import Chunk, Job, run_chunk  # noqa: E402
from static import constants as C  # noqa: E402
from synth.backgrounds import list_backgrounds  # noqa: E402
from synth.fonts import load_fonts  # noqa: E402
from worker_utils import local_executor  # noqa: E402

CHUNKS, CHUNK_SIZE, ROUNDS, SIZE = 12, 10, 5, 512


def main() -> None:
    print(f"{processor()}, {os.cpu_count()} cores, {platform.system()}")
    versions = (platform.python_version(), np.__version__, cv2.__version__)
    print("Python {}, NumPy {}, OpenCV {}".format(*versions))
    fonts = tuple(font.path for font in load_fonts(C.FONTS)[0])
    rates, counts, seconds = {1: [], 2: []}, Counter(), Counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        local_executor(1) as one,
        local_executor(2) as two,
    ):
        make_folders(Path(folder))
        job = Job(Path(folder), 0, SIZE, tuple(list_backgrounds(C.BACKGROUNDS)), fonts, C.WORDS)
        for pool in (one, two, two):  # fills the caches of fonts and photographs
            make(pool, job)
        for _ in range(ROUNDS):  # in turn, so that both meet the same load of the machine
            for workers, pool in ((1, one), (2, two)):
                started = time.perf_counter()
                made, spent = make(pool, job)
                rates[workers].append(made["images"] / (time.perf_counter() - started))
                if workers == 1:
                    counts, seconds = counts + made, seconds + spent
    median = {workers: statistics.median(values) for workers, values in rates.items()}
    print(f"{SIZE} px, {counts['words'] / counts['images']:.0f} words an image, {ROUNDS} rounds")
    for workers, rate in median.items():
        print(f"  {workers} worker{'s' * (workers > 1):1}  {rate:6.1f} images a second")
    print(f"  ratio      {median[2] / median[1]:6.2f}")
    for name, spent in seconds.most_common():
        share, milliseconds = spent / seconds.total(), 1000 * spent / counts["images"]
        print(f"  {name:13} {milliseconds:6.2f} ms an image  {share:5.0%}")


def make(pool: ProcessPoolExecutor, job: Job) -> tuple[Counter, Counter]:
    """Make the images and their files: their counts, and the seconds by stage."""
    chunks = [
        Chunk(range(k, k + CHUNK_SIZE), job.folder / ANNOTATIONS / f"{k:05d}.jsonl")
        for k in range(0, CHUNKS * CHUNK_SIZE, CHUNK_SIZE)
    ]
    counts, seconds = Counter(), Counter()
    for made, spent in pool.map(run_chunk, [job] * CHUNKS, chunks):
        counts, seconds = counts + made, seconds + spent
    return counts, seconds


def processor() -> str:
    """The processor's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
