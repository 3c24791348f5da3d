"""A measure that is registered, and named nowhere, goes all the way: plan, run, gates, report."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest

import harness
from harness.errors import OptionError, SpecError
from harness.registry import measures
from harness.runs.checks import planned
from harness.runs.forecast import forecast
from harness.spec import Experiment, expand, experiment_schema, load

SPEC = """\
name: surprised
model: zoo/moe
task: {name: micro_humaneval, limit: 12}
measure: surprise
intervention: {kind: router_mask, points: {random: 0}, count: 0}
axes:
  intervention.count: [0, 20, 40]
  prompt.style: [assisted, agentic]
dose: intervention.count
gates:
  - neutral_equals_baseline
  - surprise <= 9
  - monotone rising within CI
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    measures.register("surprise", "tests.measure.surprise:MEASURE")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surprised.yaml").write_text(SPEC)
    yield tmp_path / "surprised.yaml"
    measures.unregister("surprise")


def test_its_metric_is_a_curve_a_row_a_gate_and_on_the_page(spec, tmp_path):
    report = harness.run(spec, directory=tmp_path / "report")
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    cases = written["cases"]
    assert len(cases) == 8
    for case in cases:
        assert case["status"] == "complete"
        assert case["metric"] == "surprise"
        assert list(case["metrics"]) == ["surprise"]
    highest = [case for case in cases if case["dose"] == 40]
    for case in highest:
        assert case["versus_baseline"]["surprise"]["good"] == "lower"
        assert case["versus_baseline"]["surprise"]["worse"] == 12
    assert [gate["gate"] for gate in written["gates"] if gate["holds"]] == [
        "neutral_equals_baseline",
        "surprise <= 9",
        "monotone rising within CI",
    ]
    assert {check["holds"] for check in written["invariants"]} == {True}
    assert "surprise" in repr(report)
    plots = [path.name for path in (tmp_path / "report" / "plots").iterdir()]
    assert plots == ["surprised.png"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert '"shown":["surprise"]' in page
    copied = tmp_path / "report" / "surprise" / highest[0]["id"] / "read.txt"
    assert copied.read_text() == "12\n"


def test_a_report_of_it_is_made_again_and_compared(spec, tmp_path):
    harness.run(spec, directory=tmp_path / "one", save="first")
    again = harness.run(
        spec, directory=tmp_path / "two", compare="first", compare_fail=["surprise: worse, p<0.05"]
    )
    assert "surprise" in repr(again)
    with pytest.raises(OptionError, match=r"surprized.*did you mean surprise\?"):
        harness.run(spec, compare=str(tmp_path / "one"), compare_fail=["surprized: worse"])


def test_its_section_is_read_at_its_line_and_changes_what_it_measures(spec, tmp_path):
    ungated = SPEC.partition("gates:")[0]
    spec.write_text(ungated.replace("[0, 20, 40]", "[0]").replace("limit: 12", "limit: 2"))
    plain = harness.run(spec, directory=tmp_path / "plain")
    spec.write_text(spec.read_text() + "surprise: {skip: 3}\n")
    experiment, _ = load(spec)
    assert experiment.section_of("surprise").skip == 3
    written = experiment.model_dump()
    assert (written["surprise"], written["forward"]["hidden"]) == ({"skip": 3}, "none")
    assert Experiment.model_validate(written) == pickle.loads(pickle.dumps(experiment))
    assert experiment == Experiment.model_validate(written)
    without = harness.run(spec, directory=tmp_path / "without")
    assert (without.cases["metrics.surprise.value"] != plain.cases["metrics.surprise.value"]).all()
    again = harness.load_report(tmp_path / "without").report.cases[0]
    assert again.settings["surprise"] == {"skip": 3}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("surprise: {skp: 3}", r"surprise\.skp: unknown key; did you mean skip\?"),
        (
            "surprise: {skip: -3}",
            r"surprise\.skip: -3 is not accepted; it should be greater",
        ),
        ("surprise: 3", r"surprise: 3 is not accepted; it should be a mapping with the keys skip"),
        ("surprize: {skip: 3}", r"surprize: unknown key; did you mean surprise\?"),
    ],
)
def test_a_mistake_in_its_section_is_told_at_its_line(spec, written, told):
    spec.write_text(f"{SPEC}{written}\n")
    with pytest.raises(SpecError, match=rf"surprised\.yaml:14 {told}"):
        load(spec)


def test_its_section_is_one_for_all_cases_and_in_the_schema(spec):
    spec.write_text(SPEC.replace("prompt.style: [assisted, agentic]", "surprise.skip: [0, 1]"))
    with pytest.raises(SpecError, match=r"axes\.surprise\.skip: cannot be an axis; it is the same"):
        expand(*load(spec))
    section = experiment_schema()["$defs"]["SurpriseSettings"]["properties"]["skip"]
    assert section["description"].startswith("How many tokens at the answer's beginning")
    measures.unregister("surprise")
    assert "surprise" not in experiment_schema()["properties"]
    measures.register("surprise", "tests.measure.surprise:MEASURE")


def test_a_forecast_counts_what_it_reads(spec):
    (found,) = forecast([planned(case) for case in expand(*load(spec))], None)
    assert (found.readings, found.requests, found.loads) == (8 * 12, 8 * 12, True)


def test_a_measure_that_nobody_registered_is_told_what_there_is(spec):
    text = spec.read_text().replace("measure: surprise", "measure: surprises")
    spec.write_text(text)
    told = r"surprised\.yaml:4 measure: 'surprises' is not accepted; .*did you mean surprise\?"
    with pytest.raises(SpecError, match=told):
        load(spec)


NAMED = re.compile(r"""(==|!=|\bin)\W{1,4}(forward|generate)["']""")


def test_no_module_but_its_own_asks_for_a_measure_by_name():
    """A measure is asked what it does: who compares its name has to be changed for the next one."""
    assert NAMED.search('if experiment.measure == "forward":')
    folder = Path(harness.__file__).parent
    ways_of_a_module = {"invariants/decoding.py"}  # whose `forward` is torch's
    named = [
        f"{path.relative_to(folder)}: {line}"
        for path in sorted(folder.rglob("*.py"))
        if str(path.relative_to(folder)) not in ways_of_a_module
        for line in path.read_text(encoding="utf-8").splitlines()
        if NAMED.search(line)
    ]
    assert named == []
