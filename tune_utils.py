"""The search for thresholds: a model's maps on disk, their scores, the study, the plots."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState

from cache_utils import SPARE, fit, fitted_words
from cli_utils import progress_bar
from dataset_utils import DataError, Sample, read_image, write_json
from detection_utils import DetectionSettings, compute_metrics, truth_of
from plot_utils import save_figure

BATCH = 8  # images that the network sees at once
MAPS, RECORD = "maps.npy", "maps.json"
THRESHOLDS = ("text_threshold", "link_threshold", "low_text")
LOW_TEXT = (0.05, 0.7)  # the range searched; text_threshold starts at low_text
HIGHEST = 0.95  # of text_threshold and link_threshold
LOWEST_LINK = 0.05
DIGITS = 3  # of a threshold; the maps have 256 levels
OPEN_TRIES, OPEN_PAUSE = 3, 0.5  # s between the tries to open a storage
FINISHED = (TrialState.COMPLETE,)


# --- Maps ------------------------------------------------------------------------------------


def fingerprint(model_dir: Path, samples: list[Sample], size: int) -> str:
    """Changes with the model's weights, the images and words of the samples, and the size."""
    total = hashlib.sha256(str(size).encode())
    for path in sorted(model_dir.glob("*.safetensors")):
        total.update(path.read_bytes())
    for sample in samples:
        length = sample.image_path.stat().st_size if sample.image_path.exists() else None
        total.update(json.dumps([sample.to_json(), length]).encode())
    return total.hexdigest()[:16]


def predict_maps(
    folder: Path, key: str, samples: list[Sample], size: int, open_detector: Callable
) -> tuple[list[int], list[str]]:
    """Run the network over the samples, each fitted into a square of `size` px; maps to disk.

    Writes folder/maps.npy, (N, 2, size, size) uint8, or finds it there from a run with the same
    `key`. open_detector: gives the TextDetector, called only when it is needed.
    Returns the numbers of the samples that have maps, and a line for each other one. Raises
    DataError when no image can be read, or when the disk has no room.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record["fingerprint"] == key and (folder / MAPS).exists():
            print(f"{folder}: using the maps of an earlier run")
            return record["rows"], record["problems"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none there, or none whole
    (folder / RECORD).unlink(missing_ok=True)
    (folder / MAPS).unlink(missing_ok=True)
    needed, free = len(samples) * 2 * size * size, shutil.disk_usage(folder).free
    if needed + SPARE > free:
        raise DataError(
            f"the disk of {folder} has no room for {needed / 1e9:.2f} GB of maps; "
            "use a smaller --max_samples or --image_size"
        )
    detector = open_detector()
    shape = (len(samples), 2, size, size)
    maps = np.lib.format.open_memmap(folder / MAPS, "w+", np.uint8, shape)
    rows, problems = _fill(maps, samples, detector)
    maps.flush()
    if not rows:
        raise DataError(f"none of the {len(samples)} test images can be read; {problems[0]}")
    write_json(folder / RECORD, {"fingerprint": key, "rows": rows, "problems": problems})
    return rows, problems


def _fill(maps: np.ndarray, samples: list[Sample], detector) -> tuple[list[int], list[str]]:
    """Fill the samples' rows batch by batch: the rows filled, and a line for each other one."""
    rows, problems, batch = [], [], []
    for row, sample in enumerate(progress_bar(samples, unit="image", desc="network")):
        try:
            image = read_image(sample.image_path)
            if image.shape[:2] != (sample.height, sample.width):
                size = f"{image.shape[1]}x{image.shape[0]}"
                raise DataError(f"{sample.image_path}: {size} px, not as its annotation says")
        except DataError as error:
            problems.append(str(error))
        else:
            rows.append(row)
            batch.append(fit(image, maps.shape[-1]))
        if len(batch) == BATCH or (batch and row == len(samples) - 1):
            maps[rows[-len(batch) :]] = detector.run(np.stack(batch))
            batch = []
    return rows, problems


