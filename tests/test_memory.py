"""Freed memory is kept for what comes next, instead of being asked for page by page again."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

FAULTS = """
import resource, sys
import numpy as np
from textdet.common.memory import keep_memory

size, kept = int(sys.argv[1]), sys.argv[2]
if kept != "none":
    keep_memory(all_of_it=kept == "all")
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(size, np.uint8).sum(dtype=np.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
@pytest.mark.parametrize(
    ("megabytes", "kept", "is_kept"),
    [(200, "none", False), (200, "some", False), (200, "all", True), (20, "some", True)],
)
def test_freed_memory_is_kept(megabytes, kept, is_kept):
    args = [sys.executable, "-c", FAULTS, str(megabytes << 20), kept]
    # NumPy asks for huge pages, of which there may be more the second time.
    plain = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    result = subprocess.run(args, cwd=ROOT, env=plain, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    first, *others = map(int, result.stdout.split())
    assert (max(others) < first / 20) == is_kept, result.stdout
