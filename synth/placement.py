"""Where a block of text goes: calm places most of the time, never over other text."""

import cv2
import numpy as np

from stage_times import stage
from static import constants as C

CELL = 4  # px, side of a cell of the occupancy and busyness grids


class Placement:
    """The taken cells of one image, and how busy its background is."""

    def __init__(self, image: np.ndarray):
        """image: (size, size, 3) uint8 RGB, before any text."""
        size = image.shape[0] // CELL
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
        dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
        self._busyness = cv2.integral(np.abs(dx) + np.abs(dy))
        self._taken = np.zeros((size, size), np.uint8)

    @stage("placement")
    def find(
        self, rng: np.random.Generator, outline: np.ndarray, margin: float
    ) -> tuple[int, int] | None:
        """Find a free place for a block and take it.

        outline: (k, 2) its outline in px, anywhere; margin: px around it that stay empty too.
        Returns the offset (x, y) in px to add to the outline, so that the block lies within the
        image, or None when none of PLACEMENT_TRIES random places is free.
        """
        size = self._taken.shape[0]
        border = int(np.ceil(margin / CELL))
        low = np.floor(outline.min(0))
        extent = np.ceil((outline.max(0) - low) / CELL).astype(int) + 1  # cells, without margin
        room = size - extent
        if (room < 1).any():
            return None
        footprint = np.zeros(extent[::-1] + 2 * border, np.uint8)
        points = (outline - low) / CELL + border
        cv2.fillPoly(footprint, [np.round(points).astype(np.int32)], 1)
        footprint = cv2.dilate(footprint, np.ones((2 * border + 1,) * 2, np.uint8))

        free, busyness = [], []
        for x, y in np.stack([rng.integers(0, n, C.PLACEMENT_TRIES) for n in room], 1):
            taken, own = self._window(footprint, x - border, y - border)
            if not (taken & own).any():
                corners = np.ix_((y, y + extent[1]), (x, x + extent[0]))
                (a, b), (c, d) = self._busyness[corners]
                free.append((x, y))
                busyness.append((d - b - c + a) / extent.prod())
        if not free:
            return None
        weights = np.exp(-(np.array(busyness) - min(busyness)) / C.PLACEMENT_TEMPERATURE)
        x, y = free[rng.choice(len(free), p=weights / weights.sum())]
        taken, own = self._window(footprint, x - border, y - border)
        taken |= own
        return int(x * CELL - low[0]), int(y * CELL - low[1])

    def _window(self, footprint: np.ndarray, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
        """The taken cells under a footprint at cell (x, y), and the part of it on the image."""
        own = footprint[max(-y, 0) :, max(-x, 0) :]
        taken = self._taken[max(y, 0) :, max(x, 0) :][: own.shape[0], : own.shape[1]]
        return taken, own[: taken.shape[0], : taken.shape[1]]
