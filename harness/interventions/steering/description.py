"""Steering: vectors are added to hidden states, each times its dose; `residual` defines how."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Literal, Self

from pydantic import model_validator

from harness.interventions.residual import Residual, Term


class Steering(Residual):
    """Any number of additions; their order means nothing, and their effects add up.

    A term whose alpha is 0 is dropped: requests that differ in it alone are the same request.
    """

    kind: Literal["steering"] = "steering"
    terms: tuple[Term, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _in_order(cls, data: dict[str, object]) -> dict[str, object]:
        terms = [Term.model_validate(term) for term in data.get("terms") or ()]  # type: ignore[attr-defined]
        effective = [term for term in terms if term.alpha != 0]
        return {**data, "terms": tuple(sorted(effective, key=Term.content))}

    def neutral(self) -> Self:
        """No additions."""
        return self.model_copy(update={"terms": ()})

    def additions(self) -> tuple[Term, ...]:
        """Its terms."""
        return self.terms

    @cached_property
    def _digest(self) -> str:
        content = json.dumps([self.kind, *(term.content() for term in self.terms)])
        return hashlib.sha256(content.encode()).hexdigest()
