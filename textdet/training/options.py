"""What train.py trains, and on what: its flags besides those of transformers' TrainingArguments."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from static import constants as C
from textdet.common.errors import DataError
from textdet.decoding.settings import SETTINGS_FILE
from textdet.synth.settings import PRESETS

if TYPE_CHECKING:  # importing it takes seconds
    from transformers import TrainingArguments

AUGMENTATIONS = ("none", "light", "default", "photographs", "strong")  # of training/augmentation.py
METRICS = ("precision", "recall", "f1", "iou", "heatmap_error", "loss")  # of the validation
MAX_NUMBER = 2**32  # more than any flag can mean; seeds end there
# The lowest and the highest value of flags that any number will not do for.
RANGES = {
    **dict.fromkeys(
        ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")
        + ("eval_accumulation_steps", "dataloader_prefetch_factor", "early_stopping_patience")
        + ("max_train_samples", "max_eval_samples", "crops_per_epoch", "crops_per_scene"),
        (1, MAX_NUMBER),
    ),
    **dict.fromkeys(
        ("seed", "data_seed", "learning_rate", "weight_decay", "adam_epsilon", "max_grad_norm")
        + ("num_train_epochs", "logging_steps", "eval_steps", "save_steps", "save_total_limit")
        + ("dataloader_num_workers", "show_samples", "focal_weight", "focal_gamma"),
        (0, MAX_NUMBER),
    ),
    **dict.fromkeys(("max_damaged", "hard_share", "adam_beta1", "adam_beta2"), (0, 1)),
    "gap_weight": (1, 100),  # weights are bytes: from 511, those of all other pixels round to 0
}
UNSEEN = ("fonts", "background")  # fields of annotations that --unseen can name


def option(default: Any, text: str, **more: Any) -> Any:
    """Make a dataclass field that documents itself in --help.

    Params:
        default: the value; all instances share a list, so it must not be changed in place.
        text: the help.
        more: further metadata, as HfArgumentParser reads it.
    """
    if isinstance(default, list):
        return field(default_factory=lambda: default, metadata={"help": text, **more})
    return field(default=default, metadata={"help": text, **more})


@dataclass
class ModelArguments:
    """What is trained."""

    model_name_or_path: str = option(
        C.PRETRAINED,
        "Model folder or hub name to start from. Where the default cannot be had: static/model.",
    )
    from_scratch: bool = option(False, "Start from random weights instead.")
    key_pooling: list[int] = option(
        [],
        "Side of the squares of keys, a number a stage, to whose means the network attends: "
        "2 2 1 1 takes a third less time in large images. Default: as in that model.",
    )
    fixed_statistics: bool = option(
        False, "Keep the first model's batch norm mean and variance; for batches of a few crops."
    )
    recycle: bool = option(
        False,
        "Begin with new weights where that model has stopped learning: attention that always looks "
        "at the same few places, and units that never fire.",
    )
    tuned_thresholds: bool = option(
        False, "Validate with the thresholds of that model's detection.json, not the defaults."
    )


@dataclass
class DataArguments:
    """What it is trained on."""

    input_dir: list[str] = option(
        [], "Triplet folders, see generate_images.py. Default: syntdata, with --generate none."
    )
    mix: list[float] = option(
        [],
        "A number for each --input_dir: its share of the crops; with --generate one more, the "
        "first, for its scenes. Default: each image once.",
    )
    hard_words: list[str] = option(
        [],
        "Tables of evaluate.py of these folders, with --split all: more crops are cut around the "
        "words that were not found.",
    )
    hard_share: float = option(
        0.5, "Of the crops of such a folder, the share, 0 to 1, that is cut around these words."
    )
    caching: bool = option(False, "Decode all images once, into memory-mapped files on disk.")
    image_size: int = option(C.IMAGE_SIZE, "Side in px of the squares that images are fitted into.")
    crop_size: int | None = option(
        None, "Side in px of the random crops to train on. Default: half of --image_size."
    )
    augmentation: str = option("default", f"Preset of augmentation: {', '.join(AUGMENTATIONS)}.")
    mirror: bool = option(False, "Also train on mirrored text.")
    gap_weight: float = option(
        1.0,
        "How many times as much a pixel between two words of a line counts in the loss; more "
        "parts words that are joined.",
    )
    focal_weight: float = option(
        C.FOCAL_WEIGHT,
        "Weight of the loss's focal part against its Dice part, which hardly tells the network of "
        "words that it is sure are none.",
    )
    focal_gamma: float = option(
        C.FOCAL_GAMMA, "How much the focal part looks at the worst pixels; 0: cross entropy."
    )
    test_size: float = option(
        0.1, "Share of the images, 0 to 1, that is held out: not trained on, validated with."
    )
    unseen: list[str] = option(
        [], "Of fonts, background: those of the images held out are not trained on."
    )
    max_train_samples: int | None = option(None, "Train on at most so many images.")
    max_eval_samples: int | None = option(200, "Validate with at most so many images.")
    max_damaged: float = option(0.1, "Stop when more than this share of the images is damaged.")
    early_stopping_patience: int | None = option(
        None, "Stop when the F1 has not risen for so many validations. Default: never."
    )
    show_samples: int = option(
        0, "Draw so many training crops into samples.png in --output_dir, and stop."
    )


@dataclass
class GeneratorArguments:
    """What is drawn while it is trained; the flags of generate_images.py."""

    generate: bool = option(
        False,
        "Draw new scenes while training instead of reading images; --input_dir adds folders. Only "
        "images to validate with are written, to validation/ in --output_dir.",
    )
    crops_per_epoch: int = option(5000, "Crops of scenes that count as an epoch, with --generate.")
    crops_per_scene: int = option(
        1, "Crops of each scene, one after the other: where drawing does not keep up with a GPU."
    )
    preset: str | None = option(
        None,
        "Settings for a kind of images.",
        choices=list(PRESETS),
    )
    settings: str | None = option(None, "TOML file with settings, named as in constants.py.")
    set: list[str] = option([], "NAME=VALUE, single settings; they override the file's.")
    fonts: str | None = option(None, "Folder of .ttf, .otf and .ttc files. Default: static/fonts.")
    words: str | None = option(None, "Your own texts: a file, one a line. Default: static/words.")
    only_words: bool = option(False, "Draw no text but that of --words, and no pages.")
    backgrounds: str | None = option(
        None, "Folder of photographs without text. Default: static/backgrounds."
    )


def check(
    model_args: ModelArguments,
    data_args: DataArguments,
    generator_args: GeneratorArguments,
    args: "TrainingArguments",
) -> None:
    """Check the flags, and fill in what is not given: the folder, the crop's size and the learning
    rate.

    Params:
        data_args: its input_dir and crop_size are filled in.
        args: those of arguments.py; their learning_rate is.

    Raises:
        DataError: flags that contradict each other or are out of range.
    """
    for group in (model_args, data_args, generator_args, args):
        _check_numbers(group)
    _check_generator(generator_args)
    if not data_args.input_dir and not generator_args.generate:
        data_args.input_dir = ["syntdata"]
    _check_sides(data_args)
    _check_data(data_args, generator_args.generate)
    if model_args.from_scratch and args.has_default_rate:
        args.learning_rate = C.SCRATCH_RATE
    if args.metric_for_best_model.removeprefix("eval_") not in METRICS:
        raise DataError(
            f"--metric_for_best_model: there is no {args.metric_for_best_model}, "
            f"only {', '.join(METRICS)}"
        )
    if data_args.early_stopping_patience and args.eval_strategy == "no":
        raise DataError(
            "--early_stopping_patience needs validation: --eval_strategy epoch or steps"
        )
    if model_args.fixed_statistics and model_args.from_scratch:
        raise DataError("--fixed_statistics: random weights of --from_scratch have none yet")
    if model_args.recycle and model_args.from_scratch:
        raise DataError("--recycle: random weights of --from_scratch are all new")
    if model_args.tuned_thresholds:
        path = Path(model_args.model_name_or_path) / SETTINGS_FILE
        if not path.is_file():
            raise DataError(f"--tuned_thresholds: there is no {path}; tune.py writes one")


def _check_generator(generator_args: GeneratorArguments) -> None:
    """That the generator's flags go with --generate."""
    default = GeneratorArguments()
    for name, value in vars(generator_args).items():
        if not generator_args.generate and value != getattr(default, name):
            raise DataError(f"--{name} is for --generate, which draws the images while training")


