"""Claims about results, as a spec or a command line writes them: text in, a frozen form out.

    neutral_equals_baseline
    pass@1 >= 0.9 where count=0 and style=agentic      also > <= < ==, and pass@1.ci_low
    pass@1 >= 0.9 where baseline
    pass@1 monotone falling within CI                  metric and direction may be left out
    pass@1 no worse than NAME by more than 0.02 (paired, p < 0.05)
    same across engine.name

and, for a comparison with a saved run, `pass@1: worse, p<0.05`. What each claim means, and when it
cannot be decided, is said where it is judged (`harness.claims.gates`, `.comparison_rules`).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

Bound = Literal["value", "ci_low", "ci_high"]
Operator = Literal[">=", "<=", "==", ">", "<"]
Direction = Literal["rising", "falling"]
Change = Literal["worse", "better", "different"]

NEUTRAL_EQUALS_BASELINE = "neutral_equals_baseline"

_METRIC = r"[A-Za-z_][A-Za-z0-9_@-]*"
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_CONDITION = r"(?:baseline|[A-Za-z_][A-Za-z0-9_.]*\s*=\s*[^\s=]+)"
_WHERE = rf"(?:\s+where\s+({_CONDITION}(?:\s+and\s+{_CONDITION})*))?"
_THRESHOLD = rf"({_METRIC})(?:\.(ci_low|ci_high))?\s*(>=|<=|==|>|<)\s*({_NUMBER})"
_MONOTONE = rf"(?:({_METRIC})\s+)?monotone(?:\s+(rising|falling))?\s+within\s+CI"
_NO_WORSE = (
    rf"(?:({_METRIC})\s+)?no\s+worse\s+than\s+([A-Za-z0-9_.+-]+)\s+by\s+more\s+than\s+({_NUMBER})"
    rf"\s*\(\s*paired\s*,\s*p\s*<\s*({_NUMBER})\s*\)"
)
_AXIS = r"[A-Za-z_][A-Za-z0-9_.]*"
_SAME = rf"same\s+across\s+({_AXIS})"
_RULE = rf"({_METRIC})\s*:\s*(worse|better|different)(?:\s*,\s*p\s*<\s*({_NUMBER}))?"

#: A gate as a JSON Schema pattern, which has no names for groups.
PATTERN = (
    rf"^\s*(?:{NEUTRAL_EQUALS_BASELINE}"
    rf"|(?:{_THRESHOLD}|{_MONOTONE}|{_NO_WORSE}|{_SAME}){_WHERE})\s*$"
)

_THRESHOLD_FORM = "METRIC >= NUMBER (or > <= < ==; METRIC.ci_low)"
_MONOTONE_FORM = "[METRIC] monotone [rising|falling] within CI"
_NO_WORSE_FORM = "[METRIC] no worse than SAVED by more than D (paired, p < A)"
_SAME_FORM = "same across AXIS"
_WHERE_FORM = "where AXIS=VALUE [and ...], or where baseline"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases a gate speaks of: those with every one of these values; baselines, or not."""

    conditions: tuple[tuple[str, str], ...] = ()
    """Axis, by its last part or its whole dotted field, and value."""
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class NeutralEqualsBaseline:
    """Every neutral case gave its baseline's completions, token for token."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A metric's mean, or a bound of its interval, compared with a number in every case."""

    metric: str
    bound: Bound
    operator: Operator
    value: float
    where: Selection


@dataclass(frozen=True, slots=True)
class Monotone:
    """A dose-response that does not turn by more than its intervals allow."""

    metric: str | None
    """None for the task's primary metric."""
    direction: Direction | None
    """None for either, as long as it is the same all the way."""
    where: Selection


@dataclass(frozen=True, slots=True)
class NoWorse:
    """Every case is shown to be less than `margin` below the same case of a saved run."""

    metric: str | None
    saved: str
    margin: float
    alpha: float
    where: Selection


@dataclass(frozen=True, slots=True)
class SameAcross:
    """Cases that differ in this axis alone gave the same completions or measurements."""

    axis: str
    """By its last part or its whole dotted field."""
    where: Selection


Gate = NeutralEqualsBaseline | Threshold | Monotone | NoWorse | SameAcross


@dataclass(frozen=True, slots=True)
class Rule:
    """What must not be found in a comparison with a saved run."""

    metric: str
    change: Change
    alpha: float | None
    """Only where Holm's p is below this; None for any change at all."""


