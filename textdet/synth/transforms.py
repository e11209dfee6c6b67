"""What wears letters, tints backgrounds and stands between a scene and its file, by albumentations.

None of it moves a pixel, so labels stay exact; geometry is in warps.py, where points and pixels go
through the same homography.
"""

import functools
import math
import os
import sys

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for its version
# Its optional part for PyTorch, which the generator does without: 2 s and 180 MB a process.
sys.modules.setdefault("albumentations.pytorch", None)

import albumentations as A  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from textdet.synth.settings import GeneratorSettings  # noqa: E402

STRIP = 1 << 20  # values by which a strip of noise is longer than an image needs
GRAIN = 40  # grey levels, standard deviation of that strip
# Of a motion blur: else it moves text away from its labels.
UNSHIFTED = {"allow_shifted": False, "direction_range": (0.0, 0.0)}


class _Effect(A.ImageOnlyTransform):
    """A transform of the generator's own: its parameters come from the settings."""

    def __init__(self, settings: GeneratorSettings, p: float):
        super().__init__(p=p)
        self.settings = settings


class LensFlare(_Effect):
    """The glow of a light and the rings that a lens makes of it, by screen blending: what is under
    them loses contrast, but never all of it."""

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Add the flare to (H, W, 3) uint8 RGB. Called by albumentations."""
        rng, settings = self.random_generator, self.settings
        height, width = img.shape[:2]
        x, y = np.meshgrid(np.linspace(0, 1, 64), np.linspace(0, 1, 64))
        light, radius = rng.uniform(0, 1, 2), rng.uniform(*settings.FLARE_RADIUS)
        glow = np.exp(-((x - light[0]) ** 2 + (y - light[1]) ** 2) / radius**2 * 3)
        for along in rng.uniform(0.6, 1.6, rng.integers(0, 4)):
            ring = light + (0.5 - light) * along
            distance = np.hypot(x - ring[0], y - ring[1]) / (radius * 0.3)
            glow += 0.25 * np.clip(3 - 3 * distance, 0, 1)
        colour = np.clip(rng.normal(1, 0.1, 3), 0.7, 1)
        kept = 255 - (glow.clip(0, 1)[..., None] * colour * rng.uniform(*settings.FLARE_STRENGTH))
        kept = cv2.resize(kept.clip(0, 255).astype(np.uint8), (width, height))
        return 255 - cv2.multiply(255 - img, kept, scale=1 / 255)


class Vignette(_Effect):
    """Corners that get less light than the middle."""

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Darken the corners of (H, W, 3) uint8 RGB. Called by albumentations."""
        rng, settings = self.random_generator, self.settings
        height, width = img.shape[:2]
        centre = rng.uniform(-0.2, 0.2, 2)
        y, x = np.mgrid[-1:1:32j, -1:1:32j]
        distance = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 2
        light = 255 * (1 - rng.uniform(*settings.VIGNETTE_STRENGTH) * distance.clip(0, 1))
        light = cv2.resize(light.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        return cv2.multiply(img, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), scale=1 / 255)


class CastShadow(_Effect):
    """The soft-edged shadow of something outside the picture: a wide band across it."""

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Lay shadows over (H, W, 3) uint8 RGB. Called by albumentations."""
        rng, settings = self.random_generator, self.settings
        height, width = img.shape[:2]
        y, x = np.mgrid[-1:1:64j, -1:1:64j]
        shade = np.zeros((64, 64))
        for _ in range(rng.integers(settings.SHADOW_PATCHES[0], settings.SHADOW_PATCHES[1] + 1)):
            angle, soft = rng.uniform(0, np.pi), rng.uniform(*settings.SHADOW_PATCH_SOFTNESS)
            across = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.9, 0.9)
            band = (rng.uniform(*settings.SHADOW_PATCH_WIDTH) - np.abs(across)) / soft
            shade = np.maximum(shade, (band + 0.5).clip(0, 1))
        light = 255 * (1 - rng.uniform(*settings.SHADOW_PATCH_INTENSITY) * shade)
        light = cv2.resize(light.astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        return cv2.multiply(img, cv2.cvtColor(light, cv2.COLOR_GRAY2RGB), scale=1 / 255)


class Defocus(_Effect):
    """A lens out of focus: a point becomes a disc."""

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Blur (H, W, 3) uint8 RGB. Called by albumentations."""
        radius = self.random_generator.uniform(*self.settings.DEFOCUS_RADIUS)
        reach = int(np.ceil(radius))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
        return cv2.filter2D(img, -1, disc / disc.sum())


@functools.lru_cache(maxsize=2)
def _grains(count: int) -> np.ndarray:
    """(count,) uint8 about 128, a fixed strip of noise: to cut from it costs nothing, to draw it
    does."""
    noise = np.random.default_rng(0).standard_normal(count, np.float32)
    return (noise * GRAIN + 128.5).clip(0, 255).astype(np.uint8)


