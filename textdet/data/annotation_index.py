"""An index of a large folder's annotations: Arrow columns on disk, mapped into memory.

annotations/index-STATE.arrow is made once, in parallel; STATE changes with any annotation file, and
another index takes over what the one before says of the others. A sample of it knows its row and
reads a field when it is asked for. All processes share what the system keeps of it in memory.
"""

import functools
import json
import mmap
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textdet.common.cli import one_line, progress_bar
from textdet.common.errors import DataError
from textdet.common.files import UNFINISHED, unfinished
from textdet.common.fingerprints import fingerprint
from textdet.common.workers import available_cores, run_calls
from textdet.data.annotation import (
    ANNOTATIONS,
    READING_ERRORS,
    Sample,
    Word,
    each_image_once,
    read_lines,
)

if TYPE_CHECKING:  # importing it takes time, which small folders do not need
    import pyarrow as pa

INDEXED_FROM = 8 << 20  # bytes of annotations; fewer are read faster than a process starts
PIECE = 8 << 20  # bytes of annotations that a worker reads in one go
VERSION = 3  # of the columns, and of what Sample.from_json makes of a line
NOTE = b"piece"  # in a batch's metadata: what it was made of, see _read_piece, as JSON


# --- Reading it ------------------------------------------------------------------------------


class IndexedSample(Sample):
    """A sample that reads its fields when they are asked for; a word's, each time again.

    Params:
        part, row: where it stands in the index.
    """

    __slots__ = ("_part", "_row")

    def __init__(self, part: "_Part | _SentPart", row: int):
        self._part, self._row = part, row

    def __reduce__(self) -> tuple:
        part = self._part
        if part.path.parent != part.folder / ANNOTATIONS:  # where other machines may not look
            fields = self.file, self.width, self.height, self.words, self.extra
            return Sample, (self.folder, *fields)
        return IndexedSample, (part, self._row)

    elsewhere, upright = None, True
    folder = property(lambda self: self._part.folder)
    file = property(lambda self: self._part.files[self._row])
    width = property(lambda self: int(self._part.widths[self._row]))
    height = property(lambda self: int(self._part.heights[self._row]))
    words = property(lambda self: self._part.words(self._row))
    extra = property(lambda self: json.loads(self._part.extras[self._row]))

    @property
    def has_words(self) -> bool:
        """See Sample."""
        first, end = self._part.word_range(self._row)
        return first < end

    @property
    def has_characters(self) -> bool:
        """See Sample."""
        first, end = self._part.word_range(self._row)
        return first < end and bool(self._part.cell_ends[first] < self._part.cell_ends[end])

    @property
    def weighted_words(self) -> list[Word]:
        """See Sample."""
        first, end = self._part.word_range(self._row)
        if (self._part.training_weights[first:end] >= 1).all():
            return []
        return super().weighted_words


class _Strings:
    """A column of texts."""

    def __init__(self, column: "pa.BinaryArray"):
        _, ends, data = column.buffers()
        self._ends = np.frombuffer(ends, np.int32)
        self._data = memoryview(data) if data else b""

    def __getitem__(self, row: int) -> str:
        return self.take(row, row + 1)[0]

    def take(self, first: int, end: int) -> list[str]:
        """The texts of the rows from `first` to before `end`."""
        ends = self._ends[first : end + 1].tolist()
        data = bytes(self._data[ends[0] : ends[-1]])
        spans = [(start - ends[0], stop - ends[0]) for start, stop in pairwise(ends)]
        if data.isascii():
            text = data.decode()
            return [text[start:stop] for start, stop in spans]
        return [data[start:stop].decode(errors="surrogatepass") for start, stop in spans]


