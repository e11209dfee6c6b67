"""Pictures of a search for thresholds: its history, what it found, what that changes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from textdet.common.cli import one_line
from textdet.common.pictures import draw_polygons, outline_width, save_figure
from textdet.data.annotation import Sample
from textdet.data.triplets import read_sample_image
from textdet.decoding.decode import decode_maps
from textdet.decoding.metrics import FOUND_IOU, match_maps, overlap_table, summarise, within
from textdet.decoding.settings import SETTINGS, DetectionSettings
from textdet.tuning.scoring import OBJECTIVES, Point, Scorer, best_score, pareto_front, score_of
from textdet.tuning.study import finished_trials, params_of

RANGES = {name: declared.searched for name, declared in SETTINGS.items() if declared.searched}
PLOTS = ("history", "pareto_front", "importance", "contour")
LABELS = {"f1": "F1", "iou": "mean IoU"}
DEFAULT = {"marker": "s", "color": "white", "markeredgecolor": "black", "markersize": 9}
CHOSEN = {"marker": "*", "color": "red", "markeredgecolor": "black", "markersize": 17}
LOWEST = 0.25  # below the score before tuning, the lower end of the history plot
CELL = 0.05  # of a threshold, in the contour plot
BANDS = (0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005, 0)  # below the best score, likewise
MIN_TRIALS = 4  # scored on all images; with fewer there is no importance and no contour
PICTURES, PANEL = 4, 7.3  # before and after; inches, longer side of one image
FOUND, FALSE, MISSED = (0, 200, 0), (255, 40, 40), (255, 170, 0)  # RGB, of outlines


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    Params:
        points: all that were scored on the searched images; the first is that before tuning.
        chosen: the best of them.
        objective: one of OBJECTIVES.
    """

    study: optuna.Study
    points: list[Point]
    chosen: Point
    objective: str

    @property
    def default(self) -> Point:
        """The point of the settings that the model has, before tuning."""
        return self.points[0]

    @property
    def name(self) -> str:
        """What the score is called in the plots."""
        what = " and ".join(LABELS[name] for name in OBJECTIVES[self.objective])
        return f"mean of {what}" if self.objective == "both" else what

    def scores(self) -> np.ndarray:
        """float (N,), what the objective looks for, of each point, 0..1."""
        return np.array([score_of(point.scores, self.objective) for point in self.points])

    def marks(self) -> list[tuple[Point, dict, str]]:
        """The points that every plot shows, each with matplotlib's style and its name."""
        return [(self.default, DEFAULT, "before"), (self.chosen, CHOSEN, "chosen")]


def plot_study(result: SearchResult, folder: Path) -> None:
    """Write the PLOTS into a folder, the last two only when there are trials enough.

    Params:
        folder: is there; plots of an earlier search are deleted from it.
    """
    for name in PLOTS:
        (folder / f"{name}.png").unlink(missing_ok=True)  # of an earlier search
    _plot_history(result, folder)
    _plot_pareto_front(result, folder)
    scored = result.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(scored) >= MIN_TRIALS:
        _plot_importance(result, folder)
        _plot_contours(result, folder)


def _plot_history(result: SearchResult, folder: Path) -> None:
    """Each trial's score, and the best so far."""
    trials, before = finished_trials(result.study), result.scores()[0]
    numbers = np.arange(1, len(trials) + 1)
    stopped = np.array([trial.state == TrialState.PRUNED for trial in trials], bool)
    scores = np.array([best_score(t.user_attrs["sweep"], result.objective) for t in trials])
    figure = Figure(figsize=(8, 5))
    axes = figure.subplots()
    axes.plot(numbers[~stopped], scores[~stopped], "o", color="C0", markersize=4, label="trial")
    axes.plot(
        *(numbers[stopped], scores[stopped], "x"),
        **{"color": "grey", "markersize": 4, "label": "stopped early: score on the first images"},
    )
    best = np.maximum.accumulate(np.where(stopped, before, scores).clip(before))
    axes.step(numbers, best, where="post", color="C1", label="best so far")
    axes.axhline(before, color="black", linestyle=":", label="before tuning")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{result.name}, searched images")
    axes.set_ylim(max(0, before - LOWEST), max([before, *scores]) + 0.03)
    axes.set_title("History: each trial with its best text_threshold (the worst lie below)")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
    save_figure(figure, folder / "history.png")


