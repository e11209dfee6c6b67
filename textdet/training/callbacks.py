"""What happens while the Trainer runs: the sampler's epochs, early stopping, pictures."""

from collections.abc import Callable
from pathlib import Path

from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback

from textdet.common.pictures import save_picture
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


def tests_since_best(log_history: list[dict], metric: str = "eval_f1") -> int:
    """How many tests there were after the first one with the highest value."""
    scores = [entry[metric] for entry in log_history if metric in entry]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


class StopEarly(TrainerCallback):
    """Stops when the F1 has not risen for `patience` tests.

    It looks at the history, which the checkpoints keep; the library's EarlyStoppingCallback counts
    anew after a run was resumed.
    """

    def __init__(self, patience: int):
        self.patience = patience

    def on_evaluate(self, args, state, control, **_):
        since = tests_since_best(state.log_history)
        if since >= self.patience and not control.should_training_stop:
            print(f"stopping early: the F1 has not risen for {since} tests")
            control.should_training_stop = True


class SavePictures(TrainerCallback):
    """After each test: training_curves.png, predictions.png, and the latter in TensorBoard."""

    def __init__(self, trainer, draw):
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
