"""Writing files that appear whole or not at all; reading JSON that may be damaged."""

import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from textdet.common.errors import DataError
from textdet.common.fingerprints import fingerprint

UNFINISHED = ".textdet-tmp"  # ending of files that a killed run leaves
MACOS = "._"  # begins the names of files that macOS puts beside others on foreign disks
MAX_NAME = 200  # bytes of a name that comes from a data set or a user


def write_atomically(path: Path, data: bytes | str | np.ndarray) -> None:
    """Write beside `path` and rename, so that the file appears whole or not at all.

    Params:
        data: a text is written as UTF-8, its line ends as they are.

    Raises:
        OSError: when the disk refuses.
    """
    if isinstance(data, str):
        data = data.encode(errors="backslashreplace")  # names of files that are not UTF-8
    try:
        _write_and_rename(path, data)
    except FileNotFoundError:
        # Another process that began in the folder just then took it for what a killed run left.
        _write_and_rename(path, data)


def _write_and_rename(path: Path, data: bytes | np.ndarray) -> None:
    beside = unfinished(path)
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def unfinished(path: Path) -> Path:
    """A path beside a file or folder to write it to until it is complete. Its number is random:
    processes in containers that share a disk may have the same process id."""
    number = int.from_bytes(os.urandom(4), "big")
    return path.with_name(f".{path.name}.{number}{UNFINISHED}")


def shortened(name: str) -> str:
    """A name that leaves room for endings, within the 255 bytes that file systems allow.

    Params:
        name: of a file, without its ending.

    Returns:
        the name itself up to MAX_NAME bytes; of a longer one its beginning and a fingerprint, by
        which names with one beginning differ.
    """
    if len(os.fsencode(name)) <= MAX_NAME:
        return name
    tail = f"_{fingerprint([name])}"
    while len(os.fsencode(name)) + len(tail) > MAX_NAME:
        name = name[:-1]
    return name + tail


def write_json(path: Path, record: dict) -> None:
    """Write a record as indented JSON, whole or not at all.

    Raises:
        OSError: when the disk refuses.
    """
    write_atomically(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict:
    """Read a record that write_json wrote, or whatever has come into its place.

    Returns:
        The record; its values may be anything that JSON can hold.

    Raises:
        DataError: the file is missing, cannot be read, or is not a JSON object.
    """
    try:
        record = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error})") from None
    if not isinstance(record, dict):
        raise DataError(f"{path}: damaged (no JSON object)")
    return record


def earlier_record(path: Path) -> dict:
    """A record as read_json reads it; an empty one where there is none, or a damaged one."""
    try:
        return read_json(path)
    except DataError:
        return {}


def parse_json(text: str | bytes) -> Any:
    """Decode JSON that may be damaged.

    Params:
        text: bytes are UTF-8, with or without a byte order mark.

    Raises:
        ValueError: whatever is wrong with it.
    """
    try:
        return json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
    except RecursionError:
        raise ValueError("brackets nested too deeply") from None


def glob_below(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """Path.rglob, but also behind links to other folders, as to those of a larger disk.

    Links to what lies in the folder anyhow, or to what holds it, are passed by: each file comes
    once, in circles of links as well.

    Params:
        pattern: of what is wanted, as rglob takes it.
    """
    places, seen = [folder], [Path(os.path.realpath(folder))]
    for place in places:
        yield from place.rglob(pattern)
        for parent, names, _ in os.walk(place):
            for path in filter(Path.is_symlink, (Path(parent, name) for name in sorted(names))):
                real = Path(os.path.realpath(path))
                if not any(real.is_relative_to(o) or o.is_relative_to(real) for o in seen):
                    places.append(path)
                    seen.append(real)


def keep_copy(path: Path) -> Path | None:
    """Copy a file to the first free one of NAME_1, NAME_2 and so on beside it.

    Returns:
        The copy; None where there is no file.
    """
    if not path.exists():
        return None
    names = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in count(1))
    free = next(name for name in names if not name.exists())
    write_atomically(free, path.read_bytes())
    return free


def make_folder(folder: Path) -> None:
    """Make a folder for results, before the work that gives them.

    Raises:
        DataError: it cannot be made, or not be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}") from None
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Raise DataError where a folder that is there cannot be written to."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"{folder} cannot be written: no permission")
