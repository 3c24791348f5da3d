"""From spec files and markers to pytest items, and from items back to cases and identities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import FieldError, TitrateError, UnreachableError
from harness.plugin import invocation, search_hooks
from harness.plugin.fixtures import UNREACHABLE, fail_unless_trusted, outcome_of
from harness.testing import INVARIANTS_MARKER, MARKER

if TYPE_CHECKING:
    from harness.invariants import IdentityCheck
    from harness.runs.planned_case import PlannedCase
    from harness.spec import Experiment

_CASE: pytest.StashKey[PlannedCase] = pytest.StashKey()


class SpecFile(pytest.File):
    """A spec file as a collector of its cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per case, or the one of a search."""
        yield from search_hooks.collect(self)
        for param in cases_of(self.config, self.path):
            item = SpecItem.from_parent(self, name=param.id)
            item.stash[_CASE] = param.values[0]
            for mark in param.marks:
                item.add_marker(mark)
            yield item


class SpecItem(pytest.Item):
    """One case of a spec file without a bench function of its own."""

    def runtest(self) -> None:
        """Run the case."""
        outcome_of(self.config, self.stash[_CASE])
        fail_unless_trusted(self.config, self.stash[_CASE])

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the case comes from; pytest asks for a line where one is skipped."""
        return self.path, 0, self.name


def cases_of(config: pytest.Config, file: Path) -> list[Any]:
    """The cases of a spec file as pytest params; a spec that cannot be read fails its collection.

    Whether a model can do what a case asks is found out for those that are selected
    (`problems_of`): it takes torch, for seconds.
    """
    found = invocation.loaded(config, file)
    if found is None or found.experiment.search is not None:  # a search has no cases
        return []
    try:
        return _params(config, found)
    except TitrateError as error:
        problem = str(error)
    # An axis or a limit of the command line may fit the specs that are meant, and not this one.
    if (written := invocation.as_written(config, file, problem)) is not None:
        return _params(config, written)
    raise pytest.Collector.CollectError(problem)


def _params(config: pytest.Config, found: invocation.LoadedSpec) -> list[Any]:
    """A spec's cases as pytest params; raises `TitrateError`."""
    from harness.runs.planned_case import with_task
    from harness.runs.requirements import unmet
    from harness.spec import expand

    params = []
    for case in expand(found.experiment, found.source):
        reason = unmet(case.experiment) or _unable(config, case.experiment)
        if reason is None:
            ready = with_task(case, unsafe_code=config.option.titrate_unsafe_code)
            params.append(pytest.param(ready, id=case.id, marks=found.marks))
        else:
            skip = pytest.mark.skip(reason=f"{case.experiment.name} {reason}")
            params.append(pytest.param(case, id=case.id, marks=skip))
    return params


def _unable(config: pytest.Config, experiment: Experiment) -> str | None:
    """Why an engine that the command line chose for all specs does not run this one, or None."""
    if config.option.titrate_engine is None or experiment.intervention is None:
        return None
    from harness.engines import check_kind

    try:
        check_kind(experiment.engine.name, experiment.intervention.kind)
    except FieldError as error:
        return f"is left out: {error.problem}"
    return None


def checks_of(config: pytest.Config, own: str | None = None) -> list[Any]:
    """The identities as pytest params; those of a family that does not fit a model are skipped.

    They are checked on `own`, a bench's model, unless the command line names another.
    """
    from harness.invariants import checks
    from harness.models import zoo
    from harness.spec import engine_settings

    model, names = config.option.titrate_model or own, config.option.titrate_engine
    if own is not None and model == own and (reason := zoo.lacking(own)) is not None:
        return [pytest.param(None, id=own, marks=pytest.mark.skip(reason=f"{own} {reason}"))]
    engines = [[]] if names is None else [[f"engine.name={name}"] for name in names.split(",")]
    given = invocation.overrides(config)
    try:
        found = [
            check for engine in engines for check in checks(model, engine_settings(given + engine))
        ]
    except TitrateError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    return [
        pytest.param(check, id=check.id)
        if check.excuse is None
        else pytest.param(
            check,
            id=check.id,
            marks=pytest.mark.skip(reason=f"{check.family.name}: {check.model}: {check.excuse}"),
        )
        for check in found
    ]


def problems_of(items: Sequence[pytest.Item]) -> dict[pytest.Item, invocation.Refusal]:
    """The items whose case cannot run, and the first thing that is wrong in their spec file.

    One whose data cannot be had is none of them: its test fails when it is run, and no other does.
    Where nothing will be run, what must load data to be checked is taken on trust.
    """
    cases = {item: case for item in items if (case := case_of(item)) is not None}
    if not cases:
        return {}
    from harness.runs.checks import check_case

    problems: dict[pytest.Item, invocation.Refusal] = {}
    first: dict[str, str] = {}
    for item, case in cases.items():
        if item.config.option.collectonly and case.measure.by_task:
            continue
        try:
            check_case(case)
        except UnreachableError as error:
            item.config.stash.setdefault(UNREACHABLE, {})[case.id] = str(error)
        except TitrateError as error:
            said = first.setdefault(case.case.source.file, str(error))
            problems[item] = invocation.Refusal(case.experiment.name, said)
    return problems


def matching_specs(config: pytest.Config, patterns: tuple[str, ...]) -> list[Path]:
    """The spec files of glob patterns, each once; a pattern without a match is an error."""
    root = invocation.spec_root(config)
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if not found:
            raise pytest.Collector.CollectError(f"no spec file matches {root / pattern}")
        files.update(dict.fromkeys(found))
    return list(files)


def is_named(config: pytest.Config, file: Path) -> bool:
    """Whether the command line asks for this file, by itself or by a folder inside the specs."""
    named = invocation.named_paths(config)
    root = invocation.spec_root(config)
    return any(
        file == name or (name in file.parents and name.is_relative_to(root)) for name in named
    )


def case_of(item: pytest.Item) -> PlannedCase | None:
    """The planned case of a bench or of a spec file's item; None for other tests, and for skips."""
    if item.get_closest_marker("skip") is not None:
        return None
    if isinstance(item, SpecItem):
        own = item.stash[_CASE]
        return None if own.id in item.config.stash.get(UNREACHABLE, {}) else own
    callspec = getattr(item, "callspec", None)
    if callspec is None or item.get_closest_marker(MARKER) is None:
        return None
    case: PlannedCase = callspec.params["case"]
    return None if case.id in item.config.stash.get(UNREACHABLE, {}) else case


def check_of(item: pytest.Item) -> IdentityCheck | None:
    """The identity that an item checks; None for other tests, and for skips."""
    callspec = getattr(item, "callspec", None)
    skipped = item.get_closest_marker("skip") is not None
    if callspec is None or skipped or item.get_closest_marker(INVARIANTS_MARKER) is None:
        return None
    check: IdentityCheck = callspec.params["check"]
    return check
