"""Training: the Trainer and its metrics."""

import math
import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import EvalPrediction, TrainOutput

from static import constants as C
from textdet.common.cli import name_left_out
from textdet.common.errors import DataError
from textdet.common.files import write_atomically
from textdet.common.memory import keep_memory
from textdet.data.held_out import TRAINING_FILE, Record, still_held_out
from textdet.data.source import Source
from textdet.decoding.metrics import ImageMatch, Truth, match_maps, summarise
from textdet.decoding.settings import SETTINGS_FILE, DetectionSettings, load_settings
from textdet.network.model_files import CONFIG_FILE, bundled_model
from textdet.network.segformer import (
    Normalise,
    fix_statistics,
    image_processor,
    load_model,
    pool_keys,
    to_maps,
    upsample,
)
from textdet.training.callbacks import (
    AtStart,
    KeepSchedule,
    LogLines,
    SavePictures,
    SetEpoch,
    StopEarly,
    StopWhenNotFinite,
    check_finite,
)
from textdet.training.checkpoints import JUDGE, read_state, steps_ahead
from textdet.training.data import TrainingData
from textdet.training.datasets import MixSampler, TrainDataset, ValidationDataset, collate
from textdet.training.ema import WeightAverage
from textdet.training.hub import pushing_less
from textdet.training.loss import HeatmapLoss, gather_batch
from textdet.training.optimizer import MuonAdamW, OtherOptimizer, keep_flags
from textdet.training.options import DataArguments, ModelArguments
from textdet.training.plain_errors import writing
from textdet.training.recycling import recycle
from textdet.training.report import data_fingerprint, draw_predictions, save_record

CROPS_TO_RECYCLE_BY = 16  # in which --recycle looks for what the network does not use
# Of a 1x1 convolution's gradient on several processes: other strides, the same order in memory.
warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")


# --- Metrics ---------------------------------------------------------------------------------


def compute_metrics(
    maps: Iterable[np.ndarray], truth: Iterable[Truth], settings: DetectionSettings
) -> dict[str, float]:
    """How good the boxes are that are decoded from a network's maps.

    Params:
        maps: of each image (2, H, W), character then affinity, uint8, 0..255 for 0..1.
        truth: of each image its words, in the coordinates of its maps.
        settings: how words are found in maps.

    Returns:
        precision, recall, f1 and iou, each 0..1, see textdet/decoding/metrics.py.
    """
    return summarise(match_maps(maps, truth, settings))


def summarise_rows(prediction: EvalPrediction) -> dict[str, float]:
    """Sum up what HeatmapTrainer.prediction_step gives.

    Its rows add up over batches and processes, so that no maps have to be kept.

    Params:
        prediction: its predictions are (N, 5), one row per image: matched, predicted, true and
            iou_sum of ImageMatch, then the error of heatmap_errors.

    Returns:
        compute_metrics' scores and heatmap_error, all 0..1.
    """
    rows = np.asarray(prediction.predictions, np.float64)
    matches = [ImageMatch(*(int(n) for n in row[:3]), float(row[3])) for row in rows]
    return {**summarise(matches), "heatmap_error": float(rows[:, 4].mean())}


def heatmap_errors(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None
) -> torch.Tensor:
    """Measure how far a network's maps are from the true ones.

    Params:
        logits, labels, weights: as HeatmapLoss takes them.

    Returns:
        (B,), the weighted mean absolute error of each image's two maps, 0..1.
    """
    maps = torch.sigmoid(upsample(logits.float(), labels.shape[2:]))
    errors = (maps - labels.float() / 255).abs().mean(1, keepdim=True)
    if weights is None:
        return errors.mean((1, 2, 3))
    weights = weights.float() / 255
    return (errors * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3)).clamp(min=1e-6)


# --- The Trainer -----------------------------------------------------------------------------


