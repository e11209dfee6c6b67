"""One chunk of synthetic images, as a worker makes it, and what there is to count in it."""

import math
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from static import constants as C
from textdet.common.memory import keep_memory
from textdet.common.stage_times import SECONDS, stage
from textdet.data.chunked_folder import finish_chunk
from textdet.data.triplets import write_triplet

HEIGHTS = (0, 8, 12, 16, 24, 32, 48, 64, 96, 128)  # px, where the bins of text heights begin
_one_at_a_time = threading.Lock()  # fonts and the stages' times belong to one thread of a process


@dataclass(frozen=True)
class Job:
    """What a worker needs to make any chunk: plain values, so that it travels anywhere."""

    folder: Path
    seed: int
    size: int
    backgrounds: tuple[Path, ...]
    fonts: tuple[Path, ...]
    words: Path


@dataclass(frozen=True)
class Chunk:
    """The numbers of its images, and the annotation file that marks it done."""

    indices: range
    path: Path


def run_chunk(job: Job, chunk: Chunk) -> tuple[Counter, Counter]:
    """Make the images of one chunk, then its annotation file: its counts, and seconds by stage."""
    with _one_at_a_time:
        before = SECONDS.copy()
        with stage("starting"):
            import cv2

            from generate_utils import generate_triplet, open_resources

            keep_memory()
            cv2.setNumThreads(1)  # the processes share the cores
            resources = open_resources(job.backgrounds, job.fonts, job.words)
        records = []
        with stage("other"):
            for index in chunk.indices:
                sample, image, maps = generate_triplet(
                    resources, job.folder, job.seed, index, job.size
                )
                with stage("encoding"):
                    write_triplet(sample, image, maps, C.JPEG_QUALITY)
                    records.append(sample.to_json())
            with stage("encoding"):
                finish_chunk(chunk.path, records, [])
        return count_records(records), SECONDS - before


def count_records(records: list[dict]) -> Counter:
    """Images, words, characters, words by height bin (its first px), don't-care words, and dropped
    blocks by reason, as ("dropped", reason)."""
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
