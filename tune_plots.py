"""Pictures of a search for thresholds: its history, what it found, what that changes."""

from pathlib import Path

import matplotlib
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from box_metrics import match_image, overlap_table, summarise
from dataset_utils import Sample, read_image
from detection_utils import DetectionSettings, decode_maps
from plot_utils import draw_polygons, outline_width, save_figure
from tune_utils import (
    HIGHEST,
    LINK,
    LOW_TEXT,
    OBJECTIVES,
    Point,
    Scorer,
    finished_trials,
    pareto_front,
    points_of,
    score_of,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

RANGES = {"text_threshold": (LOW_TEXT[0], HIGHEST), "link_threshold": LINK, "low_text": LOW_TEXT}
LABELS = {"f1": "F1", "iou": "mean IoU"}
DEFAULT = {"marker": "s", "color": "white", "markeredgecolor": "black", "markersize": 9}
CHOSEN = {"marker": "*", "color": "red", "markeredgecolor": "black", "markersize": 17}
CELL = 0.05  # of a threshold, in the contour plot
MIN_TRIALS = 4  # scored on all images; with fewer there is no importance and no contour
PICTURES = 4  # before and after
FOUND, FALSE, MISSED = (0, 200, 0), (255, 40, 40), (255, 170, 0)  # RGB, of outlines


def plot_study(
    study: optuna.Study,
    points: list[Point],
    default: DetectionSettings,
    tuned: DetectionSettings,
    objective: str,
    folder: Path,
) -> None:
    """Write history.png, pareto_front.png, importance.png and contour.png into a folder.

    points: all that were scored, the default settings first; see tune_utils.points_of.
    """
    what = " and ".join(LABELS[name] for name in OBJECTIVES[objective])
    name = f"mean of {what}" if len(OBJECTIVES[objective]) > 1 else what
    first = points[0]
    chosen = next(point for point in points if point.settings == tuned)
    _plot_history(study, score_of(first.scores, objective), objective, name, folder)
    _plot_pareto_front(points, first, chosen, folder)
    scored = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(scored) >= MIN_TRIALS:
        _plot_importance(points_of(study, default), objective, name, folder)
        _plot_contours(points, first, chosen, objective, name, folder)


def _plot_history(study, before: float, objective: str, name: str, folder: Path) -> None:
    """Each trial's score, and the best so far."""
    trials = finished_trials(study)
    numbers = np.arange(1, len(trials) + 1)
    stopped = np.array([trial.state == TrialState.PRUNED for trial in trials], bool)
    scores = np.array([_best_score(trial.user_attrs["sweep"], objective) for trial in trials])
    figure, axes = plt.subplots(figsize=(8, 4.5))
    axes.plot(numbers[~stopped], scores[~stopped], "o", color="C0", markersize=4, label="trial")
    axes.plot(
        *(numbers[stopped], scores[stopped], "x"),
        **{"color": "grey", "markersize": 4, "label": "stopped early: score on the first images"},
    )
    best = np.maximum.accumulate(np.where(stopped, before, scores).clip(before))
    axes.step(numbers, best, where="post", color="C1", label="best so far")
    axes.axhline(before, color="black", linestyle=":", label="default settings")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{name}, searched images")
    axes.set_title("History: the best text_threshold of each trial")
    _save(figure, folder / "history.png")


def _best_score(sweep: list[list[float]], objective: str) -> float:
    _, _, _, f1, iou = np.transpose(sweep)
    return float(np.mean([{"f1": f1, "iou": iou}[key] for key in OBJECTIVES[objective]], 0).max())


def _plot_pareto_front(points: list[Point], first: Point, chosen: Point, folder: Path) -> None:
    """F1 over mean IoU of everything that was scored; only its upper right corner matters."""
    f1, iou = _column(points, "f1"), _column(points, "iou")
    front = pareto_front(points)
    figure, axes = plt.subplots(figsize=(7, 6))
    axes.plot(iou, f1, ".", color="silver", markersize=3, label="every setting tried")
    axes.plot(
        *(_column(front, "iou"), _column(front, "f1"), "o-"),
        **{"color": "C0", "markersize": 4, "label": "Pareto front: none is better in both"},
    )
    for point, style, label in ((first, DEFAULT, "default"), (chosen, CHOSEN, "chosen")):
        x, y = point.scores["iou"], point.scores["f1"]
        axes.plot(x, y, linestyle="", label=f"{label}: F1 {y:.3f}, IoU {x:.3f}", **style)
    good_iou, good_f1 = np.quantile(iou, 0.3), np.quantile(f1, 0.3)
    axes.set_xlim(min(good_iou, first.scores["iou"]) - 0.02, iou.max() + 0.02)
    axes.set_ylim(min(good_f1, first.scores["f1"]) - 0.02, f1.max() + 0.02)
    axes.set_xlabel("mean IoU, searched images")
    axes.set_ylabel("F1, searched images")
    axes.set_title("F1 against mean IoU (the worst settings lie outside)")
    _save(figure, folder / "pareto_front.png")


def _plot_importance(points: list[Point], objective: str, name: str, folder: Path) -> None:
    """Optuna's PED-ANOVA: which threshold tells the best tenth of the settings from the others."""
    shares = importances(points, objective)
    figure, axes = plt.subplots(figsize=(8, 3))
    names = sorted(shares, key=shares.get)
    bars = axes.barh(names, [shares[each] for each in names], color="C0")
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.set_xlim(0, 1.1)
    axes.set_xlabel(f"share in what makes the {name} high (PED-ANOVA)")
    axes.set_title("Importance: which threshold to be careful with")
    axes.grid(axis="x", alpha=0.3)
    save_figure(figure, folder / "importance.png")


def importances(points: list[Point], objective: str) -> dict[str, float]:
    """Each threshold's importance, together 1."""
    study = optuna.create_study(direction="maximize")
    ranges = {name: FloatDistribution(*limits) for name, limits in RANGES.items()}
    study.add_trials(
        optuna.trial.create_trial(
            params={name: getattr(point.settings, name) for name in RANGES},
            distributions=ranges,
            value=score_of(point.scores, objective),
        )
        for point in points
    )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _plot_contours(
    points: list[Point], first: Point, chosen: Point, objective: str, name: str, folder: Path
) -> None:
    """The best score over two thresholds at a time, whatever the third one is."""
    figure, row = plt.subplots(1, 2, figsize=(13, 5.2))
    best = max(score_of(point.scores, objective) for point in points)
    levels = best - np.array([0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005, 0])
    for axes, other in zip(row, ("link_threshold", "text_threshold"), strict=True):
        x, y, scores = _best_in_cells(points, "low_text", other, objective)
        if len(x) < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        filled = axes.tricontourf(x, y, scores, levels=levels, extend="min", cmap="viridis")
        axes.plot(x, y, ".", color="black", markersize=2, alpha=0.4)
        for point, style, label in ((first, DEFAULT, "default"), (chosen, CHOSEN, "chosen")):
            at = point.settings.low_text, getattr(point.settings, other)
            axes.plot(*at, linestyle="", label=f"{label} ({at[0]:.2f}, {at[1]:.2f})", **style)
        axes.set_xlabel("low_text")
        axes.set_ylabel(other)
        figure.colorbar(filled, ax=axes, format="%.3f", label=f"best {name} found there")
    row[1].plot(LOW_TEXT, LOW_TEXT, color="grey", linestyle="--", label="text_threshold = low_text")
    figure.suptitle("Where the score is high: flat where it is one colour, careful where it is not")
    _save(figure, folder / "contour.png")


def _best_in_cells(points: list[Point], x: str, y: str, objective: str) -> tuple[np.ndarray, ...]:
    """x, y and score of the best point in each cell of a grid that holds any."""
    best: dict[tuple[int, int], tuple[float, float, float]] = {}
    for point in points:
        at = getattr(point.settings, x), getattr(point.settings, y)
        cell = int(at[0] / CELL), int(at[1] / CELL)
        score = score_of(point.scores, objective)
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
    """
    for old in folder.glob("before_after_*.png"):
        old.unlink()
    if default == tuned:
        return
    both = default, tuned
    changes = []
    for place in range(len(scorer.rows)):
        before, after = (_match(scorer, place, settings) for settings in both)
        changes.append(summarise([after])["f1"] - summarise([before])["f1"])
    order = np.argsort(-np.array(changes), kind="stable")
    places = order[np.unique(np.linspace(0, len(order) - 1, PICTURES).round().astype(int))]
    for number, place in enumerate(places, 1):
        figure, row = plt.subplots(1, 2, figsize=(15, 8.4))
        sample = samples[scorer.rows[place]]
        for axes, settings, name in zip(row, both, ("default", "tuned"), strict=True):
            axes.imshow(_draw(scorer, place, sample, settings))
            axes.set_axis_off()
            f1 = summarise([_match(scorer, place, settings)])["f1"]
            axes.set_title(
                f"{name}: F1 of this image {f1:.2f}\ntext_threshold {settings.text_threshold:.2f}, "
                f"link_threshold {settings.link_threshold:.2f}, low_text {settings.low_text:.2f}"
            )
        figure.suptitle(
            f"{sample.file} (number {list(order).index(place) + 1} of {len(order)} by gain)  "
            "green: word found (IoU 0.5)   red: false box   orange: word missed"
        )
        save_figure(figure, folder / f"before_after_{number}.png")


def _match(scorer: Scorer, place: int, settings: DetectionSettings):
    boxes = decode_maps(scorer.maps[settings.long_side].read(scorer.rows[place]), settings).boxes
    return match_image(boxes, scorer.truth[settings.long_side][place])


def _draw(scorer: Scorer, place: int, sample: Sample, settings: DetectionSettings) -> np.ndarray:
    """The image with its boxes: found, false and missed ones in their colours."""
    maps = scorer.maps[settings.long_side].read(scorer.rows[place])
    truth = scorer.truth[settings.long_side][place]
    boxes = decode_maps(maps, settings).boxes
    counted, ious = overlap_table(boxes, truth)
    matched = ious >= 0.5
    words = [word.polygon for word in sample.words if not word.ignore]
    image = read_image(sample.image_path)
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


def _save(figure, path: Path) -> None:
    for axes in figure.axes:
        if axes.get_legend_handles_labels()[0]:
            axes.grid(alpha=0.3)
            axes.legend(framealpha=0.9)
    save_figure(figure, path)
