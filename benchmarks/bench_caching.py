"""Caching a data set: with one and two processes, and what reading it costs with and without.

    python benchmarks/bench_caching.py --input_dir syntdata [--image_size 512]

CPU times, because these do not depend on what else the machine does; seconds on the clock besides.
An existing cache of that folder is replaced.
"""

import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from textdet.common.cli import ArgumentParser, integer, run_main  # noqa: E402
from textdet.data.cache import CACHE  # noqa: E402
from textdet.data.source import Source, open_source  # noqa: E402
from textdet.data.triplets import read_samples  # noqa: E402


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--input_dir", type=Path, default=Path("syntdata"), help="triplet folder")
    parser.add_argument("--image_size", type=integer(64, 4096), default=512, help="px")
    args = parser.parse_args()
    # Not at the top: the processes that cache import this file, and these take seconds.
    from textdet.training.augmentation import make_preset
    from textdet.training.datasets import TrainDataset

    samples = read_samples(args.input_dir)[0]
    print(f"{len(samples)} images of {args.input_dir} at {args.image_size} px")
    for workers in (1, 2):
        shutil.rmtree(args.input_dir / CACHE, ignore_errors=True)
        measure(
            f"caching with {workers} processes",
            lambda workers=workers: open_source(samples, args.image_size, True, workers),
            len(samples),
        )
    cached, _ = open_source(samples, args.image_size, True, 1)
    files, _ = open_source(samples, args.image_size, False, 1)
    measure(
        "opening it again", lambda: open_source(samples, args.image_size, True, 1), len(samples)
    )
    for name, source in (("the cache", cached), ("the files", files)):
        measure(f"an epoch of whole images from {name}", lambda s=source: read_all(s), len(source))
        dataset = TrainDataset(
            source, make_preset("default", args.image_size // 2, args.image_size)
        )
        measure(
            f"an epoch of augmented crops from {name}",
            lambda d=dataset: [d[index, index] for index in range(len(d))],
            len(dataset),
        )


def read_all(source: Source) -> int:
    """Touch each byte of each image."""
    return sum(
        int(image.sum()) + int(maps.sum())
        for image, maps, _ in (source.read(index) for index in range(len(source)))
    )


def measure(name: str, action, count: int) -> None:
    cpu, started = cpu_seconds(), time.perf_counter()
    action()
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - started
    print(f"  {name:42s} {cpu / count * 1e3:7.2f} ms CPU an image, {wall:6.2f} s on the clock")


def cpu_seconds() -> float:
    """Of this process and of those that it has started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    run_main(main)
