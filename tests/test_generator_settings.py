"""The generator's settings: a value, its checks, and --settings and --set as users run them."""

import json
import pickle

import numpy as np
import pytest
from conftest import ROOT, assert_refused, run

from generate_utils import bundled_resources
from static import constants
from textdet.common.errors import DataError
from textdet.synth.augment import augment, make_pipelines
from textdet.synth.scene import draw_image
from textdet.synth.settings import (
    LIMITS,
    SECTIONS,
    GeneratorSettings,
    declared_settings,
    parse_assignment,
    read_settings,
    to_toml,
)
from textdet.synth.shares import within_one
from textdet.synth.warps import sample_roll

DEFAULTS = GeneratorSettings()
SMALL = ("--num_images", 3, "--image_size", 96, "--num_workers", 1, "--save_folder")


def test_every_constant_of_the_sections_is_a_setting():
    settings = declared_settings()
    assert len(settings) > 200 and {setting.section for setting in settings.values()} == {*SECTIONS}
    for name, setting in settings.items():
        assert getattr(DEFAULTS, name) == getattr(constants, name) == setting.default
    assert not {"FONTS", "IMAGE_SIZE", "LEARNING_RATE", "LABELS"} & settings.keys()
    assert DEFAULTS.differences() == {}
    assert all(setting.comment or setting.notes for setting in settings.values())


def test_limits_stand_in_the_comments():
    settings = declared_settings()
    found = {name: (s.lowest, s.highest) for name, s in settings.items()}
    assert found["JPEG_QUALITY"] == (1, 100) and found["PICTOGRAM_SIZE"] == (0.01, np.inf)
    assert found["TILT"] == (-85, 85) and found["BLUR_PROBABILITY"] == (0, 1)
    assert found["TRACKING"] == (-np.inf, np.inf) and found["FOLD_STRENGTH"] == (0, 1)
    assert LIMITS.search("0..1, of it")[1] == "0" and not LIMITS.search("one a line, ...")


def test_settings_are_passed_down():
    """No module of the generator reads constants.py but the one that makes a value of it."""
    reading = {
        path.stem
        for path in (ROOT / "textdet" / "synth").glob("*.py")
        if "static import constants" in path.read_text(encoding="utf-8")
    }
    assert reading == {"settings"}


def test_settings_are_frozen_values():
    few = DEFAULTS.changed(BLOCKS=[1, 2], BLUR_SHARES={"motion": 2})
    assert few.BLOCKS == (1, 2) and DEFAULTS.BLOCKS == constants.BLOCKS
    assert few.BLUR_SHARES == {**constants.BLUR_SHARES, "motion": 2}
    assert few == GeneratorSettings(BLUR_SHARES={"motion": 2}, BLOCKS=(1, 2)) != DEFAULTS
    assert few.differences().keys() == {"BLOCKS", "BLUR_SHARES"}
    again = pickle.loads(pickle.dumps(few))
    assert again == few and hash(again) == hash(few) and len({few, again, DEFAULTS}) == 2
    with pytest.raises(AttributeError):
        few.BLOCKS = (3, 4)
    with pytest.raises(TypeError):
        few.BLUR_SHARES["motion"] = 1


def test_the_order_of_names_does_not_matter():
    one, other = (
        DEFAULTS.changed(LANGUAGE_SHARES=dict.fromkeys(names, 1)) for names in ("ab", "ba")
    )
    assert list(one.LANGUAGE_SHARES) == list(other.LANGUAGE_SHARES)
    assert DEFAULTS.changed(LANGUAGE_SHARES={"russian": 0}).languages() == ("english",)


def test_two_settings_in_one_process():
    """Drawing with one leaves no trace in what is drawn with the other."""
    resources = bundled_resources(DEFAULTS)
    calm = DEFAULTS.changed(PAGE_PROBABILITY=0, EMPTY_PROBABILITY=1, BACKGROUND_SIDE=256)

    def drawn(settings):
        return draw_image(np.random.default_rng(3), settings, resources, 128).image

    first, other, again = drawn(DEFAULTS), drawn(calm), drawn(DEFAULTS)
    assert (first == again).all() and (first != other).any()


