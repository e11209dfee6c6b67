"""Pseudo-characters of generated words against the true ones, and against an equal split.

    python generate_images.py --num_images 100 --seed 4242 --save_folder unseen
    python benchmarks/bench_pseudo_labels.py --input_dir unseen [--model_dir static/model]

The characters of a triplet folder are taken away, the words labelled as pseudo_label.py does it,
and the result compared with what was there. IoU is that of each character's cell with its true one,
paired in reading order. The picture (--picture) shows true cells green, pseudo-characters red.
"""

import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from textdet.common.cli import ArgumentParser, integer, run_main  # noqa: E402
from textdet.common.images import read_image  # noqa: E402
from textdet.common.pictures import save_picture  # noqa: E402
from textdet.data.annotation import Word  # noqa: E402
from textdet.data.triplets import read_samples  # noqa: E402
from textdet.decoding.metrics import polygon_ious  # noqa: E402
from textdet.network.detector import TextDetector  # noqa: E402
from textdet.network.model_files import bundled_model  # noqa: E402
from textdet.network.pseudo_labels import cut_evenly, label_images  # noqa: E402

BATCH_SIZE, CHUNK = 32, 20  # words that the network sees at once; images labelled in one go
HEIGHTS = (0, 10, 14, 20, 30, 60, 10_000)  # px of the words, for the table
NARROW = set("iIlj1|!.,:;'()[]-ії")
ZOOM, SHOWN = 2, 24  # times; words in the picture


@dataclass
class Judged:
    """A word's pseudo-characters.

    ious, even: (n,) IoU with each true character, of the pseudo-characters and of equal parts;
    None for a word without as many true characters as letters. height: px.
    """

    image: int
    true: Word
    found: Word
    kind: str
    shape: str
    height: float
    ious: np.ndarray
    even: np.ndarray

    @property
    def counted(self) -> bool:
        """Whether the model saw the right number of characters by itself."""
        return self.found.confidence == 1


def main() -> None:
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--input_dir", type=Path, required=True, help="triplet folder")
    parser.add_argument("--model_dir", type=Path, default=bundled_model())
    parser.add_argument("--max_samples", type=integer(1), help="only the first so many images")
    parser.add_argument("--picture", type=Path, help="PNG of the words, the worst ones first")
    args = parser.parse_args()
    samples = read_samples(args.input_dir)[0][: args.max_samples]
    judged, spent, inside = judge(samples, TextDetector(args.model_dir))
    print(
        f"{len(judged)} words of {len(samples)} images; {spent:.0f} s of CPU time, "
        f"{inside / spent:.0%} of it in the network"
    )
    print(f"{'':24s} words  right  conf.  IoU of right ones  IoU of all    characters")
    print(f"{'':24s}        count         split   equal     split   equal  narrow (split, equal)")
    show("all", judged)
    for name, value in (("kind", lambda j: j.kind), ("form", lambda j: j.shape)):
        for group, own in grouped(judged, value).items():
            show(f"{name}: {group}", own)
    for low, high in zip(HEIGHTS[:-1], HEIGHTS[1:], strict=True):
        show(f"height: {low}..{high} px", [j for j in judged if low <= j.height < high])
    show("capitals", [j for j in judged if j.true.text.isupper() and len(j.true.quads) > 1])
    show("one letter", [j for j in judged if len(j.true.quads) == 1])
    show("10 letters or more", [j for j in judged if len(j.true.quads) >= 10])
    if args.picture:
        draw(args.picture, samples, judged)


def judge(samples: list, detector: TextDetector) -> tuple[list[Judged], float, float]:
    """Every word's result; seconds of CPU time in all, and in the network."""
    judged, inside, started = [], 0.0, time.process_time()

    def timed_network(batch: np.ndarray) -> np.ndarray:
        nonlocal inside
        before = time.process_time()
        maps = detector.run(batch)
        inside += time.process_time() - before
        return maps

    for start in range(0, len(samples), CHUNK):
        chunk = samples[start : start + CHUNK]
        images = [read_image(sample.image_path) for sample in chunk]
        bare = [[without_characters(w) for w in s.words] for s in chunk]
        labelled = label_images(images, bare, timed_network, BATCH_SIZE)
        for number, (sample, own) in enumerate(zip(chunk, labelled, strict=True), start):
            judged += [
                judge_word(number, true, found, sample.extra.get("kind", ""))
                for true, found in zip(sample.words, own, strict=True)
                if not found.ignore and len(found.quads) == len(true.quads)
            ]
    return judged, time.process_time() - started, inside


