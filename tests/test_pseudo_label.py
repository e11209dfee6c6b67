"""Weak supervision: characters from words, with a network that sees perfect maps."""

import json
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from conftest import ROOT, SIZE, assert_refused, run_well
from filelock import FileLock

from pseudo_label import summarise
from textdet.common.geometry import rectangle
from textdet.data.annotation import Sample, Word
from textdet.data.chunked_folder import CLAIMS, Chunk, chunk_path, finish_chunk
from textdet.data.fitted import draw_weights
from textdet.data.heatmaps import affinity_quads, draw_heatmaps
from textdet.data.pieces import cut_pieces, piece_file
from textdet.data.triplets import make_folders, read_samples, read_triplet
from textdet.decoding.characters import LOOSEST_END, ink_outline, peak_clarity
from textdet.network.labelling import Labelling, _write_piece, label_chunk
from textdet.network.pseudo_labels import (
    LOWEST_CONFIDENCE,
    cut_evenly,
    enclosing_quad,
    frame_of,
    label_images,
)
from textdet.network.soft_labels import correct_maps


def cells(count, width, height):
    """A straight word's character cells (count, 4, 2) from (0, 0) on, px."""
    edges = np.arange(count + 1) * width
    return np.array(
        [
            [(a, 0), (b, 0), (b, height), (a, height)]
            for a, b in zip(edges[:-1], edges[1:], strict=True)
        ]
    ).astype(np.float32)


def turned(points, degrees, centre):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (points @ turn + centre).astype(np.float32)


def on_arc(quads, radius, centre):
    """Cells bent onto a circle, their upper sides outwards."""
    angle, distance = quads[..., 0] / radius, radius - quads[..., 1]
    return np.stack([np.sin(angle) * distance, -np.cos(angle) * distance], -1).astype(
        np.float32
    ) + np.float32(centre)


def word_of(text, quads):
    outline = np.concatenate([quads[:, :2].reshape(-1, 2), quads[::-1, [2, 3]].reshape(-1, 2)])
    return Word(text, list(text), quads, outline)


def identity(batch):
    """A network for images that are their own character map."""
    return np.stack([batch[..., 0], np.zeros_like(batch[..., 0])], 1)


def label(words, size=400):
    """The words labelled from a picture of their perfect character map, without their cells, behind
    an empty picture."""
    picture = draw_heatmaps([word.quads for word in words], size, size)[0]
    bare = [Word(w.text, [], w.quads[:0], w.polygon, w.ignore) for w in words]
    images = [np.repeat(values[..., None], 3, 2) for values in (np.zeros_like(picture), picture)]
    return label_images(images, [[], bare], identity, 4)[1]


def overlap(first, second):
    a, b = shapely.Polygon(first), shapely.Polygon(second)
    return a.intersection(b).area / a.union(b).area


@pytest.mark.parametrize(
    "quads",
    [
        turned(cells(6, 16, 28), 0, (40, 60)),
        turned(cells(6, 16, 28), 30, (40, 60)),
        turned(cells(6, 16, 28), 180, (200, 160)),
        turned(cells(1, 16, 28), 10, (40, 60)),
        on_arc(cells(9, 20, 34), 150, (120, 220)),
    ],
    ids=["level", "oblique", "upside down", "one letter", "arc"],
)
def test_characters_of_perfect_maps(quads):
    word = word_of("abcdefghi"[: len(quads)], quads)
    (found,) = label([word])
    assert found.confidence == 1 and found.characters == word.characters and not found.ignore
    np.testing.assert_array_equal(found.polygon, word.polygon)
    shares = [overlap(a, b) for a, b in zip(found.quads, quads, strict=True)]
    assert min(shares) > 0.6 and np.mean(shares) > 0.75


