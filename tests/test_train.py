"""train.py as its users run it."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT, assert_refused, run, run_well, start
from easy_images import SIDE, write_images
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoImageProcessor, SegformerForSemanticSegmentation, TrainerCallback
from transformers.models.segformer.modeling_segformer import SegformerDecodeHead
from two_processes import evaluate, gradients, train_with_fixed_statistics

import train
from textdet.common.errors import DataError
from textdet.data.held_out import Record, find_held_out
from textdet.data.source import open_source
from textdet.data.splits import split_samples
from textdet.data.triplets import read_samples
from textdet.network.detector import TextDetector
from textdet.network.model_files import bundled_model, choose_model, find_model
from textdet.network.segformer import (
    Normalise,
    fix_statistics,
    load_model,
    new_model,
    pool_keys,
    to_maps,
)
from textdet.training.arguments import DetectorTrainingArguments
from textdet.training.augmentation import make_preset
from textdet.training.callbacks import AtStart, KeepSchedule, StopEarly
from textdet.training.checkpoints import JUDGE, is_finished, last_checkpoint, steps_ahead
from textdet.training.data import find_samples, open_data
from textdet.training.datasets import MixSampler, TrainDataset, ValidationDataset
from textdet.training.loss import HeatmapLoss
from textdet.training.plain_errors import loading, within_memory
from textdet.training.report import data_fingerprint
from textdet.training.run_folder import check_own, hold
from train_utils import HeatmapTrainer, sound_settings

TINY = ("--image_size", SIDE, "--crop_size", 64, "--use_cpu", "True", "--logging_steps", 1)
TINY += ("--test_size", 0.25, "--from_scratch", "True")
RUN = (*TINY, "--per_device_train_batch_size", 4, "--caching", "True", "--num_train_epochs", 3)
RUN += ("--eval_strategy", "steps", "--eval_steps", 2, "--save_strategy", "steps")
RUN += ("--save_steps", 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "data"
    write_images(folder, 16)
    return folder


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run from start to end: its output folder and what it said."""
    folder = tmp_path_factory.mktemp("train") / "whole"
    args = ("train.py", "--input_dir", data, *RUN, "--dataloader_num_workers", 0)
    return folder, run_well(*args, "--output_dir", folder)


def history(folder, name):
    """A value at each step where it was logged."""
    entries = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry[name] for entry in entries if name in entry]


# --- The network's head ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_fast_head_equals_the_librarys(size):
    torch.manual_seed(0)
    model = new_model().train()
    pixels = torch.randn(2, 3, *size)
    results = []
    fused = model.decode_head.forward
    for forward in (fused, partial(SegformerDecodeHead.forward, model.decode_head)):
        model.decode_head.forward = forward
        model.zero_grad()
        model.decode_head.batch_norm.reset_running_stats()
        logits = model(pixel_values=pixels).logits
        (logits * torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)).sum().backward()
        results.append((logits, [p.grad for p in model.parameters()]))
    (fast, fast_grads), (slow, slow_grads) = results
    assert torch.allclose(fast, slow, atol=1e-5)
    for a, b in zip(fast_grads, slow_grads, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * max(1.0, b.abs().max().item()))


def test_fixed_statistics_make_training_see_what_detection_sees():
    model = new_model()
    norm = model.decode_head.batch_norm
    torch.nn.init.normal_(norm.running_mean)
    kept = norm.running_mean.clone(), norm.running_var.clone()
    pixels = torch.randn(2, 3, 64, 64)
    detected = model.eval()(pixel_values=pixels).logits
    fix_statistics(model)
    trained = model.train()(pixel_values=pixels).logits
    assert torch.equal(trained, detected)
    trained.sum().backward()
    assert norm.weight.grad.abs().max() > 0  # what it scales and adds is learned
    assert torch.equal(norm.running_mean, kept[0]) and torch.equal(norm.running_var, kept[1])


@pytest.mark.parametrize(
    ("given", "from_scratch", "used"),
    [(None, True, 1.5e-3), (None, False, 6e-4), (1e-5, True, 1e-5)],
)
def test_random_weights_learn_at_a_higher_rate(given, from_scratch, used, tmp_path):
    args = DetectorTrainingArguments(str(tmp_path), learning_rate=given, use_cpu=True)
    groups = train.DataArguments(["a"]), train.GeneratorArguments(), args
    train.check(train.ModelArguments(from_scratch=from_scratch), *groups)
    assert args.learning_rate == used


# --- One run ---------------------------------------------------------------------------------


def test_leaves_model_metrics_pictures_and_record(whole, data):
    folder, result = whole
    assert "caching takes" in result.stdout and "heatmap_error:" in result.stdout
    for name in ("model.safetensors", "config.json", "preprocessor_config.json",
                 "eval_results.json", "train_results.json", "training_curves.png",
                 "predictions.png"):  # fmt: skip
        assert (folder / name).stat().st_size > 50, name
    metrics = json.loads((folder / "eval_results.json").read_text())
    assert {"eval_f1", "eval_iou", "eval_precision", "eval_recall", "eval_heatmap_error"} <= set(
        metrics
    )
    record = json.loads((folder / "training.json").read_text())
    assert record["data"]["input_dir"] == [str(data)] and record["versions"]["torch"]
    assert record["training"]["learning_rate"] == 1.5e-3
    assert sum(record["images"].values()) == 16
    learned, test = split_samples(read_samples(data)[0], 0.25)
    assert record["data_fingerprint"] == data_fingerprint(learned + test)  # with all their words
    assert record["held_back"] == {data.name: sorted(sample.file for sample in test)}
    moved = data.rename(data.with_name("moved"))
    samples = read_samples(moved)[0]
    held_out = {sample.file for sample in find_held_out(folder, samples)}
    assert held_out == {sample.file for sample in test}
    moved.rename(data)
    assert result.stdout.startswith("starting from random weights")
    assert "step 4 of 9" in result.stdout and "left" in result.stdout
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert modes == {(folder / "training.json").stat().st_mode & 0o777}

    scalars, pictures = set(), 0
    for path in (folder / "runs").rglob("events.*"):
        events = EventAccumulator(str(path)).Reload()
        scalars |= set(events.Tags()["scalars"])
        pictures += sum(len(events.Images(tag)) for tag in events.Tags()["images"])
    assert {"train/loss", "eval/f1", "eval/heatmap_error"} <= scalars and pictures >= 3


