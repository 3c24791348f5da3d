"""Reads a YAML file into plain values and the line of every one of them.

YAML 1.1 as PyYAML's safe loader reads it, but for what surprises people who write specs: keys are
always text (`on:`), `1e-3` is a number, a date is text, and a key that is given twice is an error.
What cannot be a spec is refused before it costs time or memory: large files, deep nesting, aliases
that multiply, tags beyond the plain ones, numbers beyond 64 bits, control characters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import SpecError
from harness.files.given import content
from harness.spec.origins import Origin

MOST_BYTES = 1 << 20
"""The longest shipped spec has 3 KB; PyYAML takes 4 s for a megabyte."""
MOST_VALUES = 20_000
"""Values and sections of a spec, each counted as often as aliases repeat it; read in 2 s."""
MOST_LEVELS = 32
"""Sections inside each other; the form has 5, and PyYAML calls itself for each."""
LONGEST_KEY = 100
_LARGEST = 2**63 - 1
_LONGEST_NUMBER = 100  # digits, binary ones and blanks included; Python reads no more than 4 300

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_REPLACED = {f"{_TAG}float", f"{_TAG}timestamp", f"{_TAG}value"}
#: What a scalar may be, by its tag; other tags promise what a spec has no use for.
_SCALARS = {
    f"{_TAG}{name}": meaning
    for name, meaning in {
        "null": "null",
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "str": "text",
    }.items()
}
#: A terminal would obey them, and half a surrogate pair is not a character.
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in forms if tag not in _REPLACED]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    levels = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node; refuses what is too deep to be read, or too much."""
        self.levels += 1
        self.nodes += 1
        for count, most, what in (
            (self.levels, MOST_LEVELS, "levels inside each other"),
            (self.nodes, MOST_VALUES, "values"),
        ):
            if count > most:
                mark = self.get_mark()
                problem = f"more than {most:,} {what}; a spec has a few"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.levels -= 1


_Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
        r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


#: What is asked, given for what says how.
_DATA = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Document:
    """A mapping and the origins of all its dotted fields; the empty name is the whole of it."""

    values: dict[str, Any]
    origins: dict[str, Origin]


