"""What a run is judged by when it ends, beside what its specs say: gates, and other runs.

Every process that writes a report judges it by the same claims: a single run, a controller of
workers, and the commands that join reports or score a run again. Their texts are read here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from harness.claims.applying import ExperimentGates, asked, by_experiment, check_gates_asked
from harness.claims.compare import compare
from harness.claims.comparison import comparison_table
from harness.claims.evidence import Measured
from harness.claims.no_change import check_rules, check_rules_asked, undecided
from harness.claims.saved import SAVED, SavedRun, SavedRuns, check_name
from harness.errors import OptionError, ReportError, SpecError
from harness.spec.gates import ChangeRule, Gate, NoWorse, parse_gate, parse_rule
from harness.store.results import CaseResult, GateResult

_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True)
class Compared:
    """The table of a comparison, and what its rules found."""

    table: str = ""
    gates: tuple[GateResult, ...] = ()


def _saved_here() -> SavedRuns:
    return SavedRuns(Path.cwd() / SAVED)


@dataclass(frozen=True)
class Claims:
    """Gates of the command line, what to do with saved runs, and where these lie."""

    gates: Sequence[Gate] = ()
    compare: str | None = None
    """The saved run to compare with."""
    rules: Sequence[ChangeRule] = ()
    """What that comparison must not find."""
    save_as: str | None = None
    saved: SavedRuns = field(default_factory=_saved_here)

    @classmethod
    def read(
        cls,
        gates: Iterable[str] = (),
        compare: str | None = None,
        rules: Iterable[str] = (),
        save_as: str | None = None,
        saved: SavedRuns | None = None,
    ) -> Self:
        """Claims as a command line states them, or the record of one.

        Raises:
            OptionError: a text that is not a gate (`gate`), or not a rule (`compare_fail`).
        """
        claimed = tuple(read_gates(gates, "gate"))
        unwanted = tuple(read_rules(rules, "compare_fail"))
        return cls(claimed, compare, unwanted, save_as, saved or _saved_here())

    def check(self, cases: Sequence[Measured]) -> None:
        """Refuse, before anything runs, what could not be judged after it.

        Raises:
            SpecError: a gate of a spec that its cases cannot decide, or one that names a run that
                is not saved.
            OptionError: a gate or a rule that no selected case can decide, or rules without a run
                to compare with.
            ReportError: no such run to compare with, or a name that no run can have.
        """
        selected = by_experiment(cases)
        check_gates_asked(selected, self.gates)
        for name, gate in _saved_runs(asked(selected, self.gates)):
            try:
                self.saved.find(name)
            except ReportError as error:
                raise SpecError(f"{gate}: {error}") from error
        if self.rules and not selected:
            raise OptionError(
                "compare_fail",
                f"{self.rules[0].text!r}: no case was selected that it could judge; select some, "
                "or leave it out",
            )
        self.check_comparison()
        check_rules_asked(self.rules, selected)

    def check_comparison(self) -> None:
        """The part of `check` that needs no cases."""
        if self.rules and self.compare is None:
            raise OptionError(
                "compare_fail",
                f"{self.rules[0].text!r}: nothing to compare with",
                add=("compare", "NAME"),
            )
        if self.compare is not None:
            self.saved.find(self.compare)
        if self.save_as is not None:
            check_name(self.save_as)

    def asked(self, results: Sequence[CaseResult]) -> list[ExperimentGates]:
        """What each experiment is asked of these results, all but baselines."""
        baselines = {result.baseline for result in results}
        selected = [result for result in results if result.case.id not in baselines]
        return asked(by_experiment(selected), self.gates)

    def compared(self, run: SavedRun) -> Compared:
        """Compare a run that has ended; nothing where nothing was asked for."""
        if self.compare is None:
            return Compared()
        try:
            before = self.saved.find(self.compare)
        except ReportError as error:
            # It was there when the run began; or another machine scores or merges what was run.
            gates = tuple(undecided(self.rules, self.compare, run, str(error)))
            return Compared(f"not compared: {error}", gates)
        gates = tuple(check_rules(self.rules, before, run))
        try:
            return Compared(comparison_table(compare(before, run)), gates)
        except ReportError as error:
            return Compared(f"not compared: {error}", gates)

    def keep(self, run: SavedRun) -> Path | None:
        """Save a run that has ended, where that was asked for."""
        return None if self.save_as is None else self.saved.save(run, self.save_as)


def read_gates(texts: Iterable[str], option: str) -> Iterator[Gate]:
    """The gates that an option states; raises OptionError for the first text that is not a gate."""
    yield from _read(texts, parse_gate, option)


def read_rules(texts: Iterable[str], option: str) -> Iterator[ChangeRule]:
    """The rules that an option states; raises OptionError for the first text that is not a rule."""
    yield from _read(texts, parse_rule, option)


def _read(texts: Iterable[str], parse: Callable[[str], _Parsed], option: str) -> Iterator[_Parsed]:
    for text in texts:
        try:
            yield parse(text)
        except ValueError as error:
            raise OptionError(option, str(error)) from None


def _saved_runs(requested: Iterable[ExperimentGates]) -> Iterator[tuple[str, str]]:
    """The names of saved runs that gates compare with, each with a gate that names it."""
    names: dict[str, str] = {}
    for each in requested:
        for gate in each.gates:
            if isinstance(gate.claim, NoWorse):
                names.setdefault(gate.claim.saved, f"gate {gate.text!r} of {each.experiment}")
    yield from names.items()
