"""The network as an ONNX file that takes pixels and gives maps, laid out for ONNX Runtime's CPU.

    path = export_onnx("checkpoits")

The file computes the same as the trained model, normalisation, upsampling and sigmoid included,
with the same parameters in fewer passes over the memory:

- attention is ONNX Runtime's own operator, which never writes the matrix of its weights;
- the Mix-FFN's linear layers are 1x1 convolutions, so that the wide hidden layer is not transposed;
- the decode head projects before it upsamples (see segformer.py), upsamples with the channels
  last, and has its batch normalisation multiplied into the projections.
"""

import logging
import math
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.models.segformer.modeling_segformer import SegformerMixMLP

from textdet.common.errors import DataError
from textdet.common.files import write_atomically
from textdet.network.craft import CraftMaps, load_craft
from textdet.network.model_files import find_model
from textdet.network.runtimes import FINGERPRINT, ONNX_FILE, STRIDE
from textdet.network.segformer import FusedDecodeHead, Normalise, load_trained

OPSET = 20  # of ONNX; the first with Gelu


def export_onnx(model: str | Path) -> Path:
    """Write a model as ONNX.

    Params:
        model: see find_model.

    Returns:
        The path of model.onnx, in the model's folder. Its input "image" and its output "maps" are
        those of the runtimes, see runtimes.py.

    Raises:
        DataError: no sound model, a package for the export is missing, or another model.onnx is
            there that this project has not written.
    """
    files = find_model(model)
    try:
        import onnx
        import onnxscript  # noqa: F401  PyTorch's exporter is written in it
    except ImportError:
        raise DataError("the export needs two packages: pip install onnx onnxscript") from None
    path = files.folder / ONNX_FILE
    if path.exists() and FINGERPRINT not in _metadata(path):
        raise DataError(f"{path}: is there, and not this project's; move it elsewhere")
    if files.is_craft:
        network, stride = CraftMaps(load_craft(files.weights)), STRIDE
    else:
        trained = load_trained(files.folder)
        # px, of the last stage: pooled keys need no more.
        network, stride = _ImageToMaps(trained).eval(), math.prod(trained.config.strides)
    sides = {1: stride * torch.export.Dim("rows"), 2: stride * torch.export.Dim("columns")}
    example = torch.zeros(2, 2 * stride, 3 * stride, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's deprecations concern itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["image"],
            output_names=["maps"],
            dynamo=True,
            dynamic_shapes={"image": {0: torch.export.Dim("batch"), **sides}},
            opset_version=OPSET,
            verbose=False,
        )
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {FINGERPRINT: files.fingerprint()})
    files.folder.mkdir(exist_ok=True)
    write_atomically(path, proto.SerializeToString())
    return path


def _metadata(path: Path) -> list[str]:
    """The names of what an ONNX file says of itself; none where it is not such a file."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return [each.key for each in onnx.load(path, load_external_data=False).metadata_props]
    except DecodeError:
        return []


class _ImageToMaps(nn.Module):
    """uint8 pixels (B, H, W, 3) to uint8 maps (B, 2, H, W), in operators fit for export."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.normalise, self.model = Normalise(), model
        AttentionInterface.register("onnxruntime", _attention)
        model.set_attn_implementation("onnxruntime")
        for stage in model.segformer.stages:
            for block in stage.blocks:
                block.mlp = _ConvolutionalMLP(block.mlp)
        model.decode_head = _ExportedHead(model.decode_head)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = self.model(pixel_values=self.normalise(image.permute(0, 3, 1, 2))).logits
        maps = torch.sigmoid(_resize(logits, (1, 1, 4, 4)))
        return (maps * 255).round().to(torch.uint8)


def _attention(module, query, key, value, mask, scaling, **_):
    """ONNX Runtime's attention. query: (B, heads, N, d), key and value: (B, heads, M, d).

    Returns (B, N, heads, d), and None for the weights.
    """
    inputs = [tensor.transpose(1, 2).flatten(2) for tensor in (query, key, value)]
    output = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        inputs,
        {"num_heads": query.shape[1], "scale": float(scaling)},
        dtype=query.dtype,
        shape=inputs[0].shape,
        version=1,
    )
    return output, None


class _ConvolutionalMLP(nn.Module):
    """SegformerMixMLP in evaluation mode, with convolutions for its linear layers."""

    def __init__(self, mlp: SegformerMixMLP):
        super().__init__()
        self.mlp = mlp

    def forward(self, tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
        mlp = self.mlp
        x = tokens.transpose(1, 2).unflatten(2, (height, width))
        x = F.conv2d(x, mlp.fc1.weight[..., None, None], mlp.fc1.bias)
        x = mlp.activation_fn(mlp.dwconv.dwconv(x))
        x = F.conv2d(x, mlp.fc2.weight[..., None, None], mlp.fc2.bias)
        return x.flatten(2).transpose(1, 2)


class _ExportedHead(FusedDecodeHead):
    """The fused head in evaluation mode, with the channels last and the batch normalisation
    multiplied into the projections."""

    def forward(self, encoder_hidden_states: tuple[torch.Tensor, ...], **_: object) -> torch.Tensor:
        """See FusedDecodeHead.forward."""
        norm = self.batch_norm
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weights, biases = zip(*self.projections(gain), strict=True)
        bias = sum(biases, norm.bias - gain * norm.running_mean)
        total = None
        for i, (state, weight) in enumerate(zip(encoder_hidden_states, weights, strict=True)):
            # All biases go to the smallest scale, where they cost least: upsampling keeps them.
            last = bias if i == len(weights) - 1 else None
            x = F.linear(state.permute(0, 2, 3, 1), weight, last)
            total = x if i == 0 else total + _resize(x, (1, 2**i, 2**i, 1))
        x = F.linear(F.relu(total), self.classifier.weight.flatten(1), self.classifier.bias)
        return x.permute(0, 3, 1, 2)


def _resize(x: torch.Tensor, scales: tuple[int, ...]) -> torch.Tensor:
    """Bilinear interpolation of (B, ., ., .) by a whole number per axis."""
    return torch.onnx.ops.symbolic(
        "Resize",
        (x, None, torch.tensor(scales, dtype=torch.float32)),
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        dtype=x.dtype,
        shape=[side * scale for side, scale in zip(x.shape, scales, strict=True)],
        version=19,
    )
