"""Split samples into a training and a validation side that stay what they are."""

from collections.abc import Sequence
from pathlib import Path

from textdet.common.errors import DataError
from textdet.common.fingerprints import spread
from textdet.data.annotation import Sample


def split_samples(
    samples: list[Sample], test_size: float, unseen: Sequence[str] = ()
) -> tuple[list[Sample], list[Sample]]:
    """Split into training and validation, by a hash of each image's origin.

    An image stays on its side when others are added or removed; pieces of one image stay together.

    Params:
        samples: in any order; that of each side is theirs.
        test_size: 0..1, the share of the validation side; both sides get at least one image.
        unseen: fields of the annotations, "fonts" and "background", of whose values the share of
            `test_size` is held out for the validation side. Images with these alone are validated
            on, images with none of them trained on, and those with both fall away. An image that
            names none goes by its own name.

    Returns:
        The samples to train on and those to validate on.

    Raises:
        DataError: for a share outside 0..1, for fewer than two images, for a field with fewer than
            two values, and when a side stays empty.
    """
    if not 0 < test_size < 1:
        raise DataError(f"--test_size must lie between 0 and 1, not {test_size}")
    if len({sample.origin for sample in samples}) < 2:
        raise DataError("at least two images are needed, one to train on and one to test")
    if unseen:
        return _split_values(samples, test_size, unseen)
    places = [_place(sample.origin) for sample in samples]
    order = sorted(set(places))
    number = min(max(sum(place < test_size for place in order), 1), len(order) - 1)
    train, validation = [], []
    for sample, place in zip(samples, places, strict=True):
        (validation if place < order[number] else train).append(sample)
    return train, validation


def _split_values(
    samples: list[Sample], test_size: float, unseen: Sequence[str]
) -> tuple[list[Sample], list[Sample]]:
    """split_samples by the values of the fields `unseen`."""
    held_out = set()
    for name in unseen:
        values = sorted({v for s in samples for v in _values(s, name)})
        values.sort(key=_place)
        if len(values) < 2:
            raise DataError(f"--unseen {name}: the annotations name {len(values)}, two are needed")
        held_out |= set(values[: min(max(1, round(test_size * len(values))), len(values) - 1)])
    train, validation = [], []
    for sample in samples:
        sides = {v in held_out for name in unseen for v in _values(sample, name)}
        if not sides:
            sides = {_place(sample.origin) < test_size}
        if len(sides) == 1:
            (validation if sides.pop() else train).append(sample)
    if not train or not validation:
        raise DataError(
            f"--unseen {' '.join(unseen)}: no image has only what the "
            f"{'test' if train else 'train'} split may have; change --test_size"
        )
    return train, validation


def _place(key: object) -> float:
    """0..1, where a key lies; those in the first part, of the share asked for, are held out."""
    return spread(f"0/{key}")  # with another prefix a folder would be split otherwise than before


def _values(sample: Sample, name: str) -> list[tuple[str, str]]:
    """What an annotation names in a field, with the field's name.

    Backgrounds count when they are files: "flat" and "paper" are kinds that many images share.
    """
    value = sample.extra.get(name)
    values = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str)]
    return [(name, v) for v in values if name != "background" or Path(v).suffix]
