"""Where a block of text goes: calm places on one surface, beside other text, never over it."""

import functools
from dataclasses import dataclass, field

import cv2
import numpy as np

from textdet.common.geometry import translation
from textdet.common.stage_times import stage
from textdet.synth.ink import measure_softness
from textdet.synth.settings import GeneratorSettings
from textdet.synth.warps import plane_homography, sample_roll

CELL = 4  # px, side of a cell of the busyness grid
COARSE = 2  # cells, side of a cell of the segmentation
SAME_SURFACE = 10  # grey levels; neighbouring cells that differ by less lie on one surface
SMALLEST_SURFACE = 0.015  # of the image
MOST_SURFACES = 10


@dataclass
class Surface:
    """A part of the image that looks like one thing, and the plane that its text lies on.

    Params:
        mask: (n, n) uint8 by cells of CELL px: 1 on the surface, else 0.
        yaw, pitch: radians, as in plane_homography.
        shift: (2,) px, its centre seen from the image's.
        roll: radians, the direction of the text on it; None as long as none was asked for.
        inside: (n + 1, n + 1) int32, integral image of the mask.
    """

    mask: np.ndarray
    yaw: float
    pitch: float
    shift: np.ndarray
    roll: float | None = None
    inside: np.ndarray = field(init=False)

    def __post_init__(self):
        self.inside = cv2.integral(self.mask)

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """Indices of the mask's cells, row by row."""
        return np.flatnonzero(self.mask)

    def plane(self, roll: float, focal: float) -> np.ndarray:
        """Homography of the plane about its centre, as one camera for the whole image sees it.

        Params:
            roll: radians, rotation of the text in the plane.
            focal: px, the camera's focal length.

        Returns:
            (3, 3), px to px; the surface's centre is the origin of both.
        """
        plane = plane_homography(roll, self.yaw, self.pitch, focal)
        plane[:2, 2] = self.shift
        return translation(*-self.shift) @ plane


@dataclass(frozen=True)
class Spot:
    """Where one block is to go.

    Params:
        roll: radians, its rotation in the surface's plane.
        beside: (k, 2) px, the outline of an earlier block that it is to stand near; None when it
            may stand anywhere on the surface.
    """

    surface: Surface
    roll: float
    beside: np.ndarray | None = None