def test_a_scene_of_no_blocks_has_no_text():
    """EXTRA_BLOCKS stand in for blocks that found no room, not for none."""
    settings = DEFAULTS.changed(
        PAGE_PROBABILITY=0, EMPTY_PROBABILITY=0, BLOCKS=(0, 0), SIGN_BLOCKS=(0, 0)
    )
    resources = bundled_resources(settings)
    for seed in range(3):
        assert not draw_image(np.random.default_rng(seed), settings, resources, 256).ink.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BLOKS=[1, 2]", "there is no setting BLOKS; the nearest is BLOCKS"),
        ("blur_probability=0", "the nearest is BLUR_PROBABILITY"),
        ("BLOCKS=[3, 2]", "two numbers, the lower one first"),
        ("BLOCKS=[1, 2, 3]", "two numbers, the lower one first"),
        ("BLOCKS=[1, 2.5]", "whole numbers"),
        ("BLOCKS=3", r"a list like \[2, 7\]"),
        ("BLOCKS=[-1, 3]", "must be between 0 and 1000, not -1"),
        ("PLANES=[0, 3]", "must be between 1 and 100, not 0"),
        ("FONT_SIZE=[20, 1e9]", "must be between 1 and 4096, not 1000000000"),
        ("PICTOGRAM_SIZE=[0, 3]", "must be at least 0.01, not 0"),
        ("GAUSSIAN_BLUR=[0, 0]", "must be at least 0.01, not 0"),  # a black picture
        ("BACKGROUND_BLUR=[0, 0]", "must be at least 0.01, not 0"),
        ("WEAR_BLUR=[0, 0]", "must be at least 0.01, not 0"),
        ("CURVE_WAVES=[0, 0]", "must be at least 0.01, not 0"),  # no curve, but infinite places
        ("BLUR_PROBABILITY=1.5", "must be between 0 and 1, not 1.5"),
        ("BLUR_PROBABILITY=true", "takes numbers, not True"),
        ("BLUR_PROBABILITY=nan", "takes numbers, not nan"),
        (f"SMALLEST_SPACE=1{400 * '0'}", "takes numbers, not 1000"),  # beyond a float's
        (f"SMALLEST_SPACE=1{5000 * '0'}", "not NAME=VALUE"),
        (f"BLOCKS={5000 * '['}", "not NAME=VALUE"),
        ("BLUR_PROBABILITY='often'", "takes numbers, not 'often'"),
        ("SHRINK_STEP=1", "must be between 0.05 and 0.95"),
        ("SIGN_COLOURS=[[1, 2]]", "lists of 3 numbers"),
        ("SIGN_COLOURS=[[1, 2, 256]]", "between 0 and 255, not 256"),
        ("KIND_SHARES.wrod=1", "has no 'wrod'; the nearest is word"),
        ("KIND_SHARES.word=-1", "must be at least 0"),
        ("KIND_SHARES=1", "must be a table of shares"),
        ("LANGUAGE_SHARES={english=0, russian=0}", "needs a share above 0"),
        ("BLOCKS", "not NAME=VALUE"),
        ("BLOCKS=[1, 2", "not NAME=VALUE"),
    ],
)
def test_wrong_values_are_one_line(text, message):
    with pytest.raises(DataError, match=message) as error:
        DEFAULTS.changed(**parse_assignment(text))
    assert "\n" not in str(error.value)


def test_the_least_blur_leaves_a_picture_as_it_is():
    """albumentations makes a black picture of one that is to be blurred by 0 px."""
    blurs = ("WEAR_BLUR", "BACKGROUND_BLUR", "GAUSSIAN_BLUR")
    least = {name: (declared_settings()[name].lowest,) * 2 for name in blurs}
    off = {name: 0.0 for name in vars(DEFAULTS) if name.endswith("_PROBABILITY")}
    on = {"BACKGROUND_BLUR_PROBABILITY": 1.0, "BLUR_PROBABILITY": 1.0, "WEAR_DROPOUT": 0.0}
    only = dict.fromkeys(DEFAULTS.BLUR_SHARES, 0.0) | {"gaussian": 1.0}
    pipelines = make_pipelines(DEFAULTS.changed(**off | on | least, BLUR_SHARES=only, WEAR_SIZE=1))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 32, 3), np.uint8)
    for _ in range(9):  # each kind of wear among them
        assert (augment(rng, pipelines.letters, picture[..., 0]) == picture[..., 0]).all()
        assert (augment(rng, pipelines.background, picture) == picture).all()
        assert (augment(rng, pipelines.camera, picture) == picture).all()


def test_kinds_that_are_not_named_keep_their_share():
    changed = DEFAULTS.changed(**parse_assignment("FILL_SHARES.flat=0"))
    assert changed.FILL_SHARES == {**constants.FILL_SHARES, "flat": 0}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("SIDEWAYS_PROBABILITY", 84, 96), ("LARGE_ROTATION_PROBABILITY", 0, 45)],
)
def test_a_kind_that_is_to_come_always_leaves_no_room_for_others(name, low, high):
    """Those beside it keep their defaults, which together with it are more than 1."""
    rng, settings = np.random.default_rng(0), DEFAULTS.changed(**{name: 1})
    turned = np.abs(np.rad2deg([sample_roll(rng, settings) for _ in range(300)]))
    assert ((low <= turned) & (turned <= high)).all()


def test_chances_stay_as_they_are_where_they_can():
    assert within_one({"a": 0.3, "b": 0.7, "c": 0.0}) == {"a": 0.3, "b": 0.7, "c": 0.0}
    assert within_one({"a": 0.4, "b": 0.8, "c": 0.0}) == pytest.approx({"a": 0.2, "b": 0.8, "c": 0})


