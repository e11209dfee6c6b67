"""Large images cut into overlapping tiles, whose maps are put together without a seam."""

from dataclasses import dataclass
from itertools import pairwise

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

    def keep(self, found: np.ndarray, maps: np.ndarray, step: int) -> None:
        """Put what is kept of the tile's maps into those of the image.

        Params:
            found: (2, h, w), the tile's.
            maps: (2, H, W), the image's, written to.
            step: px of the image for each px of the maps.
        """
        rows, columns = _steps(self.kept_rows, 0, step), _steps(self.kept_columns, 0, step)
        own_rows = _steps(self.kept_rows, self.rows.start, step)
        own_columns = _steps(self.kept_columns, self.columns.start, step)
        maps[:, rows, columns] = found[:, own_rows, own_columns]


def cut_tiles(height: int, width: int, side: int, step: int = 1) -> list[Tile]:
    """Cut an image into tiles that overlap and cover it.

    Params:
        height, width: px of the image.
        side: px, of a tile at most.
        step: px; tiles and their kept parts begin at its multiples.

    Returns:
        The tiles, row by row; one where the image fits into it.
    """
    return [
        Tile(rows, columns, kept_rows, kept_columns)
        for rows, kept_rows in tile_spans(height, side, step)
        for columns, kept_columns in tile_spans(width, side, step)
    ]


def tile_spans(length: int, side: int, step: int = 1) -> list[tuple[slice, slice]]:
    """Cut a length into overlapping spans.

    Params:
        length: px.
        side: px, of a span at most.
        step: px; spans and kept parts begin at its multiples.

    Returns:
        (span, kept) pairs: the kept parts lie in their spans, meet in the middle of the overlaps
        and cover everything once. One pair when the length fits.
    """
    if length <= side:
        return [(slice(0, length), slice(0, length))]
    starts = tile_starts(length, side, min(TILE_OVERLAP, side // 2))
    starts = [start - start % step for start in starts]
    seams = [(a + side + b) // 2 // step * step for a, b in pairwise(starts)]
    ends = [start + side for start in starts[:-1]] + [length]
    return [
        (slice(start, end), slice(first, last))
        for start, end, first, last in zip(starts, ends, [0, *seams], [*seams, length], strict=True)
    ]


def _steps(part: slice, origin: int, step: int) -> slice:
    """The px of a map that show a part of an image, counted from `origin` px."""
    return slice((part.start - origin) // step, -(-(part.stop - origin) // step))
