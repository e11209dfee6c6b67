"""What happens while the Trainer runs: the sampler's epochs, early stopping, pictures."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau
from tqdm import tqdm
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations import TensorBoardCallback

from textdet.common.errors import DataError
from textdet.common.pictures import save_picture
from textdet.training.checkpoints import last_checkpoint, validations_since_best
from textdet.training.datasets import MixSampler
from textdet.training.report import plot_training_curves


class AtStart(TrainerCallback):
    """Calls a function once training starts, when the checkpoint to go on from has been loaded.

    Params:
        call: the function; it takes nothing.
    """

    def __init__(self, call: Callable[[], None]):
        self.call = call

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Call the function."""
        self.call()


class SetEpoch(TrainerCallback):
    """Tells the sampler which epoch it is, also after a run was resumed.

    Params:
        sampler: its `epoch` is set, counted from 0.

    Its attribute has_begun says whether an epoch has begun.
    """

    def __init__(self, sampler: MixSampler):
        self.sampler, self.has_begun = sampler, False

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Set the number of the epoch that begins or, in a resumed run, goes on."""
        self.sampler.epoch, self.has_begun = int(state.epoch or 0), True


class KeepSchedule(TrainerCallback):
    """Lets the learning rate that the command names count when a run goes on, instead of that in
    the checkpoint; see optimizer.keep_flags."""

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        lr_scheduler: LRScheduler | None = None,
        **_: Any,
    ) -> None:
        """Set the rates of all groups of parameters by the command and the steps that are done.

        Params:
            lr_scheduler: the Trainer's. Of a ReduceLROnPlateau, whose rate does not follow from the
                steps, the checkpoint's counts; a GreedyLR sets its own.
        """
        if isinstance(lr_scheduler, ReduceLROnPlateau) and not hasattr(lr_scheduler, "base_lrs"):
            # With base_lrs it has loaded the state of a LambdaLR, which may have come to 0.
            groups = lr_scheduler.optimizer.param_groups
            for group, rate in zip(groups, lr_scheduler.get_last_lr(), strict=True):
                group["lr"] = rate
        if not isinstance(lr_scheduler, LambdaLR):
            return
        # Of --save_only_model a checkpoint has no schedule, and it would start over.
        lr_scheduler.last_epoch = lr_scheduler.last_epoch or state.global_step
        groups = lr_scheduler.optimizer.param_groups
        lr_scheduler.base_lrs = [group["initial_lr"] for group in groups]
        for group, factor in zip(groups, lr_scheduler.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(lr_scheduler.last_epoch)
        lr_scheduler._last_lr = [group["lr"] for group in groups]  # which the Trainer logs


class LogLines(TrainerCallback):
    """Prints what is logged as lines for a file: the step, of how many, and the time left."""

    begun, first = 0.0, 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Remember when and with which step the run began."""
        self.begun, self.first = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Print a line, on the first process alone.

        Params:
            logs: values by their names.
        """
        if not state.is_world_process_zero:
            return
        line = f"step {state.global_step} of {state.max_steps}"
        done = state.global_step - self.first
        if done and (left := state.max_steps - state.global_step):
            seconds = (time.monotonic() - self.begun) / done * left
            line += f", {tqdm.format_interval(seconds)} left"
        for name, value in (logs or {}).items():
            if name != "total_flos":
                line += f", {name} {value:.4g}"
        print(line, flush=True)


class StopWhenNotFinite(TrainerCallback):
    """Stops before gradients that are not finite reach the weights."""

    def on_pre_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **_: Any,
    ) -> None:
        """Check the gradients before they reach the weights.

        Params:
            args: with fp16 nothing is checked.
            model: with its gradients, accumulated and clipped.

        Raises:
            DataError: their norm is not finite.
        """
        if args.fp16:  # whose scaler expects such gradients, and skips the step
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        check_finite(norm, "gradient's norm", args.output_dir, state.global_step)


def check_finite(value: torch.Tensor, name: str, output_dir: str, step: int) -> None:
    """Stop a training that went wrong.

    Params:
        value: a scalar.
        name: what it is, for the message.
        output_dir: the run's folder, whose last checkpoint the message names.
        step: the number of steps done.

    Raises:
        DataError: the value is not finite.
    """
    if not torch.isfinite(value):
        kept = last_checkpoint(output_dir)
        raise DataError(
            f"the {name} is {value.item()} at step {step}: "
            + (f"{kept} is sound" if kept else "there is no checkpoint yet")
            + "; start again with a lower --learning_rate"
        )


class StopEarly(TrainerCallback):
    """Stops when the F1 has not risen for `patience` validations.

    It looks at the history, which the checkpoints keep; the library's EarlyStoppingCallback counts
    anew after a run was resumed.

    Params:
        patience: validations, at least 1.
    """

    def __init__(self, patience: int):
        self.patience = patience

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Let the Trainer stop after `patience` validations without a better F1."""
        since = validations_since_best(state.log_history, state.stateful_callbacks)
        if since >= self.patience and not control.should_training_stop:
            print(f"stopping early: the F1 has not risen for {since} validations")
            control.should_training_stop = True


class SavePictures(TrainerCallback):
    """After each validation: training_curves.png and predictions.png, which goes to TensorBoard.

    Params:
        trainer: whose TensorBoard callback shows the picture.
        draw: makes the picture of predictions, (H, W, 3) uint8 RGB.
    """

    def __init__(self, trainer: Trainer, draw: Callable[[], np.ndarray]):
        self.trainer, self.draw = trainer, draw

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Write both pictures into the run's folder, on the first process alone."""
        if not state.is_world_process_zero:
            return
        output, picture = Path(args.output_dir), self.draw()
        plot_training_curves(state.log_history, output / "training_curves.png")
        save_picture(output / "predictions.png", picture)
        for callback in self.trainer.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback) and (writer := callback.tb_writer):
                writer.add_image("predictions", picture, state.global_step, dataformats="HWC")
