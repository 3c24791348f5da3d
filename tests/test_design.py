"""The tree of docs/design.md is the one on disk, in the order that import-linter holds."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from harness.interventions.base import MECHANISMS

ROOT = Path(__file__).parents[1]


def drawn() -> dict[str, str]:
    """The rooms of `harness/` as they are drawn, each with what is said of it."""
    block = (ROOT / "docs" / "design.md").read_text().split("```\nharness/\n")[1].split("```")[0]
    lines = [line for line in block.splitlines() if line.startswith("  ")]
    pairs = [line.strip().split(maxsplit=1) for line in lines]
    return {name.removesuffix("/").removesuffix(".py"): said for name, said in pairs}


def on_disk() -> set[str]:
    folder = ROOT / "harness"
    files = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    return files | {file.parent.name for file in folder.glob("*/__init__.py")}


def contract() -> list[set[str]]:
    """The layers of `harness/`, lowest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (
        each["layers"] for each in settings["contracts"] if each.get("containers") == ["harness"]
    )
    return [set(layer.split(" | ")) for layer in reversed(layers)]


def classes() -> dict[str, list[str]]:
    """The public classes at the top of modules of `harness/`, by name, and the modules of each."""
    found = defaultdict[str, list[str]](list)
    for file in sorted((ROOT / "harness").rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(file.relative_to(ROOT)))
    return found


OF_OTHERS = {"migrating.md", "neighbours.md", "seeds.md"}
"""Pages that name modules of other projects."""


def _pages() -> list[str]:
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    return sorted(f"docs/{page}" for page in pages if page not in OF_OTHERS)


def test_every_room_is_drawn_and_every_drawn_one_is_there():
    assert set(drawn()) == on_disk() == set().union(*contract())


def test_rooms_are_drawn_in_the_order_of_the_contract():
    order = {room: level for level, rooms in enumerate(contract()) for room in rooms}
    levels = [order[room] for room in drawn()]
    assert levels == sorted(levels)


def test_a_class_has_a_name_of_its_own():
    """In the whole house, so that a name says which thing is meant wherever it is read."""
    assert {name: files for name, files in classes().items() if len(files) > 1} == {}


@pytest.mark.parametrize(("room", "said"), drawn().items())
def test_what_is_named_of_a_room_is_in_it(room, said):
    for name in re.findall(r"[a-z_][a-z_/]*(?:\.py\b|/(?!\w))", said):
        assert (ROOT / "harness" / room / name).exists(), f"{room}: {name}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *_pages()])
def test_modules_that_a_page_names_are_there(page):
    named = re.findall(r"`([a-z_0-9/]+\.py)(?::\w+)?`", (ROOT / page).read_text("utf-8"))
    known = {
        "/" + "/".join(path.parts[index:])
        for folder in ("harness", "benches", "tests", "tools", "examples")
        for path in (file.relative_to(ROOT) for file in (ROOT / folder).rglob("*.py"))
        for index in range(len(path.parts))
    }
    assert [name for name in named if "/" + name not in known] == []


def test_the_glossary_has_every_mechanism():
    lines = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("| mechanism |")]
    assert {*re.findall(r"`(\w+)`", line)} == {*MECHANISMS}
