"""Training: the Trainer, the metrics, and where a run goes on."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer

from textdet.common.errors import DataError
from textdet.decoding.decode import compute_metrics as compute_metrics
from textdet.decoding.decode import match_maps
from textdet.decoding.metrics import ImageMatch, Truth, summarise
from textdet.decoding.settings import DetectionSettings
from textdet.network.segformer import Normalise, to_maps, upsample
from textdet.training.callbacks import tests_since_best
from textdet.training.datasets import MixSampler, collate
from textdet.training.loss import HeatmapLoss, gather_batch
from textdet.training.optimizer import MuonAdamW

# Of a 1x1 convolution's gradient on several processes: other strides, the same order in memory.
warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")

FLAGS = ("initial_lr", "weight_decay", "betas", "eps")  # of the optimizer, that a user can change


class HeatmapTrainer(Trainer):
    """Trainer whose batches are uint8 and whose predictions are what box metrics need.

    loss: of the whole batch, over all processes. sampler: the order of the training data. truth:
    each test image's words. settings: how words are found in the test images' maps.
    """

    def __init__(
        self,
        *args,
        loss: HeatmapLoss,
        sampler: MixSampler | None = None,
        truth: list[Truth] = (),
        settings: DetectionSettings | None = None,
        **kwargs,
    ):
        super().__init__(*args, data_collator=collate, compute_metrics=mean_metrics, **kwargs)
        self.heatmap_loss, self.sampler = loss, sampler
        self.truth, self.settings = truth, settings or DetectionSettings()
        self.normalise = Normalise().to(self.args.device)
        # The loss is a mean over the batch: the Trainer has to divide it when it accumulates.
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, train_dataset=None) -> MixSampler:
        return self.sampler

    def create_optimizer(self, model=None) -> torch.optim.Optimizer:
        if self.optimizer is None and self.args.muon:
            args = self.args
            self.optimizer = MuonAdamW(
                (model or self.model).parameters(),
                lr=args.learning_rate,
                weight_decay=args.weight_decay,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
            )
        return super().create_optimizer(model)

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        """Load a checkpoint's weights for resuming.

        The library's own way reads the file without translating the older parameter names that
        save_pretrained writes, matches none of them, and goes on with the weights it has.
        """
        loaded = type(self.model).from_pretrained(resume_from_checkpoint, use_safetensors=True)
        self.model.load_state_dict(loaded.state_dict())

    def _load_optimizer_and_scheduler(self, checkpoint):
        """The library's own takes the learning rate and the like from the checkpoint too, so that
        the flags of the command that goes on would change nothing."""
        if checkpoint is None:
            return
        given = [
            {name: group[name] for name in FLAGS if name in group}
            for group in self.optimizer.param_groups
        ]
        try:
            super()._load_optimizer_and_scheduler(checkpoint)
        except ValueError as error:
            raise DataError(
                f"{checkpoint} was trained with another optimizer ({error}): name a new "
                f"--output_dir, and go on with --model_name_or_path {checkpoint}"
            ) from None
        groups, schedule = self.optimizer.param_groups, self.lr_scheduler
        for group, flags in zip(groups, given, strict=True):
            group.update(flags)
        if isinstance(schedule, LambdaLR):
            schedule.base_lrs = [group["initial_lr"] for group in groups]
            for group, factor in zip(groups, schedule.lr_lambdas, strict=True):
                group["lr"] = group["initial_lr"] * factor(schedule.last_epoch)
            schedule._last_lr = [group["lr"] for group in groups]  # which the Trainer logs

    def _save_checkpoint(self, *args, **kwargs):
        with _writing(self.args.output_dir):
            super()._save_checkpoint(*args, **kwargs)

    def save_model(self, *args, **kwargs):
        with _writing(self.args.output_dir):
            super().save_model(*args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """On several processes with the first one's batch norm statistics, which are those saved:
        each has its own, of its own crops."""
        if self.args.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, 0)
        return super().evaluate(*args, **kwargs)

    def _load_best_model(self):
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    def _clip_grad_norm(self, model):
        """Stops before gradients that are not finite reach the weights."""
        norm = super()._clip_grad_norm(model)
        if not self.args.fp16:  # whose scaler expects such gradients, and skips the step
            self._check_finite(norm, "gradient's norm")
        return norm

    def _check_finite(self, value: torch.Tensor, name: str) -> None:
        if not torch.isfinite(value):
            kept = last_checkpoint(self.args.output_dir)
            raise DataError(
                f"the {name} is {value.item()} at step {self.state.global_step}: "
                + (f"{kept} is sound" if kept else "there is no checkpoint yet")
                + "; start again with a lower --learning_rate"
            )

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        logits = model(pixel_values=self.normalise(inputs["pixel_values"])).logits
        batch = logits, inputs["labels"], inputs.get("weights")
        loss = self.heatmap_loss(*(gather_batch(*batch) if model.training else batch))
        self._check_finite(loss, "loss")
        return (loss, logits) if return_outputs else loss

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """Loss, what mean_metrics needs of each image (B, 5), the images' numbers (B,)."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, logits = self.compute_loss(model, inputs, return_outputs=True)
        maps = to_maps(logits, inputs["pixel_values"].shape[2:]).cpu().numpy()
        indices = inputs["image_index"]
        matches = match_maps(maps, [self.truth[i] for i in indices.tolist()], self.settings)
        counts = [(m.matched, m.predicted, m.true, m.iou_sum) for m in matches]
        counts = torch.tensor(counts, dtype=torch.float32, device=loss.device)
        errors = heatmap_errors(logits, inputs["labels"], inputs.get("weights"))
        return loss.detach(), torch.cat([counts, errors[:, None]], 1), indices


