"""The tab Detect: a photograph, the words in it, and every setting to try."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from textdet.common.errors import DataError
from textdet.common.images import read_image
from textdet.network.model_files import NETWORK_SETTINGS
from textdet.page import detection
from textdet.page.controls import setting_controls
from textdet.page.drawing import (
    FOUND_COLUMNS,
    data_url,
    outline,
    show_found,
    show_picture,
    thumbnail,
)
from textdet.page.viewer import (
    MAP_LAYERS,
    Layer,
    downloads,
    given_file,
    sentences,
    thumbnails,
    viewer,
)

LAYERS = (
    Layer("boxes", "boxes", "#00c800"),
    Layer("before", "boxes by the model's own settings", "#a000c8", False, "dashed"),
    Layer("polygons", "polygons", "#ff9600"),
    Layer("characters", "characters", "#3c6eff", style="thin"),
    *MAP_LAYERS,
)
NOTHING = {"outlines": [], "columns": []}
START = "Give it a photograph, or choose one of the samples."
MEDIA = {"json": "application/json", "txt": "text/plain", "jpg": "image/jpeg"}


def detect_tab(
    tab: gr.Tab, models: detection.Models, names: list[str], samples: list[Path], shared: bool
) -> tuple[gr.Dropdown, dict[str, gr.components.Component]]:
    """Build the tab.

    Params:
        tab: in which it is; settings may have been changed while another one was looked at.
        names: of the models to choose from.
        samples: images to try.
        shared: whether others than the host use the page; they cannot write on its disk.

    Returns:
        The controls of the model and of its settings by name, for other tabs.
    """
    seen = gr.State(None)
    with gr.Row(elem_classes="areas"):
        with gr.Column(scale=2, min_width=320):
            photo = gr.Image(
                label="Photograph: drop it, paste it or choose it",
                sources=["upload", "clipboard"],
                height=200,
                elem_id="photo",
            )
            photo.preprocess = given_file
            tries = thumbnails("samples", 70)
            with gr.Column(elem_classes="late"):
                model = gr.Dropdown(names, value=names[0], label="model", elem_id="model")
                controls = setting_controls(detection.own_settings(names[0]))
                with gr.Row():
                    poly = gr.Checkbox(
                        False, label="poly", info="follow curved words with polygons"
                    )
                    characters = gr.Checkbox(
                        False, label="characters", info="split words into them"
                    )
                reset = gr.Button("Back to the model's own settings", size="sm")
        with gr.Column(scale=5, min_width=320):
            count = gr.Markdown(START, elem_id="count")
            view = viewer(LAYERS, "found")
            with gr.Column(elem_classes="last"):
                with gr.Row():
                    buttons = {
                        kind: gr.Button(f"Download {title}", size="sm", min_width=120)
                        for kind, title in (
                            ("json", "JSON"),
                            ("txt", "ICDAR text"),
                            ("jpg", "picture"),
                        )
                    }
                    write = gr.Button(
                        "Write detection.json", size="sm", min_width=120, visible=not shared
                    )
                command = gr.Textbox(
                    label="The same on the command line",
                    lines=2,
                    buttons=["copy"],
                    interactive=False,
                    elem_id="command",
                )
    file = downloads()
    chosen = [model, poly, characters, *controls.values()]
    results = [seen, view, count, command]

    def show(found: detection.Seen, values: Sequence) -> tuple:
        name, polygons, cells, *numbers = values
        settings = detection.make_settings(numbers)
        result = detection.find_words(models, found, settings, polygons, cells)
        outlines = show_found(result.words)
        outlines += [outline("before", word.quad) for word in found.own.words]
        line = detection.command_line(found.name, name, settings, polygons, cells)
        shown = {"outlines": outlines, "columns": FOUND_COLUMNS}
        return shown, detection.count_words(result, found.own), line

    @sentences()
    def look(path: Path, name: str, values: Sequence) -> tuple:
        settings = detection.make_settings(values[3:])
        found = detection.look_at(models, path, name, values[0], settings)
        shown, *others = show(found, values)
        picture = show_picture(detection.read_named(path, name), found.own.maps)
        return found, gr.HTML(value=shown, picture=picture), *others

    def look_at_photo(given: tuple[Path, str] | None, *values: Any) -> tuple:
        if given is None:
            return None, gr.HTML(value=NOTHING, picture=None), START, ""
        return look(*given, values)

    def look_at_sample(event: gr.EventData, *values: Any) -> tuple:
        path = samples[event.index]
        return look(path, path.name, values)

    def look_again(now: detection.Seen | None, *values: Any) -> tuple:
        return look(now.path, now.name, values) if now else (gr.skip(),) * len(results)

    @sentences()
    def redraw(now: detection.Seen | None, *values: Any) -> tuple:
        if now is None or not now.fits(values[0], detection.make_settings(values[3:])):
            return (gr.skip(),) * 3  # nothing to see, or the network is about to run
        return show(now, values)

    @sentences()
    def own_values(name: str) -> list:
        return list(asdict(detection.own_settings(name)).values())

    @sentences()
    def make_file(kind: str, now: detection.Seen | None, *values: Any) -> list:
        if now is None:
            raise DataError("There is no photograph yet.")
        name, polygons, cells, *numbers = values
        settings = detection.make_settings(numbers)
        title, data = detection.result_file(kind, models, now, settings, polygons, cells)
        return [title, data_url(data, MEDIA[kind])]

    @sentences()
    def write_settings(name: str, *numbers: Any) -> None:
        said = detection.write_settings(name, detection.make_settings(numbers))
        gr.Info(escape(said), duration=20)

    network = {"concurrency_limit": 1, "concurrency_id": "network", "show_progress_on": view}
    at_once = {"queue": False, "show_progress": "hidden", "trigger_mode": "always_last"}
    tries.value = [{"image": thumbnail(read_image(p)), "title": p.stem} for p in samples]
    photo.input(look_at_photo, [photo, *chosen], results, **network)
    tries.select(look_at_sample, chosen, results, **network)
    slow = [controls[name] for name in NETWORK_SETTINGS]
    again = {"trigger_mode": "always_last", **network}
    gr.on([each.input for each in slow], look_again, [seen, *chosen], results, **again)
    quick = [poly, characters, *(each for each in controls.values() if each not in slow)]
    gr.on(
        [tab.select, *(each.input for each in quick)],
        redraw,
        [seen, *chosen],
        results[1:],
        **at_once,
    )
    gr.on([model.input, reset.click], own_values, model, list(controls.values())).then(
        look_again, [seen, *chosen], results, **network
    )
    for kind, button in buttons.items():
        button.click(partial(make_file, kind), [seen, *chosen], file)
    if not shared:  # a button that is not seen can be pressed all the same
        write.click(write_settings, [model, *controls.values()], None)
    return model, controls
