"""Words and samples: what the annotation of one image says."""

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import parse_json
from textdet.common.geometry import clockwise, opened

IMAGES, CHARACTERS, AFFINITIES = "images", "character_heatmaps", "affinity_heatmaps"
ANNOTATIONS = "annotations"  # the four folders of a folder of triplets
PIECE_OF = "piece_of"  # field of an annotation: the origin of the image that this is a part of
UNREAD = "unread_words"  # field: how many words of the image are at an unknown place
MAX_COORDINATE = 1e6  # px; no image is so large

# What reading an annotation raises that is sound JSON (or a line of text), but something else.
READING_ERRORS = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(OverflowError, RecursionError),
)


@dataclass
class Word:
    """One word and its characters, in the image's continuous pixel coordinates.

    Params:
        text: the transcription; empty where nobody knows it.
        characters: one string per character cell (usually one letter).
        quads: (n, 4, 2) float32, px, a character's cell, clockwise from its top left corner.
        polygon: (k, 2) float32 with k >= 3, px, around the word, clockwise from its top left
            corner.
        ignore: don't-care; counts neither for nor against a detector.
        confidence: 0..1, how far the character cells are to be trusted (1 for generated ones).
        weight: 0..1, how much the word's pixels count in training; None for what follows from the
            other fields, see training_weight.
    """

    text: str
    characters: list[str]
    quads: np.ndarray
    polygon: np.ndarray
    ignore: bool = False
    confidence: float = 1.0
    weight: float | None = None

    @property
    def training_weight(self) -> float:
        """0..1, how much the pixels of the polygon count in training: not at all in a don't-care
        word or one without characters, which the maps then lack, unless a weight is given."""
        if self.weight is not None:
            return self.weight
        return 0.0 if self.ignore or not self.characters else max(self.confidence, 0.0)

    def mapped(
        self, scale: float | tuple[float, float] = 1.0, offset: tuple[float, float] = (0, 0)
    ) -> "Word":
        """The word with all its points scaled, then moved.

        Params:
            scale: times, of both or of x and of y.
            offset: px, x and y.
        """
        quads, polygon = (
            (points * scale + offset).astype(np.float32) for points in (self.quads, self.polygon)
        )
        return replace(self, quads=quads, polygon=polygon)

    def to_json(self) -> dict:
        """As it stands in an annotation, to 1/100 px."""
        return _words_to_json([self])[0]

    @classmethod
    def from_json(cls, record: dict) -> "Word":
        """A word from its annotation.

        Params:
            record: as to_json gives it; only the polygon must be there, either way round.

        Raises:
            DataError, READING_ERRORS: it is damaged.
        """
        cells, text = record.get("characters") or [], _string(record.get("text"))
        quads = points_of([cell["quad"] for cell in cells]).reshape(-1, 4, 2)
        polygon = opened(points_of(record["polygon"]))
        confidence = share_of(record.get("confidence", 1.0))
        weight = None if record.get("weight") is None else share_of(record["weight"])
        if len(polygon) < 3 or len(quads) != len(cells):
            raise DataError(f"an outline of {text[:60]!r} is not one")
        return cls(
            text=text,
            characters=[_string(cell["text"]) for cell in cells],
            quads=quads.astype(np.float32),
            polygon=clockwise(polygon).astype(np.float32),
            ignore=flag_of(record.get("ignore")),
            confidence=confidence,
            weight=weight,
        )


def moved_words(words: list[Word], x: float, y: float) -> list[Word]:
    """Words with all their points moved: as Word.mapped, quicker for many at once.

    Params:
        x, y: px.
    """
    if not words:
        return []
    offset = np.array([x, y], np.float32)
    quads = np.concatenate([word.quads for word in words]) + offset
    polygons = np.concatenate([word.polygon for word in words]) + offset
    return with_points(words, quads, polygons)


def with_points(words: list[Word], quads: np.ndarray, polygons: np.ndarray) -> list[Word]:
    """Words with other points, as many as they have.

    Params:
        quads: (n, 4, 2) px, of the characters of all words.
        polygons: (k, 2) px, the corners of all words' outlines.
    """
    made, cell, corner = [], 0, 0
    for word in words:
        cells, corners = cell + len(word.quads), corner + len(word.polygon)
        own = quads[cell:cells], polygons[corner:corners]
        made.append(
            Word(word.text, word.characters, *own, word.ignore, word.confidence, word.weight)
        )
        cell, corner = cells, corners
    return made


