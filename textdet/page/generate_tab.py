"""The tab Generate: the generator's main settings, and what they make, at once."""

from typing import Any

import gradio as gr

from static import constants as C
from textdet.common.pictures import RED
from textdet.data.annotation import Sample
from textdet.page import generating
from textdet.page.drawing import LABEL_COLUMNS, data_url, show_labels, show_picture, thumbnail
from textdet.page.viewer import (
    LABEL_LAYERS,
    MAP_LAYERS,
    downloads,
    sentences,
    thumbnails,
    viewer,
)
from textdet.synth.settings import PRESETS, GeneratorSettings, Setting
from textdet.synth.shares import Shares

SIZES = (256, 512, 768, 1024)  # px
GRID = 12


def generate_tab(tab: gr.Tab) -> None:
    """Build the tab.

    Params:
        tab: in which it is; the first image is made when it is first looked at.
    """
    index = gr.State(0)
    with gr.Row(elem_classes="areas"):
        with gr.Column(scale=2, min_width=320):
            with gr.Row():
                seed = gr.Number(0, label="seed", precision=0, minimum=0, min_width=100)
                size = gr.Dropdown(
                    SIZES, value=C.IMAGE_SIZE, label="side of the image, px", min_width=100
                )
            preset = gr.Dropdown(
                [("none", ""), *PRESETS], value="", label="preset", elem_id="preset"
            )
            another = gr.Button("Another one", variant="primary", elem_id="another")
            twelve = gr.Button("Twelve of them", elem_id="twelve")
            values = []
            with gr.Column(elem_classes="late"):
                for number, (section, settings) in enumerate(generating.sections().items()):
                    with gr.Accordion(section, open=number == 0):
                        for setting in settings:
                            values += _controls(setting)
        with gr.Column(scale=5, min_width=320):
            about = gr.Markdown(elem_id="about")
            view = viewer((*LABEL_LAYERS, *MAP_LAYERS), "made")
            with gr.Column(elem_classes="last"):
                grid = thumbnails("twelve_made", 160)
                command = gr.Textbox(
                    label="The same on the command line", buttons=["copy"], interactive=False
                )
                toml = gr.Code(
                    label="mine.toml", interactive=False, buttons=["copy"], elem_id="toml"
                )
                save = gr.Button("Download mine.toml", size="sm")
    file = downloads()

    @sentences()
    def make(at: int, number: int | None, side: int, name: str, *given: float) -> tuple:
        settings = generating.make_settings(given, generating.preset_settings(name))
        seed_ = number or 0
        sample, image, maps = generating.make_image(settings, seed_, at, side)
        shown = {"outlines": show_labels(sample.words), "columns": LABEL_COLUMNS}
        picture = show_picture(image, maps)
        line = generating.command_line(settings, seed_, side)
        return (
            at,
            gr.HTML(value=shown, picture=picture),
            f"Image {at} of seed {seed_}: {_describe(sample)}",
            line,
            generating.changes_as_toml(settings),
        )

    def make_next(at: int, *given: Any) -> tuple:
        return make(at + 1, *given)

    @sentences()
    def make_grid(at: int, number: int | None, side: int, name: str, *given: float) -> list:
        settings = generating.make_settings(given, generating.preset_settings(name))
        return [_thumbnail(settings, number or 0, i, side) for i in range(at, at + GRID)]

    def make_chosen(event: gr.EventData, at: int, *given: Any) -> tuple:
        return make(at + event.index, *given)

    @sentences()
    def values_of(name: str) -> list[float]:
        return generating.values_of(generating.preset_settings(name))

    inputs, made = [index, seed, size, preset, *values], [index, view, about, command, toml]
    alone = {
        "concurrency_limit": 1,
        "concurrency_id": "generator",
        "show_progress_on": view,
    }  # fonts are one thread's
    last = {"trigger_mode": "always_last", "show_progress": "hidden", **alone}
    gr.on([tab.select, *(each.input for each in (seed, size, *values))], make, inputs, made, **last)
    preset.input(values_of, preset, values, show_progress="hidden").then(make, inputs, made, **last)
    another.click(make_next, inputs, made, **alone)
    twelve.click(make_grid, inputs, grid, **{**alone, "show_progress_on": grid})
    grid.select(make_chosen, inputs, made, **alone)
    save.click(
        lambda text: [generating.TOML_FILE, data_url(text.encode(), "text/plain")], toml, file
    )


def _controls(setting: Setting) -> list[gr.components.Component]:
    """A slider for a probability, numbers for a range, a slider for each share of a table."""
    names = generating.parts(setting)
    if names == [""]:
        return [_slider(setting, setting.default, setting.name, setting.comment)]
    if len(setting.default) == 2 and isinstance(setting.default, tuple):
        gr.Markdown(f"{setting.name}<br><small>{setting.comment}</small>")
        with gr.Row():
            return [
                gr.Number(number, label=name, min_width=80, interactive=True)
                for number, name in zip(setting.default, names, strict=True)
            ]
    return [
        _slider(setting, share, f"{setting.name}: {name}", setting.notes.get(name, ""))
        for name, share in setting.default.items()
    ]


def _slider(setting: Setting, value: float, label: str, info: str) -> gr.Slider | gr.Number:
    about = {
        "label": label,
        "info": info or None,
        "interactive": True,
        "elem_id": label.replace(": ", "."),
    }
    highest = 1.0 if isinstance(setting.default, Shares) else setting.highest
    if highest == float("inf"):
        return gr.Number(value, **about)
    return gr.Slider(setting.lowest, highest, value, step=0.01, **about)


def _describe(sample: Sample) -> str:
    ignored = sum(word.ignore for word in sample.words)
    fonts = ", ".join(sample.extra.get("fonts", ()))
    text = f"a {sample.extra['kind']} with {len(sample.words) - ignored} words"
    return text + (f", {ignored} don't-care" if ignored else "") + (f"; {fonts}" if fonts else "")


def _thumbnail(settings: GeneratorSettings, seed: int, index: int, size: int) -> dict[str, str]:
    sample, image, _ = generating.make_image(settings, seed, index, size)
    words = [(word.polygon, RED) for word in sample.words if not word.ignore]
    return {"image": thumbnail(image, words), "title": f"{index}: {len(words)} words"}
