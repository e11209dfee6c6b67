"""Samples written as another tool reads them: its labels, and the images beside them."""

import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import shortened, unfinished
from textdet.common.geometry import signed_area
from textdet.common.images import is_turned
from textdet.data.annotation import IMAGES, UNREAD, Sample, Word
from textdet.data.formats.common import MIN_AREA, composed
from textdet.data.formats.registry import EXPORTS, Export, writer_of
from textdet.data.formats.shapes import as_quad
from textdet.data.triplets import read_sample_image, way_up

AS_THEY_ARE = (".jpg", ".jpeg", ".png")  # endings of images that every tool reads
JPEG_QUALITY = 95  # of images that are written again


def export_samples(
    samples: Iterable[Sample], folder: Path, name: str, **options: Any
) -> tuple[Counter, list[str]]:
    """Write samples into a new folder, which is there whole or not at all.

    Params:
        samples: whichever reader they are from.
        folder: to be made; an empty one may be there.
        name: one of EXPORTS.
        options: of that format's writer.

    Returns:
        Counts of images and words, and of what became of words that the format cannot hold; a line
        for each image left out.

    Raises:
        DataError: the folder is not empty or cannot be replaced, or no image can be read.
        OSError: when the disk refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: there is something already; name a new --save_folder")
    if folder.exists():
        try:
            folder.rmdir()  # before the work: nobody can replace a link, a mounted disk or "."
        except OSError as error:
            raise DataError(
                f"{folder} cannot be replaced ({error.strerror}); name a new folder in it"
            ) from None
    beside = unfinished(folder)
    try:
        (beside / IMAGES).mkdir(parents=True)
        written, counts, problems = [], Counter(), []
        taken: set[str] = set()
        for sample in samples:
            words, changes = fit_words(sample.words, EXPORTS[name])
            if not words and not EXPORTS[name].without_words:
                counts["images without words left out, which it does not read"] += 1
                counts.update(changes)
                continue
            try:
                file = _copy_image(sample, beside / IMAGES, taken)
            except DataError as error:
                problems.append(str(error))
                continue
            counts.update({"images": 1, "words": len(words)}, **changes)
            if unread := sample.extra.get(UNREAD):
                counts["words missing, of which nobody knows where they are"] += unread
            size = {"width": sample.width, "height": sample.height}
            written.append(Sample(beside, file, **size, words=words))
        if not written:
            raise DataError(f"no image could be exported; {(problems or [*counts])[:1]}")
        writer_of(name)(beside, written, **options)
        os.replace(beside, folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return counts, problems


def fit_words(words: Iterable[Word], target: Export) -> tuple[list[Word], Counter]:
    """Words as far as a format can hold them.

    Params:
        words: of one image.
        target: the format.

    Returns:
        The words, and how many were changed or left out, by what happened to them.
    """
    fitting, changes = [], Counter()
    for word in words:
        if word.ignore and not target.dont_care:
            changes["don't-care words left out, which it does not know"] += 1
            continue
        outline = word.polygon
        if target.quads and len(outline) != 4:
            changes["curved words made quads"] += 1
            outline = as_quad(outline)
        if target.whole_pixels and abs(signed_area(np.rint(outline))) < MIN_AREA:
            changes["words left out, which have no area in whole px"] += 1
            continue
        fitting.append(replace(word, polygon=outline))
    return fitting, changes


def _copy_image(sample: Sample, folder: Path, taken: set[str]) -> str:
    """Put a sample's image into a folder, in a file that every tool shows the same way up.

    Params:
        taken: names without ending that are given already; gets this one.

    Returns:
        The file's name.

    Raises:
        DataError: it cannot be read, or is not of the size that the sample says.
    """
    source = sample.image_path
    way_up(sample)
    suffix = source.suffix.lower()
    as_it_is = suffix in AS_THEY_ARE and not is_turned(source)
    if not as_it_is:
        suffix = ".jpg" if suffix in (".jpg", ".jpeg") else ".png"
    file = _free_name(Path(sample.file), taken) + suffix
    if as_it_is:
        shutil.copyfile(source, folder / file)
        return file
    from PIL import Image

    quality = {"quality": JPEG_QUALITY} if suffix == ".jpg" else {}
    Image.fromarray(read_sample_image(sample)).save(folder / file, **quality)
    return file


def _free_name(path: Path, taken: set[str]) -> str:
    """A name for an image, without ending, of its path below the data set's folder."""

    def allowed(sign: re.Match) -> str:  # \w lacks marks, as the vowels of Hindi and Thai are
        return sign[0] if unicodedata.category(sign[0]).startswith("M") else "_"

    joined = composed("_".join(path.with_suffix("").parts))
    plain = shortened(re.sub(r"[^\w.()+ -]", allowed, joined).lstrip(".") or "image")
    name, number = plain, 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}_{number}"
    taken.add(name.lower())
    return name
