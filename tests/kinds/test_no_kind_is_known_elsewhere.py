"""Nothing outside a kind's own files knows it: no class, no name, no isinstance."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import harness
from harness import registry
from harness.interventions.kind import kind_of
from harness.resolve.resolution import Resolution

ROOT = Path(harness.__file__).parent
KINDS = registry.interventions.names()


def own(kind: str, path: Path) -> bool:
    """A kind's own files carry its name: `interventions/KIND/`, `resolve/KIND.py`, ..."""
    room, *rest = path.relative_to(ROOT).parts
    return any(part.startswith(kind) for part in rest) or room == "registry.py"


def known(source: str, kind: str) -> list[str]:
    """The kind's classes and its name, where a module's code mentions them."""
    found = kind_of(kind)
    parts = {found.section, found.description, found.resolution} - {Resolution}
    classes = {part.__name__ for part in parts}
    mentions = []
    for node in ast.walk(ast.parse(source)):
        name = getattr(node, "id", None) or getattr(node, "attr", None)
        if isinstance(node, ast.alias):
            name = node.name
        if name in classes:
            mentions.append(f"{name} in line {node.lineno}")
        if isinstance(node, ast.Constant) and node.value == kind:
            mentions.append(f"{kind!r} in line {node.lineno}")
    return mentions


@pytest.mark.parametrize("kind", KINDS)
def test_no_module_but_its_own_knows_a_kind(kind):
    knowing = {
        str(path.relative_to(ROOT)): mentions
        for path in sorted(ROOT.rglob("*.py"))
        if not own(kind, path) and (mentions := known(path.read_text("utf-8"), kind))
    }
    # Dynamic activation composition is made of steering, and so is what a model says when it is
    # steered by a difference: their own files build on it.
    knowing = {
        path: mentions
        for path, mentions in knowing.items()
        if not (
            kind == "steering" and (own("dac", ROOT / path) or path == "measure/diffing/steered.py")
        )
    }
    assert knowing == {}


def test_what_is_looked_for_is_found():
    source = (
        "from harness.interventions.dac.description import DAC\n"
        "if settings.kind == 'dac': isinstance(x, DAC)\n"
    )
    assert len(known(source, "dac")) == 3
    assert own("dac", ROOT / "interventions" / "dac" / "section.py")
    assert own("dac", ROOT / "resolve" / "dac.py")
    assert not own("dac", ROOT / "engines" / "decoding" / "rounds.py")