def test_show_settings_writes_a_file_that_can_be_read(tmp_path, run_well_here):
    changes = ("--set", "BLOCKS=[1, 2]", "KIND_SHARES.name=0", "LANGUAGE_SHARES.own_words=1")
    shown = run_well_here("generate_images.py", "--show_settings", *changes).stdout
    path = tmp_path / "mine.toml"
    path.write_text(shown, encoding="utf-8")
    settings = GeneratorSettings(**read_settings(path))
    assert settings.differences().keys() == {"BLOCKS", "KIND_SHARES", "LANGUAGE_SHARES"}
    assert to_toml(settings) == shown and "em, empty band around a block" in shown
    path.write_text(to_toml(DEFAULTS), encoding="utf-8")
    assert GeneratorSettings(**read_settings(path)) == DEFAULTS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_as_windows_shells_write_it_is_read(tmp_path, encoding):
    """PowerShell's > writes UTF-16; cmd's the bytes of a code page, so that all is ASCII."""
    changed = DEFAULTS.changed(BLOCKS=(1, 2))
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(changed), encoding=encoding, newline="\r\n")
    assert DEFAULTS.changed(**read_settings(path)) == changed
    assert to_toml(changed).isascii()


def test_set_comes_after_the_file_and_later_after_earlier(tmp_path, run_well_here):
    path = tmp_path / "mine.toml"
    path.write_text("BLOCKS = [1, 1]\nPLANES = [2, 2]\n", encoding="utf-8")
    folder = tmp_path / "data"
    changes = (
        "--settings",
        path,
        "--set",
        "BLOCKS=[2, 2]",
        "--set",
        "BLOCKS=[3, 3]",
        "LINES=[1, 1]",
    )
    run_well_here("generate_images.py", *changes, *SMALL, folder)
    record = json.loads((folder / "dataset.json").read_text())
    assert record["settings"] == {"BLOCKS": [3, 3], "LINES": [1, 1], "PLANES": [2, 2]}


@pytest.mark.parametrize(
    ("content", "args", "said"),
    [
        ("BLOKS = [1, 2]", (), ("mine.toml", "no setting BLOKS", "BLOCKS")),
        ("BLOCKS = [1, ", (), ("mine.toml is not TOML",)),
        ("", ("--set", "JPEG_QUALITY=101"), ("--set JPEG_QUALITY=101: ", "between 1 and 100")),
        ("", ("--set", "GAMMA=[0, 0]"), ("background or the camera",)),
        (None, (), ("mine.toml: No such file",)),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    content, args, said, tmp_path, run_here
):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content)
    result = run_here("generate_images.py", "--settings", path, *args, *SMALL, tmp_path / "data")
    assert_refused(result, *said)
    assert not (tmp_path / "data").exists()


def test_other_settings_are_refused_and_named(tmp_path, run_here, run_well_here):
    """A file without settings changes nothing; a folder continues with the same settings only."""
    path, folder, other = tmp_path / "empty.toml", tmp_path / "data", tmp_path / "other"
    path.write_text("# nothing\n")
    run_well_here("generate_images.py", "--settings", path, *SMALL, folder)
    run_well_here("generate_images.py", *SMALL, other)
    for name in ("images/00000001.jpg", "annotations/00000.jsonl", "dataset.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    result = run_here("generate_images.py", "--set", "BLOCKS=[1, 1]", *SMALL, folder)
    assert_refused(result, "BLOCKS (the default there, [1, 1] now)", "--overwrite")
    assert "PLANES" not in result.stderr
    run_well_here("generate_images.py", "--set", "BLOCKS=[1, 1]", "--overwrite", *SMALL, folder)
    result = run_here(
        "generate_images.py", "--set", "BLOCKS=[1, 2]", "PLANES=[2, 2]", *SMALL, folder
    )
    assert_refused(result, "BLOCKS ([1, 1] there, [1, 2] now)", "PLANES (the default there")
    assert (
        "BLOCKS ([1, 1] there, the default now)"
        in run_here("generate_images.py", *SMALL, folder).stderr
    )


def test_other_defaults_are_refused(tmp_path, run_well_here):
    """constants.py may be edited; `python -c` stands in for an edited file."""
    run_well_here("generate_images.py", *SMALL, tmp_path / "data")
    argv = ["generate_images.py", *map(str, SMALL), str(tmp_path / "data")]
    code = (
        "import sys; from static import constants; constants.BLOCKS = 1, 2\n"
        f"sys.argv = {argv!r}\n"
        "import generate_images as script; script.run_main(script.main)"
    )
    assert_refused(run("-c", code), "defaults (")


def test_an_effect_is_turned_off_by_set(tmp_path, run_well_here):
    kinds = {}
    for probability in (0, 1):
        folder = tmp_path / str(probability)
        run_well_here(
            "generate_images.py", "--set", f"PAGE_PROBABILITY={probability}", *SMALL, folder
        )
        lines = (folder / "annotations" / "00000.jsonl").read_text().splitlines()
        kinds[probability] = {json.loads(line)["kind"] for line in lines}
    assert kinds == {0: {"scene"}, 1: {"page"}}
