"""Aggregates by name: the numbers of lm-eval's own functions, and what is said of unknown ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api import metrics  # noqa: F401 - its import fills the registry
from lm_eval.api.registry import AGGREGATION_REGISTRY

from harness.errors import ReportError
from harness.metrics.aggregates import aggregate_named, give

NATS = st.floats(-50, 0)
PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30)
WEIGHED = st.lists(st.tuples(NATS, st.integers(1, 40)), min_size=1, max_size=20)


def both(name, values):
    return aggregate_named(name)(values), float(AGGREGATION_REGISTRY[name](values))


@given(st.lists(NATS, min_size=1, max_size=20))
@pytest.mark.parametrize("name", ["perplexity", "median"])
def test_of_numbers(name, values):
    mine, theirs = both(name, values)
    assert mine == pytest.approx(theirs)


@given(WEIGHED)
@pytest.mark.parametrize("name", ["weighted_perplexity", "bits_per_byte"])
def test_of_weighed_numbers(name, values):
    mine, theirs = both(name, values)
    assert mine == pytest.approx(theirs)


@given(PAIRS)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["f1", "matthews_corrcoef"])
def test_of_labels(name, values):
    mine, theirs = both(name, values)
    assert mine == pytest.approx(theirs, abs=1e-12)


def test_of_probabilities():
    values = [(0, [0.5, 0.3, 0.2]), (2, [0.1, 0.1, 0.8])]
    mine, theirs = both("brier_score", values)
    assert mine == pytest.approx(theirs)


def test_of_texts():
    mine, theirs = both("chrf", [("a cat sat", "a cat sits"), ("on it", "on it")])
    assert mine == theirs


def test_of_tasks():
    values = [["a", 1.0], ["b", 0.0], ["b", 0.0], ["b", 1.0]]
    assert aggregate_named("mean by task, each alike")(values) == pytest.approx(2 / 3)
    assert aggregate_named("mean by task, weighted by size")(values) == 0.5


def test_a_mean_is_none_and_code_is_known_where_it_was_given():
    assert aggregate_named("mean") is None
    with pytest.raises(ReportError, match="is not known here"):
        aggregate_named("spread of mine")([1])
    give("spread of mine", lambda values: float(max(values) - min(values)))
    assert aggregate_named("spread of mine")([1, 4]) == 3.0
