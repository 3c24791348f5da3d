"""Cases of likelihoods as part of a run: numbers, sharing, resuming, refusals, identities."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
import torch

from harness.engines.contract import Scored
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import SpecError
from harness.interventions.router_mask.description import RouterMask
from harness.measure.likelihood import Choices
from harness.metrics.likelihood import METRICS
from harness.resolve.progress import Counts, Silent
from harness.runs.execute import ModelRun
from harness.runs.forecast import forecast
from harness.runs.invariants import check_invariants
from harness.runs.partition import expected_cost
from harness.runs.plan import Plan
from harness.runs.scored import scored_result
from harness.store.completions import CompletionStore
from harness.store.records import from_json, to_json
from harness.tasks.conversations import render
from tests.engines.reference64 import Reference
from tests.runs.small import cases, mask, run_on

DOSES = {"intervention.count": [0, 30]}
ONE_TOKEN = Choices(((1,),), (0,))


def likelihood_cases(**fields):
    return cases(**{"measure": "likelihood", "axes": DOSES, **fields})


@pytest.fixture(scope="module")
def swept(loaded):
    """A sweep's cases, and the results of their baseline and of themselves."""
    planned = likelihood_cases()
    run = run_on(TransformersEngine(loaded), planned)
    return planned, [run.result(each) for each in (planned[0].baseline, *planned)]


def test_a_case_has_one_number_per_sample_and_metric(swept):
    planned, results = swept
    samples = [sample.id for sample in planned[0].task.samples]
    for result in results:
        assert (result.status, result.metric) == ("complete", "reference_nll")
        assert list(result.sample_metrics) == [each.name for each in METRICS] == planned[0].metrics
        assert all(list(values) == samples for values in result.sample_metrics.values())
        assert result.task_size == 3
        assert result.draws == ()
        assert from_json(to_json(result)) == result


@torch.no_grad()
def test_an_untouched_case_measures_what_a_plain_loop_does(loaded, swept):
    planned, (baseline, *_) = swept
    for sample in planned[0].task.samples:
        prompt = render(loaded.tokenizer, planned[0].task.prompt(sample, "assisted"))
        reference = planned[0].task.reference(sample)
        text = loaded.tokenizer(reference.text, add_special_tokens=False)["input_ids"]
        scores = loaded.model(torch.tensor([[*prompt, *text]])).logits[0].log_softmax(-1)
        own, greedy, read = [], [], ""
        for at, token in enumerate(text, start=len(prompt)):
            word = loaded.tokenizer.decode([token])
            inside = len(reference.opening) <= len(read) < len(reference.text) - len("\n```")
            if word.strip() and inside:
                own.append(float(scores[at - 1, token]))
                greedy.append(int(scores[at - 1].argmax()) == token)
            read += word
        assert read == reference.text
        metrics = {name: values[sample.id] for name, values in baseline.sample_metrics.items()}
        assert metrics["reference_nll"] == pytest.approx(-fmean(own), abs=1e-4)
        assert metrics["reference_greedy"] == pytest.approx(fmean(greedy))


def test_a_masked_case_measures_what_is_defined(loaded, swept):
    """Against float64 and plain loops over tokens."""
    planned, (*_, masked) = swept
    plan = Plan(loaded.tokenizer)
    plan.add(planned[1], masked.intervention)
    reference = Reference(loaded)
    asked = list(plan.addresses)
    assert reference.complaints_of_scores(TransformersEngine(loaded), asked) == {}
    assert isinstance(masked.intervention, RouterMask)
    assert len(masked.intervention.points) == 30
    assert masked.counts["changed"] > 0
    assert masked.counts["routed"] == sum(
        4 * (len(each.context) + len(continuation) - 1)
        for each in asked
        for continuation in each.continuations
    )


@pytest.mark.parametrize("style", ["assisted", "agentic"])
def test_it_measures_what_forward_passes_measure(loaded, tmp_path, style):
    (forward,) = cases("read", measure="forward", intervention=mask(count=30))
    (likelihood,) = likelihood_cases(axes={}, intervention=mask(count=30), prompt={"style": style})
    run = run_on(TransformersEngine(loaded), [forward, likelihood], kept=lambda _: tmp_path)
    read = run.result(forward).sample_metrics[f"nll_{style}"]
    own = run.result(likelihood).sample_metrics["reference_nll"]
    assert own == pytest.approx(read, abs=1e-4)


