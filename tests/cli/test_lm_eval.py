"""`titrate lm-eval`: lm-eval's command line asks a case of a spec, and its files say which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("lm_eval")

import harness
from harness.cli.lm_eval import asked_model
from harness.cli.main import main
from harness.engines import open_engine
from harness.report.exports.lm_eval import results_of
from harness.report.recorded import recorded_results
from harness.resolve.progress import Silent
from harness.resolve.resolver import Resolver
from harness.spec import expand, load
from harness.tasks.lm_eval.catalogue import folder
from tests.tasks.lm_eval import local

MASK = {"kind": "router_mask", "mode": "keep_topk", "points": {"random": 0}, "count": 8}
EASY = Path(__file__).parents[2] / "specs" / "data" / "easycode.jsonl"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--model titrate --model_args spec=a.yaml,case=b", {"spec": "a.yaml", "case": "b"}),
        ("--model titrate --model_args=spec=a.yaml,case=b", {"spec": "a.yaml", "case": "b"}),
        ("--model=titrate -a spec=a.yaml case=b", {"spec": "a.yaml", "case": "b"}),
        ("-M titrate -aspec=a.yaml", {"spec": "a.yaml"}),
        ('-M titrate --model_args={"spec":"a,b.yaml"} --tasks x', {"spec": "a,b.yaml"}),
        ("--model titrate -a spec=a.yaml -a case=b", {"spec": "a.yaml", "case": "b"}),
        ("--model titrate --tasks x", {}),
        ("--model titrate --config x.yaml", None),
    ],
)
def test_what_is_said_to_the_model_is_read_as_lm_eval_reads_it(words, found):
    assert asked_model(["run", *words.split()]) == ("titrate", found)


def code_task(here: Path) -> Path:
    """HumanEval as lm-eval brings it, on two problems in a file."""
    rows = EASY.read_text().splitlines(keepends=True)[:2]
    (here / "problems.jsonl").write_text("".join(rows))
    config = {
        "include": str(folder() / "humaneval" / "humaneval.yaml"),
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(here / "problems.jsonl")}},
        "generation_kwargs": {"until": ["\ndef"], "max_gen_toks": 8, "do_sample": False},
    }
    (here / "mine.yaml").write_text(yaml.safe_dump(config))
    return here / "mine.yaml"


@pytest.mark.slow  # lm-eval reads all of its 14 000 task files first
def test_its_files_have_a_cases_numbers_and_what_made_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    tasks = local.write(tmp_path / "tasks")
    plain: dict[str, Any] = {"model": "zoo/moe", "intervention": MASK}
    spec = tmp_path / "spec.yaml"
    asked = {"lm_eval": str(tasks["text"]), "limit": 4}
    spec.write_text(yaml.safe_dump({"name": "masked", **plain, "task": asked}))
    named = ",".join(str(each) for each in (tasks["text"], tasks["choice"], code_task(tmp_path)))
    argv = ["lm-eval", "run", "--model", "titrate", f"--model_args=spec={spec},case=masked"]
    out = str(tmp_path / "out")
    argv += ["--tasks", named, "--limit", "4", "--output_path", out, "--confirm_run_unsafe_code"]
    assert main([*argv, "--log_samples"]) == 0
    assert "ran in our sandbox" in capsys.readouterr().err
    (file,) = (tmp_path / "out").rglob("results_*.json")
    theirs = json.loads(file.read_text())
    said = theirs["config"]["titrate"]
    experiment = expand(*load(spec))[0].experiment
    engine = open_engine(experiment.model, experiment.engine)
    done = Resolver(engine, Silent()).resolve(experiment)
    assert done is not None
    assert said["engine_fingerprint"] == engine.fingerprint
    assert said["intervention_fingerprint"] == done.fingerprint()
    assert (said["case"], said["model"], said["engine"]) == ("masked", "zoo/moe", "transformers")
    assert "titrate's sandbox" in said["code"]
    for name in ("text", "choice"):
        own = {**plain, "name": name, "task": {**asked, "lm_eval": str(tasks[name])}}
        report = harness.run(harness.Experiment.model_validate(own), directory=tmp_path / name)
        result = next(
            each for each in recorded_results(report.directory) if each.case.baseline is not None
        )
        mine = results_of(result)["results"][name]
        for key, value in mine.items():
            if "stderr" not in key:  # of which lm-eval draws some
                assert theirs["results"][name][key] == value, (name, key)
