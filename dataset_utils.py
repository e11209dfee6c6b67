"""The triplet folder: image, character heatmap, affinity heatmap and annotations.

    dataset.json                      format version, settings, seed, counts, what was left out
    images/00000042.jpg               RGB
    character_heatmaps/00000042.png   uint8, 0..255 for 0..1, the image's size
    affinity_heatmaps/00000042.png    likewise
    annotations/00000.jsonl           one file a chunk, one line an image

Coordinates are continuous: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), so its centre
is (i + 0.5, j + 0.5), and an image resized by a factor has its points multiplied by that factor.
"""

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from static import constants as C

FORMAT_VERSION = 1
IMAGES, CHARACTERS, AFFINITIES = "images", "character_heatmaps", "affinity_heatmaps"
ANNOTATIONS = "annotations"
PIECE_OF = "piece_of"  # field of an annotation: the origin of the image that this is a part of
ORIENTATION = 0x0112  # EXIF tag; from 5 on, width and height change places
# What read_image takes. Pillow knows more; some of them start other programs.
IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000")


# What a line that is JSON, but no annotation, raises.
ANNOTATION_ERRORS = (ValueError, KeyError, TypeError, AttributeError)


class DataError(ValueError):
    """Input that a user can mend: the message is one line for the user."""


class SizeError(DataError):
    """The sizes of an image, its heatmaps and its annotation disagree: the labels are wrong."""


@dataclass
class Word:
    """One word and its characters, in the image's continuous pixel coordinates.

    characters: one string a character cell (usually one letter).
    quads: (n, 4, 2) float32, a character's cell, clockwise from its top left corner.
    polygon: (k, 2) float32 with k >= 3, around the word, clockwise from its top left corner.
    ignore: don't-care; counts neither for nor against a detector.
    confidence: 0..1, how far the character cells are to be trusted (1 for generated ones).
    """

    text: str
    characters: list[str]
    quads: np.ndarray
    polygon: np.ndarray
    ignore: bool = False
    confidence: float = 1.0

    def mapped(self, scale: float = 1.0, offset: tuple[float, float] = (0, 0)) -> "Word":
        """The word with all its points scaled, then moved by `offset` (x, y) px."""
        quads, polygon = (
            (points * scale + offset).astype(np.float32) for points in (self.quads, self.polygon)
        )
        return replace(self, quads=quads, polygon=polygon)

    def to_json(self) -> dict:
        cells = zip(self.characters, _rounded(self.quads), strict=True)
        return {
            "text": self.text,
            "polygon": _rounded(self.polygon),
            "characters": [{"text": text, "quad": quad} for text, quad in cells],
            "ignore": self.ignore,
            "confidence": self.confidence,
        }

    @classmethod
    def from_json(cls, record: dict) -> "Word":
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
        )


def _string(text: object) -> str:
    """A text as other tools may write it: null, or a number."""
    return "" if text is None else str(text)


@functools.lru_cache
def _name_of(folder: Path) -> str:
    """A folder's own name, also of "."."""
    return folder.resolve().name


@dataclass
class Sample:
    """One image of a triplet folder: where its files are, its size and its words."""

    folder: Path
    file: str  # the image's name within images/
    width: int
    height: int
    words: list[Word]
    extra: dict = field(default_factory=dict)  # other fields of the annotation: font, kind, ...
    elsewhere: Path | None = None  # the image, when it is not in images/ (other people's data)

    @property
    def image_path(self) -> Path:
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
        return {
            "file": self.file,
            "size": [self.width, self.height],
            "words": [word.to_json() for word in self.words],
            **self.extra,
        }

    @classmethod
    def from_json(cls, folder: Path, record: dict) -> "Sample":
        if not isinstance(record["file"], str):
            raise DataError(f"its file is no name: {record['file']}")
        width, height = record["size"]
        words = [Word.from_json(word) for word in record["words"]]
        extra = {k: v for k, v in record.items() if k not in ("file", "size", "words")}
        return cls(folder, record["file"], int(width), int(height), words, extra)


# --- Writing ---------------------------------------------------------------------------------


