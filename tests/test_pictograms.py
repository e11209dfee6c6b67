"""Pictograms: no writing among them, and a block's words stay where they were beside one."""

import unicodedata

import numpy as np
import pytest

from static import constants as C
from textdet.synth.fonts import load_fonts
from textdet.synth.pictograms import SIDES, WRITING, add_pictogram, draw_pictogram, load_pictograms
from textdet.synth.settings import GeneratorSettings
from textdet.synth.typeset import TextStyle, typeset

DEFAULTS = GeneratorSettings()


def test_no_pictogram_holds_writing():
    font, glyphs = load_pictograms()
    names = {index: name for name, index in font.named_glyphs().items()}
    chosen = {names[index] for index in glyphs}
    assert {"bicycle", "wheelchair", "arrow-left", "face-smile", "person-walking"} <= chosen
    assert not chosen & {"a", "7", "square-parking", "circle-h", "euro-sign", "file-pdf", "info"}
    font.set_size(20)
    letters = [
        chr(code) for code in range(0x21, 0x2100) if unicodedata.category(chr(code))[0] in "LN"
    ]
    drawn = {font.shape(letter)[0].index for letter in [*letters, *"$€£¥?!%&@#"]} - {0}
    assert len(drawn) > 40 and not drawn & set(glyphs)
    assert len(glyphs) > 900 and WRITING.search("circle-h") and not WRITING.search("horse-head")


def test_pictograms_are_about_as_large_as_asked_for():
    for seed in range(40):
        coverage = draw_pictogram(np.random.default_rng(seed), 64)
        assert 5 < max(coverage.shape) < 110 and coverage.max() == 255


@pytest.mark.parametrize("side", sorted(set(SIDES)))
def test_a_pictogram_beside_a_block_leaves_its_words_alone(side, monkeypatch):
    monkeypatch.setattr("textdet.synth.pictograms.SIDES", (side,))
    font = next(f for f in load_fonts(C.FONTS)[0] if f.name == "DejaVuSans-Bold")
    layer = typeset(DEFAULTS, [["Lift", "to"], ["level", "4"]], font, TextStyle(40))
    for seed in range(10):
        more = add_pictogram(np.random.default_rng(seed), DEFAULTS, layer, 40)
        offset = more.words[0].polygon[0] - layer.words[0].polygon[0]
        x, y = offset.astype(int)
        assert (offset == (x, y)).all() and more.baseline == layer.baseline + y
        height, width = layer.alpha.shape
        text = np.s_[y : y + height, x : x + width]
        assert (more.alpha[text] == layer.alpha).all()
        for before, after in zip(layer.words, more.words, strict=True):
            np.testing.assert_array_equal(after.quads, before.quads + offset)
            np.testing.assert_array_equal(after.polygon, before.polygon + offset)
            assert after.text == before.text and after.characters == before.characters
        rest = more.alpha.copy()
        rest[text] = 0
        rows, columns = rest.any(1).nonzero()[0], rest.any(0).nonzero()[0]
        gap = {
            "left": x - columns.max(),
            "right": columns.min() - x - width,
            "above": y - rows.max(),
            "below": rows.min() - y - height,
        }[side]
        assert DEFAULTS.PICTOGRAM_GAP[0] * 40 - 1 <= gap <= DEFAULTS.PICTOGRAM_GAP[1] * 40 + 2
        frame = more.alpha.shape[::-1]
        np.testing.assert_array_equal(
            more.frame, np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * frame
        )