def test_fixed_statistics_outlast_a_run(whole, data, tmp_path, run_well_here):
    folder = whole[0]
    flags = [*TINY, "--input_dir", data, "--output_dir", tmp_path, "--max_steps", 2]
    flags += ["--from_scratch", "False", "--model_name_or_path", folder]
    flags += ["--fixed_statistics", "True"]
    flags += ["--eval_strategy", "no", "--load_best_model_at_end", "False"]
    flags += ["--dataloader_num_workers", 0]
    run_well_here("train.py", *flags)
    before, after = (load_file(place / "model.safetensors") for place in (folder, tmp_path))
    kept = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
    norm = "decode_head.batch_norm."
    assert {norm + "running_mean", norm + "running_var"} <= kept
    assert not kept & {norm + "weight", norm + "bias", "decode_head.classifier.weight"}


def test_transformers_loads_the_result(whole):
    """What was saved is what transformers itself loads and computes."""
    folder, _ = whole
    plain = SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    ours = load_model(str(folder)).eval()
    assert plain.config.id2label == {0: "character", 1: "affinity"}
    processor = AutoImageProcessor.from_pretrained(folder)
    pixels = processor(np.full((128, 128, 3), 90, np.uint8), return_tensors="pt")["pixel_values"]
    assert torch.allclose(Normalise()(torch.full((1, 3, 128, 128), 90)), pixels, atol=1e-4)
    with torch.no_grad():
        expected, found = plain(pixel_values=pixels).logits, ours(pixel_values=pixels).logits
    assert torch.allclose(expected, found, atol=1e-5)
    assert to_maps(found, (128, 128)).shape == (1, 2, 128, 128)


def test_killed_in_the_middle_it_goes_on_step_by_step(whole, data, tmp_path, run_well_here):
    """Killed after its second checkpoint, with loader processes, in the middle of an epoch."""
    args = ("train.py", "--input_dir", data, *RUN, "--dataloader_num_workers", 2)
    args += ("--output_dir", tmp_path)
    with start(*args) as process:
        while Path(last_checkpoint(tmp_path) or "checkpoint-2").name == "checkpoint-2":
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    damaged = tmp_path / "checkpoint-8"  # as if the next one had been half written
    shutil.copytree(last_checkpoint(tmp_path), damaged, dirs_exist_ok=True)
    (damaged / "trainer_state.json").write_text('{"best_')
    second = run_well(*args)
    assert "using the cached data set" in second.stdout and "going on from" in second.stdout
    assert len(history(tmp_path, "loss")) == 9
    assert history(tmp_path, "loss") == pytest.approx(history(whole[0], "loss"), rel=1e-3)
    assert history(tmp_path, "eval_f1") == pytest.approx(history(whole[0], "eval_f1"), abs=0.1)

    saved = (tmp_path / "model.safetensors").stat().st_mtime_ns
    assert "trained as far as asked" in run_well_here(*args).stdout
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == saved