def write_atomically(path: Path, data: bytes | str | np.ndarray) -> None:
    """Write beside `path` and rename, so that the file appears whole or not at all."""
    if isinstance(data, str):
        data = data.encode(errors="backslashreplace")  # names of files that are not UTF-8
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def write_json(path: Path, record: dict) -> None:
    write_atomically(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def has_heatmaps(folder: Path) -> bool:
    """Whether a triplet folder holds heatmaps, not words alone."""
    return any((folder / CHARACTERS).glob("*.png"))


def make_folders(folder: Path) -> None:
    for name in (IMAGES, CHARACTERS, AFFINITIES, ANNOTATIONS):
        (folder / name).mkdir(parents=True, exist_ok=True)


def write_triplet(
    sample: Sample, image: np.ndarray, maps: np.ndarray | None, jpeg_quality: int
) -> None:
    """Write the three files of one sample.

    image: (H, W, 3) uint8 RGB; maps: (2, H, W) uint8, character then affinity, or None for words
    whose characters are not known.
    Raises OSError when the disk refuses.
    """
    import cv2

    if maps is not None:
        # The quickest settings of OpenCV 5 for smooth maps; the files are smaller, too.
        fast = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
        fast += (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
        for path, heatmap in zip(sample.heatmap_paths, maps, strict=True):
            write_atomically(path, cv2.imencode(".png", heatmap, fast)[1])
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1]
    write_atomically(sample.image_path, data)


# --- Reading ---------------------------------------------------------------------------------


def read_image(source: Path | BinaryIO, upright: bool = True) -> np.ndarray:
    """Decode an image file to (H, W, 3) uint8 RGB, turned upright by its EXIF tag if asked.

    source: a path or an open binary file. Grey, palette, alpha (over white), CMYK, 16-bit and
    floating-point images are converted; of several frames or pages the first counts. Raises
    DataError with the file's name for anything that is not a sound image of one of IMAGE_FORMATS
    or declares more than C.MAX_PIXELS.
    """
    import warnings

    from PIL import Image, ImageOps, UnidentifiedImageError

    name = source if isinstance(source, Path) else getattr(source, "name", "image")
    try:
        with warnings.catch_warnings():
            # About odd metadata, and about sizes that are checked here.
            warnings.simplefilter("ignore")
            with Image.open(source, formats=IMAGE_FORMATS) as image:
                if image.width * image.height > C.MAX_PIXELS:
                    raise DataError(
                        f"{name}: {image.width}x{image.height} px is too large, "
                        f"the limit is {C.MAX_PIXELS / 1e6:g} million pixels"
                    )
                image.load()
                if upright and _orientation(image) > 1:
                    ImageOps.exif_transpose(image, in_place=True)
                return np.array(_to_rgb(image))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name}: no such file") from None
    except UnidentifiedImageError:
        formats = ", ".join(IMAGE_FORMATS)
        raise DataError(f"{name}: not a readable image (none of {formats})") from None
    except Image.DecompressionBombError as error:  # raised for sizes far above C.MAX_PIXELS
        raise DataError(f"{name}: is too large ({error})") from None
    except Exception as error:  # Pillow raises many kinds on damaged files
        raise DataError(f"{name}: not a readable image ({error})") from None


def _orientation(image) -> int:
    """1 to 8, how a Pillow image was held; 1 where its EXIF data are damaged or do not tell."""
    import warnings

    try:
        with warnings.catch_warnings():  # about those data
            warnings.simplefilter("ignore")
            value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds on damaged data
        return 1
    return value if value in range(1, 9) else 1


def _to_rgb(image):
    """A Pillow image of any mode as one of mode RGB."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        largest = values.max()
        top = 255.0 if largest <= 255 else 65535.0
        if image.mode == "F" and largest <= 1:
            top = 1.0
        image = Image.fromarray((values.clip(0, top) * (255 / top)).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def read_sample_image(sample: Sample) -> np.ndarray:
    """A sample's image, (H, W, 3) uint8 RGB. Raises DataError with the file's name, SizeError when
    it has another size than the annotation says.

    Other people's annotations count pixels as they are stored, whatever the EXIF tag says.
    """
    image = read_image(sample.image_path, upright=sample.elsewhere is None)
    _check_size(sample.image_path, image.shape[1], image.shape[0], sample)
    return image


def read_heatmap(path: Path) -> np.ndarray:
    """Decode a heatmap to (H, W) uint8. Raises DataError with the file's name."""
    import cv2

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    data = np.fromfile(path, np.uint8)
    heatmap = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if heatmap is None:
        raise DataError(f"{path}: not a readable heatmap")
    return heatmap