def _check_numbers(group: object) -> None:
    """All numbers of a group of flags: that they are some, fit into memory and lie in RANGES."""
    for name, value in vars(group).items():
        low, high = RANGES.get(name, (-MAX_NUMBER, MAX_NUMBER))
        limits = f"be at least {low}" if high == MAX_NUMBER else f"lie between {low} and {high}"
        numbers = value if isinstance(value, list) else [value]
        for number in (n for n in numbers if isinstance(n, (int, float))):
            if not abs(number) < MAX_NUMBER:
                raise DataError(f"--{name}: {number} is no number that can be meant")
            if not low <= number <= high:
                raise DataError(f"--{name} must {limits}, not {number:g}")


def _check_sides(data_args: DataArguments) -> None:
    """The sides of images and crops; fills in the crop's."""
    size = data_args.image_size
    if not 64 <= size <= 4096 or size % 32:
        raise DataError(f"--image_size must be a multiple of 32 from 64 to 4096, not {size}")
    if data_args.crop_size is None:
        data_args.crop_size = max(64, size // 64 * 32)
    if not 64 <= data_args.crop_size <= size or data_args.crop_size % 32:
        raise DataError(
            f"--crop_size must be a multiple of 32 from 64 to --image_size ({size}), "
            f"not {data_args.crop_size}"
        )


def _check_data(data_args: DataArguments, generates: bool) -> None:
    """The folders, their mix, the preset of augmentation and what is to be unseen."""
    folders, mix = data_args.input_dir, data_args.mix
    sources = len(folders) + generates
    if data_args.augmentation not in AUGMENTATIONS:
        raise DataError(
            f"--augmentation: there is no preset {data_args.augmentation!r}, "
            f"only {', '.join(AUGMENTATIONS)}"
        )
    if len({Path(folder).resolve() for folder in folders}) < len(folders):
        raise DataError("--input_dir: a folder is named twice; --mix makes it count more")
    if mix and (len(mix) != sources or min(mix) <= 0):
        before = "--generate and " if generates else ""
        raise DataError(
            f"--mix: needs a number above 0 for {before}each of the {len(folders)} --input_dir, "
            f"not {' '.join(f'{share:g}' for share in mix)}"
        )
    default = DataArguments()
    for name in ("test_size", "unseen", "max_train_samples"):
        if not folders and getattr(data_args, name) != getattr(default, name):
            raise DataError(f"--{name} is for --input_dir; the scenes of --generate are all new")
    for table in map(Path, data_args.hard_words):
        if not table.is_file():
            raise DataError(f"--hard_words {table}: no such file")
    if data_args.hard_share != default.hard_share and not data_args.hard_words:
        raise DataError("--hard_share: needs --hard_words")
    if unknown := set(data_args.unseen) - set(UNSEEN):
        raise DataError(f"--unseen: fonts and background can be named, not {unknown.pop()}")
