"""Metrics of completions beside those of a task of lm-eval's, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import TitrateError
from harness.report.recorded import recorded_results
from harness.runs.rescore import rescored
from tests.tasks.lm_eval import local

BESIDE = [{"kind": "length"}, {"kind": "contains", "text": "1"}]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> dict[str, Path]:
    return local.write(tmp_path_factory.mktemp("tasks"))


def experiment(task: Path, metrics: list[Any], **fields: Any) -> harness.Experiment:
    asked = {"lm_eval": str(task)}
    plain = {"name": "beside", "model": "zoo/base", "task": asked, "metrics": metrics, **fields}
    return harness.Experiment.model_validate(plain)


def test_completions_are_counted_beside_what_the_task_counts(tasks, tmp_path):
    spec = experiment(tasks["text"], BESIDE, gates=["exact_match >= 0", "length > 0"])
    report = harness.run(spec, directory=tmp_path / "out")
    (case,) = report.report.cases
    assert case.metric == "exact_match"
    assert {"exact_match", "length", "contains"} <= case.metrics.keys()
    assert all(gate.holds for gate in report.report.gates)
    (result,) = recorded_results(report.directory)
    for draw in result.draws:
        assert result.sample_metrics["length"][draw.sample] == len(draw.completion.tokens)
        assert result.sample_metrics["contains"][draw.sample] == ("1" in draw.completion.text)
    (again,) = rescored([result])
    assert again.sample_metrics == result.sample_metrics


@pytest.mark.parametrize(
    ("task", "metrics", "told"),
    [
        ("choice", BESIDE, "length is counted of completions, and choice asks for none"),
        ("text", [{"kind": "fluency"}], "fluency asks a model about completions"),
        ("text", [{"kind": "contains", "text": "1", "name": "exact_match"}], "give it another one"),
    ],
)
def test_what_cannot_be_counted_is_refused(tasks, tmp_path, task, metrics, told):
    with pytest.raises(TitrateError) as error:
        harness.run(experiment(tasks[task], metrics), directory=tmp_path / "out")
    assert told in str(error.value)
    assert "\n" not in str(error.value)