def _plot_pareto_front(result: SearchResult, folder: Path) -> None:
    """F1 over mean IoU of everything that was scored; only its upper right corner matters."""
    f1, iou = _column(result.points, "f1"), _column(result.points, "iou")
    front = pareto_front(result.points)
    figure = Figure(figsize=(7, 6))
    axes = figure.subplots()
    axes.plot(iou, f1, ".", color="silver", markersize=3, label="every setting tried")
    axes.plot(
        *(_column(front, "iou"), _column(front, "f1"), "o-"),
        **{"color": "C0", "markersize": 4, "label": "Pareto front: none is better in both"},
    )
    for point, style, label in result.marks():
        x, y = point.scores["iou"], point.scores["f1"]
        axes.plot(x, y, linestyle="", label=f"{label}: F1 {y:.3f}, IoU {x:.3f}", **style)
    good_iou, good_f1 = np.quantile(iou, 0.3), np.quantile(f1, 0.3)
    axes.set_xlim(min(good_iou, result.default.scores["iou"]) - 0.02, iou.max() + 0.02)
    axes.set_ylim(min(good_f1, result.default.scores["f1"]) - 0.02, f1.max() + 0.02)
    axes.set_xlabel("mean IoU, searched images")
    axes.set_ylabel("F1, searched images")
    axes.set_title("F1 against mean IoU (the worst settings lie outside)")
    axes.grid(alpha=0.3)
    axes.legend(framealpha=0.9)
    save_figure(figure, folder / "pareto_front.png")


def _plot_importance(result: SearchResult, folder: Path) -> None:
    """Optuna's PED-ANOVA: which threshold tells the best tenth of the settings from the others."""
    shares = importances(result)
    figure = Figure(figsize=(8, 3))
    axes = figure.subplots()
    names = sorted(shares, key=shares.get)
    bars = axes.barh(names, [shares[each] for each in names], color="C0")
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.set_xlim(0, 1.15 * max(*shares.values(), 0.1))
    axes.set_xlabel(f"share in what makes the {result.name} high (PED-ANOVA)")
    axes.set_title("Importance: which threshold to be careful with")
    axes.grid(axis="x", alpha=0.3)
    save_figure(figure, folder / "importance.png")


def importances(result: SearchResult) -> dict[str, float]:
    """How much each searched setting decides, by PED-ANOVA (Watanabe et al., "PED-ANOVA:
    Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023).

    Returns:
        By the setting's name a share, 0..1; together 1.
    """
    study = optuna.create_study(direction="maximize")
    ranges = {name: FloatDistribution(*limits) for name, limits in RANGES.items()}
    study.add_trials(
        optuna.trial.create_trial(
            params=params_of(point.settings, RANGES),
            distributions=ranges,
            value=float(score),
        )
        for point, score in zip(result.points, result.scores(), strict=True)
    )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _plot_contours(result: SearchResult, folder: Path) -> None:
    """The best score over two thresholds at a time, whatever the third one is."""
    figure = Figure(figsize=(14, 6.2))
    row = figure.subplots(1, 2)
    levels = result.scores().max() - np.array(BANDS)
    bands = BoundaryNorm(levels, 256, extend="min")
    for axes, other in zip(row, ("link_threshold", "text_threshold"), strict=True):
        x, y, scores = _best_in_cells(result, other)
        if len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        filled = axes.tricontourf(x, y, scores, levels=levels, extend="min", norm=bands)
        axes.plot(x, y, ".", color="black", markersize=2, label="scored on all images")
        for point, style, label in result.marks():
            at = point.settings.low_text, getattr(point.settings, other)
            axes.plot(*at, linestyle="", label=f"{label} ({at[0]:.2f}, {at[1]:.2f})", **style)
        axes.set(xlabel="low_text", xlim=RANGES["low_text"], ylabel=other, ylim=RANGES[other])
        figure.colorbar(filled, ax=axes, format="%.3f", label=f"best {result.name} found there")
    stopped = [t.params for t in finished_trials(result.study) if t.state == TrialState.PRUNED]
    if stopped:
        x, y = ([params[key] for params in stopped] for key in ("low_text", "link_threshold"))
        row[0].plot(x, y, "x", color="grey", markersize=4, label="stopped early: far worse")
    row[1].plot(
        *[RANGES["low_text"]] * 2, color="grey", linestyle="--", label="text_threshold = low_text"
    )
    figure.suptitle("Where the score is high: a wide band of one colour forgives, a narrow one not")
    for axes in row:
        axes.grid(alpha=0.3)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    save_figure(figure, folder / "contour.png")


