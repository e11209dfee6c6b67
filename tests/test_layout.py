"""Who may import whom: the storeys of docs/contributing.md, read from the imports themselves."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from conftest import ROOT

STOREYS = [  # from the ground up; the rooms of one storey do not import each other
    {"static"},
    {"textdet.common"},
    {"textdet.data", "textdet.decoding"},
    {"textdet.network", "textdet.synth"},
    {"textdet.training", "textdet.tuning"},
    {"generate_utils", "train_utils", "craft_utils"},
    {"textdet.page"},
    {
        *("generate_images", "train", "tune", "detect", "evaluate", "app"),
        *("convert_dataset", "pseudo_label", "cut_backgrounds", "export_dataset"),
    },
]
# What takes long to import, and so waits until it is needed.
HEAVY = {"torch", "monai", "albumentations", "optuna", "matplotlib", "scipy", "onnxruntime"}
HEAVY |= {"gradio", "pyarrow", "distributed"}
HELP = """
import contextlib, importlib, io, sys
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        importlib.import_module(name).main()
    print(name, "usage: " in said.getvalue(), *sys.modules)
"""
# The installed package has these, and no folder static.
INSTALLED = {"textdet.common", "textdet.data", "textdet.decoding", "textdet.network"}
# What `import textdet` offers: it may look into the packages, and none of them imports it.
FRONT_DOOR = "textdet"


def read_modules(root: Path) -> dict[str, str]:
    """The source of every module that belongs to a storey, by its dotted name."""
    paths = [*root.glob("*.py"), *root.glob("static/*.py"), *root.glob("textdet/**/*.py")]
    return {name_of(path.relative_to(root)): path.read_text(encoding="utf-8") for path in paths}


def name_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports_of(source: str, modules: set[str]) -> set[str]:
    """The project's modules that a source imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import: {ast.unparse(node)}"
            names = {f"{node.module}.{alias.name}" for alias in node.names} & modules
            found |= names or {node.module}
    return found & modules


def room_of(module: str) -> str:
    """The package or root module that a module belongs to."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "textdet" else parts[0]


def storey_of(room: str) -> int:
    return next(number for number, rooms in enumerate(STOREYS) if room in rooms)


def problems_in(modules: dict[str, str]) -> list[str]:
    """A line for each import that breaks the rule, and for a circle."""
    graph = {name: imports_of(source, set(modules)) for name, source in modules.items()}
    problems = []
    for name, imported in graph.items():
        for other in sorted(imported):
            here, there = room_of(name), room_of(other)
            if here == there:
                continue
            if there == "static" and here in INSTALLED:
                problems.append(f"{name} imports {other}, which the installed package lacks")
            elif there == FRONT_DOOR:
                problems.append(f"{name} imports {other}, the front door")
            elif here != FRONT_DOOR and storey_of(here) <= storey_of(there):
                problems.append(f"{name} imports {other}, which is not below it")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        problems.append(f"a circle: {' > '.join(error.args[1])}")
    return problems


def test_imports_go_down():
    assert problems_in(read_modules(ROOT)) == []


def test_every_module_has_its_storey():
    rooms = {room_of(name) for name in read_modules(ROOT)} - {FRONT_DOOR}
    assert rooms == set().union(*STOREYS)


def test_help_waits_for_no_heavy_library():
    scripts = sorted(STOREYS[-1])
    command = [sys.executable, "-c", HELP, *scripts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for script, line in zip(scripts, done.stdout.splitlines(), strict=True):
        name, is_help, *imported = line.split()
        assert name == script and is_help == "True" and not HEAVY & set(imported)


@pytest.mark.parametrize(
    ("name", "source", "problem"),
    [
        ("textdet.common.x", "import textdet.data.y", "not below it"),
        ("textdet.data.x", "from textdet.decoding import y", "not below it"),
        ("textdet.synth.x", "def f():\n    from textdet.network.y import g", "not below it"),
        ("textdet.training.x", "import train_utils", "not below it"),
        ("textdet.tuning.x", "from tune import main", "not below it"),
        ("evaluate", "from detect import main", "not below it"),
        ("textdet.tuning.x", "from textdet.page import y", "not below it"),
        ("textdet.data.x", "from textdet import TextDetector", "front door"),
        ("textdet.data.x", "from static import constants", "package lacks"),
        ("textdet.data.y", "from textdet.data import z", "a circle"),
    ],
)
def test_a_broken_rule_is_found(name, source, problem):
    others = ("textdet", "textdet.data.y", "textdet.decoding.y", "textdet.network.y")
    modules = dict.fromkeys(
        (*others, "textdet.page.y", "train_utils", "tune", "detect", "static.constants"), ""
    )
    modules["textdet.data.z"] = "import textdet.data.y"
    found = problems_in({**modules, name: source})
    assert len(found) == 1 and problem in found[0]


def test_a_sound_import_is_none():
    modules = {"train": "import train_utils", "train_utils": "import textdet.data.y"}
    assert problems_in({**modules, "textdet.data.y": "", "textdet": "import textdet.data.y"}) == []
