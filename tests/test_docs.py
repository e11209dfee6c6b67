"""The documentation: its links lead somewhere, and its commands and modules exist."""

import itertools
import json
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run_well

from textdet.common.geometry import map_pixels, map_points
from textdet.synth.settings import GeneratorSettings, parse_assignment

PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    + [ROOT / "static/model/README.md"]
)
MAIN_PAGES = [ROOT / "README.md", ROOT / "docs/README.ru.md"]
SCRIPTS = {path.name for path in [*ROOT.glob("*.py"), *ROOT.glob("benchmarks/*.py")]}
CONTRACT = """\
python generate_images.py --num_images 5000 --save_folder syntdata
python train.py --input_dir syntdata --output_dir checkpoits --num_train_epochs 10 --caching True
python tune.py --input_dir syntdata --model_dir checkpoits --n_trials 100
python detect.py photo.jpg --model_dir checkpoits --output_dir detections
"""
SOURCES = ("", "static/", "textdet/**/", "tests/")
LONGEST_LINE = 120  # characters, outside tables

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ +(.*)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def commands_of(text: str) -> list[list[str]]:
    """The words of each command that runs a script, from code blocks and from `python ...`."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    lines += re.findall(r"`((?:python|torchrun) [^`]*)`", without_code(text))
    commands = []
    # After a -- follows another command.
    for command in itertools.chain.from_iterable(line.split(" -- ") for line in lines):
        words = shlex.split(command, comments=True)
        names = [Path(word).name for word in words]
        if script := next((i for i, name in enumerate(names) if name in SCRIPTS), None):
            commands.append([names[script], *words[script + 1 :]])
    return commands


@cache
def flags_of(script: str) -> set[str]:
    """The flags that a script's --help knows; those of a benchmark as its source has them."""
    if not (ROOT / script).is_file():
        return set(re.findall(r'"(--\w+)"', (ROOT / "benchmarks" / script).read_text("utf-8")))
    everything = "--help_all" if script == "train.py" else "--help"
    return set(re.findall(r"--\w+", run_well(script, everything).stdout))


@pages
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(text))
    for link in links + re.findall(r'<img src="([^"]+)"', text):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target.read_text(encoding="utf-8")), link


@pages
def test_scripts_and_flags_exist(page):
    text = page.read_text(encoding="utf-8")
    for line in re.findall(r"python +(?!-)(\S+\.py)", text):
        assert (ROOT / line).is_file(), line
    for script, *words in commands_of(text):
        unknown = {word for word in words if word.startswith("--")} - flags_of(script)
        assert not unknown, f"{script}: {unknown}"


@pages
def test_settings_of_the_generator_are_accepted(page):
    text = page.read_text(encoding="utf-8")
    for script, *words in commands_of(text):
        if script == "generate_images.py" and "--set" in words:
            given = words[words.index("--set") + 1 :]
            for assignment in itertools.takewhile(lambda word: not word.startswith("--"), given):
                GeneratorSettings().changed(**parse_assignment(assignment))
    for block in re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        GeneratorSettings().changed(**tomllib.loads(block))


@pages
def test_constants_exist(page):
    """Names as `WORD_SPACE` that a reader may look for."""
    if page.name == "model_history.md":
        return  # it may name what has gone
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"`([A-Z]{2,}_[A-Z_]+)`", text)):
        assert re.search(rf"\b{name}\b", sources()), name


@cache
def sources() -> str:
    paths = itertools.chain(*(ROOT.glob(f"{folder}*.py") for folder in SOURCES))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@pages
def test_lines_are_short(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    prose = [line for line in text.splitlines() if not line.startswith("|")]
    assert not [line for line in prose if len(line) > LONGEST_LINE]


@pages
def test_tables_are_whole(page):
    """Each row has as many cells as its table's head."""
    columns = None
    for line in without_code(page.read_text(encoding="utf-8")).splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        columns = columns or cells
        assert cells == columns, line


def test_words_are_cut_out_for_a_recogniser_as_they_stood():
    """cut_out of docs/detection.md undoes what has put a picture into another aslant."""
    text = (ROOT / "docs/detection.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n([^`]*def cut_out.*?)^```$", text, re.M | re.S)
    found = {}
    exec(block.split("\n\n\nresult =")[0], found)
    places = np.add.outer(3 * np.arange(24), 2 * np.arange(80))
    word = np.dstack([places, 255 - places, places]).astype(np.uint8)
    turned = np.array([[0.94, -0.34, 60], [0.34, 0.94, 20], [0, 0, 1]])  # by 20 degrees
    quad = map_points(turned, np.array([[0, 0], [80, 0], [80, 24], [0, 24]]))
    cut = found["cut_out"](map_pixels(turned, word, 200, 120), quad)
    assert cut.shape == word.shape
    np.testing.assert_allclose(cut[2:-2, 2:-2].astype(int), word[2:-2, 2:-2], atol=2)


@pytest.mark.parametrize("page", MAIN_PAGES, ids=lambda path: path.name)
def test_the_four_commands_stand_in_the_readme(page):
    assert f"```bash\n{CONTRACT}```" in page.read_text(encoding="utf-8")


def test_readmes_have_the_same_parts():
    """As many headings, the same code blocks but for comments, the same pictures and figures."""
    english, russian = (page.read_text(encoding="utf-8") for page in MAIN_PAGES)
    for pattern in (r"^(#+) ", r"^(\|)-", r"static/\w+\.(?:png|jpg)"):
        assert re.findall(pattern, english, re.MULTILINE) == re.findall(
            pattern, russian, re.MULTILINE
        )
    assert commands_of(english) == commands_of(russian)
    assert figures_of(english) == figures_of(russian)


def figures_of(text: str) -> list[str]:
    """The figures in the rows of a page's results, .850 or 0,850."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return re.findall(r"[.,](\d{3})\b", "\n".join(rows))


def test_modules_named_for_contributors_exist():
    text = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w]+/)*\w+\.py)`", text))
    assert not [name for name in sorted(named) if not (ROOT / name).is_file()]


def test_every_module_is_named_for_contributors():
    text = (ROOT / "docs/contributing.md").read_text(encoding="utf-8")
    modules = [*ROOT.glob("textdet/*/*.py"), *ROOT.glob("*_utils.py")]
    names = {path.relative_to(ROOT).as_posix() for path in modules if path.stem != "__init__"}
    assert not [name for name in sorted(names) if f"`{name}`" not in text]


def test_the_notebook_shows_the_results():
    """PipelineFinalProject.ipynb shows the part of the README between these marks."""
    results = (ROOT / "README.md").read_text(encoding="utf-8").split("## Results")
    assert len(results) == 2
    shown = results[1].split("## ")[0].split("![")[0]
    assert "evaluate.py" in shown and shown.count("```") == 2


def test_the_notebook_shows_the_results_as_they_are():
    """The output of its cell that prints the README's section is this section."""
    cells = json.loads((ROOT / "PipelineFinalProject.ipynb").read_text(encoding="utf-8"))["cells"]
    (cell,) = (c for c in cells if "## Results" in "".join(c["source"]) and "outputs" in c)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Results")[1].split("## ")[0].split("![")[0]
    assert "".join(cell["outputs"][0]["data"]["text/markdown"]) == section
