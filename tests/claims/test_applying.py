"""Which gates a run judges, on real tasks and grids."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.claims.applying import asked, by_experiment, check_gates_asked, lacking
from harness.claims.claims import Claims
from harness.claims.no_change import check_rules_asked
from harness.claims.saved import SavedRuns
from harness.errors import OptionError, SpecError
from harness.spec.gates import parse_gate
from tests.runs.small import cases

AXES = {"intervention.count": [0, 4], "prompt.style": ["assisted", "agentic"]}
INTERVENTION = {"kind": "router_mask", "points": {"random": 0}, "count": 0}
THRESHOLD = "pass@1 >= 0.1 where count=4"


def sweep(name="small", gates=(), **fields):
    return cases(
        name,
        **{"axes": AXES, "intervention": INTERVENTION, "dose": "intervention.count"}
        | {"gates": list(gates)}
        | fields,
    )


def requested_gates(cases, extra=()):
    """Experiments with the gates that they are asked, once none of these was refused."""
    selected, gates = by_experiment(cases), Claims.read(extra).gates
    check_gates_asked(selected, gates)
    found = [(each.experiment, list(map(str, each.gates))) for each in asked(selected, gates)]
    return [(name, gates) for name, gates in found if gates]


def check_rule_metrics(cases, rules):
    check_rules_asked(Claims.read(rules=rules).rules, by_experiment(cases))


def test_a_specs_gates_are_asked_of_what_decides_them():
    whole = sweep(gates=[THRESHOLD])
    assert requested_gates(whole) == [("small", [THRESHOLD])]
    assert requested_gates(whole[:2]) == []
    assert requested_gates(whole[2:]) == [("small", [THRESHOLD])]
    assert requested_gates([*whole[:2], *whole[:2]]) == [], "two benches of the same cases"


def test_a_gate_of_the_command_line_speaks_of_what_was_selected():
    part = sweep(gates=[THRESHOLD])[:2]
    assert requested_gates(part, ["monotone within CI"]) == [("small", ["monotone within CI"])]


def test_it_is_asked_of_the_experiments_that_have_its_axes():
    other = sweep("other", axes={"prompt.style": ["assisted"]}, dose=None)
    both = [*sweep(), *other]
    assert requested_gates(both, [THRESHOLD]) == [("small", [THRESHOLD])]
    assert [name for name, _ in requested_gates(both, ["pass@1 >= 0"])] == ["small", "other"]


@pytest.mark.parametrize(
    ("gate", "chosen", "needs"),
    [
        ("neutral_equals_baseline", "0-agentic", ""),
        (
            "neutral_equals_baseline",
            "4-agentic 4-assisted",
            "a neutral case (2 of 4 cases selected)",
        ),
        (THRESHOLD, "4-agentic 4-assisted", ""),
        (THRESHOLD, "0-agentic 4-agentic", "2 cases, of which 1 are here (2 of 4 cases selected)"),
        ("pass@1 >= 0 where count=4 and style=agentic", "4-agentic", ""),
        ("pass@1 >= 0 where style=agentic", "0-agentic 4-agentic", ""),
        ("pass@1 >= 0", "0-agentic 4-agentic", "the whole grid (2 of 4 cases selected)"),
        ("monotone within CI", "0-agentic 4-agentic", "the whole grid (2 of 4 cases selected)"),
        ("pass@1 >= 0 where baseline and style=agentic", "4-agentic", ""),
        (
            "pass@1 >= 0 where baseline",
            "0-agentic 4-agentic",
            "2 baselines, of which 1 are here (2 of 4 cases selected)",
        ),
        ("pass@1 >= 0", "0-agentic 0-assisted 4-agentic 4-assisted", ""),
    ],
)
def test_a_gate_of_a_spec_needs_the_cases_that_it_speaks_of(gate, chosen, needs):
    grid = {
        f"{each.params['intervention.count']}-{each.params['prompt.style']}": each
        for each in (planned.case for planned in sweep(gates=[gate]))
    }
    selected = [grid[name] for name in chosen.split()]
    assert lacking(parse_gate(gate), selected) == needs
    older = [replace(each, sizes={}) for each in selected]  # records that do not know the axes
    assert not lacking(parse_gate(gate), older) or needs or len(selected) < 4


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("pass@1 >= x", "--titrate-gate 'pass@1 >= x' is not a gate; 'x' is not a number"),
        ("pass@1 >= 0 where count=5", "intervention.count is never '5' in small"),
        ("pass@1 >= 0 where cuont=4", "'cuont' is not an axis of small"),
        (
            "pass@2 >= 0",
            "has no metric 'pass@2'; did you mean pass@1? it measures pass@1, parsed, tool_call",
        ),
        (
            "pass@1 >= 9",
            "'pass@1 >= 9': pass@1 is a share, between 0 and 1, and never 9; 9 % is 0.09",
        ),
        ("parsed <= -1", "parsed is a share, between 0 and 1, and never -1"),
        (
            "pass@1.ci_high < 15",
            "pass@1 is a share, between 0 and 1, and never 15; 15 % is 0.15",
        ),
        ("pass@1 > 1", "'pass@1 > 1': pass@1 is a share and never above 1; write pass@1 >= 1"),
        ("pass@1 < 0", "pass@1 is a share and never below 0; write pass@1 <= 0"),
    ],
)
def test_one_that_fits_nothing_is_refused_before_the_run(gate, says):
    with pytest.raises(OptionError) as caught:
        requested_gates(sweep(), [gate])
    assert says in str(caught.value)
    assert str(caught.value).startswith("--titrate-gate ")
    assert "\n" not in str(caught.value)


def test_a_metric_that_the_task_lacks_is_found_at_its_place():
    with pytest.raises(SpecError, match=r"gates\[1\]: 'pass@9 > 0': .* has no metric 'pass@9'"):
        requested_gates(sweep(gates=[THRESHOLD, "pass@9 > 0"]))


def test_more_draws_bring_more_metrics():
    sampling = {"temperature": 1.0, "max_new_tokens": 8, "draws": 10}
    assert requested_gates(sweep(gates=["pass@10 >= 0"], sampling=sampling))


def test_saved_runs_are_told_with_the_gate_that_names_them(tmp_path):
    gate = "no worse than main by more than 0.1 (paired, p < 0.05)"
    claims = Claims(saved=SavedRuns(tmp_path))
    with pytest.raises(SpecError) as caught:
        claims.check(sweep(gates=[THRESHOLD, gate, gate]))
    assert str(caught.value).startswith(f"gate {gate!r} of small: main: no saved run of this name")


def test_a_rule_of_a_metric_that_nothing_measures_is_refused_before_the_run():
    check_rule_metrics(sweep(), ["pass@1: worse", "parsed: different, p<0.05"])
    with pytest.raises(OptionError) as caught:
        check_rule_metrics(sweep(), ["pass@1: worse", "pass@3: worse"])
    assert str(caught.value) == (
        "--titrate-compare-fail 'pass@3: worse': no metric 'pass@3'; did you mean pass@1? the "
        "selected cases measure pass@1, parsed, tool_call, cut"
    )


def forward(gates=(), **fields):
    return sweep(axes={"intervention.count": [0, 4, 8]}, measure="forward", gates=gates, **fields)


@pytest.mark.parametrize(
    "gate",
    [
        "delta_nll <= 1",
        "nll_agentic <= 20 where count=4",
        "routing_tv.ci_high < 0.5",
        "js monotone rising within CI",
        "monotone within CI",
        "nll_assisted no worse than main by more than 0.1 (paired, p < 0.05)",
    ],
)
def test_gates_of_forward_passes_name_what_is_measured(gate):
    assert requested_gates(forward(gates=[gate])) == [("small", [gate])]
    assert requested_gates(forward(), [gate]) == [("small", [gate])]


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (
            "pass@1 >= 0.5",
            "pass@1'; it measures delta_nll, nll_agentic, nll_assisted, js, routing_tv, routing_",
        ),
        ("delta_nl <= 1", "no metric 'delta_nl'; did you mean delta_nll?"),
        (
            "no worse than main by more than 0.1 (paired, p < 0.05)",
            "delta_nll has no better or worse, only higher and lower (nll_agentic or nll_",
        ),
        ("js no worse than main by more than 0.1 (paired, p < 0.05)", "js has no better or worse"),
    ],
)
def test_a_gate_that_forward_passes_cannot_decide_is_refused_before_the_run(gate, says):
    with pytest.raises(SpecError, match=r"gates\[0\]: ") as caught:
        requested_gates(forward(gates=[gate]))
    assert says in str(caught.value)
    with pytest.raises(OptionError, match=r"^--titrate-gate ") as caught:
        requested_gates(forward(), [gate])
    assert says in str(caught.value)


def test_a_model_without_routers_has_no_metrics_of_them():
    (dense,) = cases(model="zoo/base", measure="forward", intervention=None)
    assert requested_gates([dense], ["js <= 1"])
    with pytest.raises(OptionError, match=r"it measures delta_nll, nll_agentic, nll_assisted, js$"):
        requested_gates([dense], ["routing_tv <= 1"])


def test_rules_of_forward_passes_are_known_before_the_run():
    check_rule_metrics(forward(), ["nll_agentic: worse, p<0.05", "js: different"])
    with pytest.raises(OptionError, match=r"no metric 'pass@1'; the selected cases measure delta"):
        check_rule_metrics(forward(), ["pass@1: worse"])
    with pytest.raises(OptionError) as caught:
        check_rule_metrics(forward(), ["routing_tv: better"])
    assert str(caught.value) == (
        "--titrate-compare-fail 'routing_tv: better': routing_tv has no better or worse, only "
        "higher and lower (nll_agentic or nll_assisted has); write routing_tv: different"
    )


def test_one_that_fits_nothing_of_a_part_says_that_it_is_a_part():
    part = [each for each in sweep() if each.case.params["intervention.count"] == 0]
    with pytest.raises(OptionError) as caught:
        requested_gates(part, ["pass@1 >= 0 where count=4"])
    assert str(caught.value).endswith("its values are 0 (2 of 4 cases selected)")