class Scorer:
    """What settings are worth on some of the samples; travels to worker processes.

    Params:
        folder: where predict_maps wrote.
        rows: numbers of the samples that count.
        samples, size: as given to predict_maps.
    """

    def __init__(self, folder: Path, rows: list[int], samples: list[Sample], size: int):
        self.path, self.rows = folder / MAPS, rows
        self.truth = [truth_of(fitted_words(samples[row], size)) for row in rows]

    def __call__(self, settings: DetectionSettings) -> dict[str, float]:
        """precision, recall, f1 and iou, each 0..1."""
        maps = np.load(self.path, mmap_mode="r")
        return compute_metrics((maps[row] for row in self.rows), self.truth, settings)


# --- The study -------------------------------------------------------------------------------


def open_study(storage: str | None, journal: Path, name: str, key: str, seed: int) -> optuna.Study:
    """The study of this name, with the default thresholds as its first trial.

    storage: an Optuna storage's URL, or None for the file `journal`. key: the fingerprint that a
    study found there must have. Raises DataError when it has another one, or when the storage
    cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = _create_study(storage, journal, name)
        # A sampler that starts again from the same seed would repeat its first draws.
        state = np.random.SeedSequence([seed, len(study.trials)]).generate_state(1)[0]
        study.sampler = optuna.samplers.TPESampler(seed=int(state))
        if not study.trials:
            study.set_user_attr("fingerprint", key)
            study.enqueue_trial(thresholds_of(DetectionSettings()), skip_if_exists=True)
        known = study.user_attrs.get("fingerprint") == key and len(study.directions) == 2
    except Exception as error:  # the library's, the database's or its driver's
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        where = f"--storage {storage}" if storage else str(journal)
        raise DataError(f"{where}: cannot be used ({reason})") from None
    if not known:
        raise DataError(
            f"study {name!r} is there already, of another model, data set or image size; "
            "choose another --study_name"
        )
    return study


def _create_study(storage: str | None, journal: Path, name: str) -> optuna.Study:
    """Make or load a study; again where another process was making the same tables just now."""
    for tries_left in reversed(range(OPEN_TRIES)):
        try:
            backend = storage or optuna.storages.JournalStorage(
                optuna.storages.journal.JournalFileBackend(str(journal))
            )
            return optuna.create_study(
                storage=backend,
                study_name=name,
                directions=["maximize", "maximize"],
                load_if_exists=True,
            )
        except Exception:
            if not tries_left:
                raise
            time.sleep(OPEN_PAUSE)


def count_finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=FINISHED))


def thresholds_of(settings: DetectionSettings) -> dict[str, float]:
    return {name: getattr(settings, name) for name in THRESHOLDS}


def settings_of(params: dict[str, float], base: DetectionSettings) -> DetectionSettings:
    """A trial's thresholds, the rest as in `base`."""
    return replace(base, **{name: round(params[name], DIGITS) for name in THRESHOLDS})


def suggest(trial: optuna.Trial, base: DetectionSettings) -> DetectionSettings:
    """Draw thresholds with text_threshold >= low_text: below it, it would have no effect."""
    low_text = trial.suggest_float("low_text", *LOW_TEXT)
    trial.suggest_float("text_threshold", low_text, HIGHEST)
    trial.suggest_float("link_threshold", LOWEST_LINK, HIGHEST)
    return settings_of(trial.params, base)