class HeatmapTrainer(Trainer):
    """Trainer whose batches are uint8 and whose predictions are what box metrics need.

    Params:
        args, kwargs: see transformers.Trainer; data_collator and compute_metrics are set here.
        loss: of the whole batch, over all processes.
        sampler: the order of the training data.
        truth: each validation image's words.
        settings: how words are found in the validation images' maps; None for the defaults.
        first_settings: what the detection.json of the model to start from holds; None where it has
            none.
    """

    def __init__(
        self,
        *args: Any,
        loss: HeatmapLoss,
        sampler: MixSampler | None = None,
        truth: Sequence[Truth] = (),
        settings: DetectionSettings | None = None,
        first_settings: bytes | None = None,
        **kwargs: Any,
    ):
        super().__init__(*args, data_collator=collate, compute_metrics=summarise_rows, **kwargs)
        self.heatmap_loss, self.sampler = loss, sampler
        self.truth, self.settings = truth, settings or DetectionSettings()
        self.normalise = Normalise().to(self.args.device)
        # The loss is a mean over the batch: the Trainer has to divide it when it accumulates.
        self.model_accepts_loss_kwargs = False
        self.first_settings = first_settings
        self.done: dict | None = None  # the state of the checkpoint to go on from
        self.set_epoch = SetEpoch(sampler)
        for callback in (self.set_epoch, KeepSchedule(), StopWhenNotFinite()):
            self.add_callback(callback)
        if self.args.disable_tqdm:
            self.remove_callback(PrinterCallback)
            self.add_callback(LogLines())
        self.average: WeightAverage | None = None
        if self.args.ema is not None:
            self.average = WeightAverage(self.model, self.args.ema)
            self.add_callback(self.average)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> MixSampler | None:
        """The order of the training data."""
        return self.sampler

    def get_eval_dataloader(self, eval_dataset: Dataset | None = None) -> DataLoader:
        """All images to validate with: --dataloader_drop_last is for training.

        Params:
            eval_dataset: see transformers.Trainer.
        """
        drop_last, self.args.dataloader_drop_last = self.args.dataloader_drop_last, False
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.args.dataloader_drop_last = drop_last

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Make the optimizer that --muon or --optim asks for, once.

        Params:
            model: whose parameters it steps; None for the Trainer's.
        """
        if self.optimizer is not None:
            return self.optimizer
        args = self.args
        if args.muon:
            self.optimizer = MuonAdamW(
                (model or self.model).parameters(),
                lr=args.learning_rate,
                weight_decay=args.weight_decay,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
            )
        optimizer = super().create_optimizer(model)
        keep_flags(optimizer)
        return optimizer

    def train(self, resume_from_checkpoint: str | None = None, **more: Any) -> TrainOutput:
        """Train as far as the arguments say.

        Params:
            resume_from_checkpoint: folder of the checkpoint to go on from; None to begin.
            more: see transformers.Trainer.train.

        Raises:
            DataError: a checkpoint of another optimizer, a full disk, or a loss that is not finite.
        """
        if self.average:
            self.average.checkpoint = resume_from_checkpoint
        self.done = read_state(resume_from_checkpoint) if resume_from_checkpoint else None
        try:
            with writing(self.args.output_dir):
                return super().train(resume_from_checkpoint, **more)
        except OtherOptimizer as error:
            raise DataError(
                f"{resume_from_checkpoint} was trained with another optimizer ({error}): name a "
                f"new --output_dir, and go on with --model_name_or_path {resume_from_checkpoint}"
            ) from None
        except (DataError, OSError):
            raise
        except Exception as error:
            if self.set_epoch.has_begun:
                raise
            where = f" from {resume_from_checkpoint}" if resume_from_checkpoint else ""
            reason = f"{type(error).__name__}: {error}"
            raise DataError(f"training cannot begin{where} by these flags ({reason})") from error

    def set_initial_training_values(
        self, args: TrainingArguments, dataloader: DataLoader
    ) -> tuple[int, ...]:
        """Count the steps of a run, see transformers.Trainer; of one that goes on those that are
        left of what was asked for.

        Raises:
            DataError: an epoch has no batch.
        """
        if not len(dataloader):
            raise DataError(
                f"--dataloader_drop_last: {len(self.train_dataset)} images do not fill a batch"
            )
        counted = super().set_initial_training_values(args, dataloader)
        if self.done is None:
            return counted
        _, per_epoch, examples, samples, batch, batches, _ = counted
        epochs, steps, left = steps_ahead(args, self.done, per_epoch, batches)
        self.position = epochs, steps * args.gradient_accumulation_steps
        last_epoch = epochs + math.ceil((steps + left) / per_epoch) if left else epochs
        max_steps = self.done["global_step"] + left
        return last_epoch, per_epoch, examples, samples, batch, batches, max_steps

    def _init_training_state(self, max_steps: int, *args: Any) -> tuple[int, int]:
        """Where to go on: epochs done, and batches of the next one, as counted above; and the steps
        between logs, validations and checkpoints of this command, not those of the one before.

        The best checkpoint counts no more where validation is another by now."""
        fresh = super()._init_training_state(max_steps, *args)
        judge, judges = self._describe_judge(), self.state.stateful_callbacks
        if judges.setdefault(JUDGE, {"is": judge, "since": 0})["is"] != judge:
            # Scores that cannot be compared with those to come.
            judges[JUDGE] = {"is": judge, "since": self.state.global_step}
            self.state.best_metric = self.state.best_global_step = None
            self.state.best_model_checkpoint = None
        if self.done is None:
            return fresh
        self.state.compute_steps(self.args, max_steps)
        epochs, batches = self.position
        return epochs, 0 if self.args.ignore_data_skip else batches

    def _describe_judge(self) -> str:
        """A text that changes with what the scores of validation depend on beside the weights."""
        source = self.eval_dataset.source
        data = data_fingerprint(source.samples)
        return f"{self.args.metric_for_best_model} {data} {source.size} {self.settings}"

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the weights, and their running average where there is one; and the detection
        settings of the first model, unless the folder has its own.

        Params:
            output_dir: folder to write to; None for that of the run.

        Raises:
            DataError: the disk is full.
        """
        folder = Path(output_dir or self.args.output_dir)
        with writing(folder):
            super().save_model(output_dir, _internal_call=True)  # which does not push
            if not self.args.should_save:
                return
            if self.average:
                self.average.save(folder)
            for path in folder.glob("*.safetensors"):  # which the library writes for nobody else
                shutil.copymode(folder / CONFIG_FILE, path)
        if self.first_settings and not (folder / SETTINGS_FILE).exists():
            write_atomically(folder / SETTINGS_FILE, self.first_settings)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Upload the run's folder while it is under way, see transformers.Trainer, except what is
        of no use elsewhere."""
        with pushing_less():
            super()._push_from_checkpoint(checkpoint_folder)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validate the weights' running average where there is one, else the weights.

        On several processes with the first one's batch norm statistics, which are those saved: each
        has its own, of its own crops.

        Params:
            args, kwargs: see transformers.Trainer.evaluate.

        Returns:
            METRICS, their names with "eval_" before them, and the library's times.
        """
        with self.average.applied(self.model) if self.average else nullcontext():
            if self.args.world_size > 1:
                for buffer in self.model.buffers():
                    torch.distributed.broadcast(buffer, 0)
            return super().evaluate(*args, **kwargs)

    def keep_better(self) -> None:
        """Put the running average in the place of the weights where validation finds it better.

        For the end of training: from then on there is no average.
        """
        if self.average is None:
            return
        average, self.average = self.average, None
        name = self.args.metric_for_best_model.removeprefix("eval_")
        weights_score = self._validate(name)
        with average.applied(self.model):
            average_score = self._validate(name)
        sign = 1 if self.args.greater_is_better else -1
        is_better = sign * average_score > sign * weights_score
        if is_better:
            average.exchange(self.model)
        print(
            f"{name}: {average_score:.3f} with the running average of the weights, "
            f"{weights_score:.3f} with the weights themselves; keeping the "
            f"{'average' if is_better else 'weights'}"
        )

    def _validate(self, metric: str) -> float:
        """A metric of the model as it is, without a word to callbacks and logs."""
        loader = self.get_eval_dataloader()
        found = self.evaluation_loop(loader, "Evaluation", metric_key_prefix="eval").metrics
        return found[f"eval_{metric}"]

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        **_: Any,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Run the network and compute the loss; in training over the batches of all processes.

        Params:
            model: gives logits (B, 2, h, w).
            inputs: a batch of datasets.collate.
            return_outputs: whether to give the logits as well.

        Returns:
            A scalar, or the scalar and the logits.

        Raises:
            DataError: the loss is not finite.
        """
        logits = model(pixel_values=self.normalise(inputs["pixel_values"])).logits
        batch = logits, inputs["labels"], inputs.get("weights")
        loss = self.heatmap_loss(*(gather_batch(*batch) if model.training else batch))
        check_finite(loss, "loss", self.args.output_dir, self.state.global_step)
        return (loss, logits) if return_outputs else loss

    def prediction_step(
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor], *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Validate one batch.

        Params:
            inputs: a batch of datasets.collate, with image_index.

        Returns:
            The loss, a scalar; one row per image, (B, 5), see summarise_rows; the images' numbers,
            (B,).
        """
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


