"""The options of a run: one table for pytest, for `titrate` and for `harness.run`.

- Each `Option` is stated once; whatever declares it to a parser, or takes it as an argument, reads
  it here.
- Each caller writes options its own way: `--titrate-limit 3`, `--limit 3`, `limit=3`. Messages name
  them by `spelled`, which knows the caller.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


_PYTEST, _TITRATE = "--titrate-", "--"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a run, with what each of its callers needs to declare it."""

    name: str
    """Its attribute of what a parser returns; command lines write dashes for its underscores."""
    help: str
    metavar: str = ""
    """What stands for its value; empty for a switch, which has none."""
    type: Callable[[str], Any] = str
    wanted: str = ""
    """What a Python caller should give, in words."""
    many: bool = False
    """Whether it may be repeated; its value is a list then."""
    field: str = ""
    """The field of every spec that it sets."""
    keyword: str = ""
    """Its name as an argument of `harness.run`, where that is another."""
    python: bool = True
    """Whether it is an argument of `harness.run`."""
    text: bool = False
    """Whether the field takes the value as it is typed, whatever else YAML would make of it."""
    short: str = ""
    """What command lines write instead of its name; an option that pytest has of its own."""

    @property
    def flag(self) -> str:
        """Its name on command lines, without a prefix."""
        return self.name.replace("_", "-")

    def written(self, prefix: str) -> str:
        """Its name on a command line whose options have this prefix."""
        return self.short or f"{prefix}{self.flag}"

    @property
    def argument(self) -> str:
        """Its name as an argument of `harness.run`."""
        return self.keyword or self.name

    def declared(self) -> dict[str, Any]:
        """The arguments that argparse and pytest's parser take alike."""
        if not self.metavar:
            return {"action": "store_true", "help": self.help}
        told = {"metavar": self.metavar, "help": self.help}
        if self.many:
            return {**told, "action": "append", "default": []}
        return {**told, "type": self.type}


RUN = (
    Option(
        "report",
        "write the report here (default: a new folder below reports/)",
        "DIR",
        Path,
        "a path",
        keyword="directory",
    ),
    Option(
        "set",
        "set a field of every spec, e.g. task.name=humaneval; may be repeated",
        "FIELD=VALUE",
        wanted="a list of 'field=value'",
        many=True,
        keyword="overrides",
    ),
    Option(
        "select",
        "run only the cases whose ids match, by the grammar of pytest's -k: 'mask and not agentic'",
        "EXPRESSION",
        wanted="a text such as 'agentic and not seed'",
        short="-k",
    ),
    Option(
        "limit",
        "use only the first N samples of every task (task.limit)",
        "N",
        int,
        "a whole number",
        field="task.limit",
    ),
    Option(
        "model",
        "run every spec on this model instead of its own",
        "MODEL",
        wanted="a model's name",
        field="model",
    ),
    Option(
        "engine",
        "run every spec on this engine instead of its own, transformers or vllm; or on each of "
        "them: transformers,vllm",
        "NAME",
        wanted="an engine's name",
        field="engine.name",
    ),
    Option(
        "store",
        "keep completions and everything that is measured here (default: .titrate/store); records "
        "of runs and saved runs stay in .titrate",
        "DIR",
        Path,
        "a path",
    ),
    Option("fresh", "make all completions again instead of using stored ones"),
    Option(
        "continue",
        "let runs that stop themselves go on with doses that they gave up, to the last sample",
        keyword="further",
    ),
    Option(
        "plan",
        "say what would be run, how much of it is stored, and run nothing",
        python=False,
    ),
    Option(
        "speed",
        "let the plan say how long that takes, where so many tokens are made in a second",
        "TOKENS_PER_S",
        float,
        "a number",
        python=False,
    ),
    Option(
        "shard",
        "run the I-th of N equal shares of the cases; titrate merge joins their reports",
        "I/N",
        wanted="a text such as '1/2'",
    ),
    Option(
        "array",
        "run the case of this task of a SLURM array (SLURM_ARRAY_TASK_ID), seeds outermost; a task "
        "beyond the last case makes the report of all",
        python=False,
    ),
    Option(
        "verbose",
        "print every answer that an oracle has helped with, coloured by who wrote each token",
        python=False,
    ),
    Option(
        "unsafe_code",
        "where code that a model wrote cannot be isolated, run it with your own rights",
    ),
    Option(
        "gate",
        "fail unless this holds of what was selected, e.g. 'pass@1 >= 0.9 where count=0' or "
        "'monotone falling within CI'; may be repeated",
        "CLAIM",
        wanted="a list of claims",
        many=True,
        keyword="gates",
    ),
    Option(
        "organism_variant",
        "compare this variant of a spec's organism, such as mix1-0p5 (intervention.variant)",
        "VARIANT",
        wanted="a variant's name",
        field="intervention.variant",
    ),
    Option(
        "mode",
        "how much of a comparison of models is done: full, diffing (without agents), or plotting "
        "(figures of what is stored)",
        "MODE",
        wanted="full, diffing or plotting",
        field="diff.mode",
    ),
    Option(
        "save",
        "keep this run in .titrate/saved under the next number and this name",
        "NAME",
        wanted="a name",
    ),
    Option(
        "compare",
        "compare with the saved run of this name or number, a file, or a report's directory",
        "NAME",
        wanted="a saved run's name, a file or a directory",
    ),
    Option(
        "compare_fail",
        "fail on this finding of the comparison, e.g. 'pass@1: worse, p<0.05'; may be repeated",
        "RULE",
        wanted="a list of rules",
        many=True,
    ),
)
"""Every option of a run, in the order of `--help`."""

