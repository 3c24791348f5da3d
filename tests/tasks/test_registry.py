import pytest

from harness.errors import FieldError
from harness.tasks.registry import load, names


@pytest.mark.parametrize("name", ["micro_humaneval", "micro_gsm8k", "humaneval"])
def test_tasks_load_by_their_name_and_have_their_metric(name):
    task = load(name)
    assert task.name == name
    assert task.size == 164
    assert task.metric in task.metrics(task.score([(task.samples[0], "assisted", "")]))


def test_a_limit_takes_the_first_samples():
    whole, part = load("micro_gsm8k"), load("micro_gsm8k", limit=7)
    assert [sample.id for sample in part.samples] == [sample.id for sample in whole.samples[:7]]
    assert list(part.by_id) == [sample.id for sample in part.samples]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(FieldError, match=r"task\.name: mmlu is not a task; use one of micro_") as e:
        load("mmlu")
    assert all(name in e.value.problem for name in names())


@pytest.mark.parametrize("limit", [0, -1, 165])
def test_an_impossible_limit_names_the_size(limit):
    with pytest.raises(FieldError, match=r"task\.limit: .*has 164; use 1 to 164"):
        load("micro_humaneval", limit=limit)


def test_a_generated_task_refuses_a_path():
    with pytest.raises(FieldError, match=r"task\.path: x\.jsonl is not used"):
        load("micro_gsm8k", path="x.jsonl")
