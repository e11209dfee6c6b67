"""Exactness of the generator's parts: every label against the ink that it stands for."""

import re
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import shapely
from fontTools.ttLib import TTFont

from static import constants as C
from textdet.common.errors import DataError
from textdet.common.geometry import map_pixels, map_points, scaling, translation
from textdet.synth.blocks import _sample_line, clip_words
from textdet.synth.content import (
    RUSSIAN,
    Vocabulary,
    list_usage,
    load_vocabularies,
    only_words,
    sample_phrase,
)
from textdet.synth.fonts import Font, load_fonts
from textdet.synth.settings import GeneratorSettings, read_settings
from textdet.synth.typeset import TextStyle, typeset
from textdet.synth.warps import map_words, plane_homography
from textdet.synth.writer import sample_supported

DEFAULTS = GeneratorSettings()
LANGUAGES = DEFAULTS.languages()
FONTS = load_fonts(C.FONTS)[0]
SCRIPTS = {"GreatVibes", "Pacifico", "Lobster", "Caveat", "MarckScript", "BadScript"}
WORDS = ("Hxagon", "прыжкиЩ", "12:45$", "Quartz,")


def ink_share(alpha, quad, grow):
    """Share of a mask's ink within `grow` px of a quad."""
    mask = np.zeros((alpha.shape[0] * 8, alpha.shape[1] * 8), np.uint8)
    cv2.fillPoly(mask, [np.round(quad * 8).astype(np.int32)], 255)
    reach = 2 * round(grow * 8) + 1
    mask = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    inside = cv2.resize(mask, alpha.shape[::-1], interpolation=cv2.INTER_AREA) > 127
    return alpha[inside].sum(dtype=float) / alpha.sum(dtype=float)


def set_one_glyph(monkeypatch, text, font, style, index):
    """Set a word with the ink of all its glyphs but one wiped out; its layout stays."""
    wanted = font.shape(text)[index].index
    original = type(font).bitmap

    def only_one(self, glyph):
        pixels, left, top = original(self, glyph)
        return (pixels if glyph == wanted else np.zeros_like(pixels)), left, top

    with monkeypatch.context() as patch:
        patch.setattr(type(font), "bitmap", only_one)
        return typeset(DEFAULTS, [[text]], font, style)


@pytest.mark.parametrize("number", range(len(FONTS)))
def test_each_glyph_lies_in_its_quad(number, monkeypatch):
    font, rng = FONTS[number], np.random.default_rng(number)
    shares = []
    for text in WORDS:
        style = TextStyle(rng.uniform(24, 60), tracking=rng.uniform(0, 0.3))
        font.set_size(style.size)
        warp = (
            translation(150, 150)
            @ plane_homography(*rng.uniform(-0.6, 0.6, 3), focal=500)
            @ scaling(rng.uniform(0.5, 1))
            @ translation(-100, -30)
        )
        for index in range(len(text)):
            layer = set_one_glyph(monkeypatch, text, font, style, index)
            (word,) = map_words(warp, layer.words)
            assert word.characters[index] == text[index]
            alpha = map_pixels(warp, layer.alpha, 420, 420)
            shares.append(ink_share(alpha, word.quads[index], 1.0))
    # Letters of script and italic faces lean over their advance into their neighbours' cells.
    leaning = any(name in font.name for name in (*SCRIPTS, "Italic", "Shantell", "Amatic"))
    assert np.median(shares) >= (0.9 if leaning else 0.99)
    assert np.mean(np.array(shares) >= (0.8 if leaning else 0.99)) >= (0.75 if leaning else 0.9)