@pytest.mark.parametrize("degrees", [0, 30])
@pytest.mark.parametrize("room", [0, 2, 4])
def test_cells_end_where_the_ink_does(degrees, room):
    """People's boxes leave room around a word: two words' boxes touch where their ink does not."""
    left = cells(5, 14, 30)
    quads = [turned(part, degrees, (80, 200)) for part in (left, left + [70 + 2 * room, 0])]
    words = [word_of(text, part) for text, part in zip(("LOOSE", "BOXES"), quads, strict=True)]
    for word, start in zip(words, (0, 70 + 2 * room), strict=True):
        box = np.array([(0, 0), (70, 0), (70, 30), (0, 30)]) + [start, 0]
        word.polygon = turned(
            box + room * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]), degrees, (80, 200)
        )
    for found, true in zip(label(words), quads, strict=True):
        assert found.confidence == 1
        for cell, own in zip(found.quads, true, strict=True):
            assert overlap(cell, own) > 0.85


def test_faint_letters_at_an_end_keep_most_of_their_room():
    quads = cells(5, 14, 30)
    textmap = draw_heatmaps([quads[:4] + np.float32(20)], 120, 80)[0]
    outline = np.float32([(20, 20), (90, 20), (90, 50), (20, 50)])
    end = ink_outline(textmap, outline)[:, 0].max()
    assert end == pytest.approx(90 - LOOSEST_END * 30, abs=0.01)  # not 76
    nothing = np.zeros((80, 120), np.uint8)
    np.testing.assert_array_equal(ink_outline(nothing, outline), outline)


def test_letters_one_below_the_other_are_linked():
    upright = np.array(
        [[(60, y), (86, y), (86, y + 30), (60, y + 30)] for y in range(40, 190, 30)], np.float32
    )
    true = np.roll(upright, -1, axis=1)  # as the generator has them: from the top right corner
    word = Word(
        "abcde", list("abcde"), true, np.float32([(60, 40), (86, 40), (86, 190), (60, 190)])
    )
    (found,) = label([word])
    assert found.confidence == 1
    assert np.mean([overlap(a, b) for a, b in zip(found.quads, true, strict=True)]) > 0.75
    links = [shapely.Polygon(quad).area for quad in affinity_quads(found.quads)]
    assert min(links) > 50


def test_letters_one_below_the_other_are_as_large_as_beside_each_other():
    """For the network; where that does not see them, they are cut downwards."""
    level, tall = (rectangle(0, 0, *sides).astype(np.float32) for sides in ((120, 30), (30, 120)))
    assert frame_of(tall).size == frame_of(level).size[::-1]
    expected = [rectangle(0, y, 30, y + 30) for y in (0, 30, 60, 90)]
    np.testing.assert_array_equal(cut_evenly(tall, 4), expected)


@pytest.mark.parametrize("degrees", [0, 80, 180, 260])
def test_a_curved_word_is_cut_out_upright(degrees):
    """From where its reading begins."""
    outline = word_of("arc", on_arc(cells(3, 30, 20) - np.float32((45, 0)), 80, (0, 0))).polygon
    found = turned(enclosing_quad(turned(outline, degrees, 0)), -degrees, 0)
    expected = rectangle(*outline.min(0), *outline.max(0))
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize("extra", [1, 2, 3])
def test_a_narrow_word_with_a_point_too_many_stands_upright(extra):
    """As a 1: at the upper or the lower side of its outline, or at its end."""
    corners = rectangle(10, 10, 20, 50)
    outline = np.insert(corners, extra, corners[[extra - 1, extra]].mean(0), axis=0)
    np.testing.assert_allclose(enclosing_quad(outline), corners, atol=0.01)


def test_marks_share_the_cell_of_their_letter():
    quads = turned(cells(4, 16, 28), 0, (40, 60))
    seen = word_of("abcd", quads)
    for text, letters in (
        ("Vie\u0302\u0323t", ["V", "i", "e\u0302\u0323", "t"]),
        ("हिन्दी\u200cक", ["हि", "न्", "दी", "क"]),
        ("\u0301abc", ["\u0301", "a", "b", "c"]),  # nothing to stand on
    ):
        found = label([Word(text, [], quads[:0], seen.polygon), seen])[0]
        assert found.characters == letters and found.confidence == 1


