"""No code asks which engine, measure, rule, ... it has by name, or has a table of such names:
entries are asked what they do.

Kinds of intervention have a stricter test, `kinds/test_no_kind_is_known_elsewhere.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

import harness
from harness import registry

ROOT = Path(harness.__file__).parent
REGISTRIES = {
    name: found for name, found in vars(registry).items() if isinstance(found, registry.Registry)
}

_ENDED = "a reason for which a completion ended"
EXCUSED = {
    ("engines/decoding/rounds.py", "length"): _ENDED,
    ("engines/served/answers.py", "length"): _ENDED,
    ("engines/transformers/products.py", "forward"): "the method of torch's modules",
    ("invariants/sampling.py", "length"): _ENDED,
    ("metrics/builtin/cut.py", "length"): _ENDED,
    ("runs/asking.py", "length"): _ENDED,
    ("runs/generated.py", "length"): _ENDED,
    ("engines/served/checks.py", "min_p"): "servers apply it before top_p, and we after",
    ("engines/served/checks.py", "top_p"): "servers apply min_p before it, and we after",
    ("invariants/decoding.py", "forward"): "the method of torch's modules",
    ("sandbox/plain_data.py", "number"): "an attribute's name",
}

_VERB = "a verb of the command line"
_ORDER = "an order is written down as the engine has it after which it is called"
_VERSIONS = "the distribution whose version decides what is computed"
EXCUSED_TABLES = {
    ("cli/examples.py", "lm-eval"): _VERB,
    ("cli/examples.py", "schema"): _VERB,
    ("cli/main.py", "lm-eval"): _VERB,
    ("cli/main.py", "schema"): _VERB,
    ("engines/__init__.py", "transformers"): _VERSIONS,
    ("engines/__init__.py", "vllm"): _VERSIONS,
    ("runs/environment.py", "transformers"): _VERSIONS,
    ("invariants/sampling.py", "temperature"): "draws at random, whatever rule is tried beside it",
    ("report/draws/analyses.py", "ranks"): "what an analysis needs of draws",
    ("report/figures/curves.py", "cut"): "says of every task the same, and nothing of this one",
    ("runs/planned_case.py", "cut"): "counted of every task",
    ("sampling/builtin/edt.py", "temperature"): "the rule that it excludes",
    ("sampling/composition.py", "edt"): _ORDER,
    ("sampling/composition.py", "min_p"): _ORDER,
    ("sampling/composition.py", "temperature"): _ORDER,
    ("sampling/composition.py", "top_k"): _ORDER,
    ("sampling/composition.py", "top_n_sigma"): _ORDER,
    ("sampling/composition.py", "top_p"): _ORDER,
    ("sampling/composition.py", "typical"): _ORDER,
    ("spec/__init__.py", "schema"): "a module of the room",
    ("spec/task.py", "lm_eval"): "a field of the section",
}

#: Sorts whose names are what numbers are called by those who make them: a column has words for one.
_NAMES_OF_NUMBERS = {"columns"}

#: Names of entries that are words of another vocabulary, too, which code may well compare with.
HOMONYMS = {
    "length": "why a completion ended",
    "probe": "a method by which vectors are built",
    "random": "a control, and an order",
    "text": "what is exchanged with a server, and a field of records",
}
IN_TABLES = HOMONYMS | {
    "attention_entropy": "a statistic",
    "entropy": "a statistic",
    "margin": "a statistic",
    "number": "a sort of value",
    "varentropy": "a statistic",
}


def own(name: str, path: Path) -> bool:
    """An entry's own files: `engines/NAME/`, `measure/NAME.py`, `tasks/NAME.py`, ..."""
    return any(part.startswith(name) for part in path.relative_to(ROOT).parts)


#: Every module is parsed once for all sorts.
parsed = cache(ast.parse)


def compared(source: str, names: Collection[str]) -> Iterator[tuple[str, int]]:
    """The names that a module compares something with, and the lines in which it does."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Compare):
            values = [*ast.walk(node.left), *(n for c in node.comparators for n in ast.walk(c))]
        elif isinstance(node, ast.MatchValue):
            values = [node.value]
        else:
            continue
        for value in values:
            if isinstance(value, ast.Constant) and value.value in names:
                yield value.value, value.lineno


def tabled(source: str, names: Collection[str]) -> Iterator[tuple[str, int]]:
    """The names in lists, tuples, sets and mappings that a module or a class of it holds."""
    bodies = [parsed(source).body]
    while bodies:
        for statement in bodies.pop():
            if isinstance(statement, ast.ClassDef):
                bodies.append(statement.body)
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
                continue
            for table in ast.walk(statement.value):
                values: list[ast.expr | None] = []
                if isinstance(table, ast.List | ast.Tuple | ast.Set):
                    values = [*table.elts]
                elif isinstance(table, ast.Dict):
                    values = [*table.keys, *table.values]
                for value in values:
                    if isinstance(value, ast.Constant) and value.value in names:
                        yield value.value, value.lineno


@pytest.mark.parametrize("sort", [name for name in REGISTRIES if name not in _NAMES_OF_NUMBERS])
def test_no_module_has_a_table_of_names_of_entries(sort):
    names = set(REGISTRIES[sort].names()) - set(IN_TABLES)
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted(ROOT.rglob("*.py"))
        for name, line in tabled(path.read_text("utf-8"), names)
        if path != ROOT / "registry.py"
        and not own(name, path)
        and (str(path.relative_to(ROOT)), name) not in EXCUSED_TABLES
    ]
    assert found == []


def test_every_excuse_is_needed():
    names = {name for each in REGISTRIES.values() for name in each.names()}
    for excuses, mentioned in ((EXCUSED, compared), (EXCUSED_TABLES, tabled)):
        for file, name in excuses:
            source = (ROOT / file).read_text("utf-8")
            assert name in names
            assert name in {each for each, _ in mentioned(source, names)}, (file, name)


@pytest.mark.parametrize("sort", REGISTRIES)
def test_no_module_compares_something_with_the_name_of_an_entry(sort):
    names = set(REGISTRIES[sort].names()) - set(HOMONYMS)
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted(ROOT.rglob("*.py"))
        for name, line in compared(path.read_text("utf-8"), names)
        if not own(name, path) and (str(path.relative_to(ROOT)), name) not in EXCUSED
    ]
    assert found == []


def test_what_is_looked_for_is_found():
    source = (
        'if engine.name == "vllm": ...\n'
        'if measure in ("forward", "likelihood"): ...\n'
        "match rule:\n"
        '    case "top_k": ...\n'
        'name = "vllm"\n'
    )
    names = {"vllm", "forward", "likelihood", "top_k"}
    tables = (
        'ENGINES = {"fast": {"name": "vllm"}}\n'
        "class Checks:\n"
        '    rules: frozenset[str] = frozenset({"top_k"})\n'
        '    def local(self): return ["forward"]\n'
        'NAME = "likelihood"\n'
    )
    assert sorted(tabled(tables, names)) == [("top_k", 3), ("vllm", 1)]
    assert sorted(compared(source, names)) == [
        ("forward", 2), ("likelihood", 2), ("top_k", 4), ("vllm", 1),
    ]  # fmt: skip
    assert own("vllm", ROOT / "engines" / "vllm" / "start.py")
    assert own("forward", ROOT / "measure" / "forward.py")
    assert not own("vllm", ROOT / "runs" / "checks.py")
