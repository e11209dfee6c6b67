"""Albumentations pipelines at three levels: the letters' mask, the background, the whole image.

None of them moves a pixel, so labels stay exact; geometry is in warps.py, where points and pixels
go through the same homography.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for its version

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from stage_times import stage  # noqa: E402
from static import constants as C  # noqa: E402

TEXT_MASK = A.Compose(
    [
        A.OneOf(
            [
                A.Morphological(scale=(3, 3), operation="dilation", p=1),
                A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.0), p=1),
                A.PixelDropout(dropout_prob=0.05, drop_value=0, p=1),
            ],
            p=1,
        )
    ]
)
BACKGROUND = A.Compose(
    [
        A.RandomBrightnessContrast(brightness_limit=0.25, contrast_limit=0.25, p=0.6),
        A.HueSaturationValue(hue_shift_limit=15, sat_shift_limit=40, val_shift_limit=0, p=0.3),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.5, 2.5), p=0.15),
        A.ToGray(p=0.05),
    ]
)
CAMERA = A.Compose(
    [
        A.RandomShadow(num_shadows_limit=(1, 2), shadow_dimension=4, p=C.SHADOW_PATCH_PROBABILITY),
        A.OneOf(
            [
                A.RandomBrightnessContrast(brightness_limit=0.3, contrast_limit=0.3, p=1),
                A.RandomGamma(gamma_limit=(60, 150), p=1),
                A.PlanckianJitter(p=1),
                A.RGBShift(p=0.5),
                A.ChannelShuffle(p=0.3),
                A.InvertImg(p=0.2),
            ],
            p=C.COLOUR_PROBABILITY,
        ),
        A.ToGray(p=C.GREY_PROBABILITY),
        A.OneOf(
            [
                A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.3), p=1),
                A.MotionBlur(blur_limit=(3, 5), p=1),
                A.Sharpen(p=0.5),
            ],
            p=C.BLUR_PROBABILITY,
        ),
        A.OneOf(
            [
                A.AdditiveNoise(spatial_mode="shared", p=1),
                A.GaussNoise(std_range=(0.01, 0.06), p=1),
                A.ISONoise(intensity=(0.1, 0.4), p=0.5),
            ],
            p=C.NOISE_PROBABILITY,
        ),
        A.Downscale(
            scale_range=(0.6, 0.9),
            interpolation_pair={"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR},
            p=C.DOWNSCALE_PROBABILITY,
        ),
        A.ImageCompression(quality_range=(35, 90), p=C.JPEG_PROBABILITY),
    ]
)


@stage("augmentation")
def augment(pipeline: A.Compose, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Run a pipeline with its randomness taken from `rng`; same shape and dtype."""
    pipeline.set_random_seed(int(rng.integers(2**31)))
    return pipeline(image=image)["image"]
