"""Character quads to the character and affinity heatmaps of CRAFT (Baek et al., CVPR 2019).

Drawn from the final quads, after every warp: exact, and cheaper than warping maps. Coordinates are
continuous (a pixel's centre is at +0.5, see data/triplets.py).

A pixel's Gaussian depends on u * u + v * v, where (u, v) = (U / W, V / W) is the place in the patch
that a homography takes the pixel's centre to; U, V and W are linear in x and y. U * U + V * V is
therefore a polynomial of degree 2, which two small matrix products evaluate for all pixels of many
patches at once; patches of about the same size go through together.
"""

import functools

import cv2
import numpy as np

from textdet.common.gaussian import GAUSSIAN_ENLARGE, GAUSSIAN_SIGMA

STEP = 8  # px, patches whose sides agree when rounded up to it are drawn together
BLOCK = 1 << 15  # px evaluated at once: the working arrays stay in the processor's cache
FALL = 0.125 / GAUSSIAN_SIGMA**2  # how far the Gaussian's logarithm falls from centre to circle
PEAK = float(np.log(255))  # logarithm of the centre's value in a file
RIM = 255 * float(np.exp(-FALL))  # value at the circle where the patch is cut
HORIZON = 1e-6  # W there; it is 1 at the patch's centre and negative behind the camera


