"""Seconds an image of CRAFT's network, to compare with those of bench_detection.py.

    python benchmarks/bench_craft.py

20.8 million parameters, random ones, since the time does not depend on them. float32 as published;
channels last besides, and bfloat16 where that is fast. Medians of wall-clock time.
"""

import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.bench_detection import SIZES  # noqa: E402
from textdet.common.cli import ArgumentParser, run_main  # noqa: E402
from textdet.network.craft import Craft  # noqa: E402
from textdet.network.runtimes import has_fast_bf16  # noqa: E402

ROUNDS = 3


def main() -> None:
    ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    network = Craft().eval()
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    print(
        f"CRAFT, {parameters:.1f} million parameters; {platform.machine()}, "
        f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}"
    )
    # Without the instructions for it bfloat16 is emulated, and says nothing of CRAFT.
    precisions = (False, True) if has_fast_bf16(torch.device("cpu")) else (False,)
    for memory in (torch.contiguous_format, torch.channels_last):
        network.to(memory_format=memory)
        for width, height in SIZES:
            image = torch.rand(1, 3, height, width).to(memory_format=memory)
            for bf16 in precisions:
                median = statistics.median(timed(network, image, bf16) for _ in range(ROUNDS))
                name = f"{'bfloat16' if bf16 else 'float32'}, {str(memory).split('.')[1]}"
                print(f"  {width}x{height} {name:28s} {median:.2f} s")


@torch.inference_mode()
def timed(network: nn.Module, image: torch.Tensor, bf16: bool) -> float:
    """Seconds by the clock."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        started = time.perf_counter()
        network(image)
        return time.perf_counter() - started


if __name__ == "__main__":
    run_main(main)
