r"""Fine-tune SegFormer to predict character and affinity heatmaps.

    python train.py --input_dir syntdata --output_dir checkpoits \
        --num_train_epochs 10 --caching True

Leaves a model folder that transformers loads, metrics, training.json, training_curves.png and
predictions.png in --output_dir. The same command goes on from the last checkpoint there. On several
processes: torchrun --nproc_per_node=2 train.py and the same flags.
"""

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from static import constants as C
from textdet.common.cli import HelpFormatter, fail, name_left_out, run_main
from textdet.common.errors import DataError
from textdet.common.files import earlier_record, make_folder
from textdet.common.pictures import save_picture
from textdet.common.workers import available_cores
from textdet.training.options import (
    METRICS,
    DataArguments,
    GeneratorArguments,
    ModelArguments,
    check,
)

if TYPE_CHECKING:  # importing them takes seconds, which --help does not have
    from generate_utils import Job
    from textdet.data.annotation import Sample
    from textdet.training.arguments import DetectorTrainingArguments
    from textdet.training.datasets import MixSampler, TrainDataset
    from train_utils import HeatmapTrainer

VALIDATION = "validation"  # folder in --output_dir with the images that --generate validates with
# Numbers that no seed of generate_images.py and no --seed can be, so that no image comes twice.
TRAINING_SEED, VALIDATION_SEED = 1 << 64, 2 << 64


def parse_arguments() -> tuple[
    ModelArguments, DataArguments, GeneratorArguments, "DetectorTrainingArguments"
]:
    """The four groups of arguments, with defaults for this task instead of the Trainer's."""
    from transformers import HfArgumentParser

    groups = [ModelArguments, DataArguments, GeneratorArguments]
    options = {"description": __doc__.split("\n\n")[0], "formatter_class": HelpFormatter}
    if {"-h", "--help"} & set(sys.argv):  # the Trainer's own flags take seconds to load
        parser = HfArgumentParser(groups, prog="train.py", **options)
        parser.epilog = "All flags of TrainingArguments as well; --help_all shows them."
        parser.parse_args(["--help"])
    from textdet.training.arguments import DetectorTrainingArguments

    parser = HfArgumentParser([*groups, DetectorTrainingArguments], **options)
    parser.add_argument("--help_all", action="help", help="show every flag")
    parser.error = fail
    try:
        *parsed, rest = parser.parse_args_into_dataclasses(return_remaining_strings=True)
    except (ValueError, TypeError, ImportError) as error:  # settings that TrainingArguments refuses
        fail(str(error))
    if rest:
        fail(f"unrecognized arguments: {' '.join(rest)}")
    check(*parsed)
    return tuple(parsed)


def main() -> None:
    """Train as the flags say, one run at a time in a folder."""
    model_args, data_args, generator_args, args = parse_arguments()
    from textdet.training.run_folder import check_own, hold

    if args.process_index:  # one of several processes speaks
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    output = Path(args.output_dir)
    check_own(output)
    make_folder(output)
    holds = not args.process_index and not data_args.show_samples
    with hold(output) if holds else nullcontext():
        train(model_args, data_args, generator_args, args)


