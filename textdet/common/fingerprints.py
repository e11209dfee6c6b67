"""Fingerprints: short hashes that change with what they are made of."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint(parts: Iterable[str | bytes]) -> str:
    """16 hexadecimal digits of the SHA-256 of all parts, one after the other.

    Texts count as UTF-8; the parts of file names that are not count as well.
    """
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode(errors="surrogatepass") if isinstance(part, str) else part)
    return total.hexdigest()[:16]


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes (32 bytes), read a piece at a time. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def spread(key: str) -> float:
    """0..1, evenly spread over the keys, and always the same for the same key."""
    return int(fingerprint([key]), 16) / 2**64
