"""The package as an installed wheel, used in another folder; what pyproject.toml says of it."""

import ast
import csv
import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

import textdet

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {  # of distributions that are imported by another name
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Folder of the wheel, built and installed without its dependencies, which are here already."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, ROOT]
    options = ["--no-compile", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


OUTSIDE = """
import importlib
import importlib.util
import json
import pkgutil
import sys

checkout, photo, trained_folder = sys.argv[1:]
# An editable installation in this environment would bring the checkout back.
sys.path = [path for path in sys.path if path != checkout]

import textdet
from textdet import TextDetector

at_once = sorted({"torch", "transformers", "scipy", "matplotlib"} & set(sys.modules))
bundled, trained = TextDetector(long_side=640), TextDetector(trained_folder, long_side=320)
words, result = bundled(photo).words, trained(photo)
modules = [module.name for module in pkgutil.walk_packages(textdet.__path__, "textdet.")]
for name in modules:
    importlib.import_module(name)
print(json.dumps({
    "file": textdet.__file__,
    "static": importlib.util.find_spec("static") is not None,
    "at_once": at_once,
    "bundled": str(bundled.model_dir),
    "box_margin": bundled.settings.box_margin,
    "words": [[word.quad.shape, word.score] for word in words],
    "trained": str(trained.model_dir),
    "size": [result.width, result.height],
    "modules": modules,
}))
"""


@pytest.fixture(scope="module")
def outside(site, random_model, tmp_path_factory) -> dict:
    """What OUTSIDE says in another folder, with the wheel and without the checkout."""
    photo = ROOT / "static/photos/scenetext01.jpg"
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE, str(ROOT), photo, random_model],
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("outside"),
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_runs_from_the_wheel_alone(outside, site):
    assert Path(outside["file"]).is_relative_to(site)
    assert not outside["static"]
    packages = {name.split(".")[1] for name in outside["modules"]}  # each module was imported
    assert packages == {"common", "data", "decoding", "network"}


def test_import_is_light(outside):
    assert outside["at_once"] == []


def test_the_bundled_model_finds_words(outside, site):
    assert Path(outside["bundled"]) == site / "textdet/static/model"
    shipped = json.loads((ROOT / "static/model/detection.json").read_text(encoding="utf-8"))
    assert outside["box_margin"] == shipped["settings"]["box_margin"]
    assert len(outside["words"]) >= 3
    assert all(shape == [4, 2] and 0 < score <= 1 for shape, score in outside["words"])


def test_a_trained_model_is_used(outside, random_model):
    assert Path(outside["trained"]) == random_model
    assert outside["size"] == [800, 600]


def test_wheel_holds_the_package_and_the_model_alone(site):
    info = next(site.glob("*.dist-info"))
    with (info / "RECORD").open(encoding="utf-8", newline="") as lines:
        files = {Path(row[0]) for row in csv.reader(lines)}
    files = {file for file in files if file.parts[0] != info.name and file.suffix != ".pyc"}
    assert all(file.parts[0] == "textdet" for file in files)
    assert Path("textdet/py.typed") in files
    others = {file for file in files if file.suffix != ".py"} - {Path("textdet/py.typed")}
    model = {path.name for path in (ROOT / "static/model").iterdir()} - {"model.onnx"}
    assert others == {Path("textdet/static/model", name) for name in model}


def test_version_is_one(site):
    assert Distribution.at(next(site.glob("*.dist-info"))).version == textdet.__version__


def test_offers_what_it_lists():
    assert all(getattr(textdet, name) is not None for name in textdet.__all__)
    assert set(textdet.__all__) <= set(dir(textdet))
    with pytest.raises(AttributeError, match="no attribute 'TextDetecter'"):
        _ = textdet.TextDetecter


def declared(*extras: str) -> dict[str, Requirement]:
    """Requirements of the package and of some of its extras, by name."""
    optional = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in optional[extra])]
    return {Requirement(line).name: Requirement(line) for line in lines}


def pins_of(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def test_pins_are_what_the_package_asks_for():
    pins = pins_of("requirements.txt")
    # Pillow is in both.
    pins += [pin for pin in pins_of("requirements-page.txt") if pin.name != "pillow"]
    wanted = declared(*PROJECT["optional-dependencies"])
    # The same OpenCV twice: pip knows it by two names, and other packages ask for either.
    wanted["opencv-python"] = wanted["opencv-python-headless"]
    assert {pin.name for pin in pins} == set(wanted)
    versions = {}
    for pin in pins:
        (version,) = pin.specifier
        assert version.operator == "==" and version.version in wanted[pin.name].specifier
        versions[pin.name] = version.version
    assert versions["opencv-python"] == versions["opencv-python-headless"]


def test_the_page_may_have_an_older_pillow():
    (older,) = (pin for pin in pins_of("requirements-page.txt") if pin.name == "pillow")
    (version,) = older.specifier
    assert version.version in declared()["pillow"].specifier


def third_party_imports(path: Path) -> set[str]:
    """Modules from outside the standard library and the project that a file imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"textdet"}


@pytest.mark.parametrize("package", ["network", "decoding"])
def test_what_detection_imports_is_declared(package):
    names = {MODULES.get(name, name) for name in declared("onnx")}
    names |= {"huggingface_hub", "google"}  # of transformers, and of onnx: its protobuf
    for path in (ROOT / "textdet" / package).rglob("*.py"):
        assert third_party_imports(path) <= names, path
