"""The page as a whole: its tabs, how it looks, and its server."""

from pathlib import Path

import gradio as gr

from textdet.common.images import is_image
from textdet.page.browse_tab import browse_tab
from textdet.page.detect_tab import detect_tab
from textdet.page.detection import Models
from textdet.page.generate_tab import generate_tab
from textdet.page.tune_tab import tune_tab

SAMPLES = Path(__file__).resolve().parents[2] / "static" / "photos"
MAX_FILE = "100mb"  # that a visitor may give
STYLE = """
footer { display: none !important; }
.gradio-container { max-width: 1600px !important; }
.html-container { padding: 0 !important; }
@media (max-width: 760px) {  /* a phone: what is given, the picture, the settings, the rest */
  .gradio-container { overflow: clip !important; }  /* hidden would hold what is sticky */
  .areas { flex-direction: column; flex-wrap: nowrap; }
  .areas > .column { display: contents; }
  .areas .late { order: 1; }
  .areas .last { order: 2; }
  .areas > .column > .block:has(.stage) {
    position: sticky; top: 0; z-index: 50; background: var(--body-background-fill);
  }
}
"""


def build_page(names: list[str], paths: list[Path], shared: bool = False) -> gr.Blocks:
    """Build the page.

    Params:
        names: models to choose from, see find_model.
        paths: data sets and tables of evaluate.py to browse.
        shared: whether others than the host use it; they cannot write on its disk.

    Raises:
        DataError: the first model's detection.json is damaged.
    """
    models = Models()
    samples = sorted(path for path in SAMPLES.iterdir() if is_image(path))
    with gr.Blocks(title="Text detection") as page:
        with gr.Tab("Detect") as tab:
            model, controls = detect_tab(tab, models, names, samples, shared)
        with gr.Tab("Tune on a handful"):
            tune_tab(models, model, controls)
        with gr.Tab("Generate") as tab:
            generate_tab(tab)
        with gr.Tab("Browse") as tab:
            browse_tab(tab, models, paths, model, controls)
    return page


def serve_page(page: gr.Blocks, port: int, share: bool = False, browser: bool = False) -> None:
    """Serve the page to this machine until it is interrupted.

    Params:
        share: whether to make a public address as well.
        browser: whether to open it in one.
    """
    fonts = ["system-ui", "sans-serif"]  # none from the network
    theme = gr.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])
    _, local, public = page.launch(
        server_name="127.0.0.1",
        server_port=port,
        share=share,
        inbrowser=browser,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=MAX_FILE,
        theme=theme,
        head=f"<style>{STYLE}</style>",  # css= would not reach the outermost elements
        footer_links=[],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    print(f"{public or local}: the page; Ctrl-C ends it", flush=True)
    page.block_thread()
