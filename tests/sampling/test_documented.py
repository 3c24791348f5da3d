"""The rule that docs/sampling.md shows is a rule, as it stands there."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import torch

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.sampling import Rule, registered, rules
from harness.sampling.chosen import SamplingRules
from harness.sampling.composition import COMPOSITIONS

PAGE = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text(encoding="utf-8")


@pytest.fixture
def documented() -> Rule:
    module = types.ModuleType("documented")
    exec(PAGE.partition("```python\n")[2].partition("```")[0], module.__dict__)
    rules.register(module.RULE.name, module.RULE)
    yield module.RULE
    rules.unregister(module.RULE.name)


def test_it_keeps_what_it_says(documented):
    logits = torch.tensor([[0.5, 0.25, 0.15, 0.1], [0.9, 0.1, 0.0, 0.0]]).log()
    kept = documented.apply(logits, documented.tensors([0.5, 0.1], torch.device("cpu")))
    assert kept.tolist() == [[True, True, True, False], [True, True, False, False]]


def test_an_engine_draws_by_it(documented, loaded):
    prompt = (5, 6, 7)
    strict = SamplingRules(temperature=0.2, top_a=1.0)
    asked = [Request(prompt, 6, sampling=rules) for rules in (strict, SamplingRules())]
    completions = dict(TransformersEngine(loaded).generate(asked))
    assert completions[0].tokens == completions[1].tokens


def test_the_page_lists_the_built_in_rules_in_their_order():
    listed = [line for line in PAGE.splitlines() if line.startswith("| ") and line[2].isdigit()]
    own = sorted(registered(), key=COMPOSITIONS["hf"].place)
    assert [line.split("|")[1:3] for line in listed] == [
        [f" {rule.place} ", f" `{rule.name}` "] for rule in own
    ]
