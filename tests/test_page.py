"""app.py: its plain functions, its refusals, and each tab used in a real browser.

The browser is Chromium, as distributions have it (apt-get install chromium), driven by Playwright.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SIZE, assert_refused, run
from PIL import Image

import detect
from textdet.common.errors import DataError
from textdet.data.annotation import Sample, Word
from textdet.data.formats.registry import UNREAD
from textdet.data.triplets import read_samples
from textdet.decoding.settings import SETTINGS, DetectionSettings, load_settings, save_settings
from textdet.network.result import FoundWord, Maps
from textdet.page import browsing, detection, drawing, generating, hand_tuning
from textdet.synth.settings import PRESETS, GeneratorSettings, declared_settings

PHOTO = ROOT / "static/photos/scenetext01.jpg"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def box(left, top, right, bottom):
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)


def word(polygon, **more):
    return Word("word", [], np.zeros((0, 4, 2), np.float32), polygon, **more)


# --- Detect ----------------------------------------------------------------------------------


def test_models_to_choose_from(random_model, tmp_path, monkeypatch):
    assert detection.list_models([random_model])[0] == str(random_model)
    assert len(detection.list_models([random_model])) == 2  # and the bundled one
    with pytest.raises(DataError, match="no model"):
        detection.list_models([tmp_path])
    last = shutil.copytree(random_model, tmp_path / "checkpoint-2")  # of a run under way
    (last / "trainer_state.json").write_text("{}")
    assert detection.list_models([tmp_path])[0] == str(last)
    monkeypatch.chdir(ROOT)
    assert detection.list_models([])[-1] == "static/model"


def test_controls_become_settings():
    settings = DetectionSettings(low_text=0.3, long_side=640, decoder="craft")
    values = list(vars(settings).values())
    assert detection.make_settings(values) == settings
    for name, value, said in (("low_text", None, "low_text"), ("box_margin", -1, "box_margin")):
        values[list(SETTINGS).index(name)] = value
        with pytest.raises(DataError, match=said):
            detection.make_settings(values)
        values = list(vars(settings).values())


@pytest.fixture(scope="module")
def seen(random_model):
    """A photograph as a model with random weights sees it, small."""
    models = detection.Models()
    settings = DetectionSettings(long_side=SIZE, text_threshold=0.05, low_text=0.03)
    return models, detection.look_at(models, PHOTO, "photo.jpg", str(random_model), settings)


def test_maps_are_kept_until_the_network_matters(seen, random_model):
    _, found = seen
    settings, model = found.settings, str(random_model)
    other = {name: getattr(settings, name) for name in SETTINGS}
    assert found.fits(model, DetectionSettings(**{**other, "text_threshold": 0.9}))
    assert not found.fits(model, DetectionSettings(**{**other, "long_side": 256}))
    assert not found.fits("static/model", settings)


def test_what_is_downloaded_is_what_detect_writes(seen, tmp_path, monkeypatch):
    models, found = seen
    line = detection.command_line("photo.jpg", found.model, found.settings, True, False)
    assert line.startswith("python detect.py photo.jpg --model_dir ")
    shutil.copyfile(PHOTO, tmp_path / "photo.jpg")
    words = shlex.split(line)[1:]
    words[1:2] = [str(tmp_path / "photo.jpg"), "--output_dir", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    detect.main()
    for kind in ("json", "txt", "jpg"):
        name, data = detection.result_file(kind, models, found, found.settings, True, False)
        assert name == f"photo.{kind}"
        theirs = (tmp_path / "out" / name).read_bytes()
        if kind == "json":
            ours, theirs = json.loads(data), json.loads(theirs)
            assert ours.pop("file") == "photo.jpg" and theirs.pop("file").endswith("photo.jpg")
            assert ours == theirs and ours["words"]
        else:
            assert data == theirs


def test_detection_json_is_written_and_the_old_one_kept(model_dir):
    first, second = DetectionSettings(low_text=0.2), DetectionSettings(low_text=0.3)
    assert "what it was" not in detection.write_settings(str(model_dir), first)
    said = detection.write_settings(str(model_dir), second)
    assert load_settings(model_dir) == second and "detection_1.json" in said
    old = json.loads((model_dir / "detection_1.json").read_text())
    assert old["settings"]["low_text"] == 0.2


def test_errors_name_a_file_as_its_user_does(tmp_path, random_model):
    path = tmp_path / "0123" / "upload.png"
    path.parent.mkdir()
    path.write_bytes(b"none")
    with pytest.raises(DataError, match="^holiday.png: not a readable image"):
        detection.read_named(path, "holiday.png")


def test_outlines_and_their_rows():
    found = FoundWord(box(10, 20, 110, 50), None, 0.876, box(10, 20, 40, 50)[None])
    boxes, cells = drawing.show_found([found])
    assert boxes["cells"] == ["0.88", "30", "100"]
    assert boxes["points"] == [[10, 20], [110, 20], [110, 50], [10, 50]]
    assert cells == {"layer": "characters", "points": [[10, 20], [40, 20], [40, 50], [10, 50]]}
    labels = drawing.show_labels([word(box(0, 0, 40, 8)), word(box(0, 9, 9, 19), ignore=True)])
    assert [each["layer"] for each in labels] == ["words", "don't-care"]
    assert labels[0]["cells"] == ["word", "8", "1.00"]


def test_large_pictures_are_shrunk_for_the_browser():
    image = np.zeros((1000, 3000, 3), np.uint8)
    shown = drawing.show_picture(image, np.zeros((2, 400, 1200), np.uint8))
    assert (shown["width"], shown["height"]) == (3000, 1000)
    assert set(shown["maps"]) == {"characters map", "affinity map"}
    assert len(shown["image"]) < 100_000


# --- Tune on a handful -----------------------------------------------------------------------


def shapes(threshold_of_noise):
    """Two words and one faint blob that is none, as maps and as the outlines of the words."""
    values = np.zeros((2, 128, 256), np.uint8)
    boxes = [(20, 20, 90, 40), (120, 70, 200, 92)]
    for left, top, right, bottom in boxes:
        values[0, top:bottom, left:right] = 230
    values[0, 100:120, 20:80] = threshold_of_noise
    return values, [drawing.outline(hand_tuning.LAYER, box(*each)) for each in boxes]


@pytest.fixture
def handful(random_model):
    """Images whose false boxes go when text_threshold is above 0.5, with the true boxes."""
    settings = DetectionSettings(text_threshold=0.3, decoder="craft", long_side=256)
    made = hand_tuning.Handful()
    for number, noise in enumerate((90, 110, 125)):
        values, outlines = shapes(noise)
        path, maps = Path(f"{number}.png"), Maps(values, 256, 128)
        made.seen.append(detection.Seen(path, path.name, str(random_model), settings, maps, None))
        made.outlines.append(outlines)
    return made, settings


def test_the_search_finds_the_threshold_that_a_person_would(handful, tmp_path):
    found, settings = handful
    steps = list(hand_tuning.search(found, settings, 8, tmp_path))
    assert [step.done for step in steps] == list(range(9))
    assert steps[0].best.settings == settings and steps[0].gain == 0
    assert steps[-1].best.settings.text_threshold > 125 / 255
    assert steps[-1].best.scores["f1"] > steps[-1].before.scores["f1"]
    assert steps[-1].gain > 0


def test_a_search_that_cannot_be_is_a_sentence(handful, tmp_path):
    found, settings = handful

    def refused(made, other=settings):
        with pytest.raises(DataError) as error:
            next(hand_tuning.search(made, other, 8, tmp_path))
        return str(error.value)

    seen, outlines = found.seen, found.outlines
    assert "3 images" in refused(hand_tuning.Handful(seen[:2], outlines[:2]))
    assert "no boxes" in refused(hand_tuning.Handful(seen, [[], [], []]))
    assert "Look again" in refused(found, DetectionSettings(long_side=512))
    for points in ([[0, 0], [1, 1]], "abc", [[0, 0], [1, float("nan")], [2, 2]], None):
        wrong = [[{"layer": "boxes", "points": points}], *outlines[1:]]
        assert "0.png" in refused(hand_tuning.Handful(seen, wrong))


def test_damaged_images_and_too_many_are_named(seen, random_model, tmp_path):
    models, found = seen
    (tmp_path / "bad.png").write_bytes(b"none")
    files = [(PHOTO, "a.jpg"), (tmp_path / "bad.png", "bad.png"), *[(PHOTO, "b.jpg")] * 10]
    made, problems = hand_tuning.add_images(
        models, hand_tuning.Handful(), files, str(random_model), found.settings
    )
    assert len(made.seen) == len(made.outlines) == hand_tuning.MAX_IMAGES
    assert problems[0].startswith("bad.png: not a readable image")
    assert [line.split(":")[0] for line in problems[1:]] == ["b.jpg"]


def test_what_was_corrected_outlasts_another_look(seen, random_model):
    models, found = seen
    files = [(PHOTO, f"{name}.jpg") for name in "abc"]
    made, _ = hand_tuning.add_images(
        models, hand_tuning.Handful(), files, str(random_model), found.settings
    )
    drawn = [drawing.outline(hand_tuning.LAYER, box(1, 2, 30, 40))]
    made = hand_tuning.correct(replace(made, shown=1), drawn)
    settings = replace(found.settings, text_threshold=1.0, long_side=320)
    again = hand_tuning.look_again(models, made, str(random_model), settings)
    assert again.outlines == [[], drawn, []] and again.shown == 1
    assert again.seen[0].fits(str(random_model), settings)


# --- Generate --------------------------------------------------------------------------------


def test_main_settings_are_settings():
    declared = declared_settings()
    assert set(generating.MAIN_SETTINGS) <= set(declared)
    assert len(set(generating.MAIN_SETTINGS)) == len(generating.MAIN_SETTINGS)
    assert all(declared[name].comment or declared[name].notes for name in generating.MAIN_SETTINGS)


def test_controls_become_settings_of_the_generator():
    values = generating.values_of(GeneratorSettings())
    assert generating.make_settings(values) == GeneratorSettings()
    assert generating.make_settings(map(float, values)) == GeneratorSettings()
    values[0] = 1.0  # PAGE_PROBABILITY
    settings = generating.make_settings(values)
    assert settings.differences() == {"PAGE_PROBABILITY": 1.0}
    values[0] = None
    with pytest.raises(DataError, match="PAGE_PROBABILITY"):
        generating.make_settings(values)


@pytest.mark.parametrize("name", PRESETS)
def test_controls_on_top_of_a_preset(name):
    preset = generating.preset_settings(name)
    values = generating.values_of(preset)
    assert generating.preset_settings("") == GeneratorSettings()
    assert generating.make_settings(values, preset) == preset
    assert GeneratorSettings(**tomllib.loads(generating.changes_as_toml(preset))) == preset


def test_the_toml_gives_the_same_settings():
    settings = GeneratorSettings(BLOCKS=(1, 2), LANGUAGE_SHARES={"russian": 0}, PAGE_PROBABILITY=0)
    text = generating.changes_as_toml(settings)
    assert GeneratorSettings(**tomllib.loads(text)) == settings
    assert "sheet of paper" in text and "FONT_SIZE" not in text
    assert tomllib.loads(generating.changes_as_toml(GeneratorSettings())) == {}
    assert "--settings" in generating.command_line(settings, 3, 512)


# --- Browse ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"kind": "page"}, [1]),
        ({"words": (2, 9)}, [1]),
        ({"words": (0, 0)}, [2]),
        ({"heights": (15, 99)}, [1]),
        ({"heights": (0, 12)}, [0, 2]),
        ({"with_ignored": True}, [2]),
        ({"confidence": 0.5}, [1]),
        ({"with_problems": True}, [0]),
    ],
)
def test_filters(chosen, expected):
    samples = [
        Sample(Path(), "0", 99, 99, [word(box(0, 0, 40, 10))], {"kind": "scene", UNREAD: 1}),
        Sample(
            *(
                Path(),
                "1",
                99,
                99,
                [word(box(0, 0, 40, 20)), word(box(0, 30, 40, 50), confidence=0.4)],
            ),
            {"kind": "page"},
        ),
        Sample(Path(), "2", 99, 99, [word(box(0, 0, 40, 10), ignore=True)]),
    ]
    collection = browsing.Collection(samples, [])
    assert browsing.select(collection, browsing.Filter(**chosen), "lowest F1") == expected
    assert collection.kinds == ["page", "scene"]


def test_words_by_what_became_of_them():
    words = [
        word(box(0, 0, 40, 10)),
        word(box(50, 0, 90, 10)),
        word(box(0, 20, 9, 29), ignore=True),
    ]
    outlines = browsing.show_fates(words, [box(0, 0, 40, 10), box(0, 60, 40, 70)])
    layers = [each["layer"] for each in outlines]
    assert layers == ["found", "missed", "boxes", "boxes on no text"]
    assert browsing.count_fates(outlines) == "1 found, 1 missed; 1 boxes on no text"


def results_of(folder, path):
    """A table as evaluate.py writes it, of a folder's first three images."""
    fates = ("missed", "merged", "split", "off", "boxes on no text", "boxes on text")
    head = ("file", "words", "found", "matched", "precision", "recall", "f1", "iou", "seconds")
    rows = [",".join((*head, *fates))]
    for number, f1 in enumerate((0.5, 0.2, 0.9)):
        name = read_samples(folder)[0][number].file
        rows.append(f"{name},2,2,1,0.5,0.5,{f1},0.5,0.1,{number},0,0,0,{3 - number},0")
    path.write_text("\n".join(rows) + "\n")
    record = {"data": str(folder), "format": "auto", "model": "static/model"}
    record["settings"] = vars(DetectionSettings(low_text=0.3))
    path.with_suffix(".json").write_text(json.dumps(record))
    return path


