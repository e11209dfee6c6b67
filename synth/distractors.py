"""Things that are not text but look a little like it: strokes, rows and grids of strong contrast.

Each function draws one of them into `image` (size, size, 3) uint8 RGB, in place, with its corner at
(x, y) and about (w, h) px large, in two colours.
"""

import cv2
import numpy as np


def draw_distractors(rng: np.random.Generator, image: np.ndarray, count: int) -> None:
    """Draw `count` random ones anywhere in `image`, in place."""
    size = image.shape[0]
    for _ in range(count):
        x, y = (int(v) for v in rng.integers(-size // 8, size, 2))
        w, h = (int(v) for v in np.exp(rng.uniform(np.log(12), np.log(size * 0.7), 2)))
        first, second = _two_colours(rng)
        KINDS[rng.integers(len(KINDS))](rng, image, x, y, w, h, first, second)


def _two_colours(rng: np.random.Generator) -> tuple[tuple, tuple]:
    """Muted colours, one dark and one light, in either order."""
    dark = rng.uniform(0, 110) + rng.normal(0, 18, 3)
    light = rng.uniform(130, 255) + rng.normal(0, 18, 3)
    pair = [tuple(int(v) for v in colour.clip(0, 255)) for colour in (dark, light)]
    return (pair[0], pair[1]) if rng.random() < 0.5 else (pair[1], pair[0])


def _lines(rng, image, x, y, w, h, first, second):
    for _ in range(rng.integers(1, 5)):
        a, b = rng.uniform((x, y), (x + w, y + h), (2, 2)).astype(int).tolist()
        cv2.line(image, a, b, first, int(rng.integers(1, 6)), cv2.LINE_AA)


def _box(rng, image, x, y, w, h, first, second):
    cv2.rectangle(image, (x, y), (x + w, y + h), first, -1)
    cv2.rectangle(image, (x, y), (x + w, y + h), second, int(rng.integers(1, 6)))


def _disc(rng, image, x, y, w, h, first, second):
    """A disc, a ring, a traffic sign without writing or a wheel with spokes."""
    radius = max(3, min(w, h) // 2)
    cv2.circle(image, (x, y), radius, first, -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), radius, second, max(1, radius // 6), cv2.LINE_AA)
    if rng.random() < 0.5:
        for angle in np.arange(rng.integers(3, 9)) * np.pi / rng.integers(3, 6):
            end = np.array([np.cos(angle), np.sin(angle)]) * radius + (x, y)
            cv2.line(image, (x, y), end.astype(int).tolist(), second, max(1, radius // 9))


def _fence(rng, image, x, y, w, h, first, second):
    """Upright or lying bars: a fence, a radiator, a bar code, stripes."""
    step, upright = int(rng.integers(4, 30)), rng.random() < 0.7
    for k in range(0, w if upright else h, step):
        bar = max(1, int(step * rng.uniform(0.15, 0.7)))
        if upright:
            cv2.rectangle(image, (x + k, y), (x + k + bar - 1, y + h), first, -1)
        else:
            cv2.rectangle(image, (x, y + k), (x + w, y + k + bar - 1), first, -1)
    if rng.random() < 0.4:
        cv2.rectangle(image, (x, y), (x + w, y + h), first, max(1, step // 5))


def _windows(rng, image, x, y, w, h, first, second):
    """Panes in rows, with frames and bars."""
    pane = int(rng.integers(8, 60))
    gap = max(2, int(pane * rng.uniform(0.1, 0.8)))
    tall = int(pane * rng.uniform(0.7, 2))
    for j in range(y, y + h, tall + gap):
        for i in range(x, x + w, pane + gap):
            cv2.rectangle(image, (i, j), (i + pane, j + tall), first, -1)
            cv2.rectangle(image, (i, j), (i + pane, j + tall), second, max(1, pane // 12))
            cv2.line(image, (i + pane // 2, j), (i + pane // 2, j + tall), second)
            cv2.line(image, (i, j + tall // 2), (i + pane, j + tall // 2), second)


def _bricks(rng, image, x, y, w, h, first, second):
    cv2.rectangle(image, (x, y), (x + w, y + h), first, -1)
    high = int(rng.integers(5, 24))
    for row, j in enumerate(range(y, y + h, high)):
        cv2.line(image, (x, j), (x + w, j), second)
        for i in range(x + (row % 2) * high, x + w, 2 * high):
            cv2.line(image, (i, j), (i, min(j + high, y + h)), second)


def _foliage(rng, image, x, y, w, h, first, second):
    """Leaves against the sky, flowers, gravel: specks in a patch with a rough rim."""
    x0, y0 = max(x, 0), max(y, 0)
    region = image[y0 : y + 2 * h, x0 : x + 2 * w]
    if min(region.shape[:2]) < 8:
        return
    fine, coarse = (_noise(rng, region.shape[:2], grain) for grain in (rng.integers(1, 5), 12))
    rim = np.linspace(-1, 1, region.shape[0])[:, None] ** 2
    rim = rim + np.linspace(-1, 1, region.shape[1]) ** 2
    patch = rim + 0.3 * coarse < 0.8
    light = patch & (fine + 0.8 * coarse > rng.uniform(0, 1.8))
    shade = rng.uniform(5, 30) * _noise(rng, region.shape[:2], 3)[..., None]
    for mask, colour in ((patch, first), (light, second)):
        region[mask] = (np.float32(colour) + shade)[mask].clip(0, 255)


def _noise(rng, shape, grain) -> np.ndarray:
    """(h, w) float32 smooth noise of about unit deviation, its specks about `grain` px large."""
    small = rng.standard_normal((shape[0] // grain + 2, shape[1] // grain + 2), np.float32)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _arrow(rng, image, x, y, w, h, first, second):
    thick = max(2, min(w, h) // 8)
    cv2.arrowedLine(image, (x, y), (x + w, y + h), first, thick, cv2.LINE_AA, 0, 0.3)


def _row(rng, image, x, y, w, h, first, second):
    """Small equal shapes in a row: lamps, rivets, chairs, people far away."""
    side = int(rng.integers(3, 26))
    step = side + int(rng.integers(2, 2 + side))
    kind = rng.integers(3)
    for i in range(x, x + w, step):
        j = y + int(rng.integers(0, 3))
        if kind == 0:
            cv2.circle(image, (i, j), side // 2, first, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(image, (i, j), (i + side, j + side), first, -1)
        else:
            cv2.ellipse(image, (i, j), (side // 3 + 1, side), 0, 0, 360, first, -1, cv2.LINE_AA)


def _hatching(rng, image, x, y, w, h, first, second):
    """Slanted strokes, sometimes in both directions."""
    step, slant = int(rng.integers(4, 20)), int(rng.integers(-h, h + 1))
    for k in range(0, w, step):
        cv2.line(image, (x + k, y), (x + k + slant, y + h), first, 1, cv2.LINE_AA)
        if w % 2:
            cv2.line(image, (x + k + slant, y), (x + k, y + h), first, 1, cv2.LINE_AA)


KINDS = (
    _lines,
    _box,
    _disc,
    _fence,
    _windows,
    _bricks,
    _foliage,
    _foliage,
    _arrow,
    _row,
    _hatching,
)