def search(
    study: optuna.Study,
    scorer: Scorer,
    base: DetectionSettings,
    n_trials: int,
    n_jobs: int,
    timeout: float | None,
) -> None:
    """Score trials until the study has n_trials finished ones, or timeout (s) is over.

    Only this process talks to the storage; n_jobs others decode and match. Other processes that
    share the study count: each may have a trial under way when the last one is finished.
    """
    deadline = time.monotonic() + (timeout or float("inf"))
    n_jobs = min(n_jobs, n_trials - count_finished(study))
    if n_jobs < 1:
        return
    pool, running = open_pool(n_jobs), {}
    bar = progress_bar(total=n_trials, initial=count_finished(study), unit="trial", desc="search")
    try:
        while True:
            while (
                len(running) < n_jobs
                and count_finished(study) + len(running) < n_trials
                and time.monotonic() < deadline
            ):
                trial = study.ask()
                running[pool.submit(scorer, suggest(trial, base))] = trial
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                scores = future.result()
                trial = running.pop(future)
                trial.set_user_attr("scores", scores)
                study.tell(trial, [scores["f1"], scores["iou"]])
            bar.update(count_finished(study) - bar.n)
    except BrokenExecutor:
        raise DataError(
            "a process that scores trials was killed, perhaps for want of memory; "
            "use fewer --n_jobs"
        ) from None
    finally:
        bar.close()
        pool.shutdown(wait=not running, cancel_futures=True)
        for trial in running.values():
            study.tell(trial, state=TrialState.FAIL)


def open_pool(n_jobs: int) -> Executor:
    """Processes, or a thread of this one where one is enough."""
    if n_jobs == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(n_jobs, get_context("spawn"), _start_worker)


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(1)  # the processes share the cores


def choose(study: optuna.Study, scorer: Scorer, default: DetectionSettings) -> DetectionSettings:
    """The best settings of the study's Pareto front and the default.

    Best is the highest mean of F1 and IoU, ties by F1. The defaults take part even when their
    trial was lost, so that tuning never ends below them.
    """
    candidates = [(scorer(default), default)]
    for trial in study.best_trials:
        settings = settings_of(trial.params, default)
        candidates.append((dict(zip(("f1", "iou"), trial.values, strict=True)), settings))

    def rank(candidate: tuple[dict, DetectionSettings]) -> tuple[float, float]:
        return (candidate[0]["f1"] + candidate[0]["iou"]) / 2, candidate[0]["f1"]

    return max(candidates, key=rank)[1]


# --- Plots -----------------------------------------------------------------------------------


def plot_study(study: optuna.Study, tuned: DetectionSettings, folder: Path) -> None:
    """Write optimization_history.png, pareto_front.png and thresholds.png into a folder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    trials = study.get_trials(deepcopy=False, states=FINISHED)
    if not trials:
        return
    f1, iou = np.array([trial.values for trial in trials]).T
    mean = (f1 + iou) / 2
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot(mean, ".", label="mean of F1 and IoU")
    axes.plot(np.maximum.accumulate(mean), label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel("score on the searched half")
    _save(figure, axes, folder / "optimization_history.png")

    figure, axes = plt.subplots(figsize=(5.5, 5))
    axes.plot(f1, iou, ".", color="grey", label="trials")
    front = sorted(trial.values for trial in study.best_trials)
    axes.plot(*zip(*front, strict=True), "o-", markersize=4, label="Pareto front")
    for settings, mark, label in ((DetectionSettings(), "ks", "default"), (tuned, "r*", "chosen")):
        here = [
            thresholds_of(settings_of(t.params, tuned)) == thresholds_of(settings) for t in trials
        ]
        axes.plot(f1[here][:1], iou[here][:1], mark, markersize=9, label=label)
    axes.set_xlabel("F1")
    axes.set_ylabel("mean IoU")
    _save(figure, axes, folder / "pareto_front.png")

    figure, row = plt.subplots(1, len(THRESHOLDS), figsize=(12, 4), sharey=True)
    for axes, name in zip(row, THRESHOLDS, strict=True):
        axes.plot([trial.params[name] for trial in trials], mean, ".", color="grey")
        axes.axvline(getattr(tuned, name), color="r", label="chosen")
        axes.set_xlabel(name)
    row[0].set_ylabel("mean of F1 and IoU")
    _save(figure, axes, folder / "thresholds.png")


def _save(figure, axes, path: Path) -> None:
    for each in figure.axes:
        each.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)
