"""Quads, polygons, homographies and tiles.

Coordinates are continuous, y down: pixel (column i, row j) covers [i, i + 1) x [j, j + 1), so its
centre is (i + 0.5, j + 0.5).
"""

import cv2
import numpy as np
import shapely

CENTRE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's pixel centres to continuous
FROM_CENTRE = np.linalg.inv(CENTRE)
MAX_CROSSING = 100  # corners; to untangle an outline of more takes minutes
TIED_CORNERS = 0.01  # px; two corners whose x + y differ by less are equally good starts


# --- Homographies: (3, 3), of continuous coordinates ----------------------------------------


def translation(x: float, y: float) -> np.ndarray:
    """Homography (3, 3) float64 that moves points by (x, y) px."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def scaling(x: float, y: float | None = None) -> np.ndarray:
    """Homography (3, 3) float64 that scales points about the origin.

    Params:
        x, y: times; y is the same as x when None.
    """
    return np.diag([x, x if y is None else y, 1.0])


def map_points(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points by a homography.

    Params:
        homography: (3, 3).
        points: (..., 2), continuous coordinates, px.

    Returns:
        (..., 2) float32.
    """
    points = np.asarray(points, np.float64)
    mapped = points @ homography[:2, :2].T + homography[:2, 2]
    w = points @ homography[2, :2] + homography[2, 2]
    return (mapped / w[..., None]).astype(np.float32)


