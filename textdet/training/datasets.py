"""What the network sees while it is trained and validated: crops, whole images, their order."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from static import constants as C
from textdet.data.annotation import Word
from textdet.data.fitted import fitted_words
from textdet.data.source import Source
from textdet.data.word_gaps import band_of, draw_gaps
from textdet.decoding.metrics import Truth, truth_of
from textdet.training.augmentation import Preset
from textdet.training.scenes import SceneSource

ANY_WORD = -1  # in place of the number of an image's word


class CropChoice(NamedTuple):
    """What a crop depends on, and nothing else.

    Params:
        index: of the image in the source.
        seed: of the place and the augmentation.
        word: number of the image's word to cut around; ANY_WORD for none in particular.
    """

    index: int
    seed: int
    word: int = ANY_WORD


class TrainDataset(torch.utils.data.Dataset):
    """Random crops, each made as a CropChoice says.

    Params:
        source: fitted images with their maps.
        preset: augmentation, which makes the crops.
        gap_weight: from 1, how many times as much a pixel between two words of a line counts.
    """

    def __init__(self, source: Source | SceneSource, preset: Preset, gap_weight: float = 1.0):
        self.source, self.preset, self.gap_weight = source, preset, gap_weight

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, draw: tuple) -> dict[str, torch.Tensor]:
        """See to_tensors."""
        image, maps, weights, _ = self.crop(CropChoice(*draw))
        return to_tensors(image, maps, weights)

    def crop(
        self, draw: CropChoice, points: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Cut one augmented crop, and follow points of the image into it.

        Params:
            draw: which one; in place of a damaged image the next sound one is taken.
            points: (n, 2) px of the fitted image; None for none.

        Returns:
            image: (crop, crop, 3) uint8 RGB.
            maps: (crop, crop, 2) uint8, character then affinity, 0..255 for 0..1.
            weights: (crop, crop) uint8, 0..255 for 0..1; None when all are 1.
            points: (n, 2) px of the crop, also beyond it; None without any.

        Raises:
            DataError: no image of the source can be decoded.
        """
        rng = np.random.default_rng(draw.seed)
        index, image, maps, weights = self.source.read_sound(draw.index)
        words = self.source.words(index)
        wanted = words[draw.word] if draw.word != ANY_WORD and index == draw.index else None
        square = self._choose_square(rng, words, len(image), wanted)
        image, maps = image[square], maps[square]
        gaps = None
        if self.gap_weight > 1:
            gaps = draw_gaps([band_of(word) for word in words], self.source.size)[square]
        if weights is not None:
            weights = weights[square]
        elif gaps is not None:
            weights = np.full_like(gaps, 255)
        extras = [extra for extra in (weights, gaps) if extra is not None]
        if extras:
            maps = np.dstack([maps, *extras])
        given = {}
        if points is not None:
            given["keypoints"] = points - np.float32([square[1].start, square[0].start])
        self.preset.geometry.set_random_seed(int(rng.integers(2**31)))
        crop = self.preset.geometry(image=image, mask=maps, **given)
        self.preset.colour.set_random_seed(int(rng.integers(2**31)))
        pixels = self.preset.colour(image=crop["image"])["image"]
        maps = crop["mask"]
        if weights is not None:
            weights = maps[..., 2]
        if gaps is not None:
            weights = weigh_gaps(weights, maps[..., 3], self.gap_weight)
        return pixels, maps[..., :2], weights, crop.get("keypoints")

    def _choose_square(
        self, rng: np.random.Generator, words: list[Word], size: int, wanted: Word | None = None
    ) -> tuple[slice, slice]:
        """The rows and columns of the part of an image that becomes a crop.

        Much of a photograph is without text. So in TEXT_SHARE of the crops one of the words that
        can be read has its middle there.

        size: px, side of the image.
        wanted: the word that has its middle there in any case; None for none in particular.
        """
        side = self.preset.sample_side(rng)
        centres = [word.polygon.mean(0) for word in words if not word.ignore]
        if wanted is not None:
            corner = wanted.polygon.mean(0) - rng.uniform(0, side, 2)
        elif centres and rng.random() < C.TEXT_SHARE:
            corner = centres[rng.integers(len(centres))] - rng.uniform(0, side, 2)
        else:
            corner = rng.uniform(0, size - side, 2)
        left, top = corner.clip(0, size - side).astype(int).tolist()
        return np.s_[top : top + side, left : left + side]


def weigh_gaps(weights: np.ndarray, gaps: np.ndarray, gap_weight: float) -> np.ndarray:
    """Let the gaps between words count more than what is around them.

    The loss looks at the weights' proportions alone: the gaps keep theirs, all others are divided.

    Params:
        weights: (H, W) uint8, 0..255 for 0..1.
        gaps: (H, W) uint8, 255 in the gaps, 0 elsewhere.
        gap_weight: how many times as much a gap counts.

    Returns:
        (H, W) uint8.
    """
    others = np.rint(weights / gap_weight).astype(np.uint8)
    return np.where(gaps > 127, weights, others)


class ValidationDataset(torch.utils.data.Dataset):
    """Whole fitted images, with their place in the source so that their words can be found.

    Params:
        source: fitted images with their maps and words.
    """

    def __init__(self, source: Source):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """See to_tensors."""
        index, *arrays = self.source.read_sound(index)
        return {**to_tensors(*arrays), "image_index": torch.tensor(index)}

    def truth(self) -> list[Truth]:
        """Each image's words in the coordinates of its fitted square."""
        return [truth_of(fitted_words(sample, self.source.size)) for sample in self.source.samples]


