"""`titrate list`: what is registered, third parties' included, a line each."""

from __future__ import annotations

from typing import get_args

import pytest

from harness import registry
from harness.cli.list import KINDS, lines
from harness.cli.main import main
from harness.spec.gates import Claim, NoChange


def listed(capsys, kind: str) -> list[str]:
    assert main(["list", kind]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_everything_has_a_name_and_a_meaning_on_one_line(kind, capsys):
    lines = listed(capsys, kind)
    known = KINDS[kind]()
    if not known:
        assert lines == [f"no {kind} are registered"]
        return
    assert len(lines) == len(known)
    for line, (name, meaning) in zip(lines, known.items(), strict=True):
        assert line.startswith(name)
        assert line.endswith(meaning)
        assert meaning


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("kind", KINDS)
def test_a_terminal_gets_the_same_words_within_its_columns(kind, columns):
    known = KINDS[kind]()
    told = lines(known, columns)
    assert all(len(line) <= columns for line in told if line not in known)
    expected = [word for pair in known.items() for text in pair for word in text.split()]
    assert " ".join(told).split() == expected


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("tasks", {"micro_humaneval", "micro_gsm8k", "humaneval", "gsm8k"}),
        ("models", {"zoo/moe", "zoo/base", "zoo/oracle"}),
        ("organisms", {"cake", "smollm2_cake", "./FILE.yaml"}),
        ("engines", {"transformers", "vllm"}),
        ("gates", {"neutral_equals_baseline", "same across AXIS"}),
    ],
)
def test_what_is_built_in_is_there(kind, names):
    assert names <= KINDS[kind]().keys()


def test_every_kind_of_claim_is_a_gate_but_that_of_a_comparison():
    kinds = set(get_args(get_args(Claim)[0])) - {NoChange}
    assert {form.FORM for form in kinds} == KINDS["gates"]().keys()


@pytest.mark.parametrize(
    "kind", ["tasks", "interventions", "rules", "measures", "metrics", "engines"]
)
def test_what_others_register_is_there(kind, capsys, monkeypatch):
    class Added:
        """Something that another package brings."""

    entries = getattr(registry, kind)
    entries.register("added", Added)
    try:
        assert any(
            line.split(maxsplit=1) == ["added", "Something that another package brings."]
            for line in listed(capsys, kind)
        )
    finally:
        entries.unregister("added")


def test_a_mistyped_kind_is_told_with_the_one_that_was_meant(capsys):
    with pytest.raises(SystemExit):
        main(["list", "enginse"])
    assert "did you mean engines?" in capsys.readouterr().err
