"""The identities of sampling try every registered rule, and see a state that is lost on the way."""

from __future__ import annotations

import pytest

from harness.engines.contract import Completion

pytestmark = pytest.mark.usefixtures("other_rules")

CUT = "sampling.a_cut_request_goes_on"


def test_they_hold_with_the_rules_of_others(by_name, checker):
    for name, check in by_name.items():
        if name.startswith("sampling."):
            found = checker.check(check)
            assert found.holds, f"{found.name}: {found.detail}"
    # The stateless rules at once, and each of two others, for two prompts of which one is cut.
    assert checker.check(by_name[CUT]).detail.endswith(" completions")


def test_a_state_that_no_request_carries_is_seen(by_name, checker, monkeypatch):
    monkeypatch.setattr(Completion, "state", ())
    found = checker.check(by_name[CUT])
    assert not found.holds
    assert "cooling" in found.detail or "unrepeated" in found.detail