SHARED = (*TINY, "--num_train_epochs", 3, "--bf16", "False", "--dataloader_num_workers", 0)
SHARED += ("--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "False")


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    """What two processes do together, see two_processes.py: the output folder of train.py, the
    other results, what was said."""
    root = tmp_path_factory.mktemp("two")
    own = shutil.copytree(data, root / "data", ignore=shutil.ignore_patterns("cache"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    command += [ROOT / "tests" / "two_processes.py", own, root / "result.pt"]
    command += [*SHARED, "--per_device_train_batch_size", 2, "--caching", "True"]
    command += ["--input_dir", own, "--output_dir", root / "out"]
    result = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return root / "out", torch.load(root / "result.pt", weights_only=True), result


def test_two_processes_train_like_one(two, data, tmp_path):
    """Step by step, each process with half of the batch."""
    folder, _, result = two
    assert result.stdout.count("caching takes") == 2 and "using the cached" not in result.stdout
    args = (*SHARED, "--per_device_train_batch_size", 4, "--input_dir", data)
    train_with_fixed_statistics(*args, "--output_dir", tmp_path)
    together, alone = history(folder, "loss"), history(tmp_path, "loss")
    assert len(together) == 9 and together == pytest.approx(alone, rel=1e-3)
    weights = [load_file(place / "model.safetensors") for place in (folder, tmp_path)]
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], atol=1e-3), name


def test_gradients_of_two_processes_are_those_of_one(two):
    expected = gradients(0, 1)
    assert torch.allclose(two[1]["gradients"], expected, atol=1e-5 * expected.abs().max().item())


def test_metrics_of_two_processes_are_those_of_one(two, data, tmp_path):
    alone = evaluate(data, tmp_path)
    for name in ("eval_precision", "eval_recall", "eval_f1", "eval_iou", "eval_heatmap_error"):
        assert two[1]["metrics"][name] == pytest.approx(alone[name], abs=1e-4), name


# --- Parts of a run --------------------------------------------------------------------------


def make_trainer(folder, output, callbacks=(), images=8, **settings):
    source, _ = open_source(read_samples(folder)[0][:images], SIDE, caching=False, workers=1)
    sampler, test_set = MixSampler([images], None, seed=0), ValidationDataset(source)
    defaults = {
        "save_strategy": "no", "eval_strategy": "no", "load_best_model_at_end": False,
        "per_device_train_batch_size": 2, "dataloader_num_workers": 0, "logging_steps": 1,
    }  # fmt: skip
    args = DetectorTrainingArguments(
        output_dir=str(output), use_cpu=True, report_to="none", bf16=False, **defaults | settings
    )
    torch.manual_seed(0)
    train_set = TrainDataset(source, make_preset("none", 64, SIDE))
    return HeatmapTrainer(
        model=new_model(), args=args, train_dataset=train_set,
        eval_dataset=test_set, callbacks=list(callbacks), loss=HeatmapLoss(),
        sampler=sampler, truth=test_set.truth(),
    )  # fmt: skip


def test_accumulated_gradients_are_a_mean(data, tmp_path):
    """Twice the same batch gives the gradient of that batch once."""
    norms = []
    for steps in (1, 2):
        trainer = make_trainer(data, tmp_path, max_steps=1, gradient_accumulation_steps=steps)
        trainer.sampler = [(0, 5), (1, 6)] * 2
        trainer.train()
        norms.append(trainer.state.log_history[0]["grad_norm"])
    assert norms[1] == pytest.approx(norms[0], rel=1e-4)


@pytest.mark.parametrize("poison", ["weights", "gradients"])
def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(data, tmp_path, poison):
    class Poison(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_):
            bias = model.decode_head.classifier.bias
            if state.global_step == 3 and poison == "weights":
                bias.data.fill_(float("nan"))
            if state.global_step == 3 and poison == "gradients":
                bias.register_hook(lambda gradient: gradient * float("inf"))

    settings = {"max_steps": 8, "save_strategy": "steps", "save_steps": 2}
    trainer = make_trainer(data, tmp_path, [Poison()], **settings)
    with pytest.raises(DataError, match="at step 3: .*checkpoint-2 is sound; start again"):
        trainer.train()
    checkpoint = last_checkpoint(tmp_path)
    assert checkpoint.endswith("checkpoint-2")
    weights = load_file(Path(checkpoint) / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_loss_that_is_not_finite_from_the_start(data, tmp_path):
    trainer = make_trainer(data, tmp_path, max_steps=2)
    trainer.model.decode_head.classifier.bias.data.fill_(float("nan"))
    with pytest.raises(DataError, match="at step 0: there is no checkpoint yet; start again"):
        trainer.train()


def test_muon_goes_on_where_it_stopped(data, tmp_path):
    settings = {"muon": True, "lr_scheduler_type": "constant", "save_strategy": "steps"}
    losses = []
    for steps in ((4,), (2, 4)):
        folder = tmp_path / str(len(steps))
        for last in steps:
            trainer = make_trainer(data, folder, max_steps=last, save_steps=2, **settings)
            trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert len(losses[0]) == 4 and losses[1] == pytest.approx(losses[0], rel=1e-5)
    saved = torch.load(folder / "checkpoint-4" / "optimizer.pt", weights_only=True)
    assert sum("momentum" in state for state in saved["state"].values()) == 62


def test_flags_given_anew_count_when_a_run_goes_on(data, tmp_path):
    settings = {"warmup_steps": 0, "save_strategy": "steps", "save_steps": 2}
    make_trainer(data, tmp_path, max_steps=2, **settings).train()
    settings |= {"learning_rate": 1e-5, "lr_scheduler_type": "linear", "weight_decay": 0.5}
    trainer = make_trainer(data, tmp_path, max_steps=4, **settings)
    trainer.train(resume_from_checkpoint=last_checkpoint(tmp_path))
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert rates[2:] == pytest.approx([0.5e-5, 0.25e-5]), rates
    decays = {group["weight_decay"] for group in trainer.optimizer.param_groups}
    assert decays == {0.0, 0.5}


def test_a_checkpoint_without_a_schedule_has_that_of_its_steps():
    """As --save_only_model leaves it."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 - n / 4)
    state = SimpleNamespace(global_step=2)
    KeepSchedule().on_train_begin(None, state, None, lr_scheduler=schedule)
    assert optimizer.param_groups[0]["lr"] == 0.5
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_a_rate_that_follows_the_validation_goes_on_where_it_was(tmp_path):
    flags = {"lr_scheduler_type": "reduce_lr_on_plateau", "use_cpu": True}
    for metric, mode in (("f1", "max"), ("heatmap_error", "min")):
        args = DetectorTrainingArguments(str(tmp_path), metric_for_best_model=metric, **flags)
        assert args.lr_scheduler_kwargs == {"mode": mode}
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    before = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=0)
    for score in (0.5, 0.6, 0.6):
        before.step(score)
    for state, rate in ((before.state_dict(), 0.1), ({"base_lrs": [1.0], "_last_lr": [0.0]}, 1.0)):
        optimizer.param_groups[0]["lr"] = 1.0  # as keep_flags leaves it
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=0)
        schedule.load_state_dict(state)
        KeepSchedule().on_train_begin(None, None, None, lr_scheduler=schedule)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)


def test_the_loader_follows_its_flags(data, tmp_path):
    flags = {"dataloader_multiprocessing_context": "spawn", "dataloader_in_order": False}
    flags |= {"dataloader_drop_last": True}
    flags |= {"per_device_train_batch_size": 3, "per_device_eval_batch_size": 9}
    trainer = make_trainer(data, tmp_path, dataloader_num_workers=1, **flags)
    assert len(trainer.get_eval_dataloader()) == 1  # not one of its 8 images is dropped
    loader = trainer.get_train_dataloader()
    assert loader.multiprocessing_context.get_start_method() == "spawn" and not loader.in_order
    assert len(loader) == 2  # and two of them left over


def test_stretches_at_a_constant_rate_and_a_decay_at_the_end(data, tmp_path):
    """Each command goes on where the one before stopped, with the optimizer's state."""
    settings = {"lr_scheduler_type": "warmup_stable_decay", "warmup_steps": 2}
    settings |= {"save_strategy": "steps", "save_steps": 1, "learning_rate": 1e-3}
    for steps, decay in ((3, 0), (5, 0), (8, 3)):
        kwargs = f'{{"num_decay_steps": {decay}, "decay_type": "linear"}}'  # as a flag gives them
        trainer = make_trainer(
            data, tmp_path, max_steps=steps, lr_scheduler_kwargs=kwargs, **settings
        )
        checkpoint = last_checkpoint(tmp_path)
        trainer.train(resume_from_checkpoint=checkpoint)
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    expected = [0.0, 0.5, 1, 1, 1, 1, 2 / 3, 1 / 3]
    assert rates == pytest.approx([1e-3 * share for share in expected]), rates
    state = torch.load(tmp_path / "checkpoint-8" / "optimizer.pt", weights_only=True)["state"]
    assert {int(values["step"]) for values in state.values()} == {8}


@pytest.mark.parametrize("other", [{"muon": True}, {"optim": "sgd"}])
def test_a_run_does_not_go_on_with_another_optimizer(data, tmp_path, other):
    settings = {"save_strategy": "steps", "save_steps": 1}
    make_trainer(data, tmp_path, max_steps=1, **settings).train()
    called = []
    trainer = make_trainer(
        data, tmp_path, [AtStart(lambda: called.append(1))], max_steps=2, **other
    )
    with pytest.raises(DataError, match="another optimizer .*--model_name_or_path"):
        trainer.train(resume_from_checkpoint=last_checkpoint(tmp_path))
    assert not called  # training.json stays what it was


def test_a_full_disk_is_one_line(data, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("[enforce fail at inline_container.cc] unexpected pos 64 vs 0\nstack")

    trainer = make_trainer(data, tmp_path, max_steps=1, save_strategy="steps", save_steps=1)
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(DataError, match="cannot be written .*unexpected pos 64 vs 0.$"):
        trainer.train()


def test_muon_does_not_replace_another_optimizer(tmp_path):
    with pytest.raises(ValueError, match="not with --optim adafactor"):
        DetectorTrainingArguments(output_dir=str(tmp_path), muon=True, optim="adafactor")


# --- Going on --------------------------------------------------------------------------------

SAVED = {"save_strategy": "steps", "save_steps": 1, "warmup_steps": 0}


@pytest.mark.parametrize(
    "then", [{"per_device_train_batch_size": 8}, {"gradient_accumulation_steps": 4}, {"images": 3}]
)
def test_what_is_asked_is_trained_whatever_a_step_is_now(data, tmp_path, then):
    """Of an epoch in two steps, then two epochs asked for: the second is trained as a whole."""
    small = {"per_device_train_batch_size": 4, "max_grad_norm": 0.5, **SAVED}
    make_trainer(data, tmp_path, num_train_epochs=1, **small).train()
    trainer = make_trainer(data, tmp_path, **small | {"num_train_epochs": 2, **then})
    seen = []
    read = trainer.train_dataset.source.read_sound
    trainer.train_dataset.source.read_sound = lambda i: seen.append(i) or read(i)
    trainer.train(resume_from_checkpoint=last_checkpoint(tmp_path))
    assert trainer.state.epoch == 2 and sorted(seen) == list(range(then.get("images", 8)))
    assert trainer.state.global_step == 3 and last_checkpoint(tmp_path).endswith("-3")


@pytest.mark.parametrize(
    ("asked", "done", "per_epoch", "batches", "expected"),
    [
        ({"num_train_epochs": 3}, (4, 2.0), 2, 2, (2, 0, 2)),  # nothing has changed
        ({"num_train_epochs": 3}, (5, 2.5), 2, 2, (2, 1, 1)),
        ({"num_train_epochs": 3}, (1, 2 / 3), 2, 3, (0, 1, 5)),  # two batches a step, then one
        ({"num_train_epochs": 2}, (1000, 1.0), 10, 10, (1, 0, 10)),
        ({"num_train_epochs": 2}, (3, 0.3), 100, 100, (0, 30, 170)),
        ({"num_train_epochs": 1.5}, (10, 1.0), 20, 20, (1, 0, 10)),
        ({"num_train_epochs": 1}, (6, 3.0), 2, 2, (3, 0, 0)),
        ({"max_steps": 120}, (100, 10.0), 5, 5, (10, 0, 20)),
        ({"max_steps": 120}, (100, 1.5), 40, 40, (1, 20, 20)),
    ],
)
def test_progress_is_counted_in_what_was_asked_for(asked, done, per_epoch, batches, expected):
    accumulated = -(-batches // per_epoch)
    args = SimpleNamespace(max_steps=-1, gradient_accumulation_steps=accumulated)
    args.__dict__.update(asked)
    state = dict(zip(("global_step", "epoch"), done, strict=True))
    assert steps_ahead(args, state, per_epoch, batches) == expected


def test_the_steps_between_checkpoints_can_change_when_a_run_goes_on(data, tmp_path):
    make_trainer(data, tmp_path, max_steps=1, **SAVED).train()
    trainer = make_trainer(data, tmp_path, max_steps=5, **SAVED | {"save_steps": 3})
    trainer.train(resume_from_checkpoint=last_checkpoint(tmp_path))
    assert {path.name[-1] for path in tmp_path.glob("checkpoint-*")} == {"3", "5"}


@pytest.mark.parametrize("then", [{"metric_for_best_model": "loss"}, {"images": 7}, {}])
def test_the_best_is_chosen_anew_where_validation_is_another(data, tmp_path, then):
    """Scores of another kind or of other images cannot be compared: here none beats the first."""
    judged = {"eval_strategy": "steps", "eval_steps": 1, "load_best_model_at_end": True, **SAVED}
    make_trainer(data, tmp_path, max_steps=1, **judged).train()
    trainer = make_trainer(data, tmp_path, max_steps=2, **judged, **then)
    trainer.train(resume_from_checkpoint=last_checkpoint(tmp_path))
    assert trainer.state.best_global_step == (2 if then else 1)
    kept = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())
    assert kept["stateful_callbacks"][JUDGE]["since"] == (1 if then else 0)


@pytest.fixture(scope="module")
def checkpoints(data, tmp_path_factory):
    """A run's folder with two checkpoints. Not to be written to."""
    folder = tmp_path_factory.mktemp("train") / "checkpoints"
    make_trainer(data, folder, max_steps=2, **SAVED, ema=0.9).train()
    return folder


def state_with(**fields):
    def change(content):
        return json.dumps(json.loads(content) | fields).encode()

    return change


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def pickled(value):
    def change(_):
        stream = io.BytesIO()
        torch.save(value, stream)
        return stream.getvalue()

    return change


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, cut) for name in ("model.safetensors", "average.safetensors", "scheduler.pt")),
        *(("optimizer.pt", how) for how in (cut, flip)),
        *(("rng_state.pth", how) for how in (cut, flip, pickled({}), pickled({"python": 5}))),
        ("rng_state.pth", pickled({"python": (3, (1,), None), "numpy": 1, "cpu": 2})),
        *(("trainer_state.json", lambda _, c=c: c) for c in (b"", b"[]", b"[" * 100_000, b"{}")),
        ("trainer_state.json", lambda _: b'{"global_step": ' + b"1" * 5000 + b"}"),
        ("trainer_state.json", state_with(global_step="2")),
        ("trainer_state.json", state_with(global_step=10**400)),
        ("trainer_state.json", state_with(epoch=float("inf"))),
        ("trainer_state.json", state_with(log_history={"loss": 1})),
        ("trainer_state.json", state_with(log_history=[{"eval_f1": "high"}])),
        ("trainer_state.json", state_with(best_model_checkpoint=5)),
        ("trainer_state.json", state_with(train_batch_size="x")),
        ("trainer_state.json", state_with(unknown=1)),
        ("trainer_state.json", state_with(stateful_callbacks={JUDGE: {"is": "x"}})),
    ],
)
def test_of_a_damaged_checkpoint_the_one_before_is_taken(
    checkpoints, tmp_path, name, damage, capsys
):
    assert last_checkpoint(checkpoints).endswith("checkpoint-2")
    folder = tmp_path / "run"
    shutil.copytree(checkpoints, folder)
    path = folder / "checkpoint-2" / name
    path.write_bytes(damage(path.read_bytes()))
    assert last_checkpoint(folder).endswith("checkpoint-1")
    assert capsys.readouterr().err.startswith(f"left out: {path}: damaged (")


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt"])
def test_a_checkpoint_of_something_else_is_one_line(data, checkpoints, tmp_path, name):
    folder = Path(shutil.copytree(checkpoints, tmp_path / "run"))
    (folder / "checkpoint-2" / name).write_bytes(pickled({"a": 1})(b""))
    trainer = make_trainer(data, folder, max_steps=3, **SAVED)
    with pytest.raises(DataError, match="checkpoint-2"):
        trainer.train(resume_from_checkpoint=last_checkpoint(folder))


