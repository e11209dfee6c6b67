"""The proportional decoder: perfect maps of known words must give these words back."""

import copy
from dataclasses import fields

import numpy as np
import pytest
import shapely
from shapes import column_quads, curved_quads, outline, quartered, word_quads

from craft_utils import getDetBoxes
from textdet.common.errors import DataError
from textdet.data.heatmaps import draw_heatmaps
from textdet.decoding import proportional, split_words
from textdet.decoding.components import label, measure, score_maps
from textdet.decoding.decode import decode_maps
from textdet.decoding.metrics import match_image, polygon_ious, summarise
from textdet.decoding.proportional import MAX_WINDOWS
from textdet.decoding.settings import DECODERS, DetectionSettings
from textdet.decoding.split_lines import split_lines
from textdet.decoding.split_words import MAX_SPLIT_AREA, cut_weak_links, even_gaps, split_touching

SIZE = 320


def draw(words, size=SIZE):
    return draw_heatmaps(words, size, size)


def decode(words, low_text, decoder="proportional", convert=np.asarray):
    """Boxes from the words' perfect maps."""
    maps = convert(draw(words))
    return find(maps, 0.6, 0.4, low_text, decoder=decoder).boxes


def find(maps, *thresholds, decoder="proportional", relative_link=0.0, poly=False):
    settings = DetectionSettings(*thresholds, decoder, relative_link=relative_link)
    return decode_maps(maps, settings, poly)


def page(rng, size=SIZE, spacing=1.4):
    """Words of all sizes, line by line."""
    words, y = [], 8.0
    while y < size - 40:
        height, x = rng.uniform(10, 34), 6.0
        while True:
            letters, width = int(rng.integers(1, 8)), height * rng.uniform(0.45, 0.7)
            if x + letters * width > size - 6:
                break
            words.append(word_quads(x, y, letters, width, height))
            x += letters * width + 0.5 * height
        y += spacing * height
    return words


@pytest.mark.parametrize("low_text", [0.2, 0.3, 0.4, 0.5, 0.6])
@pytest.mark.parametrize("degrees", [0, 17, -40, 90, 160])
def test_words_come_back(degrees, low_text):
    quads = word_quads(160, 160, 5, 14, 24, degrees)
    (box,) = decode([quads], low_text)
    assert polygon_ious([box], [outline(quads)])[0, 0] > 0.95
    assert box.mean(0) == pytest.approx(outline(quads).mean(0), abs=0.5)


@pytest.mark.parametrize(("width", "height"), [(20, 20), (12, 30), (40, 24), (60, 90), (9, 24)])
def test_single_characters_come_back(width, height):
    quads = word_quads(100, 90, 1, width, height)
    (box,) = decode([quads], 0.4)
    assert polygon_ious([box], [outline(quads)])[0, 0] > 0.93


@pytest.mark.parametrize(("width", "slant"), [(14, 5), (18, 6), (18, 10)])
def test_the_box_of_a_slanted_character_is_upright(width, slant):
    """As of / and 7, whose smallest box is turned although their line is not."""
    right, left = 100 + slant, 100
    quad = [(right, 80), (right + width, 80), (left + width, 106), (left, 106)]
    (box,) = decode([np.array([quad])], 0.4)
    assert np.ptp(box[:2, 1]) == np.ptp(box[1:3, 0]) == 0


@pytest.mark.parametrize("degrees", [-35, -20, 20, 35])
def test_a_turned_word_of_two_letters_stays_turned(degrees):
    quads = word_quads(160, 160, 2, 15, 24, degrees)
    (box,) = decode([quads], 0.4)
    assert polygon_ious([box], [outline(quads)])[0, 0] > 0.93


@pytest.mark.parametrize("widths", [(5, 22, 5), (24, 6, 24), (6, 6, 28), (30, 12)])
def test_ends_follow_the_width_of_the_last_letters(widths):
    left = 60 + np.cumsum(widths) - widths
    quads = np.concatenate([word_quads(x, 90, 1, w, 26) for x, w in zip(left, widths, strict=True)])
    (box,) = decode([quads], 0.4)
    assert polygon_ious([box], [outline(quads)])[0, 0] > 0.95


