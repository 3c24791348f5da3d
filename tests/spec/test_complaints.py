"""Unions that the form does not have yet: the same code words a second kind of intervention."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import SpecError
from harness.spec import load
from harness.spec.complaints import describe, displayed


class First(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["first"]
    size: int = 0


class Second(BaseModel):
    kind: Literal["second"]
    alpha: float


class Form(BaseModel):
    intervention: Annotated[First | Second, Field(discriminator="kind")] | None = None


@pytest.mark.parametrize(
    ("section", "field", "problem"),
    [
        (
            {"kind": "frist"},
            "intervention.kind",
            "'frist' is not accepted; it should be one of first, second; did you mean first?",
        ),
        (
            {"size": 3},
            "intervention.kind",
            "null is not accepted; it should be one of first, second",
        ),
        (
            "first",
            "intervention",
            "'first' is not accepted; it should be a mapping with a kind: first, second",
        ),
        (
            {"kind": "first", "siez": 3},
            "intervention.siez",
            "unknown key; did you mean size? accepted: kind, size",
        ),
        ({"kind": "second"}, "intervention.alpha", "missing; it is required"),
        (
            {"kind": "second", "alpha": "x"},
            "intervention.alpha",
            "'x' is not accepted; it should be a number",
        ),
    ],
)
def test_a_second_kind(section, field, problem):
    with pytest.raises(ValidationError) as error:
        Form.model_validate({"intervention": section})
    assert describe(error.value.errors()[0], Form) == (field, problem)


def test_long_values_are_cut():
    assert displayed("x" * 99) == f"'{'x' * 76}..."
    assert displayed({"a": [None, True, 0.5]}) == '{"a": [null, true, 0.5]}'


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("intervention.alpha=1", "belongs to kind steering; accepted: kind, mode, "),
        ("intervention=none", "should be a mapping with a kind: router_mask, steering, dac"),
        ("sampling.temperature=.nan", "NaN is not accepted; it should be a finite number"),
    ],
)
def test_an_override_is_one_line_that_says_where_it_belongs(tmp_path, override, problem):
    spec = tmp_path / "x.yaml"
    spec.write_text(
        "name: x\nmodel: zoo/moe\ntask: {name: micro_humaneval}\n"
        "intervention: {kind: router_mask, points: {random: 0}, count: 0}\n"
        "axes: {sampling.temperature: [0, 1]}\ndose: sampling.temperature\n"
    )
    with pytest.raises(SpecError) as error:
        load(spec, [override])
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"--titrate-set {override}: ")
    assert problem in line