def test_a_finished_run_does_not_pass_for_another_one(whole, data, tmp_path, run_here):
    """Of other images, and of flags that change what is learned."""
    other = tmp_path / "other"
    write_images(other, 20)
    for path in (other / "images").iterdir():
        path.write_bytes(path.read_bytes() + b"other")
    out = Path(shutil.copytree(whole[0], tmp_path / "out"))
    own = ("--output_dir", out, *RUN, "--dataloader_num_workers", 0)
    for flags, said in (
        (
            ("--input_dir", other),
            f"other data (16 images in {data} then, 20 images in {other} now)",
        ),
        (("--input_dir", data, "--crop_size", 96), "--crop_size 96 instead of 64"),
        (
            ("--input_dir", data, "--learning_rate", 0.5, "--lr_scheduler_kwargs", '{"a": 1}'),
            "--learning_rate 0.5 instead of 0.0015, --lr_scheduler_kwargs {'a': 1} instead of None",
        ),
        (("--input_dir", data, "--resume_from_checkpoint", "nowhere"), "nowhere: no checkpoint"),
    ):
        assert_refused(run_here("train.py", *own, *flags), said)
    own += ("--input_dir", data)
    again = run_here("train.py", *own, "--logging_steps", 3, "--num_train_epochs", 2)
    assert "trained as far as asked; " in again.stdout
    for path in out.glob("checkpoint-*"):
        shutil.rmtree(path)
    assert_refused(run_here("train.py", *own), "a finished model and no checkpoint")


