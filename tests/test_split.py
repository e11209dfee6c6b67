"""Images that a model was tested on are those that tune.py and evaluate.py judge it by."""

import argparse
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from easy_images import write_images

from evaluate import choose_samples
from textdet.common.errors import DataError
from textdet.data.annotation import Sample
from textdet.data.held_out import (
    Record,
    find_held_out,
    find_unseen,
    list_held_out,
    read_record,
    record_of,
    still_held_out,
)
from textdet.data.splits import split_samples
from textdet.data.triplets import read_samples
from textdet.training.data import find_samples
from textdet.training.options import DataArguments, ModelArguments
from train_utils import describe_run, model_before
from tune import find_test_samples, split_rows


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    """Images whose annotations name one of eight fonts each."""
    folder = tmp_path_factory.mktemp("split") / "fonts"
    write_images(folder, 24)
    path = folder / "annotations/00000.jsonl"
    lines = [json.loads(line) for line in path.open()]
    lines = [line | {"fonts": [f"font{i % 8}"]} for i, line in enumerate(lines)]
    path.write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture
def model(fonts, tmp_path):
    """A model's folder as train.py --unseen fonts leaves it, and the files that it tested on."""
    data_args = DataArguments(input_dir=[str(fonts)], unseen=["fonts"], max_eval_samples=2)
    split = find_samples(data_args, Record())
    assert len(split.validation) == 2  # more than these are held out
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "training.json").write_text(json.dumps(split.record.to_json()))
    return folder, split.record.held_out[fonts.name]


def tuned_on(folders, model, **flags):
    args = argparse.Namespace(
        **{"input_dir": folders, "model_dir": model, "test_size": 0.1, "max_samples": 500} | flags
    )
    return [sample.file for sample in find_test_samples(args)]


def judged_by(folder, model, split="test"):
    args = argparse.Namespace(input_dir=folder, split=split, max_samples=None)
    return [s.file for s in choose_samples(args, [model], read_samples(folder)[0])[0]]


def test_the_split_of_the_training_is_kept(fonts, model, tmp_path, capsys):
    folder, files = model
    samples = read_samples(fonts)[0]
    names = {s.file: s.extra["fonts"][0] for s in samples}
    held = {names[file] for file in files}
    assert len(held) == 1 and sorted(files) == sorted(f for f in names if names[f] in held)
    moved = Path(shutil.copytree(fonts, tmp_path / "elsewhere" / fonts.name))
    renamed = Path(shutil.copytree(fonts, tmp_path / "renamed"))
    for place in (fonts, moved, renamed):
        assert set(tuned_on([place], folder)) == set(judged_by(place, folder)) == set(files)
    said = capsys.readouterr().out
    record = folder / "training.json"
    assert f"judged by the 3 of its 24 images that were held out (recorded in {record};" in said
    assert len(tuned_on([fonts], folder, test_size=1)) == len(judged_by(fonts, folder, "all")) == 24


def test_models_are_judged_by_what_none_of_them_has_seen(fonts, tmp_path, capsys):
    """Three that were trained on parts of the images, and one without a record."""
    samples = read_samples(fonts)[0]
    models = [tmp_path / name for name in "abcd"]
    for model, (start, end) in zip(models, [(0, 10), (5, 18), (18, 24)], strict=False):
        model.mkdir()
        record = record_of(samples[start:end], samples[:start] + samples[end:], [])
        (model / "training.json").write_text(json.dumps(record.to_json()))
    args = argparse.Namespace(input_dir=fonts, split="test", max_samples=2)
    kept, records = choose_samples(args, [models[0], models[1], models[3]], samples)
    assert [sample.file for sample in kept] == [sample.file for sample in samples[18:]]
    assert records == [models[0] / "training.json", models[1] / "training.json"]
    said = capsys.readouterr().out
    assert "the first 2 of the 6 of its 24 images that were held out" in said
    assert f"recorded in {records[0]}, {records[1]};" in said
    with pytest.raises(DataError, match="models, together, were trained on all images"):
        choose_samples(args, models[:3], samples)
    args.split = "all"
    assert choose_samples(args, models, samples) == (samples, [])
    assert "the first 2 of its 24 images, whether trained on or not" in capsys.readouterr().out
    other = read_samples(make_other(fonts, tmp_path / "other"))[0]
    args.split = "test"
    assert choose_samples(args, models, other) == (other, [])
    assert f"no record of the training of {models[3]}" in capsys.readouterr().out
    assert choose_samples(args, models[:1], other) == (other, [])
    assert "none is known to have been trained on" in capsys.readouterr().out


def make_other(folder, place):
    """Other images with the same annotations, as after another run of the generator."""
    other = Path(shutil.copytree(folder, place))
    for path in (other / "images").iterdir():
        path.write_bytes(path.read_bytes() + b"other")
    return other


