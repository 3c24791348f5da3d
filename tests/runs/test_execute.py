"""Runs of real cases on zoo/moe: what they share, what they must not, and what fails alone."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import takewhile

import pytest
import torch

from harness.engines.contract import Capture, Reading
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import load
from harness.resolve.progress import Counts, Silent
from harness.runs.execute import ModelRun
from harness.runs.generated import scored
from harness.runs.plan import Address
from harness.runs.planned_case import PlannedCase
from harness.tasks.humaneval import HumanEval
from harness.tasks.micro_humaneval import MicroHumanEval
from tests.runs.small import Wrapped, cases, content, mask, run_on, start

SWEEP = {
    "axes": {"intervention.count": [0, 4, 30], "prompt.style": ["assisted", "agentic"]},
    "intervention": mask(),
}
USAGE = {"usage": "avg_last_agentic", "samples": 2}


def outcomes(run, asked):
    """Each case's result, asked for in this order."""
    return {case.id: run.result(case) for case in asked}


@pytest.fixture(scope="module")
def sweep(loaded):
    """Six cases and their two baselines, run together; the run, its cases and its results."""
    asked = cases(**SWEEP)
    run = start(loaded, asked)
    for case in asked:
        run.result(case)
    return run, asked, {result.case.id: result for result in run.results()}


# What a result does not depend on -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_results_do_not_depend_on_the_order_in_which_they_are_asked_for(loaded, sweep, seed):
    _, asked, expected = sweep
    shuffled = random.Random(seed).sample(asked, len(asked))
    for id_, result in outcomes(start(loaded, asked), shuffled).items():
        assert content(result) == content(expected[id_])


@pytest.mark.parametrize("seed", range(3))
def test_results_do_not_depend_on_the_selection_or_its_order(loaded, sweep, seed):
    _, asked, expected = sweep
    draw = random.Random(seed)
    selected = draw.sample(asked, draw.randint(1, 4))
    for id_, result in outcomes(start(loaded, selected), selected).items():
        assert content(result) == content(expected[id_])


def test_results_do_not_depend_on_the_number_of_slots(loaded, sweep):
    _, asked, expected = sweep
    for id_, result in outcomes(start(loaded, asked, slots=2), asked).items():
        assert content(result) == content(expected[id_])


def test_a_result_asked_for_twice_is_the_same_object(sweep):
    run, asked, _ = sweep
    assert all(run.result(case) is run.result(case) for case in asked)


# What is in a result ------------------------------------------------------------------------------


def test_every_case_follows_its_baseline_once(sweep):
    _, asked, results = sweep
    order = list(results)
    assert len(order) == len(set(order)) == len(asked) + 2
    assert all(order.index(case.baseline.id) < order.index(case.id) for case in asked)
    assert all(result.status == "complete" for result in results.values())
    assert all(result.scored == result.task_size == 3 for result in results.values())


def test_agreement_counts_the_tokens_before_the_first_departure(sweep):
    _, _, results = sweep
    compared = [result for result in results.values() if result.baseline is not None]
    departures = 0
    for result in compared:
        for draw, base in zip(result.draws, results[result.baseline].draws, strict=True):
            assert (draw.sample, draw.draw) == (base.sample, base.draw)
            pairs = zip(draw.completion.tokens, base.completion.tokens, strict=False)
            equal = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            assert draw.agreement == equal
            departures += equal < len(base.completion.tokens)
    assert len(compared) == 6
    assert departures > 0


def test_a_baseline_agrees_with_nothing(sweep):
    _, _, results = sweep
    untouched = [result for result in results.values() if result.baseline is None]
    assert len(untouched) == 2
    assert all(draw.agreement is None for result in untouched for draw in result.draws)


def test_masked_cases_count_their_routing_decisions(loaded, sweep):
    """One per router and token that the model read: the last drawn token never is."""
    _, _, results = sweep
    for result in results.values():
        if not result.case.params.get("intervention.count"):
            assert result.counts == {}
            continue
        read = sum(
            len(loaded.tokenizer(draw.prompt)["input_ids"]) + len(draw.completion.tokens) - 1
            for draw in result.draws
        )
        assert result.counts["routed"] == read * 4
        assert 0 < result.counts["changed"] <= result.counts["routed"]
        assert result.counts["changed"] + result.counts["emptied"] <= result.counts["routed"]
        assert result.counts == {
            name: sum(draw.completion.counts[name] for draw in result.draws)
            for name in ("routed", "changed", "emptied")
        }