def test_a_run_goes_on_with_the_network_that_it_began_with(data, tmp_path, run_well_here):
    """Whatever the flags name by then: they are not repeated, or the hub is in reach now."""
    first, out = tmp_path / "first", tmp_path / "out"
    model = new_model()
    pool_keys(model, [2, 2, 1, 1])
    model.save_pretrained(first)
    own = ("--input_dir", data, "--output_dir", out, *TINY[:-2], "--dataloader_num_workers", 0)
    own += ("--save_strategy", "steps", "--save_steps", 1, "--eval_strategy", "no")
    own += ("--load_best_model_at_end", "False")
    run_well_here("train.py", *own, "--model_name_or_path", first, "--max_steps", 1)
    shutil.rmtree(first)
    for steps in (2, 3):
        run_well_here("train.py", *own, "--from_scratch", "True", "--max_steps", steps)
        assert json.loads((out / "config.json").read_text())["key_pooling"] == [2, 2, 1, 1]
        kept = json.loads((out / "training.json").read_text())["model"]
        assert kept["model_name_or_path"] == kept["started_from"] == str(first)
        assert not kept["from_scratch"]
    card = (out / "README.md").read_text()
    assert f"It started from {first.parent.name}/{first.name}." in card and "| steps | 3 |" in card


def test_two_runs_in_one_folder_are_one_at_a_time(data, tmp_path, monkeypatch, run_here):
    monkeypatch.setattr("textdet.training.run_folder.WAIT", 0)
    with hold(tmp_path):
        result = run_here("train.py", "--input_dir", data, *TINY, "--output_dir", tmp_path)
    assert_refused(result, "another training is under way")
    with hold(tmp_path):
        pass


