"""Pages: labels against the ink, what is not text, effects on and off."""

import string
from dataclasses import replace

import cv2
import numpy as np
import pytest
from fontTools import subset
from fontTools.ttLib import TTFont

from generate_utils import open_resources
from static import constants as C
from textdet.synth import pages, scanner
from textdet.synth.backgrounds import list_backgrounds
from textdet.synth.fonts import Font, load_fonts
from textdet.synth.scene import draw_page_scene
from textdet.synth.settings import GeneratorSettings
from textdet.synth.typeset import TextStyle, typeset
from textdet.synth.writer import Writer

DEFAULTS = GeneratorSettings()

FONTS = tuple(font.path for font in load_fonts(C.FONTS)[0])
SCANNER = ("BLEED", "FOLD", "BINARY", "FAX", "SPECKLE", "EDGE", "STREAK", "INVERT_PAGE", "DESK")
STROKES = ("STAMP", "NUMBERING", "SCRIBBLE", "PUNCH")
EVERY_KIND = sorted(DEFAULTS.PAGE_KIND_SHARES)


@pytest.fixture(scope="module")
def resources():
    return open_resources(
        tuple(list_backgrounds(C.BACKGROUNDS)[:3]), FONTS, C.WORDS, DEFAULTS.languages()
    )


def force(settings, names, probability):
    return settings.changed(**{f"{name}_PROBABILITY": probability for name in names})


def of_kind(kind, settings):
    shares = dict.fromkeys(settings.PAGE_KIND_SHARES, 0) | {kind: 1}
    return settings.changed(PAGE_KIND_SHARES=shares)


# Every effect of the scanner off, and every stroke on.
PLAIN = force(force(DEFAULTS, SCANNER, 0), (*STROKES, "PAGE_RULE"), 1)


def lay_out(resources, settings, seed, size=384):
    """A page in a font that stays within its advances."""
    fonts = [font for font in resources.fonts["english"] if font.name == "NotoSans-Regular"]
    rng = np.random.default_rng(seed)
    return pages.draw_page(rng, settings, size, fonts, resources.vocabularies[0])


def cells(words, size, grow=0):
    mask = np.zeros((size, size), np.uint8)
    for word in words:
        cv2.fillPoly(mask, [np.round(word.polygon).astype(np.int32)], 255)
    return cv2.dilate(mask, np.ones((2 * grow + 1,) * 2, np.uint8)) > 0


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_ink_and_labels_are_the_same_place(kind, resources):
    """All letters lie in the words' cells, each word has ink, strokes stay out of the cells."""
    settings = force(of_kind(kind, PLAIN), ["SCRIBBLE"], 1)
    words, stamped = 0, 0
    for seed in range(6):
        page = lay_out(resources, settings, seed)
        words += len(page.words)
        inside = cells(page.words, 384, grow=1)
        assert page.text[~inside].sum(dtype=float) <= 0.002 * page.text.sum(dtype=float)
        for word in page.words:
            (left, top), (right, bottom) = np.round((word.polygon.min(0), word.polygon.max(0)))
            own = (slice(int(top), int(bottom)), slice(int(left), int(right)))
            assert max(page.text[own].max(), page.stamps[own].max()) > 100, word.text
            stamped += page.stamps[own].max() > 100
        crossed = (page.rules > 60) & cells(page.words, 384)
        assert crossed.sum() <= 0.06 * cells(page.words, 384).sum()  # rules through descenders
    assert words > 30


def test_strokes_by_hand_keep_away_from_words(resources):
    settings = force(of_kind("mixed", PLAIN), ("PAGE_RULE", "UNDERLINE"), 0)
    drawn = 0
    for seed in range(25):
        page = lay_out(resources, settings, seed)
        marks = (page.rules > 100) & (page.text == 0)
        drawn += marks.any()
        assert not (marks & cells(page.words, 384)).sum() > 0.01 * cells(page.words, 384).sum()
    assert drawn > 10


def test_words_in_stamps_are_labelled(resources):
    letters = force(of_kind("letter", PLAIN), ["STAMP"], 1).changed(PAGE_FONT_SIZE=(11, 12))
    counts = {}
    for probability in (0, 1):
        settings = force(letters, ["STAMP_TEXT"], probability)
        found = 0
        for seed in range(40):
            page = lay_out(resources, settings, seed)
            for word in page.words:
                x, y = word.polygon.mean(0).astype(int)
                found += page.stamps[y - 4 : y + 5, x - 4 : x + 5].any()
        counts[probability] = found
    assert counts[0] == 0 and counts[1] > 2


@pytest.mark.parametrize("name", STROKES)
def test_a_stroke_can_be_turned_off(name, resources):
    on = [lay_out(resources, force(PLAIN, [name], 1), seed) for seed in range(20)]
    off = [lay_out(resources, force(PLAIN, [name], 0), seed) for seed in range(20)]
    layers = {"STAMP": "stamps", "NUMBERING": "text", "SCRIBBLE": "rules", "PUNCH": "rules"}[name]
    before, after = (sum(int(getattr(p, layers).sum()) for p in group) for group in (on, off))
    assert after < before
    if name == "STAMP":
        assert after == 0


