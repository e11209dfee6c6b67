"""Detection settings: what is declared once is what flags, files and the documentation have."""

import argparse
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import ROOT, assert_refused

from textdet.common.cli import ArgumentParser
from textdet.common.errors import DataError
from textdet.decoding.settings import (
    DEFAULTS,
    SETTINGS,
    DetectionSettings,
    load_settings,
    save_settings,
)
from textdet.decoding.settings_table import insert_table
from textdet.network.flags import add_detection_flags, add_setting_flag
from textdet.network.model_files import bundled_model, choose_model
from textdet.network.runtimes import STRIDE

NUMBERS = [name for name, declared in SETTINGS.items() if not declared.choices]


def outside(name: str) -> list[float]:
    """Values just outside a setting's range, and one that is no number."""
    return [SETTINGS[name].low - 1, SETTINGS[name].high + 1, float("nan")]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_value_out_of_range_is_refused(name):
    for value in (SETTINGS[name].low, SETTINGS[name].high):
        assert getattr(replace(DEFAULTS, **{name: value}), name) == value
    for value in outside(name):
        with pytest.raises(ValueError, match=f"{name} must lie in"):
            replace(DEFAULTS, **{name: value})


def test_numbers_of_any_kind_become_pythons(tmp_path):
    """As from NumPy, or from a division, and go through detection.json; others are refused."""
    settings = DetectionSettings(text_threshold=np.float32(0.5), long_side=np.float64(640))
    assert (settings.text_threshold, settings.long_side) == (0.5, 640)
    assert (type(settings.text_threshold), type(settings.long_side)) == (float, int)
    save_settings(tmp_path, settings)
    assert load_settings(tmp_path) == settings
    with pytest.raises(ValueError, match="long_side must be a whole number, not 640.5"):
        DetectionSettings(long_side=640.5)
    for value in ("0.5", None, [0.5], 1j):
        with pytest.raises(ValueError, match="low_text must be a number"):
            DetectionSettings(low_text=value)


def test_an_unknown_choice_is_refused():
    with pytest.raises(ValueError, match="no decoder 'none', only craft and proportional"):
        DetectionSettings(decoder="none")


@pytest.mark.parametrize("name", SETTINGS)
def test_flags_take_what_the_settings_take(name, capsys):
    parser = ArgumentParser()
    add_detection_flags(parser)
    assert getattr(parser.parse_args([]), name) is None
    value = asdict(DEFAULTS)[name]
    parsed = getattr(parser.parse_args([f"--{name}", str(value)]), name)
    assert parsed == value and type(parsed) is type(value)
    for wrong in outside(name) if name in NUMBERS else ["none"]:
        with pytest.raises(SystemExit):
            parser.parse_args([f"--{name}", str(wrong)])
    assert len(capsys.readouterr().err.splitlines()) == (3 if name in NUMBERS else 1)


def test_a_flag_may_take_several_values():
    parser = argparse.ArgumentParser()
    add_setting_flag(parser, "long_side", "more", nargs="+")
    assert parser.parse_args(["--long_side", "64", "96"]).long_side == [64, 96]


def test_settings_come_back_from_their_file(tmp_path):
    assert load_settings(tmp_path) == DEFAULTS
    settings = DetectionSettings(0.6, 0.3, 0.2, "craft", 640, 2.0, 0.5, 1.5, 0.6)
    path = save_settings(tmp_path, settings, note="kept")
    assert load_settings(tmp_path) == settings and '"note": "kept"' in path.read_text()
    path.write_text('{"settings": {"low_text": 0.3, "of_another_version": 1}}')
    assert load_settings(tmp_path) == replace(DEFAULTS, low_text=0.3)


def test_what_is_searched_lies_within_the_range():
    for declared in SETTINGS.values():
        if declared.searched:
            low, high = declared.searched
            assert declared.low <= low < high <= declared.high and not declared.listed


def test_the_smallest_side_is_the_networks():
    assert SETTINGS["long_side"].low == STRIDE


def test_the_documentation_has_the_declared_table():
    """`python -m textdet.decoding.settings_table docs/tuning.md` writes it anew."""
    page = (ROOT / "docs/tuning.md").read_text(encoding="utf-8")
    assert insert_table(page) == page
    with pytest.raises(ValueError, match="settings"):
        insert_table("a page without the marks")


def test_scripts_have_the_settings_as_flags(run_here, run_well_here):
    for script in ("detect.py", "evaluate.py"):
        help_text = run_well_here(script, "--help").stdout
        assert all(f"--{name} " in help_text for name in SETTINGS)
    help_text = run_well_here("tune.py", "--help").stdout
    shown = [name for name in SETTINGS if f"--{name} " in help_text]
    assert shown == [name for name, declared in SETTINGS.items() if not declared.searched]
    assert_refused(run_here("tune.py", "--box_margin", "0", "51"), "between 0 and 50")


def test_which_model_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert bundled_model() == ROOT / "static/model"
    for folder in ("checkpoits", "named"):
        (tmp_path / folder).mkdir()
    with pytest.raises(DataError, match="named: no model, neither"):
        choose_model(tmp_path.__class__("named"))
    if bundled_model().is_dir():
        assert choose_model(None) == bundled_model()
    checkpoint = tmp_path.__class__("checkpoits/checkpoint-3")
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").touch()  # its training is under way
    assert choose_model(None) == checkpoint
    for folder in ("checkpoits", "named"):
        (tmp_path / folder / "config.json").touch()
        assert choose_model(None if folder == "checkpoits" else tmp_path / folder).name == folder
