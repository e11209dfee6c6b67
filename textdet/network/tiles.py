"""Large images cut into overlapping tiles, whose maps are put together without a seam."""

from dataclasses import dataclass

import numpy as np

from textdet.common.geometry import tile_starts
from textdet.network.runtimes import STRIDE

TILE_OVERLAP = 256  # px, about the largest text that the seam of two tiles cannot harm


@dataclass(frozen=True)
class Tile:
    """A part of an image that goes through the network, and the part of its maps that is kept.

    Params:
        rows, columns: of the image, px.
        kept_rows, kept_columns: likewise, within them.
    """

    rows: slice
    columns: slice
    kept_rows: slice
    kept_columns: slice

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width, px, rounded up to what the network takes."""
        sides = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        height, width = (side + -side % STRIDE for side in sides)
        return height, width

    def kept(self, maps: np.ndarray) -> np.ndarray:
        """The part of the tile's maps (2, h, w) that is kept."""
        rows = _within(self.kept_rows, self.rows)
        return maps[:, rows, _within(self.kept_columns, self.columns)]


def cut_tiles(height: int, width: int, side: int) -> list[Tile]:
    """Tiles of at most `side` px that cover an image of height x width px."""
    return [
        Tile(rows, columns, kept_rows, kept_columns)
        for rows, kept_rows in tile_spans(height, side)
        for columns, kept_columns in tile_spans(width, side)
    ]


def tile_spans(length: int, side: int) -> list[tuple[slice, slice]]:
    """Cut `length` px into overlapping spans of `side` px.

    Returns:
        (span, kept) pairs: the kept parts lie in their spans, meet in the middle of the overlaps
        and cover everything once. One pair when the length fits.
    """
    if length <= side:
        return [(slice(0, length), slice(0, length))]
    starts = tile_starts(length, side, min(TILE_OVERLAP, side // 2))
    seams = [(a + side + b) // 2 for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return [
        (slice(start, start + side), slice(first, last))
        for start, first, last in zip(starts, [0, *seams], [*seams, length], strict=True)
    ]


def _within(part: slice, span: slice) -> slice:
    """`part` counted from the start of `span`."""
    return slice(part.start - span.start, part.stop - span.start)
