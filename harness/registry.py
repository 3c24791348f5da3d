"""What can be added to Titrate by name, with no line of it changed: registries of lazy entries.

- An entry is a name and a reference `"module:object"`, imported when it is first asked for.
- An installed package adds entries by a registry's entry-point group (`titrate.interventions`);
  a project's conftest.py by `register`, with a reference or with the object itself.
- A name means one thing: a second entry of the same name is refused, and told what has the name.

    [project.entry-points."titrate.interventions"]
    clamp = "my_package.clamp:KIND"
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from harness.errors import RegistryError

T = TypeVar("T")
_BUILT_IN = "built in"


def load_object(reference: str) -> Any:
    """The object of a reference `"module:object"`, which may be an attribute of an attribute.

    Raises:
        ImportError: the module cannot be imported.
        AttributeError: it has no such object.
        ValueError: the reference is not of this form.
    """
    module, colon, path = reference.partition(":")
    if not (module and colon and path):
        raise ValueError(f'{reference!r} is not a reference; write "module:object"')
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return found


def loaded(part: Any) -> Any:
    """What a part of an entry is: the object of a reference, or the object that was given."""
    return load_object(part) if isinstance(part, str) else part


def files_of(package: str, name: str) -> dict[str, str]:
    """References to an object in every file of a package, by the files' names; imports none."""
    folder = Path(__file__).parent.joinpath(*package.split(".")[1:])
    stems = sorted(path.stem for path in folder.glob("[!_]*.py"))
    return {stem: f"{package}.{stem}:{name}" for stem in stems}


def before_next_use(read: Callable[[], None]) -> None:
    """Have `read` called when the next entry is asked for; it registers what a project adds."""
    _projects[:] = [read]


_projects: list[Callable[[], None]] = []


@cache
def _installed(_path: tuple[str, ...]) -> Any:  # of a type of its own before Python 3.12
    """What packages on `sys.path` offer: hundreds of files are read once, for all groups."""
    return entry_points()


def adding_packages() -> set[str]:
    """Names of the installed packages that add something to a registry."""
    offered = _installed(tuple(sys.path))
    return {
        point.module.partition(".")[0]
        for group in offered.groups
        if group.startswith("titrate.")
        for point in offered.select(group=group)
    }


@dataclass(frozen=True)
class _Entry:
    target: Any
    """A reference, or the object itself."""
    origin: str
    """Who brought it, in words."""

    def __str__(self) -> str:
        return f"{self.target} ({self.origin})"


