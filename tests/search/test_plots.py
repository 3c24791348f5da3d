from __future__ import annotations

import io
import random

import optuna
import pytest
from matplotlib.image import imread

from harness.search.artefacts import trials_frame
from harness.search.plots import heatmap, history, importance, parallel_coordinates, plot_files


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
    best = next(line for line in axes.lines if line.get_label() == "best")
    complete = [trial.value for trial in study.trials if trial.state.name == "COMPLETE"]
    assert best.get_ydata()[-1] == ends(complete) == study.best_value


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_configuration_is_drawn_last_and_darkest(direction):
    study = study_of(10, direction)
    (axes,) = parallel_coordinates(study, "m").axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
    values = [line.get_ydata()[-1] for line in lines]
    assert values == sorted(values, reverse=direction == "minimize")
    assert sum(lines[-1].get_color()) == min(sum(line.get_color()) for line in lines)


def test_what_does_nothing_is_not_important():
    (axes,) = importance(study_of(40), "m").axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    shares = dict(zip(names, (bar.get_width() for bar in axes.patches), strict=True))
    assert shares["intervention.alpha"] > shares["intervention.layer"] > 0
    assert sum(shares.values()) == pytest.approx(1)


def test_the_map_is_dose_by_layer():
    axes, _ = heatmap(study_of(40), "m").axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("intervention.alpha", "intervention.layer")
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
