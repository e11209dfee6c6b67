"""detect.py: geometry with a stand-in for the network, files with a real one of random weights."""

import argparse
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from conftest import ROOT, assert_refused, run_well
from PIL import Image
from shapes import curved_quads

import detect
from textdet.common.errors import DataError
from textdet.common.files import shortened
from textdet.common.image_inputs import Page, find_images
from textdet.data.heatmaps import draw_heatmaps
from textdet.decoding.decode import add_margin, decode_maps, take_large_words
from textdet.decoding.metrics import polygon_ious
from textdet.decoding.settings import SETTINGS, DetectionSettings, save_settings
from textdet.network.detector import TextDetector
from textdet.network.flags import take_variants
from textdet.network.model_files import ModelFiles
from textdet.network.result_files import free_name, is_result
from textdet.network.runtimes import STRIDE
from textdet.network.tiles import tile_spans

SUFFIXES = ("jpg", "json", "txt")


class BrightnessDetector(TextDetector):
    """The picture's brightness stands in for the character map, pixel by pixel."""

    def __init__(self, long_side=640, tiles=False, batch_size=1, second_scale=0.0):
        self.settings = DetectionSettings(long_side=long_side, second_scale=second_scale)
        self.tiles, self.batch_size, self.inputs = tiles, batch_size, []
        self.poly = self.characters = False
        self.channel_order = "rgb"
        self.files = ModelFiles(Path("weights"), Path("model"), is_craft=False)

    def run(self, batch):
        assert batch.shape[1] % STRIDE == batch.shape[2] % STRIDE == 0
        self.inputs.append(batch.shape)
        maps = np.zeros((len(batch), 2, *batch.shape[1:3]), np.uint8)
        maps[:, 0] = batch[..., 0]
        return maps


