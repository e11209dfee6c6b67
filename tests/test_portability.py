"""What Windows and macOS would refuse, read from the sources: encodings, modules, calls, names."""

import ast
import re
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest
from conftest import ROOT

SOURCES = sorted(
    path
    for pattern in ("*.py", "static/*.py", "textdet/**/*.py", "benchmarks/*.py")
    for path in ROOT.glob(pattern)
)
POSIX_MODULES = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "termios"}
POSIX_CALLS = {
    *("os.fork", "os.getuid", "os.killpg", "os.mkfifo", "os.sched_getaffinity", "os.setsid"),
    *("os.sysconf", "os.uname", "signal.SIGHUP", "signal.SIGKILL", "signal.pause"),
}
OTHERWISE = {  # what does something else there, and what to use in its place
    "os.rename": "os.replace, which replaces a file on Windows too",
    "cv2.imread": "read_image: OpenCV opens no names beyond the code page on Windows",
    "cv2.imwrite": "save_picture: OpenCV opens no names beyond the code page on Windows",
}
REFUSED_NAME = re.compile(r'[\\:*?"<>|]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)


def problems_in(source: str) -> list[str]:
    """A line for each thing in a module that not every system has, or does in the same way."""
    problems = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            problems += [f"imports {name}" for name in sorted(names & POSIX_MODULES)]
        elif isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES:
            problems.append(f"imports {node.module}")
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name in POSIX_CALLS:
                problems.append(f"{name} is not on every system")
            elif name in OTHERWISE:
                problems.append(f"{name}: use {OTHERWISE[name]}")
        elif isinstance(node, ast.Call) and opens_text(node):
            problems.append(f"no encoding: {ast.unparse(node)}")
        elif isinstance(node, ast.Constant) and node.value in ("fork", "forkserver"):
            problems.append("a way to start processes that Windows lacks")
    return problems


def opens_text(call: ast.Call) -> bool:
    """Whether a call opens, reads or writes a text without naming its encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given:
        return False
    if name in ("read_text", "write_text"):
        return True
    if name != "open" or ast.unparse(call.func) == "Image.open":
        return False
    # The mode follows the path: of open(path, mode) the second, of path.open(mode) the first.
    place = 0 if isinstance(call.func, ast.Attribute) else 1
    mode = given.get("mode", call.args[place] if len(call.args) > place else None)
    return mode is None or "b" not in ast.unparse(mode).removeprefix("f")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sources_run_on_every_system(path):
    assert problems_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import fcntl", "imports fcntl"),
        ("def f():\n    from resource import getrusage", "imports resource"),
        ("os.rename(a, b)", "os.replace"),
        ("os.kill(pid, signal.SIGKILL)", "signal.SIGKILL"),
        ("get_context('fork')", "start processes"),
        ("path.read_text()", "no encoding"),
        ("path.open()", "no encoding"),
        ("open(path, 'a')", "no encoding"),
    ],
)
def test_what_is_found(source, said):
    (problem,) = problems_in(source)
    assert said in problem


@pytest.mark.parametrize(
    "source",
    ["open(path, 'rb')", "path.open('wb')", "open(p, f'{m}b')", "p.read_text(encoding='utf-8')"],
)
def test_what_is_not(source):
    assert problems_in(source) == []


def test_names_of_files_are_possible_everywhere():
    """Also that no two of them are one where names do not tell capitals apart."""
    folders = ("static", "textdet", "tests", "benchmarks", "docs")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = [PurePosixPath(path.relative_to(ROOT)).as_posix() for path in files]
    refused = [name for name in names if any(map(REFUSED_NAME.search, Path(name).parts))]
    assert files and refused == []
    assert [n for n, count in Counter(map(str.lower, names)).items() if count > 1] == []