@dataclass(slots=True)  # there may be millions
class Sample:
    """One image of a data set: where its files are, its size and its words.

    Params:
        folder: of triplets, or another data set's.
        file: the image's name within images/.
        width, height: px.
        words: in px of the image.
        extra: other fields of the annotation: font, kind, ...
        elsewhere: the image, when it is not in images/ (other people's data).
        upright: whether those px are of the image turned upright by its EXIF tag, not of the image
            as it is stored.
    """

    folder: Path
    file: str
    width: int
    height: int
    words: list[Word]
    extra: dict = field(default_factory=dict)
    elsewhere: Path | None = None
    upright: bool = True

    @property
    def image_path(self) -> Path:
        """The image's file."""
        return self.elsewhere or self.folder / IMAGES / self.file

    @property
    def origin(self) -> str:
        """Folder's and image's name, or those of the image it is a piece of: pieces of one image
        show the same words, in however many folders."""
        return self.extra.get(PIECE_OF) or f"{_name_of(self.folder)}/{self.file}"

    @property
    def heatmap_paths(self) -> tuple[Path, Path]:
        """The character map's and the affinity map's file."""
        name = Path(self.file).with_suffix(".png")
        return self.folder / CHARACTERS / name, self.folder / AFFINITIES / name

    @property
    def has_words(self) -> bool:
        """Whether there are any words."""
        return bool(self.words)

    @property
    def has_characters(self) -> bool:
        """Whether the characters of any word are known."""
        return any(word.characters for word in self.words)

    @property
    def weighted_words(self) -> list[Word]:
        """The words that count less than in full in training."""
        return [word for word in self.words if word.training_weight < 1]

    def to_json(self) -> dict:
        """The annotation, a line of annotations/*.jsonl."""
        return {
            "file": self.file,
            "size": [self.width, self.height],
            "words": _words_to_json(self.words),
            **self.extra,
        }

    @classmethod
    def from_json(cls, folder: Path, record: dict) -> "Sample":
        """A sample from its line of an annotation file.

        Params:
            folder: the triplet folder.
            record: the line, decoded.

        Raises:
            DataError, READING_ERRORS: it is damaged.
        """
        width, height = (int(side) for side in record["size"])
        if not (0 < width <= MAX_COORDINATE and 0 < height <= MAX_COORDINATE):
            raise DataError("its size is none")
        if not isinstance(record["words"], list):
            raise DataError("its words are no list")
        words = [Word.from_json(word) for word in record["words"]]
        extra = {k: v for k, v in record.items() if k not in ("file", "size", "words")}
        if not isinstance(extra.get(PIECE_OF, ""), str):
            raise DataError(f"its {PIECE_OF} is no name")
        if not isinstance(extra.get(UNREAD, 0), int):
            raise DataError(f"its {UNREAD} is no number")
        return cls(folder, name_within(record["file"]), width, height, words, extra)


def read_lines(folder: Path, lines: Iterable[bytes]) -> tuple[list[Sample], list[tuple[int, str]]]:
    """Read lines of an annotation file.

    They are taken as bytes, so that one in another encoding does not take the others with it.

    Params:
        folder: the triplet folder.
        lines: empty ones count, but are no annotations.

    Returns:
        The samples; for each damaged line its number, 1 for the first, and what is wrong with it.
    """
    samples, damaged = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():  # the file's end; a chunk of damaged images has nothing else
            continue
        try:
            samples.append(Sample.from_json(folder, parse_json(line)))
        except READING_ERRORS as error:
            text = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            damaged.append((number, text))
    return samples, damaged