def picture(width, height, *boxes):
    image = np.zeros((height, width, 3), np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 255
    return image


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize(
    ("width", "height"), [(640, 640), (640, 480), (333, 777), (1001, 301), (1280, 900), (200, 90)]
)
def test_words_come_back_where_they_are(width, height, tiles):
    boxes = [(20, 16, 120, 40), (width - 90, height - 44, width - 30, height - 18)]
    detector = BrightnessDetector(tiles=tiles)
    result = detector(picture(width, height, *boxes))
    assert (result.width, result.height) == (width, height)
    assert len(result.words) == len(boxes)
    scale = result.maps.shape[2] / width
    for word, (x0, y0, x1, y1) in zip(result.words, boxes, strict=True):
        # low_text 0.4 is met at 0.812 of a Gaussian cell's height: the decoder may add the rest.
        grown = min(x1 - x0, y1 - y0) * (1 / 0.812 - 1)
        centre, side = word.quad.mean(axis=0), np.ptp(word.quad, axis=0)
        np.testing.assert_allclose(centre, [(x0 + x1) / 2, (y0 + y1) / 2], atol=1)
        added = side - (x1 - x0, y1 - y0)
        assert (-1.5 / scale <= added).all() and (added <= grown + 1.5 / scale).all()
        assert word.score > 0.95


class CloseUpDetector(BrightnessDetector):
    """Sees nothing of what is 61 px high or higher in its input, as if it were a wall."""

    def run(self, batch):
        maps = super().run(batch)
        for pair in maps:
            pair[0] = cv2.morphologyEx(pair[0], cv2.MORPH_TOPHAT, np.ones((61, 61)))
        return maps


@pytest.mark.parametrize("tiles", [False, True])
def test_large_words_come_from_a_second_smaller_view(tiles):
    image = picture(640, 480, (60, 60, 360, 160), (400, 300, 480, 320), (80, 350, 220, 400))
    once, twice = (CloseUpDetector(640, tiles, second_scale=second) for second in (0.0, 0.5))
    assert [len(detector(image).words) for detector in (once, twice)] == [2, 3]
    large = max(twice(image).words, key=lambda word: np.ptp(word.quad[:, 1]))
    np.testing.assert_allclose(large.quad.mean(axis=0), [210, 110], atol=1.5)
    before, after = once.predict([image])[0], twice.predict([image])[0]
    # Elsewhere the first view counts, to the pixel.
    np.testing.assert_array_equal(after[:, 200:], before[:, 200:])
    # An image that is small already is seen once.
    small = cv2.resize(image, (300, 225), interpolation=cv2.INTER_AREA)
    once, twice = (CloseUpDetector(1280, second_scale=second) for second in (0.0, 0.5))
    np.testing.assert_array_equal(once.predict([small])[0], twice.predict([small])[0])
    assert len(twice.inputs) == 1


def bright_maps(height, width, *boxes):
    return np.stack([picture(width, height, *boxes)[..., 0], np.zeros((height, width), np.uint8)])


def test_a_large_word_in_pieces_becomes_one():
    pieces = [(x, 40, x + 40, 140) for x in range(40, 340, 60)]
    line, low = (40, 180, 140, 200), (200, 180, 300, 230)
    ours = bright_maps(300, 400, *pieces, line)
    smaller = bright_maps(150, 200, (20, 20, 180, 70), tuple(v // 2 for v in low))
    take_large_words(ours, smaller)
    found = decode_maps(ours, DetectionSettings()).boxes
    assert len(found) == 2  # the low word of the smaller view alone is not taken
    centres = sorted(found.mean(axis=1).tolist(), key=lambda centre: centre[1])
    np.testing.assert_allclose(centres, [(200, 90), (90, 190)], atol=1.5)


def test_lines_that_run_together_in_the_smaller_view_stay_apart():
    """As the paragraphs of a form do at 0.4 times its size."""
    lines = [(40, y, 340, y + 16) for y in (40, 70, 100)]
    ours = bright_maps(300, 400, *lines)
    before = ours.copy()
    take_large_words(ours, bright_maps(150, 200, (20, 20, 170, 58)))
    np.testing.assert_array_equal(ours, before)
    # A single small word, as a reflection in a letter, does not keep a large one out.
    ours = bright_maps(300, 400, lines[0])
    take_large_words(ours, bright_maps(150, 200, (20, 20, 170, 58)))
    box = decode_maps(ours, DetectionSettings()).boxes
    np.testing.assert_allclose(box.mean(axis=1), [(190, 78)], atol=1.5)


def test_a_large_word_that_is_hardly_seen_is_not_taken():
    smaller = bright_maps(150, 200, (20, 20, 170, 58))
    for brightest, taken in ((0.85, 0), (0.95, 1)):
        ours = bright_maps(300, 400)
        take_large_words(ours, (smaller * brightest).astype(np.uint8))
        assert len(decode_maps(ours, DetectionSettings()).boxes) == taken


@pytest.mark.parametrize("angle", [0, 25, 90])
def test_a_margin_moves_every_side_out(angle):
    """As shapely's buffer with mitred corners does."""
    turn = np.deg2rad(angle)
    turn = np.float32([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    box = np.float32([(0, 0), (60, 0), (60, 20), (0, 20)]) @ turn + 80
    upright = np.float32([(5, 5), (15, 5), (15, 95), (5, 95)])
    grown = add_margin(np.stack([box, upright]), 2)
    for before, after in zip((box, upright), grown, strict=True):
        expected = shapely.Polygon(before).buffer(2, join_style="mitre")
        assert shapely.Polygon(after).symmetric_difference(expected).area < 0.01
        np.testing.assert_allclose(np.linalg.norm(after - before, axis=1), 2 * 2**0.5, 1e-4)
    # A ring's quarter grows by the same on all sides, its ends included.
    angles = np.linspace(0, np.pi / 2, 40)
    circle = np.stack([-np.cos(angles), -np.sin(angles)], axis=1)
    ring = np.concatenate([circle * 100, (circle * 80)[::-1]]).astype(np.float32)
    (wider,) = add_margin(ring[None], 2)
    expected = shapely.Polygon(ring).buffer(2, join_style="mitre", mitre_limit=3)
    assert shapely.Polygon(wider).symmetric_difference(expected).area < 0.02 * expected.area
    np.testing.assert_array_equal(add_margin(ring[None], 0)[0], ring)
    assert add_margin(np.zeros((0, 4, 2), np.float32), 2).shape == (0, 4, 2)
    assert np.isfinite(add_margin(np.zeros((1, 4, 2), np.float32), 2)).all()


class HalfDetector(BrightnessDetector):
    """Its maps have half the size, as CRAFT's."""

    map_step = 2

    def runtime(self, batch):
        half = batch[:, ::2, ::2, 0].astype(np.float32) / 255
        return np.stack([half, 0 * half], 1)


@pytest.mark.parametrize("kind", [BrightnessDetector, HalfDetector])
def test_a_margin_is_added_to_what_is_found(kind):
    image = picture(640, 480, (100, 100, 200, 140))
    detector = kind()
    (tight,) = detector(image).words
    detector.settings = replace(detector.settings, box_margin=3)
    (loose,) = detector(image).words
    assert detector.scale(640, 480) == 1
    (grown,) = add_margin(tight.quad[None], 3)
    np.testing.assert_allclose(loose.quad, grown, atol=1e-3)
    np.testing.assert_allclose(
        np.ptp(loose.quad, axis=0), np.ptp(tight.quad, axis=0) + 6, rtol=1e-4
    )


class TwoMapsDetector(BrightnessDetector):
    """The second channel stands in for the affinity map."""

    def run(self, batch):
        maps = super().run(batch)
        maps[:, 1] = batch[..., 1]
        return maps


def test_polygons_and_characters_lie_on_the_image():
    """Which the network sees at half its size."""
    quads, band = curved_quads(9, 28, 48, 1.6, centre=(400, 300))
    maps = draw_heatmaps([quads], 800, 600)
    detector = TwoMapsDetector(long_side=400)
    detector.poly = detector.characters = True
    (word,) = detector(np.dstack([*maps, 0 * maps[0]])).words
    assert polygon_ious([word.polygon], [band])[0, 0] > 0.88
    assert np.diag(polygon_ious(list(word.characters), list(quads))).mean() > 0.85


def test_boxes_stay_within_the_image():
    image = picture(300, 200, (0, 0, 80, 30))
    cv2.line(image, (240, 199), (299, 150), (255, 255, 255), 12)  # its box reaches outside
    quads = np.stack([word.quad for word in BrightnessDetector()(image).words])
    assert len(quads) == 2 and quads.min() >= 0
    assert quads[..., 0].max() == 300 and quads[..., 1].max() == 200
    np.testing.assert_allclose(quads[0, 0], 0, atol=1)


@pytest.mark.parametrize(
    ("width", "height", "tiles", "expected"),
    [
        (1280, 720, False, (360, 640)),  # shrunk
        (500, 375, False, (480, 640)),  # enlarged
        (100, 50, False, (75, 150)),  # enlarged as far as it may
        (1280, 720, True, (720, 1280)),  # tiles keep the size
        (3, 900, False, (640, 2)),
    ],
)
def test_the_size_the_network_sees(width, height, tiles, expected):
    detector = BrightnessDetector(tiles=tiles)
    assert detector.predict([picture(width, height)])[0].shape[1:] == expected
    assert max(max(shape[1:3]) for shape in detector.inputs) <= 640


def test_tiles_give_the_same_maps_as_the_whole():
    image = np.random.default_rng(0).integers(0, 255, (700, 1900, 3), np.uint8)
    detector = BrightnessDetector(tiles=True)
    np.testing.assert_array_equal(detector.predict([image])[0][0], image[..., 0])
    assert len(detector.inputs) == 2 * 5


def test_batches_give_the_same_as_one_image_at_a_time():
    sizes = [(1280, 900), (640, 450), (300, 300), (1280, 900), (900, 1280), (640, 450)]
    images = [picture(*size, (20 + 9 * i, 16, 200, 60)) for i, size in enumerate(sizes)]
    for tiles in (False, True):
        alone, together = BrightnessDetector(tiles=tiles), BrightnessDetector(tiles=tiles)
        together.batch_size = 4
        for image, result in zip(images, together.detect(images), strict=True):
            expected = alone(image)
            np.testing.assert_array_equal(result.maps, expected.maps)
            assert (result.width, result.height) == image.shape[1::-1]
            np.testing.assert_array_equal(result.words[0].quad, expected.words[0].quad)
        assert max(shape[0] for shape in together.inputs) == 4
        assert sum(shape[0] for shape in together.inputs) == len(alone.inputs)
        assert len(together.inputs) < len(alone.inputs)


def test_words_come_in_reading_order_with_their_lines():
    boxes = [(280, 20, 380, 40), (20, 24, 120, 44), (140, 22, 260, 42), (20, 100, 120, 120)]
    result = BrightnessDetector()(picture(640, 300, *boxes))
    assert result.lines == [[0, 1, 2], [3]]
    left = [round(word.quad[:, 0].min(), -1) for word in result.words]
    assert left == [20, 140, 280, 20]


@pytest.mark.parametrize(
    "image",
    [
        np.full((1, 1, 3), 255, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 4000, 3), np.uint8),
        np.zeros((64, 64, 3), np.uint8),
    ],
)
@pytest.mark.parametrize("tiles", [False, True])
def test_images_of_one_pixel_or_one_colour_hold_no_words(image, tiles):
    result = BrightnessDetector(tiles=tiles)(image)
    assert result.words == [] and result.lines == []


@pytest.mark.parametrize(("length", "side"), [(1, 640), (640, 640), (641, 640), (5000, 640)])
def test_spans_cover_everything_once(length, side):
    spans = tile_spans(length, side)
    covered = np.zeros(length, int)
    for span, kept in spans:
        covered[kept] += 1
        assert 0 <= span.start <= kept.start < kept.stop <= span.stop <= length
        assert span.stop - span.start == min(side, length)
    assert (covered == 1).all()


def inputs_of_one_picture(tmp_path):
    """A grey picture in each form that a program may have it in."""
    rgb = picture(300, 200, (40, 40, 140, 80))
    Image.fromarray(rgb).save(tmp_path / "a.png")
    grey, alpha = Image.fromarray(rgb[..., 0]), np.full((200, 300, 1), 255, np.uint8)
    return {
        "array": rgb,
        "grey": rgb[..., 0],
        "one channel": rgb[..., :1],
        "alpha": np.concatenate([rgb, alpha], 2),
        "float": rgb.astype(np.float32) / 255,
        "double, grey": rgb[..., 0] / 255,
        "view": np.flipud(np.flipud(rgb)),
        "path": tmp_path / "a.png",
        "string": str(tmp_path / "a.png"),
        "Pillow": Image.fromarray(rgb),
        "Pillow, grey": grey,
        "Pillow, palette": grey.convert("P"),
        "Pillow, alpha": Image.fromarray(rgb).convert("RGBA"),
        "Pillow, alpha multiplied in": Image.fromarray(rgb).convert("RGBA").convert("RGBa"),
        "Pillow, grey likewise": grey.convert("LA").convert("La"),
    }


def test_an_image_may_come_as_a_file_an_array_or_pillows(tmp_path):
    images = inputs_of_one_picture(tmp_path)
    detector = BrightnessDetector(batch_size=2)
    expected = detector(images["array"])
    assert len(expected.words) == 1
    results = detector(list(images.values()))  # a list gives a list
    for name, result in zip(images, results, strict=True):
        np.testing.assert_array_equal(result.words[0].quad, expected.words[0].quad, name)
        np.testing.assert_array_equal(result.image, images["array"], name)
    assert detector([]) == []
    assert detector.maps(images["grey"]).image.shape == (200, 300, 3)


def test_channel_order_is_that_of_arrays_alone(tmp_path):
    red = np.zeros((64, 64, 3), np.uint8)
    red[20:40, 10:50, 0] = 255  # the stand-in takes the first channel for the character map
    blue = np.ascontiguousarray(red[..., ::-1])
    alpha = np.full((64, 64, 1), 255, np.uint8)
    Image.fromarray(red).save(tmp_path / "red.png")
    detector = BrightnessDetector()
    assert [len(detector(image).words) for image in (red, blue)] == [1, 0]
    detector.channel_order = "bgr"
    images = (red, blue, np.concatenate([blue, alpha], 2), Image.fromarray(red))
    assert [len(detector(image).words) for image in images] == [0, 1, 1, 1]
    assert len(detector(tmp_path / "red.png").words) == 1
    assert len(detector(cv2.imread(str(tmp_path / "red.png"))).words) == 1
    np.testing.assert_array_equal(detector(blue).image, red)
    with pytest.raises(ValueError, match="channel_order must be one of"):
        TextDetector(channel_order="BGR")


@pytest.mark.parametrize(
    ("image", "error", "said"),
    [
        (np.zeros((3, 8, 9), np.uint8), ValueError, r"must be .*, not \(3, 8, 9\)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, "must be"),
        (np.zeros((1, 8, 8, 3), np.uint8), ValueError, "must be"),
        (np.zeros((8, 8, 3), np.uint16), ValueError, "uint8, or float within 0..1, not .*uint16"),
        (np.full((8, 8, 3), 255.0), ValueError, r"within 0..1, not 255..255"),
        (np.full((8, 8), np.nan), ValueError, "within 0..1, not nan"),
        (Image.new("RGB", (0, 8)), ValueError, r"must have pixels, not size \(0, 8\)"),
        (None, TypeError, "a path, an array or a Pillow image, not .*None"),
        (b"photo.jpg", TypeError, "not .*bytes"),
    ],
)
def test_wrong_images_are_refused(image, error, said):
    detector = BrightnessDetector()
    for call in (detector, detector.maps):
        with pytest.raises(error, match=said):
            call(image)


def test_a_result_for_other_programs():
    detector = BrightnessDetector()
    image = picture(300, 200, (40, 40, 140, 80), (160, 100, 260, 130))
    result = detector(image)
    first, _ = result.words
    record = json.loads(json.dumps(result.to_json()))
    assert record["size"] == [300, 200] and record["lines"] == [[0], [1]]
    np.testing.assert_allclose(record["words"][0]["quad"], first.quad, atol=0.006)
    assert set(record["words"][0]) == {"quad", "polygon", "score"}
    corners = [[int(n) for n in line.split(",")] for line in result.to_icdar().splitlines()]
    np.testing.assert_array_equal(corners[0], np.rint(first.quad).ravel())
    first.polygon = np.float32([[40, 40], [90, 30], [140, 40], [140, 80], [90, 70], [40, 80]])
    found = result.to_coco(image_id=7)
    assert [(r["image_id"], r["category_id"]) for r in found] == [(7, 1)] * 2
    assert found[0]["bbox"] == [40, 30, 100, 50]
    assert found[0]["segmentation"] == [first.polygon.ravel().tolist()]
    assert found[0]["score"] == round(first.score, 3)
    drawn = result.draw()
    assert drawn.shape == image.shape and (drawn != image).any()
    assert not np.shares_memory(drawn, result.image)
    result.image = None
    with pytest.raises(ValueError, match="does not hold its image"):
        result.draw()


def test_settings_are_tried_on_maps_without_the_network():
    image = picture(700, 500, (100, 100, 200, 140), (400, 300, 500, 330))
    image[300:330, 400:500] //= 2  # a faint word
    detector = BrightnessDetector()
    maps, runs = detector.maps(image), len(detector.inputs)
    assert (maps.width, maps.height) == (700, 500)
    found = {t: detector.decode(maps, text_threshold=t, box_margin=2) for t in (0.45, 0.7)}
    assert [len(result.words) for result in found.values()] == [2, 1]
    assert len(detector.inputs) == runs and detector.settings.box_margin == 0
    detector.settings = replace(detector.settings, text_threshold=0.45, box_margin=2)
    for ours, theirs in zip(found[0.45].words, detector(image).words, strict=True):
        np.testing.assert_array_equal(ours.quad, theirs.quad)
    with pytest.raises(ValueError, match="text_threshold"):
        detector.decode(maps, text_threshold=2)
    with pytest.raises(ValueError, match="second_scale changes the maps"):
        detector.decode(maps, second_scale=0.5)
    same = detector.decode(maps, long_side=detector.settings.long_side)
    assert len(same.words) == 2


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"device": "cuda:0"}, ValueError, r"device must be one of \(.*\), not 'cuda:0'"),
        ({"runtime": "tensorrt"}, ValueError, "runtime must be one of .*, not 'tensorrt'"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, not 0"),
        ({"text_treshold": 0.5}, TypeError, "text_treshold"),
    ],
)
def test_wrong_arguments_of_a_detector_are_refused(given, error, said):
    with pytest.raises(error, match=said):
        TextDetector(**given)


def test_inputs_and_names(tmp_path):
    output = tmp_path / "output"
    for name in (
        "a/photo.jpg",
        "a/photo.png",
        "b/photo.jpg",
        "a/notes.txt",
        "a/deep/x.JPG",
        "a/._x.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def names(*inputs, recursive=False):
        inputs = [str(tmp_path / name) for name in inputs]
        paths, problems = find_images(inputs, recursive, output, is_result)
        return [str(path.relative_to(tmp_path)) for path in paths], len(problems)

    in_a = ["a/photo.jpg", "a/photo.png"]
    assert names("a") == (in_a, 0)
    assert names("a/*.jpg", "a", "b/photo.jpg", "none") == ([*in_a, "b/photo.jpg"], 1)
    assert names("a", recursive=True) == (["a/deep/x.JPG", *in_a], 0)
    with pytest.raises(DataError, match="no such file"):
        names("none", "none*")
    with pytest.raises(DataError, match="would be replaced"):
        find_images([str(tmp_path / "a")], False, tmp_path / "a", is_result)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="would be replaced"):
        find_images([str(tmp_path / "link/photo.jpg")], False, tmp_path / "b/../a", is_result)
    (tmp_path / "a/deep/loop").symlink_to(tmp_path / "a")
    assert len(names("a/**/*.*")[0]) == 4  # the loop leads to none that is new
    (tmp_path / "c").mkdir()
    (tmp_path / "c/disk").symlink_to(tmp_path / "a")
    behind = [f"c/disk/{name}" for name in ("deep/x.JPG", "photo.jpg", "photo.png")]
    assert names("c", recursive=True) == (behind, 0)
    (tmp_path / "b/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert names("b") == (["b/gone.jpg", "b/photo.jpg"], 0)  # named when it cannot be read
    (tmp_path / "b/gone.jpg").unlink()

    output.mkdir()
    first, second = (Page(tmp_path / name) for name in ("a/photo.jpg", "b/photo.jpg"))
    # Of a run's own files none is there yet when the next image is named.
    others = "PHOTO.png", "photo_heatmaps.png", "x_heatmaps.png", "x.png"
    pages, taken = [first, second, *(Page(tmp_path / name) for name in others)], set()
    names = [free_name(output, page, taken) for page in pages]
    assert names[:4] == ["photo", "photo_2", "PHOTO_3", "photo_heatmaps_2"]
    assert names[4:] == ["x_heatmaps", "x_2"]
    fields = {"size": [9, 9], "model": "", "settings": {}, "words": [], "lines": []}
    record = json.dumps({"file": str(first.path), **fields})
    (output / "photo.json").write_text(record)
    assert free_name(output, first, set()) == "photo"
    for way in ("b/../a", "link"):
        assert free_name(output, Page(tmp_path / way / "photo.jpg"), set()) == "photo"
    assert free_name(output, second, set()) == "photo_2"
    assert free_name(output, replace(first, number=2), set()) == "photo_p2"
    # What this script has not written stays, even in its folder.
    for other in ('{"shapes": []}', json.dumps({"file": str(first.path)}), "[" * 10**5, "5"):
        (output / "photo.json").write_text(other)
        assert free_name(output, first, set()) == "photo_2"
    (output / "photo_2.txt").write_text("1,1,9,1,9,9,1,9,word")
    assert free_name(output, first, set()) == "photo_3"

    # Results of an earlier run are no images, other pictures beside them are named.
    for name in ("photo.jpg", "photo_heatmaps.jpg", "mine.jpg"):
        (output / name).touch()
    (output / "photo.json").write_text(record)
    paths, problems = find_images([str(tmp_path / "*/*.jpg")], False, output, is_result)
    assert paths == [first.path, second.path]
    assert "2 images" in problems[0] and "earlier run" in problems[0]
    assert "mine.jpg" in problems[1] and len(problems) == 2
    # Nor are they elsewhere, unless they are named.
    paths, (problem,) = find_images([str(output)], False, tmp_path / "b", is_result)
    assert paths == [output / "mine.jpg"] and "2 images" in problem
    named = [str(output / "photo.jpg")]
    assert find_images(named, False, tmp_path / "b", is_result) == ([output / "photo.jpg"], [])


def test_names_that_are_too_long_for_a_file_with_an_ending():
    assert shortened("photo") == "photo" and shortened("я" * 100) == "я" * 100
    names = ["я" * 120, "я" * 119 + "ю", "x" * 249, "x" * 250]
    short = [shortened(name) for name in names]
    assert len(set(short)) == 4 and max(len(os.fsencode(name)) for name in short) <= 200
    assert all(a[:50] == b[:50] for a, b in zip(short, names, strict=True))


def test_files_for_good_and_bad_images(model_dir, tmp_path, run_here):
    # Thresholds under which even random weights find something.
    save_settings(model_dir, DetectionSettings(0.03, 0.4, 0.02, long_side=160))
    images, output = tmp_path / "images", tmp_path / "output"
    (images / "more").mkdir(parents=True)
    for name, size in (("one.jpg", (150, 100)), ("more/one.png", (60, 90))):
        Image.new("RGB", size, "white").save(images / name)
    (images / "bad.jpg").write_bytes(b"not an image")
    command = ("detect.py", images, "--model_dir", model_dir, "--device", "cpu")
    result = run_well(
        *command, "--output_dir", output, "--recursive", "--heatmaps", "--poly", "--batch_size", 2
    )
    assert "in 2 images, 1 skipped" in result.stdout
    assert "bad.jpg" in result.stderr and "Traceback" not in result.stderr
    suffixes = (".jpg", ".json", ".txt", "_heatmaps.jpg")
    expected = {f"{name}{suffix}" for name in ("one", "one_2") for suffix in suffixes}
    assert {path.name for path in output.iterdir()} == expected

    records = [json.loads((output / f"{name}.json").read_text()) for name in ("one", "one_2")]
    assert {tuple(record["size"]) for record in records} == {(150, 100), (60, 90)}
    for name, record in zip(("one", "one_2"), records, strict=True):
        assert record["settings"]["low_text"] == 0.02 and record["settings"]["long_side"] == 160
        lines = (output / f"{name}.txt").read_text().splitlines()
        assert len(lines) == len(record["words"]) > 0
        places = [place for line in record["lines"] for place in line]
        assert places == list(range(len(lines)))
        for line, word in zip(lines, record["words"], strict=True):
            quad = np.array(word["quad"])
            assert "characters" not in word
            assert quad.shape == (4, 2) and 0 <= word["score"] <= 1
            assert (quad >= 0).all() and (quad <= record["size"]).all()
            np.testing.assert_allclose(np.array(line.split(","), int), quad.ravel(), atol=0.5)
        with Image.open(output / f"{name}.jpg") as drawn:
            assert list(drawn.size) == record["size"]

    more = ("--output_dir", tmp_path / "none", "--text_threshold", 1)
    assert "nothing found in 1" in run_here(*command, *more).stdout
    settings = json.loads((tmp_path / "none" / "one.json").read_text())["settings"]
    assert settings["text_threshold"] == 1 and settings["low_text"] == 0.02


@pytest.mark.parametrize(
    ("words", "images"),
    [
        ("--poly a.jpg --heatmaps b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg --link_threshold 0.4 b.jpg", ["a.jpg", "b.jpg"]),
        ("a.jpg b.jpg --link_threshold 0.4", ["a.jpg", "b.jpg"]),
        ("--link_threshold 0.4 --poly a.jpg", ["a.jpg"]),
        ("--poly - --link_threshold 0.4", ["-"]),
        ("--poly a.jpg -- -b.jpg --c.jpg", ["a.jpg", "-b.jpg", "--c.jpg"]),
        ("-- -b.jpg", ["-b.jpg"]),
        ("--link_threshold 0.4 a.jpg b.jpg", ["a.jpg", "b.jpg"]),
        ("--link_threshold 0.4 0.9 a.jpg 7 --poly", ["a.jpg", "7"]),
        ("--link_threshold 0.4 --long_side 640 7 -- 8", ["7", "8"]),
    ],
)
def test_images_stand_before_between_and_after_flags(words, images, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["detect.py", *words.split()])
    args = detect.parse_arguments()
    assert args.inputs == images
    assert args.poly == ("--poly" in words) and args.heatmaps == ("--heatmaps" in words)
    assert args.link_threshold == (0.4 if "--link" in words else None)


def test_variants_of_settings_are_drawn_side_by_side(model_dir, tmp_path, run_here):
    """The network runs once; each tile is what detect.py finds with that value."""
    image = np.full((160, 320, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    output = tmp_path / "found"
    command = ("detect.py", "--model_dir", model_dir, "--device", "cpu", "--output_dir", output)
    result = run_here(*command, "--low_text", 0.3, 0.5, "--decoder", "craft", "proportional", "--",
                 tmp_path / "a.png")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert [path.name for path in output.iterdir()] == ["a_variants.jpg"]
    assert "4 variants of 1 images" in result.stdout
    args = argparse.Namespace(**dict.fromkeys(SETTINGS))
    args.low_text, args.decoder, args.box_margin = [0.3, 0.5], ["craft", "proportional"], [2.0]
    assert take_variants(args) == [
        {"low_text": low, "decoder": decoder}
        for low in (0.3, 0.5)
        for decoder in ("craft", "proportional")
    ]
    assert args.box_margin == 2.0 and args.low_text == 0.3
    assert_refused(
        run_here(*command, "--low_text", 0.3, 1.5, tmp_path / "a.png"), "low_text", "1.5"
    )


def test_variants_obey_the_other_flags(tmp_path, monkeypatch, capsys):
    word = picture(160, 80, (20, 20, 60, 40), (70, 20, 110, 40))
    word[20:40, 60:70] = 160  # between its two characters
    cv2.imwrite(str(tmp_path / "a.png"), word)

    def opener(args, model_dir, characters=False, batch_size=1):
        detector = BrightnessDetector(batch_size=batch_size)
        detector.characters = characters
        return lambda: detector

    monkeypatch.setattr(detect, "detector_opener", opener)
    command = ["detect.py", str(tmp_path / "a.png"), "--low_text", "0.3", "0.5"]
    for flag, bluest in (("--characters", True), ("--poly", False)):
        monkeypatch.setattr(sys, "argv", [*command, flag, "--output_dir", str(tmp_path / flag)])
        detect.main()
        sheet = cv2.imread(str(tmp_path / flag / "a_variants.jpg")).astype(int)
        assert ((sheet[..., 0] - sheet[..., 1:].max(axis=2)).max() > 50) == bluest
    monkeypatch.setattr(sys, "argv", [*command, "--heatmaps"])
    with pytest.raises(SystemExit):
        detect.main()
    assert "--heatmaps goes with one value" in capsys.readouterr().err


def test_a_name_that_is_not_utf8(random_model, tmp_path, run_well_here):
    """As old archives hold; two runs leave one result."""
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (60, 40), "white").save(tmp_path / "images" / name)
    for _ in range(2):
        run_well_here(
            *("detect.py", tmp_path / "images", "--model_dir", random_model, "--device", "cpu"),
            *("--output_dir", tmp_path / "out"),
        )
    stem = name.removesuffix(".png")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{stem}{suffix}" for suffix in (".jpg", ".json", ".txt")}
    record = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
    assert record["file"] == str(tmp_path / "images" / name)


def test_pages_and_odd_names_are_all_read(random_model, tmp_path, run_well_here):
    """A TIFF's pages, an animation's first frame, a very long name, a name with escapes."""
    folder, output = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    colours = ("white", "grey", "black")
    pages = [Image.new("RGB", (40 + 10 * k, 30), colour) for k, colour in enumerate(colours)]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(folder / "film.gif", save_all=True, append_images=pages[1:])
    long, forged = "я" * 122 + ".png", "a\x1b[2J\nskipped: b.jpg"
    pages[0].save(folder / long)
    (folder / forged).with_suffix(".png").write_bytes(b"not an image")
    (folder / "phone.HEIC").touch()
    command = ("detect.py", folder, "--model_dir", random_model, "--device", "cpu")
    for _ in range(2):
        result = run_well_here(*command, "--output_dir", output)
        assert "in 5 images, 3 skipped" in result.stdout
        assert "film.gif: 2 of its 3 frames" in result.stderr
        assert "1 .heic" in result.stderr and "phone.HEIC" in result.stderr
        lines = result.stderr.splitlines()  # on a slow machine the progress is among them
        assert sum(line.startswith("skipped: ") for line in lines) == 3
        assert "\x1b" not in result.stderr
        records = {path.stem: json.loads(path.read_text()) for path in output.glob("*.json")}
        assert records.keys() == {"scan", "scan_p2", "scan_p3", "film", shortened(long[:-4])}
    for number, name in enumerate(("scan", "scan_p2", "scan_p3"), 1):
        assert records[name]["page"] == number and records[name]["file"].endswith("scan.tif")
        assert records[name]["size"] == [30 + 10 * number, 30]


def test_bad_models_are_refused(model_dir, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DataError, match="no usable GPU"):
        TextDetector(model_dir, "cuda")
    (model_dir / "detection.json").write_text("{")
    with pytest.raises(DataError, match="detection.json"):
        TextDetector(model_dir)
    (model_dir / "detection.json").unlink()
    (model_dir / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match="cannot be loaded"):
        TextDetector(model_dir)


def test_bad_input_is_one_line(random_model, tmp_path, run_here):
    image, bad, empty = tmp_path / "good.jpg", tmp_path / "bad.jpg", tmp_path / "empty"
    Image.new("RGB", (64, 64)).save(image)
    bad.write_bytes(b"\xff\xd8 not an image")
    empty.mkdir()
    model, output = ("--model_dir", random_model), ("--output_dir", tmp_path / "output")
    assert_refused(run_here("detect.py", tmp_path / "none.jpg", *model), "none.jpg", "no such file")
    assert_refused(run_here("detect.py", empty, *model), empty, "no images")
    assert_refused(
        run_here("detect.py", image, *model, "--output_dir", bad), bad, "cannot be written"
    )
    assert_refused(run_here("detect.py", image, *model, "--cluster", ""), "--cluster", "no address")
    assert_refused(run_here("detect.py", image, "--model_dir", empty), empty, "train.py")
    assert_refused(run_here("detect.py", image, *model, "--low_text", 2), "between 0 and 1")
    assert_refused(run_here("detect.py", image, *model, "--nonsense"), "--nonsense")
    assert_refused(run_here("detect.py", *model), "at least one image")
    assert_refused(
        run_here("detect.py", image, *model, "--max_enlargement", 0.5), "between 1 and 16"
    )
    assert_refused(run_here("detect.py", "-", *model, *output, "--device", "cpu"), "standard input")
    assert_refused(run_here("detect.py", bad, *model, *output, "--device", "cpu"), bad)


def test_an_image_from_standard_input(random_model, tmp_path, monkeypatch, run_well_here):
    buffer = io.BytesIO()
    Image.new("RGB", (90, 60), "white").save(buffer, "PNG")
    command = ("detect.py", "-", "--model_dir", random_model, "--device", "cpu")
    command += ("--output_dir", tmp_path)
    image = buffer.getvalue()
    subprocess.run([sys.executable, *map(str, command)], input=image, cwd=ROOT, check=True)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(image)))
    run_well_here(*command)  # replaces the first's results
    assert {path.name for path in tmp_path.iterdir()} == {f"stdin.{s}" for s in SUFFIXES}
    record = json.loads((tmp_path / "stdin.json").read_text())
    assert record["file"] == "-" and record["size"] == [90, 60]
