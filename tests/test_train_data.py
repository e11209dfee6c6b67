"""What training sees: weights, crops, their order and mix, the split, the cache."""

import copy
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from easy_images import SIDE, write_images
from transformers import TrainingArguments

from textdet.common.errors import DataError, SizeError
from textdet.data import cache
from textdet.data.annotation import Sample, Word
from textdet.data.cache import Cache
from textdet.data.fitted import draw_weights, fit, fitted_words, read_fitted
from textdet.data.source import open_source
from textdet.data.splits import split_samples
from textdet.data.triplets import read_samples
from textdet.training.arguments import DetectorTrainingArguments
from textdet.training.augmentation import STRENGTHS, make_preset
from textdet.training.datasets import (
    CropChoice,
    MixSampler,
    TrainDataset,
    collate,
    split_count,
    to_tensors,
)
from textdet.training.options import AUGMENTATIONS
from textdet.training.report import draw_samples


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "easy"
    write_images(folder, 12)
    return folder


@pytest.fixture
def own_data(data, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(data, tmp_path / "own", ignore=shutil.ignore_patterns("cache"))


def word(left, top, right, bottom, **more):
    polygon = np.float32([(left, top), (right, top), (right, bottom), (left, bottom)])
    return Word("a", ["a"], polygon[None], polygon, **more)


# --- Weights ---------------------------------------------------------------------------------


def test_weights_are_drawn_where_the_annotations_say(tmp_path):
    """At twice the size, against rectangles filled by hand."""
    words = [
        word(2, 3, 20, 10),
        word(30, 3, 50, 10, confidence=0.6),
        word(40, 5, 60, 20, ignore=True),
        word(35, 2, 45, 8, confidence=0.8),
    ]
    sample = Sample(tmp_path, "a.jpg", 100, 50, words)
    expected = np.full((200, 200), 255, np.uint8)
    expected[4:16, 70:90] = 204
    expected[6:20, 60:100] = 153
    expected[10:40, 80:120] = 0
    found = draw_weights(sample, 200)
    inner = cv2.erode(np.ones((200, 200), np.uint8), None) > 0
    for value in (0, 153, 204, 255):  # edges may differ by a pixel
        inner &= cv2.erode((expected != value).astype(np.uint8), np.ones((3, 3))) == (
            cv2.dilate((expected != value).astype(np.uint8), np.ones((3, 3)))
        )
    assert (found[inner] == expected[inner]).all() and inner.mean() > 0.9
    assert abs(found.astype(int).sum() - expected.astype(int).sum()) < 0.005 * 255 * 200 * 200
    sample.words = words[:1]
    assert draw_weights(sample, 200) is None
    # The maps lack a word whose characters are not known: it does not count.
    sample.words = [Word("a", [], words[0].quads[:0], words[0].polygon)]
    assert (draw_weights(sample, 200)[10:15, 10:35] == 0).all()


def test_crops_move_weights_with_the_maps(data):
    """Weights that are drawn like the character map stay like it, and are 1 outside the image."""
    source, _ = open_source(read_samples(data)[0][:1], SIDE, caching=False, workers=1)
    image, maps, _ = source.read(0)
    source.read = lambda index: (image, maps, 255 - maps[..., 0])
    dataset = TrainDataset(source, make_preset("strong", 64, SIDE))
    for seed in range(12):
        _, moved, weights, _ = dataset.crop(CropChoice(0, seed))
        difference = np.abs(255 - weights.astype(int) - moved[..., 0])
        assert difference.max() <= 1
    assert "weights" in dataset[0, 0]


def test_a_batch_has_weights_only_where_one_of_its_items_has():
    image, maps = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 2), np.uint8)
    ones = np.full((64, 64), 255, np.uint8)
    less = ones.copy()
    less[:32] = 0
    plain, full, weak = (to_tensors(image, maps, weights) for weights in (None, ones, less))
    assert "weights" not in collate([plain, full])
    batch = collate([plain, weak])["weights"]
    assert batch.shape == (2, 1, 32, 32)
    assert (batch[0] == 255).all() and (batch[1, 0, :16] == 0).all()
    assert (batch[1, 0, 16:] == 255).all()


# --- Crops -----------------------------------------------------------------------------------


def test_fitting_keeps_points_on_their_pixels(data):
    sample = read_samples(data)[0][0]
    picture = np.zeros((50, 100, 3), np.uint8)
    picture[20:30, 60:80] = 255
    sample.width, sample.height = 100, 50
    fitted = fit(picture, 200)
    assert fitted.shape == (200, 200, 3)
    rows, columns = np.nonzero(fitted[..., 0] > 127)
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (120, 160, 40, 60)
    for before, after in zip(sample.words, fitted_words(sample, 200), strict=True):
        assert after.quads == pytest.approx(before.quads * 2)


