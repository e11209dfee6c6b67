"""generate_images.py as its users run it."""

import json
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, assert_refused, contents, run
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image

import generate_images
import generate_utils
from static import constants as C
from textdet.data import chunked_folder
from textdet.data.heatmaps import draw_heatmaps
from textdet.data.preview import write_preview
from textdet.data.triplets import read_samples, read_triplet
from textdet.decoding.metrics import polygon_ious
from textdet.synth import backgrounds
from textdet.synth.fonts import open_fonts
from textdet.synth.settings import GeneratorSettings

SMALL = ("--image_size", 160, "--chunk_size", 3, "--seed", 7)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "data"
    result = run(
        "generate_images.py",
        "--num_images",
        10,
        "--save_folder",
        folder,
        *SMALL,
        "--num_workers",
        1,
    )
    assert result.returncode == 0, result.stderr
    for said in ("10 images made", "words: ", "px high:", "workers together", "heatmaps: "):
        assert said in result.stdout
    return folder


def test_same_bytes_with_two_workers_and_other_chunks(reference, tmp_path):
    folder = tmp_path / "data"
    args = ("--num_images", 10, "--save_folder", folder, "--image_size", 160, "--seed", 7)
    assert run("generate_images.py", *args, "--chunk_size", 4, "--num_workers", 2).returncode == 0
    lines = [
        "".join(path.read_text() for path in sorted((place / "annotations").iterdir()))
        for place in (folder, reference)
    ]
    assert lines[0] == lines[1]
    for name in ("images", "character_heatmaps", "affinity_heatmaps"):
        assert contents(folder / name) == contents(reference / name)


