"""The page as a whole: its tabs, how it looks, and its server."""

from pathlib import Path

import gradio as gr

from textdet.common.errors import DataError
from textdet.common.images import is_image
from textdet.page.browse_tab import browse_tab
from textdet.page.detect_tab import detect_tab
from textdet.page.detection import Models, list_models
from textdet.page.generate_tab import generate_tab
from textdet.page.tune_tab import tune_tab

SAMPLES = Path(__file__).resolve().parents[2] / "static" / "photos"
MAX_FILE = "100mb"  # that a visitor may give
STYLE = """
footer { display: none !important; }
.gradio-container { max-width: 1600px !important; }
.html-container { padding: 0 !important; }
@media (max-width: 760px) {  /* a phone: what is given, the picture, the settings, the rest */
  .areas { flex-direction: column; flex-wrap: nowrap; }
  .areas > .column { display: contents; }
  .areas .late { order: 1; }
  .areas .last { order: 2; }
  .areas > .column > .block:has(.stage) {
    position: sticky; top: 0; z-index: 5; background: var(--body-background-fill);
  }
}
"""


def build_page(
    model_dirs: list[Path], input_dirs: list[Path], results: list[Path], shared: bool = False
) -> gr.Blocks:
    """Build the page.

    Params:
        model_dirs: models to choose from, see find_model.
        input_dirs: data sets to browse.
        results: tables of evaluate.py to browse.
        shared: whether others than the host use it; they cannot write on its disk.

    Raises:
        DataError: a model, a data set or a table that is none.
    """
    names = list_models(model_dirs)
    models = Models()
    samples = sorted(path for path in SAMPLES.iterdir() if is_image(path))
    with gr.Blocks(title="Text detection") as page:
        with gr.Tab("Detect"):
            model, controls = detect_tab(models, names, samples, shared)
        with gr.Tab("Tune on a handful"):
            tune_tab(models, model, controls)
        with gr.Tab("Generate") as tab:
            generate_tab(tab)
        with gr.Tab("Browse") as tab:
            browse_tab(tab, models, [*results, *input_dirs], model, controls)
    return page


def serve_page(page: gr.Blocks, port: int, share: bool = False, browser: bool = False) -> None:
    """Serve the page to this machine until it is interrupted.

    Params:
        share: whether to make a public address as well.
        browser: whether to open it in one.

    Raises:
        DataError: the port is taken.
    """
    fonts = ["system-ui", "sans-serif"]  # none from the network
    theme = gr.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])
    try:
        _, local, public = page.launch(
            server_name="127.0.0.1",
            server_port=port,
            share=share,
            inbrowser=browser,
            quiet=True,
            prevent_thread_lock=True,
            max_file_size=MAX_FILE,
            theme=theme,
            css=STYLE,
            footer_links=[],
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
        )
    except OSError as error:
        raise DataError(f"--port {port}: {error}") from None
    print(f"{public or local}: the page; Ctrl-C ends it", flush=True)
    page.block_thread()