def map_pixels(homography: np.ndarray, pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Warp an image by a homography of its points, with bilinear interpolation.

    Params:
        homography: (3, 3), from the image to the result, of continuous coordinates.
        pixels: (H, W) or (H, W, C), uint8 or float32.
        width, height: px of the result.

    Returns:
        (height, width) or (height, width, C); 0 where nothing of the image lies.
    """
    matrix = FROM_CENTRE @ homography @ CENTRE
    return cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)


# --- Quads and polygons ----------------------------------------------------------------------


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Corners (4, 2) float64 of an upright box, clockwise from its top left one.

    Params:
        left, top, right, bottom: its sides, px; each two may have changed places.
    """
    (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def side_lengths(quads: np.ndarray) -> np.ndarray:
    """Measure the sides of quads.

    Params:
        quads: (..., 4, 2), px.

    Returns:
        (..., 4) px, from each corner to the next.
    """
    return np.linalg.norm(np.roll(quads, -1, axis=-2) - quads, axis=-1)


def directions(vectors: np.ndarray) -> np.ndarray:
    """Bring vectors (..., 2) to length 1; those of no length stay so."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def arc_lengths(line: np.ndarray) -> np.ndarray:
    """How far along a polyline (k, 2) each of its points lies: (k,) px, 0 for the first."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    return np.append(0, np.cumsum(steps))


def fill_polygon(mask: np.ndarray, polygon: np.ndarray, value: int) -> None:
    """Fill a polygon in a mask, in place.

    Params:
        mask: (H, W) uint8.
        polygon: (K, 2), px; taken to 1/16 px.
        value: 0..255.
    """
    corners = np.round((polygon - 0.5) * 16).astype(np.int32)  # from the pixels' centres
    cv2.fillPoly(mask, [corners], value, shift=4)


def outline_of_cells(quads: np.ndarray) -> np.ndarray:
    """Outline of a word from its characters: their tops, then their bottoms back.

    Params:
        quads: (n, 4, 2) px, in reading order.

    Returns:
        (4n, 2) px.
    """
    return np.concatenate([quads[:, :2].reshape(-1, 2), quads[::-1, 2:].reshape(-1, 2)])


def quad_size(quad: np.ndarray) -> tuple[float, float]:
    """Measure a quad.

    Params:
        quad: (4, 2) px, clockwise from the top left.

    Returns:
        its width and its height, px: the mean of the sides 0-1 and 2-3, and that of 1-2 and 3-0.
    """
    lengths = side_lengths(quad)
    return (lengths[0] + lengths[2]) / 2, (lengths[1] + lengths[3]) / 2


def start_at_top_left(quads: np.ndarray) -> np.ndarray:
    """Turn the corners of quads, in their order, to start at the smallest x + y.

    OpenCV 4 and 5 start elsewhere. Two corners tie in a rectangle at 45 degrees; then the one
    whose next side is the longer, so that the first side runs along the word.

    Params:
        quads: (N, 4, 2) px.

    Returns:
        (N, 4, 2), a copy of the same dtype.
    """
    sums = quads.sum(axis=2)
    is_start = sums <= sums.min(axis=1, keepdims=True) + TIED_CORNERS
    start = np.where(is_start, side_lengths(quads), -1).argmax(axis=1)
    order = (start[:, None] + np.arange(4)) % 4
    return np.take_along_axis(quads, order[:, :, None], axis=1)


def start_along_line(quad: np.ndarray) -> np.ndarray:
    """Let the first side of a word's quad run along its line, where it clearly does not.

    Tools that know no reading direction, and people who click corners, begin at any of them. A
    short first side that leads up, down or to the left is no line of letters. A long one may be:
    text on its side, or upside down.

    Params:
        quad: (4, 2) px, clockwise.

    Returns:
        (4, 2), from another corner, or as it is.
    """
    along, across = side_lengths(quad[None])[0, :2]
    right, down = quad[1] - quad[0]
    if along < across and right <= abs(down):
        return start_at_top_left(quad[None])[0]
    return quad


def signed_area(polygon: np.ndarray) -> float:
    """Area of a polygon.

    Params:
        polygon: (k, 2) px, y down.

    Returns:
        px^2, positive where the polygon runs clockwise in the image.
    """
    polygon = np.asarray(polygon, np.float64)
    near = (polygon - polygon[0]).astype(np.float32)  # small numbers lose less by the rounding
    return cv2.contourArea(near, oriented=True)


def opened(polygon: np.ndarray) -> np.ndarray:
    """A polygon (k, 2) without a last point that is its first again, as shapely and maps have it:
    a quad of five points would have neither four corners nor two sides."""
    return polygon[:-1] if len(polygon) > 3 and (polygon[0] == polygon[-1]).all() else polygon


def clockwise(polygon: np.ndarray) -> np.ndarray:
    """A polygon (k, 2), from the same corner, the way round that is clockwise in the image."""
    return np.roll(polygon[::-1], 1, axis=0) if signed_area(polygon) < 0 else polygon


def without_crossings(polygons: np.ndarray) -> np.ndarray:
    """Outlines that do not cross themselves.

    Params:
        polygons: (n,) shapely polygons.

    Returns:
        (n,): a polygon that crosses itself in the parts that it encloses; one with more than
        MAX_CROSSING corners as its convex hull.
    """
    polygons, crossing = polygons.copy(), ~shapely.is_valid(polygons)
    many = crossing & (shapely.get_num_coordinates(polygons) > MAX_CROSSING)
    polygons[many] = shapely.convex_hull(polygons[many])
    few = crossing & ~many
    # "structure" keeps the result polygonal, which intersections need.
    polygons[few] = shapely.make_valid(polygons[few], method="structure", keep_collapsed=False)
    return polygons


def part_inside(polygon: np.ndarray, width: float, height: float) -> np.ndarray | None:
    """The part of a polygon within an image, the largest of several.

    Params:
        polygon: (k, 2) px; it may cross itself.
        width, height: px, of the image.

    Returns:
        (k, 2) float32, clockwise, from its corner nearest to the polygon's first one; None where
        there is none.
    """
    (outline,) = without_crossings(np.array([shapely.Polygon(polygon)]))
    parts = shapely.get_parts(shapely.intersection(outline, shapely.box(0, 0, width, height)))
    largest = max(parts, key=shapely.area, default=None)
    if largest is None or not largest.area:
        return None
    return clockwise_from(polygon[0], largest)


def clockwise_from(start: np.ndarray, shape: shapely.Polygon) -> np.ndarray:
    """The outline of a shape.

    Params:
        start: (2,) px.
        shape: in px, y down.

    Returns:
        (k, 2) float32, clockwise, from its corner nearest to `start`.
    """
    # Against the clock where y points up is clockwise where it points down.
    outline = shapely.orient_polygons(shape, exterior_cw=False).exterior
    points = shapely.get_coordinates(outline)[:-1]
    first = np.linalg.norm(points - start, axis=1).argmin()
    return np.roll(points, -first, axis=0).astype(np.float32)


# --- Tiles -----------------------------------------------------------------------------------


def tile_starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles of `side` px begin that cover `length` px, evenly spaced.

    Params:
        length, side: px.
        overlap: px by which neighbours overlap at least, less than `side`.

    Returns:
        one start per tile, ascending from 0; only [0] when one tile covers the length.
    """
    if length <= side:
        return [0]
    number = -(-(length - overlap) // (side - overlap))
    return [round(i * (length - side) / (number - 1)) for i in range(number)]