def to_tensors(
    image: np.ndarray, maps: np.ndarray, weights: np.ndarray | None
) -> dict[str, torch.Tensor]:
    """Turn an image and its maps to what the network and the loss take.

    Params:
        image: (H, W, 3) uint8 RGB.
        maps: (H, W, 2) uint8, character then affinity, 0..255 for 0..1.
        weights: (H, W) uint8, 0..255 for 0..1; None when all are 1.

    Returns:
        pixel_values: (3, H, W) uint8.
        labels: (2, h, w) uint8, at 1 / LABEL_STRIDE of the resolution.
        weights: (1, h, w) uint8, likewise; left out where they are all 1.
    """
    size = maps.shape[1] // C.LABEL_STRIDE, maps.shape[0] // C.LABEL_STRIDE
    labels = cv2.resize(np.ascontiguousarray(maps), size, interpolation=cv2.INTER_AREA)
    tensors = {
        "pixel_values": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
        "labels": torch.from_numpy(np.ascontiguousarray(labels.transpose(2, 0, 1))),
    }
    if weights is not None and weights.min() < 255:
        small = cv2.resize(np.ascontiguousarray(weights), size, interpolation=cv2.INTER_AREA)
        tensors["weights"] = torch.from_numpy(small)[None]
    return tensors


def collate(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Stack items to a batch.

    Params:
        items: of to_tensors, of one size.

    Returns:
        The same names, with a first axis for the items; weights only where one item has them.
    """
    if any("weights" in item for item in items):
        ones = torch.full_like(items[0]["labels"][:1], 255)
        items = [{"weights": ones, **item} for item in items]
    return {name: torch.stack([item[name] for item in items]) for name in items[0]}


class MixSampler(torch.utils.data.Sampler):
    """The order of TrainDataset's draws, epoch by epoch.

    It depends on the seed and the epoch alone, so that a run which is resumed in the middle of an
    epoch, or on several processes, sees the same crops.

    Params:
        sizes: images of each folder, one folder after the other in the data set.
        shares: of an epoch's draws for each folder, in any unit; None takes each image once. With
            scenes the first one is theirs.
        scenes: how many crops of scenes stand for a folder of so many images; 0 for none. Each
            scene has an index after those of all folders, see SceneSource, and comes in one epoch.
        crops_per_scene: crops of one scene, which follow each other.
        hard_words: (index of the image, number of the word) of words that come more often.
        hard_share: 0..1, of a folder's draws, those for its hard words where it has any.
    """

    def __init__(
        self,
        sizes: list[int],
        shares: list[float] | None,
        seed: int,
        scenes: int = 0,
        crops_per_scene: int = 1,
        hard_words: Sequence[tuple[int, int]] = (),
        hard_share: float = 0.0,
    ):
        self.sizes, self.seed, self.epoch = sizes, seed, 0
        self.hard_words, self.hard_share = hard_words, hard_share
        all_sizes = [scenes, *sizes] if scenes else sizes
        counts = split_count(sum(all_sizes), shares or all_sizes)
        self.of_scenes, self.counts = (counts[0], counts[1:]) if scenes else (0, counts)
        self.repeats = split_count(self.of_scenes, [1] * -(-self.of_scenes // crops_per_scene))

    def __len__(self) -> int:
        return self.of_scenes + sum(self.counts)

    def __iter__(self) -> Iterator[CropChoice]:
        number = len(self.repeats)
        scenes = sum(self.sizes) + self.epoch * number + np.arange(number)
        targets = np.concatenate([*self._from_folders(), of_any_word(scenes)])
        repeats = np.concatenate([np.ones(sum(self.counts), int), np.array(self.repeats, int)])
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(targets))
        targets = np.repeat(targets[order], repeats[order], axis=0)
        seeds = rng.integers(2**31, size=len(targets)).tolist()
        for (index, word), seed in zip(targets.tolist(), seeds, strict=True):
            yield CropChoice(index, seed, word)

    def _from_folders(self) -> Iterator[np.ndarray]:
        """This epoch's images of each folder, and for which of their words they come: (n, 2)."""
        start = 0
        for folder, (size, count) in enumerate(zip(self.sizes, self.counts, strict=True)):
            hard = [pair for pair in self.hard_words if start <= pair[0] < start + size]
            hard_count = round(count * self.hard_share) if hard else 0
            yield of_any_word(start + self._part(folder, 0, size, count - hard_count))
            if hard_count:
                yield np.array(hard)[self._part(folder, 1, len(hard), hard_count)]
            start += size

    def _part(self, folder: int, row: int, size: int, count: int) -> np.ndarray:
        """This epoch's part of an endless row of permutations: all numbers come equally often.

        folder, row: which row, of one of the folders.
        size: numbers of a permutation.
        count: how many numbers an epoch takes.
        """
        if not count:
            return np.zeros(0, int)
        first, last = self.epoch * count, (self.epoch + 1) * count
        rounds = range(first // size, -(-last // size))
        rngs = [np.random.default_rng([self.seed, folder, r, row]) for r in rounds]
        numbers = np.concatenate([rng.permutation(size) for rng in rngs])
        return numbers[first - rounds.start * size :][:count]


def of_any_word(images: np.ndarray) -> np.ndarray:
    """The images' numbers (n,), each with ANY_WORD: (n, 2)."""
    return np.stack([images, np.full_like(images, ANY_WORD)], axis=1)


def split_count(total: int, shares: list[float]) -> list[int]:
    """Split a number in the proportion of some shares.

    Params:
        total: a whole number from 0.
        shares: from 0, in any unit.

    Returns:
        A whole number for each share; together `total`.
    """
    if not total:
        return [0] * len(shares)
    edges = np.round(np.cumsum([0, *shares]) / sum(shares) * total).astype(int)
    return np.diff(edges).tolist()
