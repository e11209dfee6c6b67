"""benchmarks/compare.py on a small repository of its own."""

import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

COUNTING = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
assert out.is_dir() and not any(out.iterdir())
(out / "made").touch()
print("steps of it: {steps} in all")
print("  in a table      : {steps}.5 s")
print(json.dumps(dict(found={found}, name="words")))
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """At the tag "before" 4 are counted and 1 found; in the tree, uncommitted, 2 and 3."""

    def git(*words):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)

    # Not the user's settings: they may have commits signed, or checked by hooks.
    settings = "[user]\n\tname = a\n\temail = a@b.c\n"
    (tmp_path / "gitconfig").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks" / "compare.py", tmp_path / "benchmarks")
    counting = tmp_path / "counting.py"
    counting.write_text(COUNTING.replace("{steps}", "4").replace("{found}", "1"), encoding="utf-8")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "before")
    git("tag", "before")
    counting.write_text(COUNTING.replace("{steps}", "2").replace("{found}", "3"), encoding="utf-8")
    return tmp_path


def compare(repository, *words):
    command = [sys.executable, "benchmarks/compare.py", *words]
    return subprocess.run(command, cwd=repository, capture_output=True, encoding="utf-8")


def test_both_trees_run_and_their_figures_stand_side_by_side(repository):
    words = ["--commit", "before", "--rounds", "2", "--", "python", "counting.py", "{out}"]
    done = compare(repository, *words)
    assert done.returncode == 0, done.stderr
    lines = {line[:26].strip(): line[26:].split() for line in done.stdout.splitlines()}
    assert lines["steps of it"] == ["4", "2", "0.500"]
    assert lines["in a table"] == ["4.5", "2.5", "0.556"]
    assert lines["found"] == ["1", "3", "3.000"]
    assert "name" not in lines
    before, now, ratio = map(float, lines["CPU seconds of the process"])
    assert before > 0 and now > 0 and ratio == pytest.approx(now / before, rel=0.01)
    left = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True)
    assert len(left.stdout.splitlines()) == 1  # the checkout is gone


@pytest.mark.parametrize(
    "words, said",
    [
        (["--commit", "nowhere", "--", "python", "counting.py", "{out}"], "nowhere"),
        (["--commit", "before", "--", "python", "counting.py"], "IndexError"),
        (["--commit", "before", "--", "no-such-command"], "no-such-command"),
        (["--commit", "before", "--", "python", "-c", "print(); exit(3)"], "status 3"),
        (["--commit", "before", "--rounds", "0", "--", "python"], "--rounds"),
    ],
)
def test_what_cannot_be_compared_is_one_line(repository, words, said):
    done = compare(repository, *words)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    left = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True)
    assert len(left.stdout.splitlines()) == 1