def test_a_model_takes_over_the_settings_of_its_first_one(data, tmp_path, model_dir, capsys):
    """In its checkpoints, too; its own it keeps."""
    settings = model_dir / "detection.json"
    assert sound_settings(str(model_dir)) is None and sound_settings("") is None
    settings.write_text('{"settings": {"low_text": 0.3}}')
    first = sound_settings(load_model(str(model_dir)).name_or_path)
    settings.unlink()  # as with a checkpoint that a run goes on from and deletes on its way
    trainer = make_trainer(data, tmp_path / "out", max_steps=1, **SAVED)
    trainer.first_settings = first
    trainer.train()
    own = tmp_path / "out" / "detection.json"
    trainer.save_model()
    for folder in (tmp_path / "out", tmp_path / "out" / "checkpoint-1"):
        assert TextDetector(folder, "cpu").settings.low_text == 0.3
    own.write_text('{"settings": {"low_text": 0.5}}')
    trainer.save_model()
    assert "0.5" in own.read_text()
    settings.write_text("damaged")
    assert sound_settings(str(model_dir)) is None and "left out" in capsys.readouterr().err


def test_of_a_run_under_way_scripts_take_the_last_checkpoint(
    checkpoints, data, tmp_path, monkeypatch, run_here, capsys
):
    for number in (2, 10, 11):
        shutil.copytree(checkpoints / "checkpoint-2", tmp_path / f"checkpoint-{number}")
    (tmp_path / "checkpoint-11/trainer_state.json").unlink()  # it is being written
    last = tmp_path / "checkpoint-10"
    assert choose_model(tmp_path) == last
    assert f"taking {last}" in capsys.readouterr().err
    assert choose_model(tmp_path / "checkpoint-2") == tmp_path / "checkpoint-2"
    with pytest.raises(DataError, match="name .*checkpoint-10 instead"):
        find_model(tmp_path)
    with pytest.raises(DataError, match="checkpoint-9: .*--save_total_limit"):
        choose_model(tmp_path / "checkpoint-9")

    def stop(args):
        raise DataError(f"{args.model_dir} is tuned")

    monkeypatch.setattr("tune.find_test_samples", stop)
    result = run_here("tune.py", "--input_dir", data, "--model_dir", tmp_path)
    assert_refused(result, "checkpoint-10 is tuned")


@pytest.mark.parametrize("name", ["config.json", "eval_results.json", "checkpoint-7"])
def test_a_model_that_is_not_its_own_is_not_written_over(whole, tmp_path, name):
    (tmp_path / "notes.txt").write_text("mine")
    check_own(tmp_path)
    check_own(tmp_path / "new")
    check_own(whole[0])
    if name.startswith("checkpoint"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("{}")
    for record in (None, "{}", "damaged"):
        if record:
            (tmp_path / "training.json").write_text(record)
        with pytest.raises(DataError, match="is not overwritten"):
            check_own(tmp_path)


def test_a_killed_loader_process_is_one_line():
    """PyTorch raises its error from a signal handler: in a test that could be anywhere."""
    with pytest.raises(DataError, match="was killed, perhaps for want of memory"), loading():
        raise RuntimeError("DataLoader worker (pid 17) is killed by signal: Killed. ")
    with pytest.raises(RuntimeError, match="something else"), loading():
        raise RuntimeError("something else")


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, RuntimeError])
def test_want_of_memory_is_one_line(kind):
    said = "CUDA out of memory. Tried to allocate 2.00 GiB.\nA second line"
    line = "2.00 GiB.*smaller --per_device_train"
    with pytest.raises(DataError, match=line) as caught, within_memory():
        raise kind(said)
    assert "second" not in str(caught.value)
    with pytest.raises(RuntimeError, match="something else"), within_memory():
        raise RuntimeError("something else")


def test_an_error_of_a_loader_process_is_one_line(data, tmp_path):
    folder = shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("cache"))
    trainer = make_trainer(folder, tmp_path, max_steps=2, dataloader_num_workers=1)
    for path in (folder / "images").iterdir():
        path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(DataError, match="^none of the images can be decoded$"), loading():
        trainer.train()


def scores_at_steps(*scores):
    return [{"eval_f1": score, "step": step} for step, score in enumerate(scores, 1)]


def test_early_stopping_looks_at_the_whole_history():
    """Of validations with the same images."""
    for scores, since, stops in (
        ([0.1, 0.3, 0.2], None, False),
        ([0.3, 0.2, 0.3], None, True),
        ([0.3, 0.2, 0.3], 0, True),
        ([0.9, 0.2, 0.3], 1, False),
        ([0.3], None, False),
    ):
        state, control = SimpleNamespace(), SimpleNamespace(should_training_stop=False)
        state.log_history = [*scores_at_steps(*scores), {"loss": 1.0}]
        state.stateful_callbacks = {} if since is None else {JUDGE: {"is": "", "since": since}}
        StopEarly(2).on_evaluate(None, state, control)
        assert control.should_training_stop == stops, scores


def test_a_run_that_stopped_early_is_finished(tmp_path):
    class Arguments:
        max_steps, num_train_epochs = 0, 10

    state = {"log_history": scores_at_steps(0.3, 0.2, 0.3), "epoch": 3.0, "global_step": 30}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    for patience, finished in ((2, True), (3, False), (None, False)):
        assert is_finished(Arguments(), tmp_path, patience) == finished, patience


@pytest.mark.parametrize("named", [False, True])
def test_a_run_without_a_checkpoint_of_its_end_is_finished(tmp_path, named):
    """As --save_total_limit 1 leaves it; unless a checkpoint is named to go on from."""
    best = tmp_path / "checkpoint-10"
    best.mkdir()
    for folder, epoch in ((best, 1.0), (tmp_path, 3.0)):
        state = {"log_history": [], "epoch": epoch, "global_step": int(10 * epoch)}
        (folder / "trainer_state.json").write_text(json.dumps(state))
    args = SimpleNamespace(output_dir=str(tmp_path), max_steps=-1, num_train_epochs=3)
    args.resume_from_checkpoint = str(best) if named else None
    data_args = SimpleNamespace(early_stopping_patience=None)
    assert train.is_trained(args, str(best), data_args, "") == (not named)


def test_a_run_that_stopped_early_says_what_goes_further(tmp_path, capsys):
    state = {"log_history": scores_at_steps(0.3, 0.2, 0.3), "epoch": 3.0, "global_step": 30}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    args = SimpleNamespace(output_dir=str(tmp_path), resume_from_checkpoint=None, max_steps=-1)
    for patience, epochs, flag in ((2, 10, "early_stopping_patience"), (2, 3, "num_train_epochs")):
        args.num_train_epochs = epochs
        data_args = SimpleNamespace(early_stopping_patience=patience)
        assert train.is_trained(args, None, data_args, "")
        assert f"a larger --{flag}" in capsys.readouterr().out


