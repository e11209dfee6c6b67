"""Images a second of the generator in one process, and where the time goes.

    python benchmarks/bench_generator.py

Makes the same images several times, files on disk included, and prints medians.
"""

import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from functools import wraps
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2  # noqa: E402

import generate_utils  # noqa: E402
from dataset_utils import make_folders, write_triplet  # noqa: E402
from static import constants as C  # noqa: E402
from synth.backgrounds import list_backgrounds  # noqa: E402
from synth.fonts import load_fonts  # noqa: E402

IMAGES, ROUNDS, SIZE = 60, 3, 512
STAGES = {
    "background": ("draw_background", "draw_paper"),
    "typesetting": ("_draw_block", "draw_page"),
    "warping": ("map_pixels",),
    "ink": ("apply_ink",),
    "albumentations": ("augment",),
    "heatmaps": ("draw_heatmaps",),
}


def main() -> None:
    cv2.setNumThreads(1)
    seconds = defaultdict(float)
    for stage, names in STAGES.items():
        for name in names:
            measure(name, stage, seconds)
    fonts = tuple(font.path for font in load_fonts(C.FONTS)[0])
    resources = generate_utils.open_resources(
        tuple(list_backgrounds(C.BACKGROUNDS)), fonts, C.WORDS
    )
    make(resources, defaultdict(float))  # fills the caches of fonts and photographs
    seconds.clear()
    rates, words = [], 0
    for _ in range(ROUNDS):
        started = time.perf_counter()
        words = make(resources, seconds)
        rates.append(IMAGES / (time.perf_counter() - started))
    total = sum(IMAGES / rate for rate in rates)
    print(f"{platform.machine()}, Python {platform.python_version()}, OpenCV {cv2.__version__}")
    print(f"{statistics.median(rates):.1f} images a second, {words / IMAGES:.0f} words an image")
    seconds["other"] = total - sum(seconds.values())
    for stage, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        milliseconds = 1000 * spent / ROUNDS / IMAGES
        print(f"  {stage:15s} {milliseconds:6.1f} ms an image  {spent / total:5.0%}")


def measure(name: str, stage: str, seconds: dict) -> None:
    """Let a function of generate_utils add its own time to its stage."""
    function = getattr(generate_utils, name)

    @wraps(function)
    def timed(*args, **kwargs):
        before, started = sum(seconds.values()), time.perf_counter()
        result = function(*args, **kwargs)
        inner = sum(seconds.values()) - before  # stages measured within this one
        seconds[stage] += time.perf_counter() - started - inner
        return result

    setattr(generate_utils, name, timed)


def make(resources, seconds: dict) -> int:
    """Make and write the images; the number of their words."""
    words = 0
    with tempfile.TemporaryDirectory() as folder:
        make_folders(Path(folder))
        for index in range(IMAGES):
            sample, image, maps = generate_utils.generate_triplet(
                resources, Path(folder), 0, index, SIZE
            )
            started = time.perf_counter()
            write_triplet(sample, image, maps, C.JPEG_QUALITY)
            seconds["files"] += time.perf_counter() - started
            words += len(sample.words)
    return words


if __name__ == "__main__":
    main()