class Placement:
    """The surfaces of one image, how busy it is, and the blocks that it holds already.

    Params:
        image: (size, size, 3) uint8 RGB, before any text.
    """

    @stage("placement")
    def __init__(self, rng: np.random.Generator, settings: GeneratorSettings, image: np.ndarray):
        """Find the image's surfaces, and sample the camera and the planes that they lie in."""
        self.size = image.shape[0]
        self._settings = settings
        self.focal = rng.uniform(*settings.FOCAL_LENGTH) * self.size
        self.softness = measure_softness(image, settings.INK_BLUR)  # px
        cells = max(4, self.size // CELL)
        small = cv2.resize(image, (2 * cells, 2 * cells), interpolation=cv2.INTER_AREA)
        small = cv2.resize(small, (cells, cells), interpolation=cv2.INTER_AREA)  # halves are quick
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        dx, dy = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
        busy = np.abs(dx) + np.abs(dy)
        # A strong edge spoils a whole place, however calm the rest of it is.
        self._busyness = cv2.integral(busy + np.maximum(busy - settings.EDGE_LEVEL, 0) * 2)
        planes = []
        for _ in range(rng.integers(settings.PLANES[0], settings.PLANES[1] + 1)):
            tilted = rng.random() < settings.TILT_PROBABILITY
            planes.append(np.deg2rad(rng.uniform(*settings.TILT, 2)) * (1, 0.5) * tilted)
        whole = Surface(np.ones((cells, cells), np.uint8), *planes[0], np.zeros(2))
        self.everywhere = whole
        self.surfaces = []
        self._tensor = cv2.merge([dx * dx, dy * dy, dx * dy])
        for mask in segment(small):
            moments = cv2.moments(mask, True)
            centre = np.array([moments["m10"], moments["m01"]]) / moments["m00"] / cells - 0.5
            yaw, pitch = planes[rng.integers(len(planes))]
            surface = Surface(mask, yaw, pitch, centre * self.size)
            if np.linalg.det(surface.plane(0.0, self.focal)) < 0:  # seen from behind: mirrored
                surface = Surface(mask, -yaw, -pitch, surface.shift)
            self.surfaces.append(surface)
        self._blocks = []  # the blocks drawn: their convex hulls (k, 2) in px, and its normals

    def sample_spot(self, rng: np.random.Generator, area: float) -> Spot:
        """A surface with room for a block, at times any place of the image.

        Params:
            area: px^2 that the block covers in the image, before its plane is tilted.
        """
        surface = self.everywhere
        if self.surfaces and rng.random() >= self._settings.CLUTTER_PROBABILITY:
            areas = np.array([s.inside[-1, -1] * float(CELL**2) for s in self.surfaces])
            areas = np.where(areas >= min(1.5 * area, areas.max()), areas, 0)
            surface = self.surfaces[rng.choice(len(areas), p=areas / areas.sum())]
        if surface.roll is None:
            surface.roll = self._sample_roll(rng, surface)
        own = rng.random() < self._settings.OWN_ROLL_PROBABILITY
        return Spot(surface, sample_roll(rng, self._settings) if own else surface.roll)

    def _sample_roll(self, rng: np.random.Generator, surface: Surface) -> float:
        """Radians: the direction of the surface's lines where it has one, at times any."""
        roll = None
        if surface is not self.everywhere and rng.random() < self._settings.FOLLOW_PROBABILITY:
            roll = _direction(self._settings, surface.mask, self._tensor)
        return sample_roll(rng, self._settings) if roll is None else roll

    @staticmethod
    def spot_beside(spot: Spot, outline: np.ndarray) -> Spot:
        """A spot near an earlier block, in its plane.

        Params:
            spot: the earlier block's.
            outline: (k, 2) px, where that block went.
        """
        return Spot(spot.surface, spot.roll, outline)

    def plane(self, spot: Spot) -> np.ndarray:
        """Homography (3, 3) of the spot's plane, px to px about its surface's centre."""
        return spot.surface.plane(spot.roll, self.focal)

    def find(
        self, rng: np.random.Generator, spot: Spot, outline: np.ndarray, margin: float
    ) -> tuple[int, int] | None:
        """Find a free place for a block.

        The place is taken once take() is told that the block was drawn.

        Params:
            outline: (k, 2) px, the block's, anywhere.
            margin: px around it that other blocks stay out of.

        Returns:
            the whole offset (x, y) in px to add to it; None when no place is free.
        """
        offset = None
        if spot.beside is not None:
            offsets = self._offsets_beside(rng, spot, outline, margin)
            offset = self._sample_offset(rng, outline, offsets, spot.surface, margin * 0.2)
        if offset is None:
            offsets = self._sample_offsets(rng, outline, spot.surface)
            offset = self._sample_offset(rng, outline, offsets, spot.surface, margin)
        return None if offset is None else (int(offset[0]), int(offset[1]))

    def take(self, outline: np.ndarray) -> None:
        """Keep later blocks off a block that was drawn.

        Params:
            outline: (k, 2) px, where it went.
        """
        self._blocks.append(_hull(outline))

    def _offsets_beside(
        self, rng: np.random.Generator, spot: Spot, outline: np.ndarray, margin: float
    ) -> np.ndarray:
        """(n, 2) offsets that put the outline under, over, right and left of the earlier block,
        flush with its start, its centre or its end."""
        along = np.array([np.cos(spot.roll), np.sin(spot.roll)])
        axes = np.array([along, (-along[1], along[0])])  # along the lines, across them
        old, new = spot.beside @ axes.T, outline @ axes.T
        gap = margin * rng.uniform(*self._settings.NEIGHBOUR_GAP)
        offsets = []
        for across in (1, 0):
            after = old[:, across].max() + gap - new[:, across].min()
            before = old[:, across].min() - gap - new[:, across].max()
            other = 1 - across
            flush = [
                old[:, other].min() - new[:, other].min(),
                (np.ptp(old[:, other]) - np.ptp(new[:, other])) / 2
                + old[:, other].min()
                - new[:, other].min(),
                old[:, other].max() - new[:, other].max(),
            ]
            for step in (after, before):
                for start in flush:
                    pair = (start, step) if across else (step, start)
                    offsets.append(np.array(pair) @ axes)
        return np.round(offsets)

    def _sample_offsets(
        self, rng: np.random.Generator, outline: np.ndarray, surface: Surface
    ) -> np.ndarray:
        """(n, 2) whole offsets that put the outline's middle somewhere on a surface."""
        tries = self._settings.PLACEMENT_TRIES
        chosen = rng.integers(0, len(surface.cells), tries)
        y, x = np.divmod(surface.cells[chosen], len(surface.mask))
        points = np.stack([x, y], 1) * CELL + rng.integers(0, CELL, (tries, 2))
        middle = (outline.min(0) + outline.max(0)) / 2
        # What would leave the image is moved back to its border.
        low, high = np.ceil(-outline.min(0)), np.floor(self.size - outline.max(0))
        return np.round(points - middle).clip(low, np.maximum(low, high))

    def _sample_offset(
        self,
        rng: np.random.Generator,
        outline: np.ndarray,
        offsets: np.ndarray,
        surface: Surface,
        margin: float,
    ) -> np.ndarray | None:
        """One of the offsets: within the image, off the blocks, by softmax one that is calm."""
        low, high = outline.min(0) + offsets, outline.max(0) + offsets
        free = np.flatnonzero((low >= 0).all(1) & (high <= self.size).all(1))
        free = free[self._apart(outline, offsets[free], margin)]
        if not len(free):
            return None
        offsets, low, high = offsets[free], low[free], high[free]
        calm = self._settings.SURFACE_COST * (1 - _mean(surface.inside, low, high))
        calm = self.busyness(low, high) + calm
        if surface is self.everywhere:  # a place chosen without regard to what is there
            calm = np.zeros(len(offsets))
        weights = np.exp((calm.min() - calm) / self._settings.PLACEMENT_TEMPERATURE)
        return offsets[rng.choice(len(offsets), p=weights / weights.sum())]

    def busyness(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """How much goes on in some boxes of the image.

        Params:
            low, high: (n, 2) px, their top left and bottom right corners.

        Returns:
            (n,) float64, mean gradient in grey levels a cell; strong edges count more.
        """
        return _mean(self._busyness, low, high)

    def _apart(self, outline: np.ndarray, offsets: np.ndarray, margin: float) -> np.ndarray:
        """(n,) bool: whether the outline at each offset keeps `margin` px from all blocks, seen
        along a side of one of the two convex hulls (the separating axis theorem)."""
        own, normals = _hull(outline)
        apart = np.ones(len(offsets), bool)
        for block, block_normals in self._blocks:
            axes = np.concatenate([normals, block_normals])
            mine, other = own @ axes.T, block @ axes.T  # (points, axes)
            moved = offsets @ axes.T
            gaps = np.maximum(
                moved + mine.min(0) - other.max(0), other.min(0) - moved - mine.max(0)
            )
            apart &= gaps.max(1) > margin
        return apart


def segment(small: np.ndarray) -> list[np.ndarray]:
    """Find the calm surfaces of an image: at most MOST_SURFACES parts whose colour changes slowly,
    none below SMALLEST_SURFACE.

    Params:
        small: (n, n, 3) uint8 RGB, a pixel a cell.

    Returns:
        masks (n, n) uint8 of 0 and 1, the largest first.
    """
    cells = small.shape[0]
    coarse = max(4, cells // COARSE)
    smooth = cv2.resize(small, (coarse, coarse), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(smooth, (3, 3), 0)
    steps = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    calm = cv2.inRange(steps, (0, 0, 0), (SAME_SURFACE - 1,) * 3) & 1
    calm = cv2.morphologyEx(calm, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(calm, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")[:MOST_SURFACES]
    masks = [np.uint8(labels == k + 1) for k in order if areas[k] >= SMALLEST_SURFACE * coarse**2]
    return [cv2.resize(m, (cells, cells), interpolation=cv2.INTER_NEAREST) for m in masks]


def _direction(settings: GeneratorSettings, mask: np.ndarray, tensor: np.ndarray) -> float | None:
    """Radians from the horizontal of the lines on a surface and at its rim; None when they have no
    common direction or lean too far to read along.

    tensor: (n, n, 3) float32, the structure tensor: the gradient's dx * dx, dy * dy and dx * dy.
    """
    near = cv2.dilate(mask, np.ones((5, 5), np.uint8))
    xx, yy, xy, _ = cv2.mean(tensor, near)
    if np.hypot(xx - yy, 2 * xy) < settings.LINE_COHERENCE * (xx + yy + 1e-3):
        return None
    across = np.arctan2(2 * xy, xx - yy) / 2
    lean = (across + np.pi / 4) % (np.pi / 2) - np.pi / 4  # lines may run along or across the text
    return float(lean) if abs(lean) <= np.deg2rad(settings.LARGEST_LEAN) else None


def _hull(outline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An outline's convex hull (k, 2), and the unit normals (k, 2) of its sides."""
    hull = cv2.convexHull(np.float32(outline))[:, 0].astype(np.float64)
    sides = np.roll(hull, -1, 0) - hull
    lengths = np.linalg.norm(sides, axis=1, keepdims=True)
    return hull, np.stack([-sides[:, 1], sides[:, 0]], 1) / np.maximum(lengths, 1e-9)


def _mean(integral: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Means of a grid, given as its integral image, over boxes (n, 2), (n, 2) in px."""
    cells = len(integral) - 1
    x0, y0 = np.floor(low / CELL).astype(int).clip(0, cells - 1).T
    x1, y1 = np.ceil(high / CELL).astype(int).clip(1, cells).T
    x1, y1 = np.maximum(x1, x0 + 1), np.maximum(y1, y0 + 1)
    total = integral[y1, x1] - integral[y0, x1] - integral[y1, x0] + integral[y0, x0]
    return total / ((x1 - x0) * (y1 - y0))
