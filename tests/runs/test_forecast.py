"""What a run would do, told before it: equal to what it then does."""

from __future__ import annotations

import pytest

from harness.resolve.progress import Silent
from harness.runs.forecast import forecast
from harness.runs.session import Session
from harness.store.completions import CompletionStore
from tests.runs.small import cases, mask

SWEEP = {"axes": {"intervention.count": [0, 30], "seed": [0, 1]}}


@pytest.fixture
def store(tmp_path):
    return CompletionStore(tmp_path / "store")


def run(asked, store):
    session = Session(store=store)
    session.plan(asked)
    for case in asked:
        session.outcome(case)
    counts, loads = session.counts, session.counts.loads
    for model in session._runs.values():
        model.close()
    return counts, loads


def test_a_forecast_is_what_the_run_does(store):
    asked = cases(**SWEEP)
    (before,) = forecast(asked, store)
    assert (before.model, before.cases) == ("zoo/moe", 4)
    assert (before.asked, before.requests, before.stored) == (18, 9, 0)
    assert before.loads
    assert before.at_most == 9 * 24
    assert before.expected is None
    assert before.prompt_tokens > 9 * 20
    counts, loads = run(asked, store)
    assert (counts.requests_total, counts.requests_stored, loads) == (9, 0, 1)
    (after,) = forecast(asked, store)
    assert (after.requests, after.stored, after.loads) == (9, 9, False)
    assert (after.prompt_tokens, after.at_most, after.expected) == (0, 0, 0)
    counts, loads = run(asked, store)
    assert (counts.requests_stored, counts.tokens, loads) == (9, 0, 0)


def test_what_is_missing_is_expected_to_be_as_long_as_what_is_stored(store):
    counts, _ = run(cases(), store)
    (part,) = forecast(cases(axes={"intervention.count": [0, 4, 30]}), store)
    assert (part.requests, part.stored) == (12, 6)
    assert part.expected == round(counts.tokens / 6 * 6)


def test_an_ordering_that_was_not_measured_leaves_requests_unknown(store):
    usage = {
        "intervention": mask(points={"usage": "avg_last_agentic", "samples": 2}),
        "axes": {"intervention.count": [0, 4, 8], "seed": [0, 1]},
    }
    asked = cases(**usage)
    (before,) = forecast(asked, store)
    assert before.unmeasured == ("router usage avg_last_agentic on micro_humaneval",)
    assert (before.requests, before.unknown, before.loads) == (12, 6, True)
    counts, _ = run(asked, store)
    assert counts.requests_total == 12
    (after,) = forecast(asked, store)
    assert (after.unmeasured, after.unknown, after.stored) == ((), 0, 12)


def test_models_are_told_apart_in_their_order(store):
    asked = cases(axes={"model": ["zoo/moe", "zoo/oracle"]}, intervention=None)
    assert [each.model for each in forecast(asked, store)] == ["zoo/moe", "zoo/oracle"]


def test_a_forecast_loads_no_model(store, monkeypatch):
    def load(*arguments, **fields):
        raise AssertionError("loaded")

    monkeypatch.setattr("harness.models.loading.load", load)
    assert forecast(cases(**SWEEP), store)[0].requests == 9
    assert Silent().note("") is None


def test_a_prompt_that_cannot_be_rendered_is_named(store, monkeypatch):
    from harness.errors import TaskError
    from harness.tasks.micro_humaneval import MicroHumanEval

    def prompt(self, sample, style):
        if style == "agentic":
            raise TaskError("no tools today")
        return original(self, sample, style)

    original = MicroHumanEval.prompt
    monkeypatch.setattr(MicroHumanEval, "prompt", prompt)
    (told,) = forecast(cases(axes={"prompt.style": ["assisted", "agentic"]}), store)
    assert told.requests == 6
    assert told.impossible == (
        "small[baseline-style=agentic]: no tools today",
        "small[style=agentic]: no tools today",
    )
