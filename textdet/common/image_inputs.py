"""The images that a command line names: files, folders, globs, standard input."""

import io
import sys
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.images import IMAGE_SUFFIXES, MAX_PIXELS, is_image, read_image

STDIN = Path("-")


def find_images(
    inputs: list[str], recursive: bool, output_dir: Path
) -> tuple[list[Path], list[str]]:
    """Find the images that a command line names.

    Params:
        inputs: files, folders and glob patterns, and "-" for standard input. Files are taken
            whatever their names; of folders, only what is_image knows.
        recursive: whether folders are searched with all that is below them.
        output_dir: where results go. Images below it are earlier results and left out, unless an
            input names the folder itself that they lie in.

    Returns:
        the images, each once; and a line for each input that names none.

    Raises:
        DataError: no image is left, or an image lies in output_dir, where its result would replace
            it.
    """
    output_dir = output_dir.resolve()
    paths, problems = [], []
    for text in inputs:
        if text == str(STDIN):
            paths.append(STDIN)
            continue
        # A name with brackets is a file before it is a pattern.
        matches = [text] if Path(text).exists() else sorted(glob(text, recursive=True))
        if not matches:
            problems.append(f"{text}: no such file or folder")
        for match in map(Path, matches):
            if match.is_dir():
                found = _images_in(match, recursive, output_dir)
                if not found:
                    problems.append(
                        f"{match}: no images in it ({', '.join(sorted(IMAGE_SUFFIXES))})"
                    )
                paths += found
            else:
                paths.append(match)
    paths = list({path.absolute(): path for path in paths}.values())
    if not paths:
        raise DataError("; ".join(problems))
    for path in paths:
        if path != STDIN and path.absolute().parent.resolve() == output_dir:
            raise DataError(f"{path} lies in --output_dir and would be replaced; choose another")
    return paths, problems


def _images_in(folder: Path, recursive: bool, output_dir: Path) -> list[Path]:
    """A folder's images in the order of their names; earlier results in subfolders left out."""
    found = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if is_image(path)
        and path.is_file()
        and not (output_dir in path.resolve().parents and path.parent != folder)
    )


def read_chunks(
    paths: Iterable[Path], size: int, skipped: list[str]
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Read images, some at a time, so that not all are in memory at once.

    Params:
        paths: STDIN among them stands for standard input.
        size: images in a chunk; the last one may hold fewer.
        skipped: gets a line for each damaged image, which is left out.

    Returns:
        yields chunks of pairs: the path, and the image (H, W, 3) uint8 RGB.
    """
    chunk = []
    for path in paths:
        try:
            chunk.append((path, read_image(_standard_input() if path == STDIN else path)))
        except DataError as error:
            skipped.append(str(error))
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _standard_input() -> io.BytesIO:
    """All of standard input, in memory, since an image's decoder has to seek. Raises DataError."""
    limit = 4 * MAX_PIXELS  # bytes, the largest image uncompressed
    data = sys.stdin.buffer.read(limit + 1)
    if len(data) > limit:
        raise DataError(f"standard input: more than {limit / 1e6:g} MB, which is no image")
    file = io.BytesIO(data)
    file.name = "standard input"
    return file
