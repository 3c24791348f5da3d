"""The section of a spec that lets a run stop itself: what is to be decided, and when to look."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from harness.spec.gates.grammar import METRIC, NUMBER
from harness.spec.settings import Settings

_DIFFERS = rf"({METRIC})\s+differs\s+from\s+baseline"
_PRECISE = rf"ed50(?:\(\s*({METRIC})\s*\))?\s+within\s+({NUMBER})\s+log2"
_FORM = "METRIC differs from baseline, ed50 within 0.5 log2, or gates"


class Decision(NamedTuple):
    """One thing that is to be decided: that every dose differs, an ED50, or the spec's gates."""

    metric: str | None
    """None: the primary one, and of gates each its own."""
    within: float | None = None
    """Of an ED50: log2 units that its interval may reach to either side."""
    gates: bool = False


def read_decision(text: str) -> Decision:
    """What a text asks to be decided; a ValueError says how it is written."""
    if found := re.fullmatch(_DIFFERS, text.strip()):
        return Decision(found[1])
    if found := re.fullmatch(_PRECISE, text.strip()):
        if float(found[2]) <= 0:
            raise ValueError(f"{text!r}: {found[2]} is no precision; use a number above 0")
        return Decision(found[1], within=float(found[2]))
    if text.strip() == "gates":
        return Decision(None, gates=True)
    raise ValueError(f"{text!r} is nothing that a run can decide; it should be {_FORM}")


def _decision(text: str) -> str:
    read_decision(text)
    return text


class StopSettings(Settings):
    """When a run has seen enough: it measures until every one of these is decided."""

    decide: Annotated[list[Annotated[str, AfterValidator(_decision)]], Field(min_length=1)]
    """What is to be decided: METRIC differs from baseline (of every dose), ed50 within 0.5 log2 (of
    every curve; ed50(METRIC) of another metric than the primary one), gates (those of the spec that
    compare a metric with a number)."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """The chance that any dose is said to differ though none does, over all looks; 0.05 by
    default."""
    look: PositiveInt = 16
    """How many samples are asked between two looks, of every dose that is not decided; 16 by
    default. Fewer stop sooner and cost power."""
    seed: NonNegativeInt = 0
    """The seed of the permutation in which samples are asked, the same for all doses; 0 by
    default."""
    futility: Annotated[float, Field(ge=0, lt=1)] = 0.001
    """A dose is ended early, undecided, when its chance to be decided by the samples that are left
    is below this; 0.001 by default, and 0 ends none."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What the texts ask for."""
        return tuple(map(read_decision, self.decide))