def test_a_black_and_white_scan_keeps_every_word(resources):
    settings = force(PLAIN, ("BINARY", "BLEED", "FOLD"), 1).changed(
        RECEIPT_WIDTH=(1, 1),
        BINARY_THRESHOLD=(0.05, 0.1),  # as if fine strokes were to go
    )
    receipts = 0
    for index in range(8):
        rng = np.random.default_rng([3, index])
        scene = draw_page_scene(rng, settings, resources, 384)
        image, words = scene.image, scene.words
        if not ((image == 0) | (image == 255)).all():
            receipts += 1  # on a desk
            continue
        black = image[..., 0] == 0
        for word in words:
            (left, top), (right, bottom) = word.polygon.min(0), word.polygon.max(0)
            own = black[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
            assert 0.02 < own.mean() < 0.8, word.text
    assert receipts < 4, receipts


def test_labels_turn_with_the_sheet(resources):
    fonts = {
        language: [font for font in fonts if font.name == "NotoSans-Regular"]
        for language, fonts in resources.fonts.items()
    }
    settings = force(PLAIN, STROKES, 0).changed(PAGE_ROTATION=(6, 8), PAGE_TILT=(10, 14))
    words = 0
    for index in range(5):
        rng = np.random.default_rng([5, index])
        scene = draw_page_scene(rng, settings, replace(resources, fonts=fonts), 384)
        inside = cells(scene.words, 384, grow=2)
        assert scene.ink[inside].sum(dtype=float) > 0.98 * scene.ink.sum(dtype=float)
        words += len(scene.words)
    assert words > 40


def test_no_part_of_a_sheet_is_behind_the_camera(resources):
    """There its letters were drawn mirrored, and cells that cross the horizon were anywhere."""
    near = dict(FOCAL_LENGTH=(0.1, 0.2), PAGE_TILT=(40, 60), DESK_PROBABILITY=1)
    quads = []
    for index in range(4):
        scene = draw_page_scene(
            np.random.default_rng([9, index]), PLAIN.changed(**near), resources, 256
        )
        quads += [quad for word in scene.words for quad in word.quads]
    assert len(quads) > 40
    assert all(cv2.contourArea(quad, oriented=True) > 0 for quad in quads)
    assert all(cv2.isContourConvex(quad) for quad in quads)


def contrast(scene, right=0, down=0):
    """Grey levels between ink and paper, if the ink were so many px further on."""
    ink = np.roll(scene.ink > 128, (down, right), (0, 1))
    grey = scene.image.mean(2)
    return abs(grey[ink].mean() - grey[~ink].mean())


@pytest.mark.parametrize("name", SCANNER)
def test_scanner_effects_move_no_label(name, resources):
    """Forced on it changes pixels; words are those of the plain page, the ink is where it was."""
    forms, changed = of_kind("form", PLAIN), 0
    for index in range(4):
        plain, scene = (
            draw_page_scene(
                np.random.default_rng([7, index]), force(forms, [name], p), resources, 256
            )
            for p in (0, 1)
        )
        changed += (scene.image != plain.image).any()
        if name != "DESK":  # a sheet on a desk is set smaller
            for word, before in zip(scene.words, plain.words, strict=True):
                assert word.text == before.text and (word.quads == before.quads).all()
        for right, down in ((2, 0), (-2, 0), (0, 2), (0, -2)):
            assert contrast(scene) > 1.1 * contrast(scene, right, down)
        for word in scene.words:
            assert (word.polygon >= 0).all() and (word.polygon <= 256).all()
    assert changed == 4 or name in ("EDGE", "FAX") and changed > 1


def test_dark_edges_stay_off_the_words():
    settings = DEFAULTS.changed(EDGE_WIDTH=(200, 200))
    polygon = np.float32([(40, 60), (200, 60), (200, 90), (40, 90)])
    for seed in range(20):
        image = np.full((256, 256, 3), 255, np.uint8)
        scanner._draw_dark_edges(np.random.default_rng(seed), settings, image, [polygon])
        assert (image != 255).any() and (image[60:90, 40:200] == 255).all()


def test_short_entries_stand_alone_on_forms(resources):
    """Figures, capitals and brackets, which a detector that saw only words overlooks."""
    settings, lone = of_kind("form", PLAIN), []
    for seed in range(50):
        page = lay_out(resources, settings, seed)
        lone += [word.text for word in page.words if len(word.text) == 1]
    assert lone.count("(") == lone.count(")") > 3
    assert sum(text.isdigit() for text in lone) > 10 and sum(text.isalpha() for text in lone) > 10


@pytest.mark.parametrize("part", [pages._numbered, pages._figures, pages._check_boxes])
def test_short_entries_lie_on_their_ink_and_apart(part, resources):
    """Also in a font so wide that a number almost fills its indent."""
    wide = next(f for f in resources.fonts["english"] if f.name == "PressStart2P-Regular")
    short = 0
    for seed in (2, 4, 18):
        arguments = [wide], resources.vocabularies[0], "form", (0, 0, 256, 256)
        writer = Writer(np.random.default_rng(seed), PLAIN, 256, *arguments)
        part(writer, 5, 5, 240)
        page, boxes = writer.page, []
        assert not page.text[~cells(page.words, 256)].any()
        for word in page.words:
            short += len(word.text) < 4
            left, top, right, bottom = *word.polygon.min(0), *word.polygon.max(0)
            assert page.text[int(top) : int(bottom) + 1, int(left) : int(right) + 1].any()
            for x0, y0, x1, y1 in boxes:
                gap = max(left - x1, x0 - right)
                assert gap > 0.25 * writer.em - 1 or max(top - y1, y0 - bottom) >= 0, word.text
            boxes.append((left, top, right, bottom))
    assert short > 8


def test_numbers_are_not_set_in_a_font_without_digits(resources, tmp_path):
    """Its boxes for missing glyphs would be drawn, and labelled as digits."""
    path = C.FONTS / "play" / "Play-Regular.ttf"
    font = TTFont(path)
    subsetter = subset.Subsetter(subset.Options(notdef_outline=True))
    subsetter.populate(text=string.ascii_letters)
    subsetter.subset(font)
    font.save(tmp_path / "letters.ttf")
    for source, tokens in ((path, ["12.50"]), (tmp_path / "letters.ttf", [])):
        own = Font(source)
        arguments = [own], resources.vocabularies[0], "receipt", (0, 0, 256, 256)
        writer = Writer(np.random.default_rng(0), PLAIN, 256, *arguments)
        assert writer.sample_tokens(200, 20, 1, own, text="12.50") == tokens


def test_lines_of_letters_higher_than_their_em_do_not_meet(resources, tmp_path):
    """Nastaliq, or a font whose units are not what it says: every line lay on the one before."""
    font = TTFont(C.FONTS / "play" / "Play-Regular.ttf")
    font["head"].unitsPerEm //= 2
    font.save(tmp_path / "tall.ttf")
    arguments = [Font(tmp_path / "tall.ttf")], resources.vocabularies[0], "form", (0, 0, 384, 384)
    writer = Writer(np.random.default_rng(0), PLAIN, 384, *arguments)
    for y in range(0, 360, 25):
        writer.line(5, y, 370, 20, 3)
    tops, bottoms = np.transpose([word.polygon[[0, 2], 1] for word in writer.page.words])
    lines = np.flatnonzero(np.diff(tops, prepend=-99) > 20)
    assert len(lines) > 4 and (tops[lines[1:]] > np.maximum.reduceat(bottoms, lines)[:-1] - 4).all()

    block = typeset(DEFAULTS, [["High"]] * 3, arguments[0][0], TextStyle(20))
    tops, bottoms = np.transpose([word.polygon[[0, 2], 1] for word in block.words])
    assert (tops[1:] > bottoms[:-1] - 4).all()


def test_words_of_a_line_of_a_list_stay_together(resources):
    """The line as a whole, or nothing of it: "M8 x" says something else than "M8 x 40"."""
    vocabulary = replace(resources.vocabularies[0], words=["M8 x 40"], common=["M8 x 40"])
    own = Font(C.FONTS / "play" / "Play-Regular.ttf")
    kinds = {kind: float(kind == "word") for kind in PLAIN.KIND_SHARES}
    settings = PLAIN.changed(KIND_SHARES=kinds, PUNCTUATION_PROBABILITY=0)
    writer = Writer(
        np.random.default_rng(0), settings, 256, [own], vocabulary, "receipt", (0, 0, 256, 256)
    )
    writer.case = "lower"
    own.set_size(20)
    counts = set()
    for width in range(20, 400, 7):
        for wanted in (1, 2, 5):
            tokens = writer.sample_tokens(width, 20, wanted, own, end=":")
            full = len(tokens) >= wanted
            whole = ["M8", "x", "40"] * (len(tokens) // 3)
            assert tokens == (whole[:-1] + ["40:"] if full else whole)
            assert sum(own.width(token) for token in tokens) <= width
            counts.add((wanted, len(tokens)))
    assert counts == {(1, 0), (1, 3), (2, 0), (2, 3), (5, 0), (5, 3), (5, 6)}


def test_same_seed_same_page(resources):
    settings = force(PLAIN, [name for name in SCANNER if name != "INVERT_PAGE"], 0.5)
    for index in range(4):
        first, again = (
            draw_page_scene(np.random.default_rng([9, index]), settings, resources, 256)
            for _ in range(2)
        )
        assert (first.image == again.image).all() and first.notes == again.notes
        for one, other in zip(first.words, again.words, strict=True):
            assert one.text == other.text and (one.quads == other.quads).all()
