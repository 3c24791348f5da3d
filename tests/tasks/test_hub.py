"""Data sets that lie in a folder: the hub itself is out of a test's reach."""

import json

import datasets
import pytest

from harness.errors import FieldError, TaskError
from harness.spec import PromptSettings, TaskSettings
from harness.tasks.data.task import own_task
from harness.tasks.hub import hub_records

ROWS = [{"prompt": f"{number}?", "answer": str(number)} for number in range(3)]
CHAT = [{"messages": [{"role": "user", "content": "Hi", "tool_calls": None}]}]


def places(*arguments):
    return [place for place, _ in hub_records(*arguments)]


@pytest.fixture
def saved(tmp_path):
    split = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"train": split, "test": split.select([0])}).save_to_disk(tmp_path / "d")
    return str(tmp_path / "d")


def test_a_split_of_a_saved_data_set_is_chosen_by_name(saved):
    assert places(saved, None, "test") == [f"{saved} test row 1"]
    assert len(places(saved, None, "train")) == 3
    with pytest.raises(TaskError, match=r"has several splits; set task\.split to one of train, te"):
        places(saved, None, None)
    with pytest.raises(TaskError, match=r"has no split 'dev'; set task\.split to one of train, te"):
        places(saved, None, "dev")


def test_a_single_split_needs_no_name(tmp_path):
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "one")
    folder = str(tmp_path / "one")
    assert [record for _, record in hub_records(folder, None, None)] == ROWS
    with pytest.raises(TaskError, match=r"has no split 'test'; it is one, leave task\.split out"):
        places(folder, None, "test")


def test_a_folder_of_data_files_is_a_data_set(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    settings = TaskSettings(dataset=str(folder), answer="number")
    task = own_task(settings, PromptSettings())
    assert (task.name, task.size) == ("files", 3)
    assert task.samples[2].record["answer"] == "2"


def test_what_is_no_data_set_is_told_in_a_line(tmp_path):
    with pytest.raises(TaskError, match="gone cannot be loaded: Couldn't find any data file"):
        places(str(tmp_path / "gone"), None, None)


def test_columns_of_turns_have_no_keys_that_a_turn_has_not(tmp_path):
    rows = [*CHAT, {"messages": [{"role": "user", "content": "Ho", "name": "Ann"}]}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "chat")
    task = own_task(TaskSettings(dataset=str(tmp_path / "chat")), PromptSettings())
    first, second = (task.prompt(sample, "assisted").messages for sample in task.samples)
    assert first == ({"role": "user", "content": "Hi"},)
    assert second[0]["name"] == "Ann"


def test_the_fields_of_a_data_set_are_named_by_the_spec(saved):
    settings = TaskSettings.model_validate(
        {"dataset": saved, "split": "test", "fields": {"prompt": "question"}}
    )
    with pytest.raises(FieldError, match=r"d test row 1: there is no field 'question'; it has pr"):
        own_task(settings, PromptSettings())
