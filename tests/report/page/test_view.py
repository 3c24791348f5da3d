from __future__ import annotations

import json
from dataclasses import replace

from harness.report.build import build
from harness.report.page.view import view
from tests.report.small_run import METRIC, cases_of, first, result_of, sweep


def experiment(report, at=0):
    document = view(report)
    json.dumps(document, allow_nan=False)
    return document["experiments"][at]


def test_curves_name_their_cases_and_baselines_by_position(report):
    found = experiment(report)
    ids = [case.id for case in report.cases]
    assert [series["label"] for series in found["series"]] == ["style=agentic", "style=assisted"]
    for series in found["series"]:
        (baseline,) = series["baselines"]
        assert all(report.cases[at].baseline == ids[baseline] for at in series["cases"])
        assert [report.cases[at].dose for at in series["cases"]] == [0, 1, 2, 4]


def test_crowded_doses_are_spaced_evenly_and_others_are_not(run):
    even = experiment(build(run, sweep(doses=(0, 1, 16))))
    assert (even["even"], even["places"]) == (True, [[0, 0], [1, 1], [16, 2]])
    scaled = experiment(build(run, sweep(doses=(0, 1, 3))))
    assert (scaled["even"], scaled["places"]) == (False, [[0, 0], [1, 1], [3, 3]])


def test_a_case_says_what_tells_it_from_the_others(report):
    cases = experiment(report)["cases"]
    assert cases[0]["label"] == "baseline, style=agentic"
    assert cases[1]["label"] == "style=agentic, count=0"
    assert cases[1]["params"] == {"prompt.style": "agentic", "intervention.count": "0"}
    assert cases[0]["isBaseline"]


def test_numbers_have_the_digits_that_are_shown(report):
    value = experiment(report)["cases"][0]["metrics"][METRIC]["value"]
    assert value == 0.916667


def test_a_number_that_would_become_a_half_keeps_its_digits(report):
    metric = report.cases[0].metrics[METRIC].model_copy(update={"value": 0.12499999})
    case = report.cases[0].model_copy(update={"metrics": {METRIC: metric}})
    found = experiment(report.model_copy(update={"cases": (case, *report.cases[1:])}))
    assert found["cases"][0]["metrics"][METRIC]["value"] == 0.12499999


def test_a_dose_of_many_digits_finds_its_place(report):
    case = report.cases[1].model_copy(update={"dose": 0.123456789})
    found = experiment(report.model_copy(update={"cases": (report.cases[0], case)}))
    assert found["places"] == [[0.123456789, 0.123456789]]
    assert found["cases"][1]["dose"] == 0.123456789


def test_without_a_dose_cases_are_read_beside_their_baseline(run):
    axes = {"prompt.style": ["agentic", "assisted"], "intervention.mode": ["keep_topk"]}
    results = {}
    for case in cases_of(axes=axes):
        results[case.baseline.id] = result_of(case.baseline, first(2, 2))
        results[case.id] = result_of(case, first(1, 2), agreement=1)
    found = experiment(build(run, list(results.values())))
    assert (found["doseAxis"], found["places"]) == (None, [])
    assert [(each["cases"], each["baselines"]) for each in found["series"]] == [
        ([1], [0]),
        ([3], [2]),
    ]


def test_a_failed_case_keeps_its_place(run, results):
    results[2] = replace(results[2], status="failed", error="out of memory")
    found = next(
        case for case in experiment(build(run, results))["cases"] if case["status"] == "failed"
    )
    assert found["error"] == "out of memory"
    assert "metrics" not in found


def test_settings_are_what_all_cases_share(report):
    settings = experiment(report)["settings"]
    assert settings["model"] == "zoo/moe"
    assert "style" not in settings.get("prompt", {})
    assert "count" not in settings["intervention"]
    assert settings["intervention"]["kind"] == "router_mask"


def test_experiments_stay_apart(run):
    document = view(build(run, sweep(name="one") + sweep(name="two")))
    assert [each["name"] for each in document["experiments"]] == ["one", "two"]
    first_case = document["experiments"][1]["cases"][0]
    assert first_case["position"] == len(document["experiments"][0]["cases"])
