"""Parts of the page made of HTML: a picture with outlines, thumbnails to choose from, downloads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData

from textdet.common.errors import DataError

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Layer:
    """A layer of the viewer.

    Params:
        name: as outlines and maps name it.
        title: for people.
        colour: of its outlines, as CSS has it.
        shown: whether it is on at first.
        style: "", "dashed" or "thin".
    """

    name: str
    title: str
    colour: str
    shown: bool = True
    style: str = ""


MAP_LAYERS = (
    Layer("characters map", "character map", "#ff7800", shown=False),
    Layer("affinity map", "affinity map", "#285aff", shown=False),
)
LABEL_LAYERS = (
    Layer("words", "words", "#ff2828"),
    Layer("characters", "characters", "#00a000", style="thin"),
    Layer("don't-care", "don't-care", "#969696", style="dashed"),
)


def viewer(layers: tuple[Layer, ...], name: str, editable: str | None = None) -> gr.HTML:
    """A picture with outlines over it, on layers that can be switched off.

    Its value is {"outlines": [...], "columns": [...]}, see drawing.py; its property "picture" what
    drawing.show_picture gives. Its event `input` comes when the user has changed an outline.

    Params:
        name: its id on the page.
        editable: the layer whose outlines the user may delete and draw.
    """
    return gr.HTML(
        value={"outlines": [], "columns": []},
        html_template=_file("viewer.html"),
        css_template=_file("viewer.css"),
        js_on_load=_file("viewer.js"),
        apply_default_css=False,
        elem_id=name,
        picture=None,
        layers=[vars(layer) for layer in layers],
        editable=editable,
    )


def thumbnails(name: str, width: int = 130) -> gr.HTML:
    """Thumbnails to choose from; its event `select` has the `index` of the chosen one.

    Its value is a list of {"image": data URL, "title": text}.

    Params:
        name: its id on the page.
        width: px, the least of a thumbnail.
    """
    columns = f"> div {{ grid-template-columns: repeat(auto-fill, minmax({width}px, 1fr)); }}"
    return gr.HTML(
        value=[],
        html_template="<div></div>",
        css_template=_file("grid.css") + columns,
        js_on_load=_file("grid.js"),
        apply_default_css=False,
        elem_id=name,
    )


def downloads() -> gr.HTML:
    """A part without looks that saves its value, (name, data URL), as a file of the user's."""
    save = """
    watch("value", () => {
      if (!props.value) return;
      const [name, data] = props.value;
      Object.assign(document.createElement("a"), { download: name, href: data }).click();
    });
    """
    return gr.HTML(value=None, html_template="", js_on_load=save, apply_default_css=False)


def given_file(payload: FileData | None) -> tuple[Path, str] | None:
    """What stands in for the preprocess of gradio's components for files: the path of what a user
    gave, which is looked at no sooner than it is read, and its name for people."""
    return payload and (Path(payload.path), payload.orig_name or "image")


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@contextmanager
def sentences() -> Iterator[None]:
    """Errors that a user can fix, raised within, become a sentence on the page."""
    try:
        yield
    except (DataError, OSError) as error:
        # The page takes the message for HTML.
        raise gr.Error(escape(str(error)), duration=None, print_exception=False) from None
