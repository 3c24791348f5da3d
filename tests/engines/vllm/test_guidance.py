"""vLLM as the base of a guidance: it asks a model beside it as transformers does, and itself."""

from __future__ import annotations

import pytest

from harness.engines import open_engine
from harness.engines.company import Company
from harness.interventions.oracle.description import Oracle
from harness.interventions.oracle.triggers.entropy import Entropy
from harness.interventions.oracle.triggers.every_n import EveryN
from harness.spec import EngineSettings
from tests.engines.vllm.identities import STEPS, assert_identities, made

TEXTS = ("How many legs do 3 cats have?", "def add(a, b):\n    return", "Tom has 4 apples.")
HELP = Oracle(engine="oracle", trigger=EveryN(n=2), budget=3, length=3, step=2)


@pytest.fixture(scope="module")
def oracle():
    return open_engine("zoo/oracle", EngineSettings(dtype="float32"))


@pytest.fixture(scope="module")
def prompts(served):
    vllm, _ = served
    return [tuple(vllm.tokenizer(text)["input_ids"]) for text in TEXTS]


@pytest.fixture(scope="module")
def alone(served, oracle, prompts):
    """The tokens of the model and of its oracle, each by itself, as transformers has them."""
    _, here = served
    return [[each.tokens for each in made(Company(own), prompts)] for own in (here, oracle)]


def test_vllm_asks_as_transformers_does(served, oracle, prompts):
    vllm, here = served
    for trigger in (EveryN(n=2), Entropy(above=0.2)):
        help_ = HELP.model_copy(update={"trigger": trigger})
        own = made(Company(vllm, {"oracle": oracle}), prompts, help_)
        expected = made(Company(here, {"oracle": oracle}), prompts, help_)
        assert [each.tokens for each in own] == [each.tokens for each in expected]
        assert [e.traces["author"] for e in own] == [e.traces["author"] for e in expected]
        assert max(max(each.traces["author"]) for each in own) > 0
    # vLLM as the oracle of a model here.
    asked = made(Company(oracle, {"oracle": vllm}), prompts, HELP)
    expected = made(Company(oracle, {"oracle": here}), prompts, HELP)
    assert [each.tokens for each in asked] == [each.tokens for each in expected]


@pytest.mark.parametrize("step", STEPS)
def test_identities_hold_for_every_step(served, oracle, prompts, alone, step):
    vllm, _ = served
    assert_identities(step, vllm, oracle, prompts, alone)
    assert_identities(step, oracle, vllm, prompts, alone[::-1])
