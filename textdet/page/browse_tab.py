"""The tab Browse: data sets and the results of evaluate.py, many images small, one large."""

import functools
import threading
from pathlib import Path
from typing import Any

import gradio as gr

from textdet.common.errors import DataError
from textdet.common.pictures import GREY, RED
from textdet.data.annotation import Sample
from textdet.data.triplets import read_sample_image
from textdet.page import browsing, detection
from textdet.page.drawing import LABEL_COLUMNS, show_labels, show_picture, thumbnail
from textdet.page.viewer import (
    LABEL_LAYERS,
    MAP_LAYERS,
    Layer,
    sentences,
    thumbnails,
    viewer,
)

PAGE = 24  # thumbnails
START = "Choose an image."
NO_LIMIT = 10_000  # words or px, no limit
FATE_LAYERS = (
    Layer("found", "words found", "#00c800"),
    Layer("missed", "missed", "#ff2828"),
    Layer("merged", "merged", "#ff00c8"),
    Layer("split", "split", "#ff9600"),
    Layer("off", "a little off", "#c8c800"),
    Layer("boxes", "boxes that found a word", "#3c6eff", False, "dashed"),
    Layer("boxes on no text", "boxes on no text", "#00c8ff", style="dashed"),
    Layer("boxes on text", "false boxes on text", "#8c5aff", style="dashed"),
)


class Shelf:
    """The collections that the host has named, each read when it is first looked at.

    Params:
        paths: data sets' folders and tables of evaluate.py; nothing else is ever read.
    """

    def __init__(self, paths: list[Path]):
        self.named = browsing.name_collections(paths)
        self._lock = threading.Lock()

    def take(self, name: str) -> browsing.Collection:
        """Raises DataError: it cannot be read."""
        with self._lock:
            return self._read(*self.named[name])

    @functools.cache  # noqa: B019, a shelf lives as long as the page
    def _read(self, path: Path, model: str | None) -> browsing.Collection:
        return browsing.read_collection(path, model)


