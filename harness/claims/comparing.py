"""What a run was asked to do with saved runs: compare itself with one, and be kept as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.claims.compare import compare
from harness.claims.comparison_rules import check_rules, undecided
from harness.claims.comparison_table import comparison_table
from harness.claims.saved import SavedRun, SavedRuns, check_name
from harness.errors import OptionError, ReportError
from harness.spec.gate_expression import parse_rule
from harness.store.results import GateResult

#: Where saved runs lie, below pytest's root or the working directory.
SAVED = Path(".titrate", "saved")


@dataclass(frozen=True)
class Compared:
    """The table of a comparison, and what its rules found."""

    table: str = ""
    gates: tuple[GateResult, ...] = ()


@dataclass(frozen=True)
class Comparing:
    """The options `--titrate-compare`, `--titrate-compare-fail` and `--titrate-save`."""

    name: str | None = None
    rules: Sequence[str] = ()
    save_as: str | None = None

    def check(self, saved: SavedRuns) -> None:
        """Refuse, before anything runs, what could not be done after it.

        Raises:
            OptionError: a malformed rule, or rules without a run to compare with.
            ReportError: no such saved run, or one that cannot be read; a name that is none.
        """
        check_comparison_rules(self.rules, "compare_fail")
        if self.rules and self.name is None:
            raise OptionError(
                "compare_fail",
                f"{self.rules[0]!r}: nothing to compare with",
                add=("compare", "NAME"),
            )
        if self.name is not None:
            saved.find(self.name)
        if self.save_as is not None:
            check_name(self.save_as)

    def done(self, run: SavedRun, saved: SavedRuns) -> Compared:
        """Compare a run that has ended; nothing where nothing was asked for."""
        if self.name is None:
            return Compared()
        try:
            before = saved.find(self.name)
        except ReportError as error:
            # It was there when the run began; or another machine scores or merges what was run.
            gates = tuple(undecided(self.rules, self.name, run, str(error)))
            return Compared(f"not compared: {error}", gates)
        gates = tuple(check_rules(self.rules, before, run))
        try:
            return Compared(comparison_table(compare(before, run)), gates)
        except ReportError as error:
            return Compared(f"not compared: {error}", gates)

    def keep(self, run: SavedRun, saved: SavedRuns) -> Path | None:
        """Save a run that has ended, where that was asked for."""
        return None if self.save_as is None else saved.save(run, self.save_as)


def check_comparison_rules(rules: Sequence[str], option: str) -> None:
    """Raise OptionError for the first malformed rule of an option."""
    for text in rules:
        try:
            parse_rule(text)
        except ValueError as error:
            raise OptionError(option, str(error)) from None