def test_seconds_are_the_engines_time_shared_by_tokens(sweep):
    run, _, results = sweep
    assert run.seconds > 0
    assert sum(result.seconds for result in results.values()) == pytest.approx(run.seconds)
    rates = [result.seconds / result.tokens for result in results.values()]
    assert rates == pytest.approx([rates[0]] * len(rates))


def test_completions_that_are_cut_off_are_warned_about(loaded):
    (case,) = cases(intervention=None, sampling={"max_new_tokens": 2})
    result = start(loaded, [case]).result(case)
    assert result.warnings == ("3 of 3 completions were cut off at their length limit",)
    assert result.sample_metrics["pass@1"] == dict.fromkeys(case.task.by_id, 0.0)


# Draws --------------------------------------------------------------------------------------------


def test_pass_at_k_comes_from_all_draws(loaded):
    sampling = {"temperature": 3.0, "draws": 6, "max_new_tokens": 40}
    (case,) = cases(intervention=None, sampling=sampling)
    result = start(loaded, [case]).result(case)
    assert set(result.sample_metrics) == {"pass@1", "pass@5", "parsed", "tool_call", "cut"}
    texts = set()
    for sample in case.task.by_id:
        draws = [draw for draw in result.draws if draw.sample == sample]
        assert [draw.draw for draw in draws] == list(range(6))
        texts |= {(sample, draw.completion.text) for draw in draws}
        right = sum(draw.score.correct for draw in draws)
        assert result.sample_metrics["pass@1"][sample] == pytest.approx(right / 6)
        # Of six ways to leave one draw out, only a single right one can be left out.
        some = {0: 0.0, 1: 5 / 6}.get(right, 1.0)
        assert result.sample_metrics["pass@5"][sample] == pytest.approx(some)
    assert len(texts) > 3


def test_greedy_draws_are_one_completion(loaded):
    (case,) = cases(intervention=None, sampling={"draws": 5, "max_new_tokens": 24})
    run = start(loaded, [case])
    result = run.result(case)
    assert run._counts.requests_total == 3
    assert len(result.draws) == 15
    assert len({(draw.sample, draw.completion.tokens) for draw in result.draws}) == 3
    assert set(result.sample_metrics["pass@5"].values()) <= {0.0, 1.0}
    assert result.warnings[0].startswith("sampling.draws: 5 with temperature 0 is one greedy")


def test_draws_of_a_dose_are_compared_with_the_same_draws_of_the_baseline(loaded):
    """The neutral dose shares the baseline's randomness, or sampling would hide every effect."""
    sampling = {"temperature": 3.0, "draws": 3, "max_new_tokens": 24}
    (case,) = cases(sampling=sampling)
    result = start(loaded, [case]).result(case)
    assert len({draw.completion.tokens for draw in result.draws}) > 3
    assert [draw.agreement for draw in result.draws] == [
        len(draw.completion.tokens) for draw in result.draws
    ]


# What fails, fails alone --------------------------------------------------------------------------


def test_a_mask_that_turns_out_impossible_fails_its_case_alone(loaded):
    asked = cases(
        intervention=mask(points=USAGE, mode="replace_topk"),
        axes={"intervention.count": [56, 4]},
    )
    counts = Counts(cases_total=2)
    run = ModelRun(TransformersEngine(loaded), asked, Silent(), counts)
    impossible, possible = (run.result(case) for case in asked)
    assert impossible.status == "failed"
    assert impossible.error.startswith("experiment small intervention.count: 56 points mask ")
    assert possible.status == "complete"
    assert [result.status for result in run.results()] == ["complete", "failed", "complete"]
    assert counts.cases_done == 2


def test_a_points_file_that_vanishes_before_the_run_fails_its_case_alone(loaded, tmp_path):
    file = tmp_path / "points.json"
    file.write_text(json.dumps([{"layer": 0, "router": 0}]))
    gone, fine = (
        *cases("gone", intervention=mask(points={"file": str(file)}, count=1)),
        *cases("fine", intervention=mask(count=1)),
    )
    file.unlink()
    run = start(loaded, [gone, fine])
    assert run.result(fine).status == "complete"
    assert f"intervention.points.file: {file}: cannot be read" in run.result(gone).error


