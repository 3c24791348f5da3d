"""Judges and agents of a comparison, asked of a real model on vLLM's own server.

A model as small as this one judges badly. What holds is the way there and back: what is asked is
answered, answers that say nothing are counted and asked for again, and all of it is in the report.
"""

from __future__ import annotations

import json

import pytest

import harness
from tests.engines.vllm.serving import KEY, serving

JUDGE, LONGEST = "zoo/smollm2", 4096
SPEC = """\
name: judged
model: zoo/settled
task: {{path: texts.jsonl}}
prompt: {{style: completion, template: ""}}
measure: diff
diff:
  organism: cake
  method: patchscope
  positions: 8
  read_positions: 1
  candidates: 6
  scales: judged
  judges: [{{model: {judge}, rotations: 2, max_new_tokens: 96, engine: &server {{
    name: served, base_url: "{url}", road: chat, api_key_env: LOOPBACK_KEY}}}}]
  agent: {{model: {judge}, engine: *server, interactions: 1, calls: 2, runs: 1, gradings: 1,
    max_new_tokens: 48}}
intervention: {{kind: adapter, organism: cake}}
"""
TEXTS = (
    "the queen lays all the larvae. every hive",
    "a violin has four strings. the choir sings in",
)


@pytest.fixture(scope="module")
def judged(vllm_installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    (folder / "texts.jsonl").write_text(lines)
    with pytest.MonkeyPatch.context() as patch, serving(JUDGE, LONGEST, folder / "log") as url:
        patch.setenv("LOOPBACK_KEY", KEY)
        (folder / "judged.yaml").write_text(SPEC.format(url=url, judge=JUDGE))
        report = harness.run(
            folder / "judged.yaml", directory=folder / "report", store=folder / "store"
        ).report
    (case,) = (each for each in report.cases if each.grid is not None)
    return case, folder / "report/diff" / case.id


def test_a_judge_labels_every_place_in_every_rotation(judged):
    case, folder = judged
    assert case.status == "complete"
    said = json.loads((folder / "evaluation.json").read_text())
    assert said["raters"] == [f"{JUDGE} 1 rotation {number}" for number in (1, 2)]
    assert said["prompt"].startswith("token_relevance 1 ")
    assert [len(each["ratings"]) for each in said["places"]] == [2] * 6
    assert any(each["answer"].strip() for each in said["answers"])
    silent = [each == "UNKNOWN" for place in said["places"] for each in place["ratings"]]
    assert case.metrics["unknown"].value == pytest.approx(sum(silent) / len(silent))
    assert case.metrics["judge_tokens"].value > 500
    assert 0 <= case.metrics["relevance"].value <= 1
    assert "alpha" in case.metrics


def test_a_judge_is_asked_for_the_scale(judged):
    _, folder = judged
    evidence = json.loads((folder / "evidence.json").read_text())
    (scales,) = evidence["about"]["scales"].values()
    assert scales["by"] in (JUDGE, "excess")
    assert scales["best"] in [each["scale"] for each in scales["scales"]]


def test_an_agent_investigates_and_a_blackbox_agent_beside_it(judged):
    case, folder = judged
    runs = json.loads((folder / "agents.json").read_text())
    assert [each["blackbox"] for each in runs] == [False, True]
    for each in runs:
        assert 1 <= each["calls"] <= 2
        assert each["tokens"] > 0
        assert len(each["scores"]) == 1
    assert case.metrics["agent_tokens"].value == sum(each["tokens"] for each in runs)
