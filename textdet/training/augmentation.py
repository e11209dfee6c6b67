"""Named augmentations for training, apart from the training loop.

A preset says how large a part of the image becomes a crop, and has two albumentations pipelines:
`geometry` moves that part and its maps alike (and keypoints, when they are given), `colour` changes
the image only. None mirrors text unless asked.
"""

import os
from dataclasses import dataclass

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for its version

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

# Beyond the image there is no text, and that counts in full: of the masks' channels, which are
# character map, affinity map and, where they are needed, weights and the gaps between words.
OUTSIDE = (0, 0, 255, 0)
# Of a motion blur: else it moves text away from its labels.
UNSHIFTED = {"allow_shifted": False, "direction_range": (0.0, 0.0)}
LINEAR = {"interpolation": cv2.INTER_LINEAR, "mask_interpolation": cv2.INTER_LINEAR}
MOVED = {**LINEAR, "fill_mask": OUTSIDE}


@dataclass(frozen=True)
class Strength:
    """What a preset does. Probabilities are 0..1, for each crop."""

    enlarge: float  # text is enlarged up to so many times, in one half of the crops
    shrink: float  # and shrunk up to so many times in the other, as far as the image reaches
    tilt: float  # probability of a rotation with shear, or of a perspective
    degrees: float  # the largest rotation; the largest shear is two thirds of it
    quarter: float  # probability of a turn by 90, 180 or 270 degrees
    light: float  # probability of another brightness and contrast
    colour: float  # probability of other hues; half of it each: channels shuffled, inverted, grey
    shadow: float  # probability of shadows with sharp edges
    defects: float  # probability of one of: blur, motion, noise, fewer pixels, JPEG


STRENGTHS = {
    "light": Strength(1.5, 1.5, 0.15, 5, 0.0, 0.3, 0.0, 0.0, 0.1),
    "default": Strength(3.0, 2.0, 0.25, 15, 0.05, 0.3, 0.2, 0.05, 0.2),
    # Text at about the size at which it is looked for: the bundled model's in its last rounds.
    "photographs": Strength(1.4, 1.5, 0.3, 15, 0.05, 0.3, 0.1, 0.03, 0.12),
    "strong": Strength(4.0, 3.0, 0.5, 30, 0.1, 0.5, 0.4, 0.15, 0.4),
}


@dataclass
class Preset:
    """What a preset does to the part of an image that becomes a crop.

    Params:
        sides: px, lowest and highest side of the square that is cut out and becomes a crop; one
            of the ranges is drawn at random.
        geometry: makes a crop of the square; takes `image`, `mask` and, where points are to be
            followed, `keypoints`, (n, 2) px.
        colour: takes `image` alone.
    """

    sides: tuple[tuple[int, int], ...]
    geometry: A.Compose
    colour: A.Compose

    def sample_side(self, rng: np.random.Generator) -> int:
        """Sample the side of the square that is cut out, px."""
        low, high = self.sides[rng.integers(len(self.sides))]
        return int(rng.integers(low, high + 1))


def make_preset(name: str, crop: int, image_size: int, mirror: bool = False) -> Preset:
    """Make a preset.

    Params:
        name: one of options.AUGMENTATIONS.
        crop: px, side of the training crop.
        image_size: px, side of the square images that are cropped.
        mirror: flip one half of the crops, for scripts and symbols that allow it.
    """
    strength = STRENGTHS.get(name)
    if strength is None:
        sides, tilts, colour = ((crop, crop),), [], []
    else:
        largest = min(round(crop * strength.shrink), image_size)
        sides = (round(crop / strength.enlarge), crop), (crop, largest)
        tilts, colour = _tilts(strength), _colour(strength)
    geometry = [A.Resize(crop, crop, area_for_downscale="image_mask", **LINEAR), *tilts]
    if mirror:
        geometry.append(A.HorizontalFlip(p=0.5))
    points = A.KeypointParams(format="xy", remove_invisible=False)
    return Preset(sides, A.Compose(geometry, keypoint_params=points), A.Compose(colour))


def _tilts(strength: Strength) -> list:
    tilts = [
        A.Affine(
            rotate=(-strength.degrees, strength.degrees),
            shear=(-strength.degrees * 2 / 3, strength.degrees * 2 / 3),
            **MOVED,
        ),
        A.Perspective(scale=(0.03, 0.1), **MOVED),
    ]
    return [
        A.OneOf(tilts, p=strength.tilt),
        A.RandomRotate90(p=strength.quarter),
    ]


def _colour(strength: Strength) -> list:
    defects = [
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 1.2)),
        A.MotionBlur(blur_limit=(3, 7), **UNSHIFTED),
        A.AdditiveNoise(spatial_mode="shared"),
        A.Downscale(
            scale_range=(0.4, 0.8),
            interpolation_pair={"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR},
        ),
        A.ImageCompression(quality_range=(30, 90)),
    ]
    return [
        A.RandomBrightnessContrast(0.3, 0.3, p=strength.light),
        A.HueSaturationValue(20, 40, 0, p=strength.colour),
        A.ChannelShuffle(p=strength.colour / 2),
        A.InvertImg(p=strength.colour / 2),
        A.ToGray(p=strength.colour / 2),
        A.RandomShadow((0, 0, 1, 1), shadow_intensity_range=(0.2, 0.6), p=strength.shadow),
        A.OneOf(defects, p=strength.defects),
    ]