@pytest.mark.parametrize(
    ("text", "places"),
    [("\u05d0\u05d1\u05d2\u05d3", [3, 2, 1, 0]), ("\u05d0\u05d112", [3, 2, 0, 1])],
)
def test_letters_from_right_to_left_have_their_own_cells(text, places, tmp_path):
    """Of all of a word or of a part; neighbours are linked as they stand."""
    quads = turned(cells(4, 16, 28), 10, (40, 60))
    picture = draw_heatmaps([quads], 160, 120)[0]
    bare = Word(text, [], quads[:0], word_of("abcd", quads).polygon)
    maps, (found,) = correct_maps(np.stack([picture, np.full_like(picture, 255)]), [bare])
    assert found.characters == list(text)
    for cell, place in zip(found.quads, places, strict=True):
        assert overlap(cell, quads[place]) > 0.6
    from_left = found.quads[np.argsort(places)]
    links = draw_heatmaps([from_left], 160, 120)[1]
    np.testing.assert_array_equal(maps[1] > 0, links > 0)
    make_folders(tmp_path)
    sample = Sample(tmp_path, "a.jpg", 160, 120, [found])
    _write_piece(sample, np.repeat(picture[..., None], 3, 2), None, 90)
    np.testing.assert_array_equal(read_triplet(sample)[1][1], links)


def test_confidence_follows_the_count():
    quads = turned(cells(6, 16, 28), 0, (40, 60))
    seen = word_of("abcdef", quads)
    for text, confidence in (
        ("abcdefgh", 6 / 8),
        ("abcde", 4 / 5),
        ("a" * 14, LOWEST_CONFIDENCE),
        ("a", LOWEST_CONFIDENCE),
    ):
        (found,) = label([Word(text, [], quads[:0], seen.polygon), seen])[:1]
        assert found.confidence == pytest.approx(confidence)
        assert len(found.quads) == len(text) and found.characters == list(text)
    evenly = label([Word("a" * 14, [], quads[:0], seen.polygon), seen])[0].quads
    np.testing.assert_allclose(evenly, cut_evenly(seen.polygon, 14), atol=0.1)


def test_words_without_text_and_without_ink():
    quads = turned(cells(6, 16, 28), 0, (40, 60))
    seen = word_of("abcdef", quads)
    unread, ignored = (
        Word("", [], quads[:0], seen.polygon),
        Word("abcdef", [], quads[:0], seen.polygon, True),
    )
    empty = Word("", [], quads[:0], seen.polygon + 150)
    flat = Word("ab", [], quads[:0], np.float32([(5, 5), (9, 5), (9, 5.2), (5, 5.2)]))
    found = label([unread, ignored, empty, flat, seen])
    assert len(found[0].quads) == 6 and found[0].confidence == 1 and not found[0].ignore
    assert [len(word.quads) for word in found[1:4]] == [0, 0, 0]
    assert all(word.ignore for word in found[1:4])


def test_the_summary_knows_of_no_letters_where_there_is_no_text(tmp_path):
    make_folders(tmp_path)
    square = np.float32([(0, 0), (9, 0), (9, 9), (0, 9)])
    words = [
        Word(text, [""], square[None], square, confidence=confidence)
        for text, confidence in (("a", 1), ("ab", 0.5), ("", 1))
    ]
    finish_chunk(chunk_path(tmp_path, 0), [Sample(tmp_path, "0.jpg", 9, 9, words).to_json()], [])
    counts = summarise(tmp_path, unread=2)
    assert counts["left out"] == 2  # named by the reader
    assert counts["words"] == counts["characters"] == 3
    assert counts["words with as many characters as letters"] == 1


def test_words_without_text_are_trusted_by_their_peaks():
    """Two characters of six stand clear; the others are faint, or run into each other."""
    quads = cells(6, 24, 32) + np.float32((40, 60))
    values = [1, 0.45, 1, 1, 1, 0.45]
    picture = np.zeros((200, 400), np.uint8)
    for quad, value in zip(quads, values, strict=True):
        single = draw_heatmaps([quad[None]], 400, 200)[0]
        picture = np.maximum(picture, (single * value).astype(np.uint8))
    between = (quads[2:4].mean((0, 1))).astype(int)
    bridge = picture[between[1] - 14 : between[1] + 14, between[0] - 8 : between[0] + 8]
    bridge[:] = np.maximum(bridge, 222)  # .87 of the peaks: two characters, but not clear ones
    outline = word_of("abcdef", quads).polygon
    assert peak_clarity(picture, outline) == pytest.approx(2 / 6)
    word = Word("", [], quads[:0], outline)
    rgb = np.repeat(picture[..., None], 3, 2)
    (found,) = label_images([rgb], [[word]], identity, 4)[0]
    assert found.confidence == LOWEST_CONFIDENCE


