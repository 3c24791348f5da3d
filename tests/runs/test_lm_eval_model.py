"""A case of a spec as lm-eval's model: an intervention that asks another model, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("lm_eval")

import harness
from harness.errors import TitrateError
from harness.report.exports.lm_eval import results_of
from harness.report.recorded import recorded_results
from harness.runs.lm_eval_model import TitrateLM
from tests.tasks.lm_eval import local
from tests.tasks.lm_eval.peer import evaluated

ORACLE = {"kind": "oracle", "model": "zoo/oracle", "budget": 4, "length": 2, "step": 2}


@pytest.fixture
def tasks(tmp_path, monkeypatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    return local.write(tmp_path / "tasks")


def written(task: Path, **fields: Any) -> Path:
    plain = {"name": "guided", "model": "zoo/base", "task": {"lm_eval": str(task), "limit": 4}}
    path = Path("spec.yaml").absolute()
    path.write_text(yaml.safe_dump({**plain, "intervention": {**ORACLE, **fields}}))
    return path


def test_an_oracle_is_asked_and_gives_a_specs_own_numbers(tasks):
    spec = written(tasks["text"])
    theirs = evaluated(TitrateLM(str(spec), "guided", store="theirs"), tasks["text"], limit=4)
    report = harness.run(spec, directory=Path("out"), store=Path("ours"))
    plain, guided = sorted(recorded_results(report.directory), key=lambda each: each.case.id)[::-1]
    if guided.case.baseline is None:
        plain, guided = guided, plain
    mine = results_of(guided)
    assert mine["results"] == theirs["results"]
    assert [each["resps"] for each in mine["samples"]["text"]] == [
        each["resps"] for each in theirs["samples"]["text"]
    ]
    texts = [[each.completion.text for each in some.draws] for some in (plain, guided)]
    assert texts[0] != texts[1]  # and it has said something


@pytest.mark.parametrize(
    ("task", "fields", "told"),
    [
        ("choice", {}, "intervention.kind: oracle acts as a model generates"),
        ("target", {}, "intervention.kind: oracle acts as a model generates"),
        ("text", {"tokens": "text"}, "intervention.tokens: text needs prompts"),
    ],
)
def test_what_is_not_asked_under_guidance_is_refused_before_a_model_is_loaded(
    tasks, monkeypatch, task, fields, told
):
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model is loaded")

    for place in ("harness.runs.lm_eval_model.open_engine", "harness.runs.session.open_engine"):
        monkeypatch.setattr(place, never)
    spec = written(tasks[task], **fields)
    for ask in (
        lambda: evaluated(TitrateLM(str(spec), "guided"), tasks[task], limit=4),
        lambda: harness.run(spec, directory=Path("out")),
    ):
        with pytest.raises(TitrateError) as error:
            ask()
        assert told in str(error.value)
        assert "\n" not in str(error.value)
        assert "spec.yaml:" in str(error.value)
