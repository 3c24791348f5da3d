"""Which way is better; that the table names all that is measured is tested where it is measured."""

from __future__ import annotations

import pytest

from harness.metrics.forward import METRICS
from harness.metrics.likelihood import METRICS as LIKELIHOOD
from harness.metrics.lookup import directionless, metric_of

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


def test_a_metric_of_another_version_has_no_known_direction():
    assert metric_of("forward", "perplexity").good == "neither"


def test_who_asks_for_better_is_told_which_metrics_have_it():
    assert directionless("js") == (
        "js has no better or worse, only higher and lower (nll_agentic or nll_assisted has)"
    )
