"""Chunks as a worker makes them: its memory and imports stay small, the annotations come last."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

WORKER = """
import json, os, sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
from textdet.data.chunked_folder import cut_chunks
from textdet.data.triplets import make_folders
from generate_utils import Job, run_chunk
from static import constants as C
from textdet.synth.backgrounds import list_backgrounds
from textdet.synth.fonts import load_fonts
from textdet.synth.settings import GeneratorSettings

folder, size = Path(sys.argv[1]), 96
make_folders(folder)
fonts = tuple(font.path for font in load_fonts(C.FONTS)[0])
photos = tuple(list_backgrounds(C.BACKGROUNDS)[:4])
job = Job(folder, GeneratorSettings(), 0, size, photos, fonts, C.WORDS)
(chunk,), rename, resident = cut_chunks(folder, range(150), 150), os.replace, []


def noted(beside, path):
    rename(beside, path)
    appeared.append(Path(path))


os.replace = noted
for _ in range(3):  # the same images, so that all caches are full from the second time on
    appeared = []
    run_chunk(job, chunk)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
place = appeared.index(chunk.path), len(appeared)
print(json.dumps({"resident": resident, "torch": "torch" in sys.modules, "place": place}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_worker_does_not_grow_and_leaves_torch_alone(tmp_path):
    args = [sys.executable, "-c", WORKER, str(tmp_path / "data")]
    result = subprocess.run(args, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert not found["torch"]
    assert found["place"] == [450, 451]  # after all images and heatmaps: it marks the chunk done
    _, second, third = found["resident"]
    assert third < second + 3, found  # MB; the images and their maps alone are 7 MB
