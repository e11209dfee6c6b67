"""Where a training run goes on: its last checkpoint, and whether it has come to its end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from textdet.common.errors import DataError

if TYPE_CHECKING:  # importing it takes seconds
    from transformers import TrainingArguments

STATE_FILE = "trainer_state.json"  # which the Trainer writes last


def last_checkpoint(folder: str | Path) -> str | None:
    """Find the newest checkpoint-N in a run's folder that was written to its end.

    Returns:
        Its path; None when there is none.
    """
    numbered = [
        (int(path.name.split("-")[1]), path)
        for path in Path(folder).glob("checkpoint-*")
        if path.name.split("-")[1].isdecimal()
    ]
    for _, path in sorted(numbered, reverse=True):
        try:
            json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return str(path)
    return None


def is_finished(
    args: "TrainingArguments", checkpoint: str | Path | None, patience: int | None
) -> bool:
    """Whether a run has come to its end.

    Params:
        args: they set the number of steps or epochs.
        checkpoint: folder of its last checkpoint; None when there is none yet.
        patience: validations without a better F1 that stop it early; None: nothing does.
    """
    if checkpoint is None:
        return False
    state = json.loads((Path(checkpoint) / STATE_FILE).read_text(encoding="utf-8"))
    if patience and validations_since_best(state["log_history"]) >= patience:
        return True
    if args.max_steps > 0:
        return state["global_step"] >= args.max_steps
    return state["epoch"] >= args.num_train_epochs


def validations_since_best(log_history: list[dict], metric: str = "eval_f1") -> int:
    """How many validations there were after the first one with the highest value.

    Params:
        log_history: the Trainer's, of which the entries with the metric are validations.
        metric: its name there, the higher the better.
    """
    scores = [entry[metric] for entry in log_history if metric in entry]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


@contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """Report a full disk, for which PyTorch and safetensors have errors of their own, as DataError.

    Params:
        folder: where the block within writes, for the message.

    Raises:
        DataError: a file could not be written.
    """
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        is_pytorchs = "inline_container" in str(error)  # the writer of its files
        if isinstance(error, RuntimeError) and not is_pytorchs:
            raise
        raise DataError(f"{folder}: cannot be written ({str(error).splitlines()[0]})") from error
