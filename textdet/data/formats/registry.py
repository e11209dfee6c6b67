"""The formats of data sets by name: which there are, which one a folder is in, reading it.

A new format is a reader in one of the modules beside this one and its line in FORMATS.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

from textdet.common.errors import DataError
from textdet.common.images import name_further_frames
from textdet.data.annotation import ANNOTATIONS, IMAGES, UNREAD, Sample
from textdet.data.formats.common import Item, Items
from textdet.data.formats.icdar import looks_like
from textdet.data.image_fit import WHOLE, fit_to_image
from textdet.data.triplets import read_samples

HEAD = 1 << 16  # characters of a text file that show its format


@dataclass(frozen=True)
class Format:
    """A reader of a data set.

    Params:
        module, function: where it is; formats/common.py says what a reader takes and gives.
        characters: whether the data set knows the characters of its words.
        title: what it reads, for --help.
    """

    module: str
    function: str
    characters: bool
    title: str


FORMATS = {
    "synthtext": Format("synthtext", "read_synthtext", True, "SynthText, gt.mat"),
    "icdar2013_characters": Format(
        "icdar", "read_icdar2013_characters", True, "ICDAR 2013 text segmentation, *_GT.txt"
    ),
    "iiit5k": Format("iiit5k", "read_iiit5k", True, "IIIT 5K-word, *CharBound.mat"),
    "coco": Format("coco", "read_coco", True, "COCO-style JSON with character polygons"),
    "triplets": Format("triplets", "read_triplets", True, "annotations/*.jsonl, our own"),
    "icdar2013": Format("icdar", "read_icdar2013", False, "ICDAR 2013, gt_NAME.txt"),
    "icdar2015": Format("icdar", "read_icdar2015", False, "ICDAR 2015, gt_NAME.txt"),
    "mlt": Format("icdar", "read_mlt", False, "ICDAR MLT 2017 and 2019, (gt_)NAME.txt"),
    "totaltext": Format("totaltext", "read_totaltext", False, "Total-Text, .mat or .txt"),
    "cocotext": Format("coco", "read_cocotext", False, "COCO-Text 1 and 2, cocotext*.json"),
    "textocr": Format("coco", "read_textocr", False, "TextOCR, TextOCR*.json"),
    "hiertext": Format("coco", "read_hiertext", False, "HierText, *.jsonl(.gz)"),
    "funsd": Format("forms", "read_funsd", False, "FUNSD, annotations/*.json"),
    "sroie": Format("forms", "read_sroie", False, "SROIE task 1, NAME.txt"),
}


def read_items(name: str, source: Path) -> Items:
    """Read a folder, an image at a time.

    Params:
        name: one of FORMATS.
        source: the folder as it was downloaded.

    Returns:
        An Item an image, a line of text for an image left out, see formats/common.py.

    Raises:
        DataError: when there is no such folder, or when it does not hold what that format has.
    """
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    chosen = FORMATS[name]
    module = importlib.import_module(f"textdet.data.formats.{chosen.module}")
    return _without_unread_images(getattr(module, chosen.function)(source))


def _without_unread_images(items: Items) -> Items:
    """Items, but lines in place of images none of whose words can be read, which would count as
    being without text."""
    for item in items:
        if isinstance(item, Item) and item.unread and not item.words:
            yield from item.problems
            yield f"{item.image_path}: none of its words can be read"
        else:
            yield item


def find_format(folder: Path) -> str:
    """The name in FORMATS that a folder looks like. Raises DataError when there is none."""
    if any((folder / ANNOTATIONS).glob("*.jsonl")):
        return "triplets"
    if any(folder.rglob(f"{ANNOTATIONS}/*.json")):
        return "funsd"
    for path in [path for path in sorted(folder.rglob("*.txt")) if path.is_file()][:20]:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            head = file.read(HEAD)
        for line in head.splitlines():
            if name := looks_like(line):
                return name
    raise DataError(
        f"{folder}: not a data set known by its looks: there is neither {ANNOTATIONS}/*.jsonl "
        f"(generate_images.py), nor {ANNOTATIONS}/*.json (FUNSD), nor a text file with ICDAR's "
        "lines; name its --format"
    )


def read_dataset(folder: str | Path, name: str = "auto") -> tuple[list[Sample], list[str]]:
    """All samples of a data set, in the order of its reader, without decoding the images.

    Params:
        folder: as it was downloaded, or of triplets.
        name: one of FORMATS, or "auto" to find out.

    Returns:
        The samples, and a line for each image or word that was left out.

    Raises:
        DataError: when nothing in the folder can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    name = find_format(folder) if name == "auto" else name
    if name == "triplets":
        return read_samples(folder)
    samples, problems = [], []
    for item in read_items(name, folder):
        if isinstance(item, str):
            problems.append(item)
            continue
        problems += item.problems
        try:
            samples.append(sample_of(item, folder))
            problems += name_further_frames(item.image_path)
        except DataError as error:
            problems.append(str(error))
    if not samples:
        raise DataError(f"{folder}: no annotated image in it can be read; {problems[:1]}")
    return samples, problems


def sample_of(item: Item, folder: Path) -> Sample:
    """A sample whose image stays where it is, its words in px of the image as it is.

    Params:
        item: an image and its words, as a reader gives them.
        folder: of the data set.

    Raises:
        DataError: the image is not one that can be read.
        SizeError: it is not the one that its annotation describes.
    """
    fit = fit_to_image(item.image_path, item.size, item.upright)
    words = item.words if fit.scale == WHOLE else [word.mapped(fit.scale) for word in item.words]
    file = item.image_path.relative_to(folder).as_posix().removeprefix(f"{IMAGES}/")
    extra = {UNREAD: item.unread} if item.unread else {}
    return Sample(folder, file, fit.width, fit.height, words, extra, item.image_path, fit.upright)
