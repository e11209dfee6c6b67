"""Seconds an image of CRAFT's network, to compare with those of bench_detection.py.

    python benchmarks/bench_craft.py

VGG16 with batch normalisation and CRAFT's upward half (Baek et al., CVPR 2019, figure 2; layers and
channels as in the authors' code): 20.8 million parameters, random ones, since the time does not
depend on them. float32 as published; channels last besides, and bfloat16 where that is fast.
Medians of wall-clock time.
"""

import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from benchmarks.bench_detection import SIZES  # noqa: E402
from textdet.network.runtimes import has_fast_bf16  # noqa: E402

ROUNDS = 3
# Channels of VGG16's convolutions; CRAFT takes features behind each of these groups.
STAGES = ((64, 64, "pool", 128, 128), ("pool", 256, 256), (256, "pool", 512, 512))
STAGES += ((512, "pool", 512, 512),)


def convolution(before: int, after: int, side: int = 3) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, side, padding=side // 2)
    return [convolution, nn.BatchNorm2d(after), nn.ReLU()]


class Craft(nn.Module):
    """(B, 3, H, W) to both maps at half the size, (B, 2, H / 2, W / 2)."""

    def __init__(self):
        super().__init__()
        channels, stages = 3, []
        for stage in STAGES:
            layers = []
            for step in stage:
                layers += [nn.MaxPool2d(2)] if step == "pool" else convolution(channels, step)
                channels = channels if step == "pool" else step
            stages.append(nn.Sequential(*layers))
        self.down = nn.ModuleList(stages)
        self.bottom = nn.Sequential(
            nn.MaxPool2d(3, 1, 1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.Conv2d(1024, 1024, 1),
        )
        widths = ((1536, 512, 256), (768, 256, 128), (384, 128, 64), (192, 64, 32))
        self.up = nn.ModuleList(
            nn.Sequential(*convolution(before, inner, 1), *convolution(inner, after))
            for before, inner, after in widths
        )
        head = ((32, 32, 3), (32, 32, 3), (32, 16, 3), (16, 16, 1))
        layers = [
            layer
            for before, after, side in head
            for layer in (nn.Conv2d(before, after, side, padding=side // 2), nn.ReLU())
        ]
        self.head = nn.Sequential(*layers, nn.Conv2d(16, 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = []
        for stage in self.down:
            x = stage(x)
            features.append(x)
        x = self.bottom(x)
        for up, feature in zip(self.up, reversed(features), strict=True):
            x = F.interpolate(x, feature.shape[2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([x, feature], 1))
        return self.head(x)


def main() -> None:
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
    main()
