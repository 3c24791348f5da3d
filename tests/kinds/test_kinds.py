"""Kinds of another package run as cases, owe identities and are reported, by no line of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness import registry
from harness.engines.vllm import fitting
from harness.errors import FieldError, SpecError
from harness.interventions.kind import kind_of
from harness.invariants import check_all, checks
from harness.resolve.resolver import check_intervention
from harness.spec import expand, experiment_schema, load
from harness.spec.engine_kind import engine_named
from harness.spec.form import fields

ROOT = Path(harness.__file__).parents[1]
SPEC = """\
name: own
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: %s
sampling: {max_new_tokens: 6}
axes:
  intervention.%s: [0.0, %s]
dose: intervention.%s
gates: [neutral_equals_baseline]
"""
SECTIONS = {
    "nudge": ("{kind: nudge, layer: 1, control: none, amount: 0.0}", "amount", "3.0"),
    "ban": ("{kind: ban, first: 0, strength: 0.0}", "strength", "50.0"),
    "flatten": ("{kind: flatten, share: 0.0}", "share", "1.0"),
    "doubt": ("{kind: doubt, amount: 0.0}", "amount", "3.0"),
    "ablate": ("{kind: ablate, layer: 1, share: 0.0}", "share", "400.0"),
}


def spec(written, kind):
    section, dose, strong = SECTIONS[kind]
    return written(kind, SPEC % (section, dose, strong, dose))


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_case_of_any_mechanism_runs_and_is_a_row_of_the_report(kinds, written, kind):
    report = harness.run(spec(written, kind))
    assert list(report.cases["status"]) == ["complete"] * 3
    assert [gate.holds for gate in report.report.gates] == [True]
    done = {case.dose: case for case in report.report.cases if case.intervention is not None}
    assert {case.intervention["kind"] for case in done.values()} == {kind}
    assert done.pop(0.0).agreement.identical == 1
    (strong,) = done.values()
    assert strong.agreement.identical < 1 or strong.counts["changed"] > 0
    # The same from disk, by the names of kinds in its records.
    again = harness.load_report(report.directory)
    assert len(again.cases) == len(report.cases)


def test_what_help_came_to_is_said_of_any_guidance(written):
    registry.interventions.register("consult", "tests.kinds.consult:KIND")
    section = "{kind: consult, model: zoo/oracle, first: 0}"
    text = SPEC % (section, "first", "2, 4", "first")
    try:
        report = harness.run(
            written("helped", text.replace("zoo/moe", "zoo/base").replace("0.0", "0"))
        )
        told = repr(report)
    finally:
        registry.interventions.unregister("consult")
    (found,) = report.report.help
    assert (found.trigger, found.samples, len(found.points)) == ("consult", 2, 2)
    two, four = (point.share.value for point in found.points)
    assert 0 < two < four <= 1
    assert "consult first=2" in told


@pytest.mark.parametrize("kind", SECTIONS)
def test_identities_of_every_intervention_hold(kinds, kind):
    own = [
        check for check in checks("zoo/moe") if check.family.name == kind and check.engine == "fast"
    ]
    assert len(own) >= 7
    assert [found for found in check_all(own) if not found.holds] == []


def test_sections_are_in_the_form_the_schema_and_the_messages(kinds, written):
    assert {"intervention.amount", "intervention.strength"} <= fields().keys()
    schema = json.dumps(experiment_schema())
    assert "NudgeSettings" in schema
    assert "Adds the same number everywhere" in schema
    wrong = written("wrong", SPEC % ("{kind: nudg, layer: 1}", "amount", "1.0", "amount"))
    with pytest.raises(
        SpecError, match=r"intervention.kind: 'nudg' .* dac, oracle, adapter, nudge, ban"
    ):
        load(wrong)
    wrong = written("typo", SPEC % ("{kind: ban, firs: 1}", "strength", "1.0", "strength"))
    with pytest.raises(SpecError, match=r"typo.yaml:4 intervention.firs: unknown key; did you me"):
        load(wrong)


def test_without_its_package_a_kind_is_unknown_again(written):
    assert "intervention.amount" not in fields()
    assert "NudgeSettings" not in json.dumps(experiment_schema())
    with pytest.raises(SpecError, match="'nudge' is not accepted; it should be one of router_mask"):
        load(spec(written, "nudge"))


def test_a_control_that_is_left_open_runs_beside_its_dose(kinds, written):
    section = "{kind: nudge, layer: 1, amount: 0.0}"
    cases = expand(*load(written("open", SPEC % (section, "amount", "1.0", "amount"))))
    controls = [case.experiment.intervention.control for case in cases]
    assert controls == ["none", "random"] * 2


def test_an_engine_without_the_mechanism_refuses_by_name(kinds, written, monkeypatch):
    able = replace(engine_named("vllm"), mechanisms=frozenset({"residual"}))
    monkeypatch.setitem(registry.engines._loaded, "vllm", able)
    experiment, _ = load(spec(written, "ban"), {"engine.name": "vllm"})
    with pytest.raises(FieldError, match="vllm does not run interventions of kind ban; use transf"):
        check_intervention(experiment)


def test_functions_of_hidden_states_are_refused_for_compiled_passes(kinds, written):
    eager = {"engine.name": "vllm", "engine.enforce_eager": True}
    fitting.check_experiment(load(spec(written, "ablate"), eager)[0])
    experiment, _ = load(spec(written, "ablate"), eager | {"engine.enforce_eager": False})
    with pytest.raises(FieldError, match=r"engine.enforce_eager: a compiled pass cannot hold"):
        fitting.check_experiment(experiment)


def test_a_policy_reads_no_given_texts(kinds, written):
    experiment, _ = load(spec(written, "doubt"), {"measure": "forward"})
    with pytest.raises(FieldError, match="doubt decides as it generates"):
        check_intervention(experiment)


def test_listings_have_a_line_for_each(kinds):
    lines = registry.interventions.summaries()
    assert lines["nudge"] == "The same number is added to all hidden states of a layer."
    assert list(lines) == ["router_mask", "steering", "dac", "oracle", "adapter", *kinds]


def test_a_kind_whose_parts_contradict_each_other_is_refused():
    from harness.errors import RegistryError
    from harness.interventions.kind import Kind
    from tests.kinds.nudge import Nudge, NudgeSettings

    parts = {"section": NudgeSettings, "description": Nudge, "resolution": None, "identities": None}
    with pytest.raises(RegistryError, match="its section NudgeSettings is of another kind"):
        _ = Kind("other", "", mechanism="residual", **parts).section
    with pytest.raises(RegistryError, match="acts by policy, but its description Nudge by res"):
        _ = Kind("nudge", "", mechanism="policy", **parts).description
    assert kind_of("steering").description.mechanism == kind_of("steering").mechanism


@pytest.mark.slow
def test_the_example_of_the_documentation_runs_from_a_conftest(tmp_path):
    """All that a user writes: one module, one line of a conftest.py, and a spec."""
    text = (ROOT / "docs" / "kinds.md").read_text("utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "ban.py").write_text(code)
    (tmp_path / "conftest.py").write_text(
        "from harness import registry\n\nregistry.interventions.register('ban', 'ban:KIND')\n"
    )
    section = "{kind: ban, strength: 0.0}"
    (tmp_path / "own.yaml").write_text(SPEC % (section, "strength", "50.0", "strength"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "own.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
