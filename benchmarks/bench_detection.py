"""Seconds an image of detect.py's detector, float32 and bfloat16.

    python benchmarks/bench_detection.py [--model_dir static/model]

One photograph of static/photos, fitted to two usual sizes; medians.
"""

import argparse
import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2  # noqa: E402
import torch  # noqa: E402

from dataset_utils import read_image  # noqa: E402
from detection_utils import decode_maps  # noqa: E402
from detector import TextDetector  # noqa: E402
from static import constants as C  # noqa: E402

SIZES = ((1280, 736), (992, 1280))  # width, height, px
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model_dir", type=Path, default=C.MODEL)
    detector = TextDetector(parser.parse_args().model_dir)
    photo = read_image(sorted((C.STATIC / "photos").glob("scenetext*.jpg"))[1])
    device = f"{detector.device}, {torch.get_num_threads()} threads"
    print(f"{platform.machine()}, {device}, PyTorch {torch.__version__}")
    for size in SIZES:
        image = cv2.resize(photo, size)[None]
        for bf16 in dict.fromkeys((False, detector.bf16)):
            detector.bf16 = bf16
            maps = detector.run(image)  # the first call is slower
            network = median(lambda image=image: detector.run(image))
            decoding = median(lambda maps=maps: decode_maps(maps[0], detector.settings))
            kind = "bfloat16" if bf16 else "float32"
            print(
                f"  {size[0]}x{size[1]} {kind:8s}: network {network:.2f} s, "
                f"decoding {decoding:.3f} s"
            )


def median(function) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