def test_the_smallest_error_is_the_best(tmp_path):
    for metric, greater in (("f1", True), ("eval_heatmap_error", False), ("eval_loss", False)):
        args = DetectorTrainingArguments(
            output_dir=str(tmp_path), metric_for_best_model=metric, report_to="none"
        )
        assert args.greater_is_better == greater, metric


def test_show_samples_draws_the_mix_and_stops(data, tmp_path, run_well_here):
    weak = shutil.copytree(data, tmp_path / "weak", ignore=shutil.ignore_patterns("cache"))
    lines = [json.loads(line) for line in (weak / "annotations/00000.jsonl").open()]
    for line in lines:
        line["words"][0]["ignore"] = True
    (weak / "annotations/00000.jsonl").write_text("\n".join(map(json.dumps, lines)))
    args = ("--input_dir", data, weak, "--mix", 5, 1, *TINY, "--output_dir", tmp_path / "out")
    run_well_here("train.py", *args, "--show_samples", 6)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["samples.png"]
    plain = (tmp_path / "out" / "samples.png").read_bytes()
    run_well_here("train.py", *args, "--show_samples", 6, "--gap_weight", 4)
    assert (tmp_path / "out" / "samples.png").read_bytes() != plain
    run_well_here("train.py", *args, "--show_samples", 6, "--data_seed", 5)
    assert (tmp_path / "out" / "samples.png").read_bytes() != plain


# --- Bad input -------------------------------------------------------------------------------