def train(
    model_args: ModelArguments,
    data_args: DataArguments,
    generator_args: GeneratorArguments,
    args: "DetectorTrainingArguments",
) -> None:
    """Train, validate, and save the model with its records.

    Raises:
        DataError: flags or files that cannot be.
    """
    from generate_utils import draw_triplet
    from textdet.data.held_out import Record, read_record
    from textdet.training.checkpoints import find_checkpoint
    from textdet.training.data import make_training_set, open_data
    from textdet.training.hub import make_repository, push, write_card
    from textdet.training.run_folder import describe_changes, first_start
    from train_utils import begin_record, describe_run, make_trainer, model_before

    output = Path(args.output_dir)
    if not data_args.show_samples:
        make_repository(args)
    checkpoint = find_checkpoint(args)
    results = output / "eval_results.json"  # written last
    if results.exists() and not checkpoint and not data_args.show_samples:
        raise DataError(
            f"{output}: has a finished model and no checkpoint to go on from; a new --output_dir "
            f"with --model_name_or_path {output} begins with this model"
        )
    before = model_before(model_args, checkpoint)
    seen = read_record(before) if before else Record()
    scenes = open_generator(generator_args, data_args, args) if generator_args.generate else None
    print(describe_start(model_args, checkpoint))
    generated = None
    if scenes and not data_args.show_samples:
        generated = output / VALIDATION
        with args.in_turn("images to validate with"):
            make_validation(scenes, generated, data_args.max_eval_samples, bool(checkpoint))
    turn = args.in_turn("the cache")
    data = open_data(data_args, turn, seen, generated)
    if args.should_log:
        name_left_out(data.problems)
    draw = partial(draw_triplet, scenes) if scenes else None
    seed = args.seed if args.data_seed is None else args.data_seed
    train_set, sampler = make_training_set(data_args, data.train, seed, draw, generator_args)

    if data_args.show_samples:
        save_samples(output / "samples.png", train_set, sampler, data_args.show_samples)
        return

    drawn = describe_crops(generator_args, scenes) if scenes else None
    record = describe_run(model_args, data_args, args, data, seen, drawn)
    changes = describe_changes(output, record)
    if results.exists() and is_trained(args, checkpoint, data_args, changes):
        push(args)
        return
    if checkpoint:
        record["model"] |= first_start(Path(checkpoint))  # its flags count no more
        if changes := describe_changes(output, record):
            print(f"now with {changes}")
    at_start = partial(begin_record, args, record, results)
    trainer = make_trainer(
        model_args, data_args, args, train_set, sampler, data.validation, at_start, checkpoint
    )
    if not checkpoint:
        record["model"]["started_from"] = trainer.model.name_or_path  # maybe the stand-in
    read = [f"{len(data.train)} images"] if data_args.input_dir else []
    new = [f"{len(sampler.repeats)} new scenes an epoch"] if scenes else []
    print(f"training on {' and '.join(new + read)}, validating with {len(data.validation)}")
    metrics = run_trainer(trainer, checkpoint)
    write_card(args, record, metrics, trainer.state.global_step)
    trainer.save_metrics("eval", metrics)
    report(output, metrics, data.validation.samples)
    push(args)


# --- The run ---------------------------------------------------------------------------------


def save_samples(path: Path, train_set: "TrainDataset", sampler: "MixSampler", count: int) -> None:
    """Draw the first crops to train on into a picture, and say where it is."""
    from textdet.training.report import draw_samples

    save_picture(path, draw_samples(train_set, sampler, count))
    print(f"{path}: crops with words, maps and weights (black: none)")


def is_trained(
    args: "DetectorTrainingArguments", checkpoint: str, data_args: DataArguments, changes: str
) -> bool:
    """Whether a run with results has come to its end; says so.

    Params:
        checkpoint: the run's last one.
        changes: what sets this command apart from the one before, see describe_changes.

    Raises:
        DataError: it has, but by another command.
    """
    from textdet.network.model_files import STATE_FILE
    from textdet.training.checkpoints import is_finished

    output = Path(args.output_dir)
    # --save_total_limit 1 and --save_strategy best leave no checkpoint of the end.
    has_state = (output / STATE_FILE).is_file() and not args.resume_from_checkpoint
    end = output if has_state else checkpoint
    if not is_finished(args, end, data_args.early_stopping_patience):
        return False
    further = "--num_train_epochs or --max_steps goes further"
    if not is_finished(args, end, patience=None):
        further = "--early_stopping_patience goes further, or none"
    if changes:
        raise DataError(
            f"{output}: trained as far as asked, but with {changes}; a larger {further}, with what "
            f"is asked now; a new --output_dir with --model_name_or_path {output} begins with this "
            "model"
        )
    print(f"{output}: trained as far as asked; a larger {further}")
    return True


def run_trainer(trainer: "HeatmapTrainer", checkpoint: str | None) -> dict[str, float]:
    """Train to the end, save the model and its state, and validate it.

    Params:
        checkpoint: to go on from; None to begin.

    Returns:
        as HeatmapTrainer.evaluate.
    """
    from textdet.training.plain_errors import loading, within_memory

    with loading(), within_memory():
        result = trainer.train(resume_from_checkpoint=checkpoint)
        trainer.keep_better()
        trainer.save_model()
        trainer.save_state()
        trainer.save_metrics("train", result.metrics)
        return trainer.evaluate()


