"""Which way is better; that the table names all that is measured is tested where it is measured."""

from __future__ import annotations

from copy import deepcopy
from typing import ClassVar

import pytest

import harness
from harness import registry
from harness.metrics.forward import METRICS
from harness.metrics.likelihood import METRICS as LIKELIHOOD
from harness.metrics.lookup import SCORE, directionless, metric_of
from harness.tasks.answers.exact import Exact
from harness.tasks.base import TaskMetric
from harness.tasks.micro_gsm8k import MicroGSM8K

FORWARD = [entry.name for entry in METRICS]


@pytest.mark.parametrize("metric", FORWARD)
def test_only_a_loss_of_forward_passes_has_a_direction_and_none_is_a_share(metric):
    kind = metric_of("forward", metric)
    assert kind.good == ("lower" if metric.startswith("nll_") else "neither")
    assert not kind.share


def test_a_likelihood_is_better_the_likelier_the_reference_is():
    kinds = {entry.name: metric_of("likelihood", entry.name) for entry in LIKELIHOOD}
    assert {name: kind.good for name, kind in kinds.items()} == {
        "reference_nll": "lower",
        "reference_greedy": "higher",
        "choice_accuracy": "higher",
    }
    assert [name for name, kind in kinds.items() if not kind.share] == ["reference_nll"]


def test_a_tasks_metric_is_a_share_and_higher_is_better_whatever_it_is_called():
    assert metric_of("generate", "js") == metric_of("generate", "pass@1")
    assert (kind := metric_of("generate", "js")).share
    assert kind.good == "higher"


class Shouting(MicroGSM8K):
    """A task with a number of its own that is no share."""

    name = "shouting"
    metric = "capitals"
    entries: ClassVar = {"capitals": TaskMetric("capitals", "lower", "count", (0, None))}

    def metrics(self, scores):
        return {**super().metrics(scores), "capitals": 3.0 * len(scores)}


class Loose(Exact):
    """The same of a kind of answer."""

    entries: ClassVar = {"distance": TaskMetric("edits", "neither", "distance", (0, None))}


@pytest.fixture
def stated(monkeypatch):
    monkeypatch.setattr(registry, "tasks", deepcopy(registry.tasks))
    monkeypatch.setattr(registry, "answers", deepcopy(registry.answers))
    registry.tasks.register("shouting", Shouting)
    registry.answers.register("loose", Loose())
    registry.tasks.register("gone", "no.such:module")


@pytest.mark.usefixtures("stated")
def test_what_a_task_or_a_kind_of_answer_states_of_its_numbers_holds():
    found = metric_of("generate", "capitals", task="shouting")
    assert (found.good, found.kind, found.bounds, found.share) == (
        "lower",
        "count",
        (0, None),
        False,
    )
    assert metric_of("generate", "distance", answer="loose").good == "neither"
    others = [("exact_match", "shouting"), ("capitals", "gone"), ("capitals", ["shouting"])]
    assert {metric_of("generate", name, task=task) for name, task in others} == {SCORE}


@pytest.mark.usefixtures("stated")
def test_a_count_of_a_task_has_no_bounds_of_a_share_in_reports_and_gates(tmp_path):
    spec = {
        "name": "counted",
        "model": "zoo/moe",
        "task": {"name": "shouting", "limit": 3},
        "sampling": {"max_new_tokens": 2},
        "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
        "gates": ["capitals <= 4"],
    }
    run = harness.run(harness.Experiment.model_validate(spec), directory=tmp_path / "out")
    case = run.report.cases[-1]
    assert (case.metric, case.metrics["capitals"].value) == ("capitals", 3.0)
    assert case.kind("capitals").good == "lower"
    assert [gate.holds for gate in run.report.gates] == [True]


def test_a_metric_of_another_version_has_no_known_direction():
    assert metric_of("forward", "perplexity").good == "neither"


def test_who_asks_for_better_is_told_which_metrics_have_it():
    assert directionless("js") == (
        "js has no better or worse, only higher and lower (nll_agentic or nll_assisted has)"
    )
