"""A running average of the weights: what validation judges, and the model where it is better."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

AVERAGE_FILE = "average.safetensors"  # in a checkpoint


class WeightAverage(TrainerCallback):
    """Exponential moving average of a model's weights and of its batch norm's statistics.

    Step n moves the average by 1 - min(decay, (1 + n) / (10 + n)) towards the weights, so that it
    does not hold on to the first ones for long. Checkpoints keep it.

    Params:
        model: as it is before training.
        decay: share of the average that a step leaves, above 0 and below 1: 0.999 averages over
            about the last thousand steps.
    """

    def __init__(self, model: nn.Module, decay: float):
        def update(averages, weights, count: torch.Tensor) -> None:
            n = int(count)
            share = 1 - min(decay, (1 + n) / (10 + n))
            for average, weight in zip(averages, weights, strict=True):
                if average.is_floating_point():
                    average.lerp_(weight, share)
                else:  # a counter
                    average.copy_(weight)

        # Copied before the Trainer prepares the model; only its tensors are used.
        self.averaged = AveragedModel(model, multi_avg_fn=torch.no_grad()(update), use_buffers=True)
        self.checkpoint: str | None = None  # to go on from

    def on_train_begin(self, *_: Any, model: nn.Module, **__: Any) -> None:
        """Go on with the checkpoint's average, or begin with the model's weights."""
        if self.checkpoint and (Path(self.checkpoint) / AVERAGE_FILE).exists():
            self.load(self.checkpoint)
        else:
            self.averaged.module.load_state_dict(model.state_dict())

    def on_step_end(self, *_: Any, model: nn.Module, **__: Any) -> None:
        """Move the average towards the model's weights."""
        self.averaged.update_parameters(model)

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **_: Any,
    ) -> None:
        """Go to the average of the best checkpoint, whose weights the Trainer has just loaded; to
        these where it has none, being of a run that went on with an average later."""
        if not (args.load_best_model_at_end and state.best_model_checkpoint):
            return
        best = Path(state.best_model_checkpoint)
        if (best / AVERAGE_FILE).exists():
            self.load(best)
        elif best.exists():  # else the Trainer goes on with the last weights
            self.averaged.module.load_state_dict(model.state_dict())

    def save(self, folder: str | Path) -> None:
        """Write the average into a model's folder."""
        save_file(self.averaged.state_dict(), Path(folder) / AVERAGE_FILE)

    def load(self, folder: str | Path) -> None:
        """Go on with the average in a model's folder."""
        self.averaged.load_state_dict(load_file(Path(folder) / AVERAGE_FILE))

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Within it the model has the average's weights, and the average the model's."""
        self.exchange(model)
        try:
            yield
        finally:
            self.exchange(model)

    @torch.no_grad()
    def exchange(self, model: nn.Module) -> None:
        """Swap the model's weights and the average."""
        averages, weights = self.averaged.module.state_dict(), model.state_dict()
        for name, average in averages.items():
            kept = average.clone()
            average.copy_(weights[name])
            weights[name].copy_(kept)