def test_the_flag_names_every_preset_of_augmentation():
    """The flag has them by hand: --help must not import what makes them."""
    assert ("none", *STRENGTHS) == AUGMENTATIONS


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_crops_move_image_maps_and_points_alike(data, name):
    """A mark in the image, the same mark in the maps and its centre end at the same place."""
    source, _ = open_source(read_samples(data)[0][:1], SIDE, caching=False, workers=1)
    mark = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mark, (70, 60), 8, 255, -1)  # its centre is (70.5, 60.5)
    source.read = lambda index: (np.dstack([mark] * 3), np.dstack([mark] * 2), None)
    preset = make_preset(name, 64, SIDE)
    preset.colour.transforms.clear()
    dataset, seen = TrainDataset(source, preset), 0
    for seed in range(20):
        image, maps, _, points = dataset.crop(CropChoice(0, seed), np.float32([(70.5, 60.5)]))
        assert image.shape == (64, 64, 3) and maps.shape == (64, 64, 2)
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        if border.any() or image.max() < 200:
            continue  # cut off
        seen += 1
        centres = [np.argwhere(a[..., 0] > 127).mean(0)[::-1] + 0.5 for a in (image, maps)]
        assert centres[0] == pytest.approx(centres[1], abs=0.3)
        assert points[0] == pytest.approx(centres[0], abs=1.5)
    assert seen >= 3


@pytest.mark.parametrize("name", ["none", "default"])
@pytest.mark.parametrize("ignore", [False, True])
def test_crops_have_a_word_in_them(name, ignore):
    """TEXT_SHARE of them, and those of the others that meet it by chance; don't-care words do not
    count. The size of the part of the image that is cut out has nothing to do with it."""
    corner = np.float32([(6, 6), (16, 6), (16, 10), (6, 10)])
    word = Word("a", ["a"], corner[None], corner, ignore=ignore)
    arrays = np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((SIDE, SIDE, 2), np.uint8), None
    source = SimpleNamespace(
        size=SIDE, read_sound=lambda index: (index, *arrays), words=lambda index: [word]
    )
    dataset, middle = TrainDataset(source, make_preset(name, 32, SIDE)), corner.mean(0)
    squares, seen = [], 0
    for seed in range(400):
        rows, columns = dataset._choose_square(np.random.default_rng(seed), [word], SIDE)
        squares.append(rows.stop - rows.start)
        assert columns.stop - columns.start == squares[-1]
        assert min(rows.start, columns.start) >= 0 and max(rows.stop, columns.stop) <= SIDE
        seen += columns.start <= middle[0] < columns.stop and rows.start <= middle[1] < rows.stop
        if seed < 20 and name == "none":
            point = dataset.crop(CropChoice(0, seed), middle[None])[3][0]
            assert point == pytest.approx(middle - (columns.start, rows.start))
    low, high = min(map(min, dataset.preset.sides)), max(map(max, dataset.preset.sides))
    assert min(squares) < low + 3 and max(squares) > high - 3
    assert (0.8 < seen / 400 < 0.95) if not ignore else seen / 400 < 0.15


def test_nothing_is_mirrored_unless_asked(data):
    """The three corners of a mark keep their sense of rotation."""
    source, _ = open_source(read_samples(data)[0][:1], SIDE, caching=False, workers=1)
    triangle = np.float32([(40, 40), (90, 50), (50, 90)])

    def senses(mirror):
        dataset = TrainDataset(source, make_preset("strong", 64, SIDE, mirror))
        corners = [dataset.crop(CropChoice(0, seed), triangle)[3] for seed in range(30)]
        return {np.sign(np.linalg.det(c[1:] - c[0])) for c in corners}

    assert senses(mirror=False) == {1.0} and senses(mirror=True) == {1.0, -1.0}


def test_text_is_enlarged_and_shrunk(data):
    """The default preset shows a length of the image at half to three times its size."""
    source, _ = open_source(read_samples(data)[0][:1], 256, caching=False, workers=1)
    dataset = TrainDataset(source, make_preset("default", 128, 256))
    lengths = []
    for seed in range(60):
        a, b = dataset.crop(CropChoice(0, seed), np.float32([(100, 100), (110, 100)]))[3]
        lengths.append(np.linalg.norm(b - a) / 10)
    assert 0.4 < min(lengths) < 0.65 and 2 < max(lengths) < 3.6
    # No part reaches beyond the image, whose words would be at other places of the crop.
    assert make_preset("strong", 64, 128).sides == ((16, 64), (64, 128))


