"""The chunks of a folder of pseudo-labelled images: read, labelled by a model, written."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from textdet.common.bidi import side_by_side
from textdet.common.errors import DataError
from textdet.common.images import read_image
from textdet.data.annotation import PIECE_OF, Sample, Word, unread_words
from textdet.data.chunked_folder import Chunk, finish_chunk
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.pieces import cut_pieces, piece_file
from textdet.data.triplets import placed_file, read_sample_image, write_triplet
from textdet.network.detector import TextDetector
from textdet.network.pseudo_labels import label_images
from textdet.network.soft_labels import free_labels, soft_labels


@dataclass(frozen=True)
class Labelling:
    """How images are labelled.

    Params:
        labels: "cells" for characters cut from the map of each word, "maps" for the model's own
            maps of the whole image.
        is_annotated: whether the images come with words; else all words are the model's.
        ignored_weight: 0..1, see pseudo_labels.label_word.
        piece_size: px; larger images are written shrunk to it, and cut into squares of it.
        batch_size: words that the network sees at once.
        jpeg_quality: 1..100.
        threads: that read and write beside the network.
        subfolders: see triplets.placed_file.
    """

    labels: str
    is_annotated: bool
    ignored_weight: float
    piece_size: int
    batch_size: int
    jpeg_quality: int
    threads: int
    subfolders: bool = False


def label_chunks(
    chunks: Iterable[Chunk], open_teacher: Callable[[], TextDetector], options: Labelling
) -> Iterator[int]:
    """Label chunks; while the network runs on one, the next one is read.

    Params:
        chunks: those that are not there yet; their sources are samples.
        open_teacher: gives a detector that finds characters; called when there is a chunk.
        options: how.

    Returns:
        yields the number of images of each chunk, damaged ones included, as it is finished.
    """
    with ThreadPoolExecutor(options.threads) as pool:
        waiting = teacher = None
        for following in itertools.chain(chunks, [None]):
            reading = []
            if following:
                reading = [pool.submit(_read, s, options.is_annotated) for s in following.sources]
            if waiting:
                chunk, images = waiting
                teacher = teacher or open_teacher()
                found = [image.result() for image in images]
                _label_chunk(chunk, found, teacher, options, pool)
                yield chunk.images
            waiting = following, reading


def label_chunk(teacher: TextDetector, chunk: Chunk, options: Labelling) -> int:
    """Label one chunk, in a worker that keeps the model from call to call.

    Params:
        teacher: finds characters.
        chunk, options: as for label_chunks.

    Returns:
        Its number of images, damaged ones included.
    """
    return next(label_chunks([chunk], lambda: teacher, options))


def _read(sample: Sample, is_annotated: bool) -> np.ndarray | str:
    """A sample's image (H, W, 3) uint8 RGB, or a line that says why it is left out."""
    if unread := unread_words(sample):
        return unread
    try:
        return read_sample_image(sample) if is_annotated else read_image(sample.image_path)
    except DataError as error:
        return str(error)


def _label_chunk(
    chunk: Chunk,
    found: list[np.ndarray | str],
    teacher: TextDetector,
    options: Labelling,
    pool: ThreadPoolExecutor,
) -> None:
    """Label a chunk's images and write their pieces, then its annotation file.

    Params:
        found: of each sample its image, (H, W, 3) uint8 RGB, or a line that says why there is none.
        pool: threads that write.
    """
    problems = [entry for entry in found if isinstance(entry, str)]
    sound = [(s, e) for s, e in zip(chunk.sources, found, strict=True) if not isinstance(e, str)]
    places = [n for n, entry in enumerate(found, chunk.start) if not isinstance(entry, str)]
    entries, writing = [], []
    labelled = _labelled(sound, teacher, options)
    for place, (sample, image, maps, words) in zip(places, labelled, strict=True):
        extra = {**sample.extra, PIECE_OF: sample.origin}
        pieces = cut_pieces(image, words, options.piece_size)
        own_maps = [None] * len(pieces)
        if maps is not None:
            own_maps = [part for part, _ in cut_pieces(maps, [], options.piece_size)]
        for number, ((piece, inside), part) in enumerate(zip(pieces, own_maps, strict=True)):
            height, width = piece.shape[:2]
            file = placed_file(piece_file(sample, number), place, options.subfolders)
            entry = Sample(chunk.folder, file, width, height, inside, extra)
            entries.append(entry)
            writing.append(pool.submit(_write_piece, entry, piece, part, options.jpeg_quality))
    for piece in writing:
        piece.result()  # what a thread raised is raised here
    finish_chunk(chunk.path, [entry.to_json() for entry in entries], problems)


def _labelled(
    sound: list[tuple[Sample, np.ndarray]], teacher: TextDetector, options: Labelling
) -> Iterator[tuple[Sample, np.ndarray, np.ndarray | None, list[Word]]]:
    """Yields each sample, its image, its maps (H, W, 2) uint8, 0..255 for 0..1, or None where they
    are to be drawn from its words, and its words."""
    if options.labels == "cells":
        images, words = [image for _, image in sound], [sample.words for sample, _ in sound]
        found = label_images(images, words, teacher.run, options.batch_size, options.ignored_weight)
        for (sample, image), own in zip(sound, found, strict=True):
            yield sample, image, None, own
        return
    for sample, image in sound:
        if options.is_annotated:
            maps, own = soft_labels(image, sample.words, teacher, options.ignored_weight)
        else:
            maps, own = free_labels(image, teacher)
        yield sample, image, np.dstack(list(maps)), own


def _write_piece(
    sample: Sample, image: np.ndarray, maps: np.ndarray | None, jpeg_quality: int
) -> None:
    """Write a labelled image with its heatmaps; without maps they are drawn from its words."""
    if maps is None:
        quads = [side_by_side(word.text, word.quads) for word in sample.words]
        maps = draw_heatmaps(quads, sample.width, sample.height)
    else:
        maps = np.moveaxis(maps, 2, 0)
    write_triplet(sample, image, maps, jpeg_quality)
