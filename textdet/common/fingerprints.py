"""Fingerprints: short hashes that change with what they are made of."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint(parts: Iterable[str | bytes]) -> str:
    """Hash some texts and bytes.

    Params:
        parts: where one ends and the next begins does not count. Texts are hashed as UTF-8; names
            of files that are not UTF-8 are taken as well.

    Returns:
        the first 16 hexadecimal digits of the SHA-256 of all parts, one after the other.
    """
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode(errors="surrogatepass") if isinstance(part, str) else part)
    return total.hexdigest()[:16]


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes, read a piece at a time.

    Returns:
        32 bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def spread(key: str) -> float:
    """A number in 0..1 for a key: always the same one, and spread evenly over many keys."""
    return int(fingerprint([key]), 16) / 2**64