# --- Order and mix ---------------------------------------------------------------------------


def draws(sampler, epoch):
    sampler.epoch = epoch
    return list(sampler)


def test_without_shares_each_image_comes_once_an_epoch():
    sampler = MixSampler([5, 8], None, seed=1)
    first, second = draws(sampler, 0), draws(sampler, 1)
    assert sorted(index for index, *_ in first) == list(range(13)) and len(sampler) == 13
    assert first != second and first == draws(MixSampler([5, 8], None, seed=1), 0)
    assert {seed for _, seed, _ in first}.isdisjoint(seed for _, seed, _ in second)
    assert first != draws(MixSampler([5, 8], None, seed=2), 0)


def test_shares_are_kept_and_all_images_come_equally_often():
    sampler = MixSampler([100, 4], [5, 1], seed=0)  # an epoch: 87 of the first, 17 of the second
    times = np.zeros(104, int)
    for epoch in range(100):
        indices = np.array([index for index, *_ in draws(sampler, epoch)])
        assert ((indices < 100).sum(), (indices >= 100).sum()) == (87, 17)
        times += np.bincount(indices, minlength=104)
    assert times[:100].tolist() == [87] * 100 and times[100:].tolist() == [425] * 4
    assert split_count(10, [1, 1, 1]) == [3, 4, 3]


# --- The split -------------------------------------------------------------------------------


def test_split_is_deterministic_and_stable(tmp_path):
    """Whatever other images there are, an image stays on its side."""
    samples = [Sample(tmp_path, f"{i}.jpg", 64, 64, []) for i in range(200)]
    train, test = split_samples(samples, 0.25)
    assert sorted([*train, *test], key=samples.index) == samples and 30 < len(test) < 70
    for part in (samples[::-1], samples[:90], samples[60:], samples[::3]):
        fewer = split_samples(part, 0.25)
        for side, whole in zip(fewer, (train, test), strict=True):
            assert side == [sample for sample in part if sample in whole]


def test_unseen_fonts_and_backgrounds_are_on_one_side_only(tmp_path):
    rng = np.random.default_rng(0)
    fonts, photographs = [f"font{i}" for i in range(20)], [f"{i}.jpg" for i in range(10)]
    samples = []
    for i in range(400):
        extra = {
            "fonts": rng.choice(fonts, rng.integers(0, 3), replace=False).tolist(),
            "background": str(rng.choice([*photographs, "flat", "paper"])),
        }
        samples.append(Sample(tmp_path, f"{i}.jpg", 64, 64, [], extra))
    for unseen in (["fonts"], ["background"], ["fonts", "background"]):
        train, test = split_samples(samples, 0.3, unseen=unseen)
        for name in unseen:
            sides = []
            for side in (train, test):
                values = [np.atleast_1d(s.extra[name]).tolist() for s in side]
                sides.append({v for each in values for v in each} - {"flat", "paper"})
            assert sides[0].isdisjoint(sides[1]) and all(sides)
        if "background" in unseen:  # what many images share is on both
            for side in (train, test):
                assert {"flat", "paper"} <= {sample.extra["background"] for sample in side}
        assert len(train) > len(test) > 5
        assert len(train) + len(test) < len(samples) or unseen == ["background"]
    with pytest.raises(DataError, match="--unseen fonts: the annotations name 0"):
        split_samples([Sample(tmp_path, f"{i}.jpg", 64, 64, []) for i in range(4)], 0.2, ["fonts"])


def test_processes_of_several_machines_take_turns(monkeypatch):
    """Two machines with two processes each, as threads: the first makes a cache on a common disk,
    the second machine's first one on its own disk, where it has one."""
    barrier, order = threading.Barrier(4, timeout=20), []
    monkeypatch.setattr(torch.distributed, "barrier", barrier.wait)

    def process(rank):
        state = SimpleNamespace(is_main_process=rank == 0, is_local_main_process=rank % 2 == 0)
        args = SimpleNamespace(world_size=4, process_index=rank, distributed_state=state)
        args.main_process_first = partial(TrainingArguments.main_process_first, args)
        with DetectorTrainingArguments.in_turn(args, "the cache"):
            while rank == 0 and barrier.n_waiting < 3 and not order:
                pass  # until all others wait, or one does not
            order.append(rank)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(process, range(4)))
    assert order[:2] == [0, 2] and set(order[2:]) == {1, 3}