def test_a_column_of_upright_characters():
    quads = column_quads(100, 40, 6, 20, 24)
    # The heatmaps link characters along their upper sides: here these are the right ones.
    (box,) = decode([np.roll(quads, -1, axis=1)], 0.4)
    truth = np.array([quads[0, 0], quads[0, 1], quads[-1, 2], quads[-1, 3]])
    assert polygon_ious([box], [truth])[0, 0] > 0.95


@pytest.mark.parametrize(("convert", "iou"), [(np.asarray, 0.95), (quartered, 0.9)])
def test_a_page(convert, iou):
    """Words of all sizes: every one is found, and fits better than CRAFT's boxes do."""
    words = page(np.random.default_rng(0))
    truth = [outline(quads) for quads in words]
    scores = {
        decoder: summarise([match_image(decode(words, 0.4, decoder, convert), truth)])
        for decoder in DECODERS
    }
    assert scores["proportional"]["f1"] == 1
    relative = find(convert(draw(words)), 0.6, 0.4, 0.4, relative_link=0.6)
    assert summarise([match_image(relative.boxes, truth)])["f1"] == 1
    assert scores["proportional"]["iou"] > iou > scores["craft"]["iou"]


def test_lines_that_touch_come_apart():
    """Cells that overlap by a fifth make one component, which no affinity holds together."""
    words = [word_quads(40, 40 + 19 * row, 6, 13, 24) for row in range(4)]
    words.append(word_quads(40, 150, 6, 13, 24))  # apart from them
    truth = [outline(quads) for quads in words]
    assert len(decode(words, 0.4, "craft")) == 2
    boxes = decode(words, 0.4)
    assert len(boxes) == 5
    assert summarise([match_image(boxes, truth, iou_threshold=0.75)])["f1"] == 1
    # In the order of their first pixel, however they came apart.
    assert (np.diff(boxes.mean(1)[:, 1]) > 0).all()


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("degrees", [0, 12, -25, 45, 90, 160])
@pytest.mark.parametrize("lengths", [(6, 6), (8, 4), (3, 3), (5, 5, 5)])
def test_lines_that_hang_together_come_apart(lengths, degrees, kind):
    """Affinity that also runs from line to line, as around a block of large letters."""
    angle = np.deg2rad(degrees)
    along, down = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    start = np.array([160.0, 160.0]) - 35 * along - 30 * down
    words = [
        word_quads(*(start + 27 * row * down), length, 16, 24, degrees)
        for row, length in enumerate(lengths)
    ]
    maps = draw(words)
    for above, below in zip(words[:-1], words[1:], strict=True):
        column = np.stack([above[0], below[0]])
        maps[1] = np.maximum(maps[1], draw([np.roll(column, 1, axis=1)])[1])
    maps = maps if kind is np.uint8 else maps.astype(kind) / 255
    truth = [outline(quads) for quads in words]
    assert (
        len(find(maps, 0.6, 0.4, 0.4, decoder="craft").boxes) == 1
    )  # CRAFT's decoder: one component
    for relative_link in (0.0, 0.5):
        found = find(maps, 0.6, 0.4, 0.4, relative_link=relative_link)
        match = match_image(found.boxes, truth, iou_threshold=0.75)
        assert summarise([match])["f1"] == 1


@pytest.mark.parametrize("degrees", [0, 20, 45, 90])
@pytest.mark.parametrize(("letters", "pitch"), [(2, 30), (3, 34), (6, 36)])
def test_letters_far_apart_are_no_lines(letters, pitch, degrees):
    angle = np.deg2rad(degrees)
    quads = [
        word_quads(
            150 + pitch * (i - letters / 2) * np.cos(angle),
            150 + pitch * (i - letters / 2) * np.sin(angle),
            *(1, 14, 30, degrees),
        )
        for i in range(letters)
    ]
    assert len(decode([np.concatenate(quads)], 0.4)) == 1


@pytest.mark.parametrize("degrees", [0, -4, 20, 45, 90])
@pytest.mark.parametrize("width", [15, 18, 21])
def test_two_tall_letters_are_no_lines(width, degrees):
    quads = word_quads(150, 150, 2, width, 40, degrees)
    boxes = find(draw([quads]), 0.7, 0.4, 0.4).boxes
    assert len(boxes) == 1