class SensorNoise(_Effect):
    """Noise of a sensor, coloured or grey, fine or coarse; cut from one strip at a random place."""

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Add noise to (H, W, 3) uint8 RGB. Called by albumentations."""
        rng, settings = self.random_generator, self.settings
        height, width = img.shape[:2]
        channels = 1 if rng.random() < settings.GREY_NOISE_SHARE else 3
        grain = 2 if rng.random() < settings.COARSE_NOISE_SHARE else 1
        shape = (-(-height // grain), -(-width // grain), channels)
        strip, count = _grains(3 * height * width + STRIP), math.prod(shape)
        start = rng.integers(len(strip) - count + 1)
        noise = strip[start : start + count].reshape(shape)
        if channels == 1:
            noise = cv2.cvtColor(noise, cv2.COLOR_GRAY2RGB)
        if grain > 1:
            noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST)
        weight = rng.uniform(*settings.NOISE_STRENGTH) / GRAIN
        return cv2.addWeighted(img, 1, noise, weight, -128 * weight)


class SmallCamera(_Effect):
    """The picture of a small camera with few pixels: it smooths their noise away, and fine detail
    with it, then sharpens what is left until edges have halos."""

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Shrink, smooth, sharpen and enlarge (H, W, 3) uint8 RGB. Called by albumentations."""
        rng, settings = self.random_generator, self.settings
        height, width = img.shape[:2]
        scale = rng.uniform(*settings.SMALL_CAMERA_SCALE)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        # Down to a half, bilinear interpolation hardly leaves a pixel out, and is much quicker.
        shrinking = cv2.INTER_LINEAR if scale >= 0.5 else cv2.INTER_AREA
        small = cv2.resize(img, size, interpolation=shrinking)
        light, *colour = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb))
        light = cv2.bilateralFilter(light, 5, rng.uniform(*settings.SMALL_CAMERA_SMOOTHING), 2)
        # Sharpened while it is small, as the camera does.
        soft = cv2.GaussianBlur(light, None, rng.uniform(*settings.SMALL_CAMERA_HALO) * scale)
        strength = rng.uniform(*settings.SMALL_CAMERA_SHARPENING)
        light = cv2.addWeighted(light, 1 + strength, soft, -strength, 0)
        merged = cv2.merge([light, *(cv2.blur(plane, (3, 3)) for plane in colour)])
        small = cv2.cvtColor(merged, cv2.COLOR_YCrCb2RGB)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


class Spots(_Effect):
    """Ink that did not take everywhere: single pixels without any."""

    def apply(self, img: np.ndarray, **params: object) -> np.ndarray:
        """Clear pixels of (H, W) uint8, coverage of letters. Called by albumentations."""
        kept = self.random_generator.random(img.shape, np.float32) >= self.settings.WEAR_DROPOUT
        return img * kept


def letters_pipeline(settings: GeneratorSettings) -> A.Compose:
    """Wear of the letters: thickened, blurred or spotted. For their coverage, (H, W) uint8."""
    return A.Compose(
        [
            A.OneOf(
                [
                    A.Morphological(scale=(settings.WEAR_SIZE,) * 2, operation="dilation", p=1),
                    A.GaussianBlur(blur_limit=0, sigma_limit=settings.WEAR_BLUR, p=1),
                    Spots(settings, p=1),
                ],
                p=1,
            )
        ]
    )


def background_pipeline(settings: GeneratorSettings) -> A.Compose:
    """What happens to a background, (H, W, 3) uint8 RGB, before the text is on it."""
    return A.Compose(
        [
            A.RandomBrightnessContrast(
                settings.BACKGROUND_LIGHT,
                settings.BACKGROUND_LIGHT,
                p=settings.BACKGROUND_LIGHT_PROBABILITY,
            ),
            A.HueSaturationValue(
                settings.BACKGROUND_HUE,
                settings.BACKGROUND_SATURATION,
                (0, 0),
                p=settings.BACKGROUND_HUE_PROBABILITY,
            ),
            A.GaussianBlur(
                blur_limit=0,
                sigma_limit=settings.BACKGROUND_BLUR,
                p=settings.BACKGROUND_BLUR_PROBABILITY,
            ),
            A.ToGray(p=settings.BACKGROUND_GREY_PROBABILITY),
        ]
    )


def camera_pipeline(settings: GeneratorSettings) -> A.Compose:
    """Light, lens, sensor, file: in the order in which they meet (H, W, 3) uint8 RGB."""
    linear = {"downscale": cv2.INTER_LINEAR, "upscale": cv2.INTER_LINEAR}
    colour, blur = settings.COLOUR_SHARES, settings.BLUR_SHARES
    return A.Compose(
        [
            CastShadow(settings, p=settings.SHADOW_PATCH_PROBABILITY),
            LensFlare(settings, p=settings.FLARE_PROBABILITY),
            A.OneOf(
                [
                    A.RandomBrightnessContrast(
                        settings.BRIGHTNESS, settings.CONTRAST, p=colour["contrast"]
                    ),
                    A.RandomGamma(gamma_limit=settings.GAMMA, p=colour["gamma"]),
                    A.PlanckianJitter(
                        temperature_limit=settings.COLOUR_TEMPERATURE, p=colour["temperature"]
                    ),
                    A.RGBShift(*(settings.COLOUR_CAST,) * 3, p=colour["cast"]),
                    A.ChannelShuffle(p=colour["shuffle"]),
                    A.InvertImg(p=colour["negative"]),
                ],
                p=settings.COLOUR_PROBABILITY,
            ),
            A.ToGray(p=settings.GREY_PROBABILITY),
            Vignette(settings, p=settings.VIGNETTE_PROBABILITY),
            A.OneOf(
                [
                    A.GaussianBlur(
                        blur_limit=0, sigma_limit=settings.GAUSSIAN_BLUR, p=blur["gaussian"]
                    ),
                    Defocus(settings, p=blur["defocus"]),
                    A.MotionBlur(settings.MOTION_BLUR, **UNSHIFTED, p=blur["motion"]),
                    A.Sharpen(alpha=settings.SHARPEN, p=blur["sharpen"]),
                ],
                p=settings.BLUR_PROBABILITY,
            ),
            SensorNoise(settings, p=settings.NOISE_PROBABILITY),
            A.Downscale(settings.DOWNSCALE, linear, p=settings.DOWNSCALE_PROBABILITY),
            SmallCamera(settings, p=settings.SMALL_CAMERA_PROBABILITY),
            A.ImageCompression(quality_range=settings.JPEG_AGAIN, p=settings.JPEG_PROBABILITY),
        ]
    )
