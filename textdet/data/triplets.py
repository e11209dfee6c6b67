"""The folder of triplets: image, character heatmap, affinity heatmap and annotations.

    dataset.json                      format version, settings, seed, counts, what was left out
    images/00000042.jpg               RGB
    character_heatmaps/00000042.png   uint8, 0..255 for 0..1, the image's size
    affinity_heatmaps/00000042.png    likewise
    annotations/00000.jsonl           one file per chunk, one line per image

Coordinates are continuous: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), so its centre
is (i + 0.5, j + 0.5), and an image resized by a factor has its points multiplied by that factor.
"""

from pathlib import Path

import numpy as np

from textdet.common.errors import DataError, SizeError
from textdet.common.files import write_atomically
from textdet.common.images import encode_image, image_size, read_image
from textdet.data.annotation import (
    AFFINITIES,
    ANNOTATIONS,
    CHARACTERS,
    IMAGES,
    Sample,
    each_image_once,
    read_lines,
)
from textdet.data.annotation_index import INDEXED_FROM, problem_line, read_indexed
from textdet.data.image_fit import fit_to_image

FORMAT_VERSION = 1
SUBFOLDER = 1000  # images in one of those that --subfolders makes


def has_heatmaps(folder: Path) -> bool:
    """Whether a triplet folder holds heatmaps, not words alone."""
    return any((folder / CHARACTERS).rglob("*.png"))


def numbered_file(number: int, subfolders: bool) -> str:
    """The name of the file of the image with this number, 0 for the first.

    Params:
        subfolders: whether it lies in a subfolder with others, at most SUBFOLDER of them.
    """
    return placed_file(f"{number:08d}.jpg", number, subfolders)


def placed_file(name: str, number: int, subfolders: bool) -> str:
    """Put a file into its subfolder.

    Params:
        name: of the file alone.
        number: of the image that it is, or is a piece of, 0 for the first.
        subfolders: whether it lies in a subfolder with those of SUBFOLDER images.

    Returns:
        The name with its subfolder, or as it is.
    """
    return f"{number // SUBFOLDER:05d}/{name}" if subfolders else name


def make_folders(folder: Path) -> None:
    """Make a triplet folder's own folders, and itself. Raises OSError when the disk refuses."""
    for name in (IMAGES, CHARACTERS, AFFINITIES, ANNOTATIONS):
        (folder / name).mkdir(parents=True, exist_ok=True)


def write_triplet(
    sample: Sample, image: np.ndarray, maps: np.ndarray | None, jpeg_quality: int
) -> None:
    """Write the three files of one sample.

    Params:
        sample: says where they go.
        image: (H, W, 3) uint8 RGB.
        maps: (2, H, W) uint8, 0..255 for 0..1, character then affinity; None for words whose
            characters are not known.
        jpeg_quality: 1..100.

    Raises:
        DataError: the image is too large for a JPEG; nothing is written.
        OSError: when the disk refuses.
    """
    import cv2

    if "/" in sample.file:
        for path in (sample.image_path, *sample.heatmap_paths[: 0 if maps is None else 2]):
            path.parent.mkdir(parents=True, exist_ok=True)
    data = encode_image(image, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if maps is not None:
        # The quickest settings of OpenCV 5 for smooth maps; the files are smaller, too.
        fast = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
        fast += (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
        for path, heatmap in zip(sample.heatmap_paths, maps, strict=True):
            write_atomically(path, encode_image(heatmap, ".png", fast))
    write_atomically(sample.image_path, data)


def read_sample_image(sample: Sample) -> np.ndarray:
    """A sample's image, the way up at which it has the size that its annotation says.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: with the file's name, when it is missing or damaged.
        SizeError: when it has another size than the annotation says.
    """
    image = read_image(sample.image_path, sample.upright)
    if image.shape[1::-1] != (sample.width, sample.height):
        image = read_image(sample.image_path, way_up(sample))
    return image


def read_heatmaps(sample: Sample) -> np.ndarray:
    """A sample's heatmaps, (2, H, W) uint8, character then affinity.

    Their sizes are checked before they are decoded: a small file may declare gigabytes.

    Raises:
        DataError: with the file's name, when one is missing or damaged.
        SizeError: when one has another size than the annotation says.
    """
    import cv2

    maps = []
    for path in sample.heatmap_paths:
        _check_size(path, *image_size(path), sample)
        heatmap = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)
        if heatmap is None:
            raise DataError(f"{path}: not a readable heatmap")
        maps.append(heatmap)
    return np.stack(maps)


def read_triplet(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Read a sample's files.

    Returns:
        Image (H, W, 3) uint8 RGB, and maps (2, H, W) uint8, character then affinity.

    Raises:
        DataError: with the file's name, when one is missing or damaged.
        SizeError: when one has another size than the annotation says.
    """
    return read_sample_image(sample), read_heatmaps(sample)


def check_triplet(sample: Sample) -> str | None:
    """Look at a sample's files without decoding them.

    Returns:
        A line that says which file is missing or not an image, by its header; or None.

    Raises:
        SizeError: with the file's name, when one has another size than the annotation says.
    """
    try:
        way_up(sample)
        for path in sample.heatmap_paths:
            _check_size(path, *image_size(path), sample)
    except SizeError:
        raise
    except DataError as error:
        return str(error)
    return None


def way_up(sample: Sample) -> bool:
    """Whether a sample's image is to be turned upright. Raises DataError, and SizeError where it
    has another size than the annotation says, either way up."""
    fit = fit_to_image(sample.image_path, (sample.width, sample.height), sample.upright)
    _check_size(sample.image_path, fit.width, fit.height, sample)
    return fit.upright


def _check_size(path: Path, width: int, height: int, sample: Sample) -> None:
    if (width, height) != (sample.width, sample.height):
        raise SizeError(
            f"{path}: {width}x{height} px, but its annotation says {sample.width}x{sample.height}"
        )


def read_samples(folder: str | Path) -> tuple[list[Sample], list[str]]:
    """Read all annotations of a triplet folder, in order, without opening the images.

    Of a large folder by its index, see annotation_index.py.

    Returns:
        The samples, and a line for each annotation that was left out: it is damaged, or its image
        has one before.

    Raises:
        DataError: when the folder is missing or holds no sound annotation.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    files = sorted((folder / ANNOTATIONS).glob("*.jsonl"))
    if not files:
        raise DataError(
            f"{folder}: no {ANNOTATIONS}/*.jsonl in it; make data with generate_images.py first"
        )
    is_large = sum(path.stat().st_size for path in files) >= INDEXED_FROM
    found = read_indexed(folder, files) if is_large else None
    samples, problems = found or read_whole(folder, files)
    if not samples:
        raise DataError(f"{folder}: none of its annotations can be read; {problems[:1]}")
    return samples, problems


def read_whole(folder: Path, files: list[Path]) -> tuple[list[Sample], list[str]]:
    """The samples of annotation files, all of them and their words in memory.

    Params:
        folder: of triplets.
        files: its annotation files.

    Returns:
        See read_samples.
    """
    samples, problems = [], []
    for path in files:
        found, damaged = read_lines(folder, path.read_bytes().split(b"\n"))
        samples += found
        problems += [problem_line(path, number, text) for number, text in damaged]
    samples, repeated = each_image_once(samples, [sample.file for sample in samples])
    return samples, problems + repeated


def read_folders(folders: list[str | Path]) -> tuple[list[Sample], list[str]]:
    """read_samples over several folders, one after the other. Raises DataError as it does."""
    found = [read_samples(folder) for folder in folders]
    return [s for samples, _ in found for s in samples], [p for _, lines in found for p in lines]
