"""`[tool.titrate]` of a project's pyproject.toml: what its runs are told unless told otherwise."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import SpecError
from harness.options import BY_NAME, Option

_FILE = "pyproject.toml"
_OPTIONS = ("store", "limit", "model", "engine", "set", "unsafe_code")
"""Options of a run that may be a project's habit; others belong to a single run."""
_FOLDERS = ("specs", "reports")
_SPELLED = {name.replace("_", "-"): name for name in (*_OPTIONS, *_FOLDERS)}


@dataclass(frozen=True, slots=True)
class Project:
    """What a project says of its runs; a project that says nothing has the defaults."""

    folder: Path
    """Where its pyproject.toml lies, or where the command was started."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Values of options by their names."""
    specs: Path | None = None
    """Where patterns of `@experiments` begin; None where it does not say."""
    reports: Path = Path("reports")
    """Below which folder a run without `--report` makes a new one."""

    def fill(self, given: argparse.Namespace, prefix: str = "") -> None:
        """Let the options that a command line does not give have the project's values.

        What may be repeated is the project's first, and then the command line's.
        """
        for name, value in self.options.items():
            known = getattr(given, prefix + name, ...)
            if BY_NAME[name].many and isinstance(known, list):
                setattr(given, prefix + name, [*value, *known])
            elif known is None or known is False:
                setattr(given, prefix + name, value)

    def __str__(self) -> str:
        """One line for the head of a run; empty where the project says nothing."""
        told = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{_FILE} says {told}" if told else ""


def project(folder: Path) -> Project:
    """What the pyproject.toml of a folder says, or the nearest one above it.

    Raises:
        SpecError: a key or a value that means nothing.
    """
    files = (each / _FILE for each in (folder, *folder.parents))
    file = next((each for each in files if each.is_file()), None)
    if file is None or b"tool.titrate" not in file.read_bytes():
        return Project(folder)
    place = f"{file}: [tool.titrate]"
    try:
        table: Mapping[str, Any] = tomllib.loads(file.read_text("utf-8"))["tool"]["titrate"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{file}: is no TOML: {error}") from error
    options, folders = {}, {}
    for key, value in table.items():
        name = _SPELLED.get(key)
        if name is None:
            raise SpecError(f"{place}: {key} is no key; use one of {', '.join(_SPELLED)}")
        if name in _FOLDERS:
            folders[name] = file.parent / _text(f"{place} {key}", value)
        else:
            options[name] = _value(BY_NAME[name], f"{place} {key}", value)
    if "store" in options:
        options["store"] = file.parent / str(options["store"])
    return Project(file.parent, options, **folders)


def _value(option: Option, place: str, value: object) -> object:
    """A value as the option's parser would give it."""
    if not option.metavar:
        if not isinstance(value, bool):
            raise SpecError(f"{place}: {value!r} is neither true nor false")
        return value
    if option.many:
        if not isinstance(value, list):
            raise SpecError(f"{place}: {value!r} is no list; write [{option.metavar!r}]")
        return [_text(place, each) for each in value]
    if option.type is int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise SpecError(f"{place}: {value!r} is no whole number")
        return value
    return option.type(_text(place, value))


def _text(place: str, value: object) -> str:
    if not isinstance(value, str):
        raise SpecError(f"{place}: {value!r} is no text; put it in quotes")
    return value
