"""Geometry: where the text's own plane lies in the image, for points and for pixels alike.

A Warp is a chain of bends (curve, elastic) within the plane and one homography of the plane.
Parameters are drawn once; points go forwards, pixels are fetched backwards through the same map, in
a single interpolation. Coordinates are continuous, y down (a pixel's centre is at +0.5).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from textdet.common.geometry import map_pixels, map_points
from textdet.common.stage_times import stage
from textdet.data.annotation import Word, with_points
from textdet.synth.bends import Curve, Elastic
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import within_one
from textdet.synth.typeset import enclosing_outline

STEP = 4  # px; the backward map of bent text is computed this often, and linear in between


@dataclass(frozen=True)
class Warp:
    """The map of a layer into the image, of continuous coordinates.

    Params:
        homography: (3, 3), px to px; it comes after the bends.
        bends: in their order.
    """

    homography: np.ndarray
    bends: tuple[Curve | Elastic, ...] = ()

    def points(self, points: np.ndarray) -> np.ndarray:
        """Map points.

        Params:
            points: (..., 2) px of the layer.

        Returns:
            (..., 2) float32, px of the image.
        """
        return map_points(self.homography, self._bent(points))

    def depths(self, points: np.ndarray) -> np.ndarray:
        """How far from the camera points of the layer are, times the distance of the plane's
        origin; from 0 down they are behind it, and points() means nothing there.

        Params:
            points: (..., 2) px of the layer.

        Returns:
            (...) float64.
        """
        return self._bent(points) @ self.homography[2, :2] + self.homography[2, 2]

    def _bent(self, points: np.ndarray) -> np.ndarray:
        for bend in self.bends:
            points = bend.points(points)
        return points

    @stage("warping")
    def pixels(self, pixels: np.ndarray, width: int, height: int) -> np.ndarray:
        """Warp the layer's pixels, with bilinear interpolation.

        Params:
            pixels: (H, W) uint8.
            width, height: px of the result.

        Returns:
            (height, width) uint8; 0 where nothing of the layer lies.
        """
        if not self.bends:
            return map_pixels(self.homography, pixels, width, height)
        # One node beyond each border, so that the interpolation needs no extrapolation.
        columns, rows = -(-width // STEP) + 2, -(-height // STEP) + 2
        nodes = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1)
        nodes = map_points(np.linalg.inv(self.homography), (nodes - 0.5) * STEP)
        for bend in reversed(self.bends):
            nodes = bend.sources(nodes)
        nodes = (nodes - 0.5).astype(np.float32)
        dense = cv2.resize(nodes, (columns * STEP, rows * STEP), interpolation=cv2.INTER_LINEAR)
        dense = dense[STEP : STEP + height, STEP : STEP + width]
        return cv2.remap(pixels, dense, None, cv2.INTER_LINEAR)

    def then(self, homography: np.ndarray) -> "Warp":
        """This map followed by a homography (3, 3)."""
        return Warp(homography @ self.homography, self.bends)


@stage("warping")
def map_words(warp: Warp | np.ndarray, words: list[Word]) -> list[Word]:
    """Words with all their points mapped.

    Params:
        warp: a Warp, or a homography (3, 3).
        words: in the continuous coordinates that it maps from.

    Returns:
        new words; after a bend, the polygon is that around the mapped characters.
    """
    warp = warp if isinstance(warp, Warp) else Warp(warp)
    if not words:
        return []
    quads = np.concatenate([word.quads for word in words])
    polygons = np.concatenate([word.polygon for word in words])
    mapped = warp.points(np.concatenate([quads.reshape(-1, 2), polygons]))
    cells = 4 * len(quads)
    result = with_points(words, mapped[:cells].reshape(-1, 4, 2), mapped[cells:])
    for word in result if warp.bends else ():
        word.polygon = enclosing_outline(word.text, word.quads)
    return result


def plane_homography(roll: float, yaw: float, pitch: float, focal: float) -> np.ndarray:
    """Homography of a plane through the origin, turned in space, seen by a pinhole camera.

    The origin stays where it is, and so does the scale there.

    Params:
        roll, yaw, pitch: radians, clockwise in the image, about the vertical, about the horizontal
            axis.
        focal: px.

    Returns:
        (3, 3).
    """
    cr, sr, cy, sy, cp, sp = (f(a) for a in (roll, yaw, pitch) for f in (np.cos, np.sin))
    turn = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    rotation = about_y @ about_x @ turn
    (a, b), (c, d), (e, f) = rotation[:, :2]
    return np.array([[a, b, 0], [c, d, 0], [e / focal, f / focal, 1]])


def sample_roll(rng: np.random.Generator, settings: GeneratorSettings) -> float:
    """A block's rotation in its plane: radians, clockwise."""
    chances = {
        "whole": settings.ANY_ROTATION_PROBABILITY,
        "large": settings.LARGE_ROTATION_PROBABILITY,
        "sideways": settings.SIDEWAYS_PROBABILITY,
    }
    whole, large, sideways = np.cumsum([*within_one(chances).values()])
    kind = rng.random()
    if kind < whole:
        degrees = rng.uniform(-180, 180)
    elif kind < large:
        degrees = rng.uniform(*settings.LARGE_ROTATION)
    else:
        degrees = rng.uniform(*settings.SMALL_ROTATION)
        if kind < sideways:
            degrees += rng.choice([-90, 90])
    return np.deg2rad(degrees)