def test_what_is_no_name_of_a_font_does_not_count(tmp_path):
    """As in annotations that another tool has written."""
    extras = [{"fonts": value} for value in (["a", {"b": 1}, ["c"], None], "b", 3, {"d": 4})]
    samples = [Sample(tmp_path, f"{i}.jpg", 64, 64, [], extra) for i, extra in enumerate(extras)]
    train, test = split_samples(samples, 0.5, unseen=["fonts"])
    assert len(train) + len(test) == 4
    assert len({samples[i] in test for i in (0, 1)}) == 2  # "a" on one side, "b" on the other


def test_a_motion_blur_leaves_a_dot_where_it_is():
    blurs = make_preset("strong", 64, 64).colour.transforms[-1].transforms
    (motion,) = [blur for blur in blurs if type(blur).__name__ == "MotionBlur"]
    motion.p = 1
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[28:37, 40:49] = 255
    for seed in range(20):
        motion.set_random_seed(seed)
        light = motion(image=picture)["image"][..., 0].astype(float)
        j, i = np.mgrid[:64, :64]
        centre = (light * i).sum() / light.sum(), (light * j).sum() / light.sum()
        assert centre == pytest.approx((44, 32), abs=0.3)


def test_samples_of_a_damaged_image_are_the_next_one_s_own(own_data):
    """With its own outlines, not with those of the damaged image."""
    samples = read_samples(own_data)[0]
    whole = samples[3].image_path.read_bytes()
    samples[3].image_path.write_bytes(whole[: len(whole) // 2])
    source, _ = open_source(samples, SIDE, caching=False, workers=1)
    dataset = TrainDataset(source, make_preset("none", SIDE, SIDE))
    pictures = [draw_samples(dataset, [CropChoice(index, 5)], 1) for index in (3, 4, 5)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[1] != pictures[2]).any()


# --- The cache -------------------------------------------------------------------------------


def test_cache_follows_the_files_and_the_weights(own_data):
    samples = read_samples(own_data)[0][:4]
    samples[1].words[0].ignore = True

    def open_cache(samples):
        source, _ = open_source(samples, 64, caching=True, workers=1)
        return source, source.rows[0][0].folder

    before, folder = open_cache(samples)
    assert open_cache(samples)[1] == folder
    fresh = open_source(samples, 64, caching=False, workers=1)[0]
    for index in range(4):
        for a, b in zip(fresh.read(index), before.read(index), strict=True):
            assert (a is None and b is None) or (a == b).all()
    assert [before.read(i)[2] is None for i in range(4)] == [True, False, True, True]
    assert (folder / "weights").stat().st_size == 64 * 64  # only where some weight is not 1

    del before  # its cache may be deleted now
    changed = copy.deepcopy(samples)
    changed[2].words[0].confidence = 0.5
    assert open_cache(changed)[1] != folder and not folder.exists()
    for path in (samples[0].image_path, *samples[0].heatmap_paths):
        _, folder = open_cache(samples)
        path.touch()
        assert open_cache(samples)[1] != folder


def test_rows_of_a_cache_are_those_of_its_sound_samples(own_data, monkeypatch):
    """Which blocks decode, and from which a damaged one is missing."""
    monkeypatch.setattr(cache, "BLOCK", 2)
    samples = read_samples(own_data)[0][:6]
    samples[1].image_path.write_bytes(samples[1].image_path.read_bytes()[:1500])
    for sample in samples[3:5]:
        sample.words[0].ignore = True
    source, (problem,) = open_source(samples, 64, caching=True, workers=1)
    assert samples[1].file in problem and source.samples == [samples[0], *samples[2:]]
    for index, sample in enumerate(source.samples):
        for cached, own in zip(source.read(index), read_fitted(sample, 64), strict=True):
            np.testing.assert_array_equal(cached, own)


def test_a_cache_in_use_is_not_deleted(own_data, capsys):
    samples = read_samples(own_data)[0]

    def open_cache(size):
        source, _ = open_source(samples, size, caching=True, workers=1)
        return source, source.rows[0][0].folder

    first, used = open_cache(64)
    second, other = open_cache(96)
    assert "another run uses it" in capsys.readouterr().out
    first.read(0)
    del second
    open_cache(128)
    assert used.exists() and not other.exists()
    (used / "cache.json").write_text('{"is": "a cache of train.py --caching"}')  # being made
    with pytest.raises(DataError, match="another run is just making this cache"):
        open_cache(64)
    del first
    assert open_cache(64)[1] == used


def test_only_what_a_cache_is_by_its_record_is_deleted(own_data):
    """Not what others have put there, in a cache and beside it."""
    samples, root = read_samples(own_data)[0], own_data / "cache"

    def make(size):
        source, _ = open_source(samples, size, caching=True, workers=1)
        return source.rows[0][0].folder

    first = make(64)
    others = {"maps": "notes.txt", "train-0123": "images", "old": "cache.json", "b": "cache.json"}
    for folder, file in others.items():
        (root / folder).mkdir()
        (root / folder / file).write_text('{"damaged": {}, "mine": 1}' if folder == "b" else "x")
    elsewhere = shutil.copytree(first, own_data / "elsewhere")
    (root / "link").symlink_to(elsewhere)
    older = Path(shutil.copytree(first, root / "train-older"))
    (older / "cache.json").write_text('{"damaged": {}}')
    begun = Path(shutil.copytree(first, root / "train-begun"))
    (begun / "cache.json").write_text('{"is": "a cache of train.py --caching"}')
    (first / "notes.txt").write_text("mine")
    make(96)
    assert [path.name for path in first.iterdir()] == ["notes.txt"]
    assert not older.exists() and not begun.exists()
    assert all((root / folder / file).exists() for folder, file in others.items())
    assert len(list(elsewhere.iterdir())) >= 4


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "[" * 100_000, '{"damaged": 5}', '{"damaged": {"a": 1}}']
)
def test_a_cache_with_a_damaged_record_is_not_used(own_data, content):
    samples = read_samples(own_data)[0][:2]
    folder = open_source(samples, 64, caching=True, workers=1)[0].rows[0][0].folder
    (folder / "cache.json").write_text(content)
    if content.startswith('{"d'):  # known by it as a cache
        source = open_source(samples, 64, caching=True, workers=1)[0]
        assert source.rows[0][0].folder == folder and source.read(0)[0].any()
    else:
        with pytest.raises(DataError, match="delete the folder"):
            open_source(samples, 64, caching=True, workers=1)


