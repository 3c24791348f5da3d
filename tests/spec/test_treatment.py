"""Baselines of a sweep over a sampling rule: the same case without the rule of the dose."""

from __future__ import annotations

import json

import pytest

from harness.errors import SpecError
from harness.spec import Experiment, expand, load
from harness.spec.treatment import dosed_rule, lies_in, treatment

FIT = {"a": -1.0, "b": 0.5}


def experiment(axes, dose=None, **changes):
    fields = {"name": "x", "model": "m", "task": {"name": "t"}, "sampling": {"temperature": 1.0}}
    return Experiment.model_validate(fields | changes | {"axes": axes, "dose": dose})


def described(case):
    baseline = case.baseline
    return case.id, case.is_neutral, case.tried, baseline and baseline.id


def test_a_rule_is_left_out_and_its_neutral_value_is_tried():
    axes = {"sampling.top_p": [1.0, 0.9], "sampling.greedy_threshold": [0, 0.2]}
    cases = expand(experiment(axes, "sampling.greedy_threshold"))
    assert [described(case) for case in cases[:2]] == [
        ("x[top_p=1.0-greedy_threshold=0]", True, ("greedy_threshold",), "x[baseline-top_p=1.0]"),
        ("x[top_p=1.0-greedy_threshold=0.2]", False, (), "x[baseline-top_p=1.0]"),
    ]
    baseline = cases[3].baseline
    assert baseline is cases[2].baseline
    assert baseline.params == {"sampling.top_p": 0.9}
    assert (baseline.dose, baseline.is_neutral, baseline.tried) == (None, False, ())
    rules = baseline.experiment.sampling.rules
    assert (rules["top_p"], rules["greedy_threshold"], rules["temperature"]) == (0.9, 0.0, 1.0)


def test_a_part_of_a_rule_is_a_dose_of_the_whole_rule():
    axes = {"sampling.calibrated.threshold": [0, 0.1], "sampling.calibrated.base": ["e", 10]}
    sampling = {"temperature": 1.0, "calibrated": FIT}
    cases = expand(experiment(axes, "sampling.calibrated.threshold", sampling=sampling))
    assert {case.baseline.id for case in cases} == {"x[baseline]"}
    assert cases[0].baseline.experiment.sampling.rules["calibrated"] is None
    assert [case.tried for case in cases] == [("calibrated",)] * 2 + [()] * 2


@pytest.mark.parametrize(
    ("dose", "values", "sampling"),
    [
        ("sampling.temperature", [1.0, 0.5, 2], {}),
        ("sampling.edt.theta", [0.2, 0, 1.0], {"edt": {"theta": 0.5}}),
    ],
)
def test_what_draws_refers_to_the_lowest_of_its_axis(dose, values, sampling):
    cases = expand(experiment({dose: values, "seed": [0, 1]}, dose, sampling=sampling))
    assert [case.is_neutral for case in cases[::2]] == [value == min(values) for value in values]
    lowest = next(case for case in cases if case.is_neutral)
    assert lowest.baseline.experiment.sampling == lowest.experiment.sampling
    assert {case.baseline.id for case in cases} == {"x[baseline-seed=0]", "x[baseline-seed=1]"}
    assert not any(case.tried for case in cases)


def test_what_is_no_dose_of_a_rule_has_no_baseline():
    for axes, dose in (
        ({"sampling.greedy_threshold": [0, 0.2]}, None),
        ({"sampling.max_new_tokens": [8, 16]}, "sampling.max_new_tokens"),
        ({"seed": [0, 1]}, "seed"),
    ):
        cases = expand(experiment(axes, dose))
        assert [case.baseline for case in cases] == [None, None]
        assert not any(case.is_neutral for case in cases)


def test_an_intervention_is_what_is_done_where_there_is_one():
    mask = {"kind": "router_mask", "points": {"random": 0}, "count": 2}
    swept = experiment({"sampling.top_p": [0.5]}, "sampling.top_p", intervention=mask)
    assert dosed_rule(swept) is None
    assert treatment(swept) == "intervention"
    (case,) = expand(swept)
    assert case.baseline.experiment.intervention is None
    assert case.baseline.experiment.sampling == case.experiment.sampling


def test_sections_hold_their_axes():
    assert lies_in("sampling.edt.theta", "sampling.edt")
    assert not lies_in("sampling.edt_other", "sampling.edt")
    assert not lies_in("sampling.edt", None)


@pytest.mark.parametrize(
    ("axes", "dose", "sampling", "problem"),
    [
        (
            {"sampling.rules.top_p": [1]},
            None,
            {},
            "axes.sampling.rules.top_p: no such field; did you mean sampling.top_p?",
        ),
        (
            {"sampling.top_p": [1, 0.5]},
            "sampling.top_p",
            {},
            "dose: sampling.top_p changes nothing of greedy decoding; set sampling.temperature",
        ),
        (
            {"sampling.confidence_bin_only": [3, 11]},
            None,
            {},
            "sampling.confidence_bin_only: 11 is not accepted; it should be less than or equal",
        ),
    ],
)
def test_mistakes_are_told_with_their_field(axes, dose, sampling, problem):
    with pytest.raises(SpecError) as told:
        expand(experiment(axes, dose, sampling=sampling))
    assert problem.partition(": ")[2] in str(told.value)
    assert problem.partition(": ")[0] in str(told.value)


@pytest.mark.parametrize(
    ("sampling", "problem"),
    [
        ({"dynamic_top_k": [*range(1, 10)]}, "sampling.dynamic_top_k: [1, 2, 3, 4, 5, 6, 7, 8, 9]"),
        (
            {"dynamic_top_k": [*range(9, -1, -1)]},
            "sampling.dynamic_top_k[9]: 0 is not accepted; it should be greater than 0",
        ),
        ({"greedy_threshold": -0.1}, "sampling.greedy_threshold: -0.1 is not accepted"),
        ({"confidence_bin_only": 11}, "sampling.confidence_bin_only: 11 is not accepted"),
        ({"edt": {"theta": 0.1}}, "sampling: edt excludes temperature, which is given too"),
        ({"compose": "tgi"}, "sampling.compose: 'tgi' is not accepted"),
    ],
)
def test_settings_that_are_none_are_refused_in_a_line_and_not_dropped(tmp_path, sampling, problem):
    content = {"name": "x", "model": "zoo/base", "task": {"name": "micro_gsm8k"}}
    path = tmp_path / "x.yaml"
    path.write_text(json.dumps(content | {"sampling": {"temperature": 1.0, **sampling}}))
    with pytest.raises(SpecError) as told:
        load(path)
    assert problem in str(told.value)
    assert "\n" not in str(told.value)
