"""The images that a command line names: files, folders, globs, standard input."""

import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path

import numpy as np

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError
from textdet.common.files import glob_below
from textdet.common.images import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    find_frames,
    is_image,
    name_other_pictures,
    read_image,
)

STDIN = Path("-")


@dataclass(frozen=True)
class Page:
    """An image of a file; most files hold one.

    Params:
        path: of the file; STDIN for standard input.
        number: of the page in it, from 1.
        frame: as read_image counts them.
        data: what was read from standard input.
        pixels: of it, or of its file's largest page.
    """

    path: Path
    number: int = 1
    frame: int = 0
    data: io.BytesIO | None = None
    pixels: int = 0

    def at_absolute_path(self) -> "Page":
        """The same page, for a process that works elsewhere."""
        return self if self.path == STDIN else replace(self, path=self.path.absolute())

    def __str__(self) -> str:
        return str(self.path) if self.number == 1 else f"{self.path}, page {self.number}"


def find_images(
    inputs: list[str], recursive: bool, output_dir: Path, is_result: Callable[[Path], bool]
) -> tuple[list[Path], list[str]]:
    """Find the images that a command line names.

    Params:
        inputs: files, folders and glob patterns, and "-" for standard input. Files are taken
            whatever their names; of folders, only what is_image knows.
        recursive: whether folders are searched with all that is below them.
        output_dir: where results go. Images in it are left out, since results would replace them.
        is_result: whether an image is a result of an earlier run. Such are left out, unless named.

    Returns:
        the images, each once; and a line for each thing that was left out.

    Raises:
        DataError: no image is left.
    """
    output_dir = os.path.realpath(output_dir)
    paths, problems = [], []
    for text in inputs:
        if text == str(STDIN):
            paths.append(STDIN)
            continue
        # A name with brackets is a file before it is a pattern.
        matches = [text] if os.path.exists(text) else sorted(glob(text, recursive=True))
        if not matches:
            problems.append(f"{text}: no such file or folder")
        for match in map(Path, matches):
            if match.is_dir():
                inside = glob_below(match) if recursive else match.iterdir()
                files = sorted(p for p in inside if p.is_file() or _leads_nowhere(p))
                found = list(filter(is_image, files))
                if not found:
                    endings = ", ".join(sorted(IMAGE_SUFFIXES))
                    problems.append(f"{match}: no images in it ({endings})")
                problems += [f"{match}: {line}" for line in name_other_pictures(files)]
                paths += found
            else:
                paths.append(match)
    unique = {}
    for path in paths:
        unique.setdefault(place_of(path), path)
    paths = list(unique.values())
    there = {p for p in paths if p != STDIN and os.path.realpath(p.parent) == output_dir}
    named = set(map(Path, inputs)) - there
    results = {path for path in paths if path not in named and is_result(path)}
    problems += name_results(results)
    problems += [
        f"{path} lies in --output_dir and would be replaced; choose another"
        for path in sorted(there - results)
    ]
    left_out = there | results
    paths = [path for path in paths if path not in left_out]
    if not paths:
        raise DataError("; ".join(problems))
    return paths, problems


def name_results(results: Iterable[Path]) -> list[str]:
    """A line for each folder with pictures that are results of an earlier run."""
    numbers = sorted(Counter(path.parent for path in results).items())
    return [f"{count} images in {folder}: results of an earlier run" for folder, count in numbers]


def place_of(path: Path) -> tuple[str, str]:
    """A file's folder and its name there: links and ".." lead to one folder by many ways."""
    return os.path.realpath(path.parent), path.name


def find_pages(paths: list[Path], problems: list[str]) -> list[Page]:
    """All pages of image files.

    Params:
        paths: STDIN among them stands for standard input.
        problems: gets a line for each file that cannot be opened, and for each animation, of which
            the first frame is taken.
    """
    pages = []
    for path in progress_bar(paths, unit="file", desc="opening", delay=2):
        try:
            data = _standard_input() if path == STDIN else None
            found = find_frames(data or path)
        except DataError as error:
            problems.append(str(error))
            continue
        pages += [
            Page(path, number, frame, data, found.pixels)
            for number, frame in enumerate(found.pages, 1)
        ]
        if found.more:
            problems.append(f"{path}: {found.more} of its {found.more + 1} frames")
    return pages


def common_folder(pages: list[Page]) -> list[Path]:
    """The folder in or below which all pages' files are, if there is one."""
    folders = [page.path.absolute().parent for page in pages if page.path != STDIN]
    try:
        return [Path(os.path.commonpath(folders))]
    except ValueError:  # on several drives, or there is none
        return []


def read_page(page: Page) -> np.ndarray:
    """Read an image. Several threads may do so at once, even with one file.

    Params:
        page: of an image file.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: it is damaged.
    """
    source = page.path
    if page.data:
        source = io.BytesIO(page.data.getvalue())  # which does not copy
        source.name = page.data.name
    return read_image(source, frame=page.frame)


def _standard_input() -> io.BytesIO:
    """All of standard input, in memory, since an image's decoder has to seek. Raises DataError."""
    if sys.stdin is None:
        raise DataError("standard input: it is closed")
    limit = 4 * MAX_PIXELS  # bytes, the largest image uncompressed
    data = sys.stdin.buffer.read(limit + 1)
    if len(data) > limit:
        raise DataError(f"standard input: more than {limit / 1e6:g} MB, which is no image")
    file = io.BytesIO(data)
    file.name = "standard input"
    return file


def _leads_nowhere(path: Path) -> bool:
    """Whether a path is a link to what is not there; its image is named as missing."""
    return path.is_symlink() and not path.exists()
