"""Font files: which characters they can draw, shaping by HarfBuzz, glyph bitmaps by FreeType."""

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path

import freetype
import numpy as np
import uharfbuzz as hb

from dataset_utils import DataError

# Ligatures would put two characters into one glyph.
FEATURES = {"liga": False, "clig": False, "dlig": False, "calt": False}
LOAD_FLAGS = freetype.FT_LOAD_NO_HINTING | freetype.FT_LOAD_NO_BITMAP


@dataclass(frozen=True)
class Glyph:
    """One shaped glyph. x, y: pen position in px (y down); advance in px; cluster: index of the
    first character that it stands for."""

    index: int
    cluster: int
    x: float
    y: float
    advance: float


class Font:
    """One font file at any size."""

    def __init__(self, path: Path):
        """Raises DataError when the file is not a scalable font."""
        self.path = path
        try:
            self._face = freetype.Face(str(path))
            self._hb_face = hb.Face(hb.Blob.from_file_path(str(path)))
            if not self._face.is_scalable or not self._hb_face.glyph_count:
                raise ValueError("no outlines in it")
        except Exception as error:  # both libraries raise kinds of their own
            raise DataError(f"{path}: not a usable font ({error})") from None
        self._size = None
        self._ink = {}

    @property
    def name(self) -> str:
        return self.path.stem

    def supports(self, text: str) -> bool:
        """True when every character has a glyph with ink (a cmap entry is no proof of ink)."""
        return all(self._has_ink(character) for character in text)

    def _has_ink(self, character: str) -> bool:
        if character not in self._ink:
            index = self._face.get_char_index(character)
            if index:
                self._face.load_glyph(index, freetype.FT_LOAD_NO_SCALE)
            self._ink[character] = bool(index) and self._face.glyph.outline.n_points > 0
        return self._ink[character]

    def set_size(self, size: float) -> None:
        """Set the em's size in px for shape() and bitmap()."""
        size64 = max(64, round(size * 64))
        if size64 == self._size:
            return
        self._size = size64
        self._face.set_char_size(size64, size64, 72, 72)
        self._hb_font = hb.Font(self._hb_face)
        self._hb_font.scale = (size64, size64)
        self._bitmaps = {}

    def shape(self, text: str) -> list[Glyph]:
        """Shape `text` at the size set: glyphs in visual order with pen positions from 0."""
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        hb.shape(self._hb_font, buffer, FEATURES)
        glyphs, pen = [], 0
        for info, pos in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            x, y = (pen + pos.x_offset) / 64, -pos.y_offset / 64
            glyphs.append(Glyph(info.codepoint, info.cluster, x, y, pos.x_advance / 64))
            pen += pos.x_advance
        return glyphs

    def bitmap(self, index: int) -> tuple[np.ndarray, int, int]:
        """Draw a glyph with its pen at an integer position.

        Returns its coverage (h, w) uint8 and the offset of the bitmap's left column and top row
        from the pen, in px, y down. Without ink the bitmap is empty.
        """
        if index not in self._bitmaps:
            self._face.load_glyph(index, LOAD_FLAGS | freetype.FT_LOAD_RENDER)
            slot = self._face.glyph
            # The binding's own `buffer` copies byte by byte, four times slower.
            raw = slot._FT_GlyphSlot.contents.bitmap
            pixels = np.zeros((0, 0), np.uint8)
            if raw.rows and raw.width:
                flat = ctypes.cast(raw.buffer, ctypes.POINTER(ctypes.c_ubyte))
                pixels = np.ctypeslib.as_array(flat, (raw.rows, raw.pitch))[:, : raw.width].copy()
            self._bitmaps[index] = (pixels, slot.bitmap_left, -slot.bitmap_top)
        return self._bitmaps[index]

    @functools.cached_property
    def space(self) -> float:
        """Width of a space in em."""
        index = self._face.get_char_index(" ")
        if not index:
            return 0.25
        self._face.load_glyph(index, freetype.FT_LOAD_NO_SCALE)
        return self._face.glyph.advance.x / self._face.units_per_EM or 0.25


def load_fonts(folder: Path) -> tuple[list[Font], list[str]]:
    """Open every .ttf and .otf below `folder`, in order of their paths.

    Returns the fonts and a line for each file that had to be left out. Raises DataError when no
    font is left.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; --fonts takes a folder of .ttf and .otf files")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".ttf", ".otf"))
    fonts, problems = [], []
    for path in paths:
        try:
            fonts.append(Font(path))
        except DataError as error:
            problems.append(str(error))
    if not fonts:
        raise DataError(f"{folder}: no usable .ttf or .otf font in it")
    return fonts, problems
