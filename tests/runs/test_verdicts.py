"""Every verdict of a spec has a number or a reason, and numbers have the power they promise."""

from __future__ import annotations

import numpy as np
import pytest

from harness.runs.checks import planned
from harness.runs.pilot import Pilot
from harness.runs.verdicts import VerdictPlanner
from harness.spec import Experiment, expand
from harness.spec.gates import Selection
from tests.statistics.simulated_doses import bmdls, ed50s

DOSES = (0, 1, 2, 4, 8, 16, 32)
GATES = {
    "neutral": "neutral_equals_baseline",
    "value": "pass@1 >= 0.5 where baseline",
    "bound": "pass@1.ci_low > 0.5 where baseline",
    "equal": "pass@1 == 0.5 where baseline",
    "turn": "pass@1 monotone falling within CI",
    "worse": "no worse than main by more than 0.05 (paired, p < 0.05)",
    "same": "same across prompt.style",
    "ed50": "ed50(pass@1) >= 4",
    "bmdl": "bmdl(pass@1, 0.05) >= 2",
    "window": "window(tool_call, pass@1) exists",
}
SPEC = {
    "name": "small",
    "model": "zoo/moe",
    "task": {"name": "micro_humaneval", "limit": 40},
    "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
    "sampling": {"max_new_tokens": 10},
    "axes": {"intervention.count": list(DOSES)},
    "dose": "intervention.count",
}


def planner(effect=0.2, changes=None, pilot=None, **fields):
    experiment = Experiment.model_validate(SPEC | fields)
    return VerdictPlanner([planned(case) for case in expand(experiment)], effect, changes, pilot)


def only(verdict, **how):
    """The plan of one gate, by its name above."""
    *_, found = planner(gates=[GATES[verdict]], **how).verdicts()
    assert found.verdict == GATES[verdict]
    return found


def precise(effect, within=0.5):
    stop = {"decide": [f"ed50 within {within} log2"]}
    *_, found = planner(effect, stop=stop).verdicts()
    return found


def test_every_verdict_has_a_number_or_a_reason():
    stop = {"decide": ["parsed differs from baseline", "ed50 within 2 log2", "gates"]}
    axes = {**SPEC["axes"], "prompt.style": ["assisted", "agentic"]}
    window = {"target": "parsed", "capability": "pass@1"}
    found = list(
        planner(0.7, gates=[*GATES.values()], stop=stop, axes=axes, window=window).verdicts()
    )
    assert list(dict.fromkeys(each.verdict for each in found)) == [
        "pass@1 differs from baseline",
        "parsed differs from baseline",
        "ed50 within 2 log2",
        *GATES.values(),
        "window(parsed, pass@1, 0.05) exists",
    ]
    for each in found:
        assert each.fixed or each.why, each
        assert (each.mean is not None) or each.why, each
        assert "\n" not in each.assumed + each.why
        assert not each.fixed or each.assumed
    by_text = {each.verdict: each for each in found}
    assert "identity" in by_text[GATES["neutral"]].why
    assert "identity" in by_text[GATES["same"]].why
    assert "two decide it" in by_text[GATES["equal"]].why
    assert (by_text[GATES["value"]].doses, by_text[GATES["value"]].baselines) == (0, 2)
    assert (by_text[GATES["ed50"]].doses, by_text[GATES["ed50"]].baselines) == (14, 2)


@pytest.mark.slow
@pytest.mark.parametrize("verdict", ["bound", "turn", "ed50", "window"])
def test_more_of_an_effect_takes_fewer_samples(verdict):
    few, many = (only(verdict, effect=effect).fixed for effect in (0.8, 0.4))
    assert few < many


@pytest.mark.slow
def test_a_wider_margin_and_fewer_changes_take_fewer_samples():
    assert only("worse", changes=0.1).fixed < only("worse", changes=0.3).fixed
    assert only("bmdl", changes=0.3).fixed < only("bmdl", changes=0.5).fixed


