"""What the command lines share: types of flags, and errors as one line with exit code 2."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from textdet.common.errors import DataError
from textdet.common.workers import end_quietly

if TYPE_CHECKING:  # importing it takes time, which --help does not need
    from tqdm import tqdm


# What the dynamic linker says when it finds no room for a library.
OUT_OF_MEMORY = ("annot allocate memory", "failed to map segment")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a flag's default where it has one that its help does not name."""

    def _get_help_string(self, action):
        has_none = action.default is None or action.default is False or action.default == []
        is_named = re.search(r"\bdefault( here)?:", action.help or "", re.IGNORECASE)
        return action.help if has_none or is_named else super()._get_help_string(action)


class ArgumentParser(argparse.ArgumentParser):
    """argparse's, with defaults in --help and one line instead of the usage on an error.

    Params:
        options: argparse's own, all but formatter_class.
    """

    def __init__(self, **options: Any):
        super().__init__(formatter_class=HelpFormatter, **options)

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """argparse's, but what has no flag may stand before, between and after the flags.

        Params:
            args: the command line without the script's name; sys.argv's when None.
            namespace: filled in when given.

        Raises:
            SystemExit: 2, for a command line that does not fit.
        """
        args = sys.argv[1:] if args is None else list(args)
        if "--" in args:  # names that look like flags follow, which intermixed parsing refuses
            return super().parse_args(args, namespace)
        return self.parse_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2. Called by argparse."""
        fail(message)


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """argparse type: a whole number within limits.

    Params:
        low, high: the smallest and the largest allowed; no upper limit when None.

    Returns:
        a function from a flag's text to the number; it raises ArgumentTypeError.
    """

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < low or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"between {low} and {high}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, not {value}")
        return value

    return convert


def number(low: float, high: float) -> Callable[[str], float]:
    """argparse type: a number within limits; not a number (nan) is refused.

    Params:
        low, high: the smallest and the largest allowed.

    Returns:
        a function from a flag's text to the number; it raises ArgumentTypeError.
    """

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must lie between {low} and {high}, not {text}")
        return value

    return convert


def existing_folder(text: str) -> Path:
    """argparse type: a folder that is there.

    Raises:
        ArgumentTypeError: it is not.
    """
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text}: no such folder")
    return Path(text)


def add_cluster_flag(parser: argparse.ArgumentParser, work: str) -> None:
    """Add --cluster to a parser.

    Params:
        work: what the cluster's workers do, as in "label the images".
    """
    text = f"{work} on this Dask cluster; its workers need the same folders under the same names"
    parser.add_argument("--cluster", type=_address, metavar="tcp://HOST:PORT", help=text)


def _address(text: str) -> str:
    """A flag's value that must not be empty, as a shell variable that is not set would be."""
    if not text.strip():
        raise argparse.ArgumentTypeError("no address given")
    return text


def progress_bar(iterable: Iterable | None = None, **options: Any) -> "tqdm":
    """tqdm's bar in a terminal; elsewhere a plain line every ten seconds and one at the end.

    Params:
        iterable: what is gone through; None where `update` counts.
        options: tqdm's own.
    """
    from tqdm import tqdm

    if sys.stderr.isatty():
        return tqdm(iterable, **options)

    class Lines(tqdm):
        def display(self, msg=None, pos=None):
            print(self, file=sys.stderr, flush=True)

    return Lines(iterable, **{"mininterval": 10, "miniters": 1, "delay": 1, **options})


def name_left_out(problems: list[str]) -> None:
    """Name on standard error the damaged items that a script goes on without.

    Params:
        problems: a line for each, without "left out".
    """
    for problem in problems:
        print(f"left out: {one_line(problem)}", file=sys.stderr)


def one_line(text: object) -> str:
    """A text for a terminal: names of files may hold line ends and escape sequences.

    Params:
        text: runs of white space in it become single spaces, what cannot be printed an escape, a
            password in a URL asterisks.
    """
    line = re.sub(r"(://[^\s:/]*:)\S*@", r"\1***@", " ".join(str(text).split()))
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in line
    )


def run_main(main: Callable[[], None], resumable: bool = False) -> None:
    """Run a script's main: errors that a user can fix are one line.

    Params:
        main: reads the command line itself. A DataError or OSError from it ends the process with
            exit code 2, Ctrl-C with 130, SIGTERM with 143. Worker processes are not waited for.
        resumable: whether the same command continues where the last one stopped; said to whoever
            interrupts it.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if sys.stderr is None:  # closed; progress bars ask it, and the next file would get its number
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout:  # None when it is closed
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files that are not UTF-8
    try:
        main()
        if sys.stdout:
            sys.stdout.flush()
    except (DataError, OSError) as error:  # the latter: no space, no permission, a closed pipe
        _drop_unwritten()
        fail(str(error))
    except MemoryError:
        fail("the memory is too small, or ulimit -v is")
    except ImportError as error:
        if not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
        fail(f"the memory is too small, or ulimit -v is ({error})")
    except KeyboardInterrupt as ending:
        hint = "; the same command continues" if resumable else ""
        print(f"\ninterrupted{hint}", file=sys.stderr)
        end_quietly()
        os._exit(143 if isinstance(ending, _Terminated) else 130)


class _Terminated(KeyboardInterrupt):
    """SIGTERM; it ends a script as Ctrl-C does."""


def _terminate(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one is enough
    raise _Terminated


def _drop_unwritten() -> None:
    """Give up what standard output does not take, of which the interpreter would complain again."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())


def fail(message: str) -> NoReturn:
    """Print one line on standard error, after the script's name, and exit with 2.

    Params:
        message: see one_line.
    """
    print(f"{Path(sys.argv[0]).name}: error: {one_line(message)}", file=sys.stderr)
    sys.exit(2)
