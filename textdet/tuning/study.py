"""The search for thresholds: the score of a trial, the study, the choice."""

import multiprocessing
import time
from collections.abc import Iterable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError
from textdet.common.workers import start_worker, stop_workers
from textdet.data.annotation import Sample
from textdet.decoding.decode import decode_maps
from textdet.decoding.metrics import (
    ImageMatch,
    Truth,
    match_maps,
    match_table,
    overlap_table,
    summarise,
)
from textdet.decoding.settings import DetectionSettings
from textdet.tuning.maps import MapFolder

LOW_TEXT = (0.05, 0.7)  # the range searched
LINK = (0.05, 0.95)  # of link_threshold
HIGHEST, STEP = 0.95, 0.02  # of text_threshold, which starts at low_text
# Searched on request, each from a list of values.
CHOSEN = ("decoder", "long_side", "box_margin", "relative_link")
SEARCHED = ("low_text", "link_threshold", *CHOSEN)
DIGITS = 3  # of a threshold; the maps have 256 levels
EARLY_SHARE = 4  # a trial is judged after the first 1 / EARLY_SHARE of the images,
EARLY_WORDS = 700  # or later, after so many words: with fewer, chance decides
MARGIN = 1.3  # / sqrt(words); a trial whose score is then so far behind the best one's is stopped
OPEN_TRIES, OPEN_PAUSE = 3, 0.5  # s between the tries to open a storage
SQLITE_TIMEOUT = 60  # s that a process waits while others write
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
OBJECTIVES = {"both": ("f1", "iou"), "f1": ("f1",), "iou": ("iou",)}
SCORES = ("precision", "recall", "f1", "iou")  # in a sweep, after the text_threshold


def score_of(scores: dict[str, float], objective: str) -> float:
    """What is looked for: F1, mean IoU, or the mean of the two; 0..1."""
    return float(np.mean([scores[name] for name in OBJECTIVES[objective]]))


# --- A trial ---------------------------------------------------------------------------------


class Scorer:
    """What settings are worth on some of the samples; travels to worker processes.

    Params:
        maps: for each long_side, the folder that predict_maps filled.
        rows: numbers of the samples that count.
        samples: as given to predict_maps.
    """

    def __init__(self, maps: dict[int, MapFolder], rows: list[int], samples: list[Sample]):
        self.maps, self.rows = maps, rows
        self.truth = {
            side: [folder.truth(row, samples[row]) for row in rows] for side, folder in maps.items()
        }

    def __call__(self, settings: DetectionSettings) -> dict[str, float]:
        """precision, recall, f1 and iou, each 0..1."""
        return summarise(self.matches(settings))

    def matches(self, settings: DetectionSettings) -> list[ImageMatch]:
        """The same image by image."""
        return match_maps(*self._maps_and_truth(settings), settings)

    def _maps_and_truth(self, settings: DetectionSettings) -> tuple[Iterable, list[Truth]]:
        folder = self.maps[settings.long_side]
        return (folder.read(row) for row in self.rows), self.truth[settings.long_side]

    def sweep(self, settings: DetectionSettings, objective: str, leader: float = 0.0) -> dict:
        """The scores for every text_threshold from low_text upwards, decoding each image once.

        leader: score of the best trial so far on the first images; where no text_threshold comes
            within MARGIN of it, the others are left out. Measured with the bundled model and 16
            settings within 0.02 of the best: between two of them, the first 348, 719 or 1460 words
            were off by 0.015, 0.009 and 0.006 (one standard deviation), that is 0.25 / sqrt(words),
            and 719 words by 0.045 at most in 4800 draws.
        Returns:
            points: a list [text_threshold, *SCORES] each; of the first images when stopped.
            early: highest score on the first images, or None when there are too few words.
            stopped: whether it was.
        """
        thresholds = text_thresholds(settings.low_text)
        totals, early = np.zeros((len(thresholds), 4)), None
        first = len(self.rows) / EARLY_SHARE
        pairs = zip(*self._maps_and_truth(settings), strict=True)
        for done, (maps, truth) in enumerate(pairs, 1):
            totals += _match_sweep(maps, truth, settings, thresholds)
            if early is None and done >= first and totals[0, 2] >= EARLY_WORDS:
                points = _points(thresholds, totals)
                early = max(score_of(_scores(point), objective) for point in points)
                if early < leader - MARGIN / totals[0, 2] ** 0.5:
                    return {"points": points, "early": early, "stopped": True}
        return {"points": _points(thresholds, totals), "early": early, "stopped": False}


def text_thresholds(low_text: float) -> np.ndarray:
    """Those that are tried: multiples of STEP from low_text to HIGHEST."""
    first, last = np.ceil(low_text / STEP - 1e-6), np.floor(HIGHEST / STEP + 1e-6)
    return (np.arange(first, last + 1) * STEP).round(DIGITS)