def test_a_training_that_finds_no_memory_says_what_takes_less(
    data, tmp_path, monkeypatch, run_here
):
    def forward(self, *args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(HeatmapLoss, "forward", forward)
    args = (*TINY, "--input_dir", data, "--output_dir", tmp_path / "out", "--max_steps", 1)
    result = run_here("train.py", *args, "--dataloader_num_workers", 0)
    assert_refused(result, "a smaller --per_device_train_batch_size")


def test_the_focal_flags_reach_the_loss(data, tmp_path, monkeypatch, run_here):
    def forward(self, *args):
        raise DataError(f"weight {self.focal_weight:g}, gamma {self.focal.gamma:g}")

    monkeypatch.setattr(HeatmapLoss, "forward", forward)
    args = (*TINY, "--input_dir", data, "--output_dir", tmp_path / "out", "--max_steps", 1)
    args += ("--dataloader_num_workers", 0, "--focal_weight", 20, "--focal_gamma", 0.5)
    assert_refused(run_here("train.py", *args), "weight 20, gamma 0.5")
    record = json.loads((tmp_path / "out" / "training.json").read_text())["data"]
    assert (record["focal_weight"], record["focal_gamma"]) == (20, 0.5)


def test_default_model_without_network_and_damaged_triplets(data, tmp_path, monkeypatch, run_here):
    """The start falls back within seconds; damaged files are named, the rest is trained on."""
    folder = tmp_path / "data"
    shutil.copytree(data, folder, ignore=shutil.ignore_patterns("cache"))
    victims = sorted((folder / "images").iterdir())[:2]
    victims[0].write_bytes(b"not an image")
    (folder / "affinity_heatmaps" / f"{victims[1].stem}.png").unlink()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    args = ("train.py", "--input_dir", folder, "--output_dir", tmp_path / "out", *TINY[:-2])
    args += ("--max_steps", 1, "--caching", "True")
    result = run_well(*args, "--max_damaged", 0.2)
    assert "the model hub is out of reach: starting from" in result.stderr
    assert all(f"{victim.stem}." in result.stderr for victim in victims)
    assert "2 of 16 images are damaged" in result.stdout
    bundled = (bundled_model() / "config.json").exists()
    assert ("static/model" if bundled else "random weights") in result.stderr
    said = "2 of 16 images are damaged, more than --max_damaged 0.1 allows"
    assert_refused(run_here(*args), said)


BATCH = ("--per_device_train_batch_size", 64)


def test_bad_command(data, tmp_path, monkeypatch, run_here):
    """One line and exit code 2, from outside and, which saves the imports, from here."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    args = ("--input_dir", data, "--output_dir", tmp_path / "out", "--use_cpu", "True")
    args += ("--dataloader_num_workers", 0)
    assert_refused(run("train.py", *args, "--shoe_size", 43), "unrecognized arguments")
    (tmp_path / "empty").mkdir()
    for flags, message in (
        (("--learning_rate", "fast"), "invalid float value"),
        (("--gap_weight", 0.5), "--gap_weight must lie between 1 and 100, not 0.5"),
        (("--focal_weight", -1), "--focal_weight must be at least 0, not -1"),
        (("--gap_weight", 511), "--gap_weight must lie between 1 and 100, not 511"),
        (("--accelerator_config", '{"a": 1}'), "unexpected keyword argument 'a'"),
        (("--model_name_or_path", tmp_path / "empty"), "neither a folder with a model"),
        (("--report_to", "tensorbord", "--from_scratch", "True"), "tensorbord is not supported"),
        (("--neftune_noise_alpha", 5), "--neftune_noise_alpha: this network is trained without"),
        (("--bf16_full_eval", "True"), "--bf16_full_eval: this network is trained without"),
        ((*TINY, "--optim", "adamw_8bit"), "cannot begin by these flags (ImportError: "),
        ((*TINY, "--dataloader_drop_last", "True", *BATCH), "12 images do not fill a batch"),
    ):
        assert_refused(run_here("train.py", *args, *flags), message)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"image_size": 100}, "--image_size must be a multiple of 32"),
        ({"crop_size": 1024}, "--crop_size must be a multiple of 32"),
        ({"augmentation": "wild"}, "no preset 'wild'"),
        ({"max_train_samples": 0}, "--max_train_samples must be at least 1"),
        ({"max_damaged": 2}, "--max_damaged must lie between 0 and 1"),
        ({"input_dir": ["a", "./a"]}, "named twice"),
        ({"input_dir": ["a", "b"], "mix": [5]}, "a number above 0 for each of the 2"),
        ({"input_dir": ["a", "b"], "mix": [5, 0]}, "a number above 0 for each of the 2"),
        ({"unseen": ["words"]}, "not words"),
        ({"input_dir": ["a"], "hard_words": ["none.csv"]}, "none.csv: no such file"),
        ({"input_dir": ["a"], "hard_share": 0.3}, "--hard_share: needs --hard_words"),
        ({"hard_share": 1.5}, "--hard_share must lie between 0 and 1, not 1.5"),
        ({"early_stopping_patience": 3}, "needs validation"),
        ({"tuned_thresholds": True}, "tune.py writes one"),
        ({"fixed_statistics": True, "from_scratch": True}, "have none yet"),
        ({"show_samples": -1}, "--show_samples must be at least 0"),
        ({"seed": -1}, "--seed must be at least 0"),
        ({"learning_rate": -1.0}, "--learning_rate must be at least 0"),
        ({"learning_rate": float("nan")}, "--learning_rate: nan is no number"),
        ({"num_train_epochs": float("inf")}, "--num_train_epochs: inf is no number"),
        ({"num_train_epochs": -1}, "--num_train_epochs must be at least 0"),
        ({"seed": 2**32}, "--seed: 4294967296 is no number"),
        ({"input_dir": ["a", "b"], "mix": [5, float("nan")]}, "--mix: nan is no number"),
        ({"weight_decay": -1.0}, "--weight_decay must be at least 0"),
        ({"per_device_train_batch_size": 0}, "--per_device_train_batch_size must be at least 1"),
        ({"gradient_accumulation_steps": 0}, "--gradient_accumulation_steps must be at least 1"),
        ({"eval_accumulation_steps": 0}, "--eval_accumulation_steps must be at least 1"),
        ({"dataloader_num_workers": -1}, "--dataloader_num_workers must be at least 0"),
        ({"adam_beta1": 2.0}, "--adam_beta1 must lie between 0 and 1, not 2"),
        ({"save_total_limit": -1}, "--save_total_limit must be at least 0"),
        ({"max_grad_norm": -1.0}, "--max_grad_norm must be at least 0"),
        ({"metric_for_best_model": "hmean"}, "there is no hmean, only precision, recall, f1"),
    ],
)
def test_flags_that_cannot_be(flags, message):
    class Arguments:
        eval_strategy, has_default_rate, metric_for_best_model = "no", False, "f1"

    groups = train.ModelArguments(), train.DataArguments(), train.GeneratorArguments(), Arguments()
    for name, value in flags.items():
        setattr(next((group for group in groups if hasattr(group, name)), groups[-1]), name, value)
    with pytest.raises(DataError, match=message):
        train.check(*groups)


def test_scores_of_images_without_words_are_said_to_be_none(data, tmp_path, capsys):
    samples, metrics = read_samples(data)[0], {f"eval_{name}": 1.0 for name in train.METRICS}
    first = next(sample for sample in samples if sample.words)
    for sample, ignore, said in ((first, False, False), (first, True, True)):
        words = [replace(word, ignore=ignore) for word in sample.words]
        train.report(tmp_path, metrics, [replace(sample, words=words), replace(sample, words=[])])
        assert ("the scores say nothing" in capsys.readouterr().out) == said


def test_damaged_annotations_are_a_share_of_all_images(data, tmp_path, capsys):
    """Not of those that --max_train_samples and --max_eval_samples leave."""
    folder = shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("cache"))
    (folder / "annotations" / "99999.jsonl").write_text("damaged\n")
    data_args = train.DataArguments(
        input_dir=[str(folder)], max_train_samples=2, max_eval_samples=1, image_size=SIDE
    )
    opened = open_data(data_args, nullcontext(), Record())
    assert len(opened.train) == 2 and "99999.jsonl:1" in opened.problems[0]
    assert "1 of 17 images are damaged" in capsys.readouterr().out
    data_args.max_damaged = 0.05
    with pytest.raises(DataError, match="1 of 17 images are damaged, more than"):
        open_data(data_args, nullcontext(), Record())


def test_folders_that_cannot_be(data, tmp_path):
    def find(folder, **flags):
        return find_samples(train.DataArguments(input_dir=[str(folder)], **flags), Record())

    with pytest.raises(DataError, match="no such folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(DataError, match="make data with generate_images.py first"):
        find(tmp_path)
    with pytest.raises(DataError, match="must lie between 0 and 1"):
        find(data, test_size=1.5)
    words = shutil.copytree(data, tmp_path / "words")
    shutil.rmtree(words / "character_heatmaps")
    unknown = pytest.raises(
        DataError, match="has words but no heatmaps; pseudo_label.py makes them"
    )
    with unknown:
        find(words)
    plain = shutil.copytree(data, tmp_path / "plain")
    for path in (plain / "annotations").iterdir():
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for word in (word for record in records for word in record["words"]):
            del word["characters"]
        path.write_text("\n".join(map(json.dumps, records)))
    with unknown:
        find(plain)
    for path in (plain / "annotations").iterdir():
        records = [json.loads(line) | {"words": []} for line in path.read_text().splitlines()]
        path.write_text("\n".join(map(json.dumps, records)))
    find(plain)  # images without text, whose heatmaps say so
    shutil.rmtree(plain / "character_heatmaps")
    with pytest.raises(DataError, match="neither words nor heatmaps; .* --backgrounds"):
        find(plain)
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "photo.txt").write_text("0 0.5 0.5 0.2 0.1\n")
    with pytest.raises(DataError, match="labels: YOLO.*no heatmaps; pseudo_label.py makes them"):
        find(labels)
    found = {"file": "a.jpg", "model": "m", "size": [9, 9], "words": [], "lines": []}
    (labels / "photo.json").write_text(json.dumps(found))
    with pytest.raises(DataError, match="results of detect.py"):
        find(labels)
