"""The recipe of one synthetic image, from its index to its triplet."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_utils import DataError, Sample, Word
from heatmap_utils import draw_heatmaps
from static import constants as C
from synth.augment import BACKGROUND, CAMERA, augment
from synth.backgrounds import draw_background, draw_paper
from synth.blocks import clip_words, draw_block, map_words, place_block
from synth.content import Vocabulary, choose, load_vocabularies
from synth.fonts import Font
from synth.pages import draw_page
from synth.placement import Placement
from synth.warps import draw_roll, map_pixels, plane_homography, translation

SAMPLE_WORDS = 40  # of a vocabulary, to see whether a font speaks its language


@dataclass
class Resources:
    """What every image of a run draws from. speakers: a vocabulary's language to its fonts."""

    backgrounds: list[Path]
    vocabularies: list[Vocabulary]
    speakers: dict[str, list[Font]]


@functools.lru_cache(maxsize=1)
def open_resources(
    backgrounds: tuple[Path, ...], fonts: tuple[Path, ...], words: Path
) -> Resources:
    """Open the files of a job, once a process."""
    vocabularies = load_vocabularies(words)
    speakers = find_speakers(vocabularies, [Font(path) for path in fonts])
    return Resources(list(backgrounds), vocabularies, speakers)


def find_speakers(vocabularies: list[Vocabulary], fonts: list[Font]) -> dict[str, list[Font]]:
    """Match fonts to languages: a font speaks one when it has ink for nearly all of its words."""
    speakers = {}
    for vocabulary in vocabularies:
        step = max(1, len(vocabulary.words) // SAMPLE_WORDS)
        words = vocabulary.words[::step] + vocabulary.common
        speakers[vocabulary.language] = [
            font for font in fonts if np.mean([font.supports(word) for word in words]) > 0.9
        ]
    if not any(speakers.values()):
        best = max(fonts, key=lambda font: np.mean([font.supports(word) for word in words]))
        reason = next(filter(None, map(best.lacks, words)), "lacks some letters")
        raise DataError(f"no font can draw the words; the nearest, {best.path.name}, {reason}")
    return speakers


def generate_triplet(
    resources: Resources, folder: Path, seed: int, index: int, size: int
) -> tuple[Sample, np.ndarray, np.ndarray]:
    """Make image number `index`; it depends on the arguments alone.

    size: px, side of the square image. Returns the sample (not yet written), the image
    (size, size, 3) uint8 RGB and both heatmaps (2, size, size) uint8.
    """
    rng = np.random.default_rng([seed, index])
    if rng.random() < C.PAGE_PROBABILITY:
        image, words, extra = draw_page_scene(rng, resources, size)
    else:
        image, words, extra = draw_photo_scene(rng, resources, size)
    image = augment(CAMERA, rng, image)
    maps = draw_heatmaps([word.quads for word in words], size, size)
    return Sample(folder, f"{index:08d}.jpg", size, size, words, extra), image, maps


def draw_photo_scene(
    rng: np.random.Generator, resources: Resources, size: int
) -> tuple[np.ndarray, list[Word], dict]:
    """Blocks of text on a background: the image, its words, and what the annotation notes."""
    image, name = draw_background(rng, resources.backgrounds, size)
    image = augment(BACKGROUND, rng, image)
    words, fonts, dropped = [], [], 0
    if rng.random() >= C.EMPTY_PROBABILITY:
        placement = Placement(image)
        focal = rng.uniform(*C.FOCAL_LENGTH) * size
        tilted = rng.random() < C.TILT_PROBABILITY
        yaw, pitch = np.deg2rad(rng.uniform(*C.TILT, 2)) * (1, 0.5) * tilted
        for _ in range(rng.integers(C.BLOCKS[0], C.BLOCKS[1] + 1)):
            vocabulary, font = _draw_font(rng, resources)
            layer, em = draw_block(rng, vocabulary, font)
            if layer is None:
                dropped += 1
                continue
            warp = plane_homography(draw_roll(rng), yaw, pitch, focal)
            drawn = place_block(rng, image, placement, layer, em, warp)
            dropped += not drawn
            words += drawn
            fonts += [font.name] if drawn else []
    extra = {"kind": "scene", "background": name, "fonts": fonts, "dropped_blocks": dropped}
    return image, words, extra


def draw_page_scene(
    rng: np.random.Generator, resources: Resources, size: int
) -> tuple[np.ndarray, list[Word], dict]:
    """A sheet of paper, slightly turned: the image, its words, and what the annotation notes."""
    vocabulary, font = _draw_font(rng, resources)
    speakers = resources.speakers[vocabulary.language]
    fonts = [font, speakers[rng.integers(len(speakers))]]
    page = draw_page(rng, size, fonts, vocabulary)
    image = draw_paper(rng, size)
    focal = rng.uniform(*C.FOCAL_LENGTH) * size
    roll = np.deg2rad(rng.uniform(*C.PAGE_ROTATION))
    yaw, pitch = np.deg2rad(rng.uniform(*C.PAGE_TILT, 2)) * (rng.random() < 0.5)
    warp = (
        translation(size / 2, size / 2)
        @ plane_homography(roll, yaw, pitch, focal)
        @ translation(-size / 2, -size / 2)
    )
    for alpha, dark in ((page.rules, rng.uniform(0, 150)), (page.text, rng.uniform(0, 90))):
        ink = rng.normal(0, 8, 3) + dark
        weight = map_pixels(warp, alpha, size, size)[..., None] / np.float32(255)
        image = (image + (ink.clip(0, 255) - image) * weight).astype(np.uint8)
    if rng.random() < C.INVERT_PAGE_PROBABILITY:
        image = 255 - image
    words = clip_words(map_words(warp, page.words), size)
    extra = {"kind": "page", "background": "paper", "fonts": sorted({f.name for f in fonts})}
    return image, words, extra | {"dropped_blocks": 0}


def _draw_font(rng: np.random.Generator, resources: Resources) -> tuple[Vocabulary, Font]:
    shares = {
        v.language: C.LANGUAGE_SHARES.get(v.language, 1.0)
        for v in resources.vocabularies
        if resources.speakers[v.language]
    }
    language = choose(rng, shares)
    fonts = resources.speakers[language]
    vocabulary = next(v for v in resources.vocabularies if v.language == language)
    return vocabulary, fonts[rng.integers(len(fonts))]