@pytest.mark.slow
def test_an_ed50_takes_more_samples_the_more_precise_it_is_to_be_and_stops_before():
    wide, narrow = precise(0.6, 1), precise(0.6, 0.5)
    assert wide.fixed < narrow.fixed
    assert narrow.mean < narrow.most <= 2 * narrow.fixed
    assert precise(0.9, 1).fixed < wide.fixed


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"gates": ["ed50(pass@1) >= 32"]}, "32 leaves no dose for it to be true at"),
        ({"gates": ["bmdl(pass@1, 0.05) >= 40"]}, "40 leaves no dose"),
        ({"metrics": ["median_tokens"], "metric": "median_tokens"}, "median_tokens is no mean"),
        (
            {"metrics": [{"kind": "length", "name": "size"}], "gates": ["size >= 3"]},
            "size is no rate, and how much it varies is not known before a run",
        ),
    ],
)
def test_what_cannot_be_planned_says_why(fields, why):
    found = list(planner(**fields).verdicts())
    assert any(why in each.why and each.fixed is None for each in found), found


def pilot_of(rows, metrics=("pass@1",)):
    """A pilot with these values of every case: the baseline's first, as the first dose's are."""
    made = planner()
    columns = {case.id: values for case, values in zip(made.cases, rows.T, strict=True)}
    baseline = made.cases[0].baseline
    columns[baseline.id] = rows[:, 0]

    class Known:
        def __init__(self, values):
            self.values = values

        def numbers(self, metric):
            assert metric in metrics
            return {str(at): float(value) for at, value in enumerate(self.values)}

    return Pilot("earlier", {case: Known(values) for case, values in columns.items()})


def drawn(rates, samples, seed=0):
    luck = np.random.default_rng(seed).random((samples, 1))
    return (luck < np.array(rates)).astype(float)


@pytest.mark.slow
def test_a_pilots_curve_takes_the_place_of_an_assumption():
    late = pilot_of(drawn((0.9, 0.9, 0.9, 0.9, 0.8, 0.2, 0.1), 60))
    found = only("ed50", pilot=late)
    assert "60 samples of run earlier" in found.assumed
    assert found.changes is None
    assert found.fixed < only("ed50").fixed
    early = pilot_of(drawn((0.9, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1), 60))
    refuted = only("ed50", pilot=early)
    assert refuted.fixed is None
    assert "20,000 samples do not show it: ED50 is " in refuted.why
    assert "earlier" not in only("ed50", pilot=pilot_of(drawn((0.9,) * 7, 9))).assumed


@pytest.mark.slow
def test_a_pilot_that_turns_back_by_chance_is_planned_as_a_curve_that_does_not():
    rows = drawn((0.9, 0.9, 0.9, 0.9, 0.8, 0.1, 0.1), 60)
    rows[np.flatnonzero(rows[:, 6] == 0)[:2], 6] = 1  # two go back at the last dose
    assert only("ed50", pilot=pilot_of(rows)).fixed > 0
    rows[::2, 6] = 1
    turned = only("ed50", pilot=pilot_of(rows))
    assert turned.fixed is None
    assert turned.why.startswith("in run earlier: it turns at 16: from there to 32 it rises by ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verdict", "effect"), [("ed50", 0.3), ("ed50", 0.6), ("bmdl", 0.6), ("within", 0.3)]
)
def test_so_many_samples_reach_the_verdict_in_four_of_five_other_sweeps(verdict, effect):
    """Drawn by other chance, and read by the estimators of the coverage tables."""
    made = planner(effect, 0.5)
    within = 0.5
    if verdict == "within":
        plan = made._curves.precise("pass@1", within)
        n = made._simulated(made._spoken_of("", Selection()), lambda: plan).fixed
    else:
        *_, found = planner(effect, 0.5, gates=[GATES[verdict]]).verdicts()
        n = found.fixed
        claim = Experiment.model_validate(SPEC | {"gates": [GATES[verdict]]}).gates[0].claim
        plan = made._curves.bound(claim)
    (part,) = plan.sweeps.parts
    rng = np.random.default_rng(12345)
    runs = 1500
    shared = rng.random((runs, n, 1))
    own = rng.random((runs, n, len(DOSES)))
    anew = rng.random((runs, n, len(DOSES))) < part.redrawn
    anew[:, :, 0] = False
    values = (np.where(anew, own, shared) < part.rates).astype(float)
    if verdict == "bmdl":
        reached = bmdls(DOSES, values)[0] >= 2
    else:
        low, high, given = ed50s(DOSES, values)
        with np.errstate(divide="ignore", invalid="ignore"):
            narrow = (low > 0) & (np.log2(high / low) / 2 <= within)
        reached = given & (low >= 4 if verdict == "ed50" else narrow)
    assert reached.mean() == pytest.approx(0.8, abs=0.07)
