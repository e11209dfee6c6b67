"""Seconds of a training step, and whether the data keep up with it.

    python benchmarks/bench_training.py [--size 256] [--batch 16] [--input_dir syntdata]

Prints the median of several steps on one batch held in memory: with the library's decode head and
ours, in float32 and bfloat16, with Muon, channels last and compiled. With --input_dir also the
steps a second of training on that folder against those on one batch in memory.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402
from transformers.models.segformer.modeling_segformer import SegformerDecodeHead  # noqa: E402

from static import constants as C  # noqa: E402
from textdet.common.cli import ArgumentParser, integer, run_main  # noqa: E402
from textdet.common.memory import keep_memory  # noqa: E402
from textdet.data.source import open_source  # noqa: E402
from textdet.data.triplets import read_samples  # noqa: E402
from textdet.network.runtimes import has_fast_bf16  # noqa: E402
from textdet.network.segformer import Normalise, new_model  # noqa: E402
from textdet.training.augmentation import make_preset  # noqa: E402
from textdet.training.datasets import MixSampler, TrainDataset, collate  # noqa: E402
from textdet.training.loss import HeatmapLoss  # noqa: E402
from textdet.training.optimizer import MuonAdamW  # noqa: E402


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", type=integer(64, 2048), default=256, help="side of the crops, px")
    parser.add_argument("--batch", type=integer(1), default=16)
    parser.add_argument("--steps", type=integer(1), default=5)
    parser.add_argument("--input_dir", type=Path, help="triplet folder; it is cached")
    parser.add_argument("--num_workers", type=integer(1), default=2, help="loader processes")
    parser.add_argument("--all", action="store_true", help="also channels last and compiled")
    text = "hand freed memory back to the system, as without train.py's keep_memory"
    parser.add_argument("--hand_back", action="store_true", help=text)
    args = parser.parse_args()
    if not args.hand_back:
        keep_memory(all_of_it=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{platform.machine()}, {device}, {torch.get_num_threads()} threads, {torch.__version__}")
    if args.input_dir:
        compare_with_memory(args, device)
    else:
        compare_networks(args, device)


def compare_networks(args: argparse.Namespace, device: torch.device) -> None:
    batch = {
        "pixel_values": torch.randint(256, (args.batch, 3, args.size, args.size)),
        "labels": torch.randint(256, (args.batch, 2, args.size // 2, args.size // 2)),
    }
    batch = {name: tensor.to(device, torch.uint8) for name, tensor in batch.items()}
    variants = ["library's head", "fast head", "fast head, Muon"]
    variants += ["fast head, channels last", "fast head, compiled"] if args.all else []
    for variant in variants:
        for bf16 in (False, True):
            if bf16 and not has_fast_bf16(device):
                continue
            model = new_model().to(device).train()
            if variant == "library's head":
                head = model.decode_head
                head.forward = partial(SegformerDecodeHead.forward, head)
            if variant.endswith("channels last"):
                model = model.to(memory_format=torch.channels_last)
            if variant.endswith("compiled"):
                model.compile()
            repeated = (batch for _ in range(args.steps + 2))
            steps = list(train(model, repeated, bf16, muon=variant.endswith("Muon")))[2:]
            name = "bfloat16" if bf16 else "float32"
            wall, cpu = (
                statistics.median(values) / args.batch for values in zip(*steps, strict=True)
            )
            print(f"  {variant:25s} {name:8s}: {wall:.3f} s a crop, {cpu:.3f} s of CPU time")


def compare_with_memory(args: argparse.Namespace, device: torch.device) -> None:
    samples = read_samples(args.input_dir)[0]
    source, _ = open_source(samples, 2 * args.size, caching=True, workers=2)
    dataset = TrainDataset(source, make_preset("default", args.size, 2 * args.size))
    sampler = MixSampler([len(source)], [1], seed=0)
    sampler.counts = [args.batch * (args.steps + 2)]
    loader = torch.utils.data.DataLoader(
        dataset, args.batch, sampler=sampler, collate_fn=collate, num_workers=args.num_workers
    )
    started = time.process_time()
    batch = collate([dataset[draw] for draw, _ in zip(sampler, range(args.batch), strict=False)])
    crop = (time.process_time() - started) / args.batch
    model, bf16, rates = new_model().to(device).train(), has_fast_bf16(device), []
    for name, batches in (
        ("one batch in memory", (batch for _ in range(args.steps + 2))),
        (f"data with {args.num_workers} loader processes", loader),
    ):
        walls, cpus = zip(*list(train(model, batches, bf16))[2:], strict=True)
        rates.append(1 / statistics.median(walls))
        print(
            f"  {name:35s}: {rates[-1]:.3f} steps a second, "
            f"{statistics.median(cpus):.3f} s of CPU time a step in the network's process"
        )
    print(f"  the second is {rates[1] / rates[0]:.2f} of the first")
    print(f"  making a crop takes {crop * 1e3:.1f} ms of CPU time in a loader process")
    if device.type == "cpu":  # the loaders take from the cores that the network computes on
        step = statistics.median(cpus)
        share = step / (step + args.batch * crop)
        print(f"  with all cores busy at all times, the second would be {share:.2f} of the first")


def train(model, batches, bf16: bool, muon: bool = False) -> Iterator[tuple[float, float]]:
    """Train on the batches; for each step its seconds, on the clock and of this process's CPU time,
    including the wait for the batch."""
    device = next(model.parameters()).device
    loss, normalise = HeatmapLoss(), Normalise().to(device)
    optimizer = (MuonAdamW if muon else torch.optim.AdamW)(
        model.parameters(), lr=C.SCRATCH_RATE, weight_decay=0.01
    )
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = model(pixel_values=normalise(batch["pixel_values"])).logits
            value = loss(logits, batch["labels"], batch.get("weights"))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        value.item()  # waits for a GPU
        yield time.perf_counter() - wall, time.process_time() - cpu
        wall, cpu = time.perf_counter(), time.process_time()


if __name__ == "__main__":
    run_main(main)
