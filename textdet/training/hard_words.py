"""The words that a model did not find, by evaluate.py's tables: more crops are cut around these."""

import csv
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from textdet.common.errors import DataError
from textdet.common.files import read_json
from textdet.data.annotation import Sample
from textdet.decoding.word_fates import FATES, FATES_COLUMN


def read_hard_words(
    tables: Iterable[str | Path], samples: Sequence[Sample]
) -> list[tuple[int, int]]:
    """Look up the words that count and were not found.

    Params:
        tables: of evaluate.py, each with the .json beside it that names the folder. Of a table of
            several models the words that one of them did not find.
        samples: images of these folders, and maybe of others; others in the tables are left out.

    Returns:
        (number of the sample, number of the word among all of its words), in order.

    Raises:
        DataError: no such table, or none of these samples in it, or an image has other words than
            in it.
    """
    resolve = functools.cache(Path.resolve)  # looks at the disk
    places = {(resolve(sample.folder), sample.file): i for i, sample in enumerate(samples)}
    hard = set()
    for table in map(Path, tables):
        folder, rows = _read_table(table)
        known = [(places[folder, file], fates) for file, fates in rows if (folder, file) in places]
        if not known:
            raise DataError(f"{table}: judges {folder}, of which no image is trained on")
        for place, fates in known:
            sample = samples[place]
            counting = [number for number, word in enumerate(sample.words) if not word.ignore]
            if len(fates) != len(counting):
                raise DataError(
                    f"{table}: {sample.file} had {len(fates)} words when it was judged, and has "
                    f"{len(counting)} now"
                )
            fates_of = zip(counting, fates, strict=True)
            hard |= {(place, number) for number, fate in fates_of if fate != FATES[0]}
    return sorted(hard)


def _read_table(table: Path) -> tuple[Path, list[tuple[str, list[str]]]]:
    """The folder that a table judges, and of each row the image and what became of its words.
    Raises DataError."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [(row["file"], row[FATES_COLUMN].split()) for row in csv.DictReader(file)]
        folder = Path(read_json(table.with_suffix(".json"))["data"])
        if unknown := {fate for _, fates in rows for fate in fates} - set(FATES):
            raise ValueError(f"a word cannot be {min(unknown)!r}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise DataError(f"{table}: no table of evaluate.py with its .json ({error!r})") from None
    return folder.resolve(), rows
