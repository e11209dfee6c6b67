"""What several test files share: scripts as subprocesses, a model, a small data set."""

import importlib
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from textdet.common.cli import run_main

ROOT = Path(__file__).resolve().parent.parent
SIZE = 128  # px, side of the generated images


# A shell's background jobs ignore SIGINT, and so would the scripts that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Nor do the tests obey what their user has set: a git hook's GIT_DIR would have them commit to the
# repository that it is of; HF_HUB_OFFLINE and proxies would keep them from servers of their own;
# COLUMNS breaks the lines of --help.
OF_USERS = ("GIT_", "HF_", "TRANSFORMERS_", "COLUMNS")
for name in list(os.environ):
    if name.startswith(OF_USERS) or name.lower().endswith("_proxy"):
        del os.environ[name]


def start(script, *args):
    """Start a script of the repository with the interpreter that runs the tests."""
    return subprocess.Popen(
        [sys.executable, script, *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script, *args) -> subprocess.CompletedProcess:
    """Run a script to its end, however it ends."""
    with start(script, *args) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_well(script, *args) -> subprocess.CompletedProcess:
    """Run a script that must succeed."""
    result = run(script, *args)
    assert result.returncode == 0, result.stderr
    return result


def assert_refused(result, *said):
    """The script ended with code 2 and one line that says each of `said`."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert "error: " in last
    for text in said:
        assert str(text) in last


def contents(folder):
    """Every file in a folder and below, its bytes by its name there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def run_here(monkeypatch, capsys):
    """As `run`, in this process, which has the libraries already: a second or more is saved."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))

    def call_main(script, *args) -> subprocess.CompletedProcess:
        main, code = importlib.import_module(script.removesuffix(".py")).main, 0
        monkeypatch.setattr(sys, "argv", [script, *map(str, args)])
        capsys.readouterr()
        try:
            run_main(main)
        except SystemExit as ending:
            code = ending.code or 0
        return subprocess.CompletedProcess(sys.argv, code, *capsys.readouterr())

    return call_main


@pytest.fixture
def run_well_here(run_here):
    """As `run_well`, in this process."""

    def call_main(script, *args) -> subprocess.CompletedProcess:
        result = run_here(script, *args)
        assert result.returncode == 0, result.stderr
        return result

    return call_main


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """Folder of a model with random weights, as train.py leaves it. Not to be written to."""
    from textdet.network.segformer import image_processor, new_model

    folder = tmp_path_factory.mktemp("models") / "random"
    new_model().save_pretrained(folder)
    image_processor(SIZE).save_pretrained(folder)
    return folder


@pytest.fixture
def model_dir(random_model, tmp_path):
    """A copy of that model for one test."""
    return Path(shutil.copytree(random_model, tmp_path / "model"))


@pytest.fixture(scope="session")
def triplets(tmp_path_factory):
    """Folder with eight generated images of SIZE px. Not to be written to."""
    folder = tmp_path_factory.mktemp("data") / "triplets"
    run_well(
        *("generate_images.py", "--num_images", 8, "--image_size", SIZE, "--num_workers", 1),
        *("--save_folder", folder),
    )
    return folder


@pytest.fixture
def appeared(monkeypatch):
    """The files that appear during a test, in their order."""
    paths, rename = [], os.replace

    def noted(beside, path):
        rename(beside, path)
        paths.append(Path(path))

    monkeypatch.setattr(os, "replace", noted)
    return paths