def test_dont_care_words_count_as_much_as_asked():
    quads = cells(6, 16, 28) + np.float32((40, 60))
    picture = draw_heatmaps([quads], 200, 200)[0]
    word = Word("###", [], quads[:0], word_of("abcdef", quads).polygon, True)
    blank = Word("###", [], quads[:0], word.polygon + 100, True)
    rgb = np.repeat(picture[..., None], 3, 2)
    found, nothing = label_images([rgb], [[word, blank]], identity, 4, 0.3)[0]
    assert found.ignore and found.text == "###" and len(found.quads) == 6
    assert found.training_weight == pytest.approx(0.3) and nothing.training_weight == 0
    (unasked,) = label_images([rgb], [[found]], identity, 4)[0]  # labelled again, without a weight
    assert unasked.training_weight == 0 and not len(unasked.quads)
    again = Word.from_json(json.loads(json.dumps(found.to_json())))
    assert again.training_weight == found.training_weight and again.ignore
    sample = Sample(None, "a.jpg", 200, 200, [again, nothing])
    weights = draw_weights(sample, 200)
    assert set(np.unique(weights)) == {0, round(0.3 * 255), 255}


@pytest.mark.parametrize(
    "corners",
    [
        [(10, 10), (80, 10), (80, 40), (80, 40)],
        [(10, 10), (10, 10), (80, 40), (10, 40)],
        [(10, 10), (80, 10), (80, 40), (45, 25)],
        [(10, 10), (80, 40), (80, 10), (10, 40)],
        [(10, 10), (80, 10), (30, 20), (10, 40)],
        [(10, 10), (80, 10), (10, 10), (10, 40)],
        [(10, 10), (45, 10), (80, 10), (80, 40), (10, 40)],
    ],
)
def test_quads_without_four_corners_are_cut_like_their_rectangle(corners):
    """Two equal corners, three in a line, crossed, dented, one too many: people draw such boxes,
    too."""
    bare = Word("abc", [], np.zeros((0, 4, 2), np.float32), np.float32(corners))
    (word,) = label([bare])
    drawn = shapely.MultiPoint(corners).convex_hull
    cells = shapely.unary_union([shapely.Polygon(quad) for quad in word.quads])
    assert cells.buffer(0.1).covers(drawn)
    assert cells.area == pytest.approx(drawn.minimum_rotated_rectangle.area, rel=0.01)
    assert len(word.quads) == 3 and word.quads.min() >= 9.9 and word.quads.max() <= 80.1


def test_pieces_cover_a_large_image_once_whole_and_once_in_squares():
    image = np.random.default_rng(0).integers(0, 255, (300, 500, 3)).astype(np.uint8)
    words = [
        word_of("abcd", turned(cells(4, 10, 20), 0, (30, 30))),
        word_of("abcd", turned(cells(4, 10, 20), 0, (180, 130))),
        word_of("abcd", turned(cells(4, 10, 12), 0, (30, 60))),  # too low in the whole
    ]
    pieces = cut_pieces(image, words, 200)
    whole, *tiles = pieces
    assert whole[0].shape == (120, 200, 3)
    assert [word.ignore for word in whole[1]] == [False, False, True]
    np.testing.assert_allclose(whole[1][0].quads, words[0].quads * 0.4)
    assert len(tiles) == 6 and all(tile.shape == (200, 200, 3) for tile, _ in tiles)
    covered, kept = np.zeros((300, 500), bool), 0
    for tile, own in tiles:
        view = np.lib.stride_tricks.sliding_window_view(image[..., 0], (200, 200))
        (top, left), *_ = np.argwhere((view[:, :, 0, :5] == tile[0, :5, 0]).all(2))
        np.testing.assert_array_equal(tile, image[top : top + 200, left : left + 200])
        covered[top : top + 200, left : left + 200] = True
        for word in own:
            if word.ignore:
                assert not len(word.quads)
                assert (word.polygon >= 0).all() and (word.polygon <= 200).all()
            else:
                kept += 1
                near = [abs(word.quads + (left, top) - known.quads).max() for known in words]
                assert min(near) < 1e-3
    assert covered.all() and kept >= 2
    assert cut_pieces(image, words, 500) == [(image, words)]


