"""The decoders on perfect maps: how well the true boxes come back, and how long it takes.

    python benchmarks/bench_decoder.py

Draws the maps of generated images from their annotations, at the resolution of the image and as a
network gives them (a quarter, enlarged again), and decodes them. Then the milliseconds for a map
with 500 words, against the plain reference decoder of the tests.
"""

import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from reference_craft import reference_boxes  # noqa: E402

import generate_utils  # noqa: E402
from craft_utils import DECODERS, getDetBoxes  # noqa: E402
from detection_utils import DetectionSettings, compute_metrics, truth_of  # noqa: E402
from heatmap_utils import draw_heatmaps  # noqa: E402
from static import constants as C  # noqa: E402
from synth.backgrounds import list_backgrounds  # noqa: E402
from synth.fonts import load_fonts  # noqa: E402

IMAGES, SIZE, ROUNDS = 40, 512, 7
THRESHOLDS = ((0.7, 0.4, 0.4), (0.5, 0.4, 0.3), (0.4, 0.3, 0.4))  # text, link, low_text


def main() -> None:
    cv2.setNumThreads(1)
    print(f"{platform.machine()}, Python {platform.python_version()}, OpenCV {cv2.__version__}")
    maps, truth = perfect_maps()
    small = [[shrunk(channel) for channel in pair] for pair in maps]
    for name, kept in (("1/1", maps), ("1/4, enlarged", np.array(small))):
        for thresholds in THRESHOLDS:
            for decoder in DECODERS:
                scores = compute_metrics(kept, truth, DetectionSettings(*thresholds, decoder))
                print(
                    f"  maps at {name:13s}, text {thresholds[0]}, link {thresholds[1]}, "
                    f"low {thresholds[2]}, {decoder:12s}: IoU {scores['iou']:.3f}, "
                    f"F1 {scores['f1']:.3f}"
                )
    text, link = grid_of_words(1120, 500)
    ours = median_ms(lambda: getDetBoxes(text, link, 0.7, 0.4, 0.4))
    plain = median_ms(lambda: reference_boxes(text, link, 0.7, 0.4, 0.4), rounds=1)
    print(f"  getDetBoxes, 1120x1120 px, 500 words: {ours:.0f} ms; the reference: {plain:.0f} ms")


def perfect_maps() -> tuple[np.ndarray, list]:
    """Maps (IMAGES, 2, SIZE, SIZE) uint8 of generated images, and their words."""
    fonts = tuple(font.path for font in load_fonts(C.FONTS)[0])
    resources = generate_utils.open_resources(
        tuple(list_backgrounds(C.BACKGROUNDS)), fonts, C.WORDS
    )
    maps, truth = [], []
    for index in range(IMAGES):
        sample, _, pair = generate_utils.generate_triplet(resources, Path(), 0, index, SIZE)
        maps.append(pair)
        truth.append(truth_of(sample.words))
    return np.array(maps), truth


def shrunk(channel: np.ndarray) -> np.ndarray:
    quarter = cv2.resize(channel, (SIZE // 4, SIZE // 4), interpolation=cv2.INTER_AREA)
    return cv2.resize(quarter, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def grid_of_words(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Float maps of `count` words of five letters on a grid."""
    columns = int(np.sqrt(count / 3))
    width, height = size / columns, size / (count / columns)
    words = []
    for number in range(count):
        left, top = number % columns * width, number // columns * height
        x = left + width * (0.1 + 0.16 * np.arange(6))
        y = np.array([top + 0.2 * height, top + 0.8 * height])
        words.append(
            np.array(
                [
                    [(a, y[0]), (b, y[0]), (b, y[1]), (a, y[1])]
                    for a, b in zip(x[:-1], x[1:], strict=True)
                ]
            )
        )
    text, link = draw_heatmaps(words, size, size).astype(np.float32) / 255
    return text, link


def median_ms(function, rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


if __name__ == "__main__":
    main()