def without_characters(word: Word) -> Word:
    return Word(word.text, [], word.quads[:0], word.polygon, word.ignore)


def judge_word(image: int, true: Word, found: Word, kind: str) -> Judged:
    even = cut_evenly(true.polygon, len(true.quads))
    ious, even = (np.diag(polygon_ious(cells, true.quads)) for cells in (found.quads, even))
    size = cv2.minAreaRect(true.polygon)[1]
    height = min(size) if len(true.quads) > 1 else np.linalg.norm(true.polygon[3] - true.polygon[0])
    return Judged(image, true, found, kind, shape_of(true), height, ious, even)


def shape_of(word: Word) -> str:
    """Straight, turned, curved, or with its letters one below the other."""
    quads = word.quads
    if len(quads) > 1:
        step = quads[-1].mean(0) - quads[0].mean(0)
        right = (quads[:, 1] - quads[:, 0]).mean(0)
        if abs(step @ right) < 0.5 * np.linalg.norm(step) * np.linalg.norm(right):
            return "stacked"
    if len(word.polygon) > 4:
        return "curved"
    x, y = word.polygon[1] - word.polygon[0]
    return "straight" if abs(y) < 0.2 * x else "turned"


def grouped(judged: list[Judged], value) -> dict[str, list[Judged]]:
    groups = defaultdict(list)
    for entry in judged:
        groups[value(entry)].append(entry)
    return dict(sorted(groups.items()))


def show(name: str, judged: list[Judged]) -> None:
    """A line of the table. Means of IoU are over characters."""
    if not judged:
        return
    right = [entry for entry in judged if entry.counted]
    narrow = [[c in NARROW for c in entry.true.characters] for entry in judged]
    values = [
        mean([getattr(entry, which) for entry in group])
        for group in (right, judged)
        for which in ("ious", "even")
    ]
    for which in ("ious", "even"):
        pairs = zip(judged, narrow, strict=True)
        values.append(mean([getattr(entry, which)[own] for entry, own in pairs]))
    print(
        f"{name:24s} {len(judged):5d}  {len(right) / len(judged):5.3f}  "
        f"{np.mean([entry.found.confidence for entry in judged]):5.3f}  "
        + "   ".join(f"{value:5.3f}" for value in values)
    )


def mean(parts: list[np.ndarray]) -> float:
    """Of the arrays' numbers; nan when there are none."""
    numbers = np.concatenate(parts) if parts else np.zeros(0)
    return float(numbers.mean()) if len(numbers) else float("nan")


def draw(path: Path, samples: list, judged: list[Judged]) -> None:
    """The words from the worst to the best in even steps, each enlarged to one height."""
    order = sorted((entry for entry in judged if entry.height >= 8), key=lambda e: e.ious.mean())
    tiles = []
    for entry in [order[i] for i in np.linspace(0, len(order) - 1, SHOWN).astype(int)]:
        image = read_image(samples[entry.image].image_path)
        low, high = entry.true.polygon.min(0) - 6, entry.true.polygon.max(0) + 6
        left, top = np.maximum(low, 0).astype(int)
        tile = image[top : int(high[1]), left : int(high[0])]
        scale = min(ZOOM * 60 / tile.shape[0], 400 / tile.shape[1])
        tile = cv2.resize(tile, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        for quads, colour in ((entry.true.quads, (0, 220, 0)), (entry.found.quads, (255, 0, 0))):
            points = ((quads - (left, top)) * scale).round().astype(np.int32)
            cv2.polylines(tile, list(points), True, colour, 1, cv2.LINE_AA)
        canvas = np.full((ZOOM * 60 + 16, 410, 3), 255, np.uint8)
        canvas[16 : 16 + tile.shape[0], : tile.shape[1]] = tile
        label = f"IoU {entry.ious.mean():.2f} conf {entry.found.confidence:.2f}"
        cv2.putText(canvas, label, (2, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
        tiles.append(canvas)
    rows = [np.hstack(tiles[i : i + 3]) for i in range(0, len(tiles), 3)]
    save_picture(path, np.vstack(rows))


if __name__ == "__main__":
    run_main(main)
