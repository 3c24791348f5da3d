"""A gate: a claim about results with the text that states it, read once, where it comes in.

    neutral_equals_baseline
    pass@1 >= 0.9 where count=0 and style=agentic      also > <= < ==, and pass@1.ci_low
    pass@1 >= 0.9 where baseline
    pass@1 monotone falling within CI                  metric and direction may be left out
    pass@1 no worse than NAME by more than 0.02 (paired, p < 0.05)
    same across engine.name
    ed50(pass@1) >= 4                              also <=
    bmdl(pass@1, 0.05) >= 2
    window(tool_call, pass@1) exists

Each kind of claim has a file here (its text, and the grids that it fits) and one of the same name
in `harness.claims` (what it means, and when it cannot be decided).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from harness.spec.gates import where as selection
from harness.spec.gates.dose_bound import DoseBound
from harness.spec.gates.grammar import NUMBER, ClaimKind, close
from harness.spec.gates.monotone import Monotone
from harness.spec.gates.neutral import NEUTRAL_EQUALS_BASELINE, NeutralEqualsBaseline
from harness.spec.gates.no_change import NoChange, judged_rule
from harness.spec.gates.no_worse import NoWorse
from harness.spec.gates.same_across import SameAcross
from harness.spec.gates.threshold import Threshold
from harness.spec.gates.where import WHERE, CaseGrid, Selection
from harness.spec.gates.window import WindowExists

#: What a report's JSON tells apart by `kind`.
Claim: TypeAlias = Annotated[
    NeutralEqualsBaseline
    | Threshold
    | Monotone
    | NoWorse
    | SameAcross
    | DoseBound
    | WindowExists
    | NoChange,
    Field(discriminator="kind"),
]
#: Those that speak of the cases behind `where`, in the order in which a text is read as one.
_OF_CASES: tuple[
    type[Threshold | Monotone | NoWorse | SameAcross | DoseBound | WindowExists], ...
] = (
    Threshold,
    Monotone,
    NoWorse,
    SameAcross,
    DoseBound,
    WindowExists,
)
#: All that a gate can claim.
CLAIMS: tuple[type[ClaimKind], ...] = (NeutralEqualsBaseline, *_OF_CASES)

#: A gate as a JSON Schema pattern, which has no names for groups.
PATTERN = (
    rf"^\s*(?:{NEUTRAL_EQUALS_BASELINE}|(?:{'|'.join(kind.PATTERN for kind in _OF_CASES)}){WHERE})"
    r"\s*$"
)
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Gate:
    """A claim, and the text that states it. Two gates are equal when they claim the same.

    In a spec, and in whatever a form is written as, it is its text.
    """

    text: str = field(compare=False)
    claim: Claim

    def __str__(self) -> str:
        return self.text

    def check(self, grid: CaseGrid) -> None:
        """Raise ValueError unless the cases that it speaks of are in a grid."""
        assert not isinstance(self.claim, NoChange), "a rule speaks of two runs"
        try:
            self.claim.check(grid)
        except ValueError as error:
            raise ValueError(f"{self.text!r}: {error}") from None

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """How a spec's form reads and writes one."""
        del source, handler
        return core_schema.no_info_wrap_validator_function(
            _gate,
            core_schema.str_schema(strict=True, max_length=_LONGEST),
            serialization=core_schema.to_string_ser_schema(when_used="always"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Its pattern is for editors; what is wrong with a text is said by `parse_gate`."""
        return handler(schema) | {"pattern": PATTERN}


def _gate(value: Any, text: ValidatorFunctionWrapHandler) -> Gate:
    return value if isinstance(value, Gate) else parse_gate(text(value))


def parse_gate(text: str) -> Gate:
    """Read a gate; a ValueError says what is wrong with it and what would be accepted."""
    if text.strip() == NEUTRAL_EQUALS_BASELINE:
        return Gate(text, NeutralEqualsBaseline())
    for kind in _OF_CASES:
        if found := re.fullmatch(rf"\s*{kind.PATTERN}{WHERE}\s*", text):
            *groups, where = found.groups()
            try:
                return Gate(text, kind.read(groups, Selection.read(where)))
            except ValueError as error:
                raise ValueError(f"{text!r}: {error}") from None
    raise ValueError(f"{text!r} is not a gate; {_wanted(text)}")


def parse_judged(text: str) -> Gate:
    """The same of a gate of a report that has its text alone, as those of version 0.1.0 do."""
    claim = judged_rule(text)
    return parse_gate(text) if claim is None else Gate(text, claim)


def _wanted(text: str) -> str:
    """What the writer of this probably meant, and how that is written."""
    claim, where, conditions = text.partition(" where")
    kinds: tuple[type[ClaimKind], ...] = (*_OF_CASES, NeutralEqualsBaseline)
    whole = rf"\s*(?:{'|'.join(kind.PATTERN for kind in kinds)})\s*"
    if where and re.fullmatch(whole, claim):
        if claim.strip() == NEUTRAL_EQUALS_BASELINE:
            return f"{NEUTRAL_EQUALS_BASELINE} concerns all neutral cases and takes no 'where'"
        return f"{conditions.strip()!r} does not select cases; it should be {selection.FORM}"
    for dosed in (DoseBound, WindowExists):
        if any(word in claim for word in dosed.WORDS):
            return f"it should be {dosed.FORM}"
    if re.search(r"[<>=]", claim) and "than" not in claim:
        left, operator, right = re.split(r"\s*([<>=!]+)\s*", claim, maxsplit=1)
        if operator not in {">=", ">", "<=", "<", "=="}:
            meant = {"=>": ">=", "=<": "<=", "=": "=="}.get(operator)
            hint = f"did you mean {meant}? " if meant else ""
            return f"{hint}{operator!r} is not one of >=, >, <=, <, =="
        if not re.fullmatch(NUMBER, right.strip()):
            return f"{right.strip()!r} is not a number; it should be {Threshold.FORM}"
        return f"{left.strip()!r} names no metric; it should be {Threshold.FORM}"
    for kind in _OF_CASES:
        if any(word in claim for word in kind.WORDS):
            cut = "(" in claim and ")" not in claim
            quotes = " (in quotes, or YAML cuts it at the comma)" if cut else ""
            return f"it should be {kind.FORM}{quotes}"
    forms = ", ".join((NEUTRAL_EQUALS_BASELINE, *(kind.FORM for kind in _OF_CASES)))
    return (
        close(claim.strip(), (NEUTRAL_EQUALS_BASELINE,)).lstrip()
        or f"accepted: {forms}; each but the first with {selection.FORM}"
    )
