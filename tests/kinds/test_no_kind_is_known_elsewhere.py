"""Nothing outside a kind's own room knows it: no import, no class, no name, no reference.

A kind's room are `interventions/KIND/`, the files of `resolve/` and `invariants/` whose names begin
with its own, and what its entry refers to under such a name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import harness
from harness import registry
from harness.interventions.kind import kind_of
from harness.resolve.resolution import Resolution

ROOT = Path(harness.__file__).parent
KINDS = registry.interventions.names()
MODULES = {
    ".".join(("harness", *path.relative_to(ROOT).with_suffix("").parts)): path
    for path in sorted(ROOT.rglob("*.py"))
    # What may name kinds, and everything else that can be added.
    if path != ROOT / "registry.py"
}
_REFERENCE = re.compile(r'"(harness(?:\.\w+)+):\w+"')

_WORD_OF_THE_ORIGINAL = "who wrote an output, as files of the original say it"
EXCUSED = {
    ("steering", "harness.interventions.dac.description"): "composes steering's doses, token by "
    "token: what it gives a model is steering",
    (
        "steering",
        "harness.cli.vectors",
    ): "the verb that makes files of its vectors",
    ("steering", "harness.cli.probes"): "the verb that probes for its vectors",
    ("oracle", "harness.measure.oracle_answers"): _WORD_OF_THE_ORIGINAL,
    ("oracle", "harness.report.exports.oracle_records"): _WORD_OF_THE_ORIGINAL,
}


@cache
def referred(kind: str) -> frozenset[str]:
    """The modules of its own that a kind's entry refers to; others are for more than this kind."""
    entry = MODULES[f"harness.interventions.{kind}.kind"].read_text("utf-8")
    modules = _REFERENCE.findall(entry)
    return frozenset(each for each in modules if each.rpartition(".")[2].startswith(kind))


def own(kind: str, module: str) -> bool:
    """Whether a module, or a name in one, is of a kind's room."""
    package, room, *rest = [*module.split("."), "", ""]
    if package != "harness":
        return False
    return (
        (room == "interventions" and rest[0] == kind)
        or (room in {"resolve", "invariants"} and rest[0].startswith(kind))
        or any(f"{module}.".startswith(f"{each}.") for each in referred(kind))
    )


def is_reference(node: ast.Constant, kind: str) -> bool:
    """Whether a text is a module of a kind's room, or an object in one."""
    return isinstance(node.value, str) and own(kind, node.value.partition(":")[0])


#: Every module is parsed once for all kinds.
parsed = cache(ast.parse)


def known(source: str, kind: str) -> Iterator[tuple[str, int]]:
    """What of a kind a module's code mentions, and in which line."""
    found = kind_of(kind)
    parts = {found.section, found.description, found.resolution} - {Resolution}
    classes = {part.__name__ for part in parts}
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            named = [f"{inside}{alias.name}" for alias in node.names]
            yield from ((each, node.lineno) for each in named if own(kind, each))
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in classes:
                yield name, node.lineno
        elif isinstance(node, ast.Constant) and (node.value == kind or is_reference(node, kind)):
            yield str(node.value), node.lineno


@pytest.mark.parametrize("kind", KINDS)
def test_no_module_but_its_own_knows_a_kind(kind):
    knowing = {
        module: mentions
        for module, path in MODULES.items()
        if not own(kind, module) and (mentions := [*known(path.read_text("utf-8"), kind)])
    }
    excused = {module for each, module in EXCUSED if each == kind}
    assert {each: said for each, said in knowing.items() if each not in excused} == {}
    assert excused - set(knowing) == set(), "an excuse that nothing needs"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "from harness.interventions.oracle.description import AUTHOR",
            "oracle.description.AUTHOR",
        ),
        ("from harness.interventions.oracle import description", "oracle.description"),
        ("from harness.interventions import oracle", "interventions.oracle"),
        ("import harness.interventions.oracle.trigger as t", "oracle.trigger"),
        (
            "from harness.resolve.oracle_thresholds import Thresholds",
            "oracle_thresholds.Thresholds",
        ),
        ("from harness.resolve import oracle_thresholds", "resolve.oracle_thresholds"),
        ("from harness.invariants.oracle import FAMILY", "invariants.oracle.FAMILY"),
        ("PART = 'harness.resolve.oracle:OracleResolution'", "oracle:OracleResolution"),
        ("if settings.kind == 'oracle': ...", "oracle"),
        ("isinstance(x, Oracle)", "Oracle"),
        ("isinstance(x, description.Oracle)", "Oracle"),
    ],
)
def test_what_is_looked_for_is_found(line, said):
    assert [each.rpartition(said)[1:] for each, _ in known(line, "oracle")] == [(said, "")]


def test_what_an_entry_refers_to_is_its_own():
    grids = "harness.report.page.router_mask_grids"
    assert own("router_mask", grids)
    assert [*known(f"from {grids} import router_masks", "router_mask")]
    assert not own("oracle", "harness.resolve.resolution")
    assert not own("oracle", "harness.report.exports.oracle_records")
    assert not own("steering", "harness.interventions.steering_terms")
    assert not own("adapter", "harness.models.adapters")
