"""Variables of MATLAB 5 files; cell arrays one cell after the other, so that a large one need not
fit memory.

The format is described in "MAT-File Format" (The MathWorks). scipy.io.loadmat is three times faster
but holds a whole variable: on a drawn gt.mat of 100,000 images, 8 words and 37 letters each, it
took 514 MB and 1.7 s where this takes 1 MB and 6 s, so 4.4 GB for SynthText's 858,750 images. It
also ends the process on some damaged files; here each length is checked before it is relied on.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

HEADER = 128  # bytes before the first element
READ_SIZE = 1 << 16  # bytes read or inflated at once
MATRIX, COMPRESSED = 14, 15  # element types
CELL, STRUCT, CHAR = 1, 2, 4  # array classes
MAX_ELEMENT = 1 << 26  # bytes of one element, far more than the words of an image take
MAX_DEPTH = 8  # of cells in cells
DAMAGE = (ValueError, IndexError, TypeError, OverflowError, struct.error)
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
TEXTS = {1: "utf-8", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}


class MatError(ValueError):
    """The file is not one of MATLAB 5, is cut short, or holds what is not expected there."""


# An array as it is read: numbers in their shape; the rows of a character array; cells in their
# shape, each an array; structures one after the other, a dict of arrays each.
Array = np.ndarray | list[str] | list[dict]


def iterate_cells(path: Path, name: str) -> Iterator[Array]:
    """The cells of a cell array, in MATLAB's (column-major) order.

    Params:
        path: a .mat file of version 5, compressed or not.
        name: the variable.

    Returns:
        For a numeric cell an array of its own shape; for a character cell its rows, a string each.

    Raises:
        MatError: for another kind of file or variable, or one that is damaged.
        OSError: when the file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            stream, array_class, shape = _find(file, [name])
            if array_class != CELL:
                raise MatError(f"{name!r} is no cell array")
            for _ in range(math.prod(shape)):
                yield stream.array()
        except DAMAGE as error:
            raise MatError(f"{path}: {error}") from None


def read_variable(path: Path, *names: str) -> Array:
    """Read the first variable that has one of some names.

    Params:
        path: a .mat file of version 5, compressed or not.
        names: any of them.

    Raises:
        MatError: for another kind of file, or one that is damaged.
        OSError: when the file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            stream, array_class, shape = _find(file, names)
            return stream.contents(array_class, shape)
        except DAMAGE as error:
            raise MatError(f"{path}: {error}") from None


def _find(file: BinaryIO, names: Sequence[str]) -> tuple["_Stream", int, tuple[int, ...]]:
    """A stream that goes on behind the header of a variable, and its class and shape."""
    order = _byte_order(file.read(HEADER))
    while True:
        tag = file.read(8)
        if len(tag) < 8:
            raise MatError(f"no variable {' or '.join(map(repr, names))} in it")
        kind, length = struct.unpack(order + "II", tag)
        after = file.tell() + length
        stream = _Stream(file, length, order, kind == COMPRESSED)
        if kind == COMPRESSED:
            kind, _ = stream.tag()[:2]
        if kind == MATRIX:
            array_class, shape, found = stream.array_header()
            if found in names:
                return stream, array_class, shape
        file.seek(after)


def _byte_order(header: bytes) -> str:
    mark = header[126:128]
    if mark not in (b"IM", b"MI"):
        raise MatError("not a MATLAB 5 file; save it with -v7 (HDF5, -v7.3, is not read)")
    return "<" if mark == b"IM" else ">"


class _Stream:
    """Reads elements from a part of a file, inflating it on the way where it is compressed."""

    def __init__(self, file: BinaryIO, length: int, order: str, compressed: bool):
        self.file, self.left, self.order = file, length, order
        self.inflate = zlib.decompressobj() if compressed else None
        self.buffer = b""

    def read(self, count: int) -> bytes:
        """The next `count` bytes, inflated."""
        parts, have = [self.buffer], len(self.buffer)
        while have < count:
            piece = self._piece()
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self.buffer = data[count:]
        return data[:count]

    def _piece(self) -> bytes:
        pending = self.inflate.unconsumed_tail if self.inflate else b""
        if not pending:
            pending = self.file.read(min(READ_SIZE, self.left))
            self.left -= len(pending)
            if not pending:
                raise MatError("the file is cut short")
        try:
            return self.inflate.decompress(pending, READ_SIZE) if self.inflate else pending
        except zlib.error as error:
            raise MatError(f"damaged ({error})") from None

    def tag(self) -> tuple[int, int, bytes | None]:
        """Type and length of the next element, and its data when they fit into the tag."""
        first, second = self.read(4), self.read(4)
        kind = struct.unpack(self.order + "I", first)[0]
        if kind >> 16:
            return kind & 0xFFFF, kind >> 16, second[: kind >> 16]
        return kind, struct.unpack(self.order + "I", second)[0], None

    def element(self) -> tuple[int, bytes]:
        """Type and data of the next element, padded to eight bytes in the file."""
        kind, length, data = self.tag()
        if data is None:
            if length > MAX_ELEMENT:
                raise MatError(f"an element of {length} bytes is not read")
            data = self.read(length)
            self.read(-length % 8)
        return kind, data

    def array_header(self) -> tuple[int, tuple[int, ...], str]:
        """Class, shape and name of the array whose tag was just read."""
        flags = np.frombuffer(self.element()[1], self.order + "u4")
        shape = tuple(np.frombuffer(self.element()[1], self.order + "i4").tolist())
        if min(shape) < 0:
            raise MatError(f"an array of shape {shape}")
        return int(flags[0]) & 0xFF, shape, self.element()[1].decode()

    def array(self, depth: int = 0) -> Array:
        """The next array; `depth` is how many cells it is in."""
        kind, length, _ = self.tag()
        if kind != MATRIX:
            raise MatError(f"an array was expected, not an element of type {kind}")
        if not length:
            return np.zeros((0, 0))
        array_class, shape, _ = self.array_header()
        return self.contents(array_class, shape, depth)

    def contents(self, array_class: int, shape: tuple[int, ...], depth: int = 0) -> Array:
        """What follows on an array's header."""
        if depth > MAX_DEPTH:
            raise MatError("cells nested too deeply")
        if array_class == CELL:
            cells = [self.array(depth + 1) for _ in range(math.prod(shape))]
            array = np.empty(len(cells), object)
            for number, cell in enumerate(cells):
                array[number] = cell
            return array.reshape(shape, order="F")
        if array_class == STRUCT:
            length = int(np.frombuffer(self.element()[1], self.order + "i4")[0])
            joined = self.element()[1]
            fields = [
                joined[start : start + length].rstrip(b"\0").decode()
                for start in range(0, len(joined), length)
            ]
            count = math.prod(shape) if fields else 0
            return [{name: self.array(depth + 1) for name in fields} for _ in range(count)]
        kind, data = self.element()
        if array_class == CHAR:
            return self._rows(kind, data, shape)
        if kind not in NUMBERS:
            raise MatError(f"an array of class {array_class} in a cell is not read")
        values = np.frombuffer(data, self.order + NUMBERS[kind])
        return values.reshape(shape, order="F")

    def _rows(self, kind: int, data: bytes, shape: tuple[int, ...]) -> list[str]:
        """The rows of a character array, which is stored column by column."""
        if kind not in TEXTS:
            raise MatError(f"characters of type {kind} are not read")
        encoding = TEXTS[kind]
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if self.order == "<" else "-be"
        text = data.decode(encoding, errors="replace")
        if shape[0] > len(text):
            return []
        return ["".join(text[row :: shape[0]]) for row in range(shape[0])]