@pytest.mark.parametrize("name", ["other", "fonts"])
def test_other_images_are_not_touched_by_it(fonts, model, tmp_path, name):
    """They are split by the images' names as before, or judged as a whole."""
    folder, _ = model
    other = make_other(fonts, tmp_path / name)
    assert len(judged_by(other, folder)) == 24
    files = tuned_on([other], folder)
    (folder / "training.json").unlink()
    assert tuned_on([other], folder) == files and 0 < len(files) < 12
    assert len(judged_by(fonts, folder)) == 24


def test_a_folder_that_has_grown_is_judged_by_its_new_images_too(fonts, model, tmp_path):
    folder, files = model
    grown = Path(shutil.copytree(fonts, tmp_path / "grown"))
    path = grown / "annotations/00000.jsonl"
    line = json.loads(path.read_text().splitlines()[0]) | {"file": "new.jpg"}
    path.write_text(path.read_text() + "\n" + json.dumps(line))
    (grown / "images/new.jpg").write_bytes((fonts / "images/0.jpg").read_bytes() + b"new")
    assert set(judged_by(grown, folder)) == {*files, "new.jpg"}
    copy = Path(shutil.copytree(fonts, tmp_path / "copy"))
    shutil.copy(copy / "images" / files[0], copy / "images/0.jpg")  # the other way round
    assert set(judged_by(copy, folder)) == {*files, "0.jpg"}


def test_a_record_of_an_older_version_knows_names(fonts, model, tmp_path):
    folder, files = model
    (folder / "training.json").write_text(json.dumps({"held_back": {fonts.name: files}}))
    other = make_other(fonts, tmp_path / "other")
    assert set(judged_by(fonts, folder)) == set(files) and len(judged_by(other, folder)) == 24
    # Trained further by this version, its first images stay known by their names.
    now = record_of(read_samples(other)[0][:20], read_samples(other)[0][20:], [])
    both = still_held_out(read_record(folder), now)
    (folder / "training.json").write_text(json.dumps(both.to_json()))
    assert set(judged_by(fonts, folder)) == set(files) and len(judged_by(other, folder)) == 4
    assert len(judged_by(make_other(other, tmp_path / "third"), folder)) == 24


def test_what_any_training_has_seen_is_known(fonts):
    """By what is in the files: of an earlier run, on neither side of the split, cut into pieces."""
    samples = read_samples(fonts)[0]
    train, held, others = samples[:9], samples[9:12], samples[12:15]
    before, now = record_of(train, held, others), record_of(samples[15:20], samples[20:], [])
    assert find_unseen(before, samples[:15]) == held
    assert find_unseen(still_held_out(before, now), samples) == [*held, *samples[20:]]
    pieces = [
        Sample(fonts.parent / "labelled", f"{i}.jpg", 9, 9, [], {"piece_of": sample.origin})
        for i, sample in enumerate(samples[:12])
    ]
    assert find_unseen(before, pieces) == pieces[9:]


def test_a_checkpoint_knows_what_its_run_holds_out(fonts, model):
    folder, files = model
    checkpoint = folder / "checkpoint-20"
    checkpoint.mkdir()
    assert set(judged_by(fonts, checkpoint)) == set(files)


def test_what_the_first_model_has_seen_is_not_validated_with(fonts, tmp_path, capsys):
    """The folder's new name splits it anew."""
    renamed = Path(shutil.copytree(fonts, tmp_path / "renamed"))
    before = find_samples(DataArguments(input_dir=[str(fonts)], test_size=0.5), Record())
    after = find_samples(DataArguments(input_dir=[str(renamed)], test_size=0.5), before.record)
    held = {sample.file for sample in before.validation}
    assert after.validation and {sample.file for sample in after.validation} < held
    assert "not validated with" in capsys.readouterr().out
    everything = record_of(read_samples(fonts)[0], [], [])
    flattered = find_samples(DataArguments(input_dir=[str(renamed)]), everything)
    assert flattered.validation and "scores flatter" in capsys.readouterr().out


def test_copies_of_what_is_trained_on_are_not_validated_with(fonts, tmp_path):
    """As blank pieces of scans are; nor where the run goes on, which then knows them."""
    folder = Path(shutil.copytree(fonts, tmp_path / "copies"))
    data_args = DataArguments(input_dir=[str(folder)], test_size=0.5)
    split = find_samples(data_args, Record())
    copy, *others = split.validation
    shutil.copyfile(split.train[0].image_path, copy.image_path)
    first = find_samples(data_args, Record())
    again = find_samples(data_args, first.record)
    for found in (first, again):
        assert [s.file for s in found.validation] == [s.file for s in others]


def test_real_images_without_characters_are_tuned_on_all(fonts, model, tmp_path):
    """Also when convert_dataset.py has written them, with heatmaps that are empty."""
    own = make_other(fonts, tmp_path / "own")
    path = own / "annotations/00000.jsonl"
    lines = [json.loads(line) for line in path.open()]
    for word in (word for line in lines for word in line["words"]):
        del word["characters"]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert len(tuned_on([own], model[0])) == 24


