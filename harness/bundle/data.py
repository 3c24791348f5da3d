"""The files that a run's numbers are counted by: specs, and what tasks, metrics, rules and
interventions read.

In a bundle they keep their paths relative to where the run was started; what lay elsewhere goes
below `outside/`, with the path that it had.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.files.given import check_file, is_file, is_folder
from harness.files.portable import portable
from harness.interventions.kind import kind_of
from harness.spec import Case

_OUTSIDE = "outside"
#: Sections of a spec whose files are needed to count again.
_NEEDED = ("task", "prompt", "metrics")
#: What the names of a bundle may not hold.
_IN_NO_ZIP = re.compile(r"[:\\]")
#: What may be a file's name in a YAML file, and the module of a function that a tag imports.
_NAME = re.compile(r"[^\s'\"\[\]{},#]*[^\s'\"\[\]{},#:]")
_FUNCTION = re.compile(r"!function\s+['\"]?(\w+)\.")


@dataclass
class Data:
    """What has been gathered so far."""

    warn: Callable[[str], None]
    """Told in a line of what is left out, and why."""
    withheld: Sequence[Path] = ()
    """Files, by their true paths, that may not be given away."""
    files: dict[str, bytes] = field(default_factory=dict)
    """By their names in the bundle."""
    moved: dict[str, str] = field(default_factory=dict)
    """Paths in the report -> where that file is in the bundle."""
    absent: dict[str, str] = field(default_factory=dict)
    """Paths in the report -> why that file is left out."""

    def add(self, cases: Iterable[Case]) -> None:
        """Add the spec files of cases, and the files that their tasks, metrics and rules read."""
        for case in cases:
            specs = list(dict.fromkeys(_spec_files(case)))
            for path in specs:
                self._add(path)
                if not is_file(path) and path == case.source.file:
                    self.absent[str(portable(path))] = "it is not there any more"
            sections = case.experiment.model_dump(mode="json", include=set(_NEEDED))
            for path in _texts(sections):
                if "/" in path and path not in specs:
                    self._add(path, linked=True)
            self._add_rules(case)
            settings = case.experiment.intervention
            if settings is not None:
                for path in kind_of(settings.kind).resolution.files(settings):
                    self._add(path)

    def _add_rules(self, case: Case) -> None:
        sampling = case.experiment.sampling
        places = [text for text in _texts(sampling.model_dump(mode="json")) if is_folder(text)]
        for rule in sampling.known:
            for file in rule.files(getattr(sampling, rule.name)):
                self._add(str(file))
                moved = self.moved.get(str(portable(str(file))))
                for place in places:
                    if moved is not None and file.is_relative_to(place):
                        self.moved[str(portable(place))] = moved

    def _add(self, path: str, *, linked: bool = False) -> None:
        """Add a file, if it is one; with `linked` also those that it names, where it is YAML."""
        shown = str(portable(path))
        inside = _place(path)
        if shown in self.absent or not is_file(path):
            return
        if shown.removeprefix("./") != inside:
            self.moved[shown] = f"./{inside}"
        if inside in self.files:
            return
        try:
            check_file(path)
            held = Path(path).read_bytes()
        except OSError as error:
            self.absent[shown] = str(error.strerror or error)
            self.warn(f"{path}: left out: {error.strerror or error}")
            return
        if Path(path).resolve() in self.withheld:
            self.absent[shown] = f"withheld; its SHA-256 is {hashlib.sha256(held).hexdigest()}"
            return
        self.files[inside] = held
        if linked and path.endswith((".yaml", ".yml")):
            for name in _linked(held.decode("utf-8", "replace")):
                self._add(os.path.normpath(Path(path).parent / name), linked=True)


def _place(path: str) -> str:
    """Where a file stands in a bundle: the same way apart from others as where it lies."""
    shown = str(portable(os.path.abspath(path)))  # noqa: PTH100 - pathlib leaves `..` in
    inside = shown.removeprefix("./")
    if inside == shown:
        inside = f"{_OUTSIDE}/{shown.lstrip('~/')}"
    return _IN_NO_ZIP.sub("_", inside)


def _linked(text: str) -> Iterator[str]:
    """What a YAML file of another harness may read: files by their names, modules of functions."""
    yield from dict.fromkeys(_NAME.findall(text))
    yield from (f"{name}.py" for name in dict.fromkeys(_FUNCTION.findall(text)))


def _spec_files(case: Case) -> Iterator[str]:
    """The spec of a case, and those that it extends: all that one of its values was written in."""
    if case.source.file:
        yield case.source.file
    for _, origin in case.source.origins:
        file, _, line = origin.text.rpartition(":")
        if file and line.isdigit():
            yield file


def _texts(document: Any) -> Iterator[str]:
    """The texts of a section; models, which a judge may be, are not shipped."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for name, each in document.items():
            if name != "model":
                yield from _texts(each)
    elif isinstance(document, list | tuple):
        for each in document:
            yield from _texts(each)
