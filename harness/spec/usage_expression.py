"""Names a router-usage matrix: one average, or a difference of two, e.g. `avg_last_agentic`.

An average is `avg_{scope}_{style}`: over all shared positions of every sample, or over the last
one, with the samples put to the model in that prompt style.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, cast

from pydantic import AfterValidator

from harness.spec.style import STYLES, Style

Scope = Literal["all", "last"]

_NAME = rf"avg_(all|last)_({'|'.join(STYLES)})"
_EXPRESSION = re.compile(rf"\s*{_NAME}(?:\s*-\s*{_NAME})?\s*")


@dataclass(frozen=True, slots=True)
class Average:
    """Mean usage of every expert over the positions in `scope`, prompted in `style`."""

    scope: Scope
    style: Style

    @property
    def name(self) -> str:
        """As it is written: `avg_last_agentic`."""
        return f"avg_{self.scope}_{self.style}"


@dataclass(frozen=True, slots=True)
class UsageExpression:
    """`plus`, or `plus - minus`."""

    plus: Average
    minus: Average | None = None


def parse(text: str) -> UsageExpression:
    """Read an expression; a ValueError says what would be accepted."""
    match = _EXPRESSION.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a usage; it should be "
            f"avg_{{all,last}}_{{assisted,agentic,completion}}, "
            "or a difference of two of these"
        )
    averages = [
        Average(cast("Scope", scope), cast("Style", style))
        for scope, style in (match.group(1, 2), match.group(3, 4))
        if scope
    ]
    if len(averages) == 2 and averages[0] == averages[1]:
        raise ValueError(f"{text!r} is zero everywhere; it should subtract two different averages")
    return UsageExpression(*averages)


def _checked(text: str) -> str:
    parse(text)
    return text


#: A usage expression as a spec writes it: checked, and kept as text.
UsageText: TypeAlias = Annotated[str, AfterValidator(_checked)]
