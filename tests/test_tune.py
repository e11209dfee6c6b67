"""tune.py: on a model with random weights for its files, on true maps for its search."""

import json
import shutil

import numpy as np
import optuna
import pytest
from conftest import SIZE, assert_refused, run, run_well, start

import tune_utils
from dataset_utils import DataError, read_samples, read_triplet
from detection_utils import DetectionSettings, load_settings

SMALL = ("--image_size", SIZE, "--test_size", "0.8", "--device", "cpu")


@pytest.fixture
def scorer(triplets, tmp_path):
    """Scores of settings on the triplets' own maps, made fainter: too faint for the defaults."""
    samples = read_samples(triplets)[0]
    maps = np.stack([read_triplet(sample)[1] for sample in samples]) // 2
    np.save(tmp_path / tune_utils.MAPS, maps)
    return tune_utils.Scorer(tmp_path, list(range(len(samples))), samples, SIZE)


def test_tunes_resumes_and_shares_a_study(triplets, model_dir):
    command = ("tune.py", "--input_dir", triplets, "--model_dir", model_dir, *SMALL)
    first = run_well(*command, "--n_trials", 3, "--n_jobs", 1)
    assert "0 of 3 trials are there" in first.stdout and "default -> tuned" in first.stdout
    record = json.loads((model_dir / "detection.json").read_text())
    assert record["n_trials"] == 3 and record["image_size"] == SIZE
    halves = [record["scores"][half] for half in ("searched", "held_back")]
    assert all(half["images"] >= 2 and {"default", "tuned"} <= set(half) for half in halves)
    assert load_settings(model_dir) == DetectionSettings(**record["settings"])
    for name in ("optimization_history", "pareto_front", "thresholds"):
        assert (model_dir / "tune" / f"{name}.png").stat().st_size > 1000

    second = run_well(*command, "--n_trials", 5, "--n_jobs", 2)
    assert "using the maps of an earlier run" in second.stdout
    assert "3 of 5 trials are there" in second.stdout
    assert json.loads((model_dir / "detection.json").read_text())["n_trials"] == 5

    url = f"sqlite:///{model_dir / 'shared.db'}"
    shared = (*command, "--storage", url, "--study_name", "shared", "--n_jobs", 1)
    both = [start(*shared, "--n_trials", 12) for _ in range(2)]
    for process in both:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors
    trials = optuna.load_study(study_name="shared", storage=url).trials
    assert all(trial.state.is_finished() for trial in trials)
    assert len(trials) in (12, 13)  # the other process may have one under way


def test_search_beats_the_defaults_and_keeps_the_order(scorer, tmp_path):
    study = tune_utils.open_study(None, tmp_path / "trials.log", "study", "key", seed=0)
    tune_utils.search(study, scorer, DetectionSettings(), n_trials=15, n_jobs=1, timeout=None)
    default = DetectionSettings(long_side=640)
    tuned = tune_utils.choose(study, scorer, default)
    assert len(study.trials) == 15
    assert (
        tune_utils.settings_of(study.trials[0].params, DetectionSettings()) == DetectionSettings()
    )
    for trial in study.trials:
        settings = tune_utils.settings_of(trial.params, default)
        assert settings.text_threshold >= settings.low_text
    before, after = scorer(default), scorer(tuned)
    assert before["f1"] == 0 and after["f1"] + after["iou"] > 0.3
    assert tuned.long_side == 640
    tune_utils.plot_study(study, tuned, tmp_path)


def test_a_lost_default_trial_still_takes_part(scorer, tmp_path):
    study = tune_utils.open_study(None, tmp_path / "trials.log", "study", "key", seed=0)
    assert tune_utils.choose(study, scorer, DetectionSettings()) == DetectionSettings()
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    trial = study.ask()
    tune_utils.suggest(trial, DetectionSettings())
    study.tell(trial, [0.0, 0.0])
    assert tune_utils.choose(study, scorer, DetectionSettings()) == DetectionSettings()


def test_a_timeout_ends_the_search(scorer, tmp_path):
    study = tune_utils.open_study(None, tmp_path / "trials.log", "study", "key", seed=0)
    tune_utils.search(study, scorer, DetectionSettings(), n_trials=100_000, n_jobs=1, timeout=0.5)
    assert 0 < tune_utils.count_finished(study) < 1000


def test_the_fingerprint_follows_model_data_and_size(triplets, model_dir):
    samples = read_samples(triplets)[0]
    keys = {tune_utils.fingerprint(model_dir, samples, size) for size in (128, 256)}
    keys.add(tune_utils.fingerprint(model_dir, samples[1:], 128))
    weights = model_dir / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    keys.add(tune_utils.fingerprint(model_dir, samples, 128))
    assert len(keys) == 4


def test_damaged_images_are_left_out(triplets, tmp_path):
    class Detector:
        def run(self, batch):
            return np.repeat(batch[:, None, :, :, 0], 2, axis=1)

    folder = shutil.copytree(triplets, tmp_path / "data")
    samples = read_samples(folder)[0]
    samples[0].image_path.write_bytes(b"not an image")
    samples[-1].image_path.unlink()
    rows, problems = tune_utils.predict_maps(tmp_path, "key", samples, 64, Detector)
    assert rows == list(range(1, 7)) and len(problems) == 2
    maps = np.load(tmp_path / tune_utils.MAPS)
    assert maps.shape == (8, 2, 64, 64) and all(maps[row].any() for row in rows)
    again = tune_utils.predict_maps(tmp_path, "key", samples, 64, lambda: pytest.fail("not needed"))
    assert again == (rows, problems)
    for sample in samples:
        sample.image_path.unlink(missing_ok=True)
    with pytest.raises(DataError, match="none of the 8 test images"):
        tune_utils.predict_maps(tmp_path, "other", samples, 64, Detector)


def test_bad_input_is_one_line(triplets, random_model, tmp_path):
    data, model = ("--input_dir", triplets), ("--model_dir", random_model)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_refused(run("tune.py", "--input_dir", tmp_path / "none", *model), "no such folder")
    assert_refused(run("tune.py", "--input_dir", empty, *model), empty, "generate_images.py")
    assert_refused(run("tune.py", *data, "--model_dir", empty), empty, "train.py")
    assert_refused(run("tune.py", *data, *model, "--n_trials", 0), "at least 1")
    assert_refused(run("tune.py", *data, *model, "--image_size", 100), "multiple of 32")
    assert_refused(run("tune.py", *data, *model, "--nonsense"), "--nonsense")


def test_bad_storage_and_foreign_study_are_one_line(tmp_path):
    def open_study(storage, key):
        return tune_utils.open_study(storage, tmp_path / "trials.log", "study", key, seed=0)

    open_study(None, "one model")
    with pytest.raises(DataError, match="--study_name"):
        open_study(None, "another model")
    for url in ("nonsense", f"sqlite:///{tmp_path}/none/x.db"):
        with pytest.raises(DataError, match="--storage"):
            open_study(url, "key")
    (tmp_path / "trials.log").write_text("damaged\nlines\n")
    with pytest.raises(DataError, match="trials.log"):
        open_study(None, "one model")
