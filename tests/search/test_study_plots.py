from __future__ import annotations

import io
import random
from itertools import combinations

import numpy as np
import optuna
import pytest
from matplotlib.image import imread

from harness.search.artefacts import trials_frame
from harness.search.study_plots import (
    heatmap,
    history,
    importance,
    parallel_coordinates,
    plot_files,
)


def study_of(trials, direction="maximize"):
    """A study of two fields whose value is best at dose 0 in layer 1."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    draw = random.Random(0)
    study = optuna.create_study(study_name="s", direction=direction)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    for number in range(trials):
        trial = study.ask()
        dose = trial.suggest_float("intervention.alpha", -1, 1)
        layer = trial.suggest_categorical("intervention.layer", [0, 1])
        value = (1 - abs(dose)) * (0.5 + 0.5 * layer) + 0.01 * draw.random()
        trial.report(value / 2, 0)
        if number % 5 == 3:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif number % 5 == 4:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, value)
    return study


def test_every_plot_is_an_image():
    files = dict(plot_files(study_of(20), "exact_match"))
    assert list(files) == [
        "history.png",
        "parallel_coordinates.png",
        "importance.png",
        "heatmap.png",
    ]
    for content in files.values():
        assert imread(io.BytesIO(content)).shape[1] == 1050


@pytest.mark.parametrize(("direction", "ends"), [("maximize", max), ("minimize", min)])
def test_the_history_ends_with_the_best(direction, ends):
    study = study_of(20, direction)
    (axes,) = history(study, "m").axes
    best = next(line for line in axes.lines if line.get_label().startswith("best complete"))
    complete = [trial.value for trial in study.trials if trial.state.name == "COMPLETE"]
    assert best.get_ydata()[-1] == ends(complete) == study.best_value


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_complete_configurations_are_darker_the_better_they_are(direction):
    study = study_of(10, direction)
    (axes,) = parallel_coordinates(study, "m").axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    complete = [line for line in lines[:-1] if line.get_alpha() == 0.9]
    values = [line.get_ydata()[-1] for line in complete]
    assert values == sorted(values, reverse=direction == "minimize")
    shades = [sum(line.get_color()) for line in lines[:-1]]
    assert shades == sorted(shades, reverse=True)
    assert lines[: -1 - len(complete)] == [line for line in lines if line.get_alpha() == 0.3]


def tied(direction="maximize"):
    """Two complete trials of one value, the first of which is the best; a pruned one beyond it."""
    study = optuna.create_study(study_name="s", direction=direction)
    sign = 1 if direction == "maximize" else -1
    for dose, layer, value, state in (
        (0.2, 3, 0.5, "COMPLETE"),
        (0.6, 0, 0.9, "COMPLETE"),
        (1.0, 3, 0.9, "COMPLETE"),
        (0.8, 1, 1.0, "PRUNED"),
    ):
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[state],
                params={"intervention.alpha": dose, "intervention.layer": layer},
                distributions={
                    "intervention.alpha": optuna.distributions.FloatDistribution(0, 1, step=0.2),
                    "intervention.layer": optuna.distributions.CategoricalDistribution(
                        [0, 1, 3, 7]
                    ),
                },
                value=sign * value,
            )
        )
    return study


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_a_plot_calls_the_best_is_the_study_s_best(direction):
    study = tied(direction)
    assert study.best_trial.number == 1
    labelled = {}
    for draw in (history, parallel_coordinates, heatmap):
        axes = draw(study, "m").axes[0]
        (line,) = [line for line in axes.lines if line.get_label().startswith("best: trial 1 ")]
        labelled[draw] = [list(line.get_xdata()), list(line.get_ydata())]
    assert labelled[history] == [[1], [study.best_value]]
    height = 1 if direction == "maximize" else 0
    assert labelled[parallel_coordinates][1][-1] == pytest.approx(height, abs=0.21)
    assert labelled[heatmap] == [[3], [0]]


def test_the_map_has_a_row_for_every_value_and_says_where_it_is_not_to_scale():
    axes = heatmap(tied(), "m").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "3", "7"]
    assert "not to scale" in axes.get_ylabel()
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0", "0.2", "0.4", "0.6", "0.8", "1",
    ]  # fmt: skip
    assert axes.get_xlabel() == "intervention.alpha"
    grid = axes.images[0].get_array()
    assert grid.shape == (4, 6)
    assert bool(np.ma.getmaskarray(np.ma.masked_invalid(grid))[3].all())


def test_a_wide_range_is_cut_into_cells_that_are_said_to_be_ranges():
    axes = heatmap(study_of(40), "m").axes[0]
    assert axes.get_xlabel() == "intervention.alpha (middles of 10 ranges)"
    assert axes.images[0].get_array().shape == (2, 10)


def labels_of(figure):
    """What is written in a drawn figure, with the places."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    texts = [text for text in [*axes.texts, *axes.get_xticklabels()] if text.get_text()]
    return [(text.get_text(), text.get_window_extent()) for text in texts]