# --- A run -----------------------------------------------------------------------------------


def make_trainer(
    model_args: ModelArguments,
    data_args: DataArguments,
    args: TrainingArguments,
    train_set: TrainDataset,
    sampler: MixSampler,
    validation: Source,
    at_start: Callable[[], None],
    checkpoint: str | None = None,
) -> HeatmapTrainer:
    """Make a Trainer of the network to start from, with all that its training needs.

    Params:
        train_set, sampler: crops to train on, and their order.
        validation: fitted images with maps and words.
        at_start: called when training starts, once the checkpoint to go on from has been loaded.
        checkpoint: folder of the one that the run goes on from, whose network is the one to train,
            whatever the flags name; None when it begins.

    Raises:
        DataError: a model that cannot be loaded, or settings that the Trainer refuses.
    """
    cv2.setNumThreads(1)  # the loader's processes and the network share the cores
    keep_memory(all_of_it=True)
    set_seed(args.seed)
    name, validation_set = model_args.model_name_or_path, ValidationDataset(validation)
    if checkpoint:
        model = load_model(checkpoint)
    else:
        stand_in = bundled_model() if name == C.PRETRAINED else None
        model = load_model(name, model_args.from_scratch, stand_in)
    if model_args.key_pooling:
        pool_keys(model, model_args.key_pooling)
    if model_args.fixed_statistics:
        fix_statistics(model)
    if model_args.recycle and not checkpoint:
        crops = [train_set[draw] for draw in islice(sampler, CROPS_TO_RECYCLE_BY)]
        found = recycle(model, [Normalise()(crop["pixel_values"][None]) for crop in crops])
        print(
            f"--recycle: {found.heads} heads of attention, {found.units} hidden units and "
            f"{found.channels} channels of the decode head begin anew"
        )
    callbacks: list[TrainerCallback] = [AtStart(at_start)]
    if data_args.early_stopping_patience:
        callbacks.append(StopEarly(data_args.early_stopping_patience))
    try:
        trainer = HeatmapTrainer(
            model=model,
            args=args,
            train_dataset=train_set,
            eval_dataset=validation_set,
            processing_class=image_processor(data_args.image_size),
            callbacks=callbacks,
            loss=HeatmapLoss(data_args.focal_weight, data_args.focal_gamma),
            sampler=sampler,
            truth=validation_set.truth(),
            settings=load_settings(name) if model_args.tuned_thresholds else None,
            first_settings=sound_settings(model.name_or_path),
        )
    except Exception as error:  # of --report_to: the library's
        raise DataError(f"the Trainer cannot be made by these flags ({error})") from error
    trainer.add_callback(SavePictures(trainer, partial(draw_predictions, trainer, validation)))
    return trainer


