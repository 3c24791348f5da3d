"""Whether a task's YAML file would run code of its own: found by reading it, not by loading it.

Code is what a tag imports (`!function utils.process`), a `class:`, a metric that is none of
lm-eval's (it would be fetched and run), and formats of data that hold pickles. Templates are no
code: they are filled in by Jinja's sandbox (`loading.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from harness.errors import TaskError
from harness.files.given import content
from harness.options import spelled
from harness.tasks.lm_eval import catalogue

_MOST_BYTES = 4 << 20
_PLAIN = "tag:yaml.org,2002:"
_PYTHON = "tag:yaml.org,2002:python"
_PICKLED = ("pandas", "webdataset")


def check(path: str, *, unsafe_code: bool) -> None:
    """Raise TaskError for a file that is not there, or that runs code nobody has agreed to."""
    if unsafe_code:
        _root(Path(path))
        return
    for file in _read(Path(path)):
        for code in _code(_root(file)):
            raise TaskError(
                f"{file.name}: `{code}` would be run in this process, which is not isolated; read "
                f"it, and add {spelled('unsafe_code')}"
            )


def _code(node: yaml.Node) -> Iterator[str]:
    """What of a document would be run, as it is written."""
    for each in _nodes(node):
        if not each.tag.startswith(_PLAIN) or each.tag.startswith(_PYTHON):
            yield f"{each.tag} {each.value if isinstance(each, yaml.ScalarNode) else ''}".strip()
    for key, value in _pairs(node):
        if key == "class":
            yield f"class: {_shown(value)}"
        elif key == "metric" and not _is_metric(value):
            yield f"metric: {_shown(value)}"
        elif key == "dataset_path" and _shown(value) in _PICKLED:
            yield f"dataset_path: {_shown(value)}"


def _is_metric(value: yaml.Node) -> bool:
    """Whether a metric is registered by lm-eval: others are looked for elsewhere, and run."""
    return isinstance(value, yaml.ScalarNode) and value.value in _metrics()


@cache
def _metrics() -> frozenset[str]:
    """The metrics that lm-eval registers, read where it does: importing it takes seconds."""
    source = (catalogue.folder().parent / "api" / "metrics.py").read_text("utf-8")
    return frozenset(re.findall(r"^ *metric=\"([^\"]+)\"", source, re.M))


def _read(path: Path) -> Iterator[Path]:
    """The file, what it includes, and files beside it that define what a group names."""
    todo, seen = [path], {path}
    while todo:
        file = todo.pop()
        yield file
        for name in sorted(set(_named(_root(file)))):
            beside = file.parent / name
            others = [beside] if beside.is_file() else _defining(file.parent, name)
            todo += [other for other in others if other not in seen]
            seen.update(others)


def _named(node: yaml.Node) -> Iterator[str]:
    """Files that a document includes, and the tasks that a group has."""
    for key, value in _pairs(node):
        if key in ("include", "task", "group"):
            members = value.value if isinstance(value, yaml.SequenceNode) else [value]
            yield from (each.value for each in members if isinstance(each, yaml.ScalarNode))


def _defining(folder: Path, name: str) -> list[Path]:
    """The files below a folder that define a task, a group or a tag."""
    found = []
    for file in sorted(folder.glob("**/*.yaml")):
        pairs = dict(_pairs(_root(file), deep=False))
        if any(name in _texts(pairs.get(key)) for key in ("task", "group", "tag")):
            found.append(file)
    return found


def _texts(node: yaml.Node | None) -> list[str]:
    nodes: list[Any] = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return [each.value for each in nodes if isinstance(each, yaml.ScalarNode)]


def _shown(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "..."


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _nodes(each)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(key)
            yield from _nodes(value)


def _pairs(node: yaml.Node, *, deep: bool = True) -> Iterator[tuple[str, yaml.Node]]:
    """The keys of a document's mappings, with their values; not `deep`, of the outermost alone."""
    for each in _nodes(node) if deep else [node]:
        if isinstance(each, yaml.MappingNode):
            for key, value in each.value:
                yield _shown(key), value


def _root(path: Path) -> yaml.Node:
    try:
        node = yaml.compose(content(path, _MOST_BYTES).decode(), Loader=yaml.SafeLoader)
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: is no YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(node, yaml.MappingNode):
        raise TaskError(f"{path}: is no task of lm-eval's; a task has at least `task: NAME`")
    return node
