"""Items of annotation files that name their images, one or many a file."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import parse_json
from textdet.common.images import image_size
from textdet.data.annotation import MAX_COORDINATE, READING_ERRORS, Word
from textdet.data.formats.common import (
    Item,
    Items,
    choose_image,
    find_one,
    images_by_name,
    make_word,
    numbered_words,
    read_words,
)

Images = dict[str, list[Path]]  # of images_by_name


@dataclass
class Entry:
    """What a file says about one image.

    Params:
        name: the image's, a path or a part of one.
        records: of its words, whatever the tool writes.
        size: width and height, px, as the file declares them; None where it does not.
        split: as in Item.
    """

    name: str
    records: list
    size: tuple[int, int] | None = None
    split: str = ""


@dataclass(frozen=True)
class Layout:
    """How a tool writes images and words. Each function may raise one of READING_ERRORS.

    Params:
        entry_of: takes what stands for an image, gives its Entry.
        outline_of: takes a word's record and, with in_shares, as `size` its image's width and
            height; gives its outline (k, 2), px.
        text_of: takes it, gives the transcription and whether the word is don't-care.
        upright: whether the tool shows images turned upright by their EXIF tag, as in Item.
        in_shares: whether it may give places as shares of the image's sides.
    """

    entry_of: Callable[[Any], Entry]
    outline_of: Callable[..., np.ndarray]
    text_of: Callable[[Any], tuple[str, bool]]
    upright: bool = True
    in_shares: bool = False


def read_listed(images: Images, path: Path, listed: Iterable, layout: Layout) -> Items:
    """Items of one file.

    Params:
        images: as images_by_name gives them.
        path: the file.
        listed: what stands in it for each image.
        layout: how that is read.
    """
    for number, raw in enumerate(listed, 1):
        try:
            entry = layout.entry_of(raw)
            if not isinstance(entry.records, list):
                raise DataError("its words are no list")
        except READING_ERRORS as error:
            yield f"{path}: image {number}: {describe(error)}"
            continue
        try:
            image = choose_image(images, entry.name, path)
            outline_of = layout.outline_of
            if layout.in_shares:
                outline_of = partial(outline_of, size=image_size(image, layout.upright))
        except READING_ERRORS as error:
            yield f"{path}: {error}"
            continue
        records = numbered_words(f"{path}: {entry.name}", entry.records)
        found = read_words(records, partial(_parse, layout.text_of, outline_of), outline_of)
        how = {"upright": layout.upright, "size": entry.size, "named": entry.name}
        yield Item(image, found.words, entry.split, found.problems, found.unread, **how)


def _parse(
    text_of: Callable[[Any], tuple[str, bool]],
    outline_of: Callable[[Any], np.ndarray],
    record: Any,
) -> Word:
    text, ignore = text_of(record)
    return make_word(text, outline_of(record), ignore)


def read_json_files(
    source: Path,
    looks_like: Callable[[Any], bool],
    listed_in: Callable[[Any], Iterable],
    layout: Layout,
) -> Items:
    """Items of all .json files of a kind.

    Params:
        source: the folder with images and files in it and below.
        looks_like: whether a decoded file is one of them.
        listed_in: takes it, gives what stands for each image.
        layout: how that is read.

    Raises:
        DataError: when there is none.
    """
    images, found = images_by_name(source), 0
    for path in find_one(source, "*.json"):
        try:
            data = parse_json(path.read_bytes())
        except (OSError, ValueError) as error:
            yield f"{path}: not readable as JSON ({error})"
            continue
        if looks_like(data):
            found += 1
            yield from read_listed(images, path, listed_in(data), layout)
    if not found:
        raise DataError(f"{source}: no *.json in it and below is laid out as this format")


def with_unlabelled(source: Path, items: Items) -> Items:
    """Items, then a line for each image of the folder that is in none of them: nobody has annotated
    it yet, or the file that does is missing.

    Params:
        source: the folder.
        items: those of all its files.
    """
    labelled = set()
    for item in items:
        if isinstance(item, Item):
            labelled.add(item.image_path)
        yield item
    for path in itertools.chain(*images_by_name(source).values()):
        if path not in labelled:
            yield f"{path}: there is no annotation for it"


def describe(error: Exception) -> str:
    """What is wrong, with the kind of error where its text alone says little."""
    return f"no {error} in it" if isinstance(error, KeyError) else str(error)


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """A declared size, px; None where there is none. Raises one of READING_ERRORS."""
    if width is None and height is None:
        return None
    size = int(width), int(height)
    if not (min(size) > 0 and max(size) <= MAX_COORDINATE):
        raise DataError(f"its size is none: {str(size)[:60]}")
    return size
