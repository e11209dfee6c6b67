"""Seconds an image of the network: PyTorch in float32 and bfloat16, ONNX Runtime; the same with the
second, smaller view that the model's settings may ask for; and of decoding.

    python benchmarks/bench_detection.py [--model_dir static/model]

One photograph of static/photos, fitted to usual sizes of the network's input. On a GPU also batches
of eight. Medians of wall-clock time, and in brackets the least CPU time, which other processes
disturb less.
"""

import argparse
import platform
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2  # noqa: E402
import torch  # noqa: E402

from static import constants as C  # noqa: E402
from textdet.common.images import read_image  # noqa: E402
from textdet.decoding.decode import decode_maps  # noqa: E402
from textdet.decoding.settings import load_settings  # noqa: E402
from textdet.network.detector import TextDetector  # noqa: E402
from textdet.network.model_files import bundled_model  # noqa: E402
from textdet.network.onnx_export import export_onnx  # noqa: E402
from textdet.network.runtimes import OnnxRuntime, TorchRuntime  # noqa: E402

SIZES = ((1280, 736), (992, 1280), (1600, 928))  # width, height, px
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model_dir", type=Path, default=bundled_model())
    model_dir = parser.parse_args().model_dir
    settings = load_settings(model_dir)
    photo = read_image(sorted((C.STATIC / "photos").glob("scenetext*.jpg"))[1])
    threads = f"{torch.get_num_threads()} threads"
    print(f"{platform.machine()}, {threads}, PyTorch {torch.__version__}")
    networks = open_networks(model_dir)
    for size in SIZES:
        image = cv2.resize(photo, size)[None]
        rounds = [{name: timed(network, image) for name, network in networks.items()}]
        rounds += [
            {name: timed(network, image) for name, network in networks.items()}
            for _ in range(ROUNDS)
        ]
        for name in networks:  # the first round is slower
            show(size, name, [entry[name] for entry in rounds[1:]])
        maps = next(iter(networks.values()))(image)[0]
        show(size, "decoding", [timed(decode_maps, maps, settings) for _ in range(ROUNDS)])


def open_networks(model_dir: Path) -> dict:
    """Every way to run the model here, by name."""
    full, fast = TorchRuntime(model_dir), TorchRuntime(model_dir)
    full.bf16 = False
    networks = {str(full): full, str(fast): fast}
    with tempfile.TemporaryDirectory() as folder:  # the model's own folder stays as it is
        copy = Path(shutil.copytree(model_dir, Path(folder) / "model"))
        export_onnx(copy)
        onnx = OnnxRuntime(copy)
    networks[str(onnx)] = onnx
    if load_settings(model_dir).second_scale:
        networks |= {
            f"{name}, both views": with_second_view(network, model_dir)
            for name, network in networks.items()
        }
    if fast.device.type == "cuda":
        networks["the same, eight at a time"] = lambda image: fast(image.repeat(8, axis=0))
    return networks


def with_second_view(network, model_dir: Path):
    """From a batch of one image to its maps, as detect.py makes them of both views."""
    detector = TextDetector(model_dir)
    detector.runtime = network

    def predict(batch):  # at the batch's own size, whatever the model's settings would make of it
        detector.settings = replace(detector.settings, long_side=max(batch.shape[1:3]))
        return detector.predict(list(batch))

    return predict


def timed(function, *arguments) -> tuple[float, float]:
    """Seconds by the clock, and of the CPU."""
    started, cpu = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - started, time.process_time() - cpu


def show(size: tuple[int, int], name: str, times: list[tuple[float, float]]) -> None:
    wall, cpu = statistics.median(t[0] for t in times), min(t[1] for t in times)
    print(f"  {size[0]}x{size[1]} {name:36s} {wall:.3f} s ({cpu:.3f})")


if __name__ == "__main__":
    main()