class NoAgents(MicroHumanEval):
    def score(self, answers):
        if any(style == "agentic" for _, style, _ in answers):
            raise ValueError("no agents today\nand more")
        return super().score(answers)


def test_a_scorer_that_breaks_fails_its_case_alone(loaded):
    asked = [
        replace(case, task=NoAgents(case.task.samples))
        for case in cases(intervention=None, axes={"prompt.style": ["agentic", "assisted"]})
    ]
    agentic, assisted = outcomes(start(loaded, asked), asked).values()
    assert (agentic.status, assisted.status) == ("failed", "complete")
    assert agentic.error == "scoring: ValueError: no agents today"


def test_an_engine_that_breaks_keeps_what_was_finished(loaded):
    baseline_and_neutral = 6
    asked = cases(axes={"intervention.count": [0, 4, 30]})
    run = run_on(Wrapped(loaded, breaks_after=baseline_and_neutral), asked)
    neutral, *rest = asked
    for case in rest:
        with pytest.raises(RuntimeError, match="boom"):
            run.result(case)
    assert run.result(neutral).status == "complete"  # its completions were there before
    results = run.results()
    assert [result.status for result in results] == ["complete", "complete", "failed", "failed"]
    assert results[-1].error == "the engine broke: RuntimeError: boom"
    assert run.done  # another model may have its memory


def test_a_run_that_ends_early_has_incomplete_cases(loaded):
    asked = cases(axes={"intervention.count": [0, 30]})
    run = start(loaded, asked, slots=1)
    run.result(asked[0])
    run.close()
    statuses = {result.case.id: result.status for result in run.results()}
    assert statuses == {
        "small[baseline]": "complete",
        "small[count=0]": "complete",
        "small[count=30]": "incomplete",
    }


def test_closing_twice_is_closing_once(loaded):
    (case,) = cases(intervention=None)
    engine = Wrapped(loaded)
    run = run_on(engine, [case])
    result = run.result(case)
    run.close()
    run.close()
    assert engine.closed == 1
    assert run.result(case) is result


# What is reported ---------------------------------------------------------------------------------


class SecondIsTooLong(HumanEval):
    def prompt(self, sample, style):
        conversation = super().prompt(sample, style)
        if sample is not self.samples[1]:
            return conversation
        (message,) = conversation.messages
        return replace(conversation, messages=({**message, "content": message["content"] * 20},))


def test_a_refused_request_is_a_wrong_answer_and_is_warned_about(loaded):
    (case,) = cases(
        intervention=None, task={"name": "humaneval", "limit": 2}, sampling={"max_new_tokens": 8}
    )
    case = PlannedCase(case.case, SecondIsTooLong(case.task.samples))
    result = start(loaded, [case]).result(case)
    first, second = result.draws
    assert first.completion.finish_reason != "error"
    assert second.completion.finish_reason == "error"
    assert (second.score.correct, second.score.parsed) == (False, False)
    assert second.score.detail.startswith("refused: HumanEval/1: the prompt has ")
    assert (result.status, result.scored, result.task_size) == ("complete", 2, 2)
    assert result.sample_metrics["pass@1"]["HumanEval/1"] == 0.0
    assert result.sample_metrics["parsed"]["HumanEval/1"] == 0.0
    assert result.warnings[0].startswith(
        "1 of 2 requests were refused and count as wrong: HumanEval/1: the prompt has "
    )


@pytest.mark.parametrize(("broken", "status"), [(1, "complete"), (2, "complete"), (3, "failed")])
def test_a_case_fails_when_all_its_completions_ended_in_logits_that_are_not_finite(
    sweep, broken, status
):
    _, asked, results = sweep
    draws = results[asked[0].id].draws
    completions = [
        (
            Address(asked[0].id, draw.sample, draw.draw),
            draw.prompt,
            replace(draw.completion, finish_reason="non_finite" if at < broken else "stop"),
        )
        for at, draw in enumerate(draws)
    ]
    result = scored(asked[0], completions, None, None)
    assert result.status == status
    warned = f"{broken} of 3 completions ended in logits that are not finite"
    assert (warned in result.warnings) == (status == "complete")
    assert ("logits that are not finite" in str(result.error)) == (status == "failed")


