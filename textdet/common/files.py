"""Writing files that appear whole or not at all."""

import json
import os
from pathlib import Path

import numpy as np


def write_atomically(path: Path, data: bytes | str | np.ndarray) -> None:
    """Write beside `path` and rename, so that the file appears whole or not at all.

    Params:
        data: a text is written as UTF-8, its line ends as they are.

    Raises:
        OSError: when the disk refuses.
    """
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
    """Write a record as indented JSON, whole or not at all.

    Raises:
        OSError: when the disk refuses.
    """
    write_atomically(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
