"""Homographies of points and pixels.

Coordinates are continuous, y down: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), so its
centre is (i + 0.5, j + 0.5).
"""

import cv2
import numpy as np

CENTRE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's pixel centres to continuous
FROM_CENTRE = np.linalg.inv(CENTRE)


def translation(x: float, y: float) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def scaling(x: float, y: float | None = None) -> np.ndarray:
    """y: the same as x when None."""
    return np.diag([x, x if y is None else y, 1.0])


def map_points(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points (..., 2) in continuous coordinates; float32 of the same shape."""
    points = np.asarray(points, np.float64)
    mapped = points @ homography[:2, :2].T + homography[:2, 2]
    w = points @ homography[2, :2] + homography[2, 2]
    return (mapped / w[..., None]).astype(np.float32)


def map_pixels(homography: np.ndarray, pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Warp an image by the same homography into (height, width); outside is 0."""
    matrix = FROM_CENTRE @ homography @ CENTRE
    return cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)