def shown(path: Path) -> str:
    """A path as messages show it: relative to the working directory where it lies below it."""
    here, absolute = Path.cwd(), Path(os.path.normpath(path.absolute()))
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def read(path: Path) -> Document:
    """Read a spec file; whatever is wrong with it is a SpecError of one line."""
    name = shown(path)
    if path.suffix in _DATA:
        raise SpecError(f"{name}: is data; name it in a spec: `task: {{path: {path.name}}}`")
    try:
        data = content(path, MOST_BYTES)
    except FileNotFoundError:
        raise SpecError(f"{name}: no such file{_near(path)}") from None
    except IsADirectoryError:
        raise SpecError(f"{name}: is a folder; name one YAML file in it") from None
    except OSError as error:
        raise SpecError(f"{name}: cannot be read: {error.strerror}") from None
    if b"\0" in data:
        raise SpecError(f"{name}:{_line(data, data.index(0))}: is not text; a spec is a YAML file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"{name}:{_line(data, error.start)}"
        raise SpecError(f"{place}: is not UTF-8; save it as UTF-8") from None
    reader = _Reader(name, str(path.absolute().parent))
    values = reader.read(text)
    if not isinstance(values, dict):
        what = "is empty" if values is None else f"holds {_kind(values)}"
        raise SpecError(f"{name}:1: {what}; a spec is a mapping such as `name: ...`")
    return Document(values, reader.origins)


def _near(path: Path) -> str:
    """What was probably meant by a file that is not there: a spec of its name below specs/."""
    found = sorted(Path("specs").rglob(f"{path.stem}.yaml")) if path.stem else []
    return f"; did you mean {found[0]}?" if found else ""


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def read_value(text: str, place: str) -> Any:
    """Read one value, such as the right side of `--titrate-set key=value`."""
    return _Reader(place, "", has_lines=False).read(text)


@dataclass
class _Reader:
    """Turns composed YAML nodes into values, noting the line of each on the way."""

    name: str
    folder: str
    has_lines: bool = True
    origins: dict[str, Origin] = field(default_factory=dict)
    _open: list[yaml.Node] = field(default_factory=list)
    _read: int = 0

    def read(self, text: str) -> Any:
        try:
            self._loader = _Loader(text)
            node = self._loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = self._at(mark.line) if mark else self.name
            what = ", ".join(filter(None, (error.context, error.problem)))
            what += "; indent with spaces" if "'\\t'" in what else ""
            raise SpecError(f"{where}: is not YAML: {what}") from None
        except yaml.reader.ReaderError as error:
            where = self._at(text.count("\n", 0, error.position))
            raise SpecError(f"{where}: is not YAML: {error.reason}") from None
        except (ValueError, OverflowError) as error:  # such as an escape beyond Unicode
            raise SpecError(f"{self._at(self._loader.line)}: is not YAML: {error}") from None
        return None if node is None else self._value(node, "", node)

    def _at(self, line: int) -> str:
        return f"{self.name}:{line + 1}" if self.has_lines else self.name

    def _value(self, node: yaml.Node, dotted: str, at: yaml.Node) -> Any:
        """The value of `node`, whose place is the line of `at`: its key, or itself in a list."""
        self.origins[dotted] = Origin(self._at(at.start_mark.line), self.folder)
        if isinstance(node, yaml.ScalarNode):
            self._count(dotted)
            return self._scalar(node, dotted)
        self._enter(node, dotted)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, dotted)
            return [
                self._value(item, f"{dotted}[{index}]", item)
                for index, item in enumerate(node.value)
            ]
        finally:
            self._open.pop()

    def _enter(self, node: yaml.Node, dotted: str) -> None:
        """Note that what follows is inside `node`, which has to be one that can be followed."""
        self._count(dotted)
        if any(node is parent for parent in self._open):
            raise self._refusal(dotted, "an alias of what contains it")
        if len(self._open) >= MOST_LEVELS:
            raise self._refusal(dotted, f"more than {MOST_LEVELS} levels of aliases in aliases")
        expected = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != f"{_TAG}{expected}":
            raise self._refusal(dotted, f"the tag {_shown(node.tag)} is not accepted; leave it out")
        self._open.append(node)

    def _count(self, dotted: str) -> None:
        self._read += 1
        if self._read > MOST_VALUES:
            raise self._refusal(dotted, f"more than {MOST_VALUES:,} values, by aliases of aliases")

    def _refusal(self, dotted: str, problem: str) -> SpecError:
        return SpecError(f"{f'{self.origins[dotted].text} {dotted}'.rstrip()}: {problem}")

    def _scalar(self, node: yaml.ScalarNode, dotted: str) -> Any:
        text = self._text(node.value, dotted)
        if node.tag == _MERGE:
            return text
        meaning = _SCALARS.get(node.tag)
        if meaning is None:
            problem = f"the tag {_shown(node.tag)} is not accepted; leave it out"
            raise self._refusal(dotted, problem)
        long = meaning == "a whole number" and len(text) > _LONGEST_NUMBER
        try:
            value = _LARGEST + 1 if long else self._loader.construct_object(node)
        except Exception:  # PyYAML trusts that a tag's text is what the tag says
            value = None
        if value is None and not (meaning == "null" and text.lower() in {"", "~", "null"}):
            problem = f"{_cut(text)!r} is not {meaning}, as its tag says; leave out the tag"
            raise self._refusal(dotted, problem)
        if type(value) is int and abs(value) > _LARGEST:
            problem = f"a number of {len(text)} characters is not accepted; it should fit 64 bits"
            raise self._refusal(dotted, problem)
        return value

    def _text(self, text: str, dotted: str) -> str:
        if found := _NOT_TEXT.search(text):
            problem = f"holds {found.group()!r}, which is not text; remove it"
            raise self._refusal(dotted, problem)
        return text

    def _mapping(self, node: yaml.MappingNode, dotted: str) -> dict[str, Any]:
        """Own keys over those of merged sections (`<<`), whose origins they take as well."""
        keys = dict(self._keys(node, dotted))
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for section in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self._merged(section, dotted, key) | merged
        own = {
            name: self._value(value, f"{dotted}.{name}" if dotted else name, key)
            for name, (key, value) in keys.items()
        }
        return merged | own

    def _merged(self, section: yaml.Node, dotted: str, key: yaml.Node) -> dict[str, Any]:
        if not isinstance(section, yaml.MappingNode):
            where = self._at(key.start_mark.line)
            raise SpecError(f"{where} {dotted}: << takes a section, or a list of sections")
        self._enter(section, dotted)
        try:
            return self._mapping(section, dotted)
        finally:
            self._open.pop()

    def _keys(
        self, node: yaml.MappingNode, dotted: str
    ) -> Iterator[tuple[str, tuple[yaml.Node, yaml.Node]]]:
        """The keys of a section but for `<<`, each of them with its nodes."""
        lines: dict[str, int] = {}
        for key, value in node.value:
            where = self._at(key.start_mark.line)
            if not isinstance(key, yaml.ScalarNode):
                remedy = "write `key: value`, and text with braces in quotes"
                raise SpecError(f"{where}: a key is not text; {remedy}")
            if not 0 < len(key.value) <= LONGEST_KEY or _NOT_TEXT.search(key.value):
                problem = f"{_cut(key.value)!r} is not accepted as a key"
                limits = f"a key has 1 to {LONGEST_KEY} characters, all of them text"
                raise SpecError(f"{where} {dotted}: {problem}; {limits}")
            if key.value in lines:
                name = f"{dotted}.{key.value}" if dotted else key.value
                raise SpecError(
                    f"{where} {name}: the key is given twice; "
                    f"remove one, the first is in line {lines[key.value]}"
                )
            lines[key.value] = key.start_mark.line + 1
            if key.tag != _MERGE:
                yield key.value, (key, value)


def _kind(value: Any) -> str:
    """What a document is instead of a mapping; not its text, it may be no spec but a secret."""
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else f"the value {value!r}"


def _shown(tag: str) -> str:
    """A tag as it was written."""
    return _cut(f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
