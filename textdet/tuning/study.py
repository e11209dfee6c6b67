"""The study: its trials drawn, scored by worker processes and told."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError
from textdet.common.workers import run_calls
from textdet.decoding.settings import LISTED, SETTINGS, DetectionSettings
from textdet.tuning.scoring import (
    DIGITS,
    OBJECTIVES,
    Point,
    Scorer,
    rank,
    score_trial,
    scores_in,
)
from textdet.tuning.storage import first_line, hide_password, open_storage, using_storage

DRAWN = ("low_text", "link_threshold")  # of each trial, in this order; a sweep tries the third
OPEN_TRIES, OPEN_PAUSE = 3, 0.5  # s between the tries to open a storage
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


# --- The trials ------------------------------------------------------------------------------


def open_study(
    storage: str | None,
    journal: Path,
    name: str,
    key: str,
    default: DetectionSettings,
    objective: str = "both",
) -> optuna.Study:
    """The study of this name, with the default settings as its first trial.

    Params:
        storage: an Optuna storage's URL, the name of a journal file that ends in .log, or None for
            the file `journal`.
        journal: that file.
        name: of the study.
        key: the fingerprint that a study found there must have.
        default: the settings to begin with.
        objective: one of OBJECTIVES.

    Raises:
        DataError: it has another fingerprint, or the storage cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        opened = str(journal) if storage is None else storage
        study = _create_study(opened, name, len(OBJECTIVES[objective]))
        if not study.trials:
            study.set_user_attr("fingerprint", key)
            study.enqueue_trial(params_of(default, (*DRAWN, *LISTED)))
        known = study.user_attrs.get("fingerprint") == key
    except Exception as error:  # the library's, the database's or its driver's
        where = str(journal) if storage is None else f"--storage {storage!r}"
        said = f"{where}: cannot be used ({first_line(error)})"
        raise DataError(hide_password(said, storage or "")) from None
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
                storage=open_storage(storage),
                study_name=name,
                directions=["maximize"] * n_objectives,
                load_if_exists=True,
            )
        except Exception:
            if not tries_left:
                raise
            time.sleep(OPEN_PAUSE)


@using_storage()
def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count: scored on all images, or stopped early."""
    return study.get_trials(deepcopy=False, states=FINISHED)


@using_storage()
def points_of(study: optuna.Study, base: DetectionSettings) -> list[Point]:
    """Every setting that the study has scored on all images: each trial's whole sweep.

    Params:
        base: the settings that are not searched.
    """
    return [
        Point(settings_of(trial.params, base, text_threshold=point[0]), scores_in(point))
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for point in trial.user_attrs["sweep"]
    ]


def leader_of(study: optuna.Study) -> list[float]:
    """What the best trial so far had at each check; none when there is no trial."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = max(trials, key=lambda trial: sum(trial.values), default=None)
    return best.user_attrs["checks"] if best else []


# --- The search ------------------------------------------------------------------------------


class NumberedSampler(optuna.samplers.BaseSampler):
    """Optuna's TPE, whose draws follow from a seed, the trial's number and the trials that are
    known: no process repeats the draws of another one, or its own from before it was stopped.

    Params:
        seed: from 0.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.tpe = optuna.samplers.TPESampler()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Begin a trial: seed its draws by its number."""
        state = np.random.SeedSequence([self.seed, trial.number]).generate_state(1)[0]
        self.tpe = optuna.samplers.TPESampler(seed=int(state))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See optuna.samplers.BaseSampler; the TPE's."""
        return self.tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict:
        """See optuna.samplers.BaseSampler; the TPE's."""
        return self.tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> float | int | str:
        """See optuna.samplers.BaseSampler; the TPE's."""
        return self.tpe.sample_independent(study, trial, param_name, param_distribution)