# --- The generator ---------------------------------------------------------------------------


def open_generator(
    generator_args: GeneratorArguments, data_args: DataArguments, args: "DetectorTrainingArguments"
) -> "Job":
    """Find and check what scenes are made from, and name the files that are left out.

    Returns:
        what makes the scenes of the training; its folder has none of them.

    Raises:
        DataError: a setting is refused, or no font, photograph or word is usable.
    """
    from generate_utils import Job
    from textdet.synth.preparation import choose_settings, find_materials

    given = generator_args
    file = Path(given.settings) if given.settings else None
    settings = choose_settings(given.preset, file, given.only_words, given.set)
    folders = (given.backgrounds, C.BACKGROUNDS), (given.fonts, C.FONTS), (given.words, C.WORDS)
    found, problems = find_materials(
        settings,
        *(Path(named or default) for named, default in folders),
        size=data_args.image_size,
        apart_from=Path(args.output_dir),
    )
    if args.should_log:
        name_left_out(problems)
    seed = TRAINING_SEED + args.seed
    return Job(Path(args.output_dir), settings, seed, data_args.image_size, *found)


def describe_crops(generator_args: GeneratorArguments, scenes: "Job") -> dict:
    """What training.json says of --generate."""
    numbers = ("crops_per_epoch", "crops_per_scene")
    return {name: getattr(generator_args, name) for name in numbers} | describe_scenes(scenes)


def describe_scenes(scenes: "Job") -> dict:
    """What scenes depend on beside seed and size; all of it JSON's types."""
    from textdet.synth.preparation import describe

    return describe(scenes.settings, scenes.backgrounds, scenes.fonts, scenes.words)


def make_validation(scenes: "Job", folder: Path, count: int, goes_on: bool) -> None:
    """Make the images to validate with, unless they are there.

    Params:
        scenes: of the training; these are others, and the same for each seed.
        folder: of triplets. Where a run goes on, or the settings are the same, it stays as it is.
        count: images.
        goes_on: whether a run goes on.

    Raises:
        DataError: the folder is another's, or cannot be written.
    """
    from generate_utils import CHUNK, fill_job
    from textdet.data.chunked_folder import DATASET_FILE, start_folder

    job = replace(scenes, folder=folder.absolute(), seed=VALIDATION_SEED)
    record = {"num_images": count, "seed": job.seed, "image_size": job.size, "chunk_size": CHUNK}
    record |= describe_scenes(job)
    there = earlier_record(folder / DATASET_FILE)
    if "counts" in there and (goes_on or there.items() >= record.items()):
        return
    print(f"{folder}: drawing {count} images to validate with")
    fill_job(job, count, start_folder(folder, record, overwrite=True), available_cores())


# --- What is said ----------------------------------------------------------------------------


def describe_start(model_args: ModelArguments, checkpoint: str | None) -> str:
    """Say what training starts from.

    Params:
        checkpoint: folder of the one that the run goes on from; None when it begins.
    """
    if checkpoint:
        return f"going on from {checkpoint}; a new --output_dir starts anew"
    if model_args.from_scratch:
        return "starting from random weights"
    return f"starting from {model_args.model_name_or_path}; --model_name_or_path names another"


def report(output: Path, metrics: dict[str, float], samples: "list[Sample]") -> None:
    """Say how good the model is and where to look.

    Params:
        output: the model's folder.
        metrics: of HeatmapTrainer.evaluate.
        samples: the images validated with.
    """
    print(f"{output}: model saved, validated with {len(samples)} images:")
    for name in METRICS:
        print(f"  {name}: {metrics[f'eval_{name}']:.3f}")
    if all(word.ignore for sample in samples for word in sample.words):
        print("  these images have no words that count: the scores say nothing")
    print(f"  look at {output / 'training_curves.png'} and {output / 'predictions.png'}")


if __name__ == "__main__":
    run_main(main, resumable=True)
