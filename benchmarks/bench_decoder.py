"""The decoders on perfect maps: how well the true boxes come back, and how long it takes.

    python benchmarks/bench_decoder.py

Draws the maps of generated images from their annotations, and those of curved words, at the
resolution of the image and as a network gives them (a quarter, its logits enlarged again), decodes
them, and splits the words into characters. Then the milliseconds of CPU time for maps full of
words, against the plain reference decoder of the tests.
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
from shapes import curved_quads, quartered  # noqa: E402

import generate_utils  # noqa: E402
from craft_utils import getDetBoxes  # noqa: E402
from textdet.common.cli import ArgumentParser, run_main  # noqa: E402
from textdet.data.annotation import Word  # noqa: E402
from textdet.data.heatmaps import draw_heatmaps  # noqa: E402
from textdet.decoding.characters import split_characters  # noqa: E402
from textdet.decoding.decode import decode_maps  # noqa: E402
from textdet.decoding.metrics import match_image, polygon_ious, summarise  # noqa: E402
from textdet.decoding.settings import DECODERS, DetectionSettings  # noqa: E402
from textdet.synth.settings import GeneratorSettings  # noqa: E402

IMAGES, SIZE, ROUNDS = 40, 512, 15
THRESHOLDS = ((0.7, 0.4, 0.4), (0.5, 0.4, 0.3), (0.4, 0.3, 0.4), (0.4, 0.3, 0.3))
HEIGHTS = ((0, 12), (12, 20), (20, 1000))  # px of the words, for the table
CURVES = ((0.6, 0), (1.2, 0), (1.8, 0), (2.5, 0), (0, 0.5))  # turn and wave, radians
CURVED_WORDS = ((10, 14, 24), (14, 9, 16), (8, 24, 40))  # characters, width, height


def main() -> None:
    ArgumentParser(description=__doc__.split("\n\n")[0]).parse_args()
    cv2.setNumThreads(1)
    print(f"{platform.machine()}, Python {platform.python_version()}, OpenCV {cv2.__version__}")
    samples = perfect_maps()
    for name, convert in (("1/1", lambda maps: maps), ("1/4, enlarged", quartered)):
        converted = [(convert(maps), words) for maps, words in samples]
        print(f"Maps at {name}: {sum(len(words) for _, words in samples)} generated words")
        print(f"  text, link, low_text  {'decoder':12s}  IoU   F1@.5 F1@.75  IoU by height, px")
        for thresholds in THRESHOLDS:
            for decoder in DECODERS:
                print_scores(converted, DetectionSettings(*thresholds, decoder))
        print_characters(converted)
        print_curved(convert)
    print_times()


def print_scores(samples, settings: DetectionSettings) -> None:
    matches, strict, best, heights = [], [], [], []
    for maps, words in samples:
        truth, boxes = [word.polygon for word in words], decode_maps(maps, settings).boxes
        matches.append(match_image(boxes, truth))
        strict.append(match_image(boxes, truth, iou_threshold=0.75))
        best += polygon_ious(boxes, truth).max(axis=0, initial=0).tolist()
        heights += [np.linalg.norm(polygon[3] - polygon[0]) for polygon in truth]
    best, heights = np.array(best), np.array(heights)
    by_height = [
        f"{low}..{high}: {best[(heights >= low) & (heights < high)].mean():.3f}"
        for low, high in HEIGHTS
    ]
    total = summarise(matches)
    print(
        f"  {settings.text_threshold:4} {settings.link_threshold:5} {settings.low_text:9}  "
        f"{settings.decoder:12s}  {total['iou']:.3f} {total['f1']:.3f} "
        f"{summarise(strict)['f1']:.3f}   {'  '.join(by_height)}"
    )


def print_characters(samples) -> None:
    right = total = 0
    ious = []
    for maps, words in samples:
        for word in words:
            quads = split_characters(maps[0], ribbon(word))
            total += 1
            if len(quads) == len(word.quads):
                right += 1
                ious += np.diag(polygon_ious(quads, word.quads)).tolist()
    print(
        f"  characters: the right number in {right / total:.1%} of the words, there with a mean "
        f"IoU of {np.mean(ious):.3f}"
    )


def ribbon(word: Word) -> np.ndarray:
    """A word's polygon as a decoder would give it: (2K, 2), its upper side, then its lower."""
    if len(word.polygon) == 4:
        return word.polygon
    upper, lower = word.quads[:, :2], word.quads[::-1, 2:]
    return np.concatenate([upper, lower]).reshape(-1, 2)


def print_curved(convert) -> None:
    for turn, wave in CURVES:
        ious, boxes = [], []
        for letters, width, height in CURVED_WORDS:
            for degrees in range(10, 360, 45):
                quads, band = curved_quads(letters, width, height, turn, degrees, wave)
                maps = convert(draw_heatmaps([quads], 400, 400))
                found = decode_maps(maps, DetectionSettings(0.7, 0.4, 0.4), poly=True)
                box, polygon = found.boxes[0], found.polys[0]
                outline = box if polygon is None else polygon
                ious.append(polygon_ious([outline], [band])[0, 0])
                boxes.append(polygon_ious([box], [band])[0, 0])
        kind = f"arc of {np.rad2deg(turn):.0f} degrees" if turn else "a sine"
        print(
            f"  curved words, {kind}, in 8 directions: IoU of the polygon mean "
            f"{np.mean(ious):.3f}, lowest {np.min(ious):.3f}; of the box {np.mean(boxes):.3f}"
        )


def print_times() -> None:
    print("Milliseconds of CPU time, one thread")
    maps = (grid_of_words(1280, 300) * 255).astype(np.uint8)
    variants = [(decoder, DetectionSettings(0.7, 0.4, 0.4, decoder)) for decoder in DECODERS]
    variants.append(("with relative_link", DetectionSettings(0.7, 0.4, 0.4, relative_link=0.6)))
    for name, settings in variants:
        spent = median_ms(lambda settings=settings: decode_maps(maps, settings))
        print(f"  decode_maps, 1280x1280 px, 300 words, {name}: {spent:.1f}")
    text, link = grid_of_words(1120, 500)
    ours = median_ms(lambda: getDetBoxes(text, link, 0.7, 0.4, 0.4))
    plain = median_ms(lambda: reference_boxes(text, link, 0.7, 0.4, 0.4), rounds=1)
    print(
        f"  getDetBoxes, 1120x1120 px, 500 words: {ours:.1f}; the reference: {plain:.0f}, "
        f"{plain / ours:.0f} times as much"
    )


def perfect_maps() -> list:
    """Of each of IMAGES generated images: maps (2, SIZE, SIZE) uint8, the words in them."""
    settings = GeneratorSettings()
    resources = generate_utils.bundled_resources(settings)
    samples = []
    for index in range(IMAGES):
        sample, _, pair = generate_utils.generate_triplet(
            resources, settings, Path(), 0, index, SIZE
        )
        samples.append((pair, [word for word in sample.words if not word.ignore]))
    return samples


def grid_of_words(size: int, count: int) -> np.ndarray:
    """Float maps (2, size, size) of `count` words of five letters on a grid."""
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
    return draw_heatmaps(words, size, size).astype(np.float32) / 255


def median_ms(function, rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds):
        started = time.process_time()
        function()
        times.append(1000 * (time.process_time() - started))
    return statistics.median(times)


if __name__ == "__main__":
    run_main(main)
