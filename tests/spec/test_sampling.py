"""The section `sampling` has a field for every registered rule, with lines in its errors."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from harness.errors import SpecError
from harness.sampling import registered
from harness.sampling.chosen import SamplingRules
from harness.sampling.composition import COMPOSITIONS
from harness.spec import Experiment, SamplingSettings, expand, experiment_schema, load
from harness.spec.form import fields

SPEC = """\
name: x
model: zoo/moe
task: {name: micro_humaneval}
sampling:
  temperature: 1
"""
OTHERS = "  cooling: 0.25\n  even_ranks: 4\naxes: {sampling.cooling: [0, 0.5], seed: [0, 1]}\n"


def test_the_bench_on_both_engines_has_every_rule_and_every_composition():
    cases = expand(*load(Path(__file__).parents[2] / "specs/decoding/every_rule.yaml"))
    acting = [case.experiment.sampling.rules for case in cases]
    used = {name for rules in acting for name in SamplingRules(**rules)}
    assert used == {rule.name for rule in registered()}
    assert {rules["compose"] for rules in acting} == {*COMPOSITIONS}


def test_every_rule_is_a_field_with_its_default_and_its_description(written):
    experiment, _ = load(written("x", SPEC))
    assert isinstance(experiment.sampling, SamplingSettings)
    assert list(experiment.sampling.model_dump()) == [
        *(rule.name for rule in registered() if rule.column is not None),
        "max_new_tokens",
        "draws",
    ]
    properties = experiment_schema()["properties"]["sampling"]["properties"]
    for rule in registered():
        assert fields()[f"sampling.{rule.name}"].default == rule.neutral
        assert properties[rule.name]["description"] == rule.description
    assert SamplingRules(**experiment.sampling.rules) == {"temperature": 1.0}


def test_rules_of_others_are_fields_and_axes(written, other_rules):
    experiment, source = load(written("x", SPEC + OTHERS))
    rules = [SamplingRules(**case.experiment.sampling.rules) for case in expand(experiment, source)]
    assert rules[0] == rules[1] == {"temperature": 1.0, "even_ranks": 4}
    assert rules[2] == rules[3] == {"temperature": 1.0, "cooling": 0.5, "even_ranks": 4}
    assert [rule.name for rule in rules[2].stateful] == ["cooling"]
    schema = Draft202012Validator(experiment_schema())
    document = {"name": "x", "model": "m", "task": {"name": "t"}, "sampling": {"cooling": 0.5}}
    assert schema.is_valid(document)
    document["sampling"]["cooling"] = 2
    assert not schema.is_valid(document)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("  cooling: 2", "x.yaml:6 sampling.cooling: 2 is not accepted; it should be less than 1"),
        ("  colling: 0.5", "x.yaml:6 sampling.colling: unknown key; did you mean cooling?"),
        ("  even_ranks: 3", "x.yaml:6 sampling.even_ranks: 3 is not accepted"),
        ("axes: {sampling.coolng: [0]}", "no such field; did you mean sampling.cooling?"),
    ],
)
def test_errors_of_their_values_name_line_and_field(written, other_rules, line, complaint):
    with pytest.raises(SpecError) as caught:
        expand(*load(written("x", f"{SPEC}{line}\n")))
    assert complaint in str(caught.value)


def test_a_rule_that_is_gone_is_an_unknown_key(written):
    with pytest.raises(SpecError, match=r"x.yaml:6 sampling.cooling: unknown key; accepted: temp"):
        load(written("x", SPEC + OTHERS))


def test_what_is_written_is_the_same_where_other_rules_are_registered(written, request):
    experiment, _ = load(written("x", SPEC))
    before = experiment.model_dump_json()
    request.getfixturevalue("other_rules")
    again, _ = load(written("x", SPEC))
    assert again.model_dump_json() == before
    assert Experiment.model_validate(json.loads(before)) == again
    assert pickle.loads(pickle.dumps(again)) == copy.deepcopy(again) == again


def test_a_project_registers_a_rule_in_its_conftest(tmp_path):
    """A run of a real process: collected by pytest with the rule, refused without it."""
    root = Path(__file__).parents[2]
    (tmp_path / "x.yaml").write_text(SPEC + OTHERS)
    command = [sys.executable, "-m", "pytest", "x.yaml", "--collect-only", "-q"]

    def collected() -> str:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout

    assert "sampling.cooling: unknown key" in collected()
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(root)!r})\n"
        "from harness.sampling import rules\n"
        "for name in ('cooling', 'even_ranks'):\n"
        "    rules.register(name, f'tests.sampling.other_rules:{name.upper()}')\n"
    )
    assert "x[cooling=0.5-seed=1]" in collected()
