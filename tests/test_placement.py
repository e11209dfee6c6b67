"""Where blocks go: inside, apart, on calm single surfaces, near each other, in one plane."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import shapely

from textdet.common.geometry import map_points
from textdet.data.annotation import Word
from textdet.synth import blocks
from textdet.synth import placement as module
from textdet.synth.placement import Placement, segment
from textdet.synth.settings import GeneratorSettings
from textdet.synth.typeset import TextLayer
from textdet.synth.warps import plane_homography

DEFAULTS = GeneratorSettings()


def quad(rng, largest=90):
    w, h, angle = rng.uniform(10, largest), rng.uniform(8, 40), rng.uniform(0, 360)
    return cv2.boxPoints(((0, 0), (w, h), angle))


def place(rng, placement, spot, outline, margin=4.0):
    """Where the block went, (k, 2) px; None when there was no place for it."""
    offset = placement.find(rng, spot, outline, margin)
    if offset is None:
        return None
    placement.take(outline + offset)
    return outline + offset


def two_halves():
    """Left half calm, right half noise."""
    rng = np.random.default_rng(0)
    image = np.full((256, 256, 3), 120, np.uint8)
    image[:, 128:] = np.kron(rng.integers(0, 256, (32, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return image


def test_blocks_stay_inside_and_apart():
    rng = np.random.default_rng(2)
    for _ in range(10):
        placement, blocks = Placement(rng, DEFAULTS, np.full((256, 256, 3), 128, np.uint8)), []
        spot = placed = None
        for k in range(30):
            outline = quad(rng)
            if placed is not None and k % 2:
                spot = placement.spot_beside(spot, placed)
            else:
                spot = placement.sample_spot(rng, 900)
            placed = place(rng, placement, spot, outline)
            if placed is None:
                continue
            assert (placed >= 0).all() and (placed <= 256).all()
            assert np.ptp(placed - outline, axis=0) == pytest.approx(0, abs=1e-4)
            block = shapely.Polygon(placed)
            # Neighbours are closer to each other than blocks that were placed freely.
            assert all(block.distance(other) > 0.2 * 4 - 1e-3 for other in blocks)
            blocks.append(block)
        assert sum(block.area for block in blocks) > 0.1 * 256**2


def test_the_margin_is_kept():
    rng = np.random.default_rng(5)
    placement, blocks = Placement(rng, DEFAULTS, np.full((200, 200, 3), 128, np.uint8)), []
    for _ in range(40):
        spot = placement.sample_spot(rng, 500)
        placed = place(rng, placement, spot, quad(rng, 40), margin=9.0)
        if placed is not None:
            block = shapely.Polygon(placed)
            assert all(block.distance(other) >= 9 - 1e-3 for other in blocks)
            blocks.append(block)
    assert len(blocks) > 5


def test_too_large_finds_no_place():
    rng = np.random.default_rng(0)
    placement = Placement(rng, DEFAULTS, np.zeros((128, 128, 3), np.uint8))
    spot = placement.sample_spot(rng, 1e6)
    large = np.float32([(0, 0), (200, 0), (200, 20), (0, 20)])
    assert placement.find(rng, spot, large, 2.0) is None


@pytest.mark.parametrize(("clutter", "low", "high"), [(0.0, 0.9, 1.0), (1.0, 0.2, 0.8)])
def test_calm_places_are_preferred_unless_turned_off(clutter, low, high):
    settings = DEFAULTS.changed(CLUTTER_PROBABILITY=clutter)
    rng, calm = np.random.default_rng(1), []
    outline = np.float32([(0, 0), (50, 0), (50, 20), (0, 20)])
    for _ in range(60):
        placement = Placement(rng, settings, two_halves())
        spot = placement.sample_spot(rng, 1000)
        offset = placement.find(rng, spot, outline, 2.0)
        calm.append(offset[0] + 50 <= 132)
    assert low <= np.mean(calm) <= high


def test_segments_follow_edges_and_are_bounded():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :20], image[:, 20:44], image[:, 44:] = (200, 0, 0), (0, 180, 0), (10, 10, 250)
    masks = segment(image)
    assert len(masks) == 3
    for mask in masks:
        assert len(np.unique(image[mask > 0], axis=0)) == 1 and mask.sum() > 500
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(segment(noise)) <= module.MOST_SURFACES
    squares = np.kron(np.random.default_rng(1).integers(0, 256, (5, 5, 3)), np.ones((24, 24, 1)))
    assert 3 <= len(segment(squares.astype(np.uint8))) <= module.MOST_SURFACES
    assert segment(np.full((5, 5, 3), 9, np.uint8))[0].all()


def test_neighbours_stand_close_in_one_plane():
    rng = np.random.default_rng(4)
    rectangle, gaps = np.float32([(0, 0), (60, 0), (60, 20), (0, 20)]), []
    for _ in range(30):
        placement = Placement(rng, DEFAULTS, np.full((256, 256, 3), 128, np.uint8))
        first = placement.sample_spot(rng, 1200)
        outline = map_points(placement.plane(first), rectangle)
        placed = place(rng, placement, first, outline)
        assert placed is not None
        second = placement.spot_beside(first, placed)
        assert (placement.plane(second) == placement.plane(first)).all()
        beside = place(rng, placement, second, outline)
        if beside is not None:
            blocks = [shapely.Polygon(outline) for outline in (placed, beside)]
            gaps.append(blocks[0].distance(blocks[1]))
    assert len(gaps) > 20 and np.median(gaps) < 4 * DEFAULTS.NEIGHBOUR_GAP[1] + 1


def test_text_runs_along_the_lines_of_its_surface():
    settings = DEFAULTS.changed(FOLLOW_PROBABILITY=1, OWN_ROLL_PROBABILITY=0, CLUTTER_PROBABILITY=0)
    image = np.full((256, 256, 3), 150, np.uint8)
    for k in range(-200, 300, 64):
        cv2.line(image, (0, k), (256, k + round(256 * np.tan(np.deg2rad(12)))), (40, 40, 40), 3)
    rng = np.random.default_rng(0)
    placement = Placement(rng, settings, image)
    spots = [placement.sample_spot(rng, 100) for _ in range(40)]
    assert len({id(spot.surface) for spot in spots}) > 1
    for spot in spots:
        assert np.rad2deg(spot.roll) == pytest.approx(12, abs=3)


@pytest.mark.parametrize("length", [200, 900, 4000])
def test_long_text_on_a_tilted_plane_stays_before_the_camera(length):
    """Its far end would else be mapped to the wrong side, and with it its labels."""
    frame = np.float32([(0, 0), (length, 0), (length, 40), (0, 40)])
    quads = np.stack([frame * (0.01, 1) + (x, 0) for x in np.linspace(0, length * 0.99, 100)])
    word = Word("x" * 100, ["x"] * 100, np.float32(quads), frame)
    layer = TextLayer(np.full((40, length), 255, np.uint8), [word], 30, frame)
    settings = DEFAULTS.changed(SMALLEST_SHRINK=1.0, MIN_CHARACTER_SIDE=0, MIN_FONT_SIZE=0)
    plane = plane_homography(0.1, np.deg2rad(60), 0.0, focal=300)
    placement = SimpleNamespace(
        plane=lambda spot: plane, size=512, softness=0.0, find=lambda *_: (256, 256)
    )
    rng = np.random.default_rng(0)
    warp, outline, style = blocks._fit(rng, settings, placement, None, layer, 32.0, None)
    assert warp.depths(frame).min() >= 0.09
    corners = shapely.Polygon(outline)
    assert corners.is_valid and corners.exterior.is_ccw == shapely.Polygon(frame).exterior.is_ccw
    limit = settings.LARGEST_BLOCK * 512 + 2 * (style.plate_padding + 3)
    assert np.ptp(outline, axis=0).max() < 1.3 * limit
    if length == 200:  # what fits is left as it is
        assert style.em == 32.0


def test_a_plate_stays_before_the_camera():
    """Else its outline was folded: the block was put anywhere, words lay outside of the image."""
    frame = np.float32([(0, 0), (200, 0), (200, 40), (0, 40)])
    word = Word("x", ["x"], frame[None], frame)
    layer = TextLayer(np.full((40, 200), 255, np.uint8), [word], 30, frame)
    settings = DEFAULTS.changed(
        PLATE_PROBABILITY=1, PLATE_PADDING=(0.6, 0.6), SMALLEST_SHRINK=0.05, MIN_FONT_SIZE=0
    )
    plane = plane_homography(0.0, np.deg2rad(80), 0.0, focal=51)
    placement = SimpleNamespace(
        plane=lambda spot: plane, size=512, softness=0.0, find=lambda *_: (256, 256)
    )
    rng = np.random.default_rng(0)
    _, outline, _ = blocks._fit(rng, settings, placement, None, layer, 32.0, None)
    corners = shapely.Polygon(outline)
    assert corners.is_valid and corners.exterior.is_ccw == shapely.Polygon(frame).exterior.is_ccw


def test_one_camera_for_all_planes():
    """Parallel lines of one plane meet in one vanishing point, whichever surface they are seen on:
    f tan(yaw) off the image's centre."""
    focal, yaw = 500.0, 0.5
    for shift in ((0, 0), (80, -60), (-100, 30)):
        mask = np.ones((4, 4), np.uint8)
        surface = module.Surface(mask, yaw, 0.0, np.array(shift, float))
        plane = surface.plane(0.0, focal)
        far = map_points(plane, np.array([(0.0, 0.0), (-1e9, 0.0), (-1e9, 40.0)])) + shift
        assert far[0] == pytest.approx(shift)
        assert far[1] == pytest.approx((-focal / np.tan(yaw), 0), rel=1e-3, abs=0.5) or far[
            1
        ] == pytest.approx((focal / np.tan(yaw), 0), rel=1e-3, abs=0.5)
        assert far[2] == pytest.approx(far[1], abs=0.5)


def test_no_plane_is_seen_from_behind():
    """Text on it was mirrored: a wall at the side that turns away from a wide-angle camera."""
    settings = DEFAULTS.changed(FOCAL_LENGTH=(0.3, 0.3), TILT=(-60, 60), TILT_PROBABILITY=1)
    image = np.full((128, 128, 3), 50, np.uint8)
    image[:, 40:] = 200
    surfaces = 0
    for seed in range(20):
        placement = Placement(np.random.default_rng(seed), settings, image)
        for surface in placement.surfaces:
            assert np.linalg.det(surface.plane(0.0, placement.focal)) > 0
            surfaces += 1
    assert surfaces == 40


def test_same_seed_same_places():
    found = []
    for _ in range(2):
        rng = np.random.default_rng(9)
        placement = Placement(rng, DEFAULTS, two_halves())
        spots = [placement.sample_spot(rng, 800) for _ in range(5)]
        found.append([placement.find(rng, spot, quad(rng), 3.0) for spot in spots])
    assert found[0] == found[1]
