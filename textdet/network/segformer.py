"""The network: a SegFormer with two channels; found, loaded, made faster."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation
from transformers import logging as transformers_logging
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import rename_source_key
from transformers.models.segformer import SegformerImageProcessorPil
from transformers.models.segformer.modeling_segformer import (
    SegformerDecodeHead,
    SegformerSequenceReduction,
)

from textdet.common.errors import DataError
from textdet.network.model_config import read_config
from textdet.network.model_files import CONFIG_FILE, WEIGHTS_FILE, hint_at_last

transformers_logging.disable_progress_bar()  # loading 15 MB needs none

LABELS = ("character", "affinity")  # the channels, in this order
HUB_TIMEOUT = 4.0  # s, after which the model hub counts as out of reach


def load_model(
    name: str, from_scratch: bool = False, stand_in: Path | None = None
) -> SegformerForSemanticSegmentation:
    """Load a SegFormer to be trained, with the two channels of LABELS.

    Params:
        name: a folder, a name on the hub, or its cached copy.
        from_scratch: random weights whatever the name.
        stand_in: a model's folder, to be used where the name is not available, or random weights
            when there is no model in it; one line says so.

    Raises:
        DataError: a name that cannot be loaded, without a stand_in.
    """
    if from_scratch:
        return new_model()
    problem = "is not cached and the model hub is out of reach"
    try:
        source = _find(name)
        if source is not None:
            return _load(source, name)
        if stand_in is None:
            raise DataError(f"{name}: neither a folder with a model, nor cached, nor on the hub")
    except DataError as error:
        if stand_in is None:
            raise
        problem = str(error).removeprefix(f"{name}: ")
    has_stand_in = (stand_in / CONFIG_FILE).exists()
    print(
        f"{name} {problem}: starting from "
        + (f"the bundled {stand_in}" if has_stand_in else "random weights"),
        file=sys.stderr,
    )
    return _load(stand_in, str(stand_in)) if has_stand_in else new_model()


def _load(folder: Path, name: str) -> SegformerForSemanticSegmentation:
    """Load a model to be trained: its classifier is new where it has other labels, and its
    head where it is an encoder alone. Raises DataError."""
    try:
        model = _read_model(folder, read_config(folder)[0], may_lack="decode_head.")
    except DataError as error:
        raise DataError(f"{name}: cannot be loaded as a SegFormer ({error})") from None
    model.config.name_or_path = model.name_or_path = name
    return model


def _read_model(
    folder: Path, fields: dict, may_lack: str | None = None
) -> SegformerForSemanticSegmentation:
    """Build a model and fill in its weights.

    The library's from_pretrained would follow what the folder names: other files, code on the hub.

    Params:
        folder: with WEIGHTS_FILE.
        fields: of its config, see read_config.
        may_lack: what the names of those weights begin with that are drawn at random when the file
            lacks them or has them in another shape; None when it must hold all.

    Raises:
        DataError: the file is missing or damaged, or its weights are not those of such a model.
    """
    config = _config(**fields)
    with torch.device("meta"):  # takes no memory, whatever the sizes
        model = SegformerForSemanticSegmentation(config)
    path = folder / WEIGHTS_FILE
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(f"no sound {path.name}: {error}") from None
    _translate_names(model, found)
    expected = model.state_dict()
    lacking = [
        name
        for name, tensor in expected.items()
        if name not in found
        or found[name].shape != tensor.shape
        or found[name].is_floating_point() != tensor.is_floating_point()
    ]
    wrong = [name for name in lacking if may_lack is None or not name.startswith(may_lack)]
    if wrong or (may_lack is None and len(found) > len(expected)):
        first = wrong[0] if wrong else sorted(found.keys() - expected.keys())[0]
        raise DataError(f"{path.name} and {CONFIG_FILE} do not go together, by {first} for one")
    if lacking:
        fresh = SegformerForSemanticSegmentation(config).state_dict()
        found |= {name: fresh[name] for name in lacking}
    # Copies, in single precision: the file may be half as precise, and is mapped into the memory.
    state = {name: found[name].to(tensor.dtype, copy=True) for name, tensor in expected.items()}
    model.load_state_dict(state, assign=True)
    return _adapt(model)


def _find(name: str) -> Path | None:
    """The folder with a model's files, of a hub's name where they are cached; None where they are
    not available, within HUB_TIMEOUT even without a network. Raises DataError."""
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_url,
        snapshot_download,
        try_to_load_from_cache,
    )

    if Path(name).is_dir():
        return Path(name) if (Path(name) / CONFIG_FILE).exists() else None
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        return None
    files = [CONFIG_FILE, WEIGHTS_FILE]
    cached = [try_to_load_from_cache(name, file) for file in files]
    if all(isinstance(path, str) for path in cached):
        return Path(cached[0]).parent
    if constants.HF_HUB_OFFLINE:
        return None
    try:  # once: a download tries again and again for half a minute
        get_hf_file_metadata(hf_hub_url(name, CONFIG_FILE), timeout=HUB_TIMEOUT)
    except Exception:  # whatever the transport or the hub says, the model is not available
        return None
    try:
        return Path(snapshot_download(name, allow_patterns=files))
    except Exception as error:  # the hub's kinds and its transport's
        raise DataError(f"{name}: cannot be downloaded ({error})") from None


def new_model() -> SegformerForSemanticSegmentation:
    """SegFormer-b0 with random weights."""
    # Generated images never repeat: there is nothing to regularise, and dropout costs 8 %.
    config = _config(classifier_dropout_prob=0.0, drop_path_rate=0.0)
    model = SegformerForSemanticSegmentation(config)
    for module in model.modules():
        # The library's std of 0.02 leaves a depthwise 3x3 convolution's output near zero.
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            nn.init.normal_(module.weight, std=math.sqrt(2 / module.weight[0].numel()))
    nn.init.constant_(model.decode_head.classifier.bias, -2.0)  # most pixels are background
    return _adapt(model)


def _config(**fields: Any) -> SegformerConfig:
    """The library's config with the channels of LABELS; b0's where no field says otherwise."""
    labels = dict(enumerate(LABELS))
    label2id = {label: i for i, label in labels.items()}
    return SegformerConfig(**fields, id2label=labels, label2id=label2id)


def load_trained(folder: str | Path) -> SegformerForSemanticSegmentation:
    """Load a model that train.py saved, in evaluation mode.

    Raises:
        DataError: the folder has no sound model, or one with other channels.
    """
    folder = Path(folder)
    if not (folder / CONFIG_FILE).is_file():
        hint = hint_at_last(folder) or "; train.py writes one"
        raise DataError(f"{folder}: no model in it ({CONFIG_FILE}){hint}")
    fields, labels = read_config(folder)
    if labels != len(LABELS):
        raise DataError(
            f"{folder}: has {labels} channels instead of {len(LABELS)}; "
            "it was not trained by train.py"
        )
    try:
        return _read_model(folder, fields).eval()
    except DataError as error:
        raise DataError(f"{folder}: the model cannot be loaded ({error})") from None


def image_processor(size: int) -> SegformerImageProcessorPil:
    """The processor that is saved with a model: resize, scale and normalise.

    Params:
        size: px, both sides of its squares.
    """
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
        """Normalise pixels.

        Params:
            pixels: (B, 3, H, W) uint8 RGB.

        Returns:
            (B, 3, H, W) float32, of about mean 0 and deviation 1.
        """
        return (pixels.float() - self.mean) / self.std


def upsample(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bring maps to a size by bilinear interpolation, by the pixels' edges.

    Params:
        logits: (B, C, h, w) float.
        size: height and width, px.

    Returns:
        (B, C, *size).
    """
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def to_maps(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Turn a network's logits into maps.

    Params:
        logits: (B, 2, h, w) float.
        size: height and width of the maps, px.

    Returns:
        (B, 2, *size) uint8, 0..255 for 0..1, character then affinity.
    """
    return (torch.sigmoid(upsample(logits.float(), size)) * 255).round().to(torch.uint8)


class FusedDecodeHead(SegformerDecodeHead):
    """The decode head with its fusing convolution moved before the upsampling: the same layers and
    results in a third of the time.

    Bilinear upsampling and a 1x1 convolution commute, so each scale is projected by
    fuse @ projection at its own resolution, and the upsampled scales are added instead of
    concatenated.

    Params:
        head: whose layers are taken over.
    """

    def __init__(self, head: SegformerDecodeHead):
        nn.Module.__init__(self)  # makes no layers of its own
        for name, layer in head.named_children():
            self.add_module(name, layer)
        self.config, self.has_fixed_statistics = head.config, False
        nn.Module.train(self, head.training)

    def train(self, mode: bool = True) -> "FusedDecodeHead":
        """As any module; fixed statistics stay fixed, see fix_statistics."""
        super().train(mode)
        if self.has_fixed_statistics:
            self.batch_norm.eval()
        return self

    def projections(self, gain: torch.Tensor | None = None) -> Iterator[tuple[torch.Tensor, ...]]:
        """Each scale's projection through the fusing convolution, finest first.

        Params:
            gain: (C,), a factor of the output's channels; None for 1.

        Returns:
            Pairs of weights (C, C_i) and biases (C,).
        """
        parts = self.linear_fuse.weight.flatten(1).chunk(len(self.linear_projections), dim=1)
        for mlp, fuse in zip(self.linear_projections, parts[::-1], strict=True):
            fuse = fuse if gain is None else gain[:, None] * fuse
            yield fuse @ mlp.proj.weight, fuse @ mlp.proj.bias

    def forward(self, encoder_hidden_states: tuple[torch.Tensor, ...], **_: object) -> torch.Tensor:
        """Compute the logits.

        Params:
            encoder_hidden_states: four (B, C_i, H_i, W_i), finest first.

        Returns:
            Logits (B, labels, H_0, W_0).
        """
        size, total = encoder_hidden_states[0].shape[2:], None
        with torch.autocast(encoder_hidden_states[0].device.type, enabled=False):
            projections = list(self.projections())
        for state, (weight, bias) in zip(encoder_hidden_states, projections, strict=True):
            # Upsampling is up to ten times faster on a CPU when the channels come last in memory.
            state = state.contiguous(memory_format=torch.channels_last)
            projected = F.conv2d(state, weight[..., None, None], bias)
            if projected.shape[2:] != size:
                projected = upsample(projected, size)
            total = projected if total is None else total + projected
        return self.classifier(self.dropout(self.activation(self.batch_norm(total))))


def _adapt(model: SegformerForSemanticSegmentation) -> SegformerForSemanticSegmentation:
    """Give a model the fast decode head and the pooled keys of its config, and let it read the
    files that it writes; its parameters stay as they are. Raises DataError."""
    model.decode_head = FusedDecodeHead(model.decode_head)
    model.register_load_state_dict_pre_hook(_translate_names)
    sides = getattr(model.config, "key_pooling", None)
    if sides is not None:
        pool_keys(model, sides)
    return model


def pool_keys(model: SegformerForSemanticSegmentation, sides: list[int]) -> None:
    """Let queries attend to the means of squares of keys instead of to each key.

    The keys are pooled after the strided convolution, so that the parameters stay the same. The
    config, and with it config.json, keeps the sides as `key_pooling`.

    Params:
        model: is changed; what it pooled before no longer counts.
        sides: of the squares, one whole number per stage: [2, 2, 1, 1] leaves the first two stages,
            whose attention costs most in large images, a quarter of the keys. 1: as published.

    Raises:
        DataError: anything else, or more than 1 in a stage that does not reduce its keys.
    """
    reductions = model.config.sr_ratios
    if not (
        isinstance(sides, list)
        and len(sides) == len(reductions)
        and all(isinstance(side, int) and side > 0 for side in sides)
        and all(side == 1 or ratio > 1 for side, ratio in zip(sides, reductions, strict=True))
    ):
        raise DataError(
            f"key_pooling must be {len(reductions)} whole numbers from 1, and 1 where the stage's "
            f"sr_ratios is 1, not {sides}"
        )
    model.config.key_pooling = sides
    for stage, side in zip(model.segformer.stages, sides, strict=True):
        for block in stage.blocks:
            if block.attention.sequence_reduction_ratio > 1:
                block.attention.sequence_reduction = _PooledKeys(
                    block.attention.sequence_reduction, side
                )


class _PooledKeys(SegformerSequenceReduction):
    """A stage's strided convolution and normalisation, with the means of its keys in between."""

    def __init__(self, reduction: SegformerSequenceReduction, side: int):
        """reduction: whose layers are taken over."""
        nn.Module.__init__(self)  # makes no layers of its own
        for name, layer in reduction.named_children():
            self.add_module(name, layer)
        self.side = side

    def forward(self, hidden_states: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Tokens (B, height * width, C) to keys (B, n, C); at the far edges a mean is of what is
        there."""
        tokens = hidden_states.transpose(1, 2).unflatten(2, (height, width))
        keys = F.avg_pool2d(self.sequence_reduction(tokens), self.side, ceil_mode=True)
        return self.layer_norm(keys.flatten(2).transpose(1, 2))


def _translate_names(model: nn.Module, state: dict[str, torch.Tensor], *_) -> None:
    """Translate the older parameter names, which save_pretrained writes: from_pretrained does so,
    load_state_dict, with which the Trainer goes on from a checkpoint, does not."""
    renamings = get_model_conversion_mapping(model)
    for name in list(state):
        state[rename_source_key(name, renamings, [])[0]] = state.pop(name)


def fix_statistics(model: SegformerForSemanticSegmentation) -> None:
    """Let the head's batch norm keep the mean and variance that it has, in training as well.

    It then sees each crop as detection will. Otherwise the running values follow the last ten or
    so batches, and with four crops each that is noise: see docs/model_history.md, round 11.

    Params:
        model: is changed.
    """
    model.decode_head.has_fixed_statistics = True
    model.decode_head.train(model.training)


class SegformerMaps(nn.Module):
    """A SegFormer from pixels to maps.

    Params:
        model: with the two channels of LABELS, in evaluation mode.
    """

    def __init__(self, model: SegformerForSemanticSegmentation):
        super().__init__()
        self.normalise, self.model = Normalise(), model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Compute the maps.

        Params:
            image: (B, H, W, 3) uint8 RGB, H and W multiples of runtimes.STRIDE.

        Returns:
            (B, 2, H, W) uint8, 0..255 for 0..1, character then affinity.
        """
        logits = self.model(pixel_values=self.normalise(image.permute(0, 3, 1, 2))).logits
        return to_maps(logits, image.shape[1:3])
