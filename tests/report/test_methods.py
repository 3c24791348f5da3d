"""The paragraph names what the report used, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import harness
from harness.cli.main import main
from harness.report.methods import _INTERVALS, _TESTS, methods
from harness.statistics.estimates import Method, Test

SPECS = Path(__file__).parents[2] / "specs"
EXAMPLE = Path(__file__).parents[2] / "reports" / "example"


def test_the_example():
    text = methods(harness.load_report(EXAMPLE).report)
    assert "zoo/moe answered 164 samples of micro_humaneval" in text
    assert "under 16 conditions of intervention.count, prompt.style, seed" in text
    assert "Jeffreys intervals" in text
    assert "the exact McNemar test" in text
    assert "bootstrap" not in text
    assert "2 of 2 identities" in text


def test_what_fast_passes_leave_open_is_said_and_nothing_of_strict_ones():
    report = harness.load_report(EXAMPLE).report
    assert "two logits tie within rounding may differ in a repetition" in methods(report)
    strict = {"engine": {"determinism": "strict"}}
    cases = [case.model_copy(update={"settings": case.settings | strict}) for case in report.cases]
    assert "rounding" not in methods(report.model_copy(update={"cases": tuple(cases)}))


def test_a_measure_is_not_said_to_answer_and_its_own_interval_is_named(tmp_path):
    text = methods(
        harness.run(
            SPECS / "diffing" / "cake.yaml",
            directory=tmp_path / "out",
            overrides=["diff.samples=4", "diff.positions=4"],
            store=tmp_path / "store",
        ).report
    )
    assert "zoo/settled was measured by readings of two models on settled_documents" in text
    assert "in Wilson's form (Student's t of raters; Jeffreys intervals of one) (relev" in text
    assert "a paired bootstrap of the aggregate (4 999 draws) (relevance, weighted_rel" in text
    assert "answered" not in text
    assert "could not be read" not in text


def test_every_method_has_words():
    assert set(_INTERVALS) == set(get_args(Method))
    assert set(_TESTS) == set(get_args(Test))


def test_the_verb(capsys):
    assert main(["report", str(EXAMPLE), "--methods"]) == 0
    assert capsys.readouterr().out.startswith("All measurements were made with titrate")
