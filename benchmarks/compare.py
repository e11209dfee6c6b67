"""A command at an earlier commit and in the present tree, in turn: medians and their ratios.

    python benchmarks/compare.py --commit main~3 -- python benchmarks/bench_generator.py
    python benchmarks/compare.py --commit v1 --rounds 3 -- \
        python generate_images.py --num_images 100 --num_workers 1 --save_folder {out}

The commit is checked out beside the present tree, into a temporary folder that git forgets again.
The command runs in both, first in one, then in the other, so that both meet the same load of the
machine. `python` is the one that runs this script, {out} a new empty folder in each run; paths to
data that git does not hold are given in full. Beside the time of the whole process, what the
command prints of itself is compared: lines `name: number`, and the numbers of a JSON object in one
line.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
FIGURE = re.compile(rf"\s*([^:]*[^:\s])\s*:\s+({NUMBER})(?:\s.*)?")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--commit", required=True, help="what to compare with, as git names it")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, default 5")
    parser.add_argument("command", nargs="+", help="after --, as it is run in the tree's root")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds: one at least")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # git forgets the folder all the same
    try:
        with checked_out(args.commit) as before:
            print_table(args.commit, *measure(args.command, (before, ROOT), args.rounds))
    except (subprocess.CalledProcessError, OSError) as error:
        said = (getattr(error, "stderr", None) or "").strip() or str(error)
        parser.exit(2, f"compare.py: error: {said.splitlines()[-1]}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit. Raises CalledProcessError when git knows no such one."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        run([*git, "add", "--detach", str(tree), commit], ROOT)
        try:
            yield tree
        finally:
            run([*git, "remove", "--force", str(tree)], ROOT)


def run(command: list[str], tree: Path) -> str:
    """What a command prints. Raises CalledProcessError when it fails, OSError when it is none."""
    done = subprocess.run(command, cwd=tree, capture_output=True, encoding="utf-8", check=True)
    return done.stdout


def measure(
    command: list[str], trees: tuple[Path, Path], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Run a command in two trees in turn.

    Returns:
        for each tree its figures by name, one a round.
    """
    figures = defaultdict(list), defaultdict(list)
    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            for name, value in timed(command, trees[which]).items():
                figures[which][name].append(value)
    return figures


def timed(command: list[str], tree: Path) -> dict[str, float]:
    """Run a command once; its seconds, and the figures that it prints."""
    with tempfile.TemporaryDirectory() as out:
        words = [word.replace("{out}", out) for word in command]
        words[0] = sys.executable if words[0] == "python" else words[0]
        cpu, started = children_seconds(), time.perf_counter()
        printed = run(words, tree)
        elapsed = time.perf_counter() - started
    return {
        "CPU seconds of the process": children_seconds() - cpu,
        "seconds by the clock": elapsed,
        **figures_in(printed),
    }


def children_seconds() -> float:
    """CPU time of the processes that have ended, and of theirs; always 0 on Windows."""
    times = os.times()
    return times.children_user + times.children_system


def figures_in(printed: str) -> dict[str, float]:
    """The numbers that a text names, in lines `name: number` or in a JSON object in one line."""
    figures = {}
    for line in printed.splitlines():
        if match := FIGURE.fullmatch(line):
            figures[match[1].strip()] = float(match[2])
        elif line.startswith("{"):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            figures |= {k: float(v) for k, v in record.items() if type(v) in (int, float)}
    return figures


def print_table(commit: str, before: dict[str, list[float]], now: dict[str, list[float]]) -> None:
    names = [name for name in now if name in before]
    wide = max(map(len, names))
    print(f"{'medians':{wide}}  {commit:>12}  {'now':>12}  now / {commit}")
    for name in names:
        old, new = statistics.median(before[name]), statistics.median(now[name])
        ratio = f"{new / old:.3f}" if old else "-"
        print(f"{name:{wide}}  {old:12.4g}  {new:12.4g}  {ratio}")


if __name__ == "__main__":
    main()
