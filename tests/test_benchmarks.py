"""The benchmarks as commands: what they take and what they refuse. Nobody judges their figures."""

import pytest
from conftest import ROOT, assert_refused, run, run_well

BENCHMARKS = sorted(ROOT.glob("benchmarks/bench_*.py"))
READING = ("benchmarks/bench_reading.py", "--images")


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_errors_of_each_are_one_line(path):
    """Read, since most of them import PyTorch before anything else."""
    text = path.read_text(encoding="utf-8")
    assert "run_main(main)" in text and " ArgumentParser(" in text and ".parse_args()" in text


@pytest.mark.parametrize(
    "script, flags, said",
    [
        ("bench_caching.py", ("--input_dir", "nowhere"), "nowhere: no such folder"),
        ("bench_caching.py", ("--image_size", 1), "--image_size"),
        ("bench_cluster.py", ("--images", 10), "at least 11"),  # 10 are subtracted
        ("bench_streaming.py", ("--crop", 1), "--crop"),
    ],
)
def test_nonsense_is_one_line(script, flags, said):
    assert_refused(run(f"benchmarks/{script}", *flags), said)


def test_a_folder_with_fewer_annotations_is_refused(tmp_path):
    """As after a run that was stopped while it wrote them."""
    folder = ("--folder", tmp_path / "data")
    assert "nothing to time" in run_well(*READING, 3, *folder).stdout
    assert_refused(run(*READING, 3000, *folder), "does not hold --images 3000")
