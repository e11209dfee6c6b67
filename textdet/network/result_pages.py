"""Find words in images and write the results, here or in another process.

The network runs in the thread of the caller; in others, beside it, images are read, and words are
looked for in its maps, drawn and written.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.image_inputs import Page, read_page
from textdet.common.images import MAX_PIXELS
from textdet.common.workers import available_cores
from textdet.network.detector import TextDetector
from textdet.network.result import Maps
from textdet.network.result_files import write_result

MAX_THREADS = 4  # beside the network; more would only take its cores
IMAGES_A_THREAD = 2  # that are read ahead or being written
WINDOW = 8  # batches, among whose images those of one size are sought


@dataclass(frozen=True)
class Written:
    """An image whose results are there.

    Params:
        number: of the image, as it was handed in.
        page: its name.
        name: of its results, without the ending.
        words: how many it has.
        scale: at which they were looked for.
    """

    number: int
    page: str
    name: str
    words: int
    scale: float


@dataclass
class _Job:
    """An image on its way.

    Params:
        number, page, base: see write_pages.
        reading: gives the image (H, W, 3) uint8 RGB, and the same at the size the network sees.
        images: these two, while it waits for the network.
        writing: finding its words in the maps and writing them.
        problem: why it is skipped.
    """

    number: int
    page: Page
    base: Path
    reading: Future | None
    images: tuple[np.ndarray, np.ndarray] | None = None
    writing: Future | None = None
    problem: str | None = None

    @property
    def is_finished(self) -> bool:
        return self.problem is not None or (self.writing is not None and self.writing.done())


def write_some_pages(
    detector: TextDetector, pages: Sequence[tuple[int, Page, Path]], heatmaps: bool
) -> list[Written | str]:
    """All that write_pages yields."""
    return list(write_pages(detector, pages, heatmaps))


def write_pages(
    detector: TextDetector, pages: Iterable[tuple[int, Page, Path]], heatmaps: bool
) -> Iterator[Written | str]:
    """Find the words of images and write them.

    Images that the network sees at one size go through it together, batch_size of the detector at
    a time, if they lie within WINDOW batches of each other. At most so many are in memory at once,
    and at most MAX_PIXELS of them.

    Params:
        detector: of which only one thread may run the network.
        pages: of each image its number, the image, and the path of its results without the ending.
        heatmaps: see write_result.

    Returns:
        yields, in the order of the images, what was written, or a line that says why an image was
        skipped.

    Raises:
        OSError: no space, no permission.
    """
    threads = min(MAX_THREADS, available_cores())
    pool = ThreadPoolExecutor(threads)
    most = WINDOW * detector.batch_size + IMAGES_A_THREAD * threads
    try:
        yield from _Pipeline(detector, heatmaps, pool, most).run(pages)
    finally:  # what is being written is finished, the rest not begun
        pool.shutdown(cancel_futures=True)


class _Pipeline:
    """The steps of write_pages, and the images that wait between them.

    Params:
        detector, heatmaps: see write_pages.
        pool: threads for all but the network.
        most: images on their way at a time.
    """

    def __init__(self, detector: TextDetector, heatmaps: bool, pool: ThreadPoolExecutor, most: int):
        self.detector, self.heatmaps, self.pool, self.most = detector, heatmaps, pool, most
        self.jobs = deque()  # all on their way, in the order of the images
        self.unread = deque()  # those that are being read
        self.groups = defaultdict(list)  # those that wait for others of their size

    def run(self, pages: Iterable[tuple[int, Page, Path]]) -> Iterator[Written | str]:
        """See write_pages."""
        pages = iter(pages)
        following = next(pages, None)
        while self.jobs or following:
            while following and self._has_room(following[1]):
                self._begin(*following)
                following = next(pages, None)
            writing = [job.writing for job in self.jobs if job.writing and not job.is_finished]
            if self.unread:
                self._take(self.unread.popleft())
            elif self.groups and not (following and writing):
                self._see(self.groups.pop(next(iter(self.groups))))  # that of the first image
            elif writing:
                wait(writing, return_when=FIRST_COMPLETED)
            while self.jobs and self.jobs[0].is_finished:
                job = self.jobs.popleft()
                yield job.problem or job.writing.result()

    def _has_room(self, page: Page) -> bool:
        pixels = page.pixels + sum(job.page.pixels for job in self.jobs if not job.is_finished)
        return not self.jobs or (len(self.jobs) < self.most and pixels <= MAX_PIXELS)

    def _begin(self, number: int, page: Page, base: Path) -> None:
        job = _Job(number, page, base, self.pool.submit(self._read, page))
        self.jobs.append(job)
        self.unread.append(job)

    def _read(self, page: Page) -> tuple[np.ndarray, np.ndarray]:
        image = read_page(page)
        return image, self.detector.fit(image)

    def _take(self, job: _Job) -> None:
        """Put an image that has been read with those of its size; show them to the network when
        they fill a batch."""
        try:
            job.images = job.reading.result()
        except DataError as error:
            job.problem = str(error)
            return
        finally:
            job.reading = None  # which would keep the image
        size = self.detector.padded_size(job.images[1])
        self.groups[size].append(job)
        if len(self.groups[size]) == self.detector.batch_size:
            self._see(self.groups.pop(size))

    def _see(self, jobs: list[_Job]) -> None:
        """Run the network on images, and have what it gives written; one by one where the memory is
        too small for all."""
        try:
            maps = self.detector.predict_fitted([job.images[1] for job in jobs])
        except DataError as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._see([job])
            else:
                jobs[0].problem, jobs[0].images = f"{jobs[0].page}: {error}", None
            return
        for job, values in zip(jobs, maps, strict=True):
            job.writing = self.pool.submit(self._write, job, job.images[0], values)
            job.images = None

    def _write(self, job: _Job, image: np.ndarray, values: np.ndarray) -> Written:
        height, width = image.shape[:2]
        result = self.detector.decode(Maps(values, width, height, image))
        write_result(job.base, job.page, image, result, self.detector, self.heatmaps)
        scale = self.detector.scale(width, height)
        return Written(job.number, str(job.page), job.base.name, len(result.words), scale)
