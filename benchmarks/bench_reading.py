"""Opening a large folder of triplets: by its index, the first and the second time, and without it.

    python benchmarks/bench_reading.py [--images 100000] [--plain] [--folder DIR]

Makes the annotations of so many images of 24 words each (15 kB an image, the images themselves are
not needed), then opens them in a process of its own each time. Memory is the most that the process
held, and the most that one of its workers did. --plain reads them without the index, too.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from textdet.common.cli import ArgumentParser, integer, run_main  # noqa: E402
from textdet.common.errors import DataError  # noqa: E402
from textdet.data.annotation import ANNOTATIONS, IMAGES, Sample, Word  # noqa: E402
from textdet.data.annotation_index import INDEXED_FROM  # noqa: E402
from textdet.data.splits import split_samples  # noqa: E402
from textdet.data.triplets import read_samples, read_whole  # noqa: E402

WORDS, SIDE, CHUNK = 24, 512, 1000  # in an image; px; images in an annotation file
LETTERS = list("abcdefghijklmnopqrstuvwxyz")
KINDS = 500  # different images; the others repeat their words


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=integer(1), default=100_000, help="in the folder")
    parser.add_argument("--plain", action="store_true", help="also without the index, at the end")
    parser.add_argument("--folder", type=Path, help="to keep for another time; by default deleted")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch) / "data"
        if not (folder / ANNOTATIONS).exists():
            make_annotations(folder, args.images)
        files = sorted((folder / ANNOTATIONS).glob("*.jsonl"))
        if len(files) != -(-args.images // CHUNK):
            raise DataError(f"{folder}: does not hold --images {args.images}; name a new --folder")
        size = sum(path.stat().st_size for path in files)
        print(f"{folder}: {size / 1e9:.2f} GB of annotations in {len(files)} files", flush=True)
        if size < INDEXED_FROM:
            print(f"below {INDEXED_FROM / 1e6:.0f} MB no index is made: nothing to time")
            return
        for old in (folder / ANNOTATIONS).glob("*.arrow"):
            old.unlink()
        report("first time", open_folder, folder)
        index = sum(path.stat().st_size for path in (folder / ANNOTATIONS).glob("*.arrow"))
        print(f"  the index: {index / 1e9:.2f} GB")
        report("second time", open_folder, folder)
        report("and split", open_and_split, folder)
        report("and every word read", open_and_read, folder)
        if args.plain:
            report("without the index", read_plainly, folder)


def make_annotations(folder: Path, images: int) -> None:
    """Write the annotations of so many images."""
    (folder / ANNOTATIONS).mkdir(parents=True)
    (folder / IMAGES).mkdir()
    rng = np.random.default_rng(0)
    extra = {"kind": "scene", "background": "photo.jpg", "fonts": ["DejaVuSans.ttf"]}
    kinds = [
        json.dumps(Sample(folder, "NAME", SIDE, SIDE, make_words(rng), extra).to_json())
        for _ in range(min(KINDS, images))
    ]
    for start in range(0, images, CHUNK):
        lines = (
            kinds[number % len(kinds)].replace("NAME", f"{number:08d}.jpg", 1) + "\n"
            for number in range(start, min(start + CHUNK, images))
        )
        path = folder / ANNOTATIONS / f"{start // CHUNK:05d}.jsonl"
        path.write_text("".join(lines), encoding="utf-8")


def make_words(rng: np.random.Generator) -> list[Word]:
    """Words of 2 to 8 letters at random places."""
    words = []
    for count in rng.integers(2, 9, WORDS).tolist():
        cell = np.float32([[0, 0], [9.7, 0.3], [9.6, 15.2], [0, 15]])
        place = rng.uniform(0, 400, 2).astype(np.float32)
        quads = cell + place + np.float32([10, 0]) * np.arange(count)[:, None, None]
        polygon = np.stack([quads[0, 0], quads[-1, 1], quads[-1, 2], quads[0, 3]])
        letters = rng.choice(LETTERS, count).tolist()
        words.append(Word("".join(letters), letters, quads, polygon))
    return words


def open_folder(folder: Path) -> int:
    return len(read_samples(folder)[0])


def open_and_split(folder: Path) -> int:
    return len(split_samples(read_samples(folder)[0], 0.1)[0])


def open_and_read(folder: Path) -> int:
    return sum(len(sample.words) for sample in read_samples(folder)[0])


def read_plainly(folder: Path) -> int:
    return len(read_whole(folder, sorted((folder / ANNOTATIONS).glob("*.jsonl")))[0])


def report(name: str, action: Callable[[Path], int], folder: Path) -> None:
    """Run an action in a new process, say what it took."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        seconds, cpu, own, workers = pool.submit(measure, action, folder).result()
    line = f"  {name:22s} {seconds:7.2f} s, {cpu:7.2f} s of CPU time, {own / 1e6:5.0f} MB"
    print(line + (f", a worker {workers / 1e6:.0f} MB" if workers else ""), flush=True)


def measure(action: Callable[[Path], int], folder: Path) -> tuple[float, float, int, int]:
    """Seconds on the clock, and of CPU time with the workers'; the most memory of this process and
    of one of its workers, bytes."""
    most, done = [0, 0], threading.Event()
    watching = threading.Thread(target=watch_memory, args=(most, done))
    watching.start()
    started, cpu = time.perf_counter(), sum(os.times()[:4])
    action(folder)
    seconds, cpu = time.perf_counter() - started, sum(os.times()[:4]) - cpu
    done.set()
    watching.join()
    return seconds, cpu, *most


def watch_memory(most: list[int], done: threading.Event) -> None:
    """Keep the most memory of this process and of one of its workers in `most`, bytes."""
    process = psutil.Process()
    while not done.wait(0.01):
        most[0] = max(most[0], process.memory_info().rss)
        for worker in process.children():
            with suppress(psutil.Error):  # it has ended
                most[1] = max(most[1], worker.memory_info().rss)


if __name__ == "__main__":
    run_main(main)
