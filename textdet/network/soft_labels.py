"""A model's own maps of a whole image as labels, corrected by the words that people drew.

A teacher's maps say more than characters cut from them: where affinity falls at a space, and what
illegible words look like. People's words correct it: there is no text outside them, no affinity
from one to the next, and where the teacher sees too few characters they are drawn.
"""

import cv2
import numpy as np

from textdet.common.bidi import side_by_side
from textdet.common.geometry import fill_polygon
from textdet.data.annotation import Word
from textdet.data.heatmaps import draw_heatmaps
from textdet.network.detector import TextDetector
from textdet.network.pseudo_labels import crop_word, label_word, unlabelled

# Of the affinities of CRAFT's network, which fall off sooner than the project's own. On 577
# generated words, where the truth is known, it brings their mean from .11 to .18 (the truth: .19)
# and the root mean square difference from .178 to .147; no exponent betters its character map.
CRAFT_AFFINITY_EXPONENT = 0.6


def soft_labels(
    image: np.ndarray, words: list[Word], detector: TextDetector, ignored_weight: float = 0.0
) -> tuple[np.ndarray, list[Word]]:
    """The maps and words of an image whose words are annotated.

    Params:
        image: (H, W, 3) uint8 RGB.
        words: all of the image's.
        detector: the teacher; sees the image at the size that its settings say.
        ignored_weight: 0..1, see pseudo_labels.label_word.

    Returns:
        As correct_maps.

    Raises:
        DataError: the memory is too small.
    """
    maps = detector.predict([image])[0]
    return correct_maps(_at_size(maps, image, detector), words, ignored_weight)


def free_labels(image: np.ndarray, detector: TextDetector) -> tuple[np.ndarray, list[Word]]:
    """The maps and words of an image that nobody annotated: the teacher's, as they are.

    Params:
        image: (H, W, 3) uint8 RGB.
        detector: the teacher, with characters=True.

    Returns:
        maps: (2, H, W) uint8, 0..255 for 0..1, character then affinity.
        words: those it found, without transcriptions; their scores are their confidence, and they
            count in full.

    Raises:
        DataError: the memory is too small.
    """
    result = detector(image)
    words = [
        Word("", [""] * len(w.characters), w.characters, w.outline, False, w.score, 1.0)
        for w in result.words
    ]
    return _at_size(result.maps, image, detector), words


def _at_size(maps: np.ndarray, image: np.ndarray, detector: TextDetector) -> np.ndarray:
    """A detector's maps (2, h, w) of an image, at its size and in the project's geometry, uint8."""
    height, width = image.shape[:2]
    if maps.dtype == np.uint8:
        maps = maps.astype(np.float32) / 255
    maps = np.stack([cv2.resize(values, (width, height)) for values in maps])
    if detector.files.is_craft:
        maps[1] **= CRAFT_AFFINITY_EXPONENT
    return np.rint(255 * maps).astype(np.uint8)


def correct_maps(
    maps: np.ndarray, words: list[Word], ignored_weight: float = 0.0
) -> tuple[np.ndarray, list[Word]]:
    """Correct a teacher's maps by the words that people drew.

    Character values are kept within the words and the Gaussians of their characters; affinities
    between two characters of one word. Words that show another number of characters than they have
    letters are drawn again, with the cells that pseudo_labels.label_word gives them.

    Params:
        maps: (2, H, W) uint8, 0..255 for 0..1, character then affinity.
        words: all of the image's.
        ignored_weight: 0..1, see pseudo_labels.label_word.

    Returns:
        maps: corrected, likewise.
        words: labelled as by pseudo_labels.label_images, from these maps.
    """
    height, width = maps.shape[1:]
    labelled = [label_in_map(maps[0], word, ignored_weight) for word in words]
    seen, blind = [], []
    for word in labelled:
        if len(word.quads):
            is_blind = word.text and not word.ignore and word.confidence < 1
            (blind if is_blind else seen).append(word)
    seen_maps, blind_maps = (
        draw_heatmaps([side_by_side(w.text, w.quads) for w in own], width, height)
        for own in (seen, blind)
    )
    in_seen, in_blind = (_inside(own, width, height) for own in (seen, blind))
    keep = np.stack([in_seen | (seen_maps[0] > 0), seen_maps[1] > 0]) & ~in_blind
    return np.maximum(np.where(keep, maps, 0), blind_maps), labelled


def label_in_map(textmap: np.ndarray, word: Word, ignored_weight: float = 0.0) -> Word:
    """A word labelled from a map of the whole image, see pseudo_labels.label_word.

    Params:
        textmap: (H, W) uint8, 0..255 for 0..1, the image's character map.
        word: in px of it.
        ignored_weight: 0..1, of don't-care words.

    Returns:
        A new word with its characters; don't-care where it has no extent.
    """
    crop = None
    if ignored_weight or not word.ignore:
        crop = crop_word(textmap, word.polygon)
    if crop is None:
        return unlabelled(word)
    return label_word(word, crop, crop.pixels, ignored_weight)


def _inside(words: list[Word], width: int, height: int) -> np.ndarray:
    """(height, width) bool, whether each pixel lies in the polygon of a word."""
    mask = np.zeros((height, width), np.uint8)
    for word in words:
        fill_polygon(mask, word.polygon, 1)
    return mask > 0
