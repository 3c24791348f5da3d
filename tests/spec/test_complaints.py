"""Unions that the form does not have yet: the same code words a second kind of intervention."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
            "'frist' is not accepted; it should be one of first, second",
        ),
        (
            {"size": 3},
            "intervention.kind",
            "null is not accepted; it should be one of first, second",
        ),
        (
            "first",
            "intervention",
            "'first' is not accepted; it should be a mapping with the keys kind, size, alpha",
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