def test_a_cache_that_the_disk_cannot_hold_is_refused(own_data, monkeypatch):
    samples = read_samples(own_data)[0]
    usage = shutil.disk_usage(own_data)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=200 * 2**20 + 1000))
    with pytest.raises(DataError, match="has no room for the cache"):
        open_source(samples, 64, caching=True, workers=1)


def test_memory_stays_flat_while_a_cache_is_read(tmp_path):
    """Reading 200 MB raises the resident memory by less than a few rows."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    cache = Cache(tmp_path, 512, weighted=[])
    cache.create(150)
    before, total = resident(), 0
    for row in range(150):
        image, maps, _ = cache.read(row)
        total += int(image.sum()) + int(maps.sum())
    assert total == 0 and resident() - before < 20 * 2**20


def test_both_sides_of_a_split_keep_their_caches(own_data, capsys):
    samples = read_samples(own_data)[0]

    def open_both(size):
        return [
            open_source(part, size, caching=True, workers=1, side=side)[0].rows[0][0].folder
            for part, side in ((samples[:8], "train"), (samples[8:], "validation"))
        ]

    first = open_both(64)
    capsys.readouterr()
    assert open_both(64) == first and all(folder.exists() for folder in first)
    assert capsys.readouterr().out.count("using the cached data set") == 2
    second = open_both(96)
    assert not any(folder.exists() for folder in first)
    assert sorted(path.name for path in second[0].parent.iterdir() if path.is_dir()) == sorted(
        folder.name for folder in second
    )


# --- Damaged files ---------------------------------------------------------------------------


def test_a_triplet_damaged_behind_its_header_is_replaced(own_data, capsys):
    samples = read_samples(own_data)[0][:3]
    for sample in samples[1:]:
        sample.image_path.write_bytes(sample.image_path.read_bytes()[:1500])
    source, problems = open_source(samples, 64, caching=False, workers=1)
    assert not problems and len(source) == 3  # their headers are sound
    for _ in range(2):
        index, image, maps, _ = source.read_sound(1)
    assert index == 0 and (image == source.read(0)[0]).all() and (maps == source.read(0)[1]).all()
    said = capsys.readouterr().err
    assert all(said.count(f"{sample.file}:") == 1 for sample in samples[1:])  # once each


@pytest.mark.parametrize("caching", [False, True])
def test_sizes_that_disagree_are_an_error(own_data, caching):
    samples = read_samples(own_data)[0][:3]
    path = samples[1].heatmap_paths[1]
    cv2.imwrite(str(path), np.zeros((50, 60), np.uint8))
    path.write_bytes(path.read_bytes()[:45])  # before anything is decoded: the header alone
    with pytest.raises(SizeError, match=rf"{path.name}: 60x50 px, but its annotation says 128x128"):
        open_source(samples, 64, caching, workers=1)