def _match_sweep(
    maps: np.ndarray, truth: Truth, settings: DetectionSettings, thresholds: np.ndarray
) -> np.ndarray:
    """ImageMatch's fields for each text_threshold, (T, 4).

    The labels do not depend on text_threshold, and a word's score is its highest
    character value: a higher text_threshold leaves out the words below it and changes no other.
    """
    found = decode_maps(maps, replace(settings, text_threshold=settings.low_text))
    counted, ious = overlap_table(found.boxes, truth)
    kept = found.scores >= thresholds[:, None]
    matches: dict[bytes, tuple] = {}
    for row in kept:
        if row.tobytes() not in matches:
            match = match_table(counted[row], ious[row])
            matches[row.tobytes()] = match.matched, match.predicted, match.true, match.iou_sum
    return np.array([matches[row.tobytes()] for row in kept])


def _points(thresholds: np.ndarray, totals: np.ndarray) -> list[list[float]]:
    return [
        [float(threshold), *(round(summarise([ImageMatch(*row)])[name], 6) for name in SCORES)]
        for threshold, row in zip(thresholds, totals.tolist(), strict=True)
    ]


def _scores(point: list[float]) -> dict[str, float]:
    return dict(zip(SCORES, point[1:], strict=True))


# --- The study -------------------------------------------------------------------------------


def open_study(
    storage: str | None,
    journal: Path,
    name: str,
    key: str,
    default: DetectionSettings,
    objective: str = "both",
) -> optuna.Study:
    """The study of this name, with the default settings as its first trial.

    storage: an Optuna storage's URL, the name of a journal file that ends in .log, or None for the
    file `journal`. key: the fingerprint that a study found there must have. Raises DataError when
    it has another one, or when the storage cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = _create_study(storage or str(journal), name, len(OBJECTIVES[objective]))
        if not study.trials:
            study.set_user_attr("fingerprint", key)
            study.enqueue_trial({name: getattr(default, name) for name in SEARCHED})
        known = study.user_attrs.get("fingerprint") == key
    except Exception as error:  # the library's, the database's or its driver's
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        where = f"--storage {storage}" if storage else str(journal)
        raise DataError(f"{where}: cannot be used ({reason})") from None
    if not known:
        raise DataError(
            f"study {name!r} is there already, of another model, other data or other settings; "
            "choose another --study_name"
        )
    return study


def _create_study(storage: str, name: str, n_objectives: int) -> optuna.Study:
    """Make or load a study; again where another process was making the same tables just now."""
    for tries_left in reversed(range(OPEN_TRIES)):
        try:
            return optuna.create_study(
                storage=_open_storage(storage),
                study_name=name,
                directions=["maximize"] * n_objectives,
                load_if_exists=True,
            )
        except Exception:
            if not tries_left:
                raise
            time.sleep(OPEN_PAUSE)


def _open_storage(storage: str) -> optuna.storages.BaseStorage:
    if storage.startswith("sqlite"):
        options = {"connect_args": {"timeout": SQLITE_TIMEOUT}}
        return optuna.storages.RDBStorage(storage, engine_kwargs=options)
    if "://" in storage or not storage.endswith(".log"):
        return optuna.storages.RDBStorage(storage)
    lock = JournalFileOpenLock(storage)
    backend = JournalFileBackend(storage, lock)
    _cut_torn_line(Path(storage), lock)
    return optuna.storages.JournalStorage(backend)


def _cut_torn_line(journal: Path, lock: JournalFileOpenLock) -> None:
    """Drop a last line that was not written to its end: what is appended to it would be lost."""
    lock.acquire()
    try:
        whole = journal.read_bytes().rfind(b"\n") + 1
        if whole < journal.stat().st_size:
            with journal.open("r+b") as file:
                file.truncate(whole)
    finally:
        lock.release()


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count: scored on all images, or stopped early."""
    return study.get_trials(deepcopy=False, states=FINISHED)


def ask(study: optuna.Study, seed: int) -> optuna.Trial:
    """A new trial. Its draws follow from the seed, its number and the trials that are known: no
    process repeats those of another one, or its own from before it was stopped."""
    study.sampler = optuna.samplers.TPESampler()
    trial = study.ask()
    state = np.random.SeedSequence([seed, trial.number]).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(seed=int(state))
    return trial


def suggest(
    trial: optuna.Trial, base: DetectionSettings, choices: dict[str, list]
) -> DetectionSettings:
    """Draw settings. text_threshold is not drawn: each trial tries all of them from low_text up.

    choices: values to choose from, by the setting's name, of CHOSEN.
    """
    trial.suggest_float("low_text", *LOW_TEXT)
    trial.suggest_float("link_threshold", *LINK)
    for name, values in choices.items():
        if len(values) > 1:
            trial.suggest_categorical(name, values)
    return settings_of(trial.params, base)


