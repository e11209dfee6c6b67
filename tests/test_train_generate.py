"""train.py --generate: scenes drawn while the network trains."""

import itertools
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from accelerate.data_loader import prepare_data_loader
from conftest import assert_refused, contents
from easy_images import SIDE, write_images

import train
from generate_utils import Job, draw_triplet, generate_triplet, open_resources
from static import constants as C
from textdet.common.errors import DataError
from textdet.common.images import read_image
from textdet.data.annotation import ANNOTATIONS
from textdet.data.source import Source, open_source
from textdet.data.triplets import make_folders, read_samples, write_triplet
from textdet.synth.settings import GeneratorSettings
from textdet.training.arguments import DetectorTrainingArguments
from textdet.training.augmentation import make_preset
from textdet.training.datasets import MixSampler, TrainDataset, collate
from textdet.training.options import DataArguments, GeneratorArguments, ModelArguments, check
from textdet.training.run_folder import describe_changes
from textdet.training.scenes import SceneSource

BACKGROUNDS = sorted(C.BACKGROUNDS.glob("*.jpg"))[:2]
FONTS = C.FONTS / "open-sans"


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job of small scenes with many words, some of them unreadable."""
    fonts = tuple(sorted(FONTS.glob("*.ttf")))[:2]
    settings = GeneratorSettings(
        FONT_SIZE=(8, 24), EMPTY_PROBABILITY=0, PAGE_PROBABILITY=0, LEGIBLE_DISTANCE=25
    )
    folder = tmp_path_factory.mktemp("generate") / "job"
    return Job(folder, settings, 7, SIDE, tuple(BACKGROUNDS), fonts, C.WORDS)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate") / "labelled"
    write_images(folder, 6)
    return folder


def crops_of(job, source=None, preset="default", scenes=8):
    scenes = SceneSource(source or Source([], SIDE, None), partial(draw_triplet, job), scenes)
    return TrainDataset(scenes, make_preset(preset, 64, SIDE))


# --- The crops -------------------------------------------------------------------------------


def test_crops_are_those_of_a_folder_of_these_scenes(job):
    """Labels to the bit; weights but for the rounding of outlines; pixels but for the JPEG."""
    make_folders(job.folder)
    resources = open_resources(job.backgrounds, job.fonts, job.words, job.settings.languages())
    lines = []
    for index in range(8):
        sample, image, maps = generate_triplet(
            resources, job.settings, job.folder, job.seed, index, job.size
        )
        write_triplet(sample, image, maps, jpeg_quality=100)
        lines.append(json.dumps(sample.to_json()) + "\n")
    (job.folder / ANNOTATIONS / "00000.jsonl").write_text("".join(lines), encoding="utf-8")
    read, _ = open_source(read_samples(job.folder)[0], SIDE, caching=False, workers=1)
    read, drawn = TrainDataset(read, make_preset("default", 64, SIDE)), crops_of(job)
    labelled = weighted = 0
    for index, seed in itertools.product(range(8), range(2)):
        expected, found = read[index, seed], drawn[index, seed]
        assert torch.equal(found["labels"], expected["labels"])
        labelled += bool(found["labels"].any())
        difference = found["pixel_values"].float() - expected["pixel_values"].float()
        assert difference.abs().mean() < 6  # of another crop 30 and more
        assert ("weights" in found) == ("weights" in expected)
        if "weights" in found:
            weighted += 1
            difference = found["weights"].float() - expected["weights"].float()
            assert difference.abs().mean() < 1 < found["weights"].float().std()
    assert weighted and labelled >= 2


def test_the_same_batches_for_any_number_of_workers_and_processes(job, labelled):
    source, _ = open_source(read_samples(labelled)[0], SIDE, caching=False, workers=1)
    crops, sampler = crops_of(job, source), MixSampler([6], [2, 1], seed=3, scenes=8)

    def loader(workers):
        sampler.epoch = 1
        return torch.utils.data.DataLoader(
            crops, 2, sampler=sampler, collate_fn=collate, num_workers=workers
        )

    alone = list(loader(0))
    shards = [
        list(prepare_data_loader(loader(1), num_processes=2, process_index=i, put_on_device=False))
        for i in range(2)
    ]
    together = [batch for pair in zip(*shards, strict=True) for batch in pair]
    for batches in (list(loader(2)), together):
        assert len(batches) >= len(alone) == 7
        for batch, expected in zip(batches, alone, strict=False):
            assert batch.keys() == expected.keys()
            assert all(torch.equal(batch[name], expected[name]) for name in batch)


def test_no_scene_comes_twice_and_the_folders_come_as_without():
    sampler, seen, read = MixSampler([4, 6], [3, 1, 1], seed=1, scenes=10), [], []
    for sampler.epoch in range(5):
        draws = list(sampler)
        assert len(draws) == len(sampler) == 20
        seen += [index for index, *_ in draws if index >= 10]
        read += [index for index, *_ in draws if index < 10]
    assert sorted(seen) == list(range(10, 10 + 5 * 12))
    times = np.bincount(read).tolist()
    assert times[:4] == [5] * 4 and sorted(times[4:]) == [3, 3, 3, 3, 4, 4]


def test_several_crops_of_a_scene_follow_each_other_and_it_is_drawn_once(job):
    sampler = MixSampler([3], [7, 3], seed=1, scenes=7, crops_per_scene=4)
    seen = []
    for sampler.epoch in range(3):
        indices = [index for index, *_ in sampler]
        runs = [a for a, b in zip(indices, [None, *indices], strict=False) if a != b]
        scenes = [index for index in runs if index >= 3]
        assert len(indices) == 10 and len(scenes) == len(set(scenes)) == 2
        seen += scenes
    assert sorted(seen) == list(range(3, 9))
    drawn, crops = [], crops_of(job)
    draw = crops.source.draw
    crops.source.draw = lambda number: drawn.append(number) or draw(number)
    first, second = crops[5, 1], crops[5, 2]
    assert drawn == [5] and not torch.equal(first["pixel_values"], second["pixel_values"])
    assert torch.equal(crops_of(job)[5, 2]["labels"], second["labels"])


# --- Runs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Flags of a tiny run."""
    photos = tmp_path_factory.mktemp("generate") / "photos"
    photos.mkdir()
    for path in BACKGROUNDS:
        (photos / path.name).symlink_to(path)
    flags = ("--generate", "--backgrounds", photos, "--fonts", FONTS, "--max_eval_samples", 3)
    flags += ("--image_size", SIDE, "--crop_size", 64, "--crops_per_epoch", 6, "--set")
    flags += ("FONT_SIZE=[8, 30]", "--from_scratch", "--per_device_train_batch_size", 2)
    flags += ("--max_steps", 4, "--use_cpu", "True", "--logging_steps", 1, "--bf16", "False")
    flags += ("--lr_scheduler_type", "constant", "--warmup_steps", 0)
    return (
        *flags,
        "--save_steps",
        2,
        "--save_strategy",
        "steps",
        "--eval_strategy",
        "no",
        "--load_best_model_at_end",
        "False",
    )


