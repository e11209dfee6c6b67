"""PipelineFinalProject.ipynb: it runs from top to bottom, and what is committed of it is clean."""

import base64
import os
import re

import cv2
import nbformat
import numpy as np
import pytest
from conftest import ROOT
from nbclient import NotebookClient

from textdet.synth.effects import CALM, EFFECTS

NOTEBOOK = ROOT / "PipelineFinalProject.ipynb"
TINY = {"IMAGES": 8, "SIDE": 128, "EPOCHS": 1, "TRIALS": 2, "UNSEEN": 2}
MOST_BYTES = 4_000_000
NOISE = re.compile(r"/work\b|/tmp\b|/home/|/root\b|/Users/|Warning|Traceback|File not found")


def outputs_of(notebook):
    """The outputs of each cell with code."""
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def pictures_of(notebook):
    """The decoded pictures among the outputs."""
    found = []
    for outputs in outputs_of(notebook):
        for data in (output.get("data", {}) for output in outputs):
            for kind in {"image/png", "image/jpeg"} & data.keys():
                pixels = np.frombuffer(base64.b64decode(data[kind]), np.uint8)
                found.append(cv2.imdecode(pixels, cv2.IMREAD_COLOR))
    return found


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a run with tiny sizes, and the folder that it filled."""
    folder = tmp_path_factory.mktemp("notebook") / "work"
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sizes = {f"NOTEBOOK_{name}": str(value) for name, value in TINY.items()}
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}})
    client.execute(env={**os.environ, **sizes, "NOTEBOOK_FOLDER": str(folder)})
    return notebook, folder


def test_runs_from_top_to_bottom(executed):
    notebook, folder = executed
    assert not [o for outputs in outputs_of(notebook) for o in outputs if o.output_type == "error"]
    assert len(pictures_of(notebook)) >= 12
    for made in (
        "syntdata/preview.jpg",
        "statistics.png",
        "checkpoits/model.safetensors",
        "checkpoits/training_curves.png",
        "checkpoits/detection.json",
        "checkpoits/tune/history.png",
        "trained.csv",
        "found/checkpoits/00000000.json",
        "bundled/scenetext01_heatmaps.jpg",
        "unseen/dataset.json",
        "printed/dataset.json",
        "labelled/dataset.json",
        "tuned.json",
    ):
        assert (folder / made).is_file(), made


def test_committed_outputs_are_whole_and_clean():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert NOTEBOOK.stat().st_size < MOST_BYTES
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))  # run once, from top to bottom
    assert notebook.cells[0].attachments  # the opening picture travels with the file
    assert len(pictures_of(notebook)) >= 12
    assert all(picture is not None and picture.std() > 1 for picture in pictures_of(notebook))
    for outputs in outputs_of(notebook):
        for output in outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
            texts = [output.get("text", "")]
            texts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
            assert not NOISE.findall("".join(texts)), texts


def test_settings_of_effects_exist():
    for effects in EFFECTS.values():
        for changes in effects.values():
            changed = CALM.changed(**changes)
            assert all(getattr(changed, name) == value for name, value in changes.items())