def test_a_neutral_dose_equals_the_baseline_and_one_that_does_not_is_found(swept):
    planned, (baseline, neutral, masked) = swept
    (check,) = check_invariants([baseline, neutral, masked])
    assert (check.name, check.case, check.holds) == (
        "neutral_equals_baseline",
        planned[0].id,
        True,
    )
    assert masked.sample_metrics != baseline.sample_metrics
    last = planned[0].task.samples[-1].id
    other = {"reference_nll": {**baseline.sample_metrics["reference_nll"], last: 9.0}}
    scored = {
        sample.id: (ONE_TOKEN, Scored(((-1.0,),), ((True,),))) for sample in planned[0].task.samples
    }
    ones = dict.fromkeys(scored, 1.0)
    same = replace(baseline, sample_metrics={"reference_nll": ones})
    for expected, holds in ((same, True), (replace(baseline, sample_metrics=other), False)):
        result = scored_result(planned[0], scored, expected, None, "float32")
        assert [each.holds for each in result.checks] == [holds]


class Breaking(TransformersEngine):
    """Stops working after so many scores; remembers how many it was asked for."""

    def __init__(self, loaded, after):
        super().__init__(loaded)
        self.left = after
        self.asked = 0

    def score(self, scorings):
        asked = list(scorings)
        self.asked += len(asked)
        for done in super().score(asked):
            if not self.left:
                raise RuntimeError("boom")
            self.left -= 1
            yield done


def test_a_run_that_broke_goes_on_where_it_stopped(loaded, tmp_path, swept):
    planned, whole = swept
    first = Breaking(loaded, after=4)
    run = ModelRun(first, planned, Silent(), Counts(), CompletionStore(tmp_path))
    with pytest.raises(RuntimeError, match="boom"):
        [run.result(case) for case in planned]
    counts, second = Counts(), Breaking(loaded, after=99)
    store = CompletionStore(tmp_path)
    (before,) = forecast(planned, store)
    assert (before.requests, before.at_most, before.expected) == (9, 0, None)
    run = ModelRun(second, planned, Silent(), counts, store)
    results = [run.result(each) for each in (planned[0].baseline, *planned)]
    for own, expected in zip(results, whole, strict=True):
        for name, values in expected.sample_metrics.items():
            assert own.sample_metrics[name] == pytest.approx(values, abs=1e-4)
        assert own.counts == expected.counts
    assert (counts.requests_total, counts.requests_done, counts.requests_stored) == (9, 9, 4)
    assert second.asked == 5
    again = ModelRun(second, planned, Silent(), Counts(), CompletionStore(tmp_path))
    assert [again.result(each).sample_metrics for each in planned] == [
        result.sample_metrics for result in results[1:]
    ]
    assert second.asked == 5


def test_equal_scorings_are_made_once_and_share_a_run_with_completions(loaded):
    planned = likelihood_cases(axes={**DOSES, "seed": [0, 1]})
    generated = cases("generated")
    engine, counts = Breaking(loaded, after=99), Counts()
    run = ModelRun(engine, [*planned, *generated], Silent(), counts)
    results = [run.result(case) for case in (*planned, *generated)]
    assert all(result.status == "complete" for result in results)
    assert engine.asked == 9
    assert counts.requests_total == counts.requests_done == 9 + 6
    assert results[0].sample_metrics == results[1].sample_metrics
    assert results[0].tokens == 0
    assert results[-1].draws
    assert expected_cost(planned[0]) < expected_cost(generated[0])


def test_a_sample_that_cannot_be_scored_is_left_out_and_counted(swept):
    (case, _), _ = swept
    ids = [sample.id for sample in case.task.samples]
    scored = {id_: (ONE_TOKEN, Scored(((-1.0,),), ((True,),))) for id_ in ids[1:]}
    refused = (ONE_TOKEN, Scored(error="too long"))
    result = scored_result(case, {ids[0]: refused, **scored}, None, None, "float32")
    assert (result.status, result.task_size) == ("complete", 2)
    assert result.warnings == (
        f"1 of 3 samples could not be scored and are left out: {ids[0]}: too long",
    )
    nothing = scored_result(case, {ids[0]: refused}, None, None, "float32")
    assert nothing.status == "failed"
    assert nothing.error == f"every scoring was refused, first {ids[0]}: too long"


def test_prompts_that_leave_no_room_are_refused_with_their_length(loaded, monkeypatch):
    engine = TransformersEngine(loaded)
    monkeypatch.setattr(engine, "_context", 90)
    (case, _) = likelihood_cases()
    result = run_on(engine, [case]).result(case)
    assert "tokens; the model scores at most 91" in (result.error or str(result.warnings))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"axes": {"sampling.draws": [1, 2]}}, "axes.sampling.draws: likelihoods draw nothing"),
        ({"prompt": {"pairs": "/no/such.json"}}, "prompt.pairs: "),
        ({"metric": "pass@1"}, "metric: pass@1 is not measured here"),
    ],
)
def test_what_likelihoods_cannot_be_is_refused_before_a_run(fields, message):
    with pytest.raises(SpecError, match=message):
        likelihood_cases(**fields)
