"""Named augmentations for training, apart from the training loop.

Each preset has two albumentations pipelines: `geometry` moves the image and both maps alike,
`colour` changes the image only. None mirrors text.
"""

import os
from dataclasses import dataclass

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for its version

import albumentations as A  # noqa: E402
import cv2  # noqa: E402

LINEAR = {"interpolation": cv2.INTER_LINEAR, "mask_interpolation": cv2.INTER_LINEAR}


@dataclass
class Preset:
    geometry: A.Compose
    colour: A.Compose


def make_preset(name: str, crop: int, image_size: int) -> Preset:
    """crop: px, side of the training crop; image_size: px, side of the square images cropped.

    Raises KeyError for a name that is not in PRESETS.
    """
    return PRESETS[name](crop, image_size)


def _none(crop: int, image_size: int) -> Preset:
    return Preset(A.Compose([A.RandomCrop(crop, crop)]), A.Compose([]))


def _default(crop: int, image_size: int) -> Preset:
    """Half to double size, turned a little or by quarters, lit and blurred differently."""
    sides = (crop // 2, min(2 * crop, image_size))
    geometry = A.Compose(
        [
            A.RandomSizedCrop(min_max_height=sides, size=(crop, crop), **LINEAR),
            A.OneOf(
                [
                    A.Affine(rotate=(-15, 15), shear=(-10, 10), **LINEAR),
                    A.Perspective(scale=(0.03, 0.1), **LINEAR),
                ],
                p=0.25,
            ),
            A.RandomRotate90(p=0.05),
        ]
    )
    colour = A.Compose(
        [
            A.RandomBrightnessContrast(0.3, 0.3, p=0.3),
            A.HueSaturationValue(20, 40, 0, p=0.2),
            A.ChannelShuffle(p=0.1),
            A.InvertImg(p=0.1),
            A.ToGray(p=0.1),
            A.OneOf(
                [
                    A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.2)),
                    A.AdditiveNoise(spatial_mode="shared"),
                    A.ImageCompression(quality_range=(30, 90)),
                ],
                p=0.2,
            ),
        ]
    )
    return Preset(geometry, colour)


PRESETS = {"default": _default, "none": _none}
