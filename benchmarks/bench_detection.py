"""Seconds an image of the network: PyTorch in float32 and bfloat16, ONNX Runtime; the same with the
second, smaller view that the model's settings may ask for; and of decoding.

    python benchmarks/bench_detection.py [--model_dir static/model] [--int8] [--peer det.onnx]

With --int8 also ONNX Runtime with 8-bit convolutions and matrix products, calibrated by the bundled
photographs, and how far its maps are from those in float32. A peer is another detector's network as
ONNX, from (1, 3, H, W) float pixels, such as those of PP-OCR in the package rapidocr.

One photograph of static/photos, fitted to usual sizes of the network's input. On a GPU also batches
of eight. Medians of wall-clock time, and in brackets the least CPU time, which other processes
disturb less.
"""

import os
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
import numpy as np  # noqa: E402
import torch  # noqa: E402

from static import constants as C  # noqa: E402
from textdet.common.cli import ArgumentParser, run_main  # noqa: E402
from textdet.common.errors import DataError  # noqa: E402
from textdet.common.images import read_image  # noqa: E402
from textdet.decoding.decode import decode_maps  # noqa: E402
from textdet.decoding.settings import load_settings  # noqa: E402
from textdet.network.detector import TextDetector  # noqa: E402
from textdet.network.model_files import bundled_model  # noqa: E402
from textdet.network.onnx_export import export_onnx  # noqa: E402
from textdet.network.runtimes import ONNX_FILE, OnnxRuntime, TorchRuntime  # noqa: E402

SIZES = ((1280, 736), (992, 1280), (1600, 928))  # width, height, px
ROUNDS = 7
INT8 = "ONNX Runtime on cpu, int8"


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model_dir", type=Path, default=bundled_model())
    parser.add_argument("--int8", action="store_true", help="also with 8-bit numbers")
    parser.add_argument("--peer", type=Path, help="another detector's network, to compare with")
    args = parser.parse_args()
    model_dir = args.model_dir
    settings = load_settings(model_dir)
    photo = read_image(sorted((C.STATIC / "photos").glob("scenetext*.jpg"))[1])
    threads = f"{torch.get_num_threads()} threads"
    print(f"{platform.machine()}, {threads}, PyTorch {torch.__version__}")
    networks = open_networks(model_dir, args.int8)
    if args.peer:
        networks[args.peer.name] = open_peer(args.peer)
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
        if args.int8:
            compare_maps(size, networks, image)
        show(size, "decoding", [timed(decode_maps, maps, settings) for _ in range(ROUNDS)])


def open_networks(model_dir: Path, int8: bool) -> dict:
    """Every way to run the model here, by name."""
    full, fast = TorchRuntime(model_dir), TorchRuntime(model_dir)
    full.bf16 = False
    networks = {str(full): full, str(fast): fast}
    with tempfile.TemporaryDirectory() as folder:  # the model's own folder stays as it is
        copy = Path(shutil.copytree(model_dir, Path(folder) / "model"))
        export_onnx(copy)
        onnx = OnnxRuntime(copy)
        networks[str(onnx)] = onnx
        if int8:
            quantise(copy / ONNX_FILE)
            networks[INT8] = OnnxRuntime(copy)
    if load_settings(model_dir).second_scale:
        networks |= {
            f"{name}, both views": with_second_view(network, model_dir)
            for name, network in networks.items()
        }
    if fast.device.type == "cuda":
        networks["the same, eight at a time"] = lambda image: fast(image.repeat(8, axis=0))
    return networks


def quantise(path: Path) -> None:
    """Replace an exported model by one with 8-bit convolutions and matrix products."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Photographs(CalibrationDataReader):
        def __init__(self):
            paths = sorted((C.STATIC / "photos").glob("*.jpg"))
            self.images = iter([cv2.resize(read_image(path), (640, 640))[None] for path in paths])

        def get_next(self) -> dict | None:
            image = next(self.images, None)
            return None if image is None else {"image": image}

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        path,
        Photographs(),
        op_types_to_quantize=["Conv", "MatMul"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def compare_maps(size: tuple[int, int], networks: dict, image) -> None:
    """Show how far the 8-bit maps are from those in float32, 0..1."""
    full = next(iter(networks.values()))
    difference = abs(full(image).astype(float) - networks[INT8](image)) / 255
    print(
        f"  {size[0]}x{size[1]} 8 bit: maps differ by {difference.mean():.4f} on average, "
        f"by {difference.max():.2f} at most"
    )


def open_peer(path: Path):
    """Another detector's network, run as OnnxRuntime runs the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # kinds of the library's own
        raise DataError(f"{path}: cannot be loaded ({error})") from None
    name = session.get_inputs()[0].name

    def run(image: np.ndarray) -> np.ndarray:
        pixels = (image.transpose(0, 3, 1, 2).astype(np.float32) / 255 - 0.5) / 0.5
        return session.run(None, {name: pixels})[0]

    return run


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
    run_main(main)
