"""Doses as gates: whole intervals decide an ED50, a lower bound decides by itself."""

from __future__ import annotations

import pytest

from harness.claims.gates import check_gates
from harness.spec.gates import parse_gate
from tests.claims.test_monotone import curve


def judged(gate, rates=(0.9, 0.85, 0.5, 0.1, 0.1), **axes):
    (verdict,) = check_gates([("keep_topk", [parse_gate(gate)])], curve(rates, n=100, **axes), [])
    return verdict


@pytest.mark.parametrize(
    ("gate", "holds", "says"),
    [
        ("ed50(pass@1) >= 1", True, "ED50 is 2 [1."),
        ("ed50(pass@1) <= 1", False, "ED50 is 2 [1."),
        ("ed50(pass@1) <= 3", True, "ED50 is 2 [1."),
        ("ed50(pass@1) >= 3", False, "ED50 is 2 [1."),
        ("ed50(pass@1) >= 2", False, "undecided: ED50 is 2 [1."),
        ("bmdl(pass@1) >= 0.1", True, "BMDL is 0."),
        ("bmdl(pass@1, 0.05) >= 1", False, "BMDL is 0."),
        ("bmdl(pass@1, 0.3) >= 1", True, "BMDL is 1."),
        ("bmdl(pass@1) >= 9", False, "undecided: 4 is the highest dose; 9 was not measured"),
        ("ed50(pass@7) >= 1", False, "undecided: no metric 'pass@7'"),
    ],
)
def test_it_is_judged_by_what_the_data_exclude(gate, holds, says):
    verdict = judged(gate)
    assert verdict.holds == holds
    assert verdict.detail.startswith(says)


def test_what_never_falls_is_safe_at_every_dose():
    verdict = judged("bmdl(pass@1, 0.05) >= 4", (1.0, 1.0, 1.0, 1.0, 1.0))
    assert (verdict.holds, verdict.detail) == (True, "BMDL is above 4, the highest dose")


def test_every_curve_has_to_be_on_its_side():
    styles = {"prompt.style": ["agentic", "assisted"]}
    assert judged("ed50(pass@1) >= 1", **styles).detail == "2 of 2 curves"
    verdict = judged("ed50(pass@1) >= 3", **styles)
    assert not verdict.holds
    assert verdict.detail.startswith("style=agentic: ED50 is 2 [")
    assert verdict.detail.endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("rates", "says"),
    [
        ((0.5, 0.5, 0.5, 0.5), "undecided: it does not move up to 3, the highest dose"),
        ((0.9, 0.5, 0.1), "undecided: 3 doses are no curve; measure at least 4"),
        ((0.9, 0.1, 0.9, 0.1), "undecided: it turns at 1"),
    ],
)
def test_no_curve_is_undecided(rates, says):
    verdict = judged("ed50(pass@1) >= 1", rates)
    assert not verdict.holds
    assert verdict.detail.startswith(says)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ed50(pass@1, 0.1) >= 1", r"takes no response; write ed50\(pass@1\)"),
        ("bmdl(pass@1) <= 1", "a lower bound shows"),
        ("bmdl(pass@1, 0) >= 1", "is no change"),
        ("ed50(pass@1) >= 1 where baseline", "a baseline has no dose"),
        ("ED50 pass@1 >= 1", r"it should be ed50\(METRIC\) >= DOSE"),
    ],
)
def test_a_text_that_means_something_else_is_told(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_gate(text)
