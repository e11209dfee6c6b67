"""A page in the browser: find words and try every setting, tune by hand, generate, browse data.

    python app.py                                   # opens it on this machine
    python app.py --model_dir checkpoits --input_dir syntdata

It needs gradio: pip install -r requirements-page.txt. Only this machine can reach the page, unless
--share is given. What visitors give it is deleted when it ends.
"""

import argparse
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from textdet.common.cli import ArgumentParser, existing_folder, integer, run_main
from textdet.common.errors import DataError
from textdet.page.browsing import check_path
from textdet.page.detection import list_models


def parse_arguments() -> argparse.Namespace:
    """The flags, checked."""
    parser = ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    text = "models to choose from: folders that train.py left, CRAFT's weights; default: checkpoits"
    add("--model_dir", type=Path, nargs="+", default=[], help=f"{text} if a model is there")
    text = "data sets to browse: triplet folders, and formats that are known by their looks"
    add("--input_dir", type=existing_folder, nargs="+", default=[], help=text)
    add("--results", type=Path, nargs="+", default=[], help="tables of evaluate.py to browse, .csv")
    add("--port", type=integer(1, 65535), default=7860, help="of localhost")
    add("--no_browser", action="store_true", help="do not open it in a browser")
    text = "make a public address for it through gradio's server; whoever knows it can use the page"
    add("--share", action="store_true", help=text)
    return parser.parse_args()


def main() -> None:
    """Build the page and serve it until it is interrupted."""
    args = parse_arguments()
    names = list_models(args.model_dir)
    paths = [*args.results, *args.input_dir]
    for path in paths:
        check_path(path)
    check_port(args.port)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is deleted
    with tempfile.TemporaryDirectory(prefix="textdet-page-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # what visitors give; gradio's own would be kept
        try:
            from textdet.page.page import build_page, serve_page
        except ModuleNotFoundError as error:
            raise DataError(
                f"{error.name} is missing: pip install -r requirements-page.txt"
            ) from None
        page = build_page(names, paths, args.share)
        serve_page(page, args.port, args.share, not args.no_browser)


def check_port(port: int) -> None:
    """Raises DataError: another program has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DataError(f"--port {port}: {error.strerror}; name another") from None


if __name__ == "__main__":
    run_main(main)