def sound_settings(start: str) -> bytes | None:
    """What the detection.json of the model to start from holds; None where there is no sound one.

    It is read once: a run that goes on deletes the checkpoint that it started from.

    Params:
        start: the model's folder, its name on the hub, or an empty text.
    """
    path = Path(start) / SETTINGS_FILE
    if not start or not path.is_file():
        return None
    try:
        load_settings(start)
    except DataError as error:
        name_left_out([str(error)])
        return None
    return path.read_bytes()


def model_before(model_args: ModelArguments, checkpoint: str | None) -> Path | None:
    """The folder of the model that training starts from.

    Params:
        checkpoint: folder of the one that the run goes on from; None when it begins.

    Returns:
        The folder; None for random weights and for a model on the hub.
    """
    if checkpoint:
        return Path(checkpoint)
    named = Path(model_args.model_name_or_path)
    return named if named.is_dir() and not model_args.from_scratch else None


def describe_run(
    model_args: ModelArguments,
    data_args: DataArguments,
    args: TrainingArguments,
    data: TrainingData,
    before: Record,
    generator: dict | None = None,
) -> dict:
    """Collect what training.json says.

    It is all that is needed to train this model again, and to judge it on images that it has not
    seen.

    Params:
        data: the images of the run.
        before: of the model that training starts from.
        generator: what the scenes of --generate depend on; None where there are none.

    Returns:
        Sections of the file by their names, as JSON can hold them.
    """
    return {
        "data_fingerprint": data.fingerprint,
        "images": {"train": len(data.train), "test": len(data.validation)},
        "model": asdict(model_args),
        "data": asdict(data_args),
        **({"generator": generator} if generator else {}),
        "training": args.to_dict(),
        **still_held_out(before, data.record).to_json(),
    }


def begin_record(args: TrainingArguments, record: dict, results: Path) -> None:
    """Write training.json, and delete the results of a shorter run; on one of several processes.

    Params:
        args: name the run's folder.
        record: see describe_run.
        results: the file with the results.
    """
    if args.should_save:
        results.unlink(missing_ok=True)
        save_record(Path(args.output_dir) / TRAINING_FILE, **record)
