"""The rule that docs/sampling.md shows is a rule, as it stands there."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import torch

from harness.engines.contract import Request, SamplingRules
from harness.engines.transformers.engine import TransformersEngine
from harness.sampling import Rule, registered, rules

PAGE = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text(encoding="utf-8")


@pytest.fixture
def documented() -> Rule:
    module = types.ModuleType("documented")
    exec(PAGE.partition("```python\n")[2].partition("```")[0], module.__dict__)
    rules.register(module.RULE.name, module.RULE)
    yield module.RULE
    rules.unregister(module.RULE.name)


def test_it_keeps_what_it_says(documented):
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, -torch.inf]])
    left = documented.apply(logits, documented.tensors([1.0, None], torch.device("cpu")))
    assert left[0].tolist() == [-torch.inf, -torch.inf, 2.0, 3.0]
    assert torch.equal(left[1], logits[1])


def test_an_engine_draws_by_it(documented, loaded):
    prompt = (5, 6, 7)
    strict = SamplingRules(temperature=5.0, top_n_sigma=documented.strictest)
    asked = [Request(prompt, 6, sampling=strict), Request(prompt, 6)]
    completions = dict(TransformersEngine(loaded).generate(asked))
    assert completions[0].tokens == completions[1].tokens


def test_the_page_lists_the_built_in_rules_in_their_order():
    listed = [line for line in PAGE.splitlines() if line.startswith("| ") and line[2].isdigit()]
    own = sorted(registered(), key=lambda rule: rule.place)
    assert [line.split("|")[1:3] for line in listed] == [
        [f" {rule.place} ", f" `{rule.name}` "] for rule in own
    ]
