"""Ink on paper that is not text: rules, strokes by hand, ticks, the frames of stamps.

Each function draws into `ink`, (h, w) uint8 coverage, in place. Points are (x, y) in px.
"""

import cv2
import numpy as np

SHIFT = 4  # bits of OpenCV's sub-pixel coordinates
Point = tuple[float, float] | np.ndarray


def draw_rule(
    rng: np.random.Generator,
    ink: np.ndarray,
    start: Point,
    end: Point,
    level: int,
    thick: int = 1,
    style: str = "solid",
) -> None:
    """Draw a line; nothing where it is shorter than 2 px.

    Params:
        level: 0..255, its coverage.
        thick: px; the size of dots is sampled.
        style: solid, dashed or dotted.
    """
    start, end = np.array(start, float), np.array(end, float)
    length = np.linalg.norm(end - start)
    if length < 2:
        return
    if style == "solid":
        cv2.line(ink, start.astype(int).tolist(), end.astype(int).tolist(), level, thick)
        return
    dot = int(rng.integers(1, max(4, thick + 2)))
    thick = dot if style == "dotted" else thick
    mark = dot if style == "dotted" else int(rng.integers(3, 13))
    pitch = mark + int(rng.integers(2, 9))
    along = (end - start) / length
    first = start + along * np.arange(0, length - mark, pitch)[:, None]
    dashes = np.stack([first, first + along * (mark - 1)], 1).astype(np.int32)
    cv2.polylines(ink, list(dashes), False, level, thick)


def draw_scribble(rng: np.random.Generator, ink: np.ndarray, centre: Point, half: Point) -> None:
    """Draw a stroke by hand, like a signature without letters.

    Params:
        half: (x, y) px, how far it reaches from its centre at most.
    """
    count = int(rng.integers(6, 16))
    across = np.linspace(-0.9, 0.9, count) + rng.normal(0, 0.12, count)
    knots = np.stack([across, rng.uniform(-1, 1, count)], 1).astype(np.float32)
    # A cubic resize of the knots is a smooth curve through their neighbourhood.
    curve = cv2.resize(knots, (2, count * 10), interpolation=cv2.INTER_CUBIC)
    points = centre + curve.clip(-1, 1) * half
    points = np.round(points * 2**SHIFT).astype(np.int32)
    level, thick = int(rng.integers(130, 256)), int(rng.integers(1, 3))
    cv2.polylines(ink, [points], False, level, thick, cv2.LINE_AA, SHIFT)


def draw_tick(rng: np.random.Generator, ink: np.ndarray, centre: Point, side: float) -> None:
    """Draw a tick or a cross.

    Params:
        side: px, about its height and width.
    """
    centre, level = np.array(centre), int(rng.integers(150, 256))
    shape = [(-0.5, 0), (-0.1, 0.45), (0.6, -0.6)]
    if rng.random() < 0.5:
        shape = [(-0.45, -0.45), (0.45, 0.45), (0, 0), (0.45, -0.45), (-0.45, 0.45)]
    points = centre + (np.array(shape) + rng.normal(0, 0.07, (len(shape), 2))) * side
    points = np.round(points * 2**SHIFT).astype(np.int32)
    cv2.polylines(ink, [points], False, level, int(rng.integers(1, 3)), cv2.LINE_AA, SHIFT)


def draw_stamp_frame(
    rng: np.random.Generator,
    ink: np.ndarray,
    centre: Point,
    extent: Point,
    degrees: float,
    is_round: bool,
) -> None:
    """Draw one or two rings, or a frame.

    Params:
        extent: (width, height) px.
        degrees: its rotation, clockwise.
        is_round: a ring, else a rectangle.
    """
    level, thick = int(rng.integers(150, 256)), int(rng.integers(1, 4))
    for grow in (0, 6) if rng.random() < 0.5 else (0,):
        width, height = extent[0] + grow, extent[1] + grow
        if is_round:
            axes = (int(width / 2), int(height / 2))
            middle = (int(centre[0]), int(centre[1]))
            cv2.ellipse(ink, middle, axes, degrees, 0, 360, level, thick, cv2.LINE_AA)
        else:
            box = cv2.boxPoints(
                ((float(centre[0]), float(centre[1])), (float(width), float(height)), degrees)
            )
            points = np.round(box * 2**SHIFT).astype(np.int32)
            cv2.polylines(ink, [points], True, level, thick, cv2.LINE_AA, SHIFT)


def draw_hole(
    rng: np.random.Generator, ink: np.ndarray, centre: Point, radius: float, crescent: bool
) -> None:
    """Draw a punched hole as a copier shows it.

    Params:
        radius: px.
        crescent: only its shadowed rim, else a dark disc.
    """
    centre, level = np.asarray(centre), int(rng.integers(150, 256))
    hole = np.zeros_like(ink)
    for middle, inked in ((centre, level), (centre + radius * rng.uniform(0.3, 0.6, 2), 0)):
        at = np.round(middle * 2**SHIFT).astype(int).tolist()
        cv2.circle(hole, at, round(radius * 2**SHIFT), inked, -1, cv2.LINE_AA, SHIFT)
        if not crescent:
            break
    np.maximum(ink, hole, out=ink)


def draw_shade(rng: np.random.Generator, ink: np.ndarray, start: Point, end: Point) -> None:
    """Draw a field of light grey: flat, or in the dots of a printer.

    Params:
        start, end: its top left and bottom right corners.
    """
    (x0, y0), (x1, y1) = (np.asarray(corner).astype(int) for corner in (start, end))
    field = ink[y0:y1, x0:x1]
    if rng.random() < 0.5:
        field[:] = rng.integers(20, 60)
        return
    step, level = int(rng.integers(2, 5)), int(rng.integers(60, 160))
    field[::step, ::step] = level
    field[step // 2 :: step, step // 2 :: step] = level
