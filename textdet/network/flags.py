"""The flags with which scripts choose a model and its detection settings, and what opens it."""

import argparse
import itertools
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from textdet.common.cli import integer, number
from textdet.decoding.settings import DECODERS, SETTINGS, TYPES
from textdet.network.detector import TextDetector
from textdet.network.model_files import NETWORK_SETTINGS, choose_model, find_model
from textdet.network.runtimes import DEVICES, RUNTIMES

VARIANTS = "what several values find is drawn side by side"


def add_model_flags(parser: argparse.ArgumentParser, models: bool = False) -> None:
    """Add --model_dir, --device and --runtime to a parser: which model runs, and on what.

    Params:
        models: whether several may be named; --model_dir is then a list.
    """
    add = parser.add_argument
    text = "folder that train.py left, or CRAFT's weights, a .pth file; default: checkpoits if a "
    text += "model is there, or static/model"
    if models:
        add("--model_dir", type=Path, nargs="+", help=f"{text}; several are compared")
    else:
        add("--model_dir", type=Path, help=text)
    add("--device", choices=DEVICES, default="auto", help="where the network runs")
    text = "what runs it; auto: ONNX Runtime on a CPU when --export_onnx has been run"
    add("--runtime", choices=RUNTIMES, default="auto", help=text)


def add_detection_flags(
    parser: argparse.ArgumentParser, several: bool = False, models: bool = False
) -> None:
    """Add the model's flags to a parser, and those that say how its maps turn into words.

    Params:
        several: whether settings that act on the maps take several values, see take_variants.
        models: see add_model_flags.
    """
    add_model_flags(parser, models)
    add = parser.add_argument
    add("--poly", action="store_true", help="follow curved words with polygons")
    add("--tiles", action="store_true", help="cut large images into tiles instead of shrinking")
    for name in SETTINGS:
        more = "default: the model's detection.json"
        if several and name not in NETWORK_SETTINGS:
            add_setting_flag(parser, name, f"{VARIANTS}; {more}", action="append")
        else:
            add_setting_flag(parser, name, more)


def repeat_flags(words: list[str]) -> list[str]:
    """Name a setting's flag before each of its values, so that an image's name may follow them.

    Params:
        words: a command line, with `--link_threshold 0.1 0.4 photo.jpg`.

    Returns:
        the same with `--link_threshold 0.1 --link_threshold 0.4 photo.jpg`.
    """
    repeated, flag, has_value = [], "", False
    for position, word in enumerate(words):
        if word == "--":
            return repeated + words[position:]
        if word.startswith("--"):
            name = word.removeprefix("--")
            flag = word if name in SETTINGS and name not in NETWORK_SETTINGS else ""
            has_value = False
        elif flag and has_value and (_is_number(word) or word in DECODERS):
            repeated.append(flag)
        elif has_value:
            flag = ""
        else:
            has_value = True
        repeated.append(word)
    return repeated


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def take_variants(args: argparse.Namespace) -> list[dict[str, float | str]]:
    """All combinations of the settings for which several values were given.

    Params:
        args: the parsed flags of add_detection_flags with several=True; of each setting its first
            value stays.

    Returns:
        Settings by name; one combination without any where each has one value at most.
    """
    lists = {}
    for name in SETTINGS:
        values = getattr(args, name)
        if isinstance(values, list):
            setattr(args, name, values[0])
            if len(values) > 1:
                lists[name] = values
    return [dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())]


def add_setting_flag(parser: argparse.ArgumentParser, name: str, more: str, **options: Any) -> None:
    """Add a flag for a detection setting to a parser; it is None where it is not given.

    Params:
        name: of a field of DetectionSettings.
        more: a phrase to add to its help.
        options: further ones of argparse, for several values.
    """
    declared = SETTINGS[name]
    if declared.choices:
        kind = {"choices": declared.choices}
    elif TYPES[name] is int:
        kind = {"type": integer(declared.low, declared.high)}
    else:
        kind = {"type": number(declared.low, declared.high)}
    unit = "" if declared.choices else f"{declared.unit or declared.range}, "
    parser.add_argument(f"--{name}", help=f"{unit}{declared.help}; {more}", **kind, **options)


def detector_opener(args: argparse.Namespace, model_dir: Path | None, **options: Any) -> partial:
    """What opens the detector that the flags of add_detection_flags describe, here or elsewhere.

    Params:
        args: the parsed flags.
        model_dir: see choose_model.
        options: further parameters of TextDetector.

    Returns:
        a call without arguments, which another process can be sent; all settings are in it.

    Raises:
        DataError: no model, or its detection.json is damaged.
    """
    path = choose_model(model_dir).absolute()
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    options |= {"poly": args.poly, "tiles": args.tiles}
    options |= asdict(find_model(path).settings(**given))
    return partial(TextDetector, path, args.device, args.runtime, **options)
