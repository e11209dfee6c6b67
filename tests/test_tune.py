"""tune.py: on a model with random weights for its files, on true maps for its search."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from conftest import SIZE, assert_refused, start

import tune
from textdet.common.errors import DataError
from textdet.data.annotation import ANNOTATIONS, CHARACTERS, Sample
from textdet.data.held_out import list_held_out
from textdet.data.triplets import read_samples, read_triplet
from textdet.decoding.decode import add_margin, decode_maps
from textdet.decoding.metrics import match_maps, summarise, truth_of
from textdet.decoding.settings import DECODERS, SETTINGS, DetectionSettings, load_settings
from textdet.tuning import maps as tune_maps
from textdet.tuning import plots as tune_plots
from textdet.tuning import scoring
from textdet.tuning import study as studies
from textdet.tuning.scoring import Point
from tune import find_test_samples, score

SMALL = ("--long_side", SIZE, "--test_size", "0.8", "--device", "cpu", "--min_images", 1)
HERE = DetectionSettings(long_side=SIZE)
LOW_TEXT, LINK = SETTINGS["low_text"].searched, SETTINGS["link_threshold"].searched


@pytest.fixture
def scorer(triplets, tmp_path):
    """Scores of settings on the triplets' own maps, each fainter than the next, and all of them too
    faint for the defaults."""
    samples = read_samples(triplets)[0]
    folder = tune_maps.MapFolder(tmp_path / "maps")
    folder.path.mkdir()
    for number, sample in enumerate(samples):
        share = 0.3 + 0.35 * number / len(samples)
        np.save(folder.file(number), (read_triplet(sample)[1] * share).astype(np.uint8))
    return scoring.Scorer({SIZE: folder}, list(range(len(samples))), samples)


@pytest.fixture
def study(tmp_path):
    return studies.open_study(None, tmp_path / "trials.log", "study", "key", HERE)


# --- The command -----------------------------------------------------------------------------


def test_two_processes_share_maps_and_study_from_nothing(triplets, model_dir):
    url = f"sqlite:///{model_dir / 'shared.db'}"
    command = ("tune.py", "--input_dir", triplets, "--model_dir", model_dir, *SMALL)
    shared = (*command, "--storage", url, "--study_name", "shared", "--n_jobs", 1)
    finish_both([start(*shared, "--n_trials", 12) for _ in range(2)])
    assert_shared(optuna.load_study(study_name="shared", storage=url), 12)
    (maps,) = (model_dir / "tune").glob("maps-*")
    numbers = [path.name for path in sorted(maps.glob("*.npy"))]
    assert len(numbers) == len(list(maps.iterdir())) - 1  # and a mark
    assert numbers == [f"{i:06d}.npy" for i in range(len(numbers))] and numbers
    assert all(np.load(maps / name).shape == (2, SIZE, SIZE) for name in numbers)

    record = json.loads((model_dir / "detection.json").read_text())
    assert record["n_trials"] in (12, 13) and record["settings"]["long_side"] == SIZE
    halves = [record["scores"][half] for half in ("searched", "held_back")]
    assert all(half["images"] >= 2 and {"default", "tuned"} <= set(half) for half in halves)
    assert load_settings(model_dir) == DetectionSettings(**record["settings"])
    for name in tune_plots.PLOTS:
        assert (model_dir / "tune" / f"{name}.png").stat().st_size > 1000

    journal = ("--storage", model_dir / "journal.log", "--n_jobs", 1, "--n_trials", 8)
    finish_both([start(*command, *journal) for _ in range(2)])
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(model_dir / "journal.log"))
    )
    (study,) = optuna.get_all_study_names(storage)
    assert_shared(optuna.load_study(study_name=study, storage=storage), 8)


def finish_both(processes):
    for process in processes:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors


def assert_shared(study, n_trials):
    trials = study.trials
    assert all(trial.state.is_finished() for trial in trials)
    assert len(trials) in (n_trials, n_trials + 1)  # the other process may have one under way


def test_goes_on_after_it_was_killed(triplets, model_dir, run_well_here):
    command = ("tune.py", "--input_dir", triplets, "--model_dir", model_dir, *SMALL)
    process = start(*command, "--n_trials", 100_000, "--n_jobs", 2)
    journal, deadline = model_dir / "tune" / "trials.log", time.monotonic() + 200
    while not journal.exists() or journal.read_text().count('"sweep"') < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)  # ends when the last worker has let go of the pipes
    result = run_well_here(*command, "--n_trials", 1, "--n_jobs", 1)
    assert "using the maps of an earlier run" in result.stdout
    found = int(result.stdout.split(" of 1 trials are there")[0].split()[-1])
    assert found >= 2  # the third's sweep is written before the trial is finished
    result = run_well_here(*command, "--n_trials", found + 2, "--n_jobs", 2)
    assert f"{found} of {found + 2} trials are there" in result.stdout
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(journal))
    )
    (study,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=study, storage=storage).trials
    assert sum(trial.state.is_finished() for trial in trials) == found + 2


def test_takes_real_images_with_word_boxes_only(triplets, model_dir, tmp_path, run_well_here):
    words_only = shutil.copytree(triplets, tmp_path / "words", ignore=only("images", ANNOTATIONS))
    icdar = shutil.copytree(triplets, tmp_path / "icdar", ignore=only("images"))
    (icdar / "gt").mkdir()
    for sample in read_samples(triplets)[0]:
        lines = [
            ",".join(map(str, word.polygon.round().astype(int).ravel())) + ",text"
            for word in sample.words
            if len(word.polygon) == 4
        ]
        (icdar / "gt" / f"gt_{sample.image_path.stem}.txt").write_text("\n".join(lines))
    result = run_well_here(
        *("tune.py", "--input_dir", words_only, icdar, "--model_dir", model_dir, "--device", "cpu"),
        *("--long_side", 64, SIZE, "--decoder", *DECODERS, "--n_trials", 3, "--n_jobs", 1),
        *("--objective", "f1", "--box_margin", 0.5, 1, "--relative_link", 0.6),
        *("--min_images", 16),
    )
    assert "searching on 8 images, 8 held back" in result.stdout
    assert len(list((model_dir / "tune").glob("maps-*"))) == 2
    (record,) = (json.loads(path.read_text()) for path in model_dir.glob("detection.json"))
    assert record["settings"]["box_margin"] in (0.5, 1)
    assert record["settings"]["relative_link"] == 0.6


def test_a_models_settings_are_replaced_by_better_ones_only(
    triplets, model_dir, monkeypatch, run_well_here
):
    """Random weights find nothing with any settings; a gain is made up."""
    path = model_dir / "detection.json"

    def run_tune(*flags, gain=None):
        if gain is not None:
            monkeypatch.setattr("tune.gain_of", lambda *_: gain)
        few = ("--n_trials", 2, "--n_jobs", 1)
        data = ("--input_dir", triplets, "--model_dir", model_dir)
        return run_well_here("tune.py", *data, *SMALL, *few, *flags).stdout

    own = json.dumps({"settings": {"text_threshold": 0.78, "link_threshold": 0.1, "box_margin": 2}})
    path.write_text(own)
    assert "stays as it is" in run_tune() and path.read_text() == own
    said = run_tune("--max_samples", 3)  # the first and the last have no words
    assert "none are held back" in said and "searching on 3 images, 0 held back" in said
    assert f"  plots in {model_dir / 'tune'}" in said  # before and after are the same
    said = run_tune("--min_images", 20, gain=0.5)
    assert "images tell too little" in said and path.read_text() == own
    assert f"{path}: read by" in run_tune()
    record = json.loads(path.read_text())
    assert record["settings"]["box_margin"] == 2 and record["settings"]["long_side"] == SIZE
    assert (model_dir / "detection_1.json").read_text() == own
    for content in ("damaged", '{"settings": {"long_side": 1e999}}'):
        path.write_text(content)
        said = run_tune(gain=0)
        copies = [p for p in model_dir.glob("detection_*.json") if p.read_text() == content]
        assert len(copies) == 1 and copies[0].name in said
        assert load_settings(model_dir).text_threshold == 0.7


def test_little_claims_no_gain(capsys):
    before = dict.fromkeys(("f1", "iou", "precision", "recall"), 0.5)
    scores = {"images": 2, "default": before, "tuned": dict.fromkeys(before, 0.9)}
    for unseen in (True, False):
        tune.report(HERE, replace(HERE, low_text=0.3), scores, 0.4, unseen)
        assert ("the score rose by 0.400" in capsys.readouterr().out) == unseen


def test_it_is_compared_with_what_the_model_has(model_dir):
    """At the sizes at which the network is run; what is listed to choose from may differ."""
    flags = dict.fromkeys(SETTINGS) | {"model_dir": model_dir, "box_margin": [0.0, 1.0]}
    (model_dir / "detection.json").write_text(
        json.dumps({"settings": {"box_margin": 2, "long_side": 64, "text_threshold": 0.6}})
    )
    for sides, size in (([SIZE], SIZE), ([64, SIZE], 64), (None, 64)):
        args = SimpleNamespace(**flags | {"long_side": sides})
        own = tune.own_settings(model_dir)
        base = tune.base_settings(args, own)
        choices = tune.choices_of(args, base)
        default = tune.default_settings(args, own, base, choices)
        assert (base.box_margin, base.text_threshold) == (0, 0.6)
        assert default == replace(own, long_side=size) and own.box_margin == 2


def test_images_that_the_model_was_trained_on_are_left_out(triplets, tmp_path):
    samples = read_samples(triplets)[0]
    (tmp_path / "config.json").write_text("{}")
    record = {"held_back": list_held_out(samples[2:], samples[:2])}
    (tmp_path / "training.json").write_text(json.dumps(record))
    given = {"model_dir": tmp_path, "input_dir": [str(triplets)], "max_samples": 500}
    found = find_test_samples(SimpleNamespace(**given, test_size=0.5))
    assert [sample.file for sample in found] == [sample.file for sample in samples[:2]]


def test_images_without_a_word_are_refused(tmp_path, monkeypatch):
    """Settings that find nothing would be the best, and be written."""
    (tmp_path / "config.json").write_text("{}")
    samples = [Sample(tmp_path, f"{number}.jpg", 9, 9, []) for number in range(8)]
    monkeypatch.setattr(tune, "read_dataset", lambda folder: (samples, []))
    given = {"model_dir": tmp_path, "input_dir": [tmp_path], "max_samples": 5, "test_size": 1}
    with pytest.raises(DataError, match="the 5 images to tune on have no words that count"):
        find_test_samples(SimpleNamespace(**given))


def only(*names):
    """shutil.copytree's ignore: of a data set's own folder only these."""

    def ignore(folder, entries):
        top = CHARACTERS in entries
        return [entry for entry in entries if entry not in names] if top else []

    return ignore


def test_bad_input_is_one_line(triplets, random_model, model_dir, tmp_path, run_here):
    data, model = ("--input_dir", triplets), ("--model_dir", random_model)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_refused(run_here("tune.py", "--input_dir", tmp_path / "none", *model), "no such folder")
    assert_refused(run_here("tune.py", "--input_dir", empty, *model), empty, "generate_images.py")
    assert_refused(run_here("tune.py", *data, "--model_dir", empty), empty, "train.py")
    assert_refused(run_here("tune.py", *data, *model, "--n_trials", 0), "at least 1")
    assert_refused(run_here("tune.py", *data, *model, "--test_size", 0), "--test_size")
    assert_refused(run_here("tune.py", *data, *model, "--nonsense"), "--nonsense")
    # As of a shell's variable that is not set: no search in a journal that nobody shares.
    assert_refused(
        run_here("tune.py", *data, *model, "--storage", ""), "--storage ''", "cannot be used"
    )
    storage = ("--storage", tmp_path / "none" / "trials.log")
    result = run_here("tune.py", *data, "--model_dir", model_dir, *storage)
    assert_refused(result, "--storage", "cannot be used")


# --- The search ------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_sweep_scores_each_text_threshold_as_decoding_anew_does(scorer, decoder):
    settings = replace(HERE, low_text=0.21, link_threshold=0.2, decoder=decoder)
    result = scorer.sweep(settings, "both")
    assert [point[0] for point in result["points"]] == [
        pytest.approx(0.22 + 0.02 * i) for i in range(37)
    ]
    scores = [dict(zip(scoring.SCORES, point[1:], strict=True)) for point in result["points"]]
    assert len({each["recall"] for each in scores}) > 2  # so that something is compared
    for point, swept in zip(result["points"][::4], scores[::4], strict=True):
        assert score(scorer, replace(settings, text_threshold=point[0])) == pytest.approx(
            swept, abs=1e-6
        )


def test_boxes_are_scored_as_detect_gives_them():
    """They end where the image does, whatever the margin."""
    maps = np.zeros((2, 64, 96), np.uint8)
    maps[0, 20:40, :50] = 255  # a word that begins at the border
    settings = replace(HERE, decoder="craft", box_margin=6)
    (box,) = decode_maps(maps, settings).boxes
    assert box[:, 0].min() < -4
    word = SimpleNamespace(polygon=box.clip(0, (96, 64)), ignore=False)
    truth = truth_of([word])
    (match,) = match_maps([maps], [truth], settings)
    assert match.iou_sum == pytest.approx(1)
    swept = scoring._match_sweep(maps, truth, settings, np.array([0.7]))
    assert swept[0, 3] == pytest.approx(1)


def test_search_beats_the_defaults_and_keeps_the_order(scorer, study, triplets, tmp_path):
    studies.search(study, scorer, HERE, n_trials=15, n_jobs=1)
    points = [Point(HERE, score(scorer, HERE)), *studies.points_of(study, HERE)]
    tuned = scoring.choose(points, "both").settings
    assert len(study.trials) == 15
    assert studies.settings_of(study.trials[0].params, HERE) == HERE
    assert all(p.settings.text_threshold >= p.settings.low_text for p in points)
    before, after = score(scorer, HERE), score(scorer, tuned)
    assert before["f1"] == 0 and after["f1"] + after["iou"] > 0.3
    assert after["f1"] + after["iou"] == pytest.approx(
        max(p.scores["f1"] + p.scores["iou"] for p in points), abs=1e-5
    )
    assert tuned.long_side == SIZE
    best = next(point for point in points if point.settings == tuned)
    result = tune_plots.SearchResult(study, points, best, "both")
    tune_plots.plot_study(result, tmp_path)
    # Dollar signs are no formula; a name need not be UTF-8.
    named = [
        replace(sample, file=f"$1_{sample.file}_$2\udcff.jpg", elsewhere=sample.image_path)
        for sample in read_samples(triplets)[0]
    ]
    tune_plots.draw_before_after(scorer, named, HERE, tuned, tmp_path)
    names = {path.stem for path in tmp_path.glob("*.png")}
    assert names == {*tune_plots.PLOTS, *(f"before_after_{i}" for i in range(1, 5))}
    assert sum(tune_plots.importances(result).values()) == pytest.approx(1)


@pytest.mark.filterwarnings("error")
def test_settings_beyond_what_is_searched_are_where_it_begins(scorer, tmp_path):
    """As the page or a person wrote them."""
    own = replace(HERE, link_threshold=0, low_text=0.98, text_threshold=1)
    study = studies.open_study(None, tmp_path / "trials.log", "study", "key", own)
    studies.search(study, scorer, own, n_trials=tune_plots.MIN_TRIALS, n_jobs=1)
    first = study.trials[0].params
    assert first == {"low_text": LOW_TEXT[1], "link_threshold": LINK[0]}
    points = [Point(own, score(scorer, own)), *studies.points_of(study, own)]
    tune_plots.plot_study(tune_plots.SearchResult(study, points, points[0], "both"), tmp_path)
    assert all((tmp_path / f"{name}.png").exists() for name in tune_plots.PLOTS)


def test_a_search_that_ran_out_of_time_before_its_first_trial_is_drawn(study, tmp_path):
    before = Point(HERE, dict.fromkeys(scoring.SCORES, 0.5))
    tune_plots.plot_study(tune_plots.SearchResult(study, [before], before, "both"), tmp_path)
    assert {path.stem for path in tmp_path.glob("*.png")} == {"history", "pareto_front"}


def test_the_margin_of_the_boxes_is_chosen_from_those_named(scorer, study, triplets):
    """The truth is drawn looser than the maps: the search must find by how much."""
    truth, samples = scorer.truth[SIZE], read_samples(triplets)[0]
    for number, row in enumerate(scorer.rows):
        words = [word for word in samples[row].words if len(word.polygon) == 4]
        looser = [replace(w, polygon=add_margin(w.polygon[None], 4)[0]) for w in words]
        truth[number] = truth_of(looser)
    choices = {"box_margin": [0.0, 4.0]}
    studies.search(study, scorer, HERE, n_trials=60, n_jobs=1, choices=choices)
    best = scoring.choose(studies.points_of(study, HERE), "iou").settings
    assert best.box_margin == 4
    tight = replace(best, box_margin=0.0)
    assert score(scorer, best)["iou"] > score(scorer, tight)["iou"] + 0.1


def test_a_hopeless_trial_is_stopped_early(scorer, study, monkeypatch):
    monkeypatch.setattr(scoring, "CHECKED_WORDS", 1)
    good = replace(HERE, low_text=0.2, link_threshold=0.2)
    whole = scorer.sweep(good, "both")
    first, *others = checks = whole["checks"]
    assert not whole["stopped"] and others
    monkeypatch.setattr(scoring, "STOP_MARGIN", 0.05)
    assert scorer.sweep(good, "both", leader=checks)["stopped"] is False
    at_once = scorer.sweep(good, "both", leader=[first + 0.1, *others])
    assert at_once["stopped"] is True and at_once["checks"] == [first]
    later = scorer.sweep(good, "both", leader=[*checks[:-1], checks[-1] + 0.1])
    assert later["stopped"] is True and later["checks"] == checks
    assert studies.leader_of(study) == []
    for low_text, link_threshold in ((0.2, 0.2), (LOW_TEXT[1], LINK[1])):
        study.enqueue_trial({"low_text": low_text, "link_threshold": link_threshold})
    studies.search(study, scorer, HERE, n_trials=6, n_jobs=1)
    states = {trial.params["low_text"]: trial.state.name for trial in study.trials}
    assert states[0.2] == "COMPLETE" and states[LOW_TEXT[1]] == "PRUNED"
    best = max((trial for trial in study.trials if trial.values), key=lambda t: sum(t.values))
    assert studies.leader_of(study) == best.user_attrs["checks"] != []
    # Too few words to judge by: nothing is stopped.
    monkeypatch.setattr(scoring, "CHECKED_WORDS", 10_000)
    assert scorer.sweep(good, "both", leader=[1.0] * 4)["stopped"] is False


def test_the_first_images_that_are_scored_are_of_all_kinds():
    """Folders are read one after the other: those of the first alone must not stop a trial."""
    rows = scoring.Scorer({}, list(range(800)), []).rows
    assert sorted(rows) == list(range(800))
    assert rows == scoring.Scorer({}, list(range(800)), []).rows
    assert 15 < sum(row < 400 for row in rows[:50]) < 35


def test_a_trial_that_two_processes_have_drawn_is_told_once(scorer, study):
    """As SQLite lets them; the other process is quicker."""
    ask, asked = study.ask, []

    def ask_late():
        trial = ask()
        asked.append(trial.number)
        if asked == [0]:
            settings = studies.suggest(trial, HERE, {})
            studies.tell(study, trial, scorer.sweep(settings, "both"), "both")
        return trial

    study.ask = ask_late
    studies.search(study, scorer, HERE, n_trials=3, n_jobs=1)
    assert asked[0] == 0 and len(studies.finished_trials(study)) == 3


@pytest.mark.parametrize("objective", ["f1", "iou"])
def test_one_objective_is_followed_alone(scorer, tmp_path, objective):
    study = studies.open_study(None, tmp_path / "trials.log", "one", "key", HERE, objective)
    studies.search(study, scorer, HERE, n_trials=8, n_jobs=1, objective=objective)
    assert len(study.directions) == 1
    points = studies.points_of(study, HERE)
    chosen = score(scorer, scoring.choose(points, objective).settings)
    best = max(point.scores[objective] for point in points)
    assert chosen[objective] == pytest.approx(best, abs=1e-6)


def test_draws_follow_from_the_seed_and_the_number_of_the_trial(scorer, tmp_path):
    def params(name, seed, n_trials):
        for number in n_trials:  # as after a stop each
            study = studies.open_study(None, tmp_path / "trials.log", name, "key", HERE)
            studies.search(study, scorer, HERE, number, n_jobs=1, seed=seed)
        return [trial.params for trial in study.trials]

    whole = params("whole", 0, [6])
    assert params("stopped", 0, [2, 3, 6]) == whole
    assert params("other", 1, [6])[1:] != whole[1:]
    assert len({trial["low_text"] for trial in whole}) == 6


def test_choice_and_front():
    def point(f1, iou):
        return Point(replace(HERE, low_text=round(f1 / 2, 3)), {"f1": f1, "iou": iou})

    points = [point(0.5, 0.9), point(0.6, 0.8), point(0.8, 0.5), point(0.7, 0.5), point(0.55, 0.6)]
    assert scoring.pareto_front(points) == [points[2], points[1], points[0]]
    assert scoring.choose(points, "both") == points[1]  # ties go to the higher F1
    assert scoring.choose(points, "f1") == points[2]
    assert scoring.choose(points, "iou") == points[0]


def test_a_timeout_ends_the_search(scorer, study):
    studies.search(study, scorer, HERE, n_trials=100_000, n_jobs=1, timeout=0.5)
    assert 0 < len(studies.finished_trials(study)) < 1000


def test_bad_storage_and_foreign_study_are_one_line(tmp_path):
    def open_study(storage, key):
        return studies.open_study(storage, tmp_path / "trials.log", "study", key, HERE)

    open_study(None, "one model")
    with pytest.raises(DataError, match="--study_name"):
        open_study(None, "another model")
    for url in ("nonsense", f"sqlite:///{tmp_path}/none/x.db", f"{tmp_path}/none/x.log"):
        with pytest.raises(DataError, match="--storage"):
            open_study(url, "key")
    for notes in ("damaged\nlines\n", "{}\n", "my notes, without a line's end"):
        (tmp_path / "trials.log").write_text(notes)
        with pytest.raises(DataError, match="trials.log.*no journal of Optuna's"):
            open_study(None, "one model")
        assert (tmp_path / "trials.log").read_text() == notes


def test_a_torn_line_of_the_journal_is_dropped(scorer, study, tmp_path):
    studies.search(study, scorer, HERE, n_trials=2, n_jobs=1)
    with (tmp_path / "trials.log").open("ab") as file:
        file.write(b'{"op_code": 5, "torn')
    for n_trials in (3, 4):
        again = studies.open_study(None, tmp_path / "trials.log", "study", "key", HERE)
        studies.search(again, scorer, HERE, n_trials=n_trials, n_jobs=1)
        assert len(studies.finished_trials(again)) == n_trials


# --- The maps --------------------------------------------------------------------------------


class Detector:
    """Gives the red channel for both maps; enlarges twice."""

    def scale(self, width, height):
        return 2.0

    def predict(self, images):
        return [
            np.stack([image[..., 0].repeat(2, axis=0).repeat(2, axis=1)] * 2) for image in images
        ]


def test_damaged_images_are_left_out(triplets, tmp_path):
    folder = shutil.copytree(triplets, tmp_path / "data")
    samples = read_samples(folder)[0]
    samples[0].image_path.write_bytes(b"not an image")
    samples[-1].image_path.unlink()
    maps, problems = tune_maps.predict_maps(tmp_path, "key", samples, Detector)
    there = [i for i in range(8) if maps.file(i).exists()]
    assert there == list(range(1, 7)) and len(problems) == 2
    assert all(maps.read(i).shape == (2, 2 * SIZE, 2 * SIZE) for i in there)
    area = sum(2 * 2 * cared for cared in truth_areas(samples[1], 1.0))
    assert maps.truth(1, samples[1]).cared.areas.sum() == pytest.approx(area, rel=1e-4)
    maps.file(3).unlink()  # as after an interruption
    tune_maps.predict_maps(tmp_path, "key", samples, Detector)
    assert maps.file(3).exists()
    sound = samples[1:7]
    tune_maps.predict_maps(tmp_path, "sound", sound, Detector)
    tune_maps.predict_maps(tmp_path, "sound", sound, lambda: pytest.fail("not needed"))
    for sample in samples:
        sample.image_path.unlink(missing_ok=True)
    with pytest.raises(DataError, match="none of the 8 test images"):
        tune_maps.predict_maps(tmp_path, "other", samples, Detector)


def truth_areas(sample, scale):
    from shapely import Polygon

    return [Polygon(word.polygon * scale).area for word in sample.words]


def test_only_maps_long_unused_are_deleted(triplets, tmp_path):
    samples = read_samples(triplets)[0]
    for key in ("old", "young"):
        tune_maps.predict_maps(tmp_path, key, samples, Detector)
    long_ago = time.time() - 2 * tune_maps.MAX_AGE
    others = {"maps-mine": "notes.txt", "maps-000": "000001.npy"}  # not of tune.py
    for folder, file in others.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).write_text("mine")
    for folder in ("maps-old", *others):
        os.utime(tmp_path / folder, (long_ago, long_ago))
    tune_maps.predict_maps(tmp_path, "new", samples, Detector)
    kept = {path.name for path in tmp_path.glob("maps-*")}
    assert kept == {"maps-young", "maps-new", *others}
    assert all((tmp_path / folder / file).exists() for folder, file in others.items())


def test_the_fingerprint_follows_model_data_and_settings(triplets, model_dir):
    samples = read_samples(triplets)[0]
    keys = {tune_maps.maps_fingerprint(model_dir, samples, size) for size in (128, 256)}
    keys.add(tune_maps.maps_fingerprint(model_dir, samples[1:], 128))
    weights = model_dir / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    keys.add(tune_maps.maps_fingerprint(model_dir, samples, 128))
    assert len(keys) == 4


def test_impossible_settings_are_refused(model_dir):
    for settings in (
        {"text_threshold": 7},
        {"decoder": "none"},
        {"long_side": 0},
        {"max_enlargement": 0},
        {"box_margin": -0.1},
        {"relative_link": 2},
        {"low_text": "x"},
        {"low_text": 10**400},
        {"long_side": float("inf")},
        {"low_text": []},
        "all",
        None,
    ):
        (model_dir / "detection.json").write_text(json.dumps({"settings": settings}))
        with pytest.raises(DataError, match="detection.json"):
            load_settings(model_dir)


@pytest.mark.parametrize("content", ["", "{", "[]", "5", "{}", "[" * 100_000, "1" * 5000])
def test_a_file_that_holds_no_settings_is_refused(model_dir, content):
    (model_dir / "detection.json").write_text(content)
    with pytest.raises(DataError, match="detection.json: damaged .*tune.py writes it anew"):
        load_settings(model_dir)


def test_matches_add_up_to_the_scores(scorer):
    settings = replace(HERE, text_threshold=0.3, low_text=0.2, link_threshold=0.2)
    maps = [scorer.maps[SIZE].read(row) for row in scorer.rows]
    matches = match_maps(*scorer.maps_and_truth(settings), settings)
    assert matches == match_maps(maps, scorer.truth[SIZE], settings)
    assert summarise(matches) == score(scorer, settings)
