"""Shares of what mechanisms count: there where it was counted, and idle ones warned about."""

from __future__ import annotations

from harness.interventions.counted import SHARES, did_nothing, shares_in

ROUTED = {"routed": 40, "changed": 10, "emptied": 4}


def test_a_share_is_there_where_its_whole_was_counted():
    assert shares_in([{}, {"steered": 3}, {"routed": 0}]) == []
    changed, empty = shares_in([{}, ROUTED])
    assert (changed, empty) == SHARES["router_logits"]
    assert (changed.of(ROUTED), empty.of(ROUTED), empty.of({"routed": 5})) == (0.25, 0.1, 0.0)
    assert changed.of({"routed": 0}) is changed.of({}) is None


def test_what_did_nothing_is_said_and_nothing_else():
    assert [*did_nothing(ROUTED | {"emptied": 0})] == [*did_nothing({})] == []
    (said,) = did_nothing(ROUTED | {"changed": 0})
    assert said == "the intervention changed none of 40 routing decisions: it did nothing"
