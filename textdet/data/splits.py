"""Split samples into a training and a test side that stay what they are."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from textdet.common.errors import DataError
from textdet.data.annotation import Sample


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
