"""The published JSON Schema is current, and agrees with the loader on the specs that ship."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from harness.spec import expand, experiment_schema, load
from harness.spec.named_doses import dose_of

SPECS = Path(__file__).parents[2] / "specs"
FILES = sorted(path for path in SPECS.rglob("*.yaml") if "data" not in path.parts)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(experiment_schema())
    return Draft202012Validator(experiment_schema())


def test_the_published_file_is_current():
    written = (SPECS / "experiment.schema.json").read_text(encoding="utf-8")
    current = json.dumps(experiment_schema(), indent=2) + "\n"
    assert written == current, "run `titrate schema experiment`"


def properties(node: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property that a schema has anywhere, by where it is; not what defaults look like."""
    if isinstance(node, list):
        for position, item in enumerate(node):
            yield from properties(item, f"{at}/{position}")
    if not isinstance(node, dict):
        return
    for name, found in node.get("properties", {}).items():
        yield f"{at}/{name}", found
        yield from properties(found, f"{at}/{name}")
    for key, value in node.items():
        if key not in ("properties", "default", "const", "enum"):
            yield from properties(value, f"{at}/{key}")


PROPERTIES = dict(properties(experiment_schema()))


def test_an_editor_shows_sentences():
    for at, found in PROPERTIES.items():
        check_sentences(at, found)


#: The first thing that is said has a finite verb; "The seed of the draws; 0 by default." has none.
_VERB = re.compile(
    r"""\b(?:
    act | answers | are | asks | become | becomes | begin | call | calls | can | changes |
    chooses | comes | compares | compiles | counts | decides | do | does | draws | ends | exchange |
    falls | grows | has | have | hold | holds | inherits | investigate | investigates | is |
    judges | keeps | makes | may | must | names | needs | proposes | reaches | reads | runs | says |
    schedules | share | should | speaks | stand | stands | starts | steers | takes | tells | was
    | writes
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_LABELS = ("vllm:", "transformers:", "served:")
#: A description that begins with one of these is the end of a sentence that nobody began.
_PREPOSITIONS = frozenset({"At", "By", "For", "From", "In", "Of", "On", "To", "Up", "With"})


def is_fragment(text: str) -> bool:
    """Whether what a description says first lacks a verb, or hangs on a preposition."""
    for label in _LABELS:
        text = text.removeprefix(label)
    lead = re.split(r"[;:]|[.] ", re.sub(r"`[^`]*`", "it", text))[0]
    return lead.split()[0] in _PREPOSITIONS or _VERB.search(lead) is None


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Samples between two looks; 16 by default.", True),
        ("At how many occasions; 1 by default.", True),
        ("In how many orders it is asked; 3 by default.", True),
        ("The partition, or several with commas. The cluster's own default when left out.", True),
        ("served: the seconds of an attempt; 120 by default, which is enough.", True),
        ("How many samples are asked between two looks; 16 by default.", False),
        ("vllm: how many devices share every layer. 1 when left out.", False),
        ("What `measure: diff` is told, and other measures do not read.", False),
    ],
)
def test_what_is_no_sentence(text, is_one):
    assert is_fragment(text) == is_one


def check_sentences(at: str, found: dict[str, Any]) -> None:
    text = found["description"]
    words = text.split()
    assert text == " ".join(words), f"{at}: one line"
    assert len(words) >= 5, at
    assert words[0][0].isupper() or words[0] in _LABELS, at
    assert not is_fragment(text), f"{at}: {text}"
    assert text.endswith("."), at
    default = found.get("default", [])
    if default is None:
        assert re.search("left out|leave it out|default", text.lower()), (
            f"{at}: what if there is none?"
        )
    elif not isinstance(default, list | dict):
        shown = f"{default:g}" if isinstance(default, float) else str(default).lower()
        assert shown in text, f"{at}: the default is {shown}"
        assert "default" in text, at


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_spec_that_ships_is_valid_by_schema_and_by_loader(path, validator):
    validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    experiment, source = load(path)
    cases = expand(experiment, source)
    assert experiment.name == path.stem
    values = [None] if experiment.dose is None else experiment.axes[experiment.dose]
    doses = {dose_of(experiment, value) for value in values}  # of a name the number behind it
    assert {case.dose for case in cases} == doses


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({"extends": "base.yaml"}, True),
        ({"extends": "base.yaml", "intervention": {"count": 3}}, True),
        ({"extends": "base.yaml", "intervention": {"points": {"samples": 3}}}, True),
        ({"extends": 3}, False),
        ({"name": "x"}, False),
        ({"extends": "base.yaml", "sede": 3}, False),
        ({"extends": "base.yaml", "intervention": {"cuont": 3}}, False),
        ({"extends": "base.yaml", "intervention": {"points": {"usages": "x"}}}, False),
        ({"extends": "base.yaml", "prompt": {"style": "chatty"}}, False),
        ({"extends": "base.yaml", "gates": ["neutral_equals_basline"]}, False),
    ],
)
def test_what_an_editor_underlines(document, valid, validator):
    assert validator.is_valid(document) == valid
