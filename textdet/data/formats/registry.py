"""The formats of data sets and of annotation tools by name: reading and writing them.

A new format is a reader in one of the modules beside this one and its line in FORMATS; a writer and
its line in EXPORTS make it one to export to.
"""

import importlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError
from textdet.common.images import name_further_frames, name_other_pictures
from textdet.data.annotation import IMAGES, UNREAD, Sample, labelled_again
from textdet.data.formats.common import Item, Items, paths_below
from textdet.data.formats.recognise import find_labels
from textdet.data.image_fit import UNSCALED, fit_to_image
from textdet.data.triplets import read_samples


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
    "coco": Format("coco", "read_coco", True, "COCO-style JSON, characters where given"),
    "triplets": Format("triplets", "read_triplets", True, "annotations/*.jsonl, our own"),
    "icdar2013": Format("icdar", "read_icdar2013", False, "ICDAR 2013, (gt_)NAME.txt"),
    "icdar2015": Format("icdar", "read_icdar2015", False, "ICDAR 2015, (gt_)NAME.txt"),
    "mlt": Format("icdar", "read_mlt", False, "ICDAR MLT 2017 and 2019, (gt_)NAME.txt"),
    "totaltext": Format("totaltext", "read_totaltext", False, "Total-Text, .mat or .txt"),
    "cocotext": Format("coco", "read_cocotext", False, "COCO-Text 1 and 2, cocotext*.json"),
    "textocr": Format("coco", "read_textocr", False, "TextOCR, TextOCR*.json"),
    "hiertext": Format("coco", "read_hiertext", False, "HierText, *.jsonl(.gz)"),
    "funsd": Format("forms", "read_funsd", False, "FUNSD, annotations/*.json"),
    "sroie": Format("forms", "read_sroie", False, "SROIE task 1, NAME.txt"),
    "labelstudio": Format("labelstudio", "read_labelstudio", False, "Label Studio, JSON(-MIN)"),
    "cvat": Format("cvat", "read_cvat", False, "CVAT for images 1.1, annotations.xml"),
    "labelme": Format("labelme", "read_labelme", False, "labelme, NAME.json"),
    "paddleocr": Format("paddleocr", "read_paddleocr", False, "PaddleOCR, Label.txt"),
    "doctr": Format("doctr", "read_doctr", False, "docTR, labels.json"),
    "mmocr": Format("mmocr", "read_mmocr", False, "MMOCR 1.x, textdet_*.json"),
    "yolo": Format("yolo", "read_yolo", False, "YOLO (OBB), labels/NAME.txt"),
    "huggingface": Format("huggingface", "read_huggingface", False, "imagefolder, metadata.jsonl"),
    "detections": Format("detections", "read_detections", False, "results of detect.py"),
}


@dataclass(frozen=True)
class Export:
    """A writer of a format.

    Params:
        module, function: where it is. It takes a folder, whose images lie in images/ already, and
            their samples, and writes the labels.
        title: what reads them, for people.
        quads: whether every word has four corners there.
        dont_care: whether the format knows words that do not count.
        whole_pixels: whether its coordinates are whole numbers.
        without_words: whether its reader takes images without words.
    """

    module: str
    function: str
    title: str
    quads: bool = False
    dont_care: bool = True
    whole_pixels: bool = False
    without_words: bool = True


EXPORTS = {
    "icdar2015": Export(
        "icdar", "write_icdar2015", "ICDAR 2015's tools", quads=True, whole_pixels=True
    ),
    "coco": Export("coco", "write_coco", "COCO's tools"),
    "paddleocr": Export("paddleocr", "write_paddleocr", "PaddleOCR and PPOCRLabel"),
    "doctr": Export(
        "doctr", "write_doctr", "docTR", quads=True, dont_care=False, without_words=False
    ),
    "mmocr": Export("mmocr", "write_mmocr", "MMOCR"),
    "labelstudio": Export("labelstudio", "write_labelstudio", "Label Studio"),
    "cvat": Export("cvat", "write_cvat", "CVAT"),
    "labelme": Export("labelme", "write_labelme", "labelme"),
    "huggingface": Export("huggingface", "write_huggingface", "Hugging Face datasets"),
}


