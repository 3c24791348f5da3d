"""Identities that were checked on whole models, as a table: by family, violated ones first."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.page.states import State, rank, state_of, summary, worst
from harness.report.report import DepartureReport, InvariantReport, RunReport

_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class IdentityRow:
    """One identity on one model under one engine."""

    name: str
    model: str
    engine: str
    status: State
    detail: str
    departure: str
    """The first differing token (counted from 0) and what was expected, by their ids; empty where
    no completions were compared."""
    gap: str
    """Own minus expected log-probability of that token, in nats."""


@dataclass(frozen=True)
class IdentityFamily:
    """The identities of one kind of intervention, of sampling, or of engines."""

    name: str
    rows: tuple[IdentityRow, ...]

    @property
    def status(self) -> State:
        """The worst of its rows."""
        return worst([row.status for row in self.rows])

    @property
    def summary(self) -> str:
        """How many hold, or do not."""
        return summary([row.status for row in self.rows])


def identities(report: RunReport) -> list[IdentityFamily]:
    """Families in the order of their first check, those with a violated identity in front.

    What was checked on the report's own cases is told where these are.
    """
    families: dict[str, list[IdentityRow]] = {}
    for each in on_models(report):
        family, _, name = each.name.rpartition(".")
        families.setdefault(family or "other", []).append(_row(each, name))
    found = [
        IdentityFamily(name, tuple(sorted(rows, key=lambda row: rank(row.status))))
        for name, rows in families.items()
    ]
    return sorted(found, key=lambda family: rank(family.status))


def on_models(report: RunReport) -> list[InvariantReport]:
    """The invariants that belong to no case."""
    cases = {case.id for case in report.cases}
    return [each for each in report.invariants if each.case not in cases]


def _row(found: InvariantReport, name: str) -> IdentityRow:
    model, _, engine = found.case.rpartition(", ")
    return IdentityRow(
        name=name.replace("_", " "),
        model=model or found.case,
        engine=engine if model else "",
        status=state_of(found),
        detail=found.detail,
        departure=_departure(found.departure),
        gap=_gap(found.departure),
    )


def _departure(departure: DepartureReport | None) -> str:
    if departure is None:
        return ""
    own, expected = (
        "the end" if token is None else str(token) for token in (departure.own, departure.expected)
    )
    at = f"{departure.request}, token {departure.token}"
    return f"{at}: {own}, as expected" if own == expected else f"{at}: {own} instead of {expected}"


def _gap(departure: DepartureReport | None) -> str:
    if departure is None or departure.log_probability_gap is None:
        return ""
    return f"{departure.log_probability_gap:+.3g}".replace("-", _MINUS)
