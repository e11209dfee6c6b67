"""The images of a training run: read, split, opened."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from textdet.common.errors import DataError
from textdet.common.workers import available_cores
from textdet.data.annotation import Sample
from textdet.data.cache import SIDES
from textdet.data.formats.recognise import find_format, find_labels
from textdet.data.formats.registry import FORMATS
from textdet.data.held_out import Record, find_unseen, record_of
from textdet.data.source import Source, open_source
from textdet.data.splits import split_samples
from textdet.data.triplets import has_heatmaps, read_folders
from textdet.training.augmentation import make_preset
from textdet.training.datasets import MixSampler, TrainDataset
from textdet.training.hard_words import read_hard_words
from textdet.training.options import DataArguments, GeneratorArguments
from textdet.training.report import data_fingerprint
from textdet.training.scenes import MakeScene, SceneSource


@dataclass
class Split:
    """The samples of all --input_dir.

    Params:
        problems: a line for each damaged annotation.
        record: of all images.
    """

    train: list[Sample]
    validation: list[Sample]
    problems: list[str]
    record: Record


@dataclass
class TrainingData:
    """What a run reads its images from.

    Params:
        train, validation: the sound ones.
        problems: a line for each image that is left out.
        fingerprint: see data_fingerprint.
        record: of all images.
    """

    train: Source
    validation: Source
    problems: list[str]
    fingerprint: str
    record: Record


def open_data(
    data_args: DataArguments,
    turn: AbstractContextManager,
    before: Record,
    generated: Path | None = None,
) -> TrainingData:
    """Read and split the samples, and open the pixels of both sides.

    Params:
        turn: within it caches are made: one of several processes after the other.
        before: of the model that training starts from.
        generated: a folder of triplets to validate with, beside the images of --input_dir.

    Raises:
        DataError: a folder without sound triplets, or too much is damaged.
    """
    split = find_samples(data_args, before, generated)
    how = data_args.image_size, data_args.caching, available_cores()
    with turn:
        train, problems = open_source(split.train, *how, SIDES[0])
        validation, damaged = open_source(split.validation, *how, SIDES[1])
    problems += damaged
    check_damage(problems, len(train) + len(validation), data_args.max_damaged)
    return TrainingData(
        train,
        validation,
        split.problems + problems,
        data_fingerprint(train.samples + validation.samples),
        split.record,
    )


def find_samples(data_args: DataArguments, before: Record, generated: Path | None = None) -> Split:
    """Read the annotations of all --input_dir and split them.

    Params:
        before: of the model that training starts from: what it has seen is not validated with.
        generated: a folder that is validated with as a whole.

    Raises:
        DataError: a folder without sound annotations, or without heatmaps, or too many damaged.
    """
    made, problems = read_folders([generated] if generated else [])
    if not data_args.input_dir:
        validation = at_most(data_args.max_eval_samples, made)
        return Split([], validation, problems, record_of([], made, []))
    for folder in map(Path, data_args.input_dir):
        refuse_labels(folder)
    samples, damaged = read_folders(data_args.input_dir)
    problems += damaged
    check_damage(problems, len(made) + len(samples), data_args.max_damaged)
    words = {sample.folder for sample in samples if sample.has_words}
    characters = {sample.folder for sample in samples if sample.has_characters}
    for folder in map(Path, data_args.input_dir):
        if folder not in words and not has_heatmaps(folder):
            raise DataError(
                f"{folder}: has neither words nor heatmaps; of images without text "
                "generate_images.py --backgrounds makes some with it"
            )
        if not has_heatmaps(folder) or folder in words - characters:
            raise DataError(f"{folder}: has words but no heatmaps; pseudo_label.py makes them")
    train, validation = split_samples(samples, data_args.test_size, unseen=data_args.unseen)
    if data_args.unseen:
        print(
            f"--unseen {' '.join(data_args.unseen)}: of {len(samples)} images {len(train)} can be "
            f"trained on and {len(validation)} validated with; "
            f"{len(samples) - len(train) - len(validation)} have something of both sides and fall "
            "away"
        )
    sides = {id(sample) for sample in (*train, *validation)}
    others = [sample for sample in samples if id(sample) not in sides]
    record = record_of(train, [*made, *validation], others)
    for known, how in (
        (record, "are copies of images that are trained on"),
        (before, "were trained on by the model that this starts from"),
    ):
        validation = leave_out_seen(known, validation, how)
    return Split(
        at_most(data_args.max_train_samples, train),
        at_most(data_args.max_eval_samples, [*made, *validation]),
        problems,
        record,
    )


def refuse_labels(folder: Path) -> None:
    """Refuse the labels of a data set or of a tool, which have no heatmaps yet.

    Params:
        folder: one of --input_dir; whether it is of triplets, or there at all, is seen later.

    Raises:
        DataError: it holds such labels, or results of detect.py.
    """
    try:
        name = find_format(folder)
    except DataError:
        return
    if name != "triplets":
        title = FORMATS[find_labels(folder)].title
        raise DataError(f"{folder}: {title}: words but no heatmaps; pseudo_label.py makes them")


def leave_out_seen(record: Record, validation: list[Sample], how: str) -> list[Sample]:
    """Leave out what a model was, or is to be, trained on, and say so.

    Params:
        record: of that model.
        validation: the images to validate with; all stay when none would be left.
        how: what is said of those left out.
    """
    unseen = find_unseen(record, validation)
    if len(unseen) < len(validation):
        print(
            f"{len(validation) - len(unseen)} of the {len(validation)} images held out {how}: "
            + ("not validated with" if unseen else "the validation's scores flatter")
        )
    return unseen or validation


def at_most(count: int | None, samples: list[Sample]) -> list[Sample]:
    """Take so many of the samples, evenly from all of them.

    Params:
        count: how many; None for all.
    """
    if count is None or count >= len(samples):
        return samples
    return [samples[i * len(samples) // count] for i in range(count)]


def check_damage(problems: list[str], sound: int, most: float) -> None:
    """Say how many images are left out.

    Params:
        problems: a line for each image that is left out.
        sound: the number of the others that were looked at.
        most: 0..1, the share that may be left out.

    Raises:
        DataError: it is more than that.
    """
    total = sound + len(problems)
    if problems:
        print(f"{len(problems)} of {total} images are damaged and left out")
    if len(problems) > most * total:
        raise DataError(
            f"{len(problems)} of {total} images are damaged, more than --max_damaged "
            f"{most:g} allows; the first: {problems[0]}"
        )


def make_training_set(
    data_args: DataArguments,
    source: Source,
    seed: int,
    draw: MakeScene | None,
    generator_args: GeneratorArguments,
) -> tuple[TrainDataset, MixSampler]:
    """Make the crops to train on, and the order in which they are drawn.

    Params:
        source: the images, those of each --input_dir together, in that order.
        seed: of the order and of the crops.
        draw: makes new scenes of the images' size; None for none.
        generator_args: how many crops of these.

    Returns:
        The augmented crops, and the sampler that draws them.

    Raises:
        DataError: no image of a folder is left; tables of hard words that cannot be.
    """
    preset = make_preset(
        data_args.augmentation, data_args.crop_size, data_args.image_size, data_args.mirror
    )
    counts = count_images(data_args.input_dir, source)
    hard = find_hard_words(data_args.hard_words, source)
    scenes = (0, 1)
    if draw is not None:
        scenes = generator_args.crops_per_epoch, generator_args.crops_per_scene
        source = SceneSource(source, draw, scenes[0])
    sampler = MixSampler(counts, data_args.mix, seed, *scenes, hard, data_args.hard_share)
    return TrainDataset(source, preset, data_args.gap_weight), sampler


def find_hard_words(tables: list[str], source: Source) -> list[tuple[int, int]]:
    """The words of the images that are trained on which a model did not find; says how many.

    Params:
        tables: see read_hard_words; none for none.
        source: the images.

    Raises:
        DataError: see read_hard_words, and when there are none in the tables.
    """
    if not tables:
        return []
    hard = read_hard_words(tables, source.samples)
    if not hard:
        raise DataError("--hard_words: by these tables all words that are trained on were found")
    images = len({image for image, _ in hard})
    print(f"--hard_words: {len(hard)} words of {images} images were not found")
    return hard


def count_images(folders: list[str], source: Source) -> list[int]:
    """Count the images of each folder.

    Params:
        folders: as the samples name them.
        source: images of these folders.

    Returns:
        A number for each folder.

    Raises:
        DataError: a folder has none.
    """
    found = [sample.folder for sample in source.samples]
    counts = [found.count(Path(folder)) for folder in folders]
    for folder, count in zip(folders, counts, strict=True):
        if not count:
            raise DataError(f"{folder}: none of its images is left to train on")
    return counts