def draw_heatmaps(words: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """Draw both maps of an image.

    Quads over the border are clipped; quads without area are left out.

    Params:
        words: one (n, 4, 2) array of character quads a word, as they stand beside each other; the
            neighbours in it are linked by an affinity quad.
        width, height: px.

    Returns:
        (2, height, width) uint8, 0..255 for 0..1: the character map, then the affinity map.
    """
    words = [np.asarray(quads).reshape(-1, 4, 2) for quads in words if len(quads)]
    maps = np.zeros((2, height + STEP, width + STEP), np.uint8)
    if words:
        quads = np.concatenate(words)
        linked = np.ones(len(quads), bool)
        linked[np.cumsum([len(word) for word in words]) - 1] = False  # last one of its word
        links = affinity_quads(quads)[linked[:-1]]
        draw_gaussians(
            maps, np.concatenate([quads, links]), np.arange(2).repeat([len(quads), len(links)])
        )
    return np.ascontiguousarray(maps[:, :height, :width])


def affinity_quads(quads: np.ndarray) -> np.ndarray:
    """The affinity quads between neighbouring characters of one word.

    Corners are the centroids of the upper and the lower triangle that a character's diagonals cut
    from its quad, for both characters.

    Params:
        quads: (n, 4, 2), as they stand beside each other.

    Returns:
        (n - 1, 4, 2) float32.
    """
    quads = np.asarray(quads, np.float32).reshape(-1, 4, 2)
    centre = quads.mean(1)
    upper = (quads[:, 0] + quads[:, 1] + centre) / 3
    lower = (quads[:, 2] + quads[:, 3] + centre) / 3
    return np.stack([upper[:-1], upper[1:], lower[1:], lower[:-1]], 1)


def draw_gaussians(maps: np.ndarray, quads: np.ndarray, which: np.ndarray) -> None:
    """Draw a Gaussian for each quad, keeping the larger value where two meet.

    A patch is isotropic, peak 1, sigma GAUSSIAN_SIGMA of its side, cut at its inscribed circle;
    its square is mapped by a homography onto the quad enlarged about its centre. Evaluated at each
    pixel's centre.

    Params:
        maps: (m, H + STEP, W + STEP) uint8, drawn into in place; the last STEP rows and columns are
            scratch.
        quads: (n, 4, 2).
        which: (n,) the map that each is drawn into.
    """
    quads = np.asarray(quads, np.float64)
    centre = quads.mean(1, keepdims=True)
    patches = centre + (quads - centre) * GAUSSIAN_ENLARGE
    low = np.floor(patches.min(1)).clip(0)
    high = np.ceil(patches.max(1)).clip(None, (maps.shape[2] - STEP, maps.shape[1] - STEP))
    sides = np.ceil((high - low) / STEP) * STEP
    to_square, sound = _quads_to_square(patches - (low + sides / 2)[:, None])
    keep = np.flatnonzero(sound & (high > low).all(1))
    low, sides, which = low[keep].astype(int), sides[keep].astype(int), which[keep]
    logarithm, depth, parallel = _polynomials(to_square[:, :, keep])

    # Patches of one size and kind are evaluated together. A whole number tells width, height and
    # kind: quicker to sort than three, and no side comes near 2 ** 20 px.
    alike = (sides[:, 0] * (1 << 20) + sides[:, 1]) * 2 + parallel
    order = np.argsort(alike, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(alike[order])) + 1) if len(order) else ():
        w, h = sides[group[0]]
        for start in range(0, len(group), count := max(1, BLOCK // (w * h))):
            part = group[start : start + count]
            values = _evaluate(logarithm[:, part], w, h)
            if not parallel[part[0]]:
                distance = np.maximum(_evaluate(depth[:, part], w, h), HORIZON)
                values /= distance * distance
                values += PEAK
            np.exp(values, out=values)
            cv2.threshold(values, RIM, 0, cv2.THRESH_TOZERO, dst=values)
            patch = cv2.convertScaleAbs(values).reshape(h, len(part), w)
            places = zip(which[part].tolist(), low[part].tolist(), strict=True)
            for k, (channel, (left, top)) in enumerate(places):
                region = maps[channel, top : top + h, left : left + w]
                cv2.max(region, patch[:, k], region)


def _polynomials(to_square: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What _evaluate needs for n homographies, (3, 3, n).

    Returns -FALL * (U * U + V * V), (3, n, 3), plus PEAK where W is 1 everywhere; W, (2, n, 2);
    and whether it is, (n,) bool.
    """
    (a, b, c), (d, e, f), (g, h, i) = to_square
    none = np.zeros_like(a)
    square = -FALL * np.array(
        [
            [c * c + f * f, 2 * (a * c + d * f), a * a + d * d],
            [2 * (b * c + e * f), 2 * (a * b + d * e), none],
            [b * b + e * e, none, none],
        ]
    )
    parallel = (g == 0) & (h == 0)
    square[0, 0, parallel] += PEAK
    depth = np.array([[i, g], [h, none]])
    return (
        square.transpose(0, 2, 1).astype(np.float32),
        depth.transpose(0, 2, 1).astype(np.float32),
        parallel,
    )


def _evaluate(coefficients: np.ndarray, width: int, height: int) -> np.ndarray:
    """n polynomials at the pixel centres of a (height, width) patch, measured from its middle.

    coefficients: (k, n, k), of y ** row * x ** column. Returns (height * n, width) float32.
    """
    degree = len(coefficients)
    by_row = _powers(height)[:degree].T @ coefficients.reshape(degree, -1)
    return by_row.reshape(-1, degree) @ _powers(width)[:degree]


@functools.lru_cache(maxsize=256)
def _powers(count: int) -> np.ndarray:
    x = np.arange(count, dtype=np.float32) + np.float32(0.5 - count / 2)
    return np.stack([np.ones_like(x), x, x * x])


def _quads_to_square(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Homographies that take n quads (n, 4, 2) to the square (-1, -1) .. (1, 1).

    Returns (3, 3, n), scaled so that W is 1 at the quad's centre, and (n,) bool: False where the
    quad is degenerate. The unit square's map onto a quad in closed form (Heckbert 1989), inverted.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = np.moveaxis(quads, 0, -1)
    area = (x2 - x0) * (y3 - y1) - (x3 - x1) * (y2 - y0)
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    determinant = dx1 * dy2 - dx2 * dy1
    sound = (abs(area) >= 1e-3) & (abs(determinant) >= 1e-6)
    determinant = np.where(sound, determinant, 1)
    g, h = (dx3 * dy2 - dx2 * dy3) / determinant, (dx1 * dy3 - dx3 * dy1) / determinant
    parallelogram = (abs(g) < 1e-6) & (abs(h) < 1e-6)  # up to rounding
    g, h = np.where(parallelogram, 0, g), np.where(parallelogram, 0, h)
    a, b, c = x1 - x0 + g * x1, x3 - x0 + h * x3, x0
    d, e, f = y1 - y0 + g * y1, y3 - y0 + h * y3, y0
    # The adjugate is the inverse up to scale.
    adjugate = np.array(
        [
            [e - f * h, c * h - b, b * f - c * e],
            [f * g - d, a - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    adjugate[:2] = 2 * adjugate[:2] - adjugate[2]  # from the unit square to (-1, -1) .. (1, 1)
    x, y = quads.mean(1).T
    w = adjugate[2, 0] * x + adjugate[2, 1] * y + adjugate[2, 2]
    sound &= abs(w) > 1e-12
    return adjugate / np.where(sound, w, 1), sound
