"""Bends of a text's plane: guide curves and elastic waves, in both directions.

`points` goes from the flat layer to the bent plane, `sources` back. Both are one-to-one on the
layer: a curve's radius is much larger than the text is high, and an elastic map's slope is below
0.5. Lengths in px of the layer, coordinates continuous, y down.
"""

from dataclasses import dataclass

import numpy as np

from textdet.synth.settings import GeneratorSettings

POINTS = 257  # of a guide curve, as it is stored
STARTS = 49  # of these points, tried as the foot of a point before Newton's steps
NEWTON_STEPS = 4
INVERSE_STEPS = 14  # of the fixed point iteration, whose error at least halves in each


@dataclass(frozen=True)
class Curve:
    """A guide curve: the layer's line y = origin[1] laid along it, x as its arc length.

    Beyond its ends the curve goes on straight.

    Params:
        origin: x and y of the curve's middle, px of the layer.
        s: (POINTS,) arc length from the middle, px.
        angle: (POINTS,) the tangent's direction there, radians, clockwise.
        line: (POINTS, 2) the curve, px.
    """

    origin: tuple[float, float]
    s: np.ndarray
    angle: np.ndarray
    line: np.ndarray

    def points(self, points: np.ndarray) -> np.ndarray:
        """Map points from the flat layer to the bent plane.

        Params:
            points: (..., 2) px of the layer.

        Returns:
            (..., 2) float64, px of the bent plane.
        """
        along, down = np.moveaxis(np.asarray(points, np.float64) - self.origin, -1, 0)
        foot, tangent, normal = self.frame(along)
        return foot + normal * down[..., None]

    def sources(self, points: np.ndarray) -> np.ndarray:
        """Map points from the bent plane back to the flat layer.

        The foot of the perpendicular on the curve: the nearest of some of its points first,
        then Newton's steps.

        Params:
            points: (..., 2) px of the bent plane.

        Returns:
            (..., 2) float64, px of the layer.
        """
        points = np.asarray(points, np.float64)
        step = (POINTS - 1) // (STARTS - 1)
        starts = self.line[::step]
        # |p - g|^2 without |p|^2, which is the same for every start
        distance = (starts**2).sum(1) - 2 * points @ starts.T
        along = self.s[::step][distance.argmin(-1)]
        for _ in range(NEWTON_STEPS):
            foot, tangent, normal = self.frame(along)
            apart = points - foot
            slope = 1 - self.curvature(along) * (apart * normal).sum(-1)
            along = along + (apart * tangent).sum(-1) / np.maximum(slope, 0.3)
        foot, _, normal = self.frame(along)
        down = ((points - foot) * normal).sum(-1)
        return np.stack([along, down], -1) + self.origin

    def frame(self, along: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The curve's points and directions at some arc lengths.

        Params:
            along: (...) px from the curve's middle; beyond its ends too.

        Returns:
            the points, px, their unit tangents and their unit normals (downwards), each (..., 2).
        """
        inside = along.clip(self.s[0], self.s[-1])
        angle = np.interp(inside, self.s, self.angle)
        tangent = np.stack([np.cos(angle), np.sin(angle)], -1)
        normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
        foot = np.stack([np.interp(inside, self.s, axis) for axis in self.line.T], -1)
        return foot + tangent * (along - inside)[..., None], tangent, normal

    def curvature(self, along: np.ndarray) -> np.ndarray:
        """How sharply the curve turns at some arc lengths.

        Params:
            along: (...) px from the curve's middle.

        Returns:
            (...) 1/px, positive where it turns clockwise (downwards); 0 beyond its ends.
        """
        slope = np.gradient(self.angle, self.s)
        return np.interp(along, self.s, slope, left=0, right=0)


def sample_curve(
    rng: np.random.Generator,
    settings: GeneratorSettings,
    origin: tuple[float, float],
    length: float,
    reach: float,
) -> Curve:
    """A random guide curve: arc, wave or free, its directions evenly about the horizontal.

    Curvature * reach stays below CURVE_BEND, and the total turn within CURVE_TURN: no letter stands
    upside down.

    Params:
        origin: x and y of the curve's middle, px of the layer.
        length: px of arc.
        reach: px, how far the text extends from the line.
    """
    s = np.linspace(-0.5, 0.5, POINTS)
    kind = rng.integers(3)
    if kind == 0:  # arc: the direction changes evenly
        angle = s * rng.choice([-1, 1])
    elif kind == 1:  # wave
        angle = np.sin(
            2 * np.pi * rng.uniform(*settings.CURVE_WAVES) * s + rng.uniform(0, 2 * np.pi)
        )
    else:
        phases = rng.uniform(0, 2 * np.pi, 3)
        angle = sum(np.cos(np.pi * k * s + p) * rng.normal() / k for k, p in enumerate(phases, 1))
    turn = np.deg2rad(rng.uniform(*settings.CURVE_TURN)) / np.ptp(angle)
    bend = settings.CURVE_BEND * length / reach / np.abs(np.gradient(angle, s)).max()
    angle = angle * min(turn, bend)
    angle -= (angle.max() + angle.min()) / 2
    s = s * length
    # The integral of the tangent; the trapezoid rule is exact to curvature^2 * step^2 / 12.
    tangent = np.stack([np.cos(angle), np.sin(angle)], 1)
    line = np.cumsum((tangent[1:] + tangent[:-1]) / 2 * np.diff(s)[:, None], 0)
    line = np.vstack([np.zeros(2), line])
    return Curve(origin, s, angle, line - line[POINTS // 2] + origin)


@dataclass(frozen=True)
class Elastic:
    """A sum of plane waves: the bent plane's point q shows the layer's point q + d(q).

    Params:
        amplitudes: (k, 2) px.
        waves: (k, 2) radians a px.
        phases: (k,) radians.
    """

    amplitudes: np.ndarray
    waves: np.ndarray
    phases: np.ndarray

    def points(self, points: np.ndarray) -> np.ndarray:
        """Map points from the flat layer to the bent plane.

        Params:
            points: (..., 2) px of the layer.

        Returns:
            (..., 2) float64, px of the bent plane.
        """
        points = np.asarray(points, np.float64)
        bent = points
        for _ in range(INVERSE_STEPS):
            bent = points - self._shift(bent)
        return bent

    def sources(self, points: np.ndarray) -> np.ndarray:
        """Map points from the bent plane back to the flat layer.

        Params:
            points: (..., 2) px of the bent plane.

        Returns:
            (..., 2) float64, px of the layer.
        """
        return points + self._shift(np.asarray(points, np.float64))

    def _shift(self, points: np.ndarray) -> np.ndarray:
        return np.sin(points @ self.waves.T + self.phases) @ self.amplitudes

    @property
    def slope(self) -> float:
        """An upper bound of the displacement's Jacobian (spectral norm)."""
        norms = np.linalg.norm(self.amplitudes, axis=1) * np.linalg.norm(self.waves, axis=1)
        return float(norms.sum())


def sample_elastic(rng: np.random.Generator, settings: GeneratorSettings, em: float) -> Elastic:
    """Random waves in all directions, weakened where their slope would exceed ELASTIC_SLOPE.

    Params:
        em: px of the layer.
    """
    count = settings.ELASTIC_WAVES
    directions = rng.uniform(0, 2 * np.pi, (2, count))
    shifts, waves = (np.stack([np.cos(a), np.sin(a)], 1) for a in directions)
    shifts = shifts * rng.uniform(*settings.ELASTIC_AMPLITUDE, (count, 1)) * em
    waves = waves * (2 * np.pi / (rng.uniform(*settings.ELASTIC_WAVELENGTH, (count, 1)) * em))
    elastic = Elastic(shifts, waves, rng.uniform(0, 2 * np.pi, count))
    excess = max(1.0, elastic.slope / settings.ELASTIC_SLOPE)
    return Elastic(shifts / excess, waves, elastic.phases)