class _Part:
    """A batch of an index: some samples, one after the other, and views of their columns.

    Params:
        folder: of triplets.
        path: of the index.
        number: of the batch.
        batch: as to_batch gives it.
    """

    def __init__(self, folder: Path, path: Path, number: int, batch: "pa.RecordBatch"):
        self.folder, self.path, self.number, self.count = folder, path, number, batch.num_rows
        self.files, self.extras = _Strings(batch["file"]), _Strings(batch["extra"])
        self.widths, self.heights = batch["width"].to_numpy(), batch["height"].to_numpy()
        words = batch["words"].values
        self.word_ends = batch["words"].offsets.to_numpy()
        self.texts = _Strings(words.field("text"))
        self.polygon_ends = words.field("polygon").offsets.to_numpy()
        self.points = words.field("polygon").values.to_numpy()
        cells = words.field("characters").values
        self.cell_ends = words.field("characters").offsets.to_numpy()
        self.letters, self.quads = _Strings(cells.field("text")), cells.field("quad").values
        self.quads = self.quads.to_numpy()
        names = "ignore", "confidence", "weight", "training_weight"
        columns = (words.field(name).to_numpy() for name in names)
        self.ignores, self.confidences, self.weights, self.training_weights = columns

    def __reduce__(self) -> tuple:
        return _SentPart, (self.folder, self.path, self.number)

    def word_range(self, row: int) -> tuple[int, int]:
        """The first of a sample's words, and the first of the next sample's."""
        first, end = self.word_ends[row : row + 2].tolist()
        return first, end

    def words(self, row: int) -> list[Word]:
        """A sample's words."""
        first, end = self.word_range(row)
        if first == end:
            return []
        corners = self.polygon_ends[first : end + 1].tolist()
        cells = self.cell_ends[first : end + 1].tolist()
        points = self.points[corners[0] : corners[-1]].reshape(-1, 2).copy()
        quads = self.quads[8 * cells[0] : 8 * cells[-1]].reshape(-1, 4, 2).copy()
        letters = self.letters.take(cells[0], cells[-1]) if len(quads) else []
        columns = self.ignores, self.confidences, self.weights
        rest = zip(*(column[first:end].tolist() for column in columns), strict=True)
        words = []
        for text, (a, b), (c, d), (ignore, confidence, weight) in zip(
            self.texts.take(first, end), pairwise(corners), pairwise(cells), rest, strict=True
        ):
            polygon = points[(a - corners[0]) // 2 : (b - corners[0]) // 2]
            own = slice(c - cells[0], d - cells[0])
            weight = None if np.isnan(weight) else weight
            words.append(
                Word(text, letters[own], quads[own], polygon, bool(ignore), confidence, weight)
            )
        return words


class _SentPart:
    """A part in a process that it was sent to: opened when something is asked of it, since what
    hands it on, such as a cluster's scheduler, may not see the folder.

    Params:
        folder, path, number: see _Part.
    """

    def __init__(self, folder: Path, path: Path, number: int):
        self.folder, self.path, self.number = folder, path, number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # of pickle
            raise AttributeError(name)
        return getattr(_opened(self.folder, self.path)[self.number], name)


def _open(folder: Path, path: Path) -> tuple[list[_Part], list[str]] | None:
    """An index's parts, and a line for each damaged annotation; None where there is none, or a
    damaged one."""
    import pyarrow as pa

    parts, problems, lines = [], [], 0
    try:
        for number, (batch, note) in enumerate(_batches(path)):
            parts.append(_Part(folder, path, number, batch))
            file = folder / ANNOTATIONS / note["file"]
            lines = lines if note["start"] else 0  # of this file, in the pieces before
            problems += [problem_line(file, lines + line, text) for line, text in note["damaged"]]
            lines += note["lines"]
    except (pa.ArrowException, OSError, *READING_ERRORS):
        return None
    return parts, problems


def _batches(path: Path) -> Iterator[tuple["pa.RecordBatch", dict]]:
    """The batches of an index, each with its note. Raises whatever reading a damaged one does."""
    import pyarrow as pa

    with path.open("rb") as file:  # pyarrow itself takes no name that is not UTF-8
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    reader = pa.ipc.open_file(pa.py_buffer(mapped))
    for number in range(reader.num_record_batches):
        batch, metadata = reader.get_batch_with_custom_metadata(number)
        yield batch, json.loads(metadata[NOTE])


@functools.lru_cache(maxsize=16)
def _opened(folder: Path, path: Path) -> list[_Part]:
    """An index's parts, which stay open. Raises DataError where there is none, which is not kept: a
    common disk may show the file a moment later than the machine that made it."""
    found = _open(folder, path)
    if found is None:
        raise DataError(f"{path}: gone or damaged; did the annotations change meanwhile?")
    return found[0]


def problem_line(path: Path, line: int, text: str) -> str:
    """What to say of a damaged line.

    Params:
        path: of the annotation file.
        line: its number, 1 for the first.
        text: what is wrong with it.
    """
    return f"{path}:{line}: damaged annotation ({text})"


# --- Making it -------------------------------------------------------------------------------


def read_indexed(folder: Path, files: list[Path]) -> tuple[list[Sample], list[str]] | None:
    """The samples of a folder by its index, which is made when it is not there.

    Params:
        folder: of triplets.
        files: its annotation files, in order.

    Returns:
        The samples, and a line for each annotation that is left out; None where no index can be
        made, which is said.

    Raises:
        DataError: a worker process was lost.
    """
    try:
        found = _find(folder, files)
    except ImportError:
        found, reason = None, "pip install pyarrow"
    except OSError as error:
        found, reason = None, str(error)
    if found is None:
        text = f"{folder}: no index of its annotations, which takes time and memory ({reason})"
        print(one_line(text), file=sys.stderr)
        return None
    parts, problems = found
    samples = [IndexedSample(part, row) for part in parts for row in range(part.count)]
    files = [file for part in parts for file in part.files.take(0, part.count)]
    samples, repeated = each_image_once(samples, files)
    return samples, problems + repeated


def _find(folder: Path, files: list[Path]) -> tuple[list[_Part], list[str]]:
    """What _open gives of an index that is there or is made. Raises OSError when no disk takes it,
    and ImportError."""
    state = fingerprint([str(VERSION), *(f"/{_state_of(path)}" for path in files)])
    paths = [place.with_name(f"{place.name}-{state}.arrow") for place in _places(folder)]
    for path in paths:
        if found := _open(folder, path):
            return found
    refusal = OSError(f"{folder / ANNOTATIONS} cannot be written")
    for path in paths:
        try:
            return _make(folder, path, files)
        except OSError as error:
            refusal = error
    raise refusal


def _places(folder: Path) -> Iterator[Path]:
    """Where a folder's index may be, without the ending of its name: beside the annotations, or in
    the user's cache where nobody can write there."""
    yield folder / ANNOTATIONS / "index"
    with suppress(RuntimeError):  # a user without a home
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        yield home / "textdet" / fingerprint([str(folder.resolve())])


def _state_of(path: Path) -> str:
    """Changes when a file does; its times also when they have been set back."""
    stat = path.stat()
    return f"{path.name}/{stat.st_size}/{stat.st_mtime_ns}/{stat.st_ctime_ns}"


def _make(folder: Path, path: Path, files: list[Path]) -> tuple[list[_Part], list[str]]:
    """Make an index, unless another process has just made it, and open it. Raises OSError, and
    DataError in a process that cannot start others."""
    from filelock import FileLock

    stem = path.name.rpartition("-")[0]
    if path.parent != folder / ANNOTATIONS:
        path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise OSError(f"{path.parent} cannot be written")
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # A worker runs the user's script as it begins, and would wait for the lock of the process
        # that waits for it.
        raise DataError(
            f"{path.parent.parent}: its index is made by several processes, each of which begins "
            "with your script: put its code under `if __name__ == '__main__':`"
        )
    with FileLock(path.with_name(f".{stem}.lock")):
        if not (found := _open(folder, path)):
            for leftover in path.parent.glob(f".{stem}-*{UNFINISHED}"):  # of a run that was killed
                leftover.unlink(missing_ok=True)
            older = [old for old in path.parent.glob(f"{stem}-*.arrow") if old != path]
            _write(path, files, older)
            for old in older:
                with suppress(OSError):  # where a file in use cannot be deleted
                    old.unlink()
            found = _open(folder, path)
    if not found:
        raise OSError(f"{path} cannot be read")
    return found


def _write(path: Path, files: list[Path], older: list[Path]) -> None:
    """Write an index, whole or not at all.

    Params:
        path: its file.
        files: of annotations, in order.
        older: other indexes of the folder; what they say of unchanged files is taken over.

    Raises:
        OSError: when the disk refuses.
    """
    import pyarrow as pa

    pieces = [
        _Piece(file, state, start, min(start + PIECE, size))
        for file in files
        for size, state in [(file.stat().st_size, _state_of(file))]
        for start in range(0, size, PIECE)
    ]
    schema = to_batch([]).schema
    known = _known_batches(older, schema)
    missing = [number for number, piece in enumerate(pieces) if piece.key not in known]
    workers = max(1, min(available_cores(), len(missing) // 2))
    made = run_calls(_read_piece, ((number, pieces[number]) for number in missing), workers)
    there = ((n, known[piece.key]) for n, piece in enumerate(pieces) if piece.key in known)
    unit = {"unit": "B", "unit_scale": True, "desc": "indexing annotations"}
    beside = unfinished(path)
    try:
        with (
            beside.open("wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
            progress_bar(total=sum(piece.stop - piece.start for piece in pieces), **unit) as bar,
        ):
            results = _in_order(chain(there, made))
            for piece, (batch, note) in zip(pieces, results, strict=True):
                if isinstance(batch, bytes):
                    batch = pa.ipc.read_record_batch(pa.py_buffer(batch), schema)
                writer.write_batch(batch, custom_metadata={NOTE: json.dumps(note)})
                bar.update(piece.stop - piece.start)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class _Piece:
    """The lines of an annotation file that begin within a range of its bytes.

    Params:
        state: of the file, see _state_of.
    """

    path: Path
    state: str
    start: int
    stop: int

    @property
    def key(self) -> str:
        """What the batch that is made of it is known by."""
        return f"{VERSION}/{self.state}/{self.start}/{self.stop}"


def _known_batches(older: list[Path], schema: "pa.Schema") -> dict[str, tuple]:
    """The batches of other indexes with their notes, by the keys of their pieces."""
    import pyarrow as pa

    known = {}
    for path in older:
        with suppress(pa.ArrowException, OSError, *READING_ERRORS):
            for batch, note in _batches(path):
                if batch.schema == schema:
                    known[note["key"]] = batch, note
    return known


def _in_order(results: Iterable[tuple[int, Any]]) -> Iterator[Any]:
    """Numbered results by their numbers, each as soon as those before it are there."""
    waiting, number = {}, 0
    for key, result in results:
        waiting[key] = result
        while number in waiting:
            yield waiting.pop(number)
            number += 1


def _read_piece(number: int, piece: _Piece) -> tuple[int, tuple[bytes, dict]]:
    """Read a piece of the annotations.

    Returns:
        Its number; its batch as Arrow writes it, and what is to be noted of it: how many lines it
        has and which of them are damaged, see read_lines.
    """
    lines = []
    with piece.path.open("rb") as file:
        position = piece.start
        if position:
            file.seek(position - 1)
            position += len(file.readline()) - 1  # of the line that began before
        while position < piece.stop and (line := file.readline()):
            lines.append(line.removesuffix(b"\n"))
            position += len(line)
    samples, damaged = read_lines(piece.path.parent.parent, lines)
    note = {"key": piece.key, "file": piece.path.name, "start": piece.start}
    note |= {"lines": len(lines), "damaged": damaged}
    return number, (to_batch(samples).serialize().to_pybytes(), note)


def to_batch(samples: list[Sample]) -> "pa.RecordBatch":
    """Samples as columns, one row per image: the fields of an annotation.

    Texts are UTF-8, with half characters where the annotation has them. `weight` is nan where there
    is none; `training_weight` follows from the other fields.
    """
    import pyarrow as pa

    words = [word for sample in samples for word in sample.words]

    def texts(values: Iterable[str]) -> pa.Array:
        return pa.array([value.encode(errors="surrogatepass") for value in values], pa.binary())

    def lists(sizes: Iterable[int], values: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(np.cumsum([0, *sizes], dtype=np.int32), values)

    def points(arrays: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.float32), *(array.ravel() for array in arrays)])

    cells = {
        "text": texts(letter for word in words for letter in word.characters),
        "quad": pa.FixedSizeListArray.from_arrays(points(word.quads for word in words), 8),
    }
    columns = {
        "text": texts(word.text for word in words),
        "polygon": lists(
            (word.polygon.size for word in words), pa.array(points(word.polygon for word in words))
        ),
        "characters": lists(
            (len(word.characters) for word in words),
            pa.StructArray.from_arrays([*cells.values()], [*cells]),
        ),
        "ignore": pa.array([int(word.ignore) for word in words], pa.uint8()),
        "confidence": pa.array([word.confidence for word in words], pa.float64()),
        "weight": pa.array(
            [np.nan if word.weight is None else word.weight for word in words], pa.float64()
        ),
        "training_weight": pa.array([word.training_weight for word in words], pa.float64()),
    }
    return pa.RecordBatch.from_pydict(
        {
            "file": texts(sample.file for sample in samples),
            "width": pa.array([sample.width for sample in samples], pa.int32()),
            "height": pa.array([sample.height for sample in samples], pa.int32()),
            "extra": texts(json.dumps(sample.extra) for sample in samples),
            "words": lists(
                (len(sample.words) for sample in samples),
                pa.StructArray.from_arrays([*columns.values()], [*columns]),
            ),
        }
    )