def test_results_of_evaluate_come_worst_first(triplets, tmp_path):
    path = results_of(triplets, tmp_path / "results.csv")
    collection = browsing.read_collection(path)
    assert len(collection.samples) == 3 and collection.settings.low_text == 0.3
    everything = browsing.Filter()
    assert browsing.select(collection, everything, "lowest F1") == [1, 0, 2]
    assert browsing.select(collection, everything, "most missed") == [2, 1, 0]
    assert browsing.select(collection, everything, "most false boxes") == [0, 1, 2]
    path.write_text("file,words\nx,1\n")
    with pytest.raises(DataError, match="no table of evaluate.py"):
        browsing.read_collection(path)


def test_results_are_looked_at_as_they_were_judged(seen, triplets, random_model, tmp_path):
    """With tiles and polygons, where evaluate.py had these."""
    path = results_of(triplets, tmp_path / "results.csv")
    record = json.loads(path.with_suffix(".json").read_text())
    record |= {"model": str(random_model), "settings": vars(DetectionSettings(long_side=96))}
    image = np.zeros((128, 200, 3), np.uint8)
    for tiles, shape in ((False, (2, 61, 96)), (True, (2, 128, 200))):
        text = json.dumps(record | {"tiles": tiles, "poly": tiles})
        path.with_suffix(".json").write_text(text)
        collection = browsing.read_collection(path)
        assert collection.poly == tiles
        other = DetectionSettings(long_side=32)
        name, result = browsing.look(collection, image, seen[0], "none", other)
        assert name == str(random_model) and result.maps.shape == shape