def writer_of(name: str) -> Callable[..., None]:
    """The writer of one of EXPORTS."""
    return _function(EXPORTS[name])


def _function(of: Format | Export) -> Callable:
    return getattr(importlib.import_module(f"textdet.data.formats.{of.module}"), of.function)


def read_items(name: str, source: Path) -> Items:
    """Read a folder, an image at a time.

    Params:
        name: one of FORMATS.
        source: the folder as it was downloaded.

    Returns:
        One Item per image, a line of text for an image left out, see formats/common.py.

    Raises:
        DataError: when there is no such folder, or when it does not hold what that format has.
    """
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    chosen = FORMATS[name]
    others = name_other_pictures(paths_below(source))
    items = _without_unread_images(_function(chosen)(source))
    items = _each_image_once(_elsewhere_last(items))
    return itertools.chain(items, others)


def _without_unread_images(items: Items) -> Items:
    """Items, but lines in place of images none of whose words can be read, which would count as
    being without text."""
    for item in items:
        if isinstance(item, Item) and item.unread and not item.words:
            yield from item.problems
            yield f"{item.image_path}: none of its words can be read"
        else:
            yield item


def _elsewhere_last(items: Items) -> Items:
    """Items, at the end those whose labels name another folder: where that is missing, as the
    images of the test part, they must not take the place of those of an image of the same name."""
    elsewhere = []
    for item in items:
        if isinstance(item, Item) and item.is_elsewhere:
            elsewhere.append(item)
        else:
            yield item
    yield from elsewhere


def _each_image_once(items: Items) -> Items:
    """Items, but lines in place of further ones of an image, as of an export that was repeated."""
    seen = set()  # hashes, since there may be millions
    for item in items:
        if isinstance(item, Item):
            key = hash(item.image_path)
            if key in seen:
                yield labelled_again(item.image_path)
                continue
            seen.add(key)
        yield item


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
    problems = []
    name = find_labels(folder, problems) if name == "auto" else name
    if name == "triplets":
        samples, damaged = read_samples(folder)
        return samples, problems + damaged
    samples, taken = [], set()
    items = read_items(name, folder)
    for item in progress_bar(items, unit="image", desc="reading", delay=2):
        if isinstance(item, str):
            problems.append(item)
            continue
        problems += item.problems
        try:
            sample = sample_of(item, folder)
            sample.file = _own_name(sample, taken)
            samples.append(sample)
            problems += name_further_frames(item.image_path)
        except DataError as error:
            problems.append(str(error))
    if not samples:
        raise DataError(f"{folder}: no annotated image in it can be read; {problems[:1]}")
    return samples, problems


def _own_name(sample: Sample, taken: set[str]) -> str:
    """A sample's file, with as many of its folders as tell it from others: images of detect.py's
    results lie anywhere, and one may lie in images/, one beside it.

    Params:
        taken: those of other samples; gets this one.
    """
    parts = sample.image_path.absolute().parts
    longer = ("/".join(parts[-count:]) for count in range(2, len(parts)))
    name = next(name for name in (sample.file, *longer) if name not in taken)
    taken.add(name)
    return name


def sample_of(item: Item, folder: Path) -> Sample:
    """A sample whose image stays where it is, its words in px of the image as it is.

    Params:
        item: an image and its words, as a reader gives them.
        folder: of the data set.

    Raises:
        DataError: the image is not one that can be read.
        SizeError: it is not the one that its annotation describes.
    """
    outlines = (word.polygon for word in item.words)
    fit = fit_to_image(item.image_path, item.size, item.upright, outlines)
    words = item.words if fit.scale == UNSCALED else [word.mapped(fit.scale) for word in item.words]
    within = item.image_path.is_relative_to(folder)  # of results of detect.py it is not
    file = item.image_path.relative_to(folder).as_posix() if within else item.image_path.name
    file = file.removeprefix(f"{IMAGES}/")
    extra = {UNREAD: item.unread} if item.unread else {}
    return Sample(folder, file, fit.width, fit.height, words, extra, item.image_path, fit.upright)
