"""Tasks are loaded once and shared."""

from __future__ import annotations

import json

from harness.resolve.tasks import full_task, task_of
from harness.spec import TaskSettings


def settings(**fields) -> TaskSettings:
    return TaskSettings.model_validate({"name": "micro_humaneval"} | fields)


def test_equal_settings_share_one_task():
    assert task_of(settings(limit=3)) is task_of(settings(limit=3))


def test_the_limit_makes_another_task_of_the_same_samples():
    three, five = task_of(settings(limit=3)), task_of(settings(limit=5))
    assert three is not five
    assert three.samples == five.samples[:3]


def test_a_measurement_sees_all_samples_whatever_the_limit():
    full = full_task(settings(limit=3))
    assert full is full_task(settings(limit=5))
    assert full.samples == task_of(settings()).samples
    assert full.size == 164


def test_a_task_that_is_asked_for_is_ready_to_be_scored():
    assert task_of(settings()).isolated_by is not None


def test_a_local_file_replaces_the_usual_source(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text('{"question": "1 + 1?", "answer": "#### 2"}\n')
    task = task_of(TaskSettings(name="gsm8k", path=str(path)))
    assert task.size == 1


def test_a_file_of_ids_that_changes_is_read_again(tmp_path):
    file = tmp_path / "ids.json"
    for wanted in (["MicroHumanEval/4"], ["MicroHumanEval/5", "MicroHumanEval/1"]):
        file.write_text(json.dumps(wanted))
        task = task_of(settings(only=str(file)))
        assert [sample.id for sample in task.samples] == wanted
        assert full_task(settings(only=str(file))).size == 164
