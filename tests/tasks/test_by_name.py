import pytest

from harness import registry
from harness.errors import FieldError
from harness.tasks.by_name import load, read_ids


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
    with pytest.raises(
        FieldError, match=r"task\.name: 'mmlu' is not a task; use one of micro_"
    ) as e:
        load("mmlu")
    assert all(name in e.value.problem for name in registry.tasks.names())


@pytest.mark.parametrize("limit", [0, -1, 165])
def test_an_impossible_limit_names_the_size(limit):
    with pytest.raises(FieldError, match=r"task\.limit: .*has 164; use 1 to 164"):
        load("micro_humaneval", limit=limit)


def test_a_generated_task_refuses_a_path():
    with pytest.raises(FieldError, match=r"task\.path: x\.jsonl is not used"):
        load("micro_gsm8k", path="x.jsonl")


def test_only_takes_the_named_samples_in_their_order_before_the_limit():
    ids = ["MicroGSM8K/9", "MicroGSM8K/2", "MicroGSM8K/5"]
    assert [sample.id for sample in load("micro_gsm8k", only=ids).samples] == ids
    assert [sample.id for sample in load("micro_gsm8k", only=ids, limit=2).samples] == ids[:2]


def test_a_sample_that_the_task_does_not_have_is_named():
    with pytest.raises(
        FieldError, match=r"task\.only: 'GSM8K/0' is not a sample of micro_gsm8k, who"
    ):
        load("micro_gsm8k", only=["GSM8K/0"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be read as JSON"),
        ("[]", "is not a list of sample ids"),
        ('{"a": 1}', "is not a list of sample ids"),
        ("[1]", "is not a list of sample ids"),
        ('["a", "b", "a"]', "'a' is in the list twice; remove one"),
    ],
)
def test_a_file_that_lists_no_samples_is_refused(tmp_path, content, said):
    file = tmp_path / "ids.json"
    file.write_text(content)
    with pytest.raises(FieldError, match=said):
        read_ids(str(file))