def losses(folder):
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def files_in(folder):
    return {file: data for file, data in contents(folder).items() if "cache/" not in file}


def test_a_run_goes_on_in_the_middle_of_an_epoch(small, labelled, tmp_path, run_well_here):
    """With a folder beside the scenes, other loader processes and a validation made once."""
    flags = (*small, "--input_dir", labelled, "--mix", 3, 1)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    said = run_well_here("train.py", *flags, "--output_dir", whole, "--dataloader_num_workers", 0)
    assert "8 new scenes an epoch and 4 images, validating with 3" in said.stdout, said.stdout
    told = "Trained on scenes drawn while it was trained and 4 images of labelled, mixed 3:1."
    assert told in (whole / "README.md").read_text(encoding="utf-8")
    made = files_in(whole / train.VALIDATION)
    assert sum(name.endswith(".jpg") for name in made) == 3

    flags += ("--dataloader_num_workers", 1, "--output_dir", parts)
    run_well_here("train.py", *flags, "--max_steps", 2)
    assert files_in(parts / train.VALIDATION) == made
    run_well_here("train.py", *flags)
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5) and len(losses(whole)) == 4
    assert files_in(parts / train.VALIDATION) == made
    assert not list(parts.glob("*.jpg")) and {p.name for p in parts.iterdir() if p.is_dir()} == {
        "validation", "runs", "checkpoint-2", "checkpoint-4"
    }  # fmt: skip

    record = json.loads((whole / "training.json").read_text())
    generator = record["generator"]
    assert generator["settings"] == {"FONT_SIZE": [8, 30]} and generator["crops_per_epoch"] == 6
    assert {"fonts", "words", "backgrounds", "defaults", "code"} <= generator.keys()
    assert record["images"] == {"train": 4, "test": 3}
    other = {**generator, "settings": {"PAGE_PROBABILITY": 0.0}, "fonts": "others"}
    changes = describe_changes(whole, {**record, "generator": other})
    for text in ("other fonts", "PAGE_PROBABILITY 0.0", "FONT_SIZE the default instead of"):
        assert text in changes
    assert describe_changes(whole, record) == ""


