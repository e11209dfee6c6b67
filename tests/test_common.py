"""Polygons, tiles, fingerprints: what all parts share, against plain reckoning."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, assert_refused

from textdet.common.cli import ArgumentParser, one_line, progress_bar, run_main
from textdet.common.errors import DataError
from textdet.common.files import write_atomically
from textdet.common.fingerprints import file_digest, fingerprint, spread
from textdet.common.geometry import side_lengths, signed_area, tile_starts
from textdet.common.image_inputs import STDIN, find_pages
from textdet.common.images import encode_image
from textdet.common.letters import leaves_ink
from textdet.common.pictures import encode_picture


def test_signed_area_is_positive_clockwise():
    quad = np.array([[1000, 2000], [1030, 2000], [1030, 2010], [1000, 2010]])
    assert signed_area(quad) == 300 and signed_area(quad[::-1]) == -300
    flat = np.array([[1000.1, 2000.3], [1000.2, 2000.6], [1000.3, 2000.9]])
    assert abs(signed_area(flat)) < 1e-6  # far from the origin, too


def test_sides_run_from_each_corner_to_the_next():
    quad = np.array([[0, 0], [4, 0], [4, 3], [0, 3]], np.float32)
    np.testing.assert_array_equal(side_lengths(quad), [4, 3, 4, 3])
    np.testing.assert_array_equal(side_lengths(np.stack([quad, 2 * quad]))[1], [8, 6, 8, 6])


@pytest.mark.parametrize("length", [1, 99, 100, 101, 190, 191, 1000])
@pytest.mark.parametrize("overlap", [0, 10, 50, 99])
def test_tiles_cover_everything_and_overlap(length, overlap):
    starts = tile_starts(length, 100, overlap)
    assert starts[0] == 0 and starts[-1] == max(0, length - 100)
    steps = np.diff(starts)
    assert (steps > 0).all() and (steps <= 100 - overlap).all()
    assert not len(steps) or np.ptp(steps) <= 1


def test_a_file_appears_whole_or_stays_what_it_was(tmp_path, monkeypatch):
    """However little of it the disk takes, and until the last moment."""
    path, rename, renamed = tmp_path / "a.json", os.replace, []

    def look_first(beside, *args):
        renamed.append((beside.read_text(), path.read_text() if path.exists() else None))
        rename(beside, *args)

    monkeypatch.setattr(os, "replace", look_first)
    write_atomically(path, "first")
    write_atomically(path, "second")
    assert renamed == [("first", None), ("second", "first")]

    def write_half(file, data):
        with file.open("wb") as stream:
            stream.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "third")
    assert path.read_text() == "second" and list(tmp_path.iterdir()) == [path]


def test_a_file_that_two_processes_of_one_number_write_at_a_time(tmp_path, monkeypatch):
    """As in containers that share a folder: the other one writes it between two steps of ours."""
    path, rename = tmp_path / "a.json", os.replace

    def let_the_other_write(beside, *args):
        monkeypatch.setattr(os, "replace", rename)
        write_atomically(path, "theirs")
        assert path.read_text() == "theirs"
        assert beside.exists() and beside.read_text() == "ours"
        rename(beside, *args)

    monkeypatch.setattr(os, "replace", let_the_other_write)
    write_atomically(path, "ours")
    assert path.read_text() == "ours" and list(tmp_path.iterdir()) == [path]


def test_a_file_whose_unfinished_one_another_process_deletes(tmp_path, monkeypatch):
    """As start_folder does with what a killed run left."""
    path, rename = tmp_path / "a.json", os.replace

    def let_the_other_delete(beside, *args):
        monkeypatch.setattr(os, "replace", rename)
        beside.unlink()
        rename(beside, *args)

    monkeypatch.setattr(os, "replace", let_the_other_delete)
    write_atomically(path, "whole")
    assert path.read_text() == "whole" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no folder" / "a.json", "whole")


def test_fingerprints(tmp_path):
    parts = ["имя", b"\x00\xff", "\udce4"]  # also of a name that is not UTF-8
    whole = b"".join(p if isinstance(p, bytes) else p.encode(errors="surrogatepass") for p in parts)
    assert fingerprint(parts) == hashlib.sha256(whole).hexdigest()[:16]
    (tmp_path / "file").write_bytes(whole)
    assert file_digest(tmp_path / "file") == hashlib.sha256(whole).digest()
    places = [spread(f"0/{number}") for number in range(1000)]
    assert min(places) >= 0 and max(places) < 1 and abs(np.mean(places) - 0.5) < 0.05


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("a.jpg:\nno image"), "a.jpg: no image"),
        (OSError(28, "No space left on device", "a.jpg"), "No space left on device: 'a.jpg'"),
        (MemoryError(), "the memory is too small"),
        (ImportError("libx.so: failed to map segment from shared object"), "is too small"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_code_2(error, said, capsys, monkeypatch):
    def main():
        raise error

    monkeypatch.setattr(sys, "argv", ["/home/me/tune.py"])
    with pytest.raises(SystemExit) as ended:
        run_main(main)
    out, line = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and line.count("\n") == 1
    assert line.startswith("tune.py: error: ") and said in line


@pytest.mark.parametrize("error", [ValueError("a slip of ours"), ImportError("no module x")])
def test_a_fault_of_the_project_is_not_taken_for_the_users(error):
    def main():
        raise error

    with pytest.raises(type(error), match=str(error)):
        run_main(main)


def test_help_tells_a_default_once():
    parser = ArgumentParser(prog="a")
    for default, text in ((3, "px"), (None, "px"), (False, "px"), ([], "px")):
        parser.add_argument(f"--with_{default}", default=default, help=text)
    parser.add_argument("--named", default=7, help="px; Default: seven")
    found = parser.format_help()
    assert "px (default: 3)" in found and found.count("default:") == 1 and "Default: seven" in found


def test_what_an_encoder_refuses_is_a_data_error():
    long = np.zeros((3, 70_000, 3), np.uint8)
    with pytest.raises(DataError, match=r"70000x3 px cannot be written as \.jpg"):
        encode_image(long, ".jpg")
    assert encode_image(long, ".png") and encode_picture(long)  # a picture for people is shrunk


def test_lines_for_a_terminal_hold_no_escapes():
    assert one_line("a\x1b[2J\nskipped:\u202e b\udce9 я漢") == (
        r"a\x1b[2J skipped:\u202e b\udce9 я漢"
    )


@pytest.mark.parametrize(
    ("letters", "ink"), [("aя漢!-_\u0301", True), (" \u00ad\u200b\u200f\ufeff\ufe0f\u3164", False)]
)
def test_characters_without_ink(letters, ink):
    assert all(leaves_ink(letter) == ink for letter in letters)


@pytest.mark.parametrize("buffered", ["", "1"])
def test_an_output_that_nobody_reads_is_one_line(buffered):
    code = "from textdet.common.cli import run_main; run_main(lambda: print('1 word'))"
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as stdout:
        env = {**os.environ, "PYTHONUNBUFFERED": buffered}
        command = [sys.executable, "-c", code]
        ended = subprocess.run(
            command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT
        )
    assert_refused(ended, "Broken pipe")


def test_a_script_whose_standard_error_is_closed_does_its_work(monkeypatch):
    done = []
    monkeypatch.setattr(sys, "stderr", None)
    run_main(lambda: done.extend(progress_bar([1, 2])))
    assert done == [1, 2]


def test_a_closed_standard_input_holds_no_image(monkeypatch):
    problems = []
    monkeypatch.setattr(sys, "stdin", None)
    assert find_pages([STDIN], problems) == [] and problems == ["standard input: it is closed"]
