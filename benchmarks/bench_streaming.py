"""Scenes drawn while training (train.py --generate) against a cached folder of such images.

    python benchmarks/bench_streaming.py [--crop 256] [--batch 16] [--num_workers 1]

Prints for each, measured in turn: CPU time of a crop in a loader's process, crops a second of the
loader alone, and of training with it. From these it reckons the rate of training where all cores
are busy at all times, and how many cores keep one GPU busy: on a machine with a GPU by its own
steps, else for the crops a second that --gpu_crops gives. Besides: what it would change to draw
the maps at half the resolution.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core each for the loader and the network
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from textdet.common.cli import ArgumentParser, integer, run_main  # noqa: E402

ROUNDS = 3
CROPS = 4  # of a scene, where there are several


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--crop", type=integer(64, 2048), default=256, help="side of the crops, px")
    parser.add_argument("--batch", type=integer(1), default=16)
    parser.add_argument(
        "--images", type=integer(1), default=64, help="in the folder; a round's crops"
    )
    parser.add_argument("--steps", type=integer(1), default=4, help="of training in a round")
    parser.add_argument("--num_workers", type=integer(1), default=1, help="loader processes")
    parser.add_argument("--gpu_crops", type=float, nargs="+", default=[100.0, 500.0, 1000.0])
    args = parser.parse_args()
    # Not at the top: the processes that draw and cache import this file, and these take seconds.
    import cv2
    import torch

    from textdet.common.memory import keep_memory

    cv2.setNumThreads(1)
    keep_memory(all_of_it=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{platform.machine()}, {device}, {os.cpu_count()} cores, PyTorch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        sets = make_sets(args, Path(folder))
        compare_maps(sets["new scenes"][0].source.draw, args.images)
        compare(args, sets, device)


def make_sets(args: argparse.Namespace, folder: Path) -> dict:
    """The crops of scenes and those of a cached folder of as many images, by name; with each the
    crops of a scene."""
    from generate_utils import Job, draw_triplet, fill_job
    from static import constants as C
    from textdet.data.chunked_folder import start_folder
    from textdet.data.source import Source, open_source
    from textdet.data.triplets import read_samples
    from textdet.synth.preparation import choose_settings, find_materials
    from textdet.training.augmentation import make_preset
    from textdet.training.datasets import TrainDataset
    from textdet.training.scenes import SceneSource

    settings, size = choose_settings(), 2 * args.crop
    found, _ = find_materials(settings, C.BACKGROUNDS, C.FONTS, C.WORDS, size)
    job = Job(folder / "data", settings, 0, size, *found)
    fill_job(job, args.images, start_folder(job.folder, {"chunk_size": 10}, False), 1)
    cached, _ = open_source(read_samples(job.folder)[0], size, caching=True, workers=1)
    draw = partial(draw_triplet, job)
    for index in range(20):  # fills the caches of fonts and photographs
        draw(index)
    scenes = SceneSource(Source([], size, None), draw, args.images)
    preset = make_preset("default", args.crop, size)
    scenes = TrainDataset(scenes, preset)
    return {
        "new scenes": (scenes, 1),
        f"new scenes, {CROPS} crops each": (scenes, CROPS),
        "cached folder": (TrainDataset(cached, preset), 0),
    }


def compare_maps(draw, images: int) -> None:
    """Print what it would change to draw the maps at half the resolution, that of the loss.

    Params:
        draw: makes scene number i.
        images: scenes.
    """
    import cv2

    from textdet.data.heatmaps import draw_heatmaps

    seconds, largest = {1: 0.0, 2: 0.0}, 0
    for index in range(images):
        sample, maps = draw(index)[0], {}
        words = [word.quads for word in sample.words if not word.ignore]
        for factor in seconds:
            started = time.process_time()
            side = sample.width // factor
            maps[factor] = draw_heatmaps([quads / factor for quads in words], side, side)
            seconds[factor] += time.process_time() - started
        for full, half in zip(maps[1], maps[2], strict=True):
            shrunk = cv2.resize(full, half.shape, interpolation=cv2.INTER_AREA)
            largest = max(largest, int(cv2.absdiff(shrunk, half).max()))
    full, half = (value / images * 1e3 for value in seconds.values())
    print(f"maps: {full:.1f} ms of CPU time a scene, at half the resolution {half:.1f} ms")
    print(f"largest difference of the labels at half the resolution: {largest} of 255")


def compare(args: argparse.Namespace, sets: dict, device) -> None:
    """Print the figures, medians of rounds in turn."""
    import torch
    from bench_training import train

    from textdet.network.runtimes import has_fast_bf16
    from textdet.network.segformer import new_model
    from textdet.training.datasets import MixSampler, collate

    model, bf16 = new_model().to(device).train(), has_fast_bf16(device)
    cached = sets["cached folder"][0]
    kept = collate([cached[index % args.images, index] for index in range(args.batch)])
    needed = (args.steps + 2) * args.batch  # crops; the first two batches do not count

    def loader(name: str, epoch: int):
        dataset, each = sets[name]
        sampler = MixSampler([], None, 0, needed, each) if each else MixSampler([needed], None, 0)
        sampler.epoch = epoch
        draws = [(index if each else index % args.images, seed) for index, seed, _ in sampler]
        return torch.utils.data.DataLoader(
            dataset, args.batch, False, draws, collate_fn=collate, num_workers=args.num_workers
        )

    crop, alone = {name: [] for name in sets}, {name: [] for name in sets}
    trained, step = {name: [] for name in (*sets, "one batch in memory")}, []
    for number in range(ROUNDS):
        for name, (dataset, each) in sets.items():
            started = time.process_time()
            for index in range(args.images):
                dataset[number * args.images + index // each if each else index, index]
            crop[name].append((time.process_time() - started) / args.images)
        for name in sets:
            batches = iter(loader(name, number))
            next(batches), next(batches)  # the process has to start first
            started = time.perf_counter()
            count = args.batch * sum(1 for _ in batches)
            alone[name].append(count / (time.perf_counter() - started))
        for name in trained:
            batches = loader(name, number) if name in sets else [kept] * (args.steps + 2)
            walls, cpus = zip(*list(train(model, batches, bf16))[2:], strict=True)
            trained[name].append(args.batch * len(walls) / sum(walls))
            if name not in sets:
                step.append(sum(cpus) / len(cpus) / args.batch)
    seconds = {name: statistics.median(values) for name, values in crop.items()}
    for title, rates in (("loader alone", alone), ("training", trained)):
        for name, values in rates.items():
            print(f"{title}, {name}: {statistics.median(values):.1f} crops a second")
    for name, each in seconds.items():
        print(f"CPU time of a crop, {name}: {each * 1e3:.1f} ms")
    if device.type == "cpu":  # the loaders take from the cores that the network computes on
        own = statistics.median(step)
        print(f"CPU time of a crop in a step of training: {own * 1e3:.1f} ms")
        for name, each in seconds.items():
            print(
                f"training with all cores busy, {name}: {own / (own + each):.2f} of one in memory"
            )
    in_memory = statistics.median(trained["one batch in memory"])
    for rate in [in_memory] if device.type == "cuda" else args.gpu_crops:
        told = ", ".join(f"{name} {rate * each:.1f}" for name, each in seconds.items())
        print(f"cores that keep a GPU of {rate:.0f} crops a second busy: {told}")


if __name__ == "__main__":
    run_main(main)
