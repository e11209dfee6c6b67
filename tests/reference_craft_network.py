"""CRAFT's published procedure written the plain way: from a picture to boxes, layer by layer.

Slow, and independent of textdet; the tests compare the two. Weights are a dictionary with the names
that the authors' file has.
"""

import cv2
import numpy as np
import torch
from reference_craft import reference_boxes
from torch.nn import functional as F

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of RGB in 0..1
# VGG16 with batch normalisation: (layer number, kind); the numbers are those of the names.
CONVOLUTIONS = {"slice1": (0, 3, 7, 10), "slice2": (14, 17), "slice3": (20, 24, 27)}
CONVOLUTIONS["slice4"] = (30, 34, 37)
POOLED_BEFORE = (7, 14, 24, 34)


def reference_maps(weights, pixels):
    """Both maps (2, h / 2, w / 2) of a normalised picture (1, 3, h, w), float32."""
    x, features = pixels, []
    for name, numbers in CONVOLUTIONS.items():
        for number in numbers:
            if number in POOLED_BEFORE:
                x = F.max_pool2d(x, 2)
            x = convolve(weights, f"basenet.{name}.{number}", x, padding=1)
            x = normalise(weights, f"basenet.{name}.{number + 1}", x)
            if number != 37:  # conv5_2 is taken before its ReLU
                x = F.relu(x)
        features.append(x)
    x = F.max_pool2d(x, 3, 1, 1)
    x = convolve(weights, "basenet.slice5.1", x, padding=6, dilation=6)
    x = convolve(weights, "basenet.slice5.2", x)
    for number, feature in enumerate(reversed(features), 1):
        if number > 1:
            x = F.interpolate(x, size=feature.shape[2:], mode="bilinear", align_corners=False)
        x = torch.cat([x, feature], 1)
        for layer, padding in ((0, 0), (3, 1)):
            x = convolve(weights, f"upconv{number}.conv.{layer}", x, padding=padding)
            x = F.relu(normalise(weights, f"upconv{number}.conv.{layer + 1}", x))
    for layer, padding in ((0, 1), (2, 1), (4, 1), (6, 0)):
        x = F.relu(convolve(weights, f"conv_cls.{layer}", x, padding=padding))
    return convolve(weights, "conv_cls.8", x)[0]


def convolve(weights, name, x, **options):
    return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **options)


def normalise(weights, name, x):
    names = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(weights[f"{name}.{part}"] for part in names))


@torch.no_grad()
def reference_detection(weights, image, longest=1280, enlargement=1.5, thresholds=(0.7, 0.4, 0.4)):
    """Boxes of an RGB picture (H, W, 3) uint8 in its pixels, and both maps, as the authors' test
    script finds them: shrunk or enlarged, put at the top left of a black picture whose sides are
    multiples of 32."""
    height, width = image.shape[:2]
    scale = min(enlargement * max(height, width), longest) / max(height, width)
    shown = cv2.resize(image, (int(width * scale), int(height * scale)), None)
    padded = [-(-side // 32) * 32 for side in shown.shape[:2]]
    canvas = np.zeros((*padded, 3), np.float32)
    canvas[: shown.shape[0], : shown.shape[1]] = shown
    canvas = (canvas - 255 * np.float32(MEAN)) / (255 * np.float32(DEVIATION))
    pixels = torch.from_numpy(canvas.astype(np.float32)).permute(2, 0, 1)[None]
    textmap, linkmap = reference_maps(weights, pixels).numpy()
    boxes = reference_boxes(textmap, linkmap, *thresholds)
    return [box * 2 / scale for box in boxes], np.stack([textmap, linkmap])