@pytest.mark.parametrize("columns", [1, 6])
def test_no_two_words_of_the_configurations_overlap_or_leave_the_page(columns):
    study = optuna.create_study(study_name="s", sampler=optuna.samplers.RandomSampler(seed=0))
    # Two doses are so near that only one can be written.
    for positions, dose in (("the_first_generated_token", 0), ("last", 1e-5), ("last", 1e-3)):
        study.enqueue_trial({"positions": positions, "intervention.0.alpha": dose})
        trial = study.ask()
        doses = [trial.suggest_float(f"intervention.{at}.alpha", 0, 1e-3) for at in range(columns)]
        trial.suggest_categorical("positions", ["the_first_generated_token", "last"])
        study.tell(trial, sum(doses))
    figure = parallel_coordinates(study, "exact_match")
    labels = labels_of(figure)
    overlapping = [(a, b) for (a, x), (b, y) in combinations(labels, 2) if x.overlaps(y)]
    assert overlapping == []
    assert [text for text, box in labels if box.x0 < 0 or box.x1 > figure.bbox.x1] == []
    assert "the_first_g…" in [text for text, _ in labels]


@pytest.mark.parametrize("trials", [1, 2, 3, 20])
def test_trials_are_counted_in_whole_numbers(trials):
    figure = history(study_of(trials), "m")
    figure.draw_without_rendering()
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())


def test_what_does_nothing_is_not_important():
    (axes,) = importance(study_of(40), "m").axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    shares = dict(zip(names, (bar.get_width() for bar in axes.patches), strict=True))
    assert shares["intervention.alpha"] > shares["intervention.layer"] > 0
    assert sum(shares.values()) == pytest.approx(1)


def test_the_map_is_over_what_is_shown_first_and_otherwise_over_the_first_two():
    named = ("intervention.strongest", "intervention.layer", "intervention.alpha")
    axes, _ = heatmap(study_of(40), "m", first=named).axes
    assert axes.get_xlabel() == "intervention.layer"
    assert axes.get_ylabel().startswith("intervention.alpha")
    axes, _ = heatmap(study_of(40), "m").axes
    assert axes.get_xlabel().startswith("intervention.alpha")
    assert axes.get_ylabel() == "intervention.layer"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1"]
    grid = axes.images[0].get_array()
    assert grid.shape == (2, 10)
    assert grid[1].max() > grid[0].max()


def test_too_few_trials_leave_out_what_cannot_be_drawn():
    assert "importance.png" not in dict(plot_files(study_of(2), "m"))


def test_the_table_has_every_trial():
    frame = trials_frame(study_of(10))
    assert list(frame["state"].value_counts().sort_index().items()) == [
        ("COMPLETE", 6), ("FAIL", 2), ("PRUNED", 2),
    ]  # fmt: skip
    assert frame.loc[frame["state"] != "COMPLETE", "value"].isna().all()
    assert list(frame)[:3] == ["number", "state", "value"]
    assert {"params.intervention.alpha", "intermediate.0", "seconds", "worker", "error"} <= set(
        frame
    )
