"""transformers' TrainingArguments with defaults for this task. Importing it takes seconds."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import torch
from transformers import TrainingArguments

from static import constants as C
from textdet.common.errors import DataError
from textdet.network.runtimes import has_fast_bf16
from textdet.training.options import option

# Flags of the library's that HeatmapTrainer, or a network without a vocabulary, cannot follow.
NOT_HERE = ("neftune_noise_alpha", "use_liger_kernel", "label_smoothing_factor")
NOT_HERE += ("train_sampling_strategy", "batch_eval_metrics", "eval_do_concat_batches")
NOT_HERE += ("prediction_loss_only", "fp16_full_eval", "bf16_full_eval")


def _default(value):
    return option(value, f"Default here: {value}.")


@dataclass
class DetectorTrainingArguments(TrainingArguments):
    """All flags of TrainingArguments; the defaults below differ from the library's."""

    output_dir: str = _default("checkpoits")
    per_device_train_batch_size: int = _default(16)
    per_device_eval_batch_size: int = _default(8)
    learning_rate: float | None = option(
        None, f"Default: {C.LEARNING_RATE}, from random weights {C.SCRATCH_RATE}."
    )
    weight_decay: float = _default(0.01)
    lr_scheduler_type: str = option(
        "cosine",
        "Default here: cosine. For a training in stretches: warmup_stable_decay, with "
        "--lr_scheduler_kwargs '{\"num_decay_steps\": 0}' and a larger --max_steps each time, "
        "and in the last one as many num_decay_steps as the rate is to fall in.",
    )
    warmup_steps: float = option(
        0.05,
        "Default here: 0.05. Below 1 a share of all steps; in a training in stretches name a whole "
        "number, which stays the same.",
    )
    num_train_epochs: float = _default(10)
    logging_steps: float = _default(20)
    eval_strategy: str = _default("epoch")
    save_strategy: str = _default("epoch")
    save_total_limit: int = _default(2)
    load_best_model_at_end: bool = _default(True)
    metric_for_best_model: str = _default("f1")
    dataloader_num_workers: int = _default(2)
    report_to: str = _default("tensorboard")
    muon: bool = option(False, "Train matrices with Muon, the rest with AdamW.")
    ema: float | None = option(
        None,
        "Keep a running average of the weights, over about 1 / (1 - EMA) steps: 0.999. Validation "
        "judges it, and it is saved where it is better than the weights.",
    )
    bf16: bool | None = option(None, "bfloat16 arithmetic. Default: where it is fast.")

    def __post_init__(self):
        if self.muon and self.optim not in ("adamw_torch", "adamw_torch_fused"):
            raise ValueError(f"--muon True goes with AdamW, not with --optim {self.optim}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise DataError(f"--ema must lie between 0 and 1, not {self.ema}")
        for each in fields(TrainingArguments):
            if each.name in NOT_HERE and getattr(self, each.name) != each.default:
                raise ValueError(f"--{each.name}: this network is trained without it")
        if self.hub_token:  # else it would be in training_args.bin, which goes to the hub
            os.environ["HF_TOKEN"], self.hub_token = self.hub_token, None
        self.has_default_rate = self.learning_rate is None
        if self.has_default_rate:
            self.learning_rate = C.LEARNING_RATE
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        self.use_cpu = self.use_cpu or accelerator is None
        if self.disable_tqdm is None:
            self.disable_tqdm = not sys.stderr.isatty()  # a bar fills a log file with its remains
        if self.bf16 is None:
            device = torch.device("cpu") if self.use_cpu else accelerator
            self.bf16 = not self.fp16 and has_fast_bf16(device)
        if self.greater_is_better is None and "error" in (self.metric_for_best_model or ""):
            self.greater_is_better = False  # the library knows it of losses alone
        super().__post_init__()
        if self.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy"):
            # By themselves they take a rising F1 for one that gets worse.
            mode = {"mode": "max" if self.greater_is_better else "min"}
            self.lr_scheduler_kwargs = mode | (self.lr_scheduler_kwargs or {})
        if self.n_gpu > 1:  # one process per GPU instead, see torchrun
            self._n_gpu = 1
        # Not for the user to choose: HeatmapTrainer depends on them.
        self.remove_unused_columns = False
        self.label_names = ["image_index"]
        if self.ddp_find_unused_parameters is None:
            self.ddp_find_unused_parameters = False  # all parameters are used in each step

    @contextmanager
    def in_turn(self, desc: str) -> Iterator[None]:
        """Have one of several processes go before the others, which find what it has made: the
        first of all, then each machine's first, since their disk may be another, then the rest."""
        with self.main_process_first(local=False, desc=desc), self.main_process_first(desc=desc):
            yield
