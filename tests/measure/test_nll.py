"""Given texts, and reference answers, read under a case's model."""

from __future__ import annotations

import pytest
import torch

from harness.engines.transformers.engine import TransformersEngine
from harness.measure.nll import text_of
from harness.tasks.by_name import load as load_task
from tests.measure.given import Given
from tests.runs.small import cases, run_on


def test_a_text_is_read_as_a_whole_and_an_answer_behind_its_prompt(loaded):
    first = loaded.tokenizer.eos_token_id
    task = Given.of([{"text": "return x", "prompt": "not read", "choices": ["a"], "right": 0}])
    asked = text_of(loaded.tokenizer, task, task.samples[0], "completion")
    assert asked.context == (first,)
    assert loaded.tokenizer.decode(asked.continuations[0]) == "return x"
    code = load_task("micro_humaneval", limit=1)
    asked = text_of(loaded.tokenizer, code, code.samples[0], "assisted")
    own = code.reference(code.samples[0]).text
    assert loaded.tokenizer.decode((*asked.context, *asked.continuations[0])).endswith(own)


@torch.no_grad()
def test_a_case_weighs_all_tokens_alike(loaded):
    planned = cases(measure="nll", axes={"intervention.count": [0, 30]})
    run = run_on(TransformersEngine(loaded), planned)
    neutral, masked = (run.result(each) for each in planned)
    assert [check.holds for check in neutral.checks] == [True]
    assert neutral.metric == "nll"
    total, count = 0.0, 0
    for sample in planned[0].task.samples:
        asked = text_of(loaded.tokenizer, planned[0].task, sample, "assisted")
        tokens = [*asked.context, *asked.continuations[0]]
        scores = loaded.model(torch.tensor([tokens])).logits[0].log_softmax(-1)
        places = range(len(asked.context), len(tokens))
        total -= sum(float(scores[at - 1, tokens[at]]) for at in places)
        count += len(places)
    entry = neutral.kind("nll")
    found = entry.of(neutral.sample_metrics["nll"].values())
    assert found == pytest.approx(total / count, abs=1e-4)
    assert entry.of(masked.sample_metrics["nll"].values()) > found
