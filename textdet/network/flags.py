"""The flags with which scripts choose a model and its detection settings, and what opens it."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textdet.common.cli import integer, number
from textdet.decoding.settings import DEFAULTS, SETTINGS
from textdet.network.detector import TextDetector
from textdet.network.model_files import choose_model
from textdet.network.runtimes import DEVICES, RUNTIMES


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Add --model_dir, --device and --runtime to a parser: which model runs, and on what."""
    add = parser.add_argument
    text = "folder that train.py left, or CRAFT's weights, a .pth file; default: checkpoits if a "
    add("--model_dir", type=Path, help=text + "model is there, or static/model")
    add("--device", choices=DEVICES, default="auto", help="where the network runs")
    text = "what runs it; auto: ONNX Runtime on a CPU when --export_onnx has been run"
    add("--runtime", choices=RUNTIMES, default="auto", help=text)


def add_detection_flags(parser: argparse.ArgumentParser) -> None:
    """Add the model's flags to a parser, and those that say how its maps turn into words."""
    add_model_flags(parser)
    add = parser.add_argument
    add("--poly", action="store_true", help="follow curved words with polygons")
    add("--tiles", action="store_true", help="cut large images into tiles instead of shrinking")
    for name in SETTINGS:
        add_setting_flag(parser, name, "default: the model's detection.json")


def add_setting_flag(
    parser: argparse.ArgumentParser, name: str, more: str, several: bool = False
) -> None:
    """Add a flag for a detection setting to a parser; it is None where it is not given.

    Params:
        name: of a field of DetectionSettings.
        more: a phrase to add to its help.
        several: whether it takes several values.
    """
    declared = SETTINGS[name]
    if declared.choices:
        kind = {"choices": declared.choices}
    elif isinstance(asdict(DEFAULTS)[name], int):
        kind = {"type": integer(declared.low, declared.high)}
    else:
        kind = {"type": number(declared.low, declared.high)}
    if several:
        kind["nargs"] = "+"
    unit = "" if declared.choices else f"{declared.unit or declared.range}, "
    parser.add_argument(f"--{name}", help=f"{unit}{declared.help}; {more}", **kind)


def open_detector(args: argparse.Namespace, **options: Any) -> TextDetector:
    """Open the detector that the flags of add_detection_flags describe.

    Params:
        args: the parsed flags.
        options: further parameters of TextDetector.

    Raises:
        DataError: no sound model, or a device that is not there.
    """
    options |= {name: getattr(args, name) for name in ("poly", "tiles", *SETTINGS)}
    return TextDetector(choose_model(args.model_dir), args.device, args.runtime, **options)
