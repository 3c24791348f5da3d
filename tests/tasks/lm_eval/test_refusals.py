"""What cannot be asked is refused in one line, before anything is generated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import harness
from harness.cli.main import main
from harness.errors import TitrateError
from tests.tasks.lm_eval import local


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> dict[str, Path]:
    return local.write(tmp_path_factory.mktemp("tasks"))


def refused(folder: Path, **fields: Any) -> str:
    """What is said of a spec, in one line."""
    plain = {"name": "wrong", "model": "zoo/base", **fields}
    (folder / "wrong.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    with pytest.raises(TitrateError) as error:
        harness.run(folder / "wrong.yaml", directory=folder / "out")
    assert "\n" not in str(error.value)
    return str(error.value)


def changed(tasks: dict[str, Path], name: str, folder: Path, **fields: Any) -> str:
    config = yaml.safe_load(tasks[name].read_text())
    (folder / "mine.yaml").write_text(yaml.safe_dump({**config, **fields}))
    return "./mine.yaml"


def test_a_name_that_is_none_is_told_what_is_near(tmp_path):
    text = refused(tmp_path, task={"lm_eval": "gsm8kk"})
    assert "did you mean gsm8k" in text
    assert "wrong.yaml:" in text


def test_a_file_that_is_not_there(tmp_path):
    assert "nowhere.yaml: cannot be read" in refused(tmp_path, task={"lm_eval": "./nowhere.yaml"})


def test_data_that_are_not_there(tasks, tmp_path):
    gone = {"data_files": {"test": str(tmp_path / "gone.jsonl")}}
    own = changed(tasks, "text", tmp_path, dataset_kwargs=gone, training_split=None)
    assert "its data cannot be loaded" in refused(tmp_path, task={"lm_eval": own})


def test_a_filter_that_is_unknown(tasks, tmp_path):
    filters = [{"name": "x", "filter": [{"function": "regexp"}]}]
    own = changed(tasks, "text", tmp_path, filter_list=filters)
    text = refused(tmp_path, task={"lm_eval": own})
    assert "'regexp' is no filter; did you mean regex?" in text


def test_a_task_without_documents(tasks, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    data = {"data_files": {"test": str(tmp_path / "empty.jsonl")}}
    own = changed(tasks, "text", tmp_path, dataset_kwargs=data, training_split=None)
    text = refused(tmp_path, task={"lm_eval": own})
    assert text.endswith("mine.yaml: it has no documents; its split is empty")


@pytest.mark.parametrize("limit", [0.1, 0, 99])
def test_a_limit_that_is_a_share_or_beyond(tasks, tmp_path, limit):
    assert "task.limit" in refused(tmp_path, task={"lm_eval": str(tasks["text"]), "limit": limit})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"measure": "generate"}, "measure: generate is not measured of a task of lm-eval's"),
        ({"prompt": {"template": "{{ x }}"}}, "prompt.template: means nothing"),
        ({"prompt": {"style": "agentic"}}, "prompt.style: agentic is none of lm-eval's"),
        ({"metrics": ["fluency"]}, "metrics: fluency asks a model about completions"),
        ({"metric": "exact_matcg"}, "did you mean exact_match"),
        ({"gates": ["exact_matcg > 1"]}, "did you mean exact_match"),
    ],
)
def test_fields_that_mean_nothing(tasks, tmp_path, fields, told):
    assert told in refused(tmp_path, task={"lm_eval": str(tasks["text"])}, **fields)


def test_both_sorts_of_task_at_once(tasks, tmp_path):
    asked = {"lm_eval": str(tasks["text"]), "name": "micro_gsm8k"}
    assert "name means nothing to a task of lm-eval's" in refused(tmp_path, task=asked)


def test_the_measure_alone_is_no_task(tmp_path):
    text = refused(tmp_path, task={"name": "micro_gsm8k"}, measure="lm_eval")
    assert "task: {lm_eval: NAME}" in text


@pytest.mark.parametrize(
    ("name", "fields", "code"),
    [
        ("text_code", {}, "!function scoring."),
        ("text", {"metric_list": [{"metric": "./mine.py"}]}, "metric: ./mine.py"),
        ("text", {"class": "x.Y"}, "class: x.Y"),
        ("text", {"dataset_path": "pandas"}, "dataset_path: pandas"),
    ],
)
def test_code_needs_consent(tasks, tmp_path, name, fields, code):
    own = changed(tasks, name, tmp_path, **fields) if fields else str(tasks[name])
    text = refused(tmp_path, task={"lm_eval": own})
    assert code in text
    assert "unsafe_code" in text


def test_code_of_what_a_file_includes_needs_consent(tasks, tmp_path):
    (tmp_path / "outer.yaml").write_text(f"include: {tasks['text_code']}\ntask: outer\n")
    assert "!function" in refused(tmp_path, task={"lm_eval": "./outer.yaml"})


def test_a_template_reaches_nothing_but_its_document(tasks, tmp_path):
    spy = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    own = changed(tasks, "text", tmp_path, doc_to_text=spy)
    assert "unsafe" in refused(tmp_path, task={"lm_eval": own})


def test_a_setting_of_generation_that_means_nothing_here(tasks, tmp_path):
    own = changed(tasks, "text", tmp_path, generation_kwargs={"num_beams": 4})
    assert "num_beams: 4 has no meaning here" in refused(tmp_path, task={"lm_eval": own})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("spec=x.yaml,case=a,b", "'b' has no value; write it as JSON"),
        ("case=a", "--model_args has no spec"),
        ("spec=nowhere.yaml,case=a", "nowhere.yaml"),
    ],
)
def test_arguments_of_the_model(tmp_path, monkeypatch, capsys, given, told, tasks):
    monkeypatch.chdir(tmp_path)
    argv = ["lm-eval", "run", "--model", "titrate", f"--model_args={given}"]
    assert main([*argv, "--tasks", str(tasks["text"])]) == 2
    errors = [each for each in capsys.readouterr().err.splitlines() if each.startswith("titrate:")]
    assert len(errors) == 1
    assert told in errors[0]
