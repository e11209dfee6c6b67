"""The project's own annotations: annotations/*.jsonl beside images/, see data/triplets.py.

Whoever has other data writes this: one JSON object per line,
    {"file": "a.jpg", "size": [640, 480], "words": [{"text": "on", "polygon": [[x, y], ...],
     "characters": [{"text": "o", "quad": [[x, y], [x, y], [x, y], [x, y]]}, ...],
     "ignore": false}]}
where polygon and quad run clockwise from their top left corner as one reads, in px; characters and
ignore may be left out. Such a folder needs no heatmaps: convert_dataset.py draws them.
"""

from dataclasses import replace
from pathlib import Path

from textdet.data.annotation import UNREAD
from textdet.data.formats.common import Item, Items, along_line, find_one
from textdet.data.triplets import read_samples


def read_triplets(source: Path) -> Items:
    """Images with words, and with characters where whoever wrote them knew these."""
    find_one(source, "annotations/*.jsonl")
    samples, problems = read_samples(source)
    yield from problems
    for sample in samples:
        size, unread = (sample.width, sample.height), sample.extra.get(UNREAD, 0)
        words = [replace(word, quads=along_line(word.quads)) for word in sample.words]
        yield Item(sample.image_path, words, unread=unread, upright=True, size=size)
