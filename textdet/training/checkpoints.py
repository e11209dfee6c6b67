"""Where a training run goes on: its last sound checkpoint, and whether it has come to its end."""

import math
import random
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open

from textdet.common.cli import name_left_out
from textdet.common.errors import DataError
from textdet.common.files import read_json
from textdet.network.model_files import STATE_FILE, checkpoints_in

if TYPE_CHECKING:  # importing it takes seconds
    from transformers import TrainingArguments

NUMBERS = {"global_step": int, "epoch": (int, float)}  # fields of the state
MAX_STEPS = 1e12  # steps; more are damage
JUDGE = "judge"  # in a state's stateful_callbacks: what "is" validated by, "since" which step


def find_checkpoint(args: "TrainingArguments") -> str | None:
    """Find the checkpoint that the flags name, or the last one in --output_dir.

    Returns:
        Its path; None when there is none.

    Raises:
        DataError: the one that was named is none, or damaged.
    """
    named = args.resume_from_checkpoint
    if named is None:
        return last_checkpoint(args.output_dir)
    if not (Path(named) / STATE_FILE).is_file():
        raise DataError(f"--resume_from_checkpoint {named}: no checkpoint ({STATE_FILE}) there")
    check_checkpoint(Path(named))
    return named


def last_checkpoint(folder: str | Path) -> str | None:
    """Find the newest sound checkpoint-N in a run's folder; damaged ones are named and skipped.

    Returns:
        Its path; None when there is none.
    """
    for path in checkpoints_in(Path(folder)):
        try:
            check_checkpoint(path)
        except DataError as error:
            name_left_out([str(error)])
            continue
        return str(path)
    return None


def check_checkpoint(folder: Path) -> None:
    """Check that a checkpoint was written to its end and has not been damaged since.

    Raises:
        DataError: it was not, or has been; the file is named.
    """
    read_state(folder)
    for path in sorted(folder.iterdir()):
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, "pt"):  # compares the length with what the header says
                    pass
            elif path.suffix in (".pt", ".pth"):
                with zipfile.ZipFile(path) as file:  # PyTorch's files are that, with checksums
                    if damaged := file.testzip():
                        raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
            if path.name.startswith("rng_state"):
                _check_random_state(path)
        except (SafetensorError, zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path}: damaged ({error})") from None


def _check_random_state(path: Path) -> None:
    """Check what the Trainer will set the random generators to. Raises DataError."""
    import torch
    from transformers.trainer_pt_utils import safe_globals

    try:
        with safe_globals():  # NumPy's types
            state = torch.load(path, weights_only=True)
        random.Random().setstate(state["python"])
        np.random.RandomState().set_state(state["numpy"])
        torch.Generator().set_state(state["cpu"])
    except Exception as error:  # whatever the three generators say of what is no state of theirs
        raise DataError(f"{path}: damaged ({error})") from None


def read_state(checkpoint: str | Path) -> dict:
    """Read how far a run has come.

    Params:
        checkpoint: its folder.

    Returns:
        The Trainer's state: global_step, epoch and log_history are what they should be.

    Raises:
        DataError: it is damaged.
    """
    from transformers import TrainerState

    path = Path(checkpoint) / STATE_FILE
    state = read_json(path)
    history = state.get("log_history")
    numbers = [state.get(name) for name in NUMBERS]
    is_sound = (
        all(isinstance(n, kind) for n, kind in zip(numbers, NUMBERS.values(), strict=True))
        and all(0 <= number < MAX_STEPS for number in numbers)
        and isinstance(history, list)
        and all(isinstance(entry, dict) for entry in history)
        and all(isinstance(v, (int, float)) for entry in history for v in entry.values())
    )
    try:
        kept = TrainerState(**state)  # refuses other fields
        is_sound &= isinstance(kept.train_batch_size, (int, type(None)))
        is_sound &= isinstance(kept.best_model_checkpoint, (str, type(None)))
        is_sound &= isinstance(kept.best_metric, (int, float, type(None)))
        judge = kept.stateful_callbacks.get(JUDGE, {"is": "", "since": 0})
        is_sound &= isinstance(judge["is"], str) and isinstance(judge["since"], int)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error})") from None
    if not is_sound:
        raise DataError(f"{path}: damaged (not what the Trainer writes)")
    return state


def is_finished(
    args: "TrainingArguments", checkpoint: str | Path | None, patience: int | None
) -> bool:
    """Whether a run has come to its end.

    Params:
        args: they set the number of steps or epochs.
        checkpoint: folder of its last checkpoint; None when there is none yet.
        patience: validations without a better F1 that stop it early; None: nothing does.

    Raises:
        DataError: the checkpoint is damaged.
    """
    if checkpoint is None:
        return False
    state = read_state(checkpoint)
    kept = state.get("stateful_callbacks") or {}
    if patience and validations_since_best(state["log_history"], kept) >= patience:
        return True
    if args.max_steps > 0:
        return state["global_step"] >= args.max_steps
    return state["epoch"] >= args.num_train_epochs


def validations_since_best(log_history: list[dict], kept: dict) -> int:
    """How many validations there were after the first one with the highest F1.

    Params:
        log_history: the Trainer's, of which the entries with an F1 are validations.
        kept: the state's stateful_callbacks; scores from before its JUDGE do not count.
    """
    since = kept.get(JUDGE, {}).get("since", 0)
    judged = [entry for entry in log_history if entry.get("step", MAX_STEPS) > since]
    scores = [entry["eval_f1"] for entry in judged if "eval_f1" in entry]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def steps_ahead(
    args: "TrainingArguments", done: dict, per_epoch: int, batches: int
) -> tuple[int, int, int]:
    """Where a run goes on, counted in what the flags ask for.

    The checkpoint may be of other batches, other processes or other data, so that its steps are
    not those of this run: --num_train_epochs counts its epochs, --max_steps its steps.

    Params:
        args: they set the number of steps or epochs, and the batches of a step.
        done: the checkpoint's state.
        per_epoch: this run's steps in an epoch.
        batches: this run's batches in an epoch, on each process.

    Returns:
        The epochs that are done; the steps of the next one that are; the steps still to go.
    """
    epochs = int(done["epoch"])
    # Rounded down, so that nothing is left out; the tolerance is for the rounding of floats.
    part = (done["epoch"] - epochs) * batches / args.gradient_accumulation_steps
    steps = int(part + 1e-6)
    if args.max_steps > 0:
        left = args.max_steps - done["global_step"]
    else:
        left = math.ceil(args.num_train_epochs * per_epoch) - epochs * per_epoch - steps
    return epochs, steps, max(0, left)