@contextmanager
def running(*args):
    """The script in a process group of its own, which is killed at the end, its output piped."""
    process = subprocess.Popen(
        [sys.executable, "generate_images.py", *map(str, args)],
        cwd=ROOT,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell makes what it starts with & ignore Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(condition):
    """Wait until it holds; bounded, in case it never does."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen within two minutes")


def files_in(folder):
    return sum(path.is_file() for path in folder.rglob("*"))


def workers_of(process):
    """Ids of the worker processes that the script has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list a process's children in /proc")
    found = children.read_text().split()
    return [int(i) for i in found if b"spawn_main" in Path(f"/proc/{i}/cmdline").read_bytes()]


def test_goes_on_after_kills_and_extends(reference, tmp_path, run_here):
    """Killed with its workers at three moments, started again, then extended."""
    folder = tmp_path / "data"
    args = ("--save_folder", folder, *SMALL, "--num_workers", 1, "--num_images")
    # Files that are there: at the very start, within two chunks at a time, in a later chunk.
    for count, workers in ((1, 1), (6, 2), (17, 1)):
        with running(*args, 8, "--num_workers", workers) as process:
            wait_for(lambda count=count: files_in(folder) >= count or process.poll() is not None)
    (folder / "images" / "00000007.jpg").write_bytes(b"half an image")  # of an unfinished chunk
    (folder / "annotations" / "00002.jsonl").unlink(missing_ok=True)
    (folder / "annotations" / ".00002.jsonl.99999.textdet-tmp").write_bytes(b"half a chunk")
    (folder / ".dataset.json.99999.textdet-tmp").write_bytes(b"{")
    for count in (8, 10):
        result = run_here("generate_images.py", *args, count)
        assert result.returncode == 0, result.stderr
        assert "going on" in result.stdout
    assert contents(folder) == contents(reference)


def test_killed_before_the_record_is_written(tmp_path, run_here):
    """A folder that holds nothing but a half-written record can be begun again."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / ".dataset.json.99999.textdet-tmp").write_bytes(b"{")
    args = ("--num_images", 1, "--image_size", 96, "--num_workers", 1, "--save_folder", folder)
    assert run_here("generate_images.py", *args).returncode == 0
    assert not list(folder.glob(".*"))


def test_ctrl_c_ends_all_processes(tmp_path):
    folder = tmp_path / "data"
    args = ("--num_images", 400, "--chunk_size", 100, "--num_workers", 2, "--save_folder", folder)
    with running(*args) as process:
        wait_for(lambda: list(folder.glob("images/*.jpg")) and len(workers_of(process)) == 2)
        workers = workers_of(process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert errors.strip().endswith("interrupted; the same command continues")
        assert "Traceback" not in errors
        wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_killed_worker_is_one_line(tmp_path):
    folder = tmp_path / "data"
    args = ("--num_images", 400, "--chunk_size", 100, "--num_workers", 2, "--save_folder", folder)
    with running(*args) as process:
        wait_for(lambda: list(folder.glob("images/*.jpg")))
        os.kill(workers_of(process)[0], signal.SIGKILL)
        out, errors = process.communicate(timeout=60)
    result = subprocess.CompletedProcess(process.args, process.returncode, out, errors)
    assert_refused(result, "a worker process was killed", "the same command goes on")
    assert "workers" in errors.splitlines()[-1]


def test_full_disk_is_one_line_and_goes_on(reference, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        args = ("--save_folder", disk / "data", *SMALL, "--num_images", 10, "--num_workers", 2)
        result = run("generate_images.py", *args)
        assert_refused(result, "No space left on device", "the same command continues")
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert run("generate_images.py", *args).returncode == 0
        assert contents(disk / "data") == contents(reference)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_scheduler_that_lacks_the_project_is_one_line(tmp_path):
    """One that was started elsewhere, without PYTHONPATH."""
    found = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    command += ["--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", str(found)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as scheduler:
        try:
            while not found.exists():
                assert scheduler.poll() is None
                time.sleep(0.2)
            result = run(
                "generate_images.py", "--num_images", 2, "--save_folder", tmp_path / "data", *SMALL,
                "--cluster", json.loads(found.read_text())["address"],
            )  # fmt: skip
        finally:
            scheduler.terminate()
    assert_refused(result, "scheduler", "PYTHONPATH")


def test_annotations_and_heatmaps_agree(reference):
    samples, problems = read_samples(reference)
    assert [sample.file for sample in samples] == [f"{i:08d}.jpg" for i in range(10)]
    assert not problems and sum(len(sample.words) for sample in samples) > 15
    for sample in samples:
        image, maps = read_triplet(sample)
        assert image.shape == (160, 160, 3)
        again = draw_heatmaps([w.quads for w in sample.words if not w.ignore], 160, 160)
        assert np.abs(again.astype(int) - maps).max() <= 12  # the file's points are rounded
        assert np.abs(again.astype(int) - maps).mean() < 0.1
        for word in sample.words:
            assert word.text == "".join(word.characters) and len(word.quads) == len(word.characters)
            assert (word.polygon >= -0.01).all() and (word.polygon <= 160.01).all()
        polygons = [word.polygon for word in sample.words]
        overlap = polygon_ious(polygons, polygons) - np.eye(len(polygons))
        assert overlap.max(initial=0) < 0.35  # neighbours of tight lines may touch


def test_preview_and_record(reference):
    record = json.loads((reference / "dataset.json").read_text())
    assert record["seed"] == 7 and record["counts"]["images"] == 10
    assert (reference / "preview.jpg").stat().st_size > 10_000


def test_a_preview_without_an_image_that_somebody_has_deleted(reference, tmp_path, capsys):
    """Such a folder was made further to its end, and then refused."""
    folder = shutil.copytree(reference, tmp_path / "data")
    (folder / "preview.jpg").unlink()
    (folder / "images/00000000.jpg").unlink()
    write_preview(folder)
    assert "left out: " in (said := capsys.readouterr().err) and "00000000.jpg: no such" in said
    assert (folder / "preview.jpg").stat().st_size > 10_000


def test_other_settings_stop_unless_overwritten(reference, tmp_path, run_here):
    folder = tmp_path / "data"
    args = ("--num_images", 2, "--save_folder", folder, "--image_size", 96, "--num_workers", 1)
    assert run_here("generate_images.py", *args).returncode == 0
    result = run_here("generate_images.py", *args, "--seed", 1)
    assert_refused(result, "seed (0 there, 1 now)")
    before = contents(folder / "images")
    assert run_here("generate_images.py", *args, "--seed", 1, "--overwrite").returncode == 0
    assert contents(folder / "images") != before
    stranger = tmp_path / "holiday"
    stranger.mkdir()
    (stranger / "photo.jpg").write_bytes(b"precious")
    result = run_here("generate_images.py", "--save_folder", stranger, "--overwrite")
    assert_refused(result, "was not made by this script")
    assert (stranger / "photo.jpg").read_bytes() == b"precious"


def damaged_font():
    """A font file that opens, and then fails at some of its glyphs."""
    rng = np.random.default_rng(1)
    data = bytearray((C.FONTS / "play" / "Play-Regular.ttf").read_bytes())
    entry = data.index(b"glyf")  # of the table of outlines, in the file's directory
    start, length = struct.unpack(">II", data[entry + 8 : entry + 16])
    for place in rng.integers(start, start + length, 3000):
        data[place] = rng.integers(256)
    return bytes(data)


def test_own_material_with_damaged_files(tmp_path, run_here):
    fonts, backgrounds = tmp_path / "fonts", tmp_path / "backgrounds"
    fonts.mkdir(), backgrounds.mkdir()
    (fonts / "good.ttf").write_bytes((C.FONTS / "play" / "Play-Regular.ttf").read_bytes())
    (fonts / "bad.ttf").write_bytes(b"not a font at all")
    (fonts / "noise.ttf").write_bytes(damaged_font())
    photo = sorted(C.BACKGROUNDS.glob("*.jpg"))[0].read_bytes()
    (backgrounds / "good.jpg").write_bytes(photo)
    (backgrounds / "bad.jpg").write_bytes(photo[:900])
    for name, size in (("icon.png", (5, 5)), ("banner.png", (3000, 20))):
        Image.new("RGB", size).save(backgrounds / name)
    sign = sorted((C.STATIC / "photos").glob("*.jpg"))[0]
    (backgrounds / "street").mkdir()
    shutil.copy(sign, backgrounds / "street/sign.jpg")
    words = tmp_path / "words.txt"
    words.write_text("alpha\nbeta\n", encoding="utf-8")
    folder = tmp_path / "data"
    own = ("--fonts", fonts, "--backgrounds", backgrounds, "--words", words)
    args = ("--num_images", 3, "--save_folder", folder, "--image_size", 160, "--num_workers", 1)
    result = run_here("generate_images.py", *args, *own)
    assert result.returncode == 0, result.stderr
    for name in ("bad.ttf", "noise.ttf", "bad.jpg", "icon.png", "banner.png"):
        assert f"{name}: " in result.stderr
    assert "sign.jpg (" in result.stderr and "good.jpg (" not in result.stderr
    assert "2 of 2 backgrounds searched for text: 1 may have some" in result.stdout
    assert f"detect.py --recursive {backgrounds} shows the words" in result.stdout
    found = {word.text.lower() for s in read_samples(folder)[0] for word in s.words}
    assert any("alpha" in text or "beta" in text for text in found)


def test_workers_are_sent_the_photographs_names_once(tmp_path, monkeypatch):
    """Sent with each chunk, 50,000 of them took half as long as its images."""
    photos = tuple(tmp_path / f"{number}.jpg" for number in range(5000))
    folder = tmp_path / "data"
    job = generate_utils.Job(folder, GeneratorSettings(), 0, 64, photos, (), C.WORDS)
    sent = []

    def run_calls(function, calls, *_, shared):
        assert function is generate_utils.run_chunk and shared == (job,)
        sent.extend(map(pickle.dumps, calls))
        return [({"images": 2}, Counter())] * len(sent)

    for module in (generate_images, generate_utils):
        monkeypatch.setattr(module, "run_calls", run_calls)
    monkeypatch.setattr(sys, "argv", ["generate_images.py", "--save_folder", str(folder)])
    chunks = chunked_folder.cut_chunks(folder, range(4), 2)
    args = generate_images.parse_arguments()
    folder.mkdir()
    generate_images.make_images(args, job, {}, chunks, set(), [])
    generate_utils.fill_job(job, 4, {}, 2)
    assert len(sent) == 3 and max(map(len, sent)) < 1000


def test_large_photographs_are_checked_at_the_size_that_they_are_used_at(tmp_path, monkeypatch):
    """There may be thousands, which are checked before every run."""
    read, decoded = backgrounds.read_image, []

    def spy(*args, **options):
        decoded.append(read(*args, **options))
        return decoded[-1]

    monkeypatch.setattr(backgrounds, "read_image", spy)
    for name, size in (("large", (1600, 800)), ("narrow", (1600, 40))):
        Image.new("RGB", size).save(tmp_path / f"{name}.jpg")
    large, narrow = (tmp_path / "large.jpg", tmp_path / "narrow.jpg")
    (tmp_path / "cut.jpg").write_bytes(large.read_bytes()[:-1500])
    paths = [large, narrow, tmp_path / "cut.jpg"]
    usable, problems = backgrounds.check_backgrounds(paths, 200)
    assert usable == [large] and len(problems) == 2
    assert problems[0].endswith("narrow.jpg: 1600x40 px is too small or too narrow")
    assert [image.shape for image in decoded] == [(100, 200, 3), (5, 200, 3)]


def test_a_folder_within_the_backgrounds_does_not_become_one(tmp_path, run_well_here):
    shutil.copy(sorted(C.BACKGROUNDS.glob("*.jpg"))[0], tmp_path)
    command = ("generate_images.py", "--backgrounds", tmp_path, "--image_size", 96)
    command += ("--num_workers", 1, "--save_folder", tmp_path / "made", "--num_images")
    run_well_here(*command, 2, "--no-check_backgrounds")
    before = contents(tmp_path / "made")
    assert (
        "searched for text" not in run_well_here(*command, 2).stdout
    )  # that was the start's matter
    assert contents(tmp_path / "made") == before
    run_well_here(*command, 2, "--overwrite", "--no-check_backgrounds")
    assert contents(tmp_path / "made") == before


@pytest.mark.parametrize(
    ("words", "script"),
    [("सूर्य नमस्ते भाषा", "Devanagari"), ("তারা নদী", "Bengali"), ("漢字 東京", "ink")],
)
def test_a_script_that_no_font_can_set_is_refused(words, script, tmp_path, run_here):
    """The shipped fonts have neither the letters nor the shaping rules."""
    path, folder = tmp_path / "words.txt", tmp_path / "data"
    path.write_text(words, encoding="utf-8")
    result = run_here(
        "generate_images.py", "--num_images", 1, "--words", path, "--save_folder", folder
    )
    assert_refused(result, "no font can draw the words", script)
    assert not folder.exists()


def test_arabic_is_refused_by_fonts_without_it(tmp_path, run_here):
    """DejaVu Sans Bold, which is shipped, has Arabic; a folder without it is refused."""
    path = tmp_path / "words.txt"
    path.write_text("مرحبا سلام كتاب", encoding="utf-8")
    args = ("--num_images", 4, "--image_size", 160, "--num_workers", 1, "--words", path)
    play = (*args, "--fonts", C.FONTS / "play", "--save_folder", tmp_path / "play")
    assert_refused(run_here("generate_images.py", *play), "no font can draw the words", "Arabic")
    dejavu = (*args, "--fonts", C.FONTS / "dejavu-core", "--save_folder", tmp_path / "dejavu")
    assert run_here("generate_images.py", *dejavu).returncode == 0
    words = [word for s in read_samples(tmp_path / "dejavu")[0] for word in s.words]
    assert any("\u0600" <= letter <= "\u06ff" for word in words for letter in word.text)


def test_nothing_but_ones_own_words(tmp_path, run_here):
    """Also with a preset, and --set has the last word."""
    path, folder = tmp_path / "words.txt", tmp_path / "data"
    path.write_text("199 ₽\nrye bread\nmilk\n", encoding="utf-8")
    command = ("generate_images.py", "--num_images", 6, "--image_size", 256, "--num_workers", 1)
    command += ("--words", path, "--only_words", "--preset", "documents", "--save_folder", folder)
    result = run_here(*command, "--set", "EMPTY_PROBABILITY=0")
    assert result.returncode == 0 and "100%" in result.stdout, result.stderr
    samples = read_samples(folder)[0]
    texts = {word.text.lower() for sample in samples for word in sample.words}
    assert texts and texts <= {"199", "₽", "rye", "bread", "milk"}
    assert {sample.extra["kind"] for sample in samples} == {"scene"}
    shown = run_here(
        "generate_images.py", "--preset", "labels", "--set", "BLOCKS=[1,2]", "--show_settings"
    )
    assert "EMPTY_PROBABILITY = 0.02" in shown.stdout and "BLOCKS = [1, 2]" in shown.stdout
    assert_refused(run_here("generate_images.py", "--preset", "cards"), "labels", "signs")


def test_lines_that_were_not_drawn_are_shown_short_and_printable(tmp_path, monkeypatch, capsys):
    path = tmp_path / "words.txt"
    path.write_text(f"\x1b[31mred\n{'M' * 300}\n", encoding="utf-8")
    monkeypatch.setattr(generate_images, "iterate_samples", lambda folder: [])
    args = SimpleNamespace(words=path, save_folder=tmp_path)
    generate_images.print_list_usage(args, GeneratorSettings())
    said = capsys.readouterr().out
    assert f"2 of its 2 lines were not drawn: \\x1b[31mred, {'M' * 40}\n" in said


def test_a_folder_of_photographs_is_not_written_into(tmp_path, run_here):
    """Nor is it said that there is no photograph in it."""
    photo = tmp_path / "photos" / "a.png"
    photo.parent.mkdir()
    Image.new("RGB", (90, 90), "red").save(photo)
    for folder in (photo.parent, tmp_path):
        command = ("generate_images.py", "--backgrounds", photo.parent, "--save_folder", folder)
        assert_refused(run_here(*command, "--overwrite"), f"{photo.parent} is only read from")
    assert [path.name for path in tmp_path.rglob("*.*")] == ["a.png"]


def test_a_setting_that_the_camera_refuses_is_one_line(tmp_path):
    """Constants are there to be changed; `python -c` stands in for a changed file."""
    code = (
        "import sys; from static import constants; constants.JPEG_AGAIN = 35, 190\n"
        f"sys.argv = ['generate_images.py', '--save_folder', {str(tmp_path / 'new')!r}]\n"
        "import generate_images as script; script.run_main(script.main)"
    )
    assert_refused(run("-c", code), "constants.py", "JPEG_AGAIN must be between 1 and 100, not 190")


def test_the_summary_says_what_was_dropped_and_why(tmp_path, run_here):
    """Words too long for any image: in the terminal, dataset.json and the annotations alike."""
    path, folder = tmp_path / "words.txt", tmp_path / "data"
    path.write_text("W" * 60 + "\n" + "M" * 50, encoding="utf-8")
    result = run_here(
        "generate_images.py", "--num_images", 6, "--image_size", 128, "--num_workers", 1,
        "--words", path, "--save_folder", folder,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "left out: 2 words" in result.stderr and "too long for images of 128 px" in result.stderr
    dropped = json.loads((folder / "dataset.json").read_text())["counts"]["dropped blocks"]
    noted = Counter()
    for sample in read_samples(folder)[0]:
        noted.update(sample.extra.get("dropped", {}))
    assert dropped == noted and "too large for the image" in dropped
    assert f"blocks of text dropped: {sum(dropped.values())}" in result.stdout
    for reason, number in dropped.items():
        assert f"{number} {reason}" in result.stdout


def with_cmap(path, encoding, mapped):
    """A font whose letters A to z have the glyphs of other characters.

    mapped: takes a letter's code, gives that in the font and that of the other character.
    """
    font = TTFont(next(C.FONTS.rglob("DejaVuSans-Bold.ttf")))
    glyphs, (table, *_) = font.getBestCmap(), font["cmap"].tables
    codes = dict(map(mapped, range(ord("A"), ord("z") + 1)))
    table.platformID, table.platEncID = 3, encoding
    table.cmap = {code: glyphs[other] for code, other in codes.items() if other in glyphs}
    font["cmap"].tables = [table]
    font.save(path)


def test_fonts_words_and_photographs_of_every_kind(tmp_path, monkeypatch):
    """A collection's faces and fonts behind a link are used; other kinds, links that lead nowhere
    and what is never drawn named."""
    fonts, photos, words = tmp_path / "fonts", tmp_path / "photos", tmp_path / "words.txt"
    fonts.mkdir()
    collection = TTCollection()
    names = ("DejaVuSans-Bold.ttf", "NotoSans-Regular.ttf")
    collection.fonts = [TTFont(path) for name in names for path in C.FONTS.rglob(name)]
    collection.save(fonts / "both.ttc")
    (fonts / "web.woff2").write_bytes(b"wOF2")
    (fonts / "._both.ttc").write_bytes(b"Mac OS X")  # beside each file on a foreign disk
    (fonts / "more").symlink_to(C.FONTS / "play")
    with_cmap(fonts / "signs.ttf", 0, lambda letter: (0xF000 + letter, 0x2701 + letter % 64))
    with_cmap(fonts / "last.ttf", 1, lambda letter: (letter, 0x25A1))
    photos.mkdir()
    pages = [Image.new("RGB", (90, 90), colour) for colour in ("red", "blue")]
    pages[0].save(photos / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(photos / "old.jfif", "JPEG")
    (photos / "phone.heic").touch()
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "sub").symlink_to(".")
    plain = [f"word{chr(0x61 + i)}" for i in range(20)]
    marked = ["mi\u200bd", "so\u00adft", "en\u200e", "\ufeffbom\ufeff"]
    words.write_text("\n".join([*plain, *marked, "漢字", "M" * 300]), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["generate_images.py"])
    args = generate_images.parse_arguments()
    args.fonts, args.backgrounds, args.words = fonts, photos, words
    args.save_folder = photos / "data"
    job, problems = generate_images.prepare(args, GeneratorSettings())
    text = "\n".join(problems)
    for line in (
        "web.woff2: a font of another kind",
        "signs.ttf: not a usable font (a symbol font",
        "last.ttf: one sign for many letters",
        "1 words of",
        "no font has all their characters: 漢字",
        "however small: MMM",
        "1 .heic",
        "loop.jpg: not a readable image",
        "scan.tif: 1 of its 2 pages",
    ):
        assert line in text
    assert len(problems) == 8
    assert [path.name for path in job.backgrounds] == ["old.jfif", "scan.tif"]
    assert [path.name for path in job.fonts] == ["both.ttc", "Play-Regular.ttf"]
    found = open_fonts(job.fonts[0])
    assert [font.name for font in found] == ["both", "both_1"]
    assert all(found[0].supports(word) and found[1].supports(word) for word in marked)
    assert [font._face.family_name for font in found] == [b"DejaVu Sans", b"Noto Sans"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--num_images", "0"), "must be at least 1"),
        (("--num_images", "many"), "is not a whole number"),
        (("--fonts", "nowhere"), "no such folder"),
        (("--words", "nowhere.txt"), "no such file"),
        (("--colour", "red"), "unrecognized arguments"),
        (("--fonts", "EMPTY"), "no usable font"),
        (("--backgrounds", "EMPTY"), "no image"),
        (("--backgrounds", "BROKEN"), "none of the 1 backgrounds can be read"),
        (("--fonts", "BROKEN"), "no sound font"),
        (("--save_folder", "/dev/null/data"), "cannot be written"),
        (("--save_folder", "README.md"), "is not a folder"),
        (("--cluster", "tcp://127.0.0.1:9"), "no Dask scheduler answers there"),
    ],
)
def test_bad_input(args, message, tmp_path, run_here):
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "photo.jpg").write_bytes(b"not an image")
    (broken / "noise.ttf").write_bytes(damaged_font())
    places = {"EMPTY": str(empty), "BROKEN": str(broken)}
    args = [places.get(arg, arg) for arg in args]
    result = run_here("generate_images.py", "--save_folder", tmp_path / "data", *args)
    assert_refused(result, message)
    assert not list(tmp_path.glob("data/images/*"))