def settings_of(params: dict, base: DetectionSettings, **more) -> DetectionSettings:
    """A trial's settings, the rest as in `base`."""
    rounded = {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in params.items()}
    return replace(base, **rounded, **more)


def search(
    study: optuna.Study,
    scorer: Scorer,
    base: DetectionSettings,
    n_trials: int,
    n_jobs: int,
    timeout: float | None = None,
    objective: str = "both",
    choices: dict[str, list] | None = None,
    seed: int = 0,
) -> None:
    """Score trials until the study has n_trials finished ones, or timeout (s) is over.

    Only this process talks to the storage; n_jobs others decode and match. Other processes that
    share the study count: each may have a trial under way when the last one is finished.
    """
    deadline = time.monotonic() + (timeout or float("inf"))
    n_jobs = min(n_jobs, n_trials - len(finished_trials(study)))
    if n_jobs < 1:
        return
    pool, running = open_pool(n_jobs, scorer), {}
    done = len(finished_trials(study))
    bar = progress_bar(total=n_trials, initial=done, unit="trial", desc="search")
    try:
        while True:
            while (
                len(running) < n_jobs and done + len(running) < n_trials
            ) and time.monotonic() < deadline:
                trial = ask(study, seed)
                settings = suggest(trial, base, choices or {})
                running[pool.submit(_score, settings, objective, leader_of(study))] = trial
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                _tell(study, running.pop(future), result, objective)
            done = len(finished_trials(study))
            bar.update(done - bar.n)
    except BrokenExecutor:
        raise DataError(
            "a process that scores trials was killed, perhaps for want of memory; "
            "use fewer --n_jobs"
        ) from None
    except optuna.exceptions.StorageInternalError as error:
        running.clear()
        raise DataError(f"the storage failed, the same command goes on ({error})") from None
    finally:
        bar.close()
        if running:
            stop_workers()
        # As in common/workers.py; the thread of a single job ends with this process.
        pool.shutdown(wait=n_jobs > 1, cancel_futures=True)
        for trial in running.values():
            study.tell(trial, state=TrialState.FAIL)


def _tell(study: optuna.Study, trial: optuna.Trial, result: dict, objective: str) -> None:
    """Record a trial: its whole sweep, and as its values those of the best text_threshold."""
    trial.set_user_attr("sweep", result["points"])
    trial.set_user_attr("early", result["early"])
    if result["stopped"]:
        study.tell(trial, state=TrialState.PRUNED)
        return
    best = max(map(_scores, result["points"]), key=lambda scores: rank(scores, objective))
    study.tell(trial, [best[name] for name in OBJECTIVES[objective]])


def rank(scores: dict[str, float], objective: str) -> tuple[float, float]:
    """What the best settings are highest in; ties go to the higher F1."""
    return score_of(scores, objective), scores["f1"]


def leader_of(study: optuna.Study) -> float:
    """What the best trial so far had on the first images; 0 when there is none."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = max(trials, key=lambda trial: sum(trial.values), default=None)
    return (best.user_attrs.get("early") or 0.0) if best else 0.0


_scorer: Scorer | None = None  # of this process; its thousands of polygons travel once


def open_pool(n_jobs: int, scorer: Scorer) -> Executor:
    """Processes, or a thread of this one where one is enough."""
    if n_jobs == 1:
        return ThreadPoolExecutor(1, initializer=_start_worker, initargs=(scorer,))
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(n_jobs, context, _start_worker, (scorer,))


def _start_worker(scorer: Scorer) -> None:
    import cv2

    global _scorer
    _scorer = scorer
    cv2.setNumThreads(1)  # the processes share the cores
    if multiprocessing.parent_process() is not None:  # not in the thread of a single job
        start_worker()


def _score(settings: DetectionSettings, objective: str, leader: float) -> dict:
    return _scorer.sweep(settings, objective, leader)


# --- The choice ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """Settings and their scores (see Scorer) on the searched images."""

    settings: DetectionSettings
    scores: dict[str, float]


def points_of(study: optuna.Study, base: DetectionSettings) -> list[Point]:
    """Every setting that the study has scored on all images: each trial's whole sweep."""
    return [
        Point(settings_of(trial.params, base, text_threshold=point[0]), _scores(point))
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for point in trial.user_attrs["sweep"]
    ]


def pareto_front(points: list[Point]) -> list[Point]:
    """The points that no other one beats in both F1 and IoU, by falling F1."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.scores["f1"], -p.scores["iou"])):
        if not front or point.scores["iou"] > front[-1].scores["iou"]:
            front.append(point)
    return front


def choose(points: list[Point], objective: str) -> Point:
    """The point with the highest score; ties go to the higher F1, then to the earlier point."""
    return max(points, key=lambda point: rank(point.scores, objective))
