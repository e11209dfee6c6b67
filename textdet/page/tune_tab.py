"""The tab Tune on a handful: correct the boxes of a few images, search thresholds on them."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from textdet.common.errors import DataError
from textdet.decoding.settings import SETTINGS
from textdet.page import detection, hand_tuning
from textdet.page.drawing import show_picture, thumbnail
from textdet.page.hand_tuning import (
    LAYER,
    MAX_IMAGES,
    MIN_IMAGES,
    Handful,
    Progress,
    add_images,
    search,
)
from textdet.page.viewer import MAP_LAYERS, Layer, given_file, sentences, thumbnails, viewer

START = f"""Add {MIN_IMAGES} to {MAX_IMAGES} images. The model and the settings of the tab Detect
find their words; correct them, image by image: choose a box and delete it, draw one where a word
was missed. The search then looks for the thresholds that find these boxes best, and moves the
sliders of Detect."""
NOTE = """These images judge themselves, so on others the gain is smaller: look at some more in
Detect. With twenty or more labelled images `tune.py` keeps half of them back and knows."""


def tune_tab(
    models: detection.Models, model: gr.Dropdown, controls: dict[str, gr.components.Component]
) -> None:
    """Build the tab.

    Params:
        model, controls: of the tab Detect; the search moves these.
    """
    state = gr.State(Handful())
    with gr.Row(elem_classes="areas"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(START)
            files = gr.File(
                file_count="multiple",
                file_types=["image"],
                label="Images",
                height=140,
                elem_id="handful_files",
            )
            files.preprocess = lambda given: [given_file(each) for each in given.root]
            grid = thumbnails("handful", 90)
            with gr.Column(elem_classes="late"):
                again = gr.Button("Look again with Detect's model and settings", size="sm")
                clear = gr.Button("Remove all images", size="sm")
                trials = gr.Slider(
                    10, 300, 60, step=10, label="trials of the search", elem_id="trials"
                )
                start = gr.Button("Search", variant="primary", elem_id="search")
                stop = gr.Button("Stop", size="sm")
                said = gr.Markdown(elem_id="said")
        with gr.Column(scale=5, min_width=320):
            view = viewer((Layer(LAYER, "boxes", "#00c800"), *MAP_LAYERS), "correct", LAYER)
    numbers = list(controls.values())

    def show(handful: Handful) -> tuple:
        """The state, the thumbnails and the chosen image."""
        if not handful.seen:
            return handful, [], gr.HTML(value={"outlines": [], "columns": []}, picture=None)
        seen = handful.seen[handful.shown]
        image = detection.read_named(seen.path, seen.name)
        shown = {"outlines": handful.outlines[handful.shown], "columns": []}
        picture = show_picture(image, seen.own.maps)
        return handful, _thumbnails(handful), gr.HTML(value=shown, picture=picture)

    @sentences()
    def add(given: list, handful: Handful, name: str, *values: Any) -> tuple:
        settings = detection.make_settings(values)
        handful, problems = add_images(models, handful, given, name, settings)
        if problems:
            gr.Warning(escape("; ".join(problems)), duration=None)
        return None, *show(handful)

    @sentences()
    def look_again(handful: Handful, name: str, *values: Any) -> tuple:
        settings = detection.make_settings(values)
        return show(hand_tuning.look_again(models, handful, name, settings))

    @sentences()
    def choose(event: gr.EventData, handful: Handful) -> tuple:
        return show(replace(handful, shown=event.index))

    def keep(handful: Handful, value: dict) -> Handful:
        return hand_tuning.correct(handful, list(value["outlines"])) if handful.seen else handful

    def run(handful: Handful, name: str, n_trials: int, *values: Any) -> Iterator[tuple]:
        with sentences(), tempfile.TemporaryDirectory() as folder:
            settings = detection.make_settings(values)
            if handful.seen and handful.seen[0].model != name:
                raise DataError("Detect has another model now: press 'Look again' first.")
            for progress in search(handful, settings, n_trials, Path(folder)):
                if progress.done % 5 == 0 or progress.done == n_trials:
                    over = progress.done == n_trials
                    best = list(asdict(progress.best.settings).values())
                    yield _report(progress), *(best if over else [gr.skip()] * len(best))

    network = {"concurrency_limit": 1, "concurrency_id": "network", "show_progress_on": view}
    shown = [state, grid, view]
    files.upload(add, [files, state, model, *numbers], [files, *shown], **network)
    again.click(look_again, [state, model, *numbers], shown, **network)
    clear.click(lambda: show(Handful()), None, shown)
    grid.select(choose, state, shown)
    view.input(keep, [state, view], state, queue=False, show_progress="hidden")
    running = start.click(
        run,
        [state, model, trials, *numbers],
        [said, *numbers],
        concurrency_limit=1,
        show_progress_on=said,
    )
    stop.click(None, None, None, cancels=[running])


def _thumbnails(handful: Handful) -> list[dict[str, str]]:
    made = []
    for seen in handful.seen:
        image = detection.read_named(seen.path, seen.name)
        made.append({"image": thumbnail(image), "title": seen.name})
    return made


def _report(progress: Progress) -> str:
    """What the search has found so far, as Markdown."""
    before, best = progress.before, progress.best
    rows = [
        f"| {name} | {getattr(before.settings, name):g} | {getattr(best.settings, name):g} |"
        for name, declared in SETTINGS.items()
        if declared.searched
    ]
    rows += [
        f"| {name} | {before.scores[name]:.3f} | {best.scores[name]:.3f} |"
        for name in ("f1", "iou", "precision", "recall")
    ]
    table = "\n".join(["| | before | best |", "|---|---|---|", *rows])
    head = f"**Trial {progress.done} of {progress.total}**"
    if progress.done < progress.total:
        return f"{head}\n\n{table}"
    end = "The sliders of Detect have moved." if progress.gain else "Nothing better: they stay."
    return f"{head}. {end}\n\n{table}\n\n{NOTE}"
