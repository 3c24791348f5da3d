"""Four plots of a study: its history, its configurations, what mattered, and where the best lie."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from harness.report.figures.figure import GREY, HEIGHT, INK, RULE, canvas, surround, untangle
from harness.report.figures.palette import COLOURS
from harness.report.labels import short_names
from harness.search.study import keeps_conditions

_CELLS = 10
#: Values of a column that are all written beside it; of more, both ends and the middle.
_MOST_WRITTEN = 6
#: Characters of a value beside its column.
_VALUE_FITS = 12
#: Share of a column's height between two values, so that neither covers the other.
_APART = 0.09
_SHAPES = {TrialState.COMPLETE: "o", TrialState.PRUNED: "X"}
#: Of the best trial, in every plot.
_BEST = COLOURS[1]


def plot_files(
    study: optuna.Study, metric: str, first: Sequence[str] = ()
) -> Iterator[tuple[str, bytes]]:
    """Yield `(name, PNG)` of every plot that the study has enough trials for.

    A map is over two searched fields, those that come `first` before others.
    """
    drawn: Mapping[str, Callable[[optuna.Study, str], Figure | None]] = {
        "history": history,
        "parallel_coordinates": parallel_coordinates,
        "importance": importance,
        "heatmap": partial(heatmap, first=first),
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
                label="complete" if state == TrialState.COMPLETE else "pruned (value so far)",
            )
    complete = [
        trial for trial in trials if trial.state == TrialState.COMPLETE and keeps_conditions(trial)
    ]
    beyond = [trial for trial in trials if not keeps_conditions(trial)]
    if beyond:
        axes.plot(
            [trial.number for trial in beyond],
            [_value(trial) for trial in beyond],
            "x",
            color=GREY,
            label="breaks a condition",
        )
    better = np.maximum if study.direction == optuna.study.StudyDirection.MAXIMIZE else np.minimum
    found = better.accumulate([_value(trial) for trial in complete])
    axes.step(
        [*(trial.number for trial in complete), max(len(study.trials) - 1, 0)],
        [*found, found[-1]],
        where="post",
        color=_BEST,
        zorder=1,
        label="best complete one so far",
    )
    best = study.best_trial
    _mark(axes, best.number, _value(best), best)
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
    trials = _worst_first(study)
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
    best = study.best_trial
    axes.plot(heights[:, -1], color=_BEST, lw=2.2, label=_named(best))
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
    what = "configurations, better ones darker; pruned ones are faint"
    _finish(figure, axes, study, metric, what, legend=True)
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


def heatmap(study: optuna.Study, metric: str, first: Sequence[str] = ()) -> Figure | None:
    """The metric over two searched fields, those that come `first` before others."""
    trials = _valued(study)
    names = _parameters(trials)
    ordered = list(dict.fromkeys([*(name for name in first if name in names), *names]))
    if len(ordered) < 2:
        return None
    across, up = ordered[:2]
    figure, axes = canvas(HEIGHT)
    columns, rows = (_cells(trials, name) for name in (across, up))
    inside: dict[tuple[int, int], list[float]] = {}
    for trial, row, column in zip(trials, rows.places, columns.places, strict=True):
        inside.setdefault((row, column), []).append(_value(trial))
    grid = np.full((len(rows.labels), len(columns.labels)), np.nan)
    for cell, values in inside.items():
        grid[cell] = np.mean(values)
    image = axes.imshow(grid, aspect="auto", origin="lower", cmap="viridis")
    best = trials.index(next(trial for trial in trials if trial.number == study.best_trial.number))
    _mark(axes, columns.places[best], rows.places[best], study.best_trial)
    axes.set_xticks(range(len(columns.labels)), columns.labels)
    axes.set_yticks(range(len(rows.labels)), rows.labels)
    axes.set_xlabel(f"{across}{columns.note}")
    figure.colorbar(image, ax=axes, label=metric)
    what = "mean of the trials in a cell, pruned ones by their value so far; white: no trial"
    _finish(figure, axes, study, metric, what, legend=True)
    axes.set_ylabel(f"{up}{rows.note}")
    axes.grid(visible=False)
    untangle(figure, axes)
    return figure


def _mark(axes: Axes, x: float, y: float, best: FrozenTrial) -> None:
    """A star at the best trial, with its number in the legend."""
    axes.plot([x], [y], "*", color=_BEST, ms=13, mec="white", label=_named(best))


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


def _worst_first(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that have a value, pruned ones before complete ones; the study's best is last.

    A pruned trial has a value of fewer samples, which may exceed the best complete one's; of equal
    values Optuna's best is the first.
    """
    sign = 1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1
    return sorted(
        _valued(study),
        key=lambda trial: (
            trial.state == TrialState.COMPLETE,
            sign * _value(trial),
            -trial.number,
        ),
    )


def _named(trial: FrozenTrial) -> str:
    return f"best: trial {trial.number} (value {_value(trial):.4g})"


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
    """Values between 0 and 1; a text by its place among the sorted texts."""
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


@dataclass(frozen=True)
class _Cells:
    """The cells along one side of the map: where each trial is, and what is written beside them."""

    places: list[int]
    labels: list[str]
    note: str


def _cells(trials: Sequence[FrozenTrial], name: str) -> _Cells:
    """Cells for all that a field could be, tried or not: its few values, or equal ranges."""
    values = [trial.params[name] for trial in trials]
    distribution = trials[-1].distributions[name]
    possible = _possible(distribution)
    if possible is None:
        possible = sorted(set(values), key=float)
    if len(possible) <= _CELLS or not _are_numbers(possible):
        place = {_key(value): at for at, value in enumerate(possible)}
        even = not _are_numbers(possible) or _evenly_spaced(possible)
        note = "" if even else " (spaced evenly, not to scale)"
        return _Cells([place[_key(value)] for value in values], list(map(_label, possible)), note)
    low, high = float(possible[0]), float(possible[-1])
    if isinstance(distribution, FloatDistribution | IntDistribution):
        low, high = float(distribution.low), float(distribution.high)
    logarithmic = getattr(distribution, "log", False)
    edges = (
        np.geomspace(low, high, _CELLS + 1) if logarithmic else np.linspace(low, high, _CELLS + 1)
    )
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _CELLS - 1)
    centres = np.sqrt(edges[:-1] * edges[1:]) if logarithmic else (edges[:-1] + edges[1:]) / 2
    scale = ", on a logarithmic scale" if logarithmic else ""
    note = f" (middles of {_CELLS} ranges{scale})"
    return _Cells([int(place) for place in places], [f"{each:.2g}" for each in centres], note)


def _possible(distribution: BaseDistribution) -> list[Any] | None:
    """Every value of a distribution in its order; None where they are too many to be listed."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return sorted(choices, key=float) if _are_numbers(choices) else list(choices)
        case IntDistribution(low=low, high=high, step=step, log=False):
            return list(range(low, high + 1, step))
        case FloatDistribution(low=low, high=high, step=float(step)):
            return [low + step * at for at in range(round((high - low) / step) + 1)]
    return None


def _evenly_spaced(values: Sequence[Any]) -> bool:
    gaps = np.diff(np.asarray(values, dtype=float))
    return bool(np.allclose(gaps, gaps[:1]))


def _key(value: Any) -> Any:
    """Equal for values that are the same cell: steps of a range are told apart to nine digits."""
    return f"{value:.9g}" if _are_numbers([value]) else str(value)


def _label(value: Any) -> str:
    return f"{value:g}" if _are_numbers([value]) else str(value)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
