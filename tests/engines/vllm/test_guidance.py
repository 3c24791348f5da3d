"""vLLM as the base of a guidance: it asks a model beside it as transformers does, and itself."""

from __future__ import annotations

from harness.engines import open_engine
from harness.engines.company import Company
from harness.engines.contract import Request
from harness.interventions.oracle.description import Oracle
from harness.interventions.oracle.triggers.entropy import Entropy
from harness.interventions.oracle.triggers.every_n import EveryN
from harness.spec import EngineSettings

TEXTS = ("How many legs do 3 cats have?", "def add(a, b):\n    return", "Tom has 4 apples.")
HELP = Oracle(engine="oracle", trigger=EveryN(n=2), budget=3, length=3, step=2)


def test_vllm_asks_as_transformers_does(served):
    vllm, here = served
    oracle = open_engine("zoo/oracle", EngineSettings(dtype="float32"))
    prompts = [tuple(vllm.tokenizer(text)["input_ids"]) for text in TEXTS]

    def made(company, help_):
        requests = [Request(p, 20, help_, sample=str(at)) for at, p in enumerate(prompts)]
        found = dict(company.generate(requests))
        return [found[at] for at in range(len(prompts))]

    for trigger in (EveryN(n=2), Entropy(above=0.2)):
        help_ = HELP.model_copy(update={"trigger": trigger})
        own = made(Company(vllm, {"oracle": oracle}), help_)
        expected = made(Company(here, {"oracle": oracle}), help_)
        assert [each.tokens for each in own] == [each.tokens for each in expected]
        assert [e.traces["author"] for e in own] == [e.traces["author"] for e in expected]
        assert max(max(each.traces["author"]) for each in own) > 0
    plain = made(Company(vllm), None)
    itself = made(Company(vllm, {"oracle": vllm}), HELP)
    assert [each.tokens for each in itself] == [each.tokens for each in plain]
    # vLLM as the oracle of a model here.
    asked = made(Company(oracle, {"oracle": vllm}), HELP)
    expected = made(Company(oracle, {"oracle": here}), HELP)
    assert [each.tokens for each in asked] == [each.tokens for each in expected]