RESOURCES = (
    Option("gpus", "how many GPUs a task has", "N", int, field="resources.gpus"),
    Option("cpus", "how many cores a task has", "N", int, field="resources.cpus"),
    Option("memory", "how much memory, e.g. 16G", "SIZE", field="resources.memory", text=True),
    Option(
        "time",
        "the time limit of a task as sbatch takes it, e.g. 2:00:00",
        "TIME",
        field="resources.time",
        text=True,
    ),
    Option("partition", "the partition", "NAME", field="resources.partition", text=True),
    Option(
        "constraint",
        "features that a node must have",
        "FEATURES",
        field="resources.constraint",
        text=True,
    ),
    Option("account", "what is charged", "NAME", field="resources.account", text=True),
    Option(
        "setup",
        "a line of shell before a task's Python; may be repeated",
        "COMMAND",
        field="resources.setup",
        many=True,
        text=True,
    ),
)
"""What a task of `titrate submit` asks the cluster for, instead of what its spec says."""

BY_NAME = {option.name: option for option in RUN}

OVERRIDING = {option.written(_PYTEST): option for option in (*RUN, *RESOURCES) if option.field}
"""Options that stand for an override, by what `overrides` writes in the place of its field."""


def add_to_pytest(group: pytest.OptionGroup) -> None:
    """Declare to pytest, as `--titrate-NAME`, every option that it does not have of its own."""
    for option in RUN:
        if not option.short:
            group.addoption(option.written(_PYTEST), **option.declared())


def add_to_argparse(parser: argparse.ArgumentParser, *names: str, **helps: str) -> None:
    """Declare these options to a verb of `titrate`, as `--NAME`.

    Args:
        parser: The verb's.
        names: Of options, in the order of its help; all of the table if there are none.
        helps: What an option means to this verb, where that is not what the table says.
    """
    add_options(parser, [BY_NAME[name] for name in names] if names else RUN, **helps)


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option], **helps: str) -> None:
    """The same of options of any table."""
    for option in options:
        declared = option.declared()
        declared["help"] = helps.get(option.name, option.help)
        parser.add_argument(option.written(_TITRATE), dest=option.name, **declared)


def overrides(given: Mapping[str, Any]) -> list[str]:
    """What `load` is told of the options that set a field of every spec.

    Args:
        given: Values of options by their names, as a parser's `vars`; others are passed by.
    """
    assigned = [
        f"{name}={json.dumps(given[option.name]) if option.text else given[option.name]}"
        for name, option in OVERRIDING.items()
        if given.get(option.name) not in (None, [])
    ]
    return [*given.get("set", ()), *assigned]


def assignment(typed: str) -> str | None:
    """What `load` takes of an override, from what its caller has written; None for other texts.

    >>> assignment("--limit 3"), assignment("overrides=task.limit=3"), assignment("x.yaml:3")
    ('--titrate-limit=3', 'task.limit=3', None)
    """
    option, text = _read(typed)
    if option is None or option.name == "set":
        return text
    return f"{option.written(_PYTEST)}={text}" if option.field else None


def stands_for(typed: str) -> str | None:
    """The field that an option sets by itself, as its caller has written it; None for other texts.

    >>> stands_for("--limit 3"), stands_for("--set task.limit=3"), stands_for("x.yaml:3")
    ('task.limit', None, None)
    """
    option, _ = _read(typed)
    return option.field or None if option else None


def _read(typed: str) -> tuple[Option | None, str | None]:
    """An option and its value, from what a caller has written; nothing of other texts."""
    for option in (*RUN, *RESOURCES):
        for written in (
            f"{option.written(_PYTEST)} ",
            f"{option.written(_TITRATE)} ",
            f"{option.argument}=",
        ):
            if typed.startswith(written):
                return option, typed.removeprefix(written)
    return None, None


Spelling = Callable[[str, str], str]
"""From an option's name, and a value or nothing, to what the caller would have written."""


def as_pytest(name: str, value: str = "") -> str:
    """`--titrate-limit 3`."""
    return _on_a_command_line(_PYTEST, name, value)


def as_titrate(name: str, value: str = "") -> str:
    """`--limit 3`."""
    return _on_a_command_line(_TITRATE, name, value)


def as_argument(name: str, value: str = "") -> str:
    """`limit=3`; an option that Python callers do not have is told as that of pytest."""
    option = BY_NAME.get(name)
    if option is None:
        return f"{name}={value}"
    if not option.python:
        return as_pytest(name, value)
    return f"{option.argument}={value if value or option.metavar else True}"


def _on_a_command_line(prefix: str, name: str, value: str) -> str:
    option = BY_NAME.get(name)
    written = f"{prefix}{name.replace('_', '-')}" if option is None else option.written(prefix)
    return f"{written} {value}" if value else written


_SPELLING: ContextVar[Spelling] = ContextVar("titrate_spelling", default=as_pytest)


def spelled(name: str, value: str = "") -> str:
    """An option as the caller writes it, with a value or with what describes one."""
    return _SPELLING.get()(name, value)


@contextmanager
def spelling(caller: Spelling) -> Iterator[None]:
    """Name options in messages as this caller writes them, until the block ends."""
    before = _SPELLING.set(caller)
    try:
        yield
    finally:
        _SPELLING.reset(before)
