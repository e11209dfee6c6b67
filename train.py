r"""Fine-tune SegFormer to predict character and affinity heatmaps.

    python train.py --input_dir syntdata --output_dir checkpoits \
        --num_train_epochs 10 --caching True

Leaves a model folder that transformers loads, metrics, training.json, training_curves.png and
predictions.png in --output_dir. The same command goes on from the last checkpoint there. On several
processes: torchrun --nproc_per_node=2 train.py and the same flags.
"""

import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from static import constants as C
from textdet.common.cli import fail, name_left_out, run_main
from textdet.common.errors import DataError

AUGMENTATIONS = (
    "none",
    "light",
    "default",
    "strong",
)  # of training/augmentation.py
METRICS = ("precision", "recall", "f1", "iou", "heatmap_error", "loss")  # of the tests


def option(default, text: str, **more):
    """A dataclass field that documents itself in --help."""
    if isinstance(default, list):
        return field(default_factory=lambda: default, metadata={"help": text, **more})
    return field(default=default, metadata={"help": text, **more})


@dataclass
class ModelArguments:
    """What is trained."""

    model_name_or_path: str = option(
        C.PRETRAINED, "Model folder or hub name to start from. Without a network: static/model."
    )
    from_scratch: bool = option(False, "Start from random weights instead.")
    fixed_statistics: bool = option(
        False, "Keep the first model's batch norm mean and variance; for batches of a few crops."
    )
    tuned_thresholds: bool = option(
        False, "Test with the thresholds of that model's detection.json instead of the defaults."
    )


@dataclass
class DataArguments:
    """What it is trained on."""

    input_dir: list[str] = option(["syntdata"], "Triplet folders, see generate_images.py.")
    mix: list[float] = option(
        [], "A number for each --input_dir: its share of the crops. Default: each image once."
    )
    caching: bool = option(False, "Decode all images once, into memory-mapped files on disk.")
    image_size: int = option(C.IMAGE_SIZE, "Side in px of the squares that images are fitted into.")
    crop_size: int | None = option(
        None, "Side in px of the random crops to train on. Default: half of --image_size."
    )
    augmentation: str = option("default", "Preset of augmentation: none, light, default or strong.")
    mirror: bool = option(False, "Also train on mirrored text.")
    test_size: float = option(0.1, "Share of the images that is only tested on, 0 to 1.")
    unseen: list[str] = option(
        [], "Of fonts, background: those of the images tested on are not trained on."
    )
    max_train_samples: int | None = option(None, "Train on at most so many images.")
    max_eval_samples: int | None = option(200, "Test on at most so many images.")
    max_damaged: float = option(0.1, "Stop when more than this share of the images is damaged.")
    early_stopping_patience: int | None = option(
        None, "Stop when the F1 has not risen for so many tests. Default: never."
    )
    show_samples: int = option(
        0, "Draw so many training crops into samples.png in --output_dir, and stop."
    )


