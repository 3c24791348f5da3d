"""Which cases a run without pytest has: those of its specs, and of these the selected ones.

Imports no torch, so that a mistake in a spec is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import FieldError, OptionError
from harness.models.reference import check_models
from harness.runs.requirements import unmet
from harness.spec import Case, Experiment, SpecSource, expand, load


@dataclass(frozen=True)
class SelectedCases:
    """Cases to run."""

    cases: tuple[Case, ...]
    deselected: int = 0
    """How many others the same specs have."""


def selected(
    specs: Iterable[Experiment | Path | str],
    overrides: Sequence[str] = (),
    expression: str | None = None,
) -> SelectedCases:
    """Load every spec once, and keep the cases that an expression matches.

    Args:
        specs: Experiments, or spec files.
        overrides: What `harness.spec.load` takes beside a file.
        expression: As pytest's `-k`, on the ids of cases and the names of spec files; None for all.

    Raises:
        SpecError: a spec that cannot be read, is a search, or names a model that is not there.
        OptionError: an expression that pytest would not accept, or that selects nothing.
    """
    matches = matcher(expression)
    own: list[Case] = []
    total = 0
    for spec in specs:
        cases = _cases(spec, overrides)
        name = "" if isinstance(spec, Experiment) else Path(spec).name
        total += len(cases)
        own += [case for case in cases if matches({case.id, name})]
    if expression is not None and not own:
        first = f", such as {cases[0].id}" if total else ""
        raise OptionError("select", f"{expression!r}: selects none of {total} cases{first}")
    check_models(case for case in own if unmet(case.experiment) is None)  # others skip, by name
    return SelectedCases(tuple(own), total - len(own))


def _cases(spec: Experiment | Path | str, overrides: Sequence[str]) -> list[Case]:
    loaded = (spec, SpecSource.of(spec)) if isinstance(spec, Experiment) else load(spec, overrides)
    experiment, source = loaded
    if experiment.search is not None:
        error = FieldError("search", "is run by `titrate search`, not as cases")
        raise source.locate(error)
    return expand(experiment, source)


def matcher(expression: str | None) -> Callable[[set[str]], bool]:
    """Whether any of some names is what an expression asks for: pytest's own grammar and matching.

    Raises OptionError for an expression that is none.

    Both are in `_pytest.mark`, which pytest does not promise to keep; nothing public has them.
    """
    if expression is None or not expression.strip():
        return bool  # every case has an id
    from _pytest.mark import KeywordMatcher
    from _pytest.mark.expression import Expression

    try:
        compiled = Expression.compile(expression)
    except SyntaxError as error:
        where = f"at column {error.offset}: {error.msg}"
        remedy = "write words of ids, joined by and, or, not"
        raise OptionError("select", f"{expression!r}: {where}; {remedy}") from None
    return lambda names: compiled.evaluate(KeywordMatcher(names))
