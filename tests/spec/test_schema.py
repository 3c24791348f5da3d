"""The published JSON Schema is current, and agrees with the loader on the specs that ship."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from harness.spec import expand, experiment_schema, load

SPECS = Path(__file__).parents[2] / "specs"
FILES = sorted(SPECS.rglob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(experiment_schema())
    return Draft202012Validator(experiment_schema())


def test_the_published_file_is_current():
    written = (SPECS / "experiment.schema.json").read_text(encoding="utf-8")
    current = json.dumps(experiment_schema(), indent=2) + "\n"
    assert written == current, "run `titrate schema experiment`"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_spec_that_ships_is_valid_by_schema_and_by_loader(path, validator):
    validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    experiment, source = load(path)
    cases = expand(experiment, source)
    assert experiment.name == path.stem
    doses = [None] if experiment.dose is None else experiment.axes[experiment.dose]
    assert {case.dose for case in cases} == set(doses)


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({"extends": "base.yaml"}, True),
        ({"extends": "base.yaml", "intervention": {"count": 3}}, True),
        ({"extends": "base.yaml", "intervention": {"points": {"samples": 3}}}, True),
        ({"extends": 3}, False),
        ({"name": "x"}, False),
        ({"extends": "base.yaml", "sede": 3}, False),
        ({"extends": "base.yaml", "intervention": {"cuont": 3}}, False),
        ({"extends": "base.yaml", "intervention": {"points": {"usages": "x"}}}, False),
        ({"extends": "base.yaml", "prompt": {"style": "chatty"}}, False),
        ({"extends": "base.yaml", "gates": ["neutral_equals_basline"]}, False),
    ],
)
def test_what_an_editor_underlines(document, valid, validator):
    assert validator.is_valid(document) == valid
