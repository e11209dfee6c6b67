"""What happens while the Trainer runs: the sampler's epochs, early stopping, pictures."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

from textdet.common.errors import DataError
from textdet.common.pictures import save_picture
from textdet.training.checkpoints import last_checkpoint, validations_since_best
from textdet.training.datasets import MixSampler
from textdet.training.report import plot_training_curves


class AtStart(TrainerCallback):
    """Calls a function once training starts, when the checkpoint to go on from has been loaded."""

    def __init__(self, call: Callable[[], None]):
        self.call = call

    def on_train_begin(self, args, state, control, **_):
        self.call()


class SetEpoch(TrainerCallback):
    """Tells the sampler which epoch it is, also after a run was resumed."""

    def __init__(self, sampler: MixSampler):
        self.sampler = sampler

    def on_epoch_begin(self, args, state, control, **_):
        self.sampler.epoch = int(state.epoch or 0)


class KeepSchedule(TrainerCallback):
    """Lets the learning rate that the command names count when a run goes on, instead of that in
    the checkpoint; see optimizer.keep_flags."""

    def on_train_begin(self, args, state, control, lr_scheduler=None, **_):
        if not isinstance(lr_scheduler, LambdaLR):
            return
        groups = lr_scheduler.optimizer.param_groups
        lr_scheduler.base_lrs = [group["initial_lr"] for group in groups]
        for group, factor in zip(groups, lr_scheduler.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(lr_scheduler.last_epoch)
        lr_scheduler._last_lr = [group["lr"] for group in groups]  # which the Trainer logs


class StopWhenNotFinite(TrainerCallback):
    """Stops before gradients that are not finite reach the weights."""

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        if args.fp16:  # whose scaler expects such gradients, and skips the step
            return
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        check_finite(norm, "gradient's norm", args.output_dir, state.global_step)


def check_finite(value: torch.Tensor, name: str, output_dir: str, step: int) -> None:
    """Raise DataError, which says where to go on, unless a value is finite."""
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
    """

    def __init__(self, patience: int):
        self.patience = patience

    def on_evaluate(self, args, state, control, **_):
        since = validations_since_best(state.log_history)
        if since >= self.patience and not control.should_training_stop:
            print(f"stopping early: the F1 has not risen for {since} validations")
            control.should_training_stop = True


class SavePictures(TrainerCallback):
    """After each validation: training_curves.png and predictions.png, which goes to TensorBoard."""

    def __init__(self, trainer, draw: Callable):
        """draw: makes the picture of predictions, (H, W, 3) uint8 RGB."""
        self.trainer, self.draw = trainer, draw

    def on_evaluate(self, args, state, control, **_):
        if not state.is_world_process_zero:
            return
        output, picture = Path(args.output_dir), self.draw()
        plot_training_curves(state.log_history, output / "training_curves.png")
        save_picture(output / "predictions.png", picture)
        for callback in self.trainer.callback_handler.callbacks:
            writer = getattr(callback, "tb_writer", None)
            if isinstance(callback, TensorBoardCallback) and writer:
                writer.add_image("predictions", picture, state.global_step, dataformats="HWC")
