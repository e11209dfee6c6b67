"""Character quads to the character and affinity heatmaps of CRAFT (Baek et al., CVPR 2019).

Drawn from the final quads, after every warp: exact, and cheaper than warping maps. Coordinates are
continuous (a pixel's centre is at +0.5, see dataset_utils.py).
"""

import numpy as np

from static.constants import GAUSSIAN_ENLARGE, GAUSSIAN_SIGMA


def draw_heatmaps(words: list[np.ndarray], width: int, height: int) -> np.ndarray:
    """Draw both maps of an image.

    words: one (n, 4, 2) array of character quads a word, in reading order; the neighbours in it
        are linked by an affinity quad.
    Returns (2, height, width) uint8, 0..255 for 0..1: the character map, then the affinity map.
    Quads over the border are clipped; quads without area are left out.
    """
    maps = np.zeros((2, height, width), np.uint8)
    for quads in words:
        for quad in quads:
            draw_gaussian(maps[0], quad)
        for quad in affinity_quads(quads):
            draw_gaussian(maps[1], quad)
    return maps


def affinity_quads(quads: np.ndarray) -> np.ndarray:
    """The affinity quads between neighbouring characters of one word: (n, 4, 2) -> (n - 1, 4, 2).

    Corners are the centroids of the upper and the lower triangle that a character's diagonals cut
    from its quad, for both characters.
    """
    quads = np.asarray(quads, np.float32).reshape(-1, 4, 2)
    centre = quads.mean(1)
    upper = (quads[:, 0] + quads[:, 1] + centre) / 3
    lower = (quads[:, 2] + quads[:, 3] + centre) / 3
    return np.stack([upper[:-1], upper[1:], lower[1:], lower[:-1]], 1)


def draw_gaussian(heatmap: np.ndarray, quad: np.ndarray) -> None:
    """Draw one Gaussian into `heatmap` (H, W) uint8 in place, keeping the larger value.

    The patch is isotropic, peak 1, sigma GAUSSIAN_SIGMA of its side, cut at its inscribed circle;
    its square is mapped by a homography onto the quad enlarged about its centre. Evaluated at each
    pixel's centre.
    """
    height, width = heatmap.shape
    quad = np.asarray(quad, np.float64)
    centre = quad.mean(0)
    patch = centre + (quad - centre) * GAUSSIAN_ENLARGE
    left, top = np.floor(patch.min(0)).astype(int)
    right, bottom = np.ceil(patch.max(0)).astype(int)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    to_square = _quad_to_square(patch - (left + 0.5, top + 0.5))
    if left >= right or top >= bottom or to_square is None:
        return
    x = np.arange(right - left, dtype=np.float32)
    y = np.arange(bottom - top, dtype=np.float32)[:, None]
    (a, b, c), (d, e, f), (g, h, i) = to_square.astype(np.float32)
    u, v = (a * x + c) + b * y, (d * x + f) + e * y
    if g or h:
        w = (g * x + i) + h * y
        w[w <= 0] = np.inf  # beyond the horizon
        u, v = u / w, v / w
    distance = u * u + v * v  # of the patch's centre, in units of its half side, squared
    values = np.exp(distance * (-0.125 / GAUSSIAN_SIGMA**2))
    values[distance > 1] = 0
    region = heatmap[top:bottom, left:right]
    np.maximum(region, (values * 255 + 0.5).astype(np.uint8), out=region)


def _quad_to_square(quad: np.ndarray) -> np.ndarray | None:
    """Homography that takes `quad` (4, 2) to the square (-1, -1) .. (1, 1); None if degenerate.

    The unit square's map onto a quad in closed form (Heckbert 1989), inverted.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    area = (x2 - x0) * (y3 - y1) - (x3 - x1) * (y2 - y0)
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    determinant = dx1 * dy2 - dx2 * dy1
    if abs(area) < 1e-3 or abs(determinant) < 1e-6:
        return None
    g, h = (dx3 * dy2 - dx2 * dy3) / determinant, (dx1 * dy3 - dx3 * dy1) / determinant
    if abs(g) < 1e-6 and abs(h) < 1e-6:
        g = h = 0.0  # a parallelogram, up to rounding
    a, b, c = x1 - x0 + g * x1, x3 - x0 + h * x3, x0
    d, e, f = y1 - y0 + g * y1, y3 - y0 + h * y3, y0
    # The adjugate is the inverse up to scale; the scale is chosen so that w is 1 at the centre.
    adjugate = np.array(
        [
            [e - f * h, c * h - b, b * f - c * e],
            [f * g - d, a - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    from_unit = np.array([[2.0, 0, -1], [0, 2, -1], [0, 0, 1]])
    inverse = from_unit @ adjugate
    centre_w = inverse[2] @ np.append(quad.mean(0), 1)
    return inverse / centre_w if abs(centre_w) > 1e-12 else None
