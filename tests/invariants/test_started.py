"""What an engine of its own processes is told before it starts: all that identities ask of it."""

from __future__ import annotations

import pytest

from harness.engines.declared import Declared
from harness.engines.vllm import availability
from harness.invariants import checks
from harness.spec import EngineSettings
from tests.told import ToldEngine


class Started(ToldEngine):
    """A told engine in the place of vLLM."""

    def __init__(self, model, settings, declared):
        super().__init__(model, declared, slots=settings.slots)
        self.settings = settings

    def forget(self):
        """Nothing to forget: what is resident is never another request's here."""


@pytest.mark.parametrize(
    "model", [pytest.param("tiny/qwen2_moe", marks=pytest.mark.slow), "zoo/oracle"]
)
def test_identities_ask_for_nothing_that_was_not_declared(model, checker, monkeypatch):
    monkeypatch.setattr(availability, "check_machine", lambda settings: None)
    monkeypatch.setattr("harness.engines.vllm.engine.VllmEngine", Started)
    found = [
        checker.check(check)
        for check in checks(model, EngineSettings(name="vllm"))
        if check.excuse is None
    ]
    engine = checker._started.engine
    checker.close()
    assert [each for each in found if each.detail.startswith("undecided")] == []
    assert engine.declared.lacks(engine.asked) is None
    assert engine.asked != Declared()
