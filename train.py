r"""Fine-tune SegFormer to predict character and affinity heatmaps.

    python train.py --input_dir syntdata --output_dir checkpoits \
        --num_train_epochs 10 --caching True

Leaves a model folder that transformers loads, metrics, training_curves.png and predictions.png in
--output_dir. The same command goes on from the last checkpoint there.
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cli_utils import fail, name_left_out, run_main
from dataset_utils import DataError
from static import constants as C


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


@dataclass
class DataArguments:
    """What it is trained on."""

    input_dir: list[str] = option(["syntdata"], "Triplet folders, see generate_images.py.")
    caching: bool = option(False, "Decode all images once, into memory-mapped files on disk.")
    image_size: int = option(C.IMAGE_SIZE, "Side in px of the squares that images are fitted into.")
    crop_size: int | None = option(
        None, "Side in px of the random crops to train on. Default: half of --image_size."
    )
    augmentation: str = option("default", "Preset of presets.py: default or none.")
    test_size: float = option(0.1, "Share of the images that is only tested on, 0 to 1.")
    max_train_samples: int | None = option(None, "Train on at most so many images.")
    max_eval_samples: int | None = option(200, "Test on at most so many images.")


def parse_arguments():
    """The three groups of arguments, with defaults for this task instead of the Trainer's."""
    from transformers import HfArgumentParser

    groups = [ModelArguments, DataArguments]
    if {"-h", "--help"} & set(sys.argv):  # the Trainer's own flags take seconds to load
        parser = HfArgumentParser(groups, description=__doc__.split("\n\n")[0], prog="train.py")
        parser.epilog = "All flags of TrainingArguments as well; --help_all shows them."
        parser.parse_args(["--help"])
    from train_arguments import DetectorTrainingArguments

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
    check(data_args)
    train_samples, test_samples = find_samples(data_args)

    import cv2
    from transformers import set_seed
    from transformers.trainer_utils import get_last_checkpoint

    from detection_utils import DetectionSettings
    from model_utils import image_processor, load_model
    from plot_utils import plot_training_curves
    from presets import make_preset
    from train_utils import BoxMetrics, HeatmapLoss, HeatmapTrainer, TestDataset, TrainDataset

    cv2.setNumThreads(1)  # the loader's processes and the network share the cores
    train_source, test_source = open_sources(
        data_args, train_samples, test_samples, workers=os.cpu_count()
    )
    preset = make_preset(data_args.augmentation, data_args.crop_size, data_args.image_size)
    set_seed(args.seed)
    model = load_model(model_args.model_name_or_path, model_args.from_scratch)
    test_set = TestDataset(test_source)
    trainer = HeatmapTrainer(
        model=model,
        args=args,
        train_dataset=TrainDataset(train_source, preset),
        eval_dataset=test_set,
        compute_metrics=BoxMetrics(test_set.truth(), DetectionSettings()),
        processing_class=image_processor(data_args.image_size),
        loss=HeatmapLoss(),
    )
    checkpoint = args.resume_from_checkpoint or get_last_checkpoint(args.output_dir)
    if checkpoint:
        print(f"going on from {checkpoint}")
    print(f"training on {len(train_source)} images, testing on {len(test_source)}")
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model()
    trainer.save_state()
    trainer.save_metrics("train", result.metrics)
    metrics = trainer.evaluate()
    trainer.save_metrics("eval", metrics)

    output = Path(args.output_dir)
    plot_training_curves(trainer.state.log_history, output / "training_curves.png")
    save_predictions(trainer, test_set, output / "predictions.png")
    print(f"{output}: model saved, tested on {len(test_source)} images with default thresholds:")
    for name in ("precision", "recall", "f1", "iou", "loss"):
        print(f"  {name}: {metrics[f'eval_{name}']:.3f}")
    print(f"  look at {output / 'training_curves.png'} and {output / 'predictions.png'}")


def check(data_args: DataArguments) -> None:
    """Fill in the crop's size; raise DataError for numbers that cannot be."""
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
    for name in ("max_train_samples", "max_eval_samples"):
        value = getattr(data_args, name)
        if value is not None and value < 1:
            raise DataError(f"--{name} must be at least 1, not {value}")
    if data_args.augmentation not in ("default", "none"):
        raise DataError(f"--augmentation: there is no preset {data_args.augmentation!r}")


def find_samples(data_args: DataArguments):
    """The train and the test split over all --input_dir; damaged annotations are named."""
    from dataset_utils import read_folders, split_samples

    samples, problems = read_folders(data_args.input_dir)
    name_left_out(problems)
    train, test = split_samples(samples, data_args.test_size)
    return train[: data_args.max_train_samples], test[: data_args.max_eval_samples]


def open_sources(data_args: DataArguments, train_samples, test_samples, workers: int):
    """Where the pixels of train and test come from; damaged triplets are named and left out."""
    from cache_utils import Source, open_source

    both, problems = open_source(
        train_samples + test_samples, data_args.image_size, data_args.caching, workers
    )
    name_left_out(problems)
    test_ids = {id(sample) for sample in test_samples}
    sources = []
    for is_test in (False, True):
        indices = [i for i, s in enumerate(both.samples) if (id(s) in test_ids) == is_test]
        rows = None if both.rows is None else [both.rows[i] for i in indices]
        sources.append(Source([both.samples[i] for i in indices], both.size, rows))
    if not all(len(source) for source in sources):
        raise DataError("no sound image is left on one side of the split")
    return sources


def save_predictions(trainer, test_set, path: Path, count: int = 6) -> None:
    """Image, true maps, predicted maps and boxes of the first test images as one picture."""
    import torch

    from detection_utils import DetectionSettings, decode_maps
    from model_utils import to_maps
    from plot_utils import contact_sheet, draw_maps, draw_polygons, save_picture

    tiles = []
    model = trainer.model.eval()
    for index in range(min(count, len(test_set))):
        image, true = test_set.source.read(index)
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(model.device)
        with torch.no_grad():
            logits = model(pixel_values=trainer.normalise(pixels)).logits
        maps = to_maps(logits, image.shape[:2])[0].cpu().numpy()
        boxes = decode_maps(maps, DetectionSettings()).boxes
        tiles += [
            draw_maps(image, true.transpose(2, 0, 1)),
            draw_maps(image, maps),
            draw_polygons(image, boxes, thickness=2),
        ]
    save_picture(path, contact_sheet(tiles, columns=3, side=400))


if __name__ == "__main__":
    run_main(main)
