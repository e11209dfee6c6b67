"""Training: data sets, the loss, the Trainer, the metrics."""

import cv2
import numpy as np
import torch
from transformers import Trainer

from box_metrics import ImageMatch, Truth, summarise
from cache_utils import Source, fitted_words
from dataset_utils import DataError
from detection_utils import DetectionSettings, match_maps, truth_of
from detection_utils import compute_metrics as compute_metrics  # tune.py's too, without torch
from model_utils import Normalise, to_maps, upsample
from presets import Preset

SUPERVISED = 2  # the maps are supervised at 1 / SUPERVISED of the input's resolution
TEXT_TRIES = 3  # crops tried until one has text in it
TEXT_SHARE = 0.85  # of the crops look for text; the others are taken as they come


class TrainDataset(torch.utils.data.Dataset):
    """Random crops: pixel_values (3, crop, crop) and labels (2, crop / 2, crop / 2), uint8."""

    def __init__(self, source: Source, preset: Preset):
        self.source, self.preset = source, preset

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        _, image, maps = self.source.read_sound(index)
        # From torch's generator, whose state the checkpoints keep.
        wants_text = torch.rand(()).item() < TEXT_SHARE
        for _ in range(TEXT_TRIES):
            self.preset.geometry.set_random_seed(int(torch.randint(2**31, ())))
            crop = self.preset.geometry(image=image, mask=maps)
            if not wants_text or crop["mask"][..., 0].max() > 127:
                break
        self.preset.colour.set_random_seed(int(torch.randint(2**31, ())))
        pixels = self.preset.colour(image=crop["image"])["image"]
        return to_tensors(pixels, crop["mask"])


class TestDataset(torch.utils.data.Dataset):
    """Whole fitted images, with their place in the source so that their words can be found."""

    def __init__(self, source: Source):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        index, image, maps = self.source.read_sound(index)
        return {**to_tensors(image, maps), "image_index": torch.tensor(index)}

    def truth(self) -> list[Truth]:
        """Each image's words in the coordinates of its fitted square."""
        return [truth_of(fitted_words(sample, self.source.size)) for sample in self.source.samples]


def to_tensors(image: np.ndarray, maps: np.ndarray) -> dict[str, torch.Tensor]:
    """uint8 tensors of an image (H, W, 3) and its maps (H, W, 2), the maps at 1 / SUPERVISED."""
    size = maps.shape[1] // SUPERVISED, maps.shape[0] // SUPERVISED
    labels = cv2.resize(maps, size, interpolation=cv2.INTER_AREA)
    return {
        "pixel_values": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
        "labels": torch.from_numpy(np.ascontiguousarray(labels.transpose(2, 0, 1))),
    }


class HeatmapLoss(torch.nn.Module):
    """MONAI's DiceFocalLoss on soft heatmaps, logits upsampled to the labels' resolution.

    squared_pred keeps the heatmap's values; without it they turn into near-binary masks, and
    CRAFT's thresholds lose their meaning. batch=True takes the Dice over the whole batch, so that
    a crop without text does not count as much as all the others.
    """

    def __init__(self, gamma: float = 2.0, focal_weight: float = 1.0):
        super().__init__()
        from monai.losses import DiceFocalLoss

        self.loss = DiceFocalLoss(
            sigmoid=True,
            squared_pred=True,
            include_background=True,
            batch=True,
            gamma=gamma,
            lambda_focal=focal_weight,
        )

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """logits: (B, 2, h, w) float; labels: (B, 2, H, W) uint8. Returns a scalar."""
        return self.loss(upsample(logits.float(), labels.shape[2:]), labels.float() / 255)


class HeatmapTrainer(Trainer):
    """Trainer whose batches are uint8 and whose predictions are maps, uint8 as well."""

    def __init__(self, *args, loss: HeatmapLoss, **kwargs):
        super().__init__(*args, **kwargs)
        self.heatmap_loss = loss
        self.normalise = Normalise().to(self.args.device)

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        """Load a checkpoint's weights for resuming.

        The library's own way reads the file without translating the older parameter names that
        save_pretrained writes, matches none of them, and goes on with the weights it has.
        """
        loaded = type(self.model).from_pretrained(resume_from_checkpoint, use_safetensors=True)
        self.model.load_state_dict(loaded.state_dict())

    def _load_best_model(self):
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        logits = model(pixel_values=self.normalise(inputs["pixel_values"])).logits
        loss = self.heatmap_loss(logits, inputs["labels"])
        if not torch.isfinite(loss):
            raise DataError(
                f"the loss is {loss.item()} at step {self.state.global_step}: the last checkpoint "
                "is sound; start again with a lower --learning_rate"
            )
        return (loss, logits) if return_outputs else loss

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """Loss, maps (B, 2, H, W) uint8 at the input's resolution, the images' numbers."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, logits = self.compute_loss(model, inputs, return_outputs=True)
        maps = to_maps(logits, inputs["pixel_values"].shape[2:])
        return loss.detach(), maps, inputs["image_index"]


class BoxMetrics:
    """The Trainer's compute_metrics, batch by batch, so that no map is held longer."""

    def __init__(self, truth: list[Truth], settings: DetectionSettings):
        self.truth, self.settings = truth, settings
        self.matches: list[ImageMatch] = []

    def __call__(self, prediction, compute_result: bool = True) -> dict[str, float]:
        maps, indices = prediction.predictions.cpu().numpy(), prediction.label_ids.cpu().numpy()
        self.matches += match_maps(maps, [self.truth[i] for i in indices.ravel()], self.settings)
        if not compute_result:
            return {}
        result, self.matches = summarise(self.matches), []
        return result