def test_words_lie_on_a_strip_whose_sides_are_rounded():
    """94 px become 13, not 12.5."""
    word = word_of("abcd", cells(4, 40, 54) + np.float32((100, 40)))
    strip, (shrunk,) = cut_pieces(np.zeros((94, 1500, 3), np.uint8), [word], 200)[0]
    assert strip.shape == (13, 200, 3) and not shrunk.ignore
    assert shrunk.polygon[:, 1].max() == shrunk.quads[..., 1].max() == pytest.approx(13)


def test_what_a_border_cuts_is_dont_care_where_it_lies():
    """A slanted word: of each tile's part of it, all is don't-care, and little else. The maps lack
    its cells there, whatever it counts as a whole."""
    image = np.zeros((400, 640, 3), np.uint8)
    word = word_of("slanted", turned(cells(7, 60, 30), -30, (150, 350)))
    word.weight = 0.5
    whole = shapely.Polygon(word.polygon)
    places = [(x, y) for y in (0, 100, 200) for x in (0, 147, 293, 440)]
    _, *tiles = cut_pieces(image, [word], 200)
    assert len(tiles) == len(places)
    parts = 0
    for (left, top), (_, own) in zip(places, tiles, strict=True):
        tile = shapely.box(left, top, left + 200, top + 200)
        for cut in own:
            assert cut.ignore and cut.training_weight == 0 and not len(cut.quads)
            outline = shapely.Polygon(cut.polygon + (left, top))
            parts += 1
            assert outline.symmetric_difference(whole & tile).area < 1
            x, y = cut.polygon.T
            assert np.dot(x, np.roll(y, -1)) >= np.dot(y, np.roll(x, -1))  # clockwise
    assert parts >= 4


@pytest.mark.parametrize(("length", "side"), [(1024, 512), (1280, 768), (513, 512), (2048, 512)])
def test_a_word_on_a_seam_is_whole_in_one_of_the_tiles(length, side):
    image = np.zeros((side, length, 3), np.uint8)
    for left in range(0, length - 40, 13):
        word = word_of("ab", cells(2, 20, 12) + np.float32((left, 100)))
        _, *tiles = cut_pieces(image, [word], side)
        assert any(len(own) and not own[0].ignore for _, own in tiles), left


def test_names_of_pieces_do_not_collide(tmp_path):
    files = ("1.jpg", "1.png", "1_jpg", "a/1.jpg", "a_1.jpg", "b/a/1.jpg", "b/a%2F1.jpg", "a.1.jpg")
    files += ("a:b.jpg", "a?b.jpg", 'a"b.jpg', "a|b.jpg", "имя.jpg")
    names = {
        piece_file(Sample(tmp_path, file, 9, 9, []), number) for file in files for number in (0, 1)
    }
    assert len(names) == 2 * len(files)
    assert all(name.endswith(".jpg") and not set(name) & set('/\\:*?"<>|') for name in names)
    assert "имя.jpg_00.jpg" in names


