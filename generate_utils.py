"""Image number i of a run, from its index to its triplet, and the chunks that workers make."""

import functools
import gc
import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from static import constants as C
from textdet.common.bidi import side_by_side
from textdet.common.memory import keep_memory
from textdet.common.stage_times import SECONDS, stage
from textdet.common.workers import run_calls
from textdet.data.annotation import Sample
from textdet.data.chunked_folder import (
    Chunk,
    annotation_line,
    cut_chunks,
    fill_folder,
    finish_chunk,
)
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.triplets import numbered_file, write_triplet
from textdet.synth.augment import make_pipelines
from textdet.synth.backgrounds import list_backgrounds
from textdet.synth.content import load_vocabularies
from textdet.synth.fonts import load_fonts, open_fonts
from textdet.synth.resources import Resources, fonts_by_language
from textdet.synth.scene import draw_image
from textdet.synth.settings import GeneratorSettings

HEIGHTS = (0, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # px, where the bins of text heights begin
CHUNK = 10  # images a process makes in one go, of a small folder
_one_at_a_time = threading.Lock()  # fonts and the stages' times belong to one thread of a process


# --- An image --------------------------------------------------------------------------------


def generate_triplet(
    resources: Resources,
    settings: GeneratorSettings,
    folder: Path,
    seed: int,
    index: int,
    size: int,
) -> tuple[Sample, np.ndarray, np.ndarray]:
    """Make image number `index`; it depends on the arguments alone.

    Params:
        folder: that the sample is to be in; nothing is written.
        seed, index: of the run, and of the image in it, both from 0.
        size: px, side of the square image.

    Returns:
        the sample (not yet written), the image (size, size, 3) uint8 RGB, and the character and
        the affinity map (2, size, size) uint8.
    """
    scene = draw_image(np.random.default_rng([seed, index]), settings, resources, size)
    with stage("heatmaps"):
        readable = [side_by_side(w.text, w.quads) for w in scene.words if not w.ignore]
        maps = draw_heatmaps(readable, size, size)
    sample = Sample(folder, f"{index:08d}.jpg", size, size, scene.words, scene.notes)
    return sample, scene.image, maps


def bundled_resources(settings: GeneratorSettings) -> Resources:
    """Open the fonts, words and photographs of static/.

    Params:
        settings: their LANGUAGE_SHARES choose the lists of words.

    Raises:
        DataError: a file cannot be used.
    """
    backgrounds, fonts = list_backgrounds(C.BACKGROUNDS), load_fonts(C.FONTS)[0]
    paths = tuple(dict.fromkeys(font.path for font in fonts))
    return open_resources(tuple(backgrounds), paths, C.WORDS, settings.languages())


@functools.lru_cache(maxsize=1)
def open_resources(
    backgrounds: tuple[Path, ...], fonts: tuple[Path, ...], words: Path, languages: tuple[str, ...]
) -> Resources:
    """Open the files of a job, once a process.

    Params:
        backgrounds, fonts: files.
        words: a folder of lists, or one list.
        languages: of the lists in a folder.

    Raises:
        DataError: a file cannot be used.
    """
    vocabularies = load_vocabularies(words, languages)
    opened = [font for path in fonts for font in open_fonts(path)]
    matches = fonts_by_language(vocabularies, opened)
    gc.freeze()  # modules and resources stay; a collection through them takes 0.1 s
    return Resources(list(backgrounds), vocabularies, matches)


# --- A chunk of them, as a worker makes it ---------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What a worker needs to make any chunk: plain values, so that it travels anywhere.

    Params:
        folder: of the whole run.
        seed: of the whole run; a fixed seed gives the same images.
        size: px, side of the square images.
        backgrounds, fonts: files, checked.
        words: a folder of lists, or one list.
        subfolders: see triplets.numbered_file.
    """

    folder: Path
    settings: GeneratorSettings
    seed: int
    size: int
    backgrounds: tuple[Path, ...]
    fonts: tuple[Path, ...]
    words: Path
    subfolders: bool = False


def run_chunk(job: Job, chunk: Chunk) -> tuple[Counter, Counter]:
    """Make the images of one chunk, then its annotation file.

    Params:
        chunk: its sources are the numbers of its images.

    Returns:
        its counts, see count_records(), and seconds by stage.

    Raises:
        DataError: a file of the job cannot be used.
    """
    with _one_at_a_time:
        before = SECONDS.copy()
        with stage("starting"):
            keep_memory()
            cv2.setNumThreads(1)  # the processes share the cores
            make_pipelines(job.settings)  # first, so that the modules it imports are frozen too
            languages = job.settings.languages()
            resources = open_resources(job.backgrounds, job.fonts, job.words, languages)
        lines, counts = [], Counter()
        with stage("other"):
            for index in chunk.sources:
                sample, image, maps = generate_triplet(
                    resources, job.settings, job.folder, job.seed, index, job.size
                )
                sample.file = numbered_file(index, job.subfolders)
                with stage("encoding"):
                    write_triplet(sample, image, maps, job.settings.JPEG_QUALITY)
                    record = sample.to_json()
                    lines.append(annotation_line(record))
                counts += count_records([record])
            with stage("encoding"):
                finish_chunk(chunk.path, lines, [])
        return counts, SECONDS - before


def draw_triplet(job: Job, index: int) -> tuple[Sample, np.ndarray, np.ndarray]:
    """Make image number `index` of a job for whoever takes it as it is; nothing is written.

    The files are opened once a process. One thread of a process may call it.

    Returns:
        as generate_triplet.

    Raises:
        DataError: a file of the job cannot be used.
    """
    make_pipelines(job.settings)
    resources = open_resources(job.backgrounds, job.fonts, job.words, job.settings.languages())
    return generate_triplet(resources, job.settings, job.folder, job.seed, index, job.size)


def fill_job(job: Job, count: int, record: dict, workers: int) -> None:
    """Make the first images of a job's folder, those that are not there yet.

    Params:
        count: images.
        record: as start_folder returned it.
        workers: processes.

    Raises:
        DataError: a file of the job cannot be used, or a process was killed.
    """
    chunks = cut_chunks(job.folder, range(count), CHUNK)

    def make(missing: Iterable[Chunk]) -> Iterator[int]:
        calls, processes = ((chunk,) for chunk in missing), max(1, min(workers, len(chunks)))
        for found, _ in run_calls(run_chunk, calls, processes, shared=(job,)):
            yield found["images"]

    fill_folder(job.folder, record, chunks, make, lambda folder: {"images": count}, total=count)


def count_records(records: list[dict]) -> Counter:
    """Count what is in images.

    Params:
        records: of annotation files, one an image.

    Returns:
        "images", "words", "characters"; the words by height, each bin by its first px in HEIGHTS;
        the don't-care words, as "unreadable words"; the dropped blocks by reason, as
        ("dropped", reason).
    """
    counts = Counter(images=len(records))
    for record in records:
        for reason, number in record.get("dropped", {}).items():
            counts["dropped", reason] += number
        for word in record["words"]:
            if word["ignore"]:
                counts["unreadable words"] += 1
                continue
            cells = word["characters"]
            counts["words"] += 1
            counts["characters"] += len(cells)
            height = math.dist(cells[0]["quad"][3], cells[0]["quad"][0])
            counts[max(low for low in HEIGHTS if low <= height)] += 1
    return counts