def each_image_once(samples: list[Sample], files: list[str]) -> tuple[list[Sample], list[str]]:
    """Leave out further annotations of an image, as of a file of them that was kept beside a newer
    one, or of a line for each word: both would be trained on.

    Params:
        samples: of one folder.
        files: their `file`s, which an index gives faster all at once.

    Returns:
        The first sample of each image, and a line for each other one.
    """
    if len(set(files)) == len(files):
        return samples, []
    seen, kept, problems = set(), [], []
    for sample, file in zip(samples, files, strict=True):
        if file in seen:
            problems.append(labelled_again(sample.image_path))
        else:
            seen.add(file)
            kept.append(sample)
    return kept, problems


def labelled_again(image: Path) -> str:
    """What to say of further labels of an image, which are left out."""
    return f"{image}: it is labelled more than once, the first labels count"


# --- Values as other tools may write them ----------------------------------------------------


def points_of(numbers: object) -> np.ndarray:
    """The points of an outline.

    Params:
        numbers: pairs, or one number after the other, nested in any way, px.

    Returns:
        (n, 2) float64.

    Raises:
        DataError: one is not finite, or farther away than any image is wide.
        ValueError, TypeError, OverflowError: they are not numbers.
    """
    points = np.asarray(numbers, np.float64).reshape(-1, 2)
    if not (np.abs(points) <= MAX_COORDINATE).all():  # nan is refused too
        raise DataError("an outline lies at no place of an image")
    return points


def flag_of(value: object) -> bool:
    """Whether a field is set: true, 1, "true", "1", "yes". Raises DataError for what may be either.

    Params:
        value: None where there is none.
    """
    word = str(value).strip().lower()
    if word in ("true", "1", "1.0", "yes"):
        return True
    if word in ("false", "0", "0.0", "no", "none", "null", ""):
        return False
    raise DataError(f"neither true nor false: {word[:60]!r}")


def share_of(value: object) -> float:
    """A number from 0 to 1. Raises DataError, or ValueError, TypeError and OverflowError."""
    share = float(value)
    if not 0 <= share <= 1:
        raise DataError(f"not within 0..1: {share}")
    return share


def name_within(name: object) -> str:
    """The name of a file in a folder or below it, with forward slashes.

    Params:
        name: as an annotation gives it, which may be wrong.

    Raises:
        DataError: it is not a name, or leads out of the folder.
    """
    if not isinstance(name, str):
        raise DataError(f"its file is no name: {str(name)[:60]}")
    path = Path(name.replace("\\", "/"))  # as Windows tools write them
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # half a character
        raise DataError(f"its file is no name: {name[:60]!r}") from None
    if not path.name or "\0" in name:
        raise DataError(f"its file is no name: {name[:60]!r}")
    if path.anchor or ".." in path.parts:
        raise DataError(f"its file is not in the folder: {name[:60]!r}")
    return path.as_posix()


def rounded(points: np.ndarray) -> list:
    """Points (..., 2) as JSON has them, px to 1/100."""
    return np.round(np.asarray(points, np.float64), 2).tolist()


def unread_words(sample: Sample) -> str | None:
    """A line about an image with words whose place is unknown, so that its empty
    places cannot be taught as being without text; None for any other."""
    count = sample.extra.get(UNREAD)
    return f"{sample.image_path}: {count} of its words cannot be read" if count else None


def _words_to_json(words: list[Word]) -> list[dict]:
    """Words as they stand in an annotation: rounding all points at once takes a fifth of the time
    that it takes word by word."""
    if not words:
        return []
    quads = rounded(np.concatenate([word.quads.reshape(-1, 4, 2) for word in words]))
    corners = rounded(np.concatenate([word.polygon for word in words]))
    records, cell, corner = [], 0, 0
    for word in words:
        cells, end = cell + len(word.quads), corner + len(word.polygon)
        pairs = zip(word.characters, quads[cell:cells], strict=True)
        records.append(
            {
                "text": word.text,
                "polygon": corners[corner:end],
                "characters": [{"text": text, "quad": quad} for text, quad in pairs],
                "ignore": word.ignore,
                "confidence": word.confidence,
                **({} if word.weight is None else {"weight": word.weight}),
            }
        )
        cell, corner = cells, end
    return records


def _string(text: object) -> str:
    """A text as other tools may write it: null, or a number."""
    return "" if text is None else str(text)


@functools.lru_cache
def _name_of(folder: Path) -> str:
    """A folder's own name, also of "."."""
    return folder.resolve().name