def _best_in_cells(result: SearchResult, other: str) -> tuple[np.ndarray, ...]:
    """low_text, the other threshold and the score of the best point in each cell of a grid that
    holds any."""
    best: dict[tuple[int, int], tuple[float, float, float]] = {}
    for point, score in zip(result.points, result.scores(), strict=True):
        at = point.settings.low_text, getattr(point.settings, other)
        cell = int(at[0] / CELL), int(at[1] / CELL)
        if cell not in best or score > best[cell][2]:
            best[cell] = *at, score
    return tuple(np.array(list(best.values())).T)


def draw_before_after(
    scorer: Scorer,
    samples: list[Sample],
    default: DetectionSettings,
    tuned: DetectionSettings,
    folder: Path,
) -> None:
    """Write before_after_1.png, ...: held-back images with the boxes of both settings.

    From the image that gains most to the one that loses most, evenly spaced between.

    Params:
        scorer: of the images held back.
        samples: all of them, as the scorer's rows number them.
        default: the settings on the left.
        tuned: those on the right; where they are the same nothing is written.
        folder: is there; such pictures of an earlier search are deleted from it.

    Raises:
        DataError: an image cannot be read.
    """
    for old in folder.glob("before_after_*.png"):
        old.unlink(missing_ok=True)  # another process may share the folder
    if default == tuned:
        return
    before, after = (match_maps(*scorer.maps_and_truth(s), s) for s in (default, tuned))
    f1 = np.array([[summarise([match])["f1"] for match in half] for half in (before, after)])
    order = np.argsort(f1[0] - f1[1], kind="stable")
    ranks = np.unique(np.linspace(0, len(order) - 1, PICTURES).round().astype(int))
    for number, rank in enumerate(ranks, 1):
        place = order[rank]
        sample = samples[scorer.rows[place]]
        width, height = (
            PANEL * np.array([sample.width, sample.height]) / max(sample.width, sample.height)
        )
        figure = Figure(figsize=(max(2 * width, PANEL) + 0.3, height + 1.3))
        row = figure.subplots(1, 2)
        for axes, settings, name, score in zip(
            row, (default, tuned), ("before", "tuned"), f1[:, place], strict=True
        ):
            axes.imshow(_draw(scorer, place, sample, settings))
            axes.set(xticks=[], yticks=[])
            axes.set_title(
                f"{name}: F1 of this image {score:.2f}\ntext_threshold "
                f"{settings.text_threshold:.2f}, link_threshold {settings.link_threshold:.2f}, "
                f"low_text {settings.low_text:.2f}"
            )
        figure.supxlabel(
            f"green: word found (IoU at least {FOUND_IOU})   red: false box   orange: word missed\n"
            f"{one_line(sample.file)}, {rank + 1} of {len(order)} in the order of gain",
            parse_math=False,  # names may hold dollar signs
        )
        figure.tight_layout()  # and again in save_figure: pictures move the first time
        save_figure(figure, folder / f"before_after_{number}.png")


def _draw(scorer: Scorer, place: int, sample: Sample, settings: DetectionSettings) -> np.ndarray:
    """The image with its boxes: found, false and missed ones in their colours."""
    maps = scorer.maps[settings.long_side].read(scorer.rows[place])
    truth = scorer.truth[settings.long_side][place]
    boxes = within(maps, decode_maps(maps, settings).boxes)
    counted, ious = overlap_table(boxes, truth)
    matched = ious >= FOUND_IOU
    words = [word.polygon for word in sample.words if not word.ignore]
    image = read_sample_image(sample)
    height, width = image.shape[:2]
    to_image = np.float32([width / maps.shape[2], height / maps.shape[1]])
    thickness = outline_width(image)
    for outlines, colour in (
        ([word for word, hit in zip(words, matched.any(0), strict=True) if not hit], MISSED),
        (boxes[counted & ~matched.any(1)] * to_image, FALSE),
        (boxes[matched.any(1)] * to_image, FOUND),
    ):
        image = draw_polygons(image, outlines, colour, thickness)
    return image


def _column(points: list[Point], name: str) -> np.ndarray:
    return np.array([point.scores[name] for point in points])
