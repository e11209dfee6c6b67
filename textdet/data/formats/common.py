"""What the readers of data sets share: the item that they yield, polygons, texts, folders."""

import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import MACOS, glob_below
from textdet.common.geometry import (
    clockwise,
    directions,
    opened,
    rectangle,
    signed_area,
    start_along_line,
)
from textdet.common.images import IMAGE_SUFFIXES, OTHER_SUFFIXES, is_image
from textdet.data.annotation import READING_ERRORS, Word, points_of

NUMBER = r"-?\d+(?:\.\d+)?"
_ONE_NUMBER, _SEPARATOR = re.compile(rf"\s*{NUMBER}\s*"), re.compile(r"[,;|\s]")
MIN_AREA = 0.01  # px^2, smaller polygons are points and lines, up to rounding
PICTURE_SUFFIXES = IMAGE_SUFFIXES | OTHER_SUFFIXES
ONE_PART = "convert the folders of one part at a time"
UNDECODED = "\ufffd"  # what reading puts in place of bytes that are not UTF-8
NO_CHARACTERS = np.zeros((0, 4, 2), np.float32)
Raw = TypeVar("Raw")  # what a word is read from


@dataclass
class Item:
    """One annotated image of a data set as it was downloaded.

    Params:
        words: in px of the image; without characters where the set has none.
        split: "train", "val", "test" or whatever the set calls it; "" where it does not say.
        problems: a line for each of the image's words that cannot be read.
        unread: how many of these have no place where they could be don't-care.
        upright: whether these px are those of the image turned upright by its EXIF tag, not of the
            image as it is stored; where `size` fits one of the two only, that tells.
        size: width and height of the image, px, as the set declares them; None where it does not.
        named: the image as its labels name it, with folders; "" where they do not.
    """

    image_path: Path
    words: list[Word]
    split: str = ""
    problems: list[str] = field(default_factory=list)
    unread: int = 0
    upright: bool = False
    size: tuple[int, int] | None = None
    named: str = ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the labels name an image in another folder, perhaps one that is missing here."""
        name = self.named.replace("\\", "/")
        return "/" in name and _shared_end(self.image_path.as_posix(), name) < 2


# A reader takes the folder and yields one Item per image, and a line of text for each image that
# must be left out. It raises DataError when the folder does not hold what it looks for.
Items = Iterator[Item | str]


class ReadWords(NamedTuple):
    """The words of one image, as far as they can be read: words, problems and unread of an Item."""

    words: list[Word]
    problems: list[str]
    unread: int


def read_words(
    entries: Iterable[tuple[str, Raw]],
    parse: Callable[[Raw], Word],
    outline_of: Callable[[Raw], Sequence | np.ndarray],
) -> ReadWords:
    """Read the words of one image.

    A word that cannot be read is don't-care where its outline can be: what is there must not be
    taken for background. An entry with neither area nor text is none.

    Params:
        entries: what each word is read from, and where that stands, for messages.
        parse: gives the word, or raises one of READING_ERRORS.
        outline_of: gives the outline alone, or raises one of them.
    """
    words, problems, unread = [], [], 0
    for where, entry in entries:
        try:
            words.append(parse(entry))
        except NoWordError as error:
            problems.append(f"{where}: {error}")
        except READING_ERRORS as error:
            try:
                words.append(make_word("", outline_of(entry), ignore=True))
                problems.append(f"{where}: {error}; its box is don't-care")
            except READING_ERRORS:
                problems.append(f"{where}: {error}")
                unread += 1
    return ReadWords(words, problems, unread)


class NoWordError(ValueError):
    """An entry of a ground truth has neither area nor text."""


def make_word(
    text: str,
    polygon: Sequence | np.ndarray,
    ignore: bool = False,
    characters: Sequence[str] = (),
    quads: Sequence | np.ndarray = NO_CHARACTERS,
) -> Word:
    """A checked word, clockwise whichever way it was annotated; without cells of its own, a quad
    begins where its line does, see start_along_line.

    Params:
        text: the transcription, which is stripped. One that was not UTF-8 counts as unknown.
        polygon: k points, as (k, 2) or one number after the other, px.
        ignore: whether it is don't-care.
        characters: one string per character cell.
        quads: (n, 4, 2) px, these cells.

    Raises:
        ValueError: for a polygon without area or with odd numbers; NoWordError where there is no
            text either.
    """
    text, polygon = "" if UNDECODED in text else text.strip(), opened(points_of(polygon))
    quads = points_of(quads).astype(np.float32).reshape(-1, 4, 2)
    if len(polygon) < 3:
        raise ValueError(f"the outline of {text[:60]!r} is not one")
    if abs(signed_area(polygon)) < MIN_AREA:
        error = ValueError if text else NoWordError
        raise error(f"the box of {text[:60]!r} has no area")
    polygon = clockwise(polygon).astype(np.float32)
    if len(polygon) == 4 and not len(quads):
        polygon = start_along_line(polygon)
    return Word(text, list(characters), along_line(quads), polygon, ignore)


def along_line(quads: np.ndarray) -> np.ndarray:
    """A word's cells with their corners clockwise, the first side along the word's line: affinities
    join their upper and their lower halves. Of upright boxes that is another side where the letters
    stand below each other, or where the word lies on its side.

    Params:
        quads: (n, 4, 2) px, from their top left corners, either way round.

    Returns:
        (n, 4, 2) px.
    """
    over, down = (quads[:, 2] - quads[:, 0]).T, (quads[:, 3] - quads[:, 1]).T  # the diagonals
    backwards = over[0] * down[1] < over[1] * down[0]
    quads = np.where(backwards[:, None, None], quads[:, [0, 3, 2, 1]], quads)
    sides = np.stack([quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]], 1)
    lengths = np.linalg.norm(sides, axis=2)
    steps = (np.diff(quads.mean(1), axis=0)[:, None] * directions(sides)[:-1]).sum(2)
    # From the end of one cell to the beginning of the next, along its first side and across it.
    along, across = (np.abs(steps) - (lengths[:-1] + lengths[1:]) / 2).sum(0)
    if along >= 0 or across <= along:
        return quads
    return quads[:, [1, 2, 3, 0] if steps[:, 1].sum() > 0 else [3, 0, 1, 2]]


def cells_of_boxes(boxes: np.ndarray) -> np.ndarray:
    """Tight upright boxes of a level word's letters to cells like the generator's.

    Cells are as high as the word and share the gaps between the letters. A word that slopes, or
    whose letters are not in a row, keeps its boxes, see along_line.

    Params:
        boxes: (n, 4, 2) px, clockwise from their top left corners.

    Returns:
        (n, 4, 2) float64.
    """
    boxes = np.asarray(boxes, np.float64)
    left, top, right, bottom = (boxes[:, 0, 0], boxes[:, 0, 1], boxes[:, 2, 0], boxes[:, 2, 1])
    middle = (top + bottom) / 2
    if (np.diff(left + right) <= 0).any() or np.ptp(middle) > 0.5 * (bottom - top).max():
        return along_line(boxes)
    between = (right[:-1] + left[1:]) / 2
    starts, ends = np.append(left[0], between), np.append(between, right[-1])
    return np.array(
        [rectangle(a, top.min(), b, bottom.max()) for a, b in zip(starts, ends, strict=True)]
    )


def read_lines(path: Path) -> list[tuple[int, str]]:
    """A text file's lines with their numbers, without a byte order mark and blank lines."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    # Not splitlines(): a transcription may hold a line separator of another kind.
    return [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]