def test_results_of_several_models_are_looked_at_one_by_one(triplets, tmp_path):
    path = results_of(triplets, tmp_path / "results.csv")
    head, *rows = path.read_text().splitlines()
    pairs = [f"{row},{model}" for row in rows for model in ("a", "b")]
    path.write_text("\n".join([f"{head},model", *pairs[:-1]]))
    record = json.loads(path.with_suffix(".json").read_text())
    settings = record.pop("settings")
    models = [{"model": "a", "settings": settings}]
    models += [{"model": "b", "settings": settings | {"low_text": 0.2}}]
    path.with_suffix(".json").write_text(json.dumps(record | {"models": models}))
    named = browsing.name_collections([triplets, path])
    assert list(named) == [str(triplets), f"{path}: a", f"{path}: b"]
    first, second = (browsing.read_collection(*named[f"{path}: {name}"]) for name in "ab")
    assert (len(first.samples), len(second.samples)) == (3, 2)
    assert (second.model, second.settings.low_text) == ("b", 0.2)
    with pytest.raises(DataError, match="no table of evaluate.py"):
        browsing.read_collection(path, "c")


def test_folders_to_browse(triplets, tmp_path, monkeypatch):
    collection = browsing.read_collection(triplets)
    assert len(collection.samples) == 8 and not collection.is_cut and not collection.problems
    assert browsing.read_maps(collection.samples[0]).shape == (2, SIZE, SIZE)
    with monkeypatch.context() as patch:
        patch.setattr(browsing, "MAX_IMAGES", 5)
        cut = browsing.read_collection(triplets)
    assert len(cut.samples) == 5 and cut.is_cut
    folder = shutil.copytree(triplets, tmp_path / "data")
    with next((folder / "annotations").glob("*.jsonl")).open("a") as file:
        file.write('{"file": "x.jpg"}\n')
    damaged = browsing.read_collection(folder)
    assert len(damaged.samples) == 8 and len(damaged.problems) == 1


