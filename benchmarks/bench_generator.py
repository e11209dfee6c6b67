"""Images a second of the generator, where the time goes, two workers against one, and memory.

    python benchmarks/bench_generator.py
    python benchmarks/bench_generator.py --quick    # the first part of it, one round

Makes the same images several times, all files on disk, with warm caches, and prints medians: first
the usual mixture of scenes and pages, then scenes alone, which hold about a dozen words each.

Two workers can only be twice as quick as one where the machine has two idle cores. So a loop that
does nothing but reckon is run by the same workers: what it gains is the most that the machine gives
at that moment. CPU time an image says whether the workers stand in each other's way.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as generate_images.py does
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from generate_utils import Job, run_chunk  # noqa: E402
from static import constants as C  # noqa: E402
from textdet.common.cli import ArgumentParser, run_main  # noqa: E402
from textdet.common.workers import local_executor  # noqa: E402
from textdet.data.chunked_folder import Chunk, cut_chunks  # noqa: E402
from textdet.data.triplets import make_folders  # noqa: E402
from textdet.synth.backgrounds import list_backgrounds  # noqa: E402
from textdet.synth.fonts import load_fonts  # noqa: E402
from textdet.synth.settings import GeneratorSettings  # noqa: E402

CHUNKS, CHUNK_SIZE, ROUNDS, SIZE = 12, 10, 5, 512
LOOP = 4_000_000  # steps of the loop that each of CHUNKS calls runs
STAGES = {  # the stages' names by what they are for; the others count as drawing
    "reading": ("reading",),
    "warping": ("warping",),
    "heatmaps": ("heatmaps",),
    "encoding": ("encoding",),
    "starting": ("starting",),
}


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of scenes and pages")
    quick = parser.parse_args().quick
    print(f"{processor()}, {os.cpu_count()} cores, {platform.system()}")
    versions = (platform.python_version(), np.__version__, cv2.__version__)
    print("Python {}, NumPy {}, OpenCV {}".format(*versions))
    fonts = tuple(font.path for font in load_fonts(C.FONTS)[0])
    with (
        tempfile.TemporaryDirectory() as folder,
        local_executor(1) as one,
        local_executor(2) as two,
    ):
        make_folders(Path(folder))
        photographs = tuple(list_backgrounds(C.BACKGROUNDS))
        mixture = Job(Path(folder), GeneratorSettings(), 0, SIZE, photographs, fonts, C.WORDS)
        scenes = replace(mixture, settings=GeneratorSettings(PAGE_PROBABILITY=0))
        make(one, mixture)  # fills the caches of fonts and photographs
        if quick:
            print_alone("scenes and pages", [make(one, mixture)])
            return
        for _ in range(2):
            make(two, mixture)
        before = memory(one)
        print_alone("scenes and pages", [make(one, mixture) for _ in range(ROUNDS)])
        print_alone("scenes alone", [make(one, scenes) for _ in range(ROUNDS)])
        rounds = []
        for _ in range(ROUNDS):  # in turn, so that all meet the same load of the machine
            alone, both = (make(pool, mixture) for pool in (one, two))
            rounds.append((alone, both, reckon(one) / reckon(two)))
        print_together(rounds)
        made = CHUNKS * CHUNK_SIZE * 3 * ROUNDS
        print(f"memory of a worker: {before:.0f} MB, {made} images later {memory(one):.0f} MB")


def make(pool: ProcessPoolExecutor, job: Job) -> Counter:
    """Make the images: what they hold, seconds by stage, CPU and elapsed seconds."""
    chunks = cut_chunks(job.folder, range(CHUNKS * CHUNK_SIZE), CHUNK_SIZE)
    started, total = time.perf_counter(), Counter()
    for made in pool.map(make_chunk, [job] * CHUNKS, chunks):
        total.update(made)
    total["elapsed"] = time.perf_counter() - started
    return total


def make_chunk(job: Job, chunk: Chunk) -> Counter:
    started = time.process_time()
    counts, seconds = run_chunk(job, chunk)
    found = Counter({"images": counts["images"], "words": counts["words"]})
    found["cpu"] = time.process_time() - started
    found.update({f"stage {name}": spent for name, spent in seconds.items()})
    return found


def reckon(pool: ProcessPoolExecutor) -> float:
    """Elapsed seconds of CHUNKS loops that share nothing."""
    started = time.perf_counter()
    list(pool.map(loop, [LOOP] * CHUNKS))
    return time.perf_counter() - started


def loop(steps: int) -> int:
    return sum(range(steps))


def memory(pool: ProcessPoolExecutor) -> float:
    """MB that a worker of the pool holds at present."""
    return pool.submit(resident).result()


def resident() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def print_alone(name: str, rounds: list[Counter]) -> None:
    images, words = rounds[0]["images"], rounds[0]["words"]
    elapsed, cpu = (statistics.median(r[key] for r in rounds) for key in ("elapsed", "cpu"))
    print(f"{name}, {SIZE} px, {words / images:.1f} words an image, {len(rounds)} rounds")
    print(f"  {name}, images a second: {images / elapsed:.1f}, with {words / elapsed:.0f} words")
    print(f"  {name}, images a second of CPU: {images / cpu:.1f}, with {words / cpu:.0f} words")
    print(f"  {name}, ms of CPU an image: {1000 * cpu / images:.1f}")
    stages = Counter()
    for made in rounds:
        stages.update({k.split()[1]: v for k, v in made.items() if k.startswith("stage ")})
    groups = {name: sum(stages[part] for part in parts) for name, parts in STAGES.items()}
    groups["drawing"] = stages.total() - sum(groups.values())
    per_image = 1000 / (images * len(rounds))
    for part, spent in sorted(groups.items(), key=lambda item: -item[1]):
        print(f"  {part:12} {per_image * spent:6.2f} ms an image  {spent / stages.total():4.0%}")
    known = {part for parts in STAGES.values() for part in parts}
    parts = [f"{k} {per_image * v:.2f}" for k, v in stages.most_common() if k not in known]
    print(f"    drawing is {', '.join(parts)} ms")


def print_together(rounds: list[tuple[Counter, Counter, float]]) -> None:
    alone, both, most = (list(column) for column in zip(*rounds, strict=True))
    gains = [a["elapsed"] / b["elapsed"] for a, b in zip(alone, both, strict=True)]
    costs = [b["cpu"] / a["cpu"] for a, b in zip(alone, both, strict=True)]
    gain, limit = statistics.median(gains), statistics.median(most)
    print(f"two workers against one: {gain:.2f} times the images a second")
    print(f"  a loop that shares nothing gains {limit:.2f}: {gain / limit:.0%} of what there is")
    print(f"  CPU time an image: {statistics.median(costs):.2f} times that of one worker")


def processor() -> str:
    """The processor's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    run_main(main)
