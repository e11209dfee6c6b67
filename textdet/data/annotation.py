"""Words and samples: what the annotation of one image says."""

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError

IMAGES, CHARACTERS, AFFINITIES = "images", "character_heatmaps", "affinity_heatmaps"
ANNOTATIONS = "annotations"  # the four folders of a folder of triplets
PIECE_OF = "piece_of"  # field of an annotation: the origin of the image that this is a part of

# What a line that is JSON, but no annotation, raises.
ANNOTATION_ERRORS = (ValueError, KeyError, TypeError, AttributeError)


@dataclass
class Word:
    """One word and its characters, in the image's continuous pixel coordinates.

    Params:
        text: the transcription; empty where nobody knows it.
        characters: one string a character cell (usually one letter).
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

    def mapped(self, scale: float = 1.0, offset: tuple[float, float] = (0, 0)) -> "Word":
        """The word with all its points scaled, then moved.

        Params:
            scale: times.
            offset: px, x and y.
        """
        quads, polygon = (
            (points * scale + offset).astype(np.float32) for points in (self.quads, self.polygon)
        )
        return replace(self, quads=quads, polygon=polygon)

    def to_json(self) -> dict:
        """As it stands in an annotation, to 1/100 px."""
        cells = zip(self.characters, _rounded(self.quads), strict=True)
        weight = {} if self.weight is None else {"weight": self.weight}
        return {
            "text": self.text,
            "polygon": _rounded(self.polygon),
            "characters": [{"text": text, "quad": quad} for text, quad in cells],
            "ignore": self.ignore,
            "confidence": self.confidence,
            **weight,
        }

    @classmethod
    def from_json(cls, record: dict) -> "Word":
        """A word from its annotation.

        Params:
            record: as to_json gives it; only the polygon must be there.

        Raises:
            DataError, ANNOTATION_ERRORS: it is damaged.
        """
        cells = record.get("characters", [])
        quads = np.array([cell["quad"] for cell in cells], np.float32).reshape(-1, 4, 2)
        polygon = np.array(record["polygon"], np.float32).reshape(-1, 2)
        if len(polygon) < 3 or not (np.isfinite(polygon).all() and np.isfinite(quads).all()):
            raise DataError(f"the polygon of {record.get('text')!r} is not one")
        return cls(
            text=_string(record.get("text")),
            characters=[_string(cell["text"]) for cell in cells],
            quads=quads,
            polygon=polygon,
            ignore=bool(record.get("ignore", False)),
            confidence=float(record.get("confidence", 1.0)),
            weight=None if record.get("weight") is None else float(record["weight"]),
        )


@dataclass
class Sample:
    """One image of a data set: where its files are, its size and its words.

    Params:
        folder: of triplets, or another data set's.
        file: the image's name within images/.
        width, height: px.
        words: in px of the image.
        extra: other fields of the annotation: font, kind, ...
        elsewhere: the image, when it is not in images/ (other people's data).
    """

    folder: Path
    file: str
    width: int
    height: int
    words: list[Word]
    extra: dict = field(default_factory=dict)
    elsewhere: Path | None = None

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

    def to_json(self) -> dict:
        """The annotation, a line of annotations/*.jsonl."""
        return {
            "file": self.file,
            "size": [self.width, self.height],
            "words": [word.to_json() for word in self.words],
            **self.extra,
        }

    @classmethod
    def from_json(cls, folder: Path, record: dict) -> "Sample":
        """A sample from its line of an annotation file.

        Params:
            folder: the triplet folder.
            record: the line, decoded.

        Raises:
            DataError, ANNOTATION_ERRORS: it is damaged.
        """
        if not isinstance(record["file"], str):
            raise DataError(f"its file is no name: {record['file']}")
        width, height = record["size"]
        words = [Word.from_json(word) for word in record["words"]]
        extra = {k: v for k, v in record.items() if k not in ("file", "size", "words")}
        return cls(folder, record["file"], int(width), int(height), words, extra)


def _rounded(points: np.ndarray) -> list:
    return np.round(points.astype(np.float64), 2).tolist()


def _string(text: object) -> str:
    """A text as other tools may write it: null, or a number."""
    return "" if text is None else str(text)


@functools.lru_cache
def _name_of(folder: Path) -> str:
    """A folder's own name, also of "."."""
    return folder.resolve().name
