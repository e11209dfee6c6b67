"""Triplets that are easy to learn: a few large words on plain paper, with exact cells."""

import json

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from static import constants as C
from textdet.data.annotation import ANNOTATIONS, Sample, Word
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.triplets import make_folders, write_triplet

SIDE = 128  # px
WORDS = ("Text", "WORD", "signs", "Read", "LEARN", "by", "Image", "heart", "to", "page", "8", "on")


def draw_word(draw, text, left, top, font):
    """Draw a word and describe it: cells as wide as the advances, as high as the ink."""
    colour = (20, 20, 20)
    draw.text((left, top), text, fill=colour, font=font)
    upper, lower = font.getbbox(text)[1::2]
    edges = left + np.array([font.getlength(text[:i]) for i in range(len(text) + 1)])
    quads = np.array(
        [
            [(a, top + upper), (b, top + upper), (b, top + lower), (a, top + lower)]
            for a, b in zip(edges, edges[1:], strict=False)
        ],
        np.float32,
    )
    polygon = np.array([quads[0, 0], quads[-1, 1], quads[-1, 2], quads[0, 3]])
    return Word(text, list(text), quads, polygon)


def write_images(folder, count):
    """Lines of large words on plain paper, as triplets."""
    rng = np.random.default_rng(0)
    make_folders(folder)
    path = C.FONTS / "open-sans/OpenSans-CondBold.ttf"
    samples = []
    for number in range(count):
        image = Image.new("RGB", (SIDE, SIDE), tuple(int(v) for v in rng.integers(190, 256, 3)))
        draw, words, top = ImageDraw.Draw(image), [], int(rng.integers(0, 8))
        while top < SIDE - 36:
            font = ImageFont.truetype(path, int(rng.integers(20, 30)))
            left = int(rng.integers(2, 16))
            while left + font.getlength(text := str(rng.choice(WORDS))) < SIDE:
                words.append(draw_word(draw, text, left, top, font))
                left = words[-1].polygon[1, 0] + font.size // 2
            top += 36
        sample = Sample(folder, f"{number}.jpg", SIDE, SIDE, words)
        maps = draw_heatmaps([word.quads for word in words], SIDE, SIDE)
        write_triplet(sample, np.asarray(image), maps, jpeg_quality=95)
        samples.append(sample)
    lines = [json.dumps(sample.to_json()) for sample in samples]
    (folder / ANNOTATIONS / "00000.jsonl").write_text("\n".join(lines) + "\n")
    return samples