@contextmanager
def _writing(folder: str) -> Iterator[None]:
    """A full disk, which PyTorch and safetensors report as errors of their own, as DataError."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise DataError(f"{folder}: cannot be written ({str(error).splitlines()[0]})") from error


def heatmap_errors(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """Mean absolute error, 0..1, of each image's two maps, weighted: (B,). See HeatmapLoss."""
    maps = torch.sigmoid(upsample(logits.float(), labels.shape[2:]))
    errors = (maps - labels.float() / 255).abs().mean(1, keepdim=True)
    if weights is None:
        return errors.mean((1, 2, 3))
    weights = weights.float() / 255
    return (errors * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3)).clamp(min=1e-6)


def mean_metrics(prediction) -> dict[str, float]:
    """The Trainer's compute_metrics: precision, recall, f1, iou and heatmap_error, all 0..1."""
    rows = np.asarray(prediction.predictions, np.float64)
    matches = [ImageMatch(*(int(n) for n in row[:3]), float(row[3])) for row in rows]
    return {**summarise(matches), "heatmap_error": float(rows[:, 4].mean())}


def last_checkpoint(folder: str | Path) -> str | None:
    """The newest checkpoint-N in a run's folder that was written to its end."""
    numbered = [
        (int(path.name.split("-")[1]), path)
        for path in Path(folder).glob("checkpoint-*")
        if path.name.split("-")[1].isdecimal()
    ]
    for _, path in sorted(numbered, reverse=True):
        try:  # the Trainer writes its state last
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return str(path)
    return None


def is_finished(args, checkpoint: str | Path | None, patience: int | None) -> bool:
    """Whether a checkpoint has come to the end that the TrainingArguments set, or to the tests
    without a better F1 that stop it early (patience; None: nothing stops it)."""
    if checkpoint is None:
        return False
    path = Path(checkpoint) / "trainer_state.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    if patience and tests_since_best(state["log_history"]) >= patience:
        return True
    if args.max_steps > 0:
        return state["global_step"] >= args.max_steps
    return state["epoch"] >= args.num_train_epochs
