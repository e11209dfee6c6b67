"""The network: a SegFormer with two channels; found, loaded, made faster, run."""

import math
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation
from transformers import logging as transformers_logging
from transformers.models.segformer import SegformerImageProcessorPil

from static import constants as C
from textdet.common.errors import DataError

transformers_logging.disable_progress_bar()  # loading 15 MB needs none

HUB_TIMEOUT = 4.0  # s, after which the model hub counts as out of reach


def load_model(name: str, from_scratch: bool = False) -> SegformerForSemanticSegmentation:
    """Load a SegFormer to be trained, with the two channels of LABELS.

    name: a folder, a name on the hub, or its cached copy. Only the default model need not be had:
    then the bundled one stands in, or random weights when there is none, with one line that says
    so. from_scratch: random weights whatever the name. Raises DataError for any other name that
    cannot be had.
    """
    if from_scratch:
        return new_model()
    labels = dict(enumerate(C.LABELS))
    options = {
        "num_labels": len(labels),
        "id2label": labels,
        "label2id": {label: i for i, label in labels.items()},
        "ignore_mismatched_sizes": True,  # the ADE20k classifier has 150 channels
        "use_safetensors": True,
        "dtype": torch.float32,  # the bundled weights are stored in half precision
    }
    source = _find(name)
    if source is None and name != C.PRETRAINED:
        raise DataError(f"{name}: neither a folder with a model, nor cached, nor on the hub")
    problem = "is not cached and the model hub is out of reach"
    if source is not None:
        try:
            return _load(source, options)
        except DataError as error:
            if name != C.PRETRAINED:
                raise
            problem = str(error).removeprefix(f"{name}: ")
    start = C.MODEL if (C.MODEL / "config.json").exists() else None
    print(
        f"{name} {problem}: starting from "
        + (f"the bundled {start}" if start else "random weights"),
        file=sys.stderr,
    )
    return _load(start, {**options, "local_files_only": True}) if start else new_model()


def _load(source: str | Path, options: dict) -> SegformerForSemanticSegmentation:
    try:
        model = SegformerForSemanticSegmentation.from_pretrained(source, **options)
    except Exception as error:  # damaged weights raise kinds of the library's own
        reason = " ".join(str(error).split())
        raise DataError(f"{source}: cannot be loaded as a SegFormer ({reason})") from None
    return use_fast_head(model)


def _find(name: str) -> str | None:
    """The name if it can be loaded now, else None; within HUB_TIMEOUT even without a network."""
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_url,
        try_to_load_from_cache,
    )

    if Path(name).is_dir():
        return name if (Path(name) / "config.json").exists() else None
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return None
    if isinstance(try_to_load_from_cache(name, "config.json"), str) and isinstance(
        try_to_load_from_cache(name, "model.safetensors"), str
    ):
        return name
    if constants.HF_HUB_OFFLINE:
        return None
    try:  # once: from_pretrained tries again and again for half a minute
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=HUB_TIMEOUT)
    except Exception:  # whatever the transport or the hub says, the model is not to be had
        return None
    return name


def new_model() -> SegformerForSemanticSegmentation:
    """SegFormer-b0 with random weights."""
    labels = dict(enumerate(C.LABELS))
    config = SegformerConfig(
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
        # Generated images never repeat: there is nothing to regularise, and dropout costs 8 %.
        classifier_dropout_prob=0.0,
        drop_path_rate=0.0,
    )
    model = SegformerForSemanticSegmentation(config)
    for module in model.modules():
        # The library's std of 0.02 leaves a depthwise 3x3 convolution's output near zero.
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            nn.init.normal_(module.weight, std=math.sqrt(2 / module.weight[0].numel()))
    nn.init.constant_(model.decode_head.classifier.bias, -2.0)  # most pixels are background
    return use_fast_head(model)


def load_trained(folder: str | Path) -> SegformerForSemanticSegmentation:
    """Load a model that train.py saved, in evaluation mode. Raises DataError."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise DataError(f"{folder}: no model in it (config.json); train.py writes one")
    try:
        model = SegformerForSemanticSegmentation.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=torch.float32
        )
    except Exception as error:  # damaged weights raise kinds of the library's own
        raise DataError(f"{folder}: the model cannot be loaded ({error})") from None
    if model.config.num_labels != len(C.LABELS):
        raise DataError(
            f"{folder}: has {model.config.num_labels} channels instead of {len(C.LABELS)}; "
            "it was not trained by train.py"
        )
    return use_fast_head(model.eval())


def image_processor(size: int) -> SegformerImageProcessorPil:
    """The processor that is saved with a model: resize to `size`, scale and normalise."""
    return SegformerImageProcessorPil(size={"height": size, "width": size})


class Normalise(nn.Module):
    """uint8 pixels (B, 3, H, W) to the network's input, by ImageNet's mean and deviation."""

    def __init__(self):
        super().__init__()
        processor = SegformerImageProcessorPil()
        for name, values in (("mean", processor.image_mean), ("std", processor.image_std)):
            tensor = 255 * torch.tensor(values, dtype=torch.float32).reshape(1, 3, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels.float() - self.mean) / self.std


def upsample(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def to_maps(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Logits (B, 2, h, w) to maps (B, 2, *size) uint8, 0..255 for 0..1."""
    return (torch.sigmoid(upsample(logits.float(), size)) * 255).round().to(torch.uint8)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is worth using: CUDA since Ampere, CPUs with bf16 instructions."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def use_fast_head(model: SegformerForSemanticSegmentation) -> SegformerForSemanticSegmentation:
    """Make a model's decode head compute the same in less time; parameters stay as they are."""
    head = model.decode_head
    head.forward = lambda states, **_: _fast_head(head, states)
    return model


def fix_statistics(model: SegformerForSemanticSegmentation) -> None:
    """Let the head's batch norm keep the mean and variance that it has, in training as well.

    It then sees each crop as detection will. Otherwise the running values follow the last ten or
    so batches, and with four crops each that is chance: see static/model/README.md, round 11.
    """
    norm = model.decode_head.batch_norm.eval()
    norm.train = lambda mode=True: norm


def _fast_head(head: nn.Module, states: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """SegformerDecodeHead.forward with the fusing convolution moved before the upsampling.

    Bilinear upsampling and a 1x1 convolution commute, so each scale is projected by
    fuse @ projection at its own resolution, and the upsampled scales are added instead of
    concatenated. states: the encoder's four (B, C_i, H_i, W_i). Returns logits
    (B, labels, H_0, W_0).
    """
    size = states[0].shape[2:]
    parts = head.linear_fuse.weight.flatten(1).chunk(len(states), dim=1)[::-1]
    total = None
    for state, mlp, fuse in zip(states, head.linear_projections, parts, strict=True):
        with torch.autocast(state.device.type, enabled=False):
            weight = (fuse.float() @ mlp.proj.weight.float())[..., None, None]
            bias = fuse.float() @ mlp.proj.bias.float()
        # Upsampling is up to ten times faster on a CPU when the channels come last in memory.
        state = state.contiguous(memory_format=torch.channels_last)
        projected = F.conv2d(state, weight.to(fuse.dtype), bias.to(fuse.dtype))
        if projected.shape[2:] != size:
            projected = F.interpolate(projected, size=size, mode="bilinear", align_corners=False)
        total = projected if total is None else total + projected
    return head.classifier(head.dropout(head.activation(head.batch_norm(total))))
