"""Errors of the libraries that a user can fix, as one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from textdet.common.errors import DataError
from textdet.network.runtimes import is_out_of_memory


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


@contextmanager
def within_memory() -> Iterator[None]:
    """Report that PyTorch finds no memory, on a GPU or in the machine, as DataError.

    Raises:
        DataError: that happened, and what takes less.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise DataError(
            f"the memory is too small ({str(error).strip().splitlines()[0]}); a smaller "
            "--per_device_train_batch_size or --crop_size takes less, in validation a smaller "
            "--per_device_eval_batch_size; the same command goes on from the last checkpoint"
        ) from error


@contextmanager
def loading() -> Iterator[None]:
    """Report what ends a data loader's process as DataError.

    Raises:
        DataError: the process was killed, or it raised a DataError itself.
    """
    try:
        yield
    except DataError as error:
        if "Original Traceback" in str(error):  # PyTorch hands it on as text
            raise DataError(str(error).strip().splitlines()[-1].partition(": ")[2]) from error
        raise
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            "a process that loads images was killed, perhaps for want of memory; the same command "
            "goes on from the last checkpoint, with a smaller --dataloader_num_workers it takes "
            "less"
        ) from error
