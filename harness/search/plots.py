"""Four plots of a study: its history, its configurations, what mattered, and where the best lie."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from harness.reporting.figure import GREY, HEIGHT, INK, RULE, canvas, surround, untangle
from harness.reporting.labels import short_names
from harness.reporting.palette import COLOURS

_CELLS = 10
#: Values of a column that are all written beside it; of more, both ends and the middle.
_MOST_WRITTEN = 6
#: Characters of a value beside its column.
_VALUE_FITS = 12
#: Share of a column's height between two values, so that neither covers the other.
_APART = 0.09
_SHAPES = {TrialState.COMPLETE: "o", TrialState.PRUNED: "X"}


def plot_files(study: optuna.Study, metric: str) -> Iterator[tuple[str, bytes]]:
    """Yield `(name, PNG)` of every plot that the study has enough trials for."""
    drawn: Mapping[str, Callable[[optuna.Study, str], Figure | None]] = {
        "history": history,
        "parallel_coordinates": parallel_coordinates,
        "importance": importance,
        "heatmap": heatmap,
    }
    for name, draw in drawn.items():
        figure = draw(study, metric)
        if figure is not None:
            image = io.BytesIO()
            figure.savefig(image, format="png")
            yield f"{name}.png", image.getvalue()


def history(study: optuna.Study, metric: str) -> Figure:
    """The value of every trial in order, and the best so far."""
    figure, axes = canvas(HEIGHT)
    trials = _valued(study)
    for state, shape in _SHAPES.items():
        some = [trial for trial in trials if trial.state == state]
        if some:
            axes.plot(
                [trial.number for trial in some],
                [_value(trial) for trial in some],
                shape,
                color=COLOURS[0] if state == TrialState.COMPLETE else GREY,
                label=state.name.lower(),
            )
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    better = np.maximum if study.direction == optuna.study.StudyDirection.MAXIMIZE else np.minimum
    best = better.accumulate([_value(trial) for trial in complete])
    axes.step(
        [trial.number for trial in complete], best, where="post", color=COLOURS[1], label="best"
    )
    failed = [trial.number for trial in study.trials if trial.state == TrialState.FAIL]
    for number in failed:
        axes.axvline(number, color=RULE, zorder=0)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(-0.5, max(len(study.trials), 1) - 0.5)
    _finish(figure, axes, study, metric, "history", legend=True)
    return figure


def parallel_coordinates(study: optuna.Study, metric: str) -> Figure | None:
    """One line per trial through its parameters and its value, each on a scale of its own."""
    worst_first = study.direction == optuna.study.StudyDirection.MAXIMIZE
    trials = sorted(_valued(study), key=_value, reverse=not worst_first)
    names = _parameters(trials)
    if not names:
        return None
    figure, axes = canvas(HEIGHT)
    columns: list[tuple[str, Sequence[Any]]] = [
        (name, [trial.params[name] for trial in trials]) for name in names
    ]
    columns.append((metric, [_value(trial) for trial in trials]))
    heights = np.array([_scaled(values) for _, values in columns])
    colours = _shades(len(trials))
    for column, trial in enumerate(trials):
        pruned = trial.state == TrialState.PRUNED
        axes.plot(heights[:, column], color=colours[column], alpha=0.3 if pruned else 0.9, lw=1.2)
    for place, (_, values) in enumerate(columns):
        axes.vlines(place, 0, 1, color=GREY, lw=0.8, zorder=0)
        for height, written in _written(values):
            axes.annotate(
                written if len(written) <= _VALUE_FITS else f"{written[: _VALUE_FITS - 1]}…",
                (place, height),
                (-5, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=7.5,
                color=INK,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
            )
    axes.set_xticks(range(len(columns)), [*short_names(names).values(), metric])
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlim(-0.35, len(columns) - 0.9)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    _finish(figure, axes, study, metric, "configurations, the best darkest; pruned ones are faint")
    axes.set_ylabel("")
    untangle(figure, axes)
    return figure


def importance(study: optuna.Study, metric: str) -> Figure | None:
    """How much of the metric's variance over the complete trials each parameter explains."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = {trial.value for trial in complete}
    if len(complete) < 4 or len(values) < 2 or len(_parameters(complete)) < 2:
        return None
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    figure, axes = canvas(max(2.6, 1.8 + 0.35 * len(found)))
    names = list(found)[::-1]
    axes.barh(names, [found[name] for name in names], color=COLOURS[0], height=0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the variance (fANOVA, Hutter et al. 2014)")
    _finish(figure, axes, study, metric, "importance of the searched fields")
    axes.set_ylabel("")
    return figure


def heatmap(study: optuna.Study, metric: str) -> Figure | None:
    """The metric over two searched fields: dose and layer where they are, else the first two."""
    trials = _valued(study)
    names = _parameters(trials)
    first = [name for name in names if name.endswith((".alpha", ".count", ".strongest"))]
    second = [name for name in names if name.endswith(".layer")]
    ordered = list(dict.fromkeys([*first, *second, *names]))
    if len(ordered) < 2:
        return None
    across, up = ordered[:2]
    figure, axes = canvas(HEIGHT)
    x, x_labels = _cells([trial.params[across] for trial in trials])
    y, y_labels = _cells([trial.params[up] for trial in trials])
    grid = np.full((len(y_labels), len(x_labels)), np.nan)
    for row, column in set(zip(y, x, strict=True)):
        inside = [
            _value(trial)
            for trial, at, up_at in zip(trials, x, y, strict=True)
            if (up_at, at) == (row, column)
        ]
        grid[row, column] = np.mean(inside)
    image = axes.imshow(grid, aspect="auto", origin="lower", cmap="viridis")
    axes.set_xticks(range(len(x_labels)), x_labels)
    axes.set_yticks(range(len(y_labels)), y_labels)
    axes.set_xlabel(across)
    figure.colorbar(image, ax=axes, label=metric)
    _finish(
        figure, axes, study, metric, "mean of the trials in a cell; pruned ones where they were"
    )
    axes.set_ylabel(up)
    axes.grid(visible=False)
    return figure


def _finish(
    figure: Figure, axes: Axes, study: optuna.Study, metric: str, what: str, *, legend: bool = False
) -> None:
    """Title, labels and, under the axes, what the trials were."""
    axes.set_ylabel(metric)
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    counts = ", ".join(
        f"{states.count(state)} {name}"
        for state, name in (
            (TrialState.COMPLETE, "complete"),
            (TrialState.PRUNED, "pruned"),
            (TrialState.FAIL, "failed"),
        )
    )
    entries = axes.get_legend_handles_labels()[1] if legend else []
    surround(
        figure,
        axes,
        title=study.study_name,
        subtitle=what,
        caption=f"{counts}; values of the validation samples",
        entries=entries,
    )


def _valued(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that have a value: complete ones, and pruned ones with their last report."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [trial for trial in trials if trial.value is not None]


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None, "of trials with a value"
    return trial.value


def _parameters(trials: Sequence[FrozenTrial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.params))


def _scaled(values: Sequence[Any]) -> list[float]:
    """Values between 0 and 1; what is no number by its place among the sorted texts."""
    if not _are_numbers(values):
        places = {text: place for place, text in enumerate(sorted(set(map(str, values))))}
        values = [places[str(value)] for value in values]
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.5 for value in values]


def _written(values: Sequence[Any]) -> list[tuple[float, str]]:
    """The values that are written beside a column, with their heights."""
    if not _are_numbers(values):
        texts = sorted(set(map(str, values)))
        chosen = texts if len(texts) <= _MOST_WRITTEN else [texts[0], texts[-1]]
        heights = dict(zip(texts, _scaled(texts), strict=True))
        return [(heights[text], text) for text in chosen]
    numbers = sorted(set(map(float, values)))
    if len(numbers) > _MOST_WRITTEN:
        low, high = numbers[0], numbers[-1]
        numbers = [low, (low + high) / 2, high]
    found: list[tuple[float, str]] = []
    for height, value in zip(_scaled(numbers), numbers, strict=True):
        if not found or height - found[-1][0] >= _APART:
            found.append((height, f"{value:.3g}"))
    return found


def _shades(count: int) -> list[tuple[float, float, float]]:
    """So many blues, each darker than the one before."""
    last = max(count - 1, 1)
    return [
        (0.75 - 0.75 * i / last, 0.85 - 0.5 * i / last, 1 - 0.4 * i / last) for i in range(count)
    ]


def _cells(values: Sequence[Any]) -> tuple[list[int], list[str]]:
    """The cell of every value, and the cells' labels: few values are their own cells."""
    distinct = sorted(set(values)) if _are_numbers(values) else sorted(set(map(str, values)))
    if len(distinct) <= _CELLS or not _are_numbers(values):
        texts = [str(each) if isinstance(each, str) else f"{each:g}" for each in distinct]
        place = {each: at for at, each in enumerate(distinct)}
        own = values if _are_numbers(values) else list(map(str, values))
        return [place[value] for value in own], texts
    edges = np.linspace(float(min(values)), float(max(values)), _CELLS + 1)
    cells = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _CELLS - 1)
    centres = (edges[:-1] + edges[1:]) / 2
    return [int(cell) for cell in cells], [f"{centre:.2g}" for centre in centres]


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