def test_validation_is_apart_from_training_and_made_anew_for_other_settings(job, tmp_path):
    folder = tmp_path / "validation"
    train.make_validation(job, folder, 2, goes_on=False)
    first = files_in(folder)
    validated = [read_image(sample.image_path) for sample in read_samples(folder)[0]]
    trained = [draw_triplet(job, index)[1] for index in range(3)]
    assert all(np.abs(a - b.astype(float)).mean() > 10 for a in validated for b in trained)
    train.make_validation(replace(job, seed=8), folder, 2, goes_on=False)
    assert files_in(folder) == first
    other = replace(job, settings=GeneratorSettings(EMPTY_PROBABILITY=1, PAGE_PROBABILITY=0))
    train.make_validation(other, folder, 2, goes_on=True)
    assert files_in(folder) == first
    train.make_validation(other, folder, 2, goes_on=False)
    assert not any(sample.words for sample in read_samples(folder)[0])


def test_samples_of_scenes_can_be_looked_at(small, tmp_path, run_well_here):
    run_well_here("train.py", *small, "--output_dir", tmp_path, "--show_samples", 2)
    assert (tmp_path / "samples.png").is_file() and not (tmp_path / train.VALIDATION).exists()


# --- Flags -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "generator", "said"),
    [
        ({}, {"preset": "signs"}, "--preset is for --generate"),
        ({}, {"set": ["PAGE_PROBABILITY=0"]}, "--set is for --generate"),
        ({"input_dir": ["a"], "mix": [1.0]}, {"generate": True}, "--generate and each of the 1"),
        ({"unseen": ["fonts"]}, {"generate": True}, "--unseen is for --input_dir"),
        ({"test_size": 0.2}, {"generate": True}, "--test_size is for --input_dir"),
        ({"max_train_samples": 9}, {"generate": True}, "--max_train_samples is for --input_dir"),
        ({}, {"generate": True, "crops_per_scene": 0}, "--crops_per_scene must be at least 1"),
        ({}, {"generate": True, "crops_per_epoch": 1e99}, "no number that can be meant"),
    ],
)
def test_flags_that_cannot_be(data, generator, said):
    with pytest.raises(DataError, match=said):
        groups = DataArguments(**data), GeneratorArguments(**generator)
        check(ModelArguments(), *groups, DetectorTrainingArguments("out", use_cpu=True))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--set", "FONT_SIZ=1"), "the nearest is FONT_SIZE"),
        (("--settings", "nowhere.toml"), "nowhere.toml"),
        (("--words", "nowhere.txt"), "nowhere.txt"),
        (("--backgrounds", "nowhere"), "nowhere"),
    ],
)
def test_what_the_generator_refuses(flags, said, small, tmp_path, run_here):
    assert_refused(run_here("train.py", *small, *flags, "--output_dir", tmp_path), said)


def test_an_unknown_preset_is_one_line(tmp_path, run_here):
    flags = ("--generate", "--preset", "cats", "--output_dir", tmp_path / "out")
    assert_refused(run_here("train.py", *flags), "signs")
    assert not (tmp_path / "out").exists()
