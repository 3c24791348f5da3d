"""Data that cannot be had fail their own tests, and no other; what is only listed loads none."""

from __future__ import annotations

import pytest
import yaml

pytest.importorskip("lm_eval")

from harness.models.loading import load
from tests.tasks.lm_eval import local


@pytest.fixture(scope="module", autouse=True)
def _modules_that_must_not_be_imported_twice() -> None:
    load("zoo/base")
    import lm_eval.tasks  # noqa: F401


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    tasks = local.write(pytester.mkdir("tasks"))
    specs = pytester.mkdir("specs")
    config = yaml.safe_load(tasks["choice"].read_text())
    gone = {"data_files": {"test": str(pytester.path / "gone.jsonl")}}
    lost = {**config, "task": "lost", "dataset_kwargs": gone, "training_split": None}
    (pytester.path / "tasks" / "lost.yaml").write_text(yaml.safe_dump(lost))
    for name in ("lost", "choice"):
        task = {"lm_eval": str(pytester.path / "tasks" / f"{name}.yaml"), "limit": 2}
        spec = {"name": name, "model": "zoo/base", "task": task}
        (specs / f"{name}.yaml").write_text(yaml.safe_dump(spec))
    return pytester


def test_a_case_without_its_data_fails_alone_and_in_one_line(project):
    result = project.runpytest_inprocess("specs/lost.yaml", "specs/choice.yaml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["specs/lost.yaml:3 task: *lost.yaml: its data cannot be loaded: *"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    assert len(list((project.path / "reports").glob("*/report.json"))) == 1


def test_alone_it_fails_and_deselected_it_is_not_looked_for(project):
    result = project.runpytest_inprocess("specs", "-k", "lost")
    result.assert_outcomes(failed=1, deselected=1)
    result = project.runpytest_inprocess("specs", "-k", "choice")
    result.assert_outcomes(passed=1, deselected=1)


def test_cases_are_listed_without_their_data(project, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("data are loaded")

    monkeypatch.setattr("harness.tasks.lm_eval.loading.load", never)
    result = project.runpytest_inprocess("specs", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["specs/choice.yaml::choice", "specs/lost.yaml::lost"])
    assert result.ret == 0