def test_linked_characters_stay_together_without_text_between_them():
    quads = np.concatenate([word_quads(40 + 26 * i, 60, 1, 14, 24) for i in range(5)])
    assert len(decode([quads], 0.4)) == 1


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_links_weak_for_their_words_are_cut_and_faint_words_stay_whole(kind):
    """Affinity across a space exceeds what joins the letters of a faint word: no threshold fits."""
    first, second = word_quads(40, 40, 5, 14, 24), word_quads(118, 40, 5, 14, 24)
    maps = draw([first, second])
    space = draw([np.stack([first[-1], second[0]])])[1]
    maps[1] = np.maximum(maps[1], space // 2)
    faint = word_quads(40, 120, 6, 14, 24)
    maps = np.maximum(maps, (draw([faint]) * 0.45).astype(np.uint8))
    maps = maps if kind is np.uint8 else maps.astype(kind) / 255
    truth = [outline(quads) for quads in (first, second, faint)]

    def f1(link_threshold, **settings):
        found = find(maps, 0.4, link_threshold, 0.3, **settings)
        return summarise([match_image(found.boxes, truth)])["f1"]

    assert f1(0.3) < 1 and f1(0.6) < 1
    assert f1(0.3, relative_link=0.6) == 1
    found = find(maps, 0.4, 0.3, 0.3, decoder="craft", relative_link=0.6)
    assert len(found.boxes) == 2  # CRAFT knows no such thing


@pytest.mark.parametrize(
    ("degrees", "kind", "share"),
    [
        *((degrees, kind, 0.3) for degrees in (0, 30, 90) for kind in (np.uint8, np.float32)),
        (0, np.uint8, 0.15),  # so little is no link at all
    ],
)
def test_a_weak_link_holds_letters_that_stand_evenly(degrees, kind, share):
    """Typed words: one affinity of a word may be weak, but there is no room for a space."""
    angle = np.deg2rad(degrees)
    along = np.array([np.cos(angle), np.sin(angle)])
    even = word_quads(80, 40, 9, 14, 24, degrees)
    words = [even, word_quads(*(np.array([80, 40]) + (9 * 14 + 10) * along), 3, 14, 24, degrees)]
    maps = draw(words)
    space = draw([np.stack([even[-1], words[1][0]])])[1]
    maps[1] = np.maximum(maps[1], (space * 0.45).astype(np.uint8))
    middle = even[3:5].mean((0, 1))  # of the link between the fourth letter and the fifth
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    near = np.abs((np.stack([x, y], axis=-1) - middle) @ along) < 7
    maps[1][near] = (maps[1][near] * share).astype(np.uint8)
    maps = maps if kind is np.uint8 else maps.astype(kind) / 255
    parts = [even] if share > 0.2 else [even[:4], even[4:]]
    truth = [outline(quads) for quads in (*parts, words[1])]
    found = find(maps, 0.6, 0.1, 0.4, relative_link=0.6)
    assert summarise([match_image(found.boxes, truth, iou_threshold=0.75)])["f1"] == 1


@pytest.mark.parametrize(
    ("distance", "valley", "gaps"), [(15, 0.6, 1), (22, 0.6, 0), (15, 0.45, 0), (19, 0.55, 1)]
)
def test_a_space_is_wider_or_deeper_than_between_letters(distance, valley, gaps):
    """Letters 15 px apart with 0.6 between them, but for the third and the fourth."""
    peaks = np.cumsum([8, 15, 15, distance, 15, 15])
    middles = (peaks[1:] + peaks[:-1]) / 2
    depths = [0.6, 0.6, valley, 0.6, 0.6]
    order = np.argsort([*peaks, *middles])
    places, heights = np.array([*peaks, *middles])[order], np.array([*[1] * 6, *depths])[order]
    columns = np.arange(peaks[-1] + 8)
    profile = np.interp(columns, [0, *places, len(columns)], [0.4, *heights, 0.4])
    y, x = (part.ravel() for part in np.mgrid[:24, : len(columns)])
    pieces = np.where(x < middles[2], 1, 2)
    along, found = even_gaps(np.stack([x, y], 1), profile[x], pieces)
    assert np.abs(along) == pytest.approx((1, 0), abs=1e-6) and len(found) == gaps
    if gaps:
        assert np.sort(np.abs(found[0])) == pytest.approx(peaks[2:4], abs=1.5)


def test_what_is_too_faint_for_a_word_stays_with_its_neighbour():
    """It would be lost, split: a smear beside a word, or a line below one."""
    text = np.zeros((40, 120), np.float32)
    text[10:30, 10:60], text[14:26, 60:66], text[10:30, 66:100] = 1, 0.45, 0.65
    for text_threshold, ends in ((0.6, [63, 100]), (0.7, [100])):
        boxes = find([text, 0 * text], text_threshold, 0.4, 0.4).boxes
        assert boxes[:, :, 0].max(1) == pytest.approx(np.array(ends), abs=8)
    words = [word_quads(40, 40 + 27 * row, 6, 16, 24) for row in (0, 1)]
    maps = draw(words).astype(np.float32) / 255
    maps[:, 66:] *= 0.65
    column = np.roll(np.stack([words[0][0], words[1][0]]), 1, axis=1)
    maps[1] = np.maximum(maps[1], draw([column])[1].astype(np.float32) / 255)
    for text_threshold, ends in ((0.6, [64, 91]), (0.7, [91])):
        boxes = find(maps, text_threshold, 0.4, 0.4).boxes
        assert boxes[:, :, 1].max(1) == pytest.approx(np.array(ends), abs=5)


def test_words_at_the_border_end_there():
    quads = word_quads(-20, -6, 6, 14, 24)
    (box,) = decode([quads], 0.4)
    truth = shapely.box(0, 0, 64, 18)
    assert shapely.Polygon(box.clip(0, SIZE)).intersection(truth).area > 0.85 * truth.area
    assert box.min() > -4


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_word_need_not_exceed_the_threshold(decoder):
    maps = np.zeros((2, 40, 60), np.uint8)
    maps[0, 10:20, 10:40] = 153  # 0.6
    for text_threshold, number in ((0.6, 1), (0.602, 0)):
        assert len(find(maps, text_threshold, 0.4, 0.4, decoder=decoder).boxes) == number


def test_thin_and_tiny_components():
    """Rows and columns of one pixel have no direction of their own in one axis."""
    text = np.zeros((40, 60), np.float32)
    text[5, 5:25] = text[20:35, 40] = 1
    boxes = find([text, 0 * text], 0.6, 0.4, 0.4).boxes
    assert np.isfinite(boxes).all() and len(boxes) == 2
    assert boxes.mean(1) == pytest.approx(np.array([(15, 5.5), (40.5, 27.5)]), abs=0.01)
    assert np.ptp(boxes, axis=1).min() > 1


@pytest.mark.parametrize("degrees", range(5, 360, 45))
@pytest.mark.parametrize(("turn", "wave"), [(-2.2, 0), (-0.8, 0), (0.8, 0), (2.2, 0), (0, 0.5)])
def test_polygons_follow_curved_words(degrees, turn, wave):
    quads, band = curved_quads(10, 14, 24, turn, degrees, wave)
    found = find(draw([quads], 400), 0.7, 0.4, 0.4, poly=True)
    (polygon,), (box,) = found.polys, found.boxes
    assert polygon.dtype == np.float32
    ring = shapely.Polygon(polygon)
    assert ring.is_valid
    # Clockwise on the image, whose y points down, is counter-clockwise to shapely.
    assert ring.exterior.is_ccw
    assert polygon_ious([polygon], [band])[0, 0] > 0.88
    assert polygon_ious([box], [band])[0, 0] < 0.8
    # Along its upper side to the right, or down where its box is higher than wide.
    side = max(box[1] - box[0], box[3] - box[0], key=np.linalg.norm)
    assert (polygon[9] - polygon[0]) @ side * side[np.abs(side).argmax()] > 0


def test_a_curved_words_polygon_is_not_led_astray_by_its_neighbour():
    """A bold word within the arc, of which its window shows much."""
    arc, band = curved_quads(10, 14, 24, 2.2)
    maps = draw([arc], 400)
    alone = find(maps, 0.7, 0.4, 0.4, poly=True).polys[0]
    x, y = band.mean(0)
    inner = draw([word_quads(x - 40, y + 2, 4, 20, 40)], 400)
    maps = np.maximum(maps, inner)
    found = find(maps, 0.7, 0.4, 0.4, poly=True)
    assert len(found.polys) == 2
    np.testing.assert_allclose(found.polys[0], alone, atol=1)
    assert polygon_ious([found.polys[0]], [band])[0, 0] > 0.88


def test_straight_words_have_no_polygon():
    words = [*page(np.random.default_rng(1)), word_quads(60, 310, 8, 9, 14, -30)]
    found = find(draw(words), 0.7, 0.4, 0.4, poly=True)
    assert found.polys == [None] * len(found.boxes)


def test_polygons_of_odd_components_are_none_or_finite():
    rng = np.random.default_rng(11)
    for _ in range(10):
        noise = rng.uniform(0, 1, (2, 24, 24)).astype(np.float32)
        maps = np.stack([np.kron(channel, np.ones((6, 6), np.float32)) for channel in noise])
        found = find(maps, 0.6, 0.7, 0.5, poly=True)
        assert len(found.polys) == len(found.boxes) > 0
        assert np.isfinite(found.boxes).all()
        assert all(polygon is None or np.isfinite(polygon).all() for polygon in found.polys)


def test_craft_stays_craft():
    quads = word_quads(60, 60, 5, 14, 24, 17)
    text, link = draw([quads]).astype(np.float32) / 255
    boxes, _ = getDetBoxes(text, link, 0.6, 0.4, 0.4)
    assert (boxes + 0.5 == decode([quads], 0.4, "craft")).all()
    with pytest.raises(ValueError, match="decoder"):
        find([text, link], 0.6, 0.4, 0.4, decoder="magic")


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("low_text", [0.2, 0.4, 0.537])
def test_bytes_and_floats_decode_alike(decoder, low_text):
    maps = draw(page(np.random.default_rng(2), spacing=0.9))
    expected = find(maps, 0.7, 0.4, low_text, decoder=decoder)
    floats = maps.astype(np.float32) / 255
    found = find(floats, 0.7, 0.4, low_text, decoder=decoder)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert len(decode_maps(floats.astype(np.float16), DetectionSettings(decoder=decoder)).boxes)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_step_changes_nothing_of_what_it_was_given(kind):
    """Words with a weak link between them, lines that touch, lines that hang together."""
    first, second = word_quads(20, 20, 5, 14, 24), word_quads(98, 20, 5, 14, 24)
    touching = [word_quads(40, 80 + 19 * row, 6, 13, 24) for row in range(2)]
    hanging = [word_quads(180, 200 + 27 * row, 6, 16, 24) for row in range(2)]
    maps = draw([first, second, *touching, *hanging])
    space = draw([np.stack([first[-1], second[0]])])[1]
    column = draw([np.roll(np.stack([hanging[0][0], hanging[1][0]]), 1, axis=1)])[1]
    maps[1] = np.maximum.reduce([maps[1], space // 2, column])
    maps = maps if kind is np.uint8 else maps.astype(kind) / 255
    given = label(score_maps(*maps, 0.6, 0.3, 0.4))
    for step in (lambda before: cut_weak_links(before, 0.6), split_touching, split_lines):
        before = copy.deepcopy(given)
        found = step(given)
        assert found is not given and found.count > given.count
        for field in fields(given):
            value, expected = getattr(given, field.name), getattr(before, field.name)
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(given.maps.text, maps[0])
        np.testing.assert_array_equal(given.maps.link, maps[1])
        given = found
    assert len(measure(given)) == 6


@pytest.mark.parametrize("decoder", DECODERS)
def test_maps_in_any_layout_decode_alike(decoder):
    maps = draw(page(np.random.default_rng(3)))
    settings = DetectionSettings(decoder=decoder, relative_link=0.6)
    expected = decode_maps(maps, settings)
    for other in (np.asfortranarray(maps), np.repeat(maps, 2, axis=2)[:, :, ::2]):
        np.testing.assert_array_equal(decode_maps(other, settings).boxes, expected.boxes)


# --- Bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("maps", "settings"),
    [
        (np.zeros((2, 0, 5)), {}),
        (np.zeros((3, 5, 5)), {}),
        (np.zeros((5, 5)), {}),
        (np.full((2, 5, 5), np.nan), {}),
        (np.full((2, 5, 5), np.inf, np.float16), {}),
        (np.zeros((2, 5, 5), np.uint8), {"low_text": 1.5}),
        (np.zeros((2, 5, 5), np.uint8), {"text_threshold": -0.1}),
        (np.zeros((2, 5, 5), np.uint8), {"relative_link": 1.1}),
        (np.zeros((2, 5, 5), np.uint8), {"link_threshold": float("nan")}),
    ],
)
def test_what_cannot_be_decoded_is_one_line(decoder, maps, settings):
    with pytest.raises((DataError, ValueError)) as raised:
        decode_maps(maps, DetectionSettings(decoder=decoder, **settings))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2), (9, 7)])
