"""Font files: which characters they can draw, shaping by HarfBuzz, glyph bitmaps by FreeType."""

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import freetype
import numpy as np
import uharfbuzz as hb

from textdet.common.bidi import visual_runs
from textdet.common.errors import DataError
from textdet.common.files import MACOS, glob_below
from textdet.common.letters import leaves_ink
from textdet.synth.scripts import SHAPED, script_runs

# Ligatures would put two letters into one glyph; scripts that need shaping keep theirs.
FEATURES = {"liga": False, "clig": False, "dlig": False, "calt": False}
FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
OTHER_FONTS = (".woff", ".woff2", ".eot", ".pfb", ".pfa", ".dfont", ".fon", ".bdf", ".pcf")
LOAD_FLAGS = freetype.FT_LOAD_NO_HINTING | freetype.FT_LOAD_NO_BITMAP
SYMBOLS = (3, 0)  # platform and encoding of a table that gives letters' places to other signs
WORDS_KEPT = 256  # shaped words remembered a font: one is asked for several times in a row


class Glyph(NamedTuple):
    """One shaped glyph.

    Params:
        index: of the glyph in the font; 0 is the sign for a missing character.
        cluster: index in the text of the first character that it stands for.
        x, y: pen position in px, y down.
        advance: px.
    """

    index: int
    cluster: int
    x: float
    y: float
    advance: float


_make_glyph = functools.partial(tuple.__new__, Glyph)  # a third of the time of Glyph(...)


