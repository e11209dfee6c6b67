"""Seconds of a training step: the library's decode head and ours, float32 and bfloat16.

    python benchmarks/bench_training.py [--size 256] [--batch 16]

Prints the median of several steps on one batch held in memory.
"""

import argparse
import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402

from model_utils import Normalise, has_fast_bf16, new_model  # noqa: E402
from train_utils import HeatmapLoss  # noqa: E402

STEPS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", type=int, default=256, help="side of the crops, px")
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{platform.machine()}, {device}, {torch.get_num_threads()} threads, {torch.__version__}")
    pixels = torch.randint(0, 256, (args.batch, 3, args.size, args.size), dtype=torch.uint8)
    maps = torch.randint(0, 256, (args.batch, 2, args.size // 2, args.size // 2), dtype=torch.uint8)
    for head in ("library's", "fast"):
        for bf16 in (False, True):
            if bf16 and not has_fast_bf16(device):
                continue
            model = new_model().to(device).train()
            if head == "library's":
                del model.decode_head.forward
            seconds = step_seconds(model, pixels.to(device), maps.to(device), bf16) / args.batch
            name = "bfloat16" if bf16 else "float32"
            print(f"  {head:10s} head, {name:8s}: {seconds:.3f} s an image")


def step_seconds(model, pixels, maps, bf16: bool) -> float:
    loss, normalise = HeatmapLoss(), Normalise().to(pixels.device)
    optimizer = torch.optim.AdamW(model.parameters())
    times = []
    for _ in range(STEPS + 1):
        started = time.perf_counter()
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=bf16):
            value = loss(model(pixel_values=normalise(pixels)).logits, maps)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        value.item()  # waits for a GPU
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