@lru_cache(maxsize=256)
def parse_gate(text: str) -> Gate:
    """Read a gate; a ValueError says what is wrong with it and what would be accepted."""
    if text.strip() == NEUTRAL_EQUALS_BASELINE:
        return NeutralEqualsBaseline()
    if found := re.fullmatch(rf"\s*{_THRESHOLD}{_WHERE}\s*", text):
        metric, bound, operator, value, where = found.groups()
        return Threshold(
            metric,
            cast("Bound", bound or "value"),
            cast("Operator", operator),
            float(value),
            _selection(where),
        )
    if found := re.fullmatch(rf"\s*{_MONOTONE}{_WHERE}\s*", text):
        metric, direction, where = found.groups()
        selection = _selection(where)
        if selection.baseline:
            raise ValueError(f"{text!r}: a baseline has no dose; name the doses' cases instead")
        return Monotone(metric, cast("Direction | None", direction), selection)
    if found := re.fullmatch(rf"\s*{_NO_WORSE}{_WHERE}\s*", text):
        metric, saved, margin, alpha, where = found.groups()
        if not float(margin) > 0:
            raise ValueError(
                f"{text!r}: by more than {margin}; the margin must be above 0, because no number "
                "of samples shows that two runs are exactly alike"
            )
        return NoWorse(metric, saved, float(margin), _alpha(text, alpha), _selection(where))
    if found := re.fullmatch(rf"\s*{_SAME}{_WHERE}\s*", text):
        axis, where = found.groups()
        return SameAcross(axis, _selection(where))
    raise ValueError(f"{text!r} is no gate; {_wanted(text)}")


def parse_rule(text: str) -> Rule:
    """Read what a comparison must not find; a ValueError says what would be accepted."""
    found = re.fullmatch(rf"\s*{_RULE}\s*", text)
    if found is None:
        _, colon, after = text.partition(":")
        first = re.split(r"[\s,]", after.strip(), maxsplit=1)[0]
        close = _close(first, ("worse", "better", "different")) if colon else ""
        raise ValueError(
            f"{text!r} is no rule;{close} it should be METRIC: worse|better|different[, p<A], "
            "such as 'pass@1: worse, p<0.05'"
        )
    metric, change, alpha = found.groups()
    return Rule(metric, cast("Change", change), None if alpha is None else _alpha(text, alpha))


def _selection(text: str | None) -> Selection:
    if text is None:
        return Selection()
    conditions = [part.strip() for part in re.split(r"\s+and\s+", text)]
    pairs = [part.partition("=") for part in conditions if part != "baseline"]
    return Selection(
        tuple((axis.strip(), value.strip()) for axis, _, value in pairs), "baseline" in conditions
    )


def _alpha(text: str, alpha: str) -> float:
    if not 0 < float(alpha) < 0.5:
        raise ValueError(f"{text!r}: p < {alpha}; it should lie between 0 and 0.5")
    return float(alpha)


def _wanted(text: str) -> str:
    """What the writer of this probably meant, and how that is written."""
    claim, where, conditions = text.partition(" where")
    whole = rf"\s*(?:{_THRESHOLD}|{_MONOTONE}|{_NO_WORSE}|{_SAME}|{NEUTRAL_EQUALS_BASELINE})\s*"
    if where and re.fullmatch(whole, claim):
        if claim.strip() == NEUTRAL_EQUALS_BASELINE:
            return f"{NEUTRAL_EQUALS_BASELINE} concerns all neutral cases and takes no 'where'"
        return f"{conditions.strip()!r} does not select cases; it should be {_WHERE_FORM}"
    if re.search(r"[<>=]", claim) and "than" not in claim:
        left, operator, right = re.split(r"\s*([<>=!]+)\s*", claim, maxsplit=1)
        if operator not in {">=", "<=", "==", ">", "<"}:
            meant = {"=>": ">=", "=<": "<=", "=": "=="}.get(operator)
            close = f"did you mean {meant}? " if meant else ""
            return f"{close}{operator!r} is not one of >=, >, <=, <, =="
        if not re.fullmatch(_NUMBER, right.strip()):
            return f"{right.strip()!r} is not a number; it should be {_THRESHOLD_FORM}"
        return f"{left.strip()!r} names no metric; it should be {_THRESHOLD_FORM}"
    for word, form in (
        ("monoton", _MONOTONE_FORM),
        ("worse", _NO_WORSE_FORM),
        ("same", _SAME_FORM),
        ("across", _SAME_FORM),
    ):
        if word in claim:
            cut = "(" in claim and ")" not in claim
            quotes = " (in quotes, or YAML cuts it at the comma)" if cut else ""
            return f"it should be {form}{quotes}"
    close = _close(claim.strip(), (NEUTRAL_EQUALS_BASELINE,)).lstrip()
    known = (_THRESHOLD_FORM, _MONOTONE_FORM, _NO_WORSE_FORM, _SAME_FORM)
    forms = ", ".join((NEUTRAL_EQUALS_BASELINE, *known))
    return close or f"accepted: {forms}; each but the first with {_WHERE_FORM}"


def _close(word: str, words: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f" did you mean {close[0]}?" if close else ""