class Extent(NamedTuple):
    """The box around a glyph's ink: its four sides in em, from the glyph's pen, y down."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class _Shaped:
    """A word in font units. advance: of all its glyphs; joined: whether its letters must not be
    torn apart; lacks: why the font cannot draw it, None when it can."""

    glyphs: list[Glyph]
    advance: float
    joined: bool
    lacks: str | None


class Font:
    """One font file at any size.

    set_size() comes before shape(), bitmap() and turned_bitmap().
    """

    def __init__(self, path: Path, number: int = 0):
        """Open a file.

        Params:
            path: one of FONT_SUFFIXES.
            number: of the font in a collection, from 0.

        Raises:
            DataError: the file is not a scalable font.
        """
        self.path, self.number = path, number
        try:
            self._face = freetype.Face(str(path), number)
            face = hb.Face(hb.Blob.from_file_path(str(path)), number)
            if not self._face.is_scalable or not face.glyph_count:
                raise ValueError("no outlines in it")
            # HarfBuzz prefers such a table, so that Wingdings would "have" every Latin word.
            if any((m.platform_id, m.encoding_id) == SYMBOLS for m in self._face.charmaps):
                raise ValueError("a symbol font, its signs are no letters")
            self._scripts = {hb.ot_tag_to_script(tag) for tag in face.get_table_script_tags("GSUB")}
        except Exception as error:  # both libraries raise kinds of their own
            raise DataError(f"{path}: not a usable font ({error})") from None
        self._units = self._face.units_per_EM
        self._hb_font = hb.Font(face)
        self._hb_font.scale = (self._units, self._units)
        self._size = None
        self._extents = {}
        self._shaped = functools.lru_cache(WORDS_KEPT)(self._shape)

    @property
    def name(self) -> str:
        """The file's name without its ending, in a collection with the font's number in it."""
        return f"{self.path.stem}_{self.number}" if self.number else self.path.stem

    def supports(self, text: str) -> bool:
        """Whether every character gets a glyph with ink, and the rules for its script."""
        return self.lacks(text) is None

    def lacks(self, text: str) -> str | None:
        """What the font misses for `text`, in words; None when nothing."""
        return self._shaped(text).lacks

    def joins(self, text: str) -> bool:
        """Whether the letters of `text` are joined or built into syllables, as in Arabic."""
        return self._shaped(text).joined

    def named_glyphs(self) -> dict[str, int]:
        """Index of each glyph that a character stands for, by its name in the font."""
        names = {}
        for _, index in self._face.get_chars():
            names.setdefault(self._face.get_glyph_name(index).decode("latin-1"), index)
        return names

    def set_size(self, size: float) -> None:
        """Set the size for shape(), bitmap() and turned_bitmap().

        Params:
            size: px an em; rounded to 1/64 px, one px at least.
        """
        size64 = max(64, round(size * 64))
        if size64 == self._size:
            return
        self._size = size64
        self._face.set_char_size(size64, size64, 72, 72)
        self._bitmaps = {}

    def shape(self, text: str) -> list[Glyph]:
        """Shape a text at the size set.

        Params:
            text: in logical order.

        Returns:
            its glyphs from left to right, with pen positions in px from 0.
        """
        k = self._size / 64 / self._units
        return [
            _make_glyph((index, cluster, x * k, y * k, advance * k))
            for index, cluster, x, y, advance in self._shaped(text).glyphs
        ]

    def width(self, text: str, tracking: float = 0.0) -> float:
        """Width of a text at the size set, px, with `tracking` px behind each glyph."""
        shaped = self._shaped(text)
        return shaped.advance * self._size / 64 / self._units + tracking * len(shaped.glyphs)

    def _shape(self, text: str) -> _Shaped:
        glyphs, pen, scripts = [], 0, set()
        for first, last, backwards in visual_runs(text):
            parts = script_runs(text, first, last)
            for start, end in reversed(parts) if backwards else parts:
                buffer = hb.Buffer()
                buffer.add_str(text[start:end])
                buffer.guess_segment_properties()
                buffer.direction = "rtl" if backwards else "ltr"
                scripts.add(buffer.script)
                hb.shape(self._hb_font, buffer, {} if buffer.script in SHAPED else FEATURES)
                for info, pos in zip(buffer.glyph_infos, buffer.glyph_positions or (), strict=True):
                    x, y, cluster = pen + pos.x_offset, -pos.y_offset, start + info.cluster
                    advance = pos.x_advance
                    glyphs.append(_make_glyph((info.codepoint, cluster, x, y, advance)))
                    pen += advance
        lacks = self._missing(text, glyphs, scripts)
        return _Shaped(glyphs, pen, bool(scripts & SHAPED.keys()), lacks)

    def _missing(self, text: str, glyphs: list[Glyph], scripts: set[str]) -> str | None:
        for script in scripts & SHAPED.keys() - self._scripts:
            return f"has no shaping rules for {SHAPED[script]}"
        inked = {glyph.cluster for glyph in glyphs if self.extent(glyph.index)}
        for glyph in glyphs:
            character = text[glyph.cluster]
            if character == " ":  # between words, which are set one by one
                continue
            if not glyph.index or (glyph.cluster not in inked and leaves_ink(character)):
                return f"has no ink for {character!r}"
        return None if inked else "is asked for nothing"

    def extent(self, index: int) -> Extent | None:
        """The box around a glyph's ink, at any size.

        Params:
            index: of the glyph; that a character has one is no proof of ink.

        Returns:
            the box in em; None without ink or with a damaged outline.
        """
        if index not in self._extents:
            self._extents[index] = None
            try:
                self._face.load_glyph(index, freetype.FT_LOAD_NO_SCALE)
                box, em = self._face.glyph._FT_GlyphSlot.contents.metrics, self._units
            except freetype.FT_Exception:  # a damaged outline
                return None
            if box.width > 0 and box.height > 0:
                left, top = box.horiBearingX / em, -box.horiBearingY / em
                extent = Extent(left, top, left + box.width / em, top + box.height / em)
                self._extents[index] = extent
        return self._extents[index]

    def bitmap(self, index: int) -> tuple[np.ndarray, int, int]:
        """Draw a glyph at the size set, with its pen at an integer position.

        Params:
            index: of the glyph.

        Returns:
            its coverage (h, w) uint8, empty without ink; the offsets of its left column and of its
            top row from the pen, px, y down.
        """
        if index not in self._bitmaps:
            self._bitmaps[index] = self._render(index)
        return self._bitmaps[index]

    def turned_bitmap(
        self, index: int, angle: float, x: float, y: float
    ) -> tuple[np.ndarray, int, int]:
        """Draw a glyph at the size set, turned about its pen.

        Params:
            index: of the glyph.
            angle: radians, clockwise.
            x, y: px, the pen.

        Returns:
            its coverage (h, w) uint8, empty without ink; its left column and its top row, px.
        """
        cos, sin = (round(f(angle) * 0x10000) for f in (np.cos, np.sin))
        # FreeType's y runs upwards, in 1/64 px.
        pen = freetype.Vector(round(x * 64), round(-y * 64))
        self._face.set_transform(freetype.Matrix(cos, sin, -sin, cos), pen)
        try:
            return self._render(index)
        finally:
            self._face.set_transform(freetype.Matrix(0x10000, 0, 0, 0x10000), freetype.Vector(0, 0))

    def _render(self, index: int) -> tuple[np.ndarray, int, int]:
        self._face.load_glyph(index, LOAD_FLAGS | freetype.FT_LOAD_RENDER)
        slot = self._face.glyph._FT_GlyphSlot.contents
        # The binding's own `buffer` copies byte by byte, four times slower.
        raw = slot.bitmap
        pixels = np.zeros((0, 0), np.uint8)
        if raw.rows and raw.width:
            flat = ctypes.string_at(raw.buffer, raw.rows * raw.pitch)
            pixels = np.frombuffer(flat, np.uint8).reshape(raw.rows, raw.pitch)[:, : raw.width]
        return pixels, slot.bitmap_left, -slot.bitmap_top

    @functools.cached_property
    def space(self) -> float:
        """Width of a space in em; 0.25 where the font has none."""
        index = self._face.get_char_index(" ")
        if not index:
            return 0.25
        self._face.load_glyph(index, freetype.FT_LOAD_NO_SCALE)
        return self._face.glyph.advance.x / self._units or 0.25


def open_fonts(path: Path) -> list[Font]:
    """The fonts of a file: one, or all of a collection. Raises DataError as Font does."""
    try:
        number = freetype.Face(str(path)).num_faces
    except freetype.FT_Exception as error:
        raise DataError(f"{path}: not a usable font ({error})") from None
    return [Font(path, i) for i in range(number)]


def load_fonts(folder: Path) -> tuple[list[Font], list[str]]:
    """Open every font below `folder`, in order of their paths.

    Returns:
        the fonts, and a line for each file that had to be left out.

    Raises:
        DataError: no font is left.
    """
    endings = ", ".join(FONT_SUFFIXES)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; --fonts takes a folder of {endings} files")
    fonts, problems = [], []
    for path in sorted(glob_below(folder)):
        if path.name.startswith(MACOS):
            continue
        try:
            if path.suffix.lower() in FONT_SUFFIXES:
                fonts += open_fonts(path)
            elif path.suffix.lower() in OTHER_FONTS:
                problems.append(f"{path}: a font of another kind, make it .ttf or .otf")
        except DataError as error:
            problems.append(str(error))
    if not fonts:
        raise DataError("; ".join([f"{folder}: no usable font ({endings}) in it", *problems[:1]]))
    return fonts, problems