@pytest.mark.parametrize("value", [0, 60, 140, 255])
@pytest.mark.parametrize("link", [0, 255])
def test_maps_of_one_value(decoder, shape, value, link):
    maps = np.stack([np.full(shape, value, np.uint8), np.full(shape, link, np.uint8)])
    for thresholds in ((0.7, 0.4, 0.4), (0, 0, 0), (1, 1, 1), (0.1, 0.4, 0.6)):
        settings = DetectionSettings(*thresholds, decoder, relative_link=thresholds[0])
        found = decode_maps(maps, settings, poly=True)
        assert len(found.boxes) == len(found.scores) == len(found.polys) <= 1
        assert np.isfinite(found.boxes).all()
    if value == 0:
        assert len(decode_maps(maps, DetectionSettings(decoder=decoder)).boxes) == 0


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_hundred_thousand_specks(decoder):
    maps = np.zeros((2, 1000, 1000), np.uint8)
    maps[0, ::3, ::3] = 255
    maps[0, 800:820, 500:560] = 255
    (box,) = decode_maps(maps, DetectionSettings(decoder=decoder), poly=True).boxes
    assert box.mean(0) == pytest.approx((530, 810), abs=3) and np.ptp(box[:, 0]) < 90


@pytest.mark.parametrize("decoder", DECODERS)
def test_thirty_thousand_small_words_and_a_map_of_forty_thousand_columns(decoder):
    """OpenCV's remap takes no side of 32,768, and a word's number needs more than 15 bits."""
    maps = np.zeros((2, 30, 40_000), np.uint8)
    for dy in range(4):
        maps[0, dy::6, 1::6] = maps[0, dy::6, 2::6] = maps[0, dy::6, 3::6] = 200
    found = decode_maps(maps, DetectionSettings(decoder=decoder), poly=True)
    assert len(found.boxes) > 32_768
    assert np.isfinite(found.boxes).all()