def parse_arguments():
    """The three groups of arguments, with defaults for this task instead of the Trainer's."""
    from transformers import HfArgumentParser

    groups = [ModelArguments, DataArguments]
    if {"-h", "--help"} & set(sys.argv):  # the Trainer's own flags take seconds to load
        parser = HfArgumentParser(groups, description=__doc__.split("\n\n")[0], prog="train.py")
        parser.epilog = "All flags of TrainingArguments as well; --help_all shows them."
        parser.parse_args(["--help"])
    from textdet.training.arguments import DetectorTrainingArguments

    parser = HfArgumentParser(
        [*groups, DetectorTrainingArguments], description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--help_all", action="help", help="show every flag")
    parser.error = fail
    try:
        *parsed, rest = parser.parse_args_into_dataclasses(return_remaining_strings=True)
    except (ValueError, ImportError) as error:  # settings that TrainingArguments refuses
        fail(str(error))
    if rest:
        fail(f"unrecognized arguments: {' '.join(rest)}")
    return parsed[:3]


def main() -> None:
    model_args, data_args, args = parse_arguments()
    check(model_args, data_args, args)
    if args.process_index:  # one of several processes speaks
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    train, test, problems, held_back = find_samples(data_args)

    from textdet.training.callbacks import AtStart
    from train_utils import is_finished, last_checkpoint

    output = Path(args.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    with args.main_process_first(desc="the cache"):
        train_source, test_source, problems = open_sources(data_args, train, test, problems)
    if args.should_log:
        name_left_out(problems)
    train_set, sampler = make_training_data(data_args, train_source, args.seed)
    if data_args.show_samples:
        show_samples(output / "samples.png", train_set, sampler, data_args.show_samples)
        return
    checkpoint = args.resume_from_checkpoint or last_checkpoint(output)
    results = output / "eval_results.json"  # written last
    if results.exists() and is_finished(args, checkpoint, data_args.early_stopping_patience):
        print(f"{output}: trained as far as asked; --num_train_epochs or --max_steps goes further")
        return
    callbacks = []
    if args.should_save:
        held_back = not_yet_seen(held_back, output if checkpoint else None, model_args)
        record = describe(model_args, data_args, train_source, test_source, held_back)
        callbacks = [AtStart(lambda: save_settings(output, results, record, args))]
    trainer = make_trainer(model_args, data_args, args, train_set, sampler, test_source, callbacks)

    if checkpoint:
        print(f"going on from {checkpoint}; a new --output_dir starts anew")
    print(f"training on {len(train_source)} images, testing on {len(test_source)}")
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    trainer.save_state()
    trainer.save_metrics("train", result.metrics)
    metrics = trainer.evaluate()
    trainer.save_metrics("eval", metrics)
    report(output, metrics, len(test_source))


def make_training_data(data_args: DataArguments, source, seed: int):
    """The augmented crops of the train split, and the order in which they are drawn."""
    from textdet.training.augmentation import make_preset
    from textdet.training.datasets import MixSampler, TrainDataset

    preset = make_preset(
        data_args.augmentation, data_args.crop_size, data_args.image_size, data_args.mirror
    )
    sampler = MixSampler(count_images(data_args, source), data_args.mix, seed)
    return TrainDataset(source, preset), sampler


def make_trainer(
    model_args: ModelArguments,
    data_args: DataArguments,
    args,
    train_set,
    sampler,
    test_source,
    callbacks: list,
):
    """The network to start from, with all that its training needs. The data set's words are gone
    afterwards."""
    import cv2
    from transformers import set_seed

    from textdet.common.memory import keep_memory
    from textdet.data.cache import forget_words
    from textdet.decoding.settings import DetectionSettings, load_settings
    from textdet.network.segformer import fix_statistics, image_processor, load_model
    from textdet.training.callbacks import SavePictures, SetEpoch, StopEarly
    from textdet.training.datasets import EvalDataset
    from textdet.training.loss import HeatmapLoss
    from textdet.training.report import draw_predictions
    from train_utils import HeatmapTrainer

    cv2.setNumThreads(1)  # the loader's processes and the network share the cores
    keep_memory(all_of_it=True)
    forget_words(train_set.source)
    set_seed(args.seed)
    name, test_set = model_args.model_name_or_path, EvalDataset(test_source)
    model = load_model(name, model_args.from_scratch)
    if model_args.fixed_statistics:
        fix_statistics(model)
    settings = load_settings(name) if model_args.tuned_thresholds else DetectionSettings()
    try:
        trainer = HeatmapTrainer(
            model=model,
            args=args,
            train_dataset=train_set,
            eval_dataset=test_set,
            processing_class=image_processor(data_args.image_size),
            callbacks=[SetEpoch(sampler), *callbacks],
            loss=HeatmapLoss(),
            sampler=sampler,
            truth=test_set.truth(),
            settings=settings,
        )
    except (ValueError, ImportError, RuntimeError) as error:  # --report_to
        raise DataError(str(error)) from error
    trainer.add_callback(SavePictures(trainer, lambda: draw_predictions(trainer, test_source)))
    if data_args.early_stopping_patience:
        trainer.add_callback(StopEarly(data_args.early_stopping_patience))
    return trainer


# --- What it tells ---------------------------------------------------------------------------


def show_samples(path: Path, train_set, sampler, count: int) -> None:
    """Draw what the network is going to see."""
    from textdet.common.pictures import save_picture
    from textdet.training.report import draw_samples

    save_picture(path, draw_samples(train_set, sampler, count))
    print(f"{path}: crops with words, maps and weights (black: none)")


def describe(
    model_args: ModelArguments,
    data_args: DataArguments,
    train_source,
    test_source,
    held_back: dict[str, list[str]],
) -> dict:
    """What training.json says of the model and the data, while the sources have their words."""
    from textdet.training.report import data_fingerprint

    return {
        "data_fingerprint": data_fingerprint(train_source.samples + test_source.samples),
        "images": {"train": len(train_source), "test": len(test_source)},
        "model": asdict(model_args),
        "data": asdict(data_args),
        "held_back": held_back,
    }


def save_settings(output: Path, results: Path, record: dict, args) -> None:
    """Write what is needed to train this model again, and to judge it on images it has not seen;
    delete the results of a shorter run."""
    from textdet.data.held_out import TRAINING_FILE
    from textdet.training.report import save_record

    results.unlink(missing_ok=True)
    save_record(output / TRAINING_FILE, **record, training=args.to_dict())


def report(output: Path, metrics: dict[str, float], count: int) -> None:
    """Say how good the model is and where to look."""
    print(f"{output}: model saved, tested on {count} images:")
    for name in METRICS:
        print(f"  {name}: {metrics[f'eval_{name}']:.3f}")
    print(f"  look at {output / 'training_curves.png'} and {output / 'predictions.png'}")


# --- Before the training ---------------------------------------------------------------------


def check(model_args: ModelArguments, data_args: DataArguments, args) -> None:
    """Fill in the crop's size and the learning rate; raise DataError for flags that cannot be."""
    size, folders = data_args.image_size, data_args.input_dir
    if not 64 <= size <= 4096 or size % 32:
        raise DataError(f"--image_size must be a multiple of 32 from 64 to 4096, not {size}")
    if model_args.from_scratch and args.has_default_rate:
        args.learning_rate = C.SCRATCH_RATE
    if data_args.crop_size is None:
        data_args.crop_size = max(64, size // 64 * 32)
    if not 64 <= data_args.crop_size <= size or data_args.crop_size % 32:
        raise DataError(
            f"--crop_size must be a multiple of 32 from 64 to --image_size ({size}), "
            f"not {data_args.crop_size}"
        )
    for group, name, least in (
        (data_args, "max_train_samples", 1),
        (data_args, "max_eval_samples", 1),
        (data_args, "early_stopping_patience", 1),
        (data_args, "show_samples", 0),
        (args, "seed", 0),
        (args, "learning_rate", 0),
        (args, "weight_decay", 0),
        (args, "per_device_train_batch_size", 1),
        (args, "per_device_eval_batch_size", 1),
        (args, "gradient_accumulation_steps", 1),
        (args, "dataloader_num_workers", 0),
    ):
        value = getattr(group, name)
        if value is not None and value < least:
            raise DataError(f"--{name} must be at least {least}, not {value}")
    if args.metric_for_best_model.removeprefix("eval_") not in METRICS:
        raise DataError(
            f"--metric_for_best_model: there is no {args.metric_for_best_model}, "
            f"only {', '.join(METRICS)}"
        )
    if not 0 <= data_args.max_damaged <= 1:
        raise DataError(f"--max_damaged must lie between 0 and 1, not {data_args.max_damaged}")
    if data_args.augmentation not in AUGMENTATIONS:
        raise DataError(
            f"--augmentation: there is no preset {data_args.augmentation!r}, "
            f"only {', '.join(AUGMENTATIONS)}"
        )
    if len({Path(folder).resolve() for folder in folders}) < len(folders):
        raise DataError("--input_dir: a folder is named twice; --mix makes it count more")
    if data_args.mix and (len(data_args.mix) != len(folders) or min(data_args.mix) <= 0):
        raise DataError(
            f"--mix: needs a number above 0 for each of the {len(folders)} --input_dir, "
            f"not {' '.join(f'{share:g}' for share in data_args.mix)}"
        )
    if unknown := set(data_args.unseen) - {"fonts", "background"}:
        raise DataError(f"--unseen: fonts and background can be named, not {unknown.pop()}")
    if data_args.early_stopping_patience and args.eval_strategy == "no":
        raise DataError("--early_stopping_patience needs tests: --eval_strategy epoch or steps")
    if model_args.fixed_statistics and model_args.from_scratch:
        raise DataError("--fixed_statistics: random weights of --from_scratch have none yet")
    if model_args.tuned_thresholds:
        path = Path(model_args.model_name_or_path) / "detection.json"
        if not path.is_file():
            raise DataError(f"--tuned_thresholds: there is no {path}; tune.py writes one")


def find_samples(data_args: DataArguments) -> tuple[list, list, list[str], dict[str, list[str]]]:
    """The train and the test split over all --input_dir, a line for each damaged annotation, and
    the names of all images held back."""
    from textdet.data.held_out import list_held_out
    from textdet.data.splits import split_samples
    from textdet.data.triplets import has_heatmaps, read_folders

    samples, problems = read_folders(data_args.input_dir)
    words = {sample.folder for sample in samples if sample.words}
    characters = {s.folder for s in samples if any(len(word.quads) for word in s.words)}
    for folder in map(Path, data_args.input_dir):
        if not has_heatmaps(folder) or folder in words - characters:
            raise DataError(f"{folder}: has words but no heatmaps; pseudo_label.py makes them")
    train, test = split_samples(samples, data_args.test_size, unseen=data_args.unseen)
    if data_args.unseen:
        print(
            f"--unseen {' '.join(data_args.unseen)}: of {len(samples)} images {len(train)} can be "
            f"trained on and {len(test)} tested on; {len(samples) - len(train) - len(test)} have "
            "something of both sides and fall away"
        )
    return (
        at_most(data_args.max_train_samples, train),
        at_most(data_args.max_eval_samples, test),
        problems,
        list_held_out(train, test),
    )


def not_yet_seen(
    held_back: dict[str, list[str]], going_on: Path | None, model_args: ModelArguments
) -> dict[str, list[str]]:
    """Of the images held back those that the model has not seen before either: in this folder's run
    that goes on, or in that of the folder that the model comes from."""
    from textdet.data.held_out import still_held_out

    if going_on:
        return still_held_out(going_on, held_back)
    if model_args.from_scratch:
        return held_back
    return still_held_out(Path(model_args.model_name_or_path), held_back)


def at_most(count: int | None, samples: list) -> list:
    """So many of the samples, evenly from all of them."""
    if count is None or count >= len(samples):
        return samples
    return [samples[i * len(samples) // count] for i in range(count)]


def open_sources(data_args: DataArguments, train: list, test: list, problems: list[str]):
    """Where the pixels of train and of test come from, without what is damaged, and a line for each
    of these. Raises DataError when it is too much."""
    from textdet.data.cache import Source, open_source

    both, damaged = open_source(
        train + test, data_args.image_size, data_args.caching, workers=os.cpu_count()
    )
    problems = problems + damaged
    total = len(both) + len(problems)
    if problems:
        print(f"{len(problems)} of {total} images are damaged and left out")
    if len(problems) > data_args.max_damaged * total:
        raise DataError(
            f"{len(problems)} of {total} images are damaged, more than --max_damaged "
            f"{data_args.max_damaged:g} allows; the first: {problems[0]}"
        )
    test_ids = {id(sample) for sample in test}
    sources = []
    for is_test in (False, True):
        indices = [i for i, s in enumerate(both.samples) if (id(s) in test_ids) == is_test]
        rows = None if both.rows is None else [both.rows[i] for i in indices]
        sources.append(Source([both.samples[i] for i in indices], both.size, rows))
    if not all(len(source) for source in sources):
        raise DataError("no sound image is left on one side of the split")
    return *sources, problems


def count_images(data_args: DataArguments, source) -> list[int]:
    """How many images of each --input_dir there are to train on."""
    folders = [sample.folder for sample in source.samples]
    counts = [folders.count(Path(folder)) for folder in data_args.input_dir]
    for folder, count in zip(data_args.input_dir, counts, strict=True):
        if not count:
            raise DataError(f"{folder}: none of its images is left to train on")
    return counts


if __name__ == "__main__":
    run_main(main)
