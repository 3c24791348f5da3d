"""Programs of lm-eval's code tasks run in our sandbox, and a case says that its number is ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import harness
from harness.errors import TitrateError
from harness.tasks.lm_eval.catalogue import folder
from harness.tasks.lm_eval.code_eval import SandboxedCodeEval

EASY = Path(__file__).parents[3] / "specs" / "data" / "easycode.jsonl"


def problems(count: int) -> list[dict[str, str]]:
    return [json.loads(line) for line in EASY.read_text().splitlines()[:count]]


def test_a_program_is_right_that_comes_to_its_end():
    tests = "assert add(2, 3) == 5"
    programs = [
        "def add(a, b):\n    return a + b",
        "def add(a, b):\n    return a * b",
        "import sys\nsys.exit(0)",
        "while True: pass",
    ]
    rates, results = SandboxedCodeEval().compute(references=[tests], predictions=[programs], k=[1])
    assert [each["passed"] for _, each in results[0]] == [True, False, False, False]
    assert rates == {"pass@1": 0.25}


def test_solutions_of_humaneval_pass_as_its_task_puts_them_together():
    rows = problems(3)
    rates, _ = SandboxedCodeEval().compute(
        references=[f"{row['test']}\ncheck({row['entry_point']})" for row in rows],
        predictions=[[row["prompt"] + row["canonical_solution"]] for row in rows],
        k=[1],
    )
    assert rates == {"pass@1": 1.0}


def own(path: Path, **fields: object) -> str:
    (path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems(2)))
    config = {
        "include": str(folder() / "humaneval" / "humaneval.yaml"),
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "problems.jsonl"}},
        "generation_kwargs": {"until": ["\ndef"], "max_gen_toks": 8, "do_sample": False},
        **fields,
    }
    (path / "mine.yaml").write_text(yaml.safe_dump(config))
    return str(path / "mine.yaml")


def test_a_case_says_that_the_number_is_ours(tmp_path):
    plain = {"name": "code", "model": "zoo/base", "task": {"lm_eval": own(tmp_path)}}
    experiment = harness.Experiment.model_validate(plain)
    report = harness.run(experiment, directory=tmp_path / "out", unsafe_code=True).report
    (case,) = report.cases
    assert case.metrics["pass@1@create_test"].n == 2
    assert any("the number is ours" in each for each in case.warnings)
    assert report.run.sandbox


def test_a_task_that_runs_programs_by_itself_needs_consent(tmp_path):
    plain = {
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "problems.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "x",
        "unsafe_code": True,
        "metric_list": [{"metric": "exact_match"}],
    }
    own(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(plain))
    task = {"lm_eval": str(tmp_path / "mine.yaml")}
    experiment = harness.Experiment.model_validate(
        {"name": "code", "model": "zoo/base", "task": task}
    )
    with pytest.raises(TitrateError, match="not isolated"):
        harness.run(experiment, directory=tmp_path / "out")