def read_triplet(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Read a sample's files: image (H, W, 3) uint8 RGB and maps (2, H, W) uint8.

    Raises DataError with the file's name when one is missing or damaged, SizeError when it has
    another size than the annotation says.
    """
    image = read_sample_image(sample)
    maps = [read_heatmap(path) for path in sample.heatmap_paths]
    for path, heatmap in zip(sample.heatmap_paths, maps, strict=True):
        _check_size(path, heatmap.shape[1], heatmap.shape[0], sample)
    return image, np.stack(maps)


def check_triplet(sample: Sample) -> str | None:
    """A line that says which of a sample's files is missing or no image, by its header; or None.

    Raises SizeError with the file's name when one has another size than the annotation says.
    """
    from PIL import Image

    for path in (sample.image_path, *sample.heatmap_paths):
        try:
            with Image.open(path) as image:
                width, height = image.size
                turned = _orientation(image) > 4
        except (OSError, Image.DecompressionBombError):
            return f"{path}: missing, not a readable image, or far too large"
        _check_size(path, *((height, width) if turned else (width, height)), sample)
    return None


def _check_size(path: Path, width: int, height: int, sample: Sample) -> None:
    if (width, height) != (sample.width, sample.height):
        raise SizeError(
            f"{path}: {width}x{height} px, but its annotation says {sample.width}x{sample.height}"
        )


def read_samples(folder: str | Path) -> tuple[list[Sample], list[str]]:
    """Read all annotations of a triplet folder, in order, without opening the images.

    Returns the samples and a line for each annotation that was left out because it is damaged.
    Raises DataError when the folder is missing or holds no sound annotation.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    files = sorted((folder / ANNOTATIONS).glob("*.jsonl"))
    if not files:
        raise DataError(
            f"{folder}: no {ANNOTATIONS}/*.jsonl in it; make data with generate_images.py first"
        )
    samples, problems = [], []
    for path in files:
        # Line by line as bytes, so that one in another encoding does not take the others with it.
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if not line.strip():  # the file's end; a chunk of damaged images has nothing else
                continue
            try:
                samples.append(Sample.from_json(folder, json.loads(line)))
            except ANNOTATION_ERRORS as error:
                problems.append(f"{path}:{number}: damaged annotation ({error})")
    if not samples:
        raise DataError(f"{folder}: none of its annotations can be read; {problems[:1]}")
    return samples, problems


def read_folders(folders: list[str | Path]) -> tuple[list[Sample], list[str]]:
    """read_samples over several folders, one after the other."""
    found = [read_samples(folder) for folder in folders]
    return [s for samples, _ in found for s in samples], [p for _, lines in found for p in lines]


def split_samples(
    samples: list[Sample], test_size: float, seed: int = 0, unseen: Sequence[str] = ()
) -> tuple[list[Sample], list[Sample]]:
    """Split into train and test, by a hash of each image's origin and the seed.

    An image stays on its side when others are added or removed; pieces of one image stay together.
    test_size: 0..1, the share of the test side; both sides get at least one image where there are
    two.

    unseen: fields of the annotations, "fonts" and "background", of whose values the share of
    `test_size` is held back for the test side. Images with these alone are tested on, images with
    none of them trained on, and those with both fall away. An image that names none goes by its
    own name.

    Raises DataError for a share outside 0..1, for fewer than two images, for a field with fewer
    than two values, and when a side stays empty.
    """
    if not 0 < test_size < 1:
        raise DataError(f"--test_size must lie between 0 and 1, not {test_size}")
    if len({sample.origin for sample in samples}) < 2:
        raise DataError("at least two images are needed, one to train on and one to test")
    if unseen:
        return _split_values(samples, test_size, seed, unseen)
    positions = [_position(f"{seed}/{sample.origin}") for sample in samples]
    order = sorted(set(positions))
    n_test = min(max(sum(position < test_size for position in order), 1), len(order) - 1)
    sides = [[], []]
    for sample, position in zip(samples, positions, strict=True):
        sides[position < order[n_test]].append(sample)
    train, test = sides
    return train, test


def _split_values(
    samples: list[Sample], test_size: float, seed: int, unseen: Sequence[str]
) -> tuple[list[Sample], list[Sample]]:
    """split_samples by the values of the fields `unseen`."""
    held_back = set()
    for name in unseen:
        values = sorted({v for s in samples for v in _values(s, name)})
        values.sort(key=lambda value: _position(f"{seed}/{value}"))
        if len(values) < 2:
            raise DataError(f"--unseen {name}: the annotations name {len(values)}, two are needed")
        held_back |= set(values[: min(max(1, round(test_size * len(values))), len(values) - 1)])
    train, test = [], []
    for sample in samples:
        sides = {v in held_back for name in unseen for v in _values(sample, name)}
        if not sides:
            sides = {_position(f"{seed}/{sample.origin}") < test_size}
        if len(sides) == 1:
            (test if sides.pop() else train).append(sample)
    if not train or not test:
        raise DataError(
            f"--unseen {' '.join(unseen)}: no image has only what the "
            f"{'test' if train else 'train'} split may have; change --test_size"
        )
    return train, test


def _values(sample: Sample, name: str) -> list[tuple[str, str]]:
    """What an annotation names in a field, with the field's name.

    Backgrounds count when they are files: "flat" and "paper" are kinds that many images share.
    """
    value = sample.extra.get(name)
    values = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return [(name, v) for v in values if name != "background" or Path(v).suffix]


def _position(key: str) -> float:
    """0..1, evenly spread over the keys."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _rounded(points: np.ndarray) -> list:
    return np.round(points.astype(np.float64), 2).tolist()
