"""Log-odds at the end of the prompt: their value, and texts that are no continuation."""

from __future__ import annotations

import math

import pytest
import torch

from harness.engines.contract import Scored
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import MetricError, SpecError
from harness.metrics.builtin.log_odds import ambiguous, behind
from harness.metrics.entry import Seen
from harness.metrics.kind import entry_of
from harness.models.loading import load_tokenizer
from harness.spec.metric import items_of
from harness.tasks.conversations import render
from tests.runs.small import cases, mask, run_on

TOKENIZER = load_tokenizer("zoo/moe")
ODDS = {"kind": "log_odds", "of": ["return", "    return"], "against": ["if"]}


def entry(**fields):
    (item,) = items_of([ODDS | fields])
    return entry_of(item)


def test_probabilities_are_added_on_both_sides():
    scored = Scored(((-1.0, -1.0), (-3.0,), (-2.5,)), ())
    expected = math.log(math.exp(-2) + math.exp(-3)) + 2.5
    assert entry().value(Seen("a", {}, "", replies=(scored,))) == pytest.approx(expected)


def test_swapping_the_sides_turns_the_sign():
    scored, swapped = Scored(((-900.0,), (-901.0,)), ()), Scored(((-901.0,), (-900.0,)), ())
    odds = entry(of=["a"], against=["b"])
    one, other = (odds.value(Seen("a", {}, "", replies=(each,))) for each in (scored, swapped))
    assert one == -other == pytest.approx(1.0)


def test_what_could_not_be_read_has_no_value():
    for replies in ((), (Scored(error="too long"),)):
        with pytest.raises(MetricError, match=r"too long|no continuation"):
            entry().value(Seen("a", {}, "", replies=replies))


@torch.no_grad()
def test_a_case_has_the_log_odds_of_a_plain_loop(loaded):
    (case,) = cases(metrics=[ODDS], intervention=None)
    result = run_on(TransformersEngine(loaded), [case]).result(case)
    for sample in case.task.samples:
        prompt = render(loaded.tokenizer, case.task.prompt(sample, "assisted"))
        sums = []
        for text in [*ODDS["of"], *ODDS["against"]]:
            tokens = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
            scores = loaded.model(torch.tensor([[*prompt, *tokens]])).logits[0].log_softmax(-1)
            places = enumerate(tokens, start=len(prompt) - 1)
            sums.append(sum(float(scores[at, token]) for at, token in places))
        expected = math.log(math.exp(sums[0]) + math.exp(sums[1])) - sums[2]
        assert result.sample_metrics["log_odds"][sample.id] == pytest.approx(expected, abs=1e-3)


def test_the_model_is_asked_as_it_is_in_the_case(loaded):
    planned = cases(metrics=[ODDS], intervention=mask(), axes={"intervention.count": [0, 30]})
    run = run_on(TransformersEngine(loaded), planned)
    neutral, masked = (run.result(each).sample_metrics["log_odds"] for each in planned)
    baseline = run.result(planned[0].baseline).sample_metrics["log_odds"]
    assert neutral == pytest.approx(baseline, abs=1e-4)
    assert masked != pytest.approx(baseline, abs=1e-2)


# Texts that are no single continuation ------------------------------------------------------------


def test_a_text_that_joins_the_end_of_the_prompt_is_refused_with_its_tokens():
    with pytest.raises(MetricError) as caught:
        behind(TOKENIZER, "Answer: ret", ["urn"])
    assert str(caught.value) == (
        "'urn' is no continuation of the prompt: its tokens are ' return' (437), and the prompt "
        "ends in ' re' (353) 't' (90); begin it where a token begins"
    )


def test_a_text_that_begins_as_another_one_is_refused_with_its_tokens():
    following = behind(TOKENIZER, "def f():\n", ["return", "return x", "if"])
    problem = ambiguous(TOKENIZER, following)
    assert problem is not None
    assert problem.startswith("'return', 're' (271) 'tur' (422) 'n' (84), is how 'return x', 're'")
    assert ambiguous(TOKENIZER, {"a": (1, 2), "b": (1, 3)}) is None


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"against": ["return"]}, r"metrics\[0\]\.against: 'return' is in `of`, too"),
        ({"of": ["return", "x", "return"]}, r"metrics\[0\]\.of: 'return' is in it twice"),
        ({"of": ["if x"]}, r"metrics\[0\]\.of: 'if', 'i' .*, is how 'if x', 'i'"),
        ({"of": []}, r"metrics\.0\.log_odds\.of"),
        ({"of": [""]}, r"metrics\.0\.log_odds\.of"),
    ],
)
def test_what_cannot_be_followed_is_refused_before_a_run(fields, problem):
    with pytest.raises((SpecError, ValueError), match=problem):
        cases(metrics=[ODDS | fields])