def test_a_model_whose_logits_are_not_finite_fails_its_baseline():
    spoilt = load("zoo/moe", device="cpu")
    with torch.no_grad():
        spoilt.model.model.norm.weight.fill_(float("nan"))
    (case,) = cases(intervention=mask(count=1))
    run = start(spoilt, [case])
    run.result(case)
    for result in run.results():  # the baseline, and the case that is not to blame
        assert (result.status, len(result.draws)) == ("failed", 3)
        assert result.error == (
            "every completion ended in logits that are not finite; "
            "mend the weights, or use a wider engine.dtype"
        )


def test_a_dose_that_leaves_no_finite_logits_fails_its_case_alone(loaded):
    steering = {
        "kind": "steering",
        "vector": {"pairs": "styles", "samples": 2},
        "layer": 2,
        "alpha": 0.5,
        "units": "raw",
        "control": "none",
    }
    asked = cases(intervention=steering, axes={"intervention.alpha": [1e38, 0.5]})
    absurd, fine = outcomes(start(loaded, asked), asked).values()
    assert (absurd.status, fine.status) == ("failed", "complete")
    assert absurd.error.endswith("; weaken the dose, or use a wider engine.dtype")


def never_selected(loaded, draws):
    """A point that no token of these sequences routes to, by the gates' own logits."""
    readings = []
    for draw in draws:
        prompt = loaded.tokenizer(draw.prompt, add_special_tokens=False)["input_ids"]
        tokens = (*prompt, *draw.completion.tokens)
        readings.append(Reading(tokens, Capture(router_logits=True)))
    free = {(layer, expert) for layer in range(4) for expert in range(16)}
    for _, activations in TransformersEngine(loaded).forward(readings):
        for layer, experts in enumerate(activations.router_logits.topk(2, dim=-1).indices):
            free -= {(layer, expert) for expert in experts.unique().tolist()}
    return min(free)


def test_a_mask_that_changes_nothing_is_warned_about(loaded, tmp_path):
    short = {
        "task": {"name": "micro_humaneval", "limit": 1},
        "prompt": {"style": "completion"},
        "sampling": {"max_new_tokens": 4},
    }
    (untouched,) = cases(intervention=None, **short)
    baseline = start(loaded, [untouched]).result(untouched)
    layer, expert = never_selected(loaded, baseline.draws)
    file = tmp_path / "points.json"
    file.write_text(json.dumps([{"layer": layer, "router": expert}]))
    (case,) = cases(intervention=mask(points={"file": str(file)}, count=1), **short)
    result = start(loaded, [case]).result(case)
    assert result.counts["changed"] == 0
    routed = result.counts["routed"]
    said = f"the intervention changed none of {routed} routing decisions: it did nothing"
    assert said in result.warnings
    assert result.draws[0].completion.tokens == baseline.draws[0].completion.tokens


def test_a_mask_that_does_something_is_not_warned_about(sweep):
    _, _, results = sweep
    assert not any("did nothing" in text for each in results.values() for text in each.warnings)


# What a watcher sees ------------------------------------------------------------------------------


class Watcher(Silent):
    def __init__(self):
        self.seen = []

    def update(self, counts):
        self.seen.append(replace(counts))


@pytest.mark.parametrize("nodeid", [None, "bench.py::bench[x]"])
def test_the_counts_only_grow_and_end_complete(loaded, nodeid):
    """Whether pytest drives the run or not: baselines are no cases that anybody asked for."""
    asked = [replace(case, nodeid=nodeid) for case in cases(axes={"intervention.count": [0, 30]})]
    watcher = Watcher()
    run = ModelRun(TransformersEngine(loaded), asked, watcher, Counts(cases_total=2))
    for case in asked:
        run.result(case)
    for before, after in zip(watcher.seen, watcher.seen[1:], strict=False):
        assert before.cases_done <= after.cases_done <= 2
        assert before.requests_done <= after.requests_done <= after.requests_total == 9
        assert before.tokens <= after.tokens
    last = watcher.seen[-1]
    assert (last.cases_done, last.requests_done) == (2, 9)
    assert last.tokens == sum(result.tokens for result in run.results())