def test_points_follow_pixels():
    """The centre of a bright dot, found in the warped picture, is where the point was mapped."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        warp = translation(80, 80) @ plane_homography(*rng.uniform(-0.7, 0.7, 3), focal=300)
        warp = warp @ translation(-40, -40)
        x, y = rng.integers(15, 65, 2)
        picture = np.zeros((80, 80), np.float32)
        picture[y - 1 : y + 2, x - 1 : x + 2] = 1
        warped = map_pixels(warp, picture, 160, 160)
        j, i = np.mgrid[:160, :160] + 0.5
        found = np.array([(warped * i).sum(), (warped * j).sum()]) / warped.sum()
        assert found == pytest.approx(map_points(warp, np.array([x + 0.5, y + 0.5])), abs=0.12)


def test_cells_tile_the_word_and_skip_spaces():
    font = next(font for font in FONTS if font.name == "NotoSans-Regular")
    layer = typeset(DEFAULTS, [["AVATAR", "To"], ["Привет!"]], font, TextStyle(40))
    assert [word.text for word in layer.words] == ["AVATAR", "To", "Привет!"]
    for word in layer.words:
        assert len(word.quads) == len(word.text)
        edges = word.quads[:, 0, 0]
        assert (np.diff(edges) > 0).all()
        assert word.quads[:-1, 1, 0] == pytest.approx(edges[1:], abs=4)  # kerning and rounding
        assert word.polygon[0] == pytest.approx(word.quads[0, 0])
        assert word.polygon[2] == pytest.approx(word.quads[-1, 2])
    left, right = layer.words[0].polygon[1, 0], layer.words[1].polygon[0, 0]
    assert right - left > 0.15 * 40
    kerned = np.diff(layer.words[0].quads[:, 0, 0])
    font.set_size(40)
    assert kerned[0] < font.shape("A")[0].advance - 1  # V moves under A


def test_marks_stay_with_their_letters_in_spaced_out_words():
    font = next(font for font in FONTS if font.name == "NotoSans-Regular")
    layer = typeset(DEFAULTS, [["за\u0301мок"]], font, TextStyle(60, tracking=0.5))
    (word,) = layer.words
    assert word.characters == ["з", "а\u0301", "м", "о", "к"]
    assert sum(ink_share(layer.alpha, quad, 1) for quad in word.quads) > 0.99
    gaps = word.quads[1:, 0, 0] - word.quads[:-1, 1, 0]
    assert np.abs(gaps - 30).max() < 1.5  # half an em, to whole pixels


def test_a_character_without_ink_is_not_supported():
    font = next(font for font in FONTS if font.name == "NotoSans-Regular")
    assert font.supports("Az5Щ")
    assert font.supports("a b")  # a space needs none
    assert not font.supports("a\u3164") and not font.supports("漢")


def test_words_of_a_line_need_no_space_in_the_font(tmp_path):
    """Fonts cut down to some letters often have none."""
    path = next(font.path for font in FONTS if font.name == "NotoSans-Regular")
    font = TTFont(path)
    for table in font["cmap"].tables:
        table.cmap.pop(ord(" "), None)
    font.save(tmp_path / "cut.ttf")
    font = Font(tmp_path / "cut.ttf")
    assert font.supports("Fire exit") and not font.supports("Fire 漢")


def phrases(vocabulary, kind, case, count=150):
    shares = dict.fromkeys(DEFAULTS.KIND_SHARES, 0) | {kind: 1}
    settings, rng = DEFAULTS.changed(KIND_SHARES=shares), np.random.default_rng(0)
    return [sample_phrase(rng, settings, vocabulary, case) for _ in range(count)]


@pytest.mark.parametrize("kind", sorted(DEFAULTS.KIND_SHARES))
def test_words_of_every_kind(kind):
    """None is empty, holds a space or an unfilled field; the case is the one asked for."""
    own = Vocabulary("own", ["haus", "hof"], ["haus"])
    for vocabulary in (*load_vocabularies(C.WORDS, LANGUAGES), own):
        for case in ("lower", "title", "upper"):
            drawn = phrases(vocabulary, kind, case)
            words = [word for phrase in drawn for word in phrase]
            assert all(words) and len({tuple(phrase) for phrase in drawn}) > (
                0 if vocabulary is own else 8
            )
            assert not any(set(word) & set("{}| ") or word.split() != [word] for word in words)
            if case == "upper" and kind != "web":
                assert all(word == word.upper() for word in words)
            speakers = [font for font in FONTS if font.supports(vocabulary.words[0])]
            for phrase in drawn:
                able = [font for font in speakers if all(map(font.supports, phrase))]
                assert len(able) >= len(speakers) / 3, phrase


def test_words_of_other_scripts_stay_what_they_are():
    def drawn(word, kind, case):
        return {text for (text,) in phrases(Vocabulary("own", [word], [word]), kind, case, 40)}

    assert "გამარჯობა" in drawn("გამარჯობა", "word", "title")  # no capital begins a Georgian word
    assert "ßa" not in drawn("ßa", "word", "title")
    assert all("हिन्दी" in text for text in drawn("हिन्दी!", "web", "lower"))


def test_a_font_without_capitals_draws_small_letters():
    font = SimpleNamespace(supports=str.islower)
    own, rng = Vocabulary("own", ["haus"], ["haus"], is_own=True), np.random.default_rng(0)
    assert sample_supported(rng, only_words(DEFAULTS), font, own, "upper") == ["haus"]


def test_russian_is_russian():
    (russian,) = (v for v in load_vocabularies(C.WORDS, LANGUAGES) if v.language == "russian")

    def drawn(kind):
        found = phrases(russian, kind, "lower")
        return found, {word for phrase in found for word in phrase}

    assert drawn("price")[1] & {"руб.", "₽"}
    assert {"мая", "августа"} <= drawn("date")[1]
    assert "+7" in drawn("phone")[1] and "ул." in drawn("address")[1]
    assert {"кг", "км/ч"} <= drawn("unit")[1]
    genders = {}  # a surname in -ова belongs to a woman
    for name in russian.names:
        assert genders.setdefault(name[0], name[1][-1] == "а") == (name[1][-1] == "а"), name


def test_cases_and_kinds_have_their_shares():
    rng = np.random.default_rng(0)
    for vocabulary in load_vocabularies(C.WORDS, LANGUAGES):
        drawn = [sample_phrase(rng, DEFAULTS, vocabulary, "title") for _ in range(2000)]
        lettered = np.mean([any(c.isalpha() for w in phrase for c in w) for phrase in drawn])
        plain = sum(DEFAULTS.KIND_SHARES[kind] for kind in ("word", "common", "letter", "name"))
        assert plain - 0.05 < lettered < 1
        assert np.mean([len(phrase) for phrase in drawn]) < 1.4


def test_words_at_the_border():
    font = FONTS[0]
    (word,) = typeset(DEFAULTS, [["abcdef"]], font, TextStyle(30)).words
    width = word.polygon[1, 0]
    (kept,) = clip_words([word.mapped(offset=(-width / 2, 5))], 200)
    assert 1 <= len(kept.characters) < 6 and "abcdef".endswith(kept.text)
    assert (kept.quads.mean(1) > 0).all() and (kept.polygon >= 0).all()
    assert clip_words([word.mapped(offset=(-500, 0))], 200) == []


def test_an_outline_at_the_border_is_cut_not_bent():
    (word,) = typeset(DEFAULTS, [["abcdef"]], FONTS[0], TextStyle(30)).words
    turned = map_words(plane_homography(0.5, 0, 0, 1e9), [word.mapped(offset=(-25, 0))])
    (kept,) = clip_words(turned, 200)
    whole, part = shapely.Polygon(turned[0].polygon), shapely.Polygon(kept.polygon)
    assert 1 < len(kept.characters) < 6 and part.difference(shapely.box(0, 0, 200, 200)).area < 0.1
    assert part.difference(whole).area < 0.1  # it does not grow beyond the word's sides
    for quad in kept.quads:
        cell = shapely.Polygon(quad).intersection(shapely.box(0, 0, 200, 200))
        assert cell.difference(part).area < 0.1
    assert np.linalg.norm(kept.polygon[0] - kept.quads[0, 0]) < 15  # begins where the word does


def test_vocabulary_of_ones_own(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeffalpha\nbeta gamma\n", encoding="utf-8")
    (own,) = load_vocabularies(path, LANGUAGES)
    lines = ["alpha", "beta gamma"]
    assert own == Vocabulary("own", lines, lines, is_own=True)


def test_lines_of_ones_own_list_stay_together(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("199 ₽\n  rye   bread  \nmilk\n₽\n\n", encoding="utf-8")
    (own,) = load_vocabularies(path, LANGUAGES)
    assert own.words == ["199 ₽", "rye bread", "milk", "₽"]
    rng, only = np.random.default_rng(1), only_words(DEFAULTS)
    font = next(font for font in FONTS if font.supports("₽"))
    lines = {
        " ".join(_sample_line(rng, only, own, font, "lower", count, 20))
        for count in (1, 2, 3)
        for _ in range(60)
    }
    whole = {"199 ₽", "rye bread"}
    assert whole <= lines
    others = {word for line in lines - whole for word in line.split()}
    assert others == {"milk", "₽"}  # they join each other, and no other line
    web = {word for (word,) in phrases(own, "web", "lower", 40)}
    assert all("₽" not in word and ".." not in word and "www..com" not in word for word in web)


def test_use_of_a_list():
    own = Vocabulary("own", ["199 ₽", "milk", "rye bread"], [], is_own=True)
    share, missing = list_usage(own, ["Milk,", "MILK", "199", "₽", "12/7/71", "rye"])
    assert share == pytest.approx(5 / 6) and missing == ["rye bread"]


@pytest.mark.parametrize("path", sorted(C.PRESETS.glob("*.toml")), ids=lambda path: path.stem)
def test_presets_are_settings(path):
    changed = DEFAULTS.changed(**read_settings(path))
    assert (changed == DEFAULTS) == (path.stem == "mixed")


@pytest.mark.parametrize("names", ["Ann Lee\nCher\n", "Ann Lee\n\nMary Ann Lee\n"])
def test_a_name_that_is_no_pair_is_one_line(tmp_path, names):
    lists = tmp_path / "words"
    shutil.copytree(C.WORDS, lists)
    (lists / "names_english.txt").write_text(names)
    with pytest.raises(DataError, match="names_english.txt: '(Cher|Mary Ann Lee)' is not a given"):
        load_vocabularies(lists, LANGUAGES)


def test_a_russian_list_of_ones_own_has_russian_forms(tmp_path):
    path = tmp_path / "words.txt"
    # As on price tags: figures and signs beside the letters, lines of figures alone.
    lines = "аптека", "Сыр «Гауда», 45 %", "Хлеб, 400 г.", "cafe", "199 ₽", "45 %"
    path.write_text("\n".join(lines), encoding="utf-8")
    (own,) = load_vocabularies(path, LANGUAGES)
    kinds = "date", "address", "unit"
    drawn = [phrase for kind in kinds for phrase in phrases(own, kind, "lower")]
    words = {word for phrase in drawn for word in phrase}
    assert any(RUSSIAN.fullmatch(word) for word in words)
    assert not any(re.search("[a-z]{3}", word.replace("cafe", ""), re.IGNORECASE) for word in words)