def browse_tab(
    tab: gr.Tab,
    models: detection.Models,
    paths: list[Path],
    model: gr.Dropdown,
    controls: dict[str, gr.components.Component],
) -> None:
    """Build the tab.

    Params:
        tab: in which it is; the first collection is read when it is first looked at.
        paths: data sets' folders and tables of evaluate.py.
        model, controls: of the tab Detect, which looks at an image when asked to.
    """
    if not paths:
        gr.Markdown(
            "There is nothing to browse yet. Start the page with a data set or a table of "
            "evaluate.py:\n\n`python app.py --input_dir syntdata --results results.csv`"
        )
        return
    shelf = Shelf(paths)
    positions, page = gr.State([]), gr.State(0)
    shown = gr.State(None)  # position of the large image in its collection, whatever the filters
    with gr.Row():
        source = gr.Dropdown(list(shelf.named), value=next(iter(shelf.named)), label="data")
        order = gr.Dropdown(list(browsing.ORDERS), label="order of results", visible=False)
        kind = gr.Dropdown(["any"], value="any", label="kind")
    with gr.Accordion("Filters", open=False), gr.Row():
        with gr.Row():
            least = gr.Number(0, label="words, at least", minimum=0, min_width=100)
            most = gr.Number(NO_LIMIT, label="words, at most", minimum=0, min_width=100)
        with gr.Row():
            low = gr.Number(0, label="a word of at least, px", minimum=0, min_width=100)
            high = gr.Number(NO_LIMIT, label="and at most, px", minimum=0, min_width=100)
        confidence = gr.Slider(0, 1, 1, step=0.01, label="a word of at most this confidence")
        ignored = gr.Checkbox(False, label="with don't-care words")
        problems = gr.Checkbox(False, label="with words left out")
    filters = [kind, least, most, low, high, confidence, ignored, problems]
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            where = gr.Markdown(elem_id="where")
            with gr.Row():
                back = gr.Button("Previous page", size="sm", min_width=100)
                on = gr.Button("Next page", size="sm", min_width=100)
            grid = thumbnails("browsed", 100)
        with gr.Column(scale=3, min_width=320):
            about = gr.Markdown(START, elem_id="about_browsed")
            with gr.Row():
                previous = gr.Button("Previous image", size="sm", min_width=100)
                following = gr.Button("Next image", size="sm", min_width=100)
            look = gr.Checkbox(
                False, label="Find words in it, and tell what became of each", elem_id="look"
            )
            view = viewer((*LABEL_LAYERS, *FATE_LAYERS, *MAP_LAYERS), "large")
    with gr.Accordion("Left out of this data set", open=False, visible=False) as left_out:
        lines = gr.Textbox(lines=8, interactive=False, show_label=False, buttons=["copy"])

    @sentences()
    def open_source(name: str) -> tuple:
        collection = shelf.take(name)
        lines = collection.problems[:1000]
        return (
            gr.Dropdown(["any", *collection.kinds], value="any"),
            gr.Dropdown(visible=bool(collection.rows)),
            gr.Accordion(f"Left out: {len(collection.problems)}", visible=bool(lines)),
            "\n".join(lines),
            gr.Checkbox(value=bool(collection.rows)),
        )

    @sentences()
    def choose(name: str, by: str, *values: Any) -> tuple:
        found = browsing.select(shelf.take(name), _filter(*values), by)
        return found, 0, *turn(name, found, 0)

    @sentences()
    def turn(name: str, found: list[int], at: int) -> tuple:
        collection = shelf.take(name)
        part = found[at * PAGE : (at + 1) * PAGE]
        count = f"{at * PAGE + 1} to {at * PAGE + len(part)} of {len(found)}" if part else "none"
        more = f", the first {browsing.MAX_IMAGES} of the data set" if collection.is_cut else ""
        return f"Images {count}{more}", [_thumbnail(collection, i) for i in part]

    def step(by: int, name: str, found: list[int], at: int) -> tuple:
        last = max(0, (len(found) - 1) // PAGE)
        at = min(max(at + by, 0), last)
        return at, *turn(name, found, at)

    @sentences()
    def show(name: str, position: int | None, with_words: bool, chosen: str, *values: Any) -> tuple:
        if position is None:
            return None, gr.HTML(value={"outlines": [], "columns": []}, picture=None), START
        collection = shelf.take(name)
        sample = collection.samples[position]
        image = read_sample_image(sample)
        outlines, maps = show_labels(sample.words), browsing.read_maps(sample)
        text = f"**{sample.file}**: {browsing.describe(sample, collection.rows.get(sample.file))}"
        if with_words:
            settings = detection.make_settings(values)
            name, result = browsing.look(collection, image, models, chosen, settings)
            fates = browsing.show_fates(sample.words, [word.outline for word in result.words])
            outlines = [each for each in outlines if each["layer"] == "don't-care"] + fates
            maps = result.maps
            text += f"\n\nBy {name}: {browsing.count_fates(fates)}"
        value = {"outlines": outlines, "columns": LABEL_COLUMNS}
        return position, gr.HTML(value=value, picture=show_picture(image, maps)), text

    def show_chosen(event: gr.EventData, name: str, found: list[int], at: int, *rest: Any) -> tuple:
        return show(name, found[at * PAGE + event.index], *rest)

    def show_next(by: int, name: str, found: list[int], position: int | None, *rest: Any) -> tuple:
        if found:
            at = found.index(position) + by if position in found else 0
            position = found[min(max(at, 0), len(found) - 1)]
        return show(name, position, *rest)

    detect = [look, model, *controls.values()]
    large = [shown, view, about]
    pages = [positions, page, where, grid]
    heavy = {"concurrency_limit": 1, "concurrency_id": "network", "show_progress_on": view}
    gr.on(
        [tab.select, source.input], open_source, source, [kind, order, left_out, lines, look]
    ).then(choose, [source, order, *filters], pages)
    gr.on(
        [order.input, *(each.input for each in filters)],
        choose,
        [source, order, *filters],
        pages,
        trigger_mode="always_last",
        show_progress_on=grid,
    )
    for button, by in ((back, -1), (on, 1)):
        button.click(functools.partial(step, by), [source, positions, page], pages[1:])
    for button, by in ((previous, -1), (following, 1)):
        step_from = [source, positions, shown, *detect]
        button.click(functools.partial(show_next, by), step_from, large, **heavy)
    grid.select(show_chosen, [source, positions, page, *detect], large, **heavy)
    look.input(show, [source, shown, *detect], large, **heavy)
    source.input(lambda name: show(name, None, False, ""), source, large, **heavy)


def _filter(
    kind: str,
    least: float | None,
    most: float | None,
    low: float | None,
    high: float | None,
    confidence: float,
    ignored: bool,
    problems: bool,
) -> browsing.Filter:
    """From the tab's controls; an empty one is no limit."""
    endless = float("inf")
    return browsing.Filter(
        "" if kind == "any" else kind,
        (least or 0, endless if most is None else most),
        (low or 0, endless if high is None else high),
        ignored,
        confidence,
        problems,
    )


def _thumbnail(collection: browsing.Collection, position: int) -> dict[str, str]:
    """One image with its words; of a damaged one what is wrong."""
    sample: Sample = collection.samples[position]
    words = [(word.polygon, GREY if word.ignore else RED) for word in sample.words]
    title = sample.file
    if row := collection.rows.get(sample.file):
        title = f"F1 {float(row['f1']):.2f}  {title}"
    try:
        return {"image": thumbnail(read_sample_image(sample), words), "title": title}
    except DataError as error:
        return {"image": "", "title": str(error)}
