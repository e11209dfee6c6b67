"""A teacher's own maps as labels, corrected by the words that people drew."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import SIZE, assert_refused
from PIL import Image
from test_pseudo_label import cells, word_of

from pseudo_label import unannotated
from textdet.data.annotation import Sample, Word
from textdet.data.chunked_folder import Chunk, chunk_path
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.triplets import make_folders, read_samples, read_triplet
from textdet.decoding.settings import DetectionSettings, save_settings
from textdet.network.labelling import Labelling, label_chunk
from textdet.network.soft_labels import CRAFT_AFFINITY_EXPONENT, correct_maps

WIDTH, HEIGHT = 420, 120
FIRST, SECOND = (cells(5, 18, 30) + np.float32((x, 40)) for x in (40, 150))


def bare(text, quads, ignore=False):
    return Word(text, [], quads[:0], word_of("abcde", quads).polygon, ignore)


def test_what_a_teacher_sees_in_the_words_stays_as_it_is():
    maps = draw_heatmaps([FIRST, SECOND], WIDTH, HEIGHT)
    soft = (maps * 0.8).astype(np.uint8)  # soft values, not those that would be drawn
    found, words = correct_maps(soft, [bare("abcde", FIRST), bare("", SECOND)])
    assert [len(word.quads) for word in words] == [5, 5]
    assert [word.confidence for word in words] == [1, 1]
    assert (found != soft).mean() < 0.005  # but for the Gaussians' faint rims
    assert (found[:, maps.min(0) > 60] == soft[:, maps.min(0) > 60]).all()


def test_nothing_beside_the_words_and_no_affinity_between_them():
    """The teacher joins two words, and sees a third one that nobody annotated."""
    bridge, stray = np.concatenate([FIRST, SECOND]), SECOND + np.float32((150, 0))
    maps = draw_heatmaps([bridge, stray], WIDTH, HEIGHT)
    found, _ = correct_maps(maps, [bare("abcde", FIRST), bare("abcde", SECOND)])
    gap = slice(int(FIRST[..., 0].max()) + 1, int(SECOND[..., 0].min()) - 1)
    assert maps[1][:, gap].max() > 200 and found[1][:, gap].max() == 0
    beyond = int(SECOND[..., 0].max()) + 20
    assert maps[0][:, beyond:].max() > 200 and found[:, :, beyond:].max() == 0
    inside = maps[1, 55, 50:120]
    np.testing.assert_array_equal(found[1, 55, 50:120], inside)


def test_a_word_that_the_teacher_does_not_see_is_cut_evenly():
    maps = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    maps[0, 50:60, 60:110] = 60  # a faint smear
    found, (word,) = correct_maps(maps, [bare("abcde", FIRST)])
    assert len(word.quads) == 5 and word.confidence == 0.5
    np.testing.assert_allclose(word.quads, FIRST, atol=1)
    expected = draw_heatmaps([word.quads], WIDTH, HEIGHT)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_dont_care_words(weight):
    maps = draw_heatmaps([FIRST], WIDTH, HEIGHT)
    found, (word,) = correct_maps(maps, [bare("###", FIRST, ignore=True)], weight)
    assert word.ignore and word.training_weight == pytest.approx(weight)
    assert (found.max() > 200) == (weight > 0)
    found, (word,) = correct_maps(maps, [word])  # labelled again, without a weight
    assert word.training_weight == 0 and not found.any()


@pytest.mark.parametrize("text", ["", "###"])
def test_words_without_known_letters_stay_as_a_teacher_sees_them(text):
    """However little that is to be trusted."""
    maps = draw_heatmaps([FIRST], WIDTH, HEIGHT)
    maps[:, :, :58] = maps[:, :, :58] * 0.45  # the first letter
    found, (word,) = correct_maps(maps, [bare(text, FIRST, ignore=bool(text))], 1.0)
    assert word.confidence < 1
    np.testing.assert_array_equal(found[:, 50:60, 42:128], maps[:, 50:60, 42:128])


class Teacher:
    """Finds one word of a few cells in any image."""

    def __init__(self, maps, is_craft):
        self.maps, self.files = maps, SimpleNamespace(is_craft=is_craft)

    def predict(self, images):
        return [self.maps for _ in images]

    def __call__(self, image):
        outline = word_of("abcde", FIRST).polygon
        word = SimpleNamespace(characters=FIRST, outline=outline, score=0.7)
        return SimpleNamespace(maps=self.maps, words=[word])


@pytest.mark.parametrize("is_craft", [False, True])
@pytest.mark.parametrize("is_annotated", [False, True])
def test_each_piece_has_its_own_part_of_the_maps(is_craft, is_annotated, tmp_path):
    """Of words that a model found, all counts as much as what is around them."""
    maps = (draw_heatmaps([FIRST, SECOND], WIDTH, HEIGHT) * 0.8).astype(np.uint8)
    sample = Sample(tmp_path, "a.png", WIDTH, HEIGHT, [bare("abcde", FIRST)])
    make_folders(tmp_path / "out")
    (tmp_path / "images").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(sample.image_path)
    chunk = Chunk(chunk_path(tmp_path / "out", 0), 0, [sample])
    options = Labelling("maps", is_annotated, 0.0, 256, 4, 90, threads=1)
    label_chunk(Teacher(maps, is_craft), chunk, options)
    expected = maps.copy()
    if is_craft:
        expected[1] = np.rint(255 * (maps[1] / 255) ** CRAFT_AFFINITY_EXPONENT)
    if is_annotated:
        expected = correct_maps(expected, sample.words)[0]
    _, left, right = read_samples(tmp_path / "out")[0]
    for piece, start in ((left, 0), (right, WIDTH - 256)):
        np.testing.assert_array_equal(read_triplet(piece)[1], expected[:, :, start : start + 256])
    (word,) = left.words
    assert word.training_weight == 1 and len(word.quads) == 5 and not right.words
    assert word.confidence == (1 if is_annotated else 0.7)


def test_command_writes_the_models_maps(triplets, model_dir, tmp_path, run_here, run_well_here):
    """Of annotated images, and of images alone."""
    options = ("--model_dir", model_dir, "--piece_size", SIZE // 2, "--max_samples", 3)
    options += ("--device", "cpu", "--labels", "maps")
    corrected, photos = tmp_path / "corrected", tmp_path / "photos"
    free = photos / "labelled"
    run_well_here("pseudo_label.py", "--input_dir", triplets, *options, "--save_folder", corrected)
    shutil.copytree(triplets / "images", photos / "inner")
    (photos / "inner" / "notes.txt").write_text("no image")
    options += ("--format", "images")
    run_well_here("pseudo_label.py", "--input_dir", photos, *options, "--save_folder", free)
    (tmp_path / "link").symlink_to(photos)
    again = unannotated(photos, tmp_path / "link" / "labelled")[0]  # not its own images
    assert [sample.image_path for sample in again] == sorted((photos / "inner").glob("*.jpg"))
    for folder in (corrected, free):
        samples, problems = read_samples(folder)
        assert len(samples) > 3 and not problems  # shrunk, and cut
        for sample in samples:
            image, maps = read_triplet(sample)
            assert image.shape[:2] == maps.shape[1:] and max(image.shape) <= SIZE // 2
    # The model's own maps of an image that nobody annotated, also where it finds no words: an
    # untrained network sees a little everywhere.
    samples = read_samples(free)[0]
    seen = np.stack([read_triplet(sample)[1] for sample in samples if sample.width == SIZE // 2])
    assert seen.min() > 0
    assert all(not word.text for sample in samples for word in sample.words)
    # With other thresholds it would go on with other words.
    save_settings(model_dir, DetectionSettings(low_text=0.3))
    result = run_here("pseudo_label.py", "--input_dir", photos, *options, "--save_folder", free)
    assert_refused(result, "low_text (0.4 there, 0.3 now)")


def test_pictures_that_detect_wrote_are_no_photographs(tmp_path):
    for name in ("a.jpg", "found/a.jpg", "found/a_heatmaps.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    record = dict.fromkeys(("file", "size", "model", "settings", "words", "lines"), [])
    (tmp_path / "found" / "a.json").write_text(json.dumps(record))
    samples, (problem,) = unannotated(tmp_path, tmp_path / "out")
    assert [sample.file for sample in samples] == ["a.jpg"]
    assert "2 images" in problem and "earlier run" in problem


def test_images_alone_have_no_words_to_cut(triplets, model_dir, tmp_path, run_here):
    command = ("pseudo_label.py", "--input_dir", triplets, "--model_dir", model_dir)
    command += ("--save_folder", tmp_path / "out", "--format", "images")
    assert_refused(run_here(*command), "--labels maps")
    empty = tmp_path / "empty"
    empty.mkdir()
    command = ("pseudo_label.py", "--input_dir", empty, *command[3:], "--labels", "maps")
    assert_refused(run_here(*command), "no images in it")
