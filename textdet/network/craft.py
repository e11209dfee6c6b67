"""CRAFT's own network, for the weights that its authors published.

Baek et al., "Character Region Awareness for Text Detection", CVPR 2019, figure 2; the names of the
parameters are those of the authors' files, such as craft_mlt_25k.pth.
"""

import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from textdet.common.errors import DataError

# VGG16's convolutions up to conv5_2, by their channels. Each is followed by a batch normalisation
# and a ReLU, so that layer numbers, and with them the parameters' names, run on by three.
VGG16 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512)
# Layers at which a slice ends, which is where the upward half takes features. The last one comes
# before its ReLU: in the published network that ReLU is never reached.
SLICE_ENDS = (13, 20, 30, 39)
DILATED_CHANNELS = 1024  # of the two convolutions below VGG16
# Of each step upwards: channels that come in, after the 1x1 convolution, after the 3x3 one.
UPWARD_CHANNELS = ((1536, 512, 256), (768, 256, 128), (384, 128, 64), (192, 64, 32))
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of RGB in 0..1
PARALLEL_PREFIX = "module."  # that nn.DataParallel put before the published names


class Craft(nn.Module):
    """VGG16 with batch normalisation, and a U-Net-like half upwards: 20.8 million parameters."""

    def __init__(self):
        super().__init__()
        layers = _vgg16_layers()
        starts = (0, *SLICE_ENDS[:-1])
        self.basenet = nn.Module()
        for number, (start, end) in enumerate(zip(starts, SLICE_ENDS, strict=True), 1):
            named = OrderedDict((str(i), layers[i]) for i in range(start, end))
            self.basenet.add_module(f"slice{number}", nn.Sequential(named))
        self.basenet.slice5 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(VGG16[-1], DILATED_CHANNELS, 3, padding=6, dilation=6),
            nn.Conv2d(DILATED_CHANNELS, DILATED_CHANNELS, 1),
        )
        for number, channels in enumerate(UPWARD_CHANNELS, 1):
            self.add_module(f"upconv{number}", _UpwardStep(*channels))
        self.conv_cls = nn.Sequential(
            *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 16, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 16, 1), nn.ReLU()),
            nn.Conv2d(16, 2, 1),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the maps.

        Params:
            pixels: (B, 3, H, W) float, RGB, normalised with ImageNet's mean and deviation. H and
                W are multiples of 32 in the authors' procedure.

        Returns:
            (B, 2, H / 2, W / 2) float, character (region) and affinity map. They were trained to
            lie in 0..1 and stray beyond it by a little.
        """
        base, features, x = self.basenet, [], pixels
        for part in (base.slice1, base.slice2, base.slice3, base.slice4):
            x = part(x)
            features.append(x)
        x = base.slice5(x)
        steps = (self.upconv1, self.upconv2, self.upconv3, self.upconv4)
        for step, feature in zip(steps, reversed(features), strict=True):
            x = F.interpolate(x, feature.shape[2:], mode="bilinear", align_corners=False)
            x = step(torch.cat([x, feature], dim=1))
        return self.conv_cls(x)


class CraftMaps(nn.Module):
    """CRAFT from pixels to maps.

    Params:
        network: is changed: its weights get another layout in memory.
    """

    def __init__(self, network: Craft):
        super().__init__()
        # Convolutions are a third faster on a CPU when the channels come last in memory.
        self.network = network.to(memory_format=torch.channels_last)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            tensor = 255 * torch.tensor(values).reshape(1, 3, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Compute the maps.

        Params:
            image: (B, H, W, 3) uint8 RGB.

        Returns:
            (B, 2, H / 2, W / 2) float32, 0..1, character then affinity.
        """
        x = (image.permute(0, 3, 1, 2).float() - self.mean) / self.deviation
        return self.network(x).float().clamp(0, 1)


class _UpwardStep(nn.Module):
    """A 1x1 and a 3x3 convolution, each with batch normalisation and ReLU."""

    def __init__(self, channels_in: int, channels_between: int, channels_out: int):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels_in, channels_between, 1),
            nn.BatchNorm2d(channels_between),
            nn.ReLU(),
            nn.Conv2d(channels_between, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def _vgg16_layers() -> list[nn.Module]:
    layers, channels = [], 3
    for step in VGG16:
        if step == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, step, 3, padding=1), nn.BatchNorm2d(step), nn.ReLU()]
            channels = step
    return layers


def load_craft(path: Path) -> Craft:
    """CRAFT with the weights of a file, ready for inference.

    Params:
        path: a .pth file as the authors published it, read without running any code that it may
            hold, or the same tensors as .safetensors.

    Returns:
        The network in evaluation mode, float32, with the batch normalisations multiplied into the
        convolutions before them: the same maps up to rounding, in fewer passes over the memory.

    Raises:
        DataError: the file is missing, damaged, holds more than tensors, or is not a CRAFT model.
    """
    weights = _read_tensors(path)
    weights = {name.removeprefix(PARALLEL_PREFIX): tensor for name, tensor in weights.items()}
    with torch.device("meta"):  # no time for random values that are replaced at once
        network = Craft()
    expected = network.state_dict()
    missing, unknown = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    if missing or unknown:
        odd = f"{min(missing)} is missing" if missing else f"{min(unknown)} is unknown"
        raise DataError(f"{path}: not CRAFT's weights ({odd})")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{tuple(tensor.shape)} instead of {tuple(expected[name].shape)}"
            raise DataError(f"{path}: not CRAFT's weights ({name} is {shapes})")
        if not torch.isfinite(tensor).all():
            raise DataError(f"{path}: damaged ({name} holds values that are not finite)")
    network.load_state_dict(weights, assign=True)
    network = network.float().eval().requires_grad_(False)
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            _fuse_normalisations(module)
    return network


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a file. Raises DataError."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd pickles, which the error below names
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(
            f"{path}: not a file of weights that is read: it is damaged, of another kind, or holds "
            "code, which is not run"
        ) from None
    except Exception:  # torch, zipfile and safetensors raise many kinds on damaged files
        raise DataError(f"{path}: not a file of weights, or damaged") from None
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path}: not CRAFT's weights (no named tensors in it)")
    if not all(isinstance(k, str) and torch.is_tensor(v) for k, v in found.items()):
        raise DataError(f"{path}: not CRAFT's weights (it holds more than named tensors)")
    return dict(found)


def _fuse_normalisations(layers: nn.Sequential) -> None:
    """Multiply batch normalisations into the convolutions before them, in place."""
    names = list(layers._modules)
    for name, following in zip(names, names[1:], strict=False):
        first, second = layers._modules[name], layers._modules[following]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            layers._modules[name] = fuse_conv_bn_eval(first, second)
            layers._modules[following] = nn.Identity()