class Registry(Generic[T]):
    """Objects of one sort by name.

    Args:
        noun: What one of them is called in messages, such as `task`.
        group: The entry-point group by which installed packages add to it.
        builtin: References of its own entries, by name.
    """

    def __init__(self, noun: str, group: str, builtin: Mapping[str, str]) -> None:
        self.noun = noun
        self.group = group
        self._entries = {name: _Entry(target, _BUILT_IN) for name, target in builtin.items()}
        self._loaded: dict[str, T] = {}
        self._installed = False

    def get(self, name: str) -> T:
        """The object of a name, imported when it is first asked for.

        Raises RegistryError for a name that nothing has, and for one that cannot be imported.
        """
        if name not in self._loaded:
            entry = self._entry(name)
            try:
                self._loaded[name] = loaded(entry.target)
            except (ImportError, AttributeError, ValueError) as error:
                raise RegistryError(
                    f"{self.noun} {name}: {entry} cannot be imported: {error}"
                ) from error
        return self._loaded[name]

    def names(self) -> tuple[str, ...]:
        """All names: the built-in ones in their order, then those that were added."""
        self._install()
        return tuple(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self.names()

    def is_built_in(self, name: str) -> bool:
        """Whether an entry is Titrate's own, which every installation has."""
        return name in self and self._entries[name].origin == _BUILT_IN

    def register(self, name: str, target: str | T) -> None:
        """Add an entry, for this process: a reference `"module:object"`, or the object itself.

        Raises RegistryError for a name that is taken.
        """
        self._install()
        entry = _Entry(target, "registered in this process")
        self._check_free(name, entry, self._entries)
        self._entries[name] = entry

    def unregister(self, name: str) -> None:
        """Take back what `register` added. Raises RegistryError for a name that nothing has."""
        self._entry(name)
        del self._entries[name]
        self._loaded.pop(name, None)

    def summaries(self) -> dict[str, str]:
        """A line for each name: its object's `summary`, or the first line of its docstring.

        What cannot be imported has a line that says so.
        """
        return {name: self._summary(name) for name in self.names()}

    def _summary(self, name: str) -> str:
        try:
            found = self.get(name)
        except RegistryError as error:
            return str(error)
        text = getattr(found, "summary", None) or inspect.getdoc(found) or ""
        return str(text).partition("\n")[0]

    def _entry(self, name: str) -> _Entry:
        if name not in self:
            known = self.names()
            close = difflib.get_close_matches(name, known, n=1)
            meant = f" did you mean {close[0]}?" if close else ""
            article = "an" if self.noun[0] in "aeiou" else "a"
            listed = f"use one of {', '.join(known)}" if known else "none is registered"
            raise RegistryError(f"{name!r} is not {article} {self.noun};{meant} {listed}")
        return self._entries[name]

    def _install(self) -> None:
        """Read the entry points of installed packages, once, and what a project adds."""
        while _projects:
            _projects.pop()()
        if self._installed:
            return
        found: dict[str, _Entry] = {}
        for point in _installed(tuple(sys.path)).select(group=self.group):
            entry = _Entry(point.value, f"of {point.dist.name if point.dist else 'a package'}")
            self._check_free(point.name, entry, self._entries | found)
            found[point.name] = entry
        self._entries |= found
        self._installed = True

    def _check_free(self, name: str, entry: _Entry, taken: Mapping[str, _Entry]) -> None:
        if name in taken:
            raise RegistryError(
                f"{self.noun} {name}: {entry} cannot have this name, which is taken by "
                f"{taken[name]}; choose another"
            )


interventions: Registry[Any] = Registry(
    "kind of intervention",
    "titrate.interventions",
    {
        "router_mask": "harness.interventions.router_mask.kind:KIND",
        "steering": "harness.interventions.steering.kind:KIND",
        "dac": "harness.interventions.dac.kind:KIND",
        "oracle": "harness.interventions.oracle.kind:KIND",
        "adapter": "harness.interventions.adapter.kind:KIND",
    },
)
rules: Registry[Any] = Registry(
    "sampling rule", "titrate.rules", files_of("harness.sampling.builtin", "RULE")
)
measures: Registry[Any] = Registry(
    "measure",
    "titrate.measures",
    {
        "generate": "harness.measure.generate:MEASURE",
        "forward": "harness.measure.forward:MEASURE",
        "likelihood": "harness.measure.likelihood:MEASURE",
        "choice": "harness.measure.choice:MEASURE",
        "nll": "harness.measure.nll:MEASURE",
        "calibration": "harness.measure.calibration:MEASURE",
        "diff": "harness.measure.diffing.section:MEASURE",
        "lm_eval": "harness.measure.lm_eval:MEASURE",
        "value_of_asking": "harness.measure.value_of_asking:MEASURE",
    },
)
metrics: Registry[Any] = Registry(
    "metric", "titrate.metrics", files_of("harness.metrics.builtin", "METRIC")
)
tasks: Registry[Any] = Registry(
    "task",
    "titrate.tasks",
    {
        "micro_humaneval": "harness.tasks.micro_humaneval:MicroHumanEval",
        "micro_gsm8k": "harness.tasks.micro_gsm8k:MicroGSM8K",
        "humaneval": "harness.tasks.humaneval:HumanEval",
        "gsm8k": "harness.tasks.gsm8k:GSM8K",
        "math": "harness.tasks.math:Math",
    },
)
answers: Registry[Any] = Registry(
    "kind of answer",
    "titrate.answers",
    {
        "exact": "harness.tasks.answers.exact:ANSWER",
        "number": "harness.tasks.answers.number:ANSWER",
        "choice": "harness.tasks.answers.choice:ANSWER",
        "regex": "harness.tasks.answers.regex:ANSWER",
        "code": "harness.tasks.answers.code:ANSWER",
        "math": "harness.tasks.answers.math:ANSWER",
    },
)
triggers: Registry[Any] = Registry(
    "trigger", "titrate.triggers", files_of("harness.interventions.oracle.triggers", "TRIGGER")
)
judges: Registry[Any] = Registry("judge", "titrate.judges", {})
engines: Registry[Any] = Registry(
    "engine",
    "titrate.engines",
    {
        "transformers": "harness.engines.transformers.entry:ENGINE",
        "vllm": "harness.engines.vllm.entry:ENGINE",
        "served": "harness.engines.served.entry:ENGINE",
    },
)
exports: Registry[Callable[[Any, Path], list[Path]]] = Registry(
    "format of reports",
    "titrate.exports",
    {
        "csv": "harness.report.exports.tables:write_csv",
        "diffing": "harness.report.exports.diffing:write_diffing",
        "every_eval_ever": "harness.report.exports.every_eval_ever:write_every_eval_ever",
        "guided": "harness.report.exports.oracle_records:write_guided",
        "inspect": "harness.report.exports.inspect_logs:write_inspect",
        "latex": "harness.report.exports.latex:write_latex",
        "lm-eval": "harness.report.exports.lm_eval:write_lm_eval",
        "parquet": "harness.report.exports.tables:write_parquet",
        "pictures": "harness.report.pictures:write_pictures",
        "ranks": "harness.report.exports.ranks:write_ranks",
    },
)
columns: Registry[Any] = Registry(
    "token column",
    "titrate.columns",
    {
        "alpha": "harness.metrics.column:ALPHA",
        "author": "harness.metrics.column:AUTHOR",
        "worth": "harness.metrics.column:WORTH",
        "asked": "harness.metrics.column:ASKED",
        "looked": "harness.metrics.column:LOOKED",
        "step": "harness.metrics.column:STEP",
        "log_probability": "harness.metrics.column:LOG_PROBABILITY",
        "rank": "harness.metrics.column:RANK",
        "probability": "harness.metrics.column:PROBABILITY",
        "top_probability": "harness.metrics.column:TOP_PROBABILITY",
        "entropy": "harness.metrics.column:ENTROPY",
        "drawn_rank": "harness.metrics.column:DRAWN_RANK",
        "drawn_probability": "harness.metrics.column:DRAWN_PROBABILITY",
        "drawn_top_probability": "harness.metrics.column:DRAWN_TOP_PROBABILITY",
        "drawn_entropy": "harness.metrics.column:DRAWN_ENTROPY",
    },
)
