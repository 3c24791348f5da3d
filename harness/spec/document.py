"""Reads a YAML file into plain values and the line of every one of them.

YAML 1.1 as PyYAML's safe loader reads it, but for what surprises people who write specs: keys are
always text (`on:`), `1e-3` is a number, a date is text, and a key that is given twice is an error.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import SpecError
from harness.spec.source import Place

_TAG = "tag:yaml.org,2002:"
_REPLACED = {f"{_TAG}float", f"{_TAG}timestamp"}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in forms if tag not in _REPLACED]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
        r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Document:
    """A mapping and the places of all its dotted fields; the empty name is the whole of it."""

    values: dict[str, Any]
    places: dict[str, Place]


def shown(path: Path) -> str:
    """A path as messages show it: relative to the working directory where it lies below it."""
    here, absolute = Path.cwd(), Path(os.path.normpath(path.absolute()))
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def read(path: Path) -> Document:
    """Read a spec file; whatever is wrong with it is a SpecError of one line."""
    name = shown(path)
    if path.is_dir():
        raise SpecError(f"{name}: is a folder; name one YAML file in it")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SpecError(f"{name}: no such file") from None
    except OSError as error:
        raise SpecError(f"{name}: cannot be read: {error.strerror}") from None
    if b"\0" in content:
        raise SpecError(f"{name}: is not text; a spec is a YAML file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{name}:{line}: is not UTF-8; save it as UTF-8") from None
    reader = _Reader(name, str(path.absolute().parent))
    values = reader.read(text)
    if not isinstance(values, dict):
        what = "is empty" if values is None else f"holds {_kind(values)}"
        raise SpecError(f"{name}:1: {what}; a spec is a mapping such as `name: ...`")
    return Document(values, reader.places)


def read_value(text: str, place: str) -> Any:
    """Read one value, such as the right side of `--titrate-set key=value`."""
    return _Reader(place, "", has_lines=False).read(text)


@dataclass
class _Reader:
    """Turns composed YAML nodes into values, noting the line of each on the way."""

    name: str
    folder: str
    has_lines: bool = True
    places: dict[str, Place] = field(default_factory=dict)
    _open: list[yaml.Node] = field(default_factory=list)

    def read(self, text: str) -> Any:
        try:
            self._loader = _Loader(text)
            node = self._loader.get_single_node()
            return None if node is None else self._value(node, "", node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = self._at(mark.line) if mark else self.name
            what = ", ".join(filter(None, (error.context, error.problem)))
            what += "; indent with spaces" if "'\\t'" in what else ""
            raise SpecError(f"{where}: is not YAML: {what}") from None
        except yaml.reader.ReaderError as error:
            where = self._at(text.count("\n", 0, error.position))
            raise SpecError(f"{where}: is not YAML: {error.reason}") from None
        except ValueError as error:  # a scalar whose tag promises what its text is not: !!int x
            raise SpecError(f"{self.name}: is not YAML: {error}") from None

    def _at(self, line: int) -> str:
        return f"{self.name}:{line + 1}" if self.has_lines else self.name

    def _value(self, node: yaml.Node, dotted: str, at: yaml.Node) -> Any:
        """The value of `node`, whose place is the line of `at`: its key, or itself in a list."""
        self.places[dotted] = Place(self._at(at.start_mark.line), self.folder)
        if any(node is parent for parent in self._open):
            raise SpecError(f"{self.places[dotted].text} {dotted}: an alias of what contains it")
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, dotted)
            if isinstance(node, yaml.SequenceNode):
                return [
                    self._value(item, f"{dotted}[{index}]", item)
                    for index, item in enumerate(node.value)
                ]
            return self._loader.construct_object(node)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, dotted: str) -> dict[str, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            where = self._at(key.start_mark.line)
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError(f"{where}: a key is not text; write `key: value`")
            if key.value in lines:
                name = f"{dotted}.{key.value}" if dotted else key.value
                raise SpecError(
                    f"{where} {name}: the key is given twice; "
                    f"remove one, the first is in line {lines[key.value]}"
                )
            lines[key.value] = key.start_mark.line + 1
        self._loader.flatten_mapping(node)
        return {
            key.value: self._value(value, f"{dotted}.{key.value}" if dotted else key.value, key)
            for key, value in node.value
        }


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"the value {value!r}"