def test_command_labels_goes_on_and_trains(triplets, model_dir, tmp_path, run_well_here):
    source = shutil.copytree(triplets, tmp_path / "words")
    samples = read_samples(source)[0]
    samples[0].image_path.write_bytes(b"damaged")
    for name in ("character_heatmaps", "affinity_heatmaps"):
        shutil.rmtree(source / name)
    command = ("pseudo_label.py", "--input_dir", source, "--model_dir", model_dir)
    command += ("--piece_size", SIZE, "--chunk_size", 3, "--batch_size", 4, "--device", "cpu")
    folder = tmp_path / "labelled"
    result = run_well(*command, "--save_folder", folder)
    assert samples[0].file in result.stderr and "left out: 1" in result.stdout
    made, problems = read_samples(folder)
    assert len(made) == len(samples) - 1 and not problems
    for sample in made:
        maps = read_triplet(sample)[1]
        quads = [word.quads for word in sample.words]
        # The annotations are rounded to 1/100 px: at its rim a Gaussian falls from 11 to 0.
        difference = abs(maps.astype(int) - draw_heatmaps(quads, SIZE, SIZE))
        assert difference.max() <= 12 and (difference > 2).mean() < 1e-3
        for word in sample.words:
            assert word.ignore or (len(word.quads) and LOWEST_CONFIDENCE <= word.confidence <= 1)
    before = {path: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    (folder / "annotations" / "00001.jsonl").unlink()
    run_well_here(*command, "--save_folder", folder)
    touched = [p for p, time in before.items() if p.stat().st_mtime_ns != time]
    assert len(touched) == 3 and len(read_samples(folder)[0]) == len(made)
    output = tmp_path / "trained"
    run_well_here(
        *("train.py", "--input_dir", triplets, folder, "--mix", 2, 1, "--output_dir", output),
        *("--model_name_or_path", model_dir, "--image_size", SIZE, "--max_steps", 1),
        *("--per_device_train_batch_size", 2, "--dataloader_num_workers", 0, "--use_cpu", True),
        *("--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", False),
    )
    assert json.loads((output / "train_results.json").read_text())["train_loss"] > 0


def test_pieces_of_a_thousand_images_in_a_subfolder(triplets, tmp_path, appeared):
    samples = read_samples(triplets)[0][:3]
    make_folders(tmp_path)
    chunk = Chunk(chunk_path(tmp_path, 499), 998, samples)
    options = Labelling("cells", True, 0.0, SIZE * 3 // 4, 32, 90, threads=1, subfolders=True)
    assert label_chunk(SimpleNamespace(run=identity), chunk, options) == 3
    pieces = read_samples(tmp_path)[0]
    assert appeared.index(chunk.path) == 3 * len(pieces) == len(appeared) - 1
    assert all(piece.image_path.is_file() for piece in pieces)
    assert {piece.file.split("_")[0] for piece in pieces} == {
        "00000/00000000.jpg",
        "00000/00000001.jpg",
        "00001/00000002.jpg",
    }


def test_processes_share_a_folder(triplets, model_dir, tmp_path, run_here, run_well_here):
    """What another process has claimed is left to it, and made when that one has ended."""
    folder = tmp_path / "labelled"
    command = ("pseudo_label.py", "--input_dir", triplets, "--model_dir", model_dir)
    command += ("--piece_size", SIZE, "--chunk_size", 3, "--device", "cpu")
    command += ("--save_folder", folder)
    run_well_here(*command)
    complete = (folder / "dataset.json").read_bytes()
    first, second, third = (folder / "annotations" / f"{n:05d}.jsonl" for n in range(3))
    second.unlink()
    third.unlink()
    with FileLock(folder / CLAIMS / "00001.lock") as claim:
        assert_refused(run_here(*command, "--overwrite"), "another process")
        with subprocess.Popen([sys.executable, *map(str, command)], cwd=ROOT) as process:
            while not third.exists():
                assert process.poll() is None
                time.sleep(0.1)
            assert first.exists() and not second.exists()
            claim.release()
            assert process.wait() == 0
    assert second.exists() and not (folder / CLAIMS).exists()
    assert (folder / "dataset.json").read_bytes() == complete


def test_bad_input_is_one_line(triplets, model_dir, tmp_path, run_here):
    command = ("pseudo_label.py", "--save_folder", tmp_path / "out", "--input_dir")
    assert_refused(
        run_here(*command, tmp_path / "none", "--model_dir", model_dir), "no such folder"
    )
    assert_refused(run_here(*command, triplets, "--model_dir", tmp_path), "train.py")
    assert_refused(
        run_here(*command, tmp_path, "--model_dir", model_dir), "name a --save_folder else"
    )
    (tmp_path / "empty").mkdir()
    empty = run_here(*command, tmp_path / "empty", "--model_dir", model_dir)
    assert_refused(empty, "not a data set")
    assert not (tmp_path / "out").exists()