def leading_numbers(line: str, count: int) -> list[float]:
    """The numbers that a line begins with, whatever separates them.

    Raises:
        ValueError: where they are not `count`; what stands where is then not known.
    """
    separator = _SEPARATOR.search(line.strip())
    fields = line.split(separator[0].strip() or None) if separator else []
    numbers = list(itertools.takewhile(_ONE_NUMBER.fullmatch, fields))
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers, not {count}")
    return [float(number) for number in numbers]


def numbered_words(where: str, records: Iterable[Raw]) -> Iterator[tuple[str, Raw]]:
    """Entries for read_words, of a list of an image's words.

    Params:
        where: the file, and in a file of several images which one.
    """
    return ((f"{where}: word {number}", record) for number, record in enumerate(records, 1))


def numbered(path: Path, rows: Iterable[tuple[int, Raw]]) -> Iterator[tuple[str, Raw]]:
    """Entries for read_words, of a text file's lines.

    Params:
        path: the file that they are from.
        rows: each with the number of its line.
    """
    return ((f"{path}:{number}", row) for number, row in rows)


def paths_below(folder: Path, pattern: str = "*") -> list[Path]:
    """What lies in a folder and below, as glob_below finds it, sorted, without the files ._NAME of
    macOS.

    Params:
        pattern: a glob; its ending stands for capitals, too.
    """
    start, dot, ending = pattern.rpartition(".")
    ending = "".join(f"[{letter}{letter.upper()}]" for letter in ending) if dot else ending
    found = glob_below(folder, f"{start}{dot}{ending}")
    return sorted(path for path in found if not path.name.startswith(MACOS))


def images_by_name(source: Path) -> dict[str, list[Path]]:
    """Every image below a folder by its name without the suffix, as composed() gives it."""
    found = {}
    for path in paths_below(source):
        if is_image(path):
            found.setdefault(composed(path.stem), []).append(path)
    return found


def composed(name: str) -> str:
    """A file's name in one of its two spellings: macOS may have separated letters from their
    marks, as in \u0438 and \u0306 for \u0439, in the name of a file or in what a tool wrote."""
    return unicodedata.normalize("NFC", name)