# --- The command -----------------------------------------------------------------------------


def needs(*modules):
    """Skips where the page's own packages are missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    text = f"{', '.join(missing)} not installed: pip install -r requirements-page.txt"
    return pytest.mark.skipif(bool(missing), reason=text)


def test_bad_input_is_one_line(triplets, random_model, tmp_path, run_here):
    assert_refused(run_here("app.py", "--model_dir", tmp_path), tmp_path, "no model")
    assert_refused(run_here("app.py", "--results", tmp_path / "none.csv"), "none.csv")
    assert_refused(run_here("app.py", "--input_dir", tmp_path), "not a data set")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run_here("app.py", "--model_dir", random_model, "--port", port, "--no_browser")
    assert_refused(result, f"--port {port}")


@pytest.mark.skipif(importlib.util.find_spec("gradio") is not None, reason="gradio is installed")
def test_without_gradio_it_says_what_to_install():
    assert_refused(run("app.py"), "gradio is missing", "requirements-page.txt")


# --- In a browser ----------------------------------------------------------------------------

in_browser = [
    needs("gradio", "playwright"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]


def marked(test):
    for mark in in_browser:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def address(random_model, triplets, tmp_path_factory):
    """Where a page is served, with a model that finds one word everywhere or, at 1, none."""
    folder = tmp_path_factory.mktemp("page")
    model = shutil.copytree(random_model, folder / "model")
    save_settings(
        model,
        DetectionSettings(text_threshold=0.02, low_text=0.01, long_side=SIZE, decoder="craft"),
    )
    results = results_of(triplets, folder / "results.csv")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--no_browser", "--port", port, "--model_dir", model]
    command += ["--input_dir", triplets, "--results", results]
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert f"http://127.0.0.1:{port}" in line, process.stderr.read()
    assert list(folder.glob("textdet-page-*"))
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors, errors
    assert not list(folder.glob("textdet-page-*"))  # what visitors gave


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as whom containers run.
        options = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A visitor's own page; nothing that it asks for is on another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, elsewhere, errors = context.new_page(), [], []
    page.set_default_timeout(60_000)
    page.on("request", lambda r: r.url.startswith((address, "data:")) or elsewhere.append(r.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#samples button")
    yield page
    context.close()
    assert not elsewhere and not errors


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


def outlines(page, viewer):
    return page.locator(f"#{viewer} svg polygon")


@marked
def test_detect_in_a_browser(page, browser, address):
    page.locator("#samples button").first.click()
    outlines(page, "found").first.wait_for()
    assert "1 word in 1 line of text" in page.inner_text("#count")
    assert "--text_threshold" not in page.input_value("#command textarea")
    slider = page.locator("#text_threshold input[type=range]")
    slider.focus()
    slider.press("End")  # with the keyboard
    page.wait_for_function("document.querySelector('#found svg').childElementCount === 0")
    assert page.inner_text("#count").startswith("0 words")
    assert "--text_threshold 1" in page.input_value("#command textarea")
    page.get_by_label("boxes by the model's own settings").check()
    assert outlines(page, "found").count() == 1
    page.get_by_label("character map").check()
    assert page.locator("#found .stage > img").count() == 2
    slider.press("Home")
    page.wait_for_function("document.querySelector('#found svg').childElementCount === 2")
    page.locator("#found summary").click()
    page.locator("#found tr").nth(1).wait_for()  # the table is filled when it opens
    assert page.locator("#found tr").count() == 2  # the head and a word
    slider.press("End")
    page.wait_for_function("document.querySelector('#found svg').childElementCount === 1")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert json.loads(Path(download.value.path()).read_text())["words"] == []
    other = browser.new_context()  # another visitor
    second = other.new_page()
    second.goto(address)
    second.wait_for_selector("#samples button")
    assert outlines(second, "found").count() == 0
    other.close()


@marked
def test_a_photograph_from_the_user(page, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"none")
    Image.new("L", (12_000, 9_000)).save(tmp_path / "huge.png")
    for name, said in (("bad.png", "not a readable image"), ("huge.png", "too large")):
        page.set_input_files("#photo input[type=file]", tmp_path / name)
        toast = page.locator(".toast-body")
        toast.wait_for()
        assert name in toast.inner_text() and said in toast.inner_text()
        assert str(tmp_path) not in toast.inner_text() and "Traceback" not in toast.inner_text()
        page.reload()
        page.wait_for_selector("#samples button")
    page.set_input_files("#photo input[type=file]", PHOTO)
    outlines(page, "found").first.wait_for()
    assert "scenetext01.jpg" in page.input_value("#command textarea")


@marked
def test_tune_in_a_browser(page, tmp_path):
    open_tab(page, "Tune")
    photos = [PHOTO.with_name(f"scenetext0{number}.jpg") for number in (1, 2, 3)]
    page.set_input_files("#handful_files input[type=file]", photos)
    outlines(page, "correct").first.wait_for()
    outlines(page, "correct").first.focus()
    page.keyboard.press("Delete")
    page.wait_for_function("document.querySelector('#correct svg').childElementCount === 0")
    page.get_by_role("button", name="Draw boxes").click()
    area = page.locator("#correct svg").bounding_box()
    page.mouse.move(area["x"] + 30, area["y"] + 30)
    page.mouse.down()
    page.mouse.move(area["x"] + 130, area["y"] + 70)
    page.mouse.up()
    assert outlines(page, "correct").count() == 1
    page.get_by_role("button", name="Add a box").click()
    before = outlines(page, "correct").last.get_attribute("points")
    page.keyboard.press("ArrowRight")
    assert outlines(page, "correct").last.get_attribute("points") != before
    page.locator("#handful button").nth(1).click()
    page.wait_for_function("document.querySelector('#correct svg').childElementCount === 1")
    page.locator("#handful button").first.click()
    page.wait_for_function("document.querySelector('#correct svg').childElementCount === 2")
    page.locator("#trials input[type=number]").fill("10")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Trial 10 of 10").wait_for()
    said = page.inner_text("#said")
    found = re.search(r"text_threshold\s+0.02\s+(\S+)", said)[1]
    open_tab(page, "Detect")
    assert float(page.input_value("#text_threshold input[type=number]")) == float(found)


@marked
def test_generate_in_a_browser(page):
    open_tab(page, "Generate")
    page.locator("#about").get_by_text("Image 0 of seed 0").wait_for()
    slider = page.locator("#PAGE_PROBABILITY input[type=range]")
    slider.focus()
    slider.press("End")
    page.locator("#about").get_by_text("a page with").wait_for()
    assert "PAGE_PROBABILITY = 1" in page.inner_text("#toml")
    page.get_by_role("button", name="Another one").click()
    page.locator("#about").get_by_text("Image 1 of seed 0").wait_for()
    page.get_by_label("preset").click()
    page.get_by_role("option", name="documents").click()
    page.wait_for_function("!document.querySelector('#toml').innerText.includes('Y = 1.0')")
    page.get_by_role("button", name="Twelve of them").click()
    page.locator("#twelve_made button").last.wait_for()
    assert page.locator("#twelve_made button").count() == 12


@marked
def test_browse_in_a_browser(page, triplets):
    open_tab(page, "Browse")
    page.locator("#browsed button").first.wait_for()
    assert page.inner_text("#browsed button >> nth=0").startswith("F1 0.20")  # the worst one
    page.locator("#browsed button").first.click()
    page.locator("#about_browsed").get_by_text("By static/model").wait_for()
    page.get_by_label("data").click()
    page.get_by_role("option", name=str(triplets)).click()
    page.locator("#where").get_by_text("Images 1 to 8 of 8").wait_for()
    page.locator("#browsed button").nth(2).click()
    page.locator("#about_browsed").get_by_text(f"{SIZE} x {SIZE} px").wait_for()
    assert page.locator("#large .picture").is_visible()
    about = page.inner_text("#about_browsed")
    page.get_by_text("Filters").click()
    page.get_by_label("words, at least").fill("999")
    page.locator("#where").get_by_text("Images none").wait_for()
    page.locator("#look input").check()  # what the filters leave out is looked at all the same
    page.locator("#about_browsed").get_by_text("/model:").wait_for()
    assert page.inner_text("#about_browsed").startswith(about)
    page.get_by_label("data").click()
    page.get_by_role("option", name="results.csv").click()
    page.locator("#about_browsed").get_by_text("Choose an image").wait_for()
    assert not page.locator("#large .picture").is_visible()


@marked
def test_a_phone_shows_it_all(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.locator("#samples button").first.click()
    outlines(page, "found").first.wait_for()
    for name in ("Detect", "Tune", "Generate", "Browse"):
        tab = page.get_by_role("tab", name=name)
        if not tab.is_visible():  # in the menu of those that have no room
            page.locator(".overflow-menu button").first.click()
            tab = page.locator(".overflow-dropdown button", has_text=name)
        tab.click()
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@marked
def test_it_is_seen_from_here_alone_and_reads_no_other_file(address, triplets):
    for path in (ROOT / "README.md", "/etc/passwd", next((triplets / "images").iterdir())):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{address}gradio_api/file={path}")
        assert error.value.code in (403, 404)
    # Who serves the network as well answers at every address, on Linux at 127.0.0.2 too.
    port = int(address.rstrip("/").rpartition(":")[2])
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=2):
        pass