def suggest(
    trial: optuna.Trial, base: DetectionSettings, choices: dict[str, list]
) -> DetectionSettings:
    """Draw settings. text_threshold is not drawn: each trial tries all of them from low_text up.

    Params:
        trial: which remembers what is drawn.
        base: the settings that are not drawn.
        choices: values to choose from, by the setting's name, of LISTED.

    Returns:
        The settings, with the text_threshold of `base`.
    """
    for name in DRAWN:
        trial.suggest_float(name, *SETTINGS[name].searched)
    for name, values in choices.items():
        if len(values) > 1:
            trial.suggest_categorical(name, values)
    return settings_of(trial.params, base)


def settings_of(params: dict, base: DetectionSettings, **more: Any) -> DetectionSettings:
    """The settings that a trial stands for.

    Params:
        params: the trial's, by the setting's name; numbers are rounded to DIGITS.
        base: the settings that are not searched.
        more: fields that a trial does not have.
    """
    rounded = {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in params.items()}
    return replace(base, **rounded, **more)


def params_of(settings: DetectionSettings, names: Iterable[str]) -> dict[str, Any]:
    """Settings as parameters of a trial.

    Params:
        settings: a person may have given them any values.
        names: of those wanted.

    Returns:
        By name the values; of what is searched the nearest within the searched range, since Optuna
        knows no others.
    """
    values = {name: getattr(settings, name) for name in names}
    ranges = {name: limits for name in values if (limits := SETTINGS[name].searched)}
    return values | {name: min(max(values[name], a), b) for name, (a, b) in ranges.items()}


@using_storage()
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
    """Score trials until the study has n_trials finished ones, or the time is over.

    Only this process talks to the storage; n_jobs others decode and match. Other processes that
    share the study count: each may have a trial under way when the last one is finished.

    Params:
        study: to go on with.
        scorer: of the images to search on.
        base: the settings that are not searched.
        n_trials: finished ones in the study when done.
        n_jobs: worker processes, 1 for this process itself.
        timeout: s, after which no trial starts; None for no limit.
        objective: one of OBJECTIVES.
        choices: values to choose from, by the setting's name, of LISTED.
        seed: of the draws.

    Raises:
        DataError: a worker was killed, or the storage failed.
    """
    deadline = time.monotonic() + (timeout or float("inf"))
    done = len(finished_trials(study))
    n_jobs = min(n_jobs, n_trials - done)
    if n_jobs < 1:
        return
    study.sampler = NumberedSampler(seed)
    asked: dict[int, optuna.Trial] = {}  # those under way, by their number

    def ask() -> Iterator[tuple]:
        while done + len(asked) < n_trials and time.monotonic() < deadline:
            trial = study.ask()
            asked[trial.number] = trial
            yield trial.number, suggest(trial, base, choices or {}), objective, leader_of(study)

    bar = progress_bar(total=n_trials, initial=done, unit="trial", desc="search")
    results = run_calls(score_trial, ask(), n_jobs, shared=(scorer,), ahead=1)
    try:
        with bar, closing(results):
            for number, sweep in results:
                # SQLite may hand the first trial, which waits in the queue, to two processes at
                # once: what the quicker one has told is the same.
                with suppress(optuna.exceptions.UpdateFinishedTrialError):
                    tell(study, asked[number], sweep, objective)
                del asked[number]
                done = len(finished_trials(study))
                bar.update(done - bar.n)
    finally:
        for trial in asked.values():
            study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)


def tell(study: optuna.Study, trial: optuna.Trial, result: dict, objective: str) -> None:
    """Record a trial: its whole sweep, and as its values those of the best text_threshold.

    Params:
        trial: of this study, under way.
        result: see Scorer.sweep; a trial that was stopped counts as pruned.
        objective: one of OBJECTIVES, as in open_study.
    """
    trial.set_user_attr("sweep", result["points"])
    trial.set_user_attr("checks", result["checks"])
    if result["stopped"]:
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        return
    best = max(map(scores_in, result["points"]), key=lambda scores: rank(scores, objective))
    values = [best[name] for name in OBJECTIVES[objective]]
    study.tell(trial, values, skip_if_finished=True)
