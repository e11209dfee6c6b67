"""train.py --ema: the running average of the weights."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from easy_images import write_images
from safetensors.torch import load_file
from test_train import TINY, make_trainer
from transformers import TrainerCallback

from textdet.common.errors import DataError
from textdet.network.segformer import new_model
from textdet.training.arguments import DetectorTrainingArguments
from textdet.training.checkpoints import last_checkpoint
from textdet.training.ema import AVERAGE_FILE, WeightAverage

DECAY = 0.3  # so low that it counts after a few steps, beside the warm-up's 2/11 and 3/12


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("average") / "data"
    write_images(folder, 8)
    return folder


class Record(TrainerCallback):
    """The weights and statistics after each step."""

    def __init__(self):
        self.steps = []

    def on_step_end(self, args, state, control, model=None, **_):
        self.steps.append({name: value.clone() for name, value in model.state_dict().items()})


def random_weights(model, seed):
    torch.manual_seed(seed)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor))


def test_is_the_average_computed_by_hand(data, tmp_path):
    record = Record()
    trainer = make_trainer(data, tmp_path, [record], max_steps=5, ema=DECAY)
    trainer.train()
    found = trainer.average.averaged.module.state_dict()
    assert len(record.steps) == 5
    for name, first in record.steps[0].items():
        if not first.is_floating_point():
            continue
        expected = first.double()
        for n, weights in enumerate(record.steps[1:], 1):
            decay = min(DECAY, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * weights[name].double()
        torch.testing.assert_close(found[name].double(), expected, atol=1e-6, rtol=1e-5)
    assert not torch.equal(
        found["decode_head.batch_norm.running_mean"],
        trainer.model.decode_head.batch_norm.running_mean,
    )


def test_a_run_that_goes_on_has_the_average_of_one_without_a_break(data, tmp_path):
    settings = {"lr_scheduler_type": "constant", "save_strategy": "steps", "save_steps": 2}
    averages = []
    for steps in ((4,), (2, 4)):
        folder = tmp_path / str(len(steps))
        for last in steps:
            trainer = make_trainer(data, folder, max_steps=last, ema=0.999, **settings)
            trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        averages.append(load_file(folder / "checkpoint-4" / AVERAGE_FILE))
    assert averages[0]["n_averaged"] == averages[1]["n_averaged"] == 4
    for name, tensor in averages[0].items():
        torch.testing.assert_close(averages[1][name], tensor, atol=1e-6, rtol=1e-5)


def test_validation_judges_the_average_and_leaves_the_weights(data, tmp_path):
    trainer = make_trainer(data, tmp_path, ema=DECAY)
    expected = trainer.evaluate()["eval_heatmap_error"]  # before a step both are the same
    random_weights(trainer.model, 1)
    before = [tensor.clone() for tensor in trainer.model.state_dict().values()]
    assert trainer.evaluate()["eval_heatmap_error"] == pytest.approx(expected)
    after = trainer.model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("better", ["average", "weights"])
def test_the_better_of_the_two_is_kept(data, tmp_path, better, capsys):
    trainer = make_trainer(data, tmp_path, ema=DECAY, metric_for_best_model="heatmap_error")
    worse = trainer.model if better == "average" else trainer.average.averaged.module
    good = [tensor.clone() for tensor in trainer.model.state_dict().values()]
    random_weights(worse, 1)
    trainer.keep_better()
    kept = trainer.model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(good, kept, strict=True))
    assert trainer.average is None and better in capsys.readouterr().out.split("keeping")[1]


def test_the_best_checkpoints_average_is_loaded(data, tmp_path):
    class State:
        best_model_checkpoint = str(tmp_path)

    class Arguments:
        load_best_model_at_end = True

    first, second = (WeightAverage(new_model(), 0.5) for _ in range(2))
    first.save(tmp_path)
    second.on_train_end(Arguments(), State(), None)
    pairs = zip(*(a.averaged.state_dict().values() for a in (first, second)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)

    (tmp_path / AVERAGE_FILE).unlink()  # of a run that went on with --ema after its best checkpoint
    best = new_model().state_dict()
    second.on_train_end(Arguments(), State(), None, model=SimpleNamespace(state_dict=lambda: best))
    found = second.averaged.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in best.items())


def test_train_py_saves_what_was_better(data, tmp_path, run_well_here):
    """The average from the command line, to a model that transformers' own names describe."""
    out = tmp_path / "out"
    result = run_well_here(
        *("train.py", "--input_dir", data, "--output_dir", out, *TINY, "--max_steps", 4),
        *("--ema", 0.5, "--eval_strategy", "steps", "--eval_steps", 2, "--save_strategy", "steps"),
        *("--save_steps", 2, "--dataloader_num_workers", 0),
    )
    kept = result.stdout.split("keeping the ")[1].split()[0]
    saved = load_file(out / "model.safetensors")
    best = json.loads((out / "checkpoint-4" / "trainer_state.json").read_text())
    folder = out / f"checkpoint-{best['best_global_step']}"
    average, weights = load_file(folder / AVERAGE_FILE), load_file(folder / "model.safetensors")
    norm = "decode_head.batch_norm.running_mean"
    expected = average[f"module.{norm}"] if kept == "average" else weights[norm]
    np.testing.assert_allclose(saved[norm].numpy(), expected.numpy(), rtol=1e-6)
    assert json.loads((out / "training.json").read_text())["training"]["ema"] == 0.5


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5])
def test_decays_that_cannot_be(decay, tmp_path):
    with pytest.raises(DataError, match="--ema must lie between 0 and 1"):
        DetectorTrainingArguments(output_dir=str(tmp_path), use_cpu=True, ema=decay)
