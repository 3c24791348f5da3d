"""Decode files of the study, scored by the task that asked."""

from __future__ import annotations

import json

import pytest

from harness.errors import TaskError
from harness.tasks.base import Sample
from harness.tasks.humaneval import HumanEval
from harness.tasks.pairs.decodes import evaluate
from tests.tasks.pairs.small import record

#: A helper comes first: the study would test it in the place of the function.
HELPER = {
    **record(1),
    "prompt": 'def helper(x):\n    return 0\n\n\ndef f1(x):\n    """Give x."""\n',
}


@pytest.fixture
def task():
    records = [record(0), HELPER]
    return HumanEval(tuple(Sample(each["task_id"], each) for each in records))


@pytest.fixture
def write(tmp_path):
    def write(number, variant, generated="```python\n    return x\n```", **fields):
        entry = {
            "key": f"humaneval_{number}",
            "variant": variant,
            "generated": generated,
            "aligned_ok": True,
            **fields,
        }
        (tmp_path / f"humaneval_{number}_{variant}.json").write_text(json.dumps(entry))

    return write


def test_every_sample_counts_in_both_variants(write, task, tmp_path):
    write(0, "agentic")
    write(0, "assisted", "```python\n    return x + 1\n```")
    write(1, "agentic")
    evaluation = evaluate(tmp_path, task)
    assert evaluation.counts == {
        "agentic": {"pass": 2, "fail": 0},
        "assisted": {"pass": 0, "fail": 2},
    }
    document = evaluation.document()
    assert document["counts"] == evaluation.counts
    assert document["results"]["humaneval_0"]["task_id"] == "HumanEval/0"
    assert document["results"]["humaneval_0"]["agentic"] == {"success": True, "error": ""}
    assert document["results"]["humaneval_0"]["assisted"]["error"].startswith("assertion failed")
    missing = document["results"]["humaneval_1"]["assisted"]
    assert missing == {"success": False, "error": "no decode file humaneval_1_assisted.json"}
    assert [str(problem) for problem in evaluation.problems] == [
        "humaneval_1 assisted: no decode file humaneval_1_assisted.json"
    ]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"generated": ""}, "humaneval_0_assisted.json holds no generated text"),
        ({"aligned_ok": False}, "humaneval_0_assisted.json was decoded from a pair that is not"),
        ({"key": "humaneval_7"}, "humaneval_0_assisted.json is not the decode file of humaneval_0"),
    ],
)
def test_what_cannot_be_scored_has_failed_and_says_why(write, task, tmp_path, fields, error):
    write(0, "assisted", **fields)
    evaluation = evaluate(tmp_path, task)
    assert evaluation.counts["assisted"] == {"pass": 0, "fail": 2}
    assert evaluation.problems[1].reason.startswith(error)


def test_an_agentic_answer_does_not_depend_on_the_alignment(write, task, tmp_path):
    write(0, "agentic", aligned_ok=False)
    assert evaluate(tmp_path, task).counts["agentic"]["pass"] == 1


def test_a_folder_without_decode_files_is_refused(task, tmp_path):
    with pytest.raises(
        TaskError, match="holds no decode file of humaneval; expected humaneval_0_ag"
    ):
        evaluate(tmp_path, task)