def choose_image(images: dict[str, list[Path]], name: str, truth: Path) -> Path:
    """The image that an annotation file means by `name`, a path or a name without a suffix.

    Of equal names in several folders (img_1 of the training and of the test set) it is the one
    whose path ends most like `name`, which may begin with folders of another machine; then the one
    whose path is most like that of `truth`.

    Params:
        images: as images_by_name gives them.
        truth: the annotation file.

    Raises:
        ValueError: when there is none, or when that does not decide.
    """
    name = composed(name)
    if name not in images:
        name = name.replace("\\", "/")  # as Windows tools write paths
    file = Path(name)
    # Of a name without an ending, as scan.2 from gt_scan.2.txt, nothing may be taken off.
    stem = file.stem if file.suffix.lower() in PICTURE_SUFFIXES else file.name
    url = composed(unquote(stem))
    found = images.get(stem) or images.get(name) or images.get(url, [])
    if not found:
        raise ValueError(f"there is no image {name if '.' in name else name + '.*'} for it")

    def likeness(path: Path) -> int:
        there = composed(path.as_posix())
        return max(_shared_end(there, name), _shared_end(there, composed(unquote(name))))

    found = _most(found, likeness)
    best = _most_alike(found, truth)
    if len({path.parent for path in best}) > 1:
        raise ValueError(f"{best[0]} or {best[1]}? {ONE_PART}")
    return best[0]


def _most_alike(paths: list[Path], other: Path) -> list[Path]:
    """Those of some paths that begin most like another one; of these, those that share most of its
    folders' names, as images/train/1.jpg and labels/train/1.txt do."""

    def likeness(path: Path) -> tuple[int, int]:
        shared = {*path.parent.parts} & {*other.parent.parts}
        return len(os.path.commonprefix([str(path), str(other)])), len(shared)

    return _most(paths, likeness)


def _most(paths: list[Path], likeness: Callable[[Path], Any]) -> list[Path]:
    """Those of some paths of which something is greatest."""
    most = max(map(likeness, paths))
    return [path for path in paths if likeness(path) == most]


def _shared_end(path: str, other: str) -> int:
    """How many parts two paths have in common at their ends."""
    return len(os.path.commonprefix([path.split("/")[::-1], other.split("/")[::-1]]))


def find_one(source: Path, *patterns: str) -> list[Path]:
    """The files below `source` that match the first pattern that any file matches.

    Params:
        patterns: globs, the surest first.

    Returns:
        At least one, in the order of their paths.

    Raises:
        DataError: that says what was looked for and what is there.
    """
    for pattern in patterns:
        found = paths_below(source, pattern)
        if found:
            return found
    there = sorted(path.name + "/" * path.is_dir() for path in source.iterdir())
    listed = ", ".join(there[:6]) + (f" and {len(there) - 6} more" if len(there) > 6 else "")
    raise DataError(
        f"{source}: looked for {' or '.join(patterns)} in it and below, found {listed or 'nothing'}"
    )


def pair_files(
    source: Path,
    truth: list[Path],
    name_of: Callable[[Path], str],
    read_words: Callable[[Path], ReadWords],
    split_of: Callable[[Path], str] = lambda path: "",
) -> Items:
    """Items of a set with one annotation file per image.

    Params:
        source: the folder with the images in it and below.
        truth: the annotation files.
        name_of: takes such a path, gives its image's name without the suffix.
        read_words: takes the path, returns the image's words.
        split_of: takes the path, gives the split that it belongs to.

    Raises:
        DataError: when there are no images.
    """
    images = images_by_name(source)
    if not images:
        raise DataError(f"{source}: there are annotations in it, but no images")
    for pair in pair_with_images(images, truth, name_of):
        if isinstance(pair, str):
            yield pair
            continue
        path, image = pair
        try:
            found = read_words(path)
        except (OSError, *READING_ERRORS) as error:
            yield f"{path}: damaged ({error}); {image} is left out"
            continue
        yield Item(image, found.words, split_of(path), found.problems, found.unread)


def pair_with_images(
    images: dict[str, list[Path]], truth: list[Path], name_of: Callable[[Path], str]
) -> Iterator[tuple[Path, Path] | str]:
    """Annotation files of one image each with these images.

    Params:
        images: as images_by_name gives them.
        truth, name_of: as for pair_files.

    Returns:
        yields an annotation file and its image, or a line about a file without an image, and at the
        end one about each image without a file.
    """
    truth_of, unpaired = defaultdict(list), set()
    for path in truth:
        name = composed(name_of(path))
        try:
            truth_of[choose_image(images, name, path)].append(path)
        except ValueError as error:
            unpaired.add(name)
            yield f"{path}: {error}"
    for image, paths in truth_of.items():
        # An image of the same name in another part of the set may be missing.
        path, *others = _most_alike(paths, image)
        if others:
            yield f"{image}: are its words in {path} or in {others[0]}? {ONE_PART}"
            continue
        yield path, image
        for other in paths:
            if other != path:
                yield f"{other}: there is no image for it; {image} belongs to {path}"
    for name in sorted(images.keys() - unpaired):
        for image in images[name]:
            if image not in truth_of:
                yield f"{image}: there is no annotation for it"