def test_of_two_folders_with_one_name_no_trained_image_is_held_back(tmp_path):
    a, b = (
        [Sample(tmp_path / side / "synt", f"{i}.jpg", 64, 64, []) for i in range(4)]
        for side in "ab"
    )
    assert list_held_out([*a[:2], *b[1:3]], [*a[2:], b[0], b[3]]) == {"synt": ["3.jpg"]}


def test_a_folder_trained_on_as_a_whole_is_not_judged_as_unseen(fonts, tmp_path):
    samples = read_samples(fonts)[0]
    others = [Sample(tmp_path / "others", f"{i}.jpg", 64, 64, []) for i in range(2)]
    record = {"held_back": list_held_out([*samples, others[0]], others[1:])}
    assert record["held_back"] == {"fonts": [], "others": ["1.jpg"]}
    (tmp_path / "training.json").write_text(json.dumps(record))
    for judge in (lambda: judged_by(fonts, tmp_path), lambda: find_held_out(tmp_path, samples)):
        with pytest.raises(DataError, match="trained on all images"):
            judge()
    assert len(judged_by(fonts, tmp_path, split="all")) == len(samples)
    assert find_held_out(tmp_path, others) == others[1:]


def test_what_the_first_model_was_trained_on_is_not_held_back(tmp_path):
    (tmp_path / "training.json").write_text(json.dumps({"held_back": {"fonts": ["1"]}}))
    now = {"fonts": ["1", "2"]}
    data = SimpleNamespace(train=[], validation=[], fingerprint="", record=Record(now))
    args = SimpleNamespace(output_dir=str(tmp_path), to_dict=dict)

    def held_back(start, checkpoint=None):
        before = model_before(start, checkpoint)
        record = read_record(before) if before else Record()
        return describe_run(start, DataArguments(), args, data, record)["held_back"]

    assert held_back(ModelArguments(str(tmp_path))) == {"fonts": ["1"]}
    assert held_back(ModelArguments("some/hub_name")) == now
    scratch = ModelArguments(str(tmp_path), from_scratch=True)
    assert held_back(scratch) == now
    assert held_back(scratch, checkpoint=str(tmp_path / "checkpoint-1")) == {"fonts": ["1"]}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "[" * 100_000,
        "1" * 5000,
        '{"held_back": 3}',
        '{"held_back": {"fonts": 3}}',
        '{"held_back": {"fonts": "1.jpg"}}',
        '{"held_back": {"fonts": [1]}}',
        '{"known_by_name": 3}',
        '{"trained_on": ["a"]}',
    ],
)
def test_a_damaged_record_is_one_line(fonts, tmp_path, content):
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(DataError, match="training.json: damaged"):
        find_held_out(tmp_path, read_samples(fonts)[0])


def test_a_run_that_goes_on_holds_back_what_it_never_saw(tmp_path):
    def held_back(**now):
        return still_held_out(read_record(tmp_path), Record(now)).held_out

    assert held_back(fonts=["1", "2"]) == {"fonts": ["1", "2"]}  # a new folder
    record = {"held_back": {"fonts": ["1", "2"], "gone": ["7"]}}
    (tmp_path / "training.json").write_text(json.dumps(record))
    # 3 was trained on before; gone is not trained on any longer; more is new.
    now = {"fonts": ["2", "3"], "more": ["5"]}
    assert held_back(**now) == {"fonts": ["2"], "more": ["5"], "gone": ["7"]}
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(DataError, match="training.json: damaged"):
        held_back()


def test_pieces_of_an_image_stay_on_one_side(tmp_path):
    def piece(number, part):
        extra = {"piece_of": f"words/{number}.jpg"}
        return Sample(Path(f"labelled{part % 2}"), f"{number}.{part}.jpg", 9, 9, [], extra)

    samples = [piece(number, part) for number in range(60) for part in (1, 2, 3)]
    train_side, test_side = split_samples(samples, 0.3)
    assert not {s.origin for s in train_side} & {s.origin for s in test_side}
    assert 10 <= len({s.origin for s in test_side}) <= 26 and len(test_side) % 3 == 0
    # Labelled again, or judged as they are, the images are on the same side.
    record = record_of(train_side, test_side, [])
    (tmp_path / "training.json").write_text(json.dumps(record.to_json()))
    images = [Sample(tmp_path / "words", f"{n}.jpg", 9, 9, []) for n in range(60)]
    tested = {sample.origin for sample in find_held_out(tmp_path, images)}
    assert tested == {sample.origin for sample in test_side}
    with pytest.raises(DataError, match="at least two images"):
        split_samples(samples[:3], 0.3)
    # tune.py halves what it tunes on likewise, though one piece could not be read.
    rows = [row for row in range(len(samples)) if row != 4]
    searched, held_back = split_rows(rows, samples)
    assert sorted(searched + held_back) == rows
    origins = [{samples[row].origin for row in half} for half in (searched, held_back)]
    assert not origins[0] & origins[1] and len(origins[0]) == len(origins[1]) == 30
