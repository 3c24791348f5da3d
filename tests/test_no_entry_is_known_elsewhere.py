"""No code asks which engine, measure, rule, ... it has by name: entries are asked what they do.

Kinds of intervention have a stricter test, `kinds/test_no_kind_is_known_elsewhere.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
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
    ("measure/oracle_answers.py", "oracle"): "who wrote an output, in files of the original",
    ("metrics/builtin/cut.py", "length"): _ENDED,
    ("runs/asking.py", "length"): _ENDED,
    ("runs/generated.py", "length"): _ENDED,
    ("engines/served/checks.py", "min_p"): "servers apply it before top_p, and we after",
    ("engines/served/checks.py", "top_p"): "servers apply min_p before it, and we after",
    ("invariants/decoding.py", "forward"): "the method of torch's modules",
    ("sandbox/plain_data.py", "number"): "an attribute's name",
    ("metrics/builtin/minerva.py", "lm_eval"): "the package whose grader it asks",
    ("resolve/contrast_pairs.py", "gsm8k"): "its training problems are a file that a spec names",
    ("resolve/contrast_pairs.py", "micro_gsm8k"): "built-in pairs are its training problems",
}

#: Names of entries that are words of another vocabulary, too, which code may well compare with.
HOMONYMS = {
    "length": "why a completion ended",
    "probe": "a method by which vectors are built",
    "random": "a control, and an order",
    "text": "what is exchanged with a server, and a field of records",
}


def own(name: str, path: Path) -> bool:
    """An entry's own files: `engines/NAME/`, `measure/NAME.py`, `tasks/NAME.py`, ..."""
    return any(part.startswith(name) for part in path.relative_to(ROOT).parts)


def compared(source: str, names: Collection[str]) -> Iterator[tuple[str, int]]:
    """The names that a module compares something with, and the lines in which it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            values = [*ast.walk(node.left), *(n for c in node.comparators for n in ast.walk(c))]
        elif isinstance(node, ast.MatchValue):
            values = [node.value]
        else:
            continue
        for value in values:
            if isinstance(value, ast.Constant) and value.value in names:
                yield value.value, value.lineno


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
    assert sorted(compared(source, names)) == [
        ("forward", 2), ("likelihood", 2), ("top_k", 4), ("vllm", 1),
    ]  # fmt: skip
    assert own("vllm", ROOT / "engines" / "vllm" / "start.py")
    assert own("forward", ROOT / "measure" / "forward.py")
    assert not own("vllm", ROOT / "runs" / "checks.py")