def test_thousands_of_specks_that_touch_are_split_in_bounded_time():
    """One component with a core in every tenth pixel: work a core would never end."""
    maps = np.zeros((2, 800, 800), np.uint8)
    maps[0] = 110
    for dy in range(4):
        for dx in range(4):
            maps[0, dy::8, dx::8] = 255
    found = decode_maps(maps, DetectionSettings(), poly=True)
    assert len(found.boxes) == 10_000


def test_components_inside_each_other_are_split_in_bounded_time(monkeypatch):
    """The windows of nested frames cover the map again and again: only the first are looked at."""
    looked_at = {"split": 0, "followed": 0}

    def counted(function, name):
        def count(mask, *args):
            looked_at[name] += mask.size
            return function(mask, *args)

        return count

    monkeypatch.setattr(split_words, "_nearest", counted(split_words._nearest, "split"))
    monkeypatch.setattr(proportional, "fit_ribbon", counted(proportional.fit_ribbon, "followed"))
    maps = np.zeros((2, 900, 900), np.uint8)
    for inset in range(0, 440, 4):
        maps[0, inset : 900 - inset, inset : 900 - inset] = 110 * (inset // 4 % 2 == 0)
    maps[0, 448:452] = np.where(maps[0, 448:452], 255, 0)
    found = decode_maps(maps, DetectionSettings(), poly=True)
    assert len(found.boxes) == len(found.polys) > 0
    for name, most in (("split", MAX_SPLIT_AREA), ("followed", MAX_WINDOWS)):
        assert most - 1 < looked_at[name] / maps[0].size <= most, name
