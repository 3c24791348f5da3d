"""Judges in whole runs: a server that is asked, its UNKNOWN answers, and models of this machine."""

from __future__ import annotations

import json

import pytest

import harness
from harness import registry
from harness.errors import SpecError
from harness.runs.checks import planned
from harness.spec import expand, load
from harness.tasks.base import Conversation
from tests.engines.served import faulty

RUBRIC = """\
---
version: 1
options: {good: 1, bad: 0}
answer: 'VERDICT: (\\w+)'
---
QUESTION {{ record.question }}
ANSWER {{ completion }}
{{ options | join(' or ') }}?
"""
SPEC = """\
name: judged
model: zoo/oracle
task: {{name: micro_gsm8k, limit: 4}}
sampling: {{max_new_tokens: 16}}
metrics:
  - {item}
"""
SERVED = (
    "{{kind: judge, rubric: rubric.md, model: judge-1, rotations: 2,{more} "
    "engine: {{name: served, base_url: '{url}', road: chat, retries: 0}}}}"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rubric.md").write_text(RUBRIC)
    return tmp_path


@pytest.fixture
def server():
    with faulty.running(model="judge-1", models=["judge-1"]) as state:
        yield state


def written(project, *items):
    (project / "judged.yaml").write_text(SPEC.format(item="\n  - ".join(items)))
    return project / "judged.yaml"


def served(server, more=""):
    return SERVED.format(url=server.url, more=more)


def run(spec, **options):
    (case,) = harness.run(spec, **options).report.cases
    return case


def first_option(question):
    return f"Let me see. VERDICT: {question.splitlines()[-1].split()[0]}"


def test_each_completion_is_judged_in_every_rotation_once_for_all_that_is_said(project, server):
    server.said = first_option  # as biased by position as can be
    items = [
        served(server),
        served(server, " says: agreement, name: alpha,"),
        served(server, " says: unknown, name: unsure,"),
    ]
    case = run(written(project, *items), directory="out")
    assert case.metric == "judge"
    assert case.metrics["judge"].value == 0.5
    assert case.metrics["alpha"].value < 0
    assert case.metrics["unsure"].value == 0
    assert len(server.asked) == 4 * 2
    assert {body["messages"][0]["content"].splitlines()[-1] for body in server.asked} == {
        "good or bad?",
        "bad or good?",
    }
    lines = (project / "out" / "samples.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["told"]["judge"] == [
        "Let me see. VERDICT: good",
        "Let me see. VERDICT: bad",
    ]


def test_what_was_judged_is_found_without_a_server(project):
    with faulty.running(model="judge-1", models=["judge-1"]) as server:
        server.said = lambda _: "VERDICT: good"
        spec = written(project, served(server))
        first = run(spec)
    assert first.metrics["judge"].value == 1
    assert run(spec).metrics == first.metrics


def test_a_rubric_that_says_something_else_is_another_judge(project, server):
    server.said = lambda _: "VERDICT: good"
    spec = written(project, served(server))
    run(spec)
    (project / "rubric.md").write_text(RUBRIC.replace("QUESTION", "Q"))
    run(spec)
    assert len(server.asked) == 2 * 4 * 2


def test_what_cannot_be_read_is_asked_again_once_with_another_seed(project, server):
    server.said = lambda _: "hm" if len(server.asked) <= 8 else "VERDICT: good"
    items = [served(server), served(server, " says: unknown, name: unsure,")]
    case = run(written(project, *items))
    assert case.metrics["judge"].value == 1
    assert case.metrics["unsure"].value == 1
    first, second = server.asked[:8], server.asked[8:]
    assert len(second) == 8
    assert {body["temperature"] for body in first} == {0.0}
    assert {body["temperature"] for body in second} == {1.0}
    assert all("seed" in body for body in second)


def test_what_stays_unknown_is_a_failed_sample_and_no_zero(project, server):
    asked = []

    def said(question):
        asked.append(question.splitlines()[0])
        return "who knows?" if asked[0] == question.splitlines()[0] else "VERDICT: good"

    server.said = said
    case = run(written(project, served(server)))
    assert (case.metrics["judge"].value, case.metrics["judge"].n) == (1, 3)
    (told,) = (each for each in case.warnings if each.startswith("judge failed"))
    assert "failed for 1 of 4 samples" in told
    assert "2 of 2 answers of the judge are UNKNOWN, also when it was asked again: 'who kn" in told
    assert len(server.asked) == 8 + 2


def test_a_judge_that_gives_no_answer_has_failed_too(project, server):
    server.said = lambda _: "VERDICT: good"
    server.faults = [faulty.status(500)]
    case = run(written(project, served(server)))
    assert case.metrics["judge"].n == 3
    assert any("the judge gave no answer: " in each for each in case.warnings)


ASKED = """\
---
version: 1
scale: {least: 0, greatest: 999}
answer: '(\\d+)'
---
{{ record.question }}
"""


@pytest.mark.parametrize("more", ["", " model: zoo/base,"])
def test_a_model_of_this_machine_judges_the_own_untouched_or_another(project, more):
    (project / "rubric.md").write_text(ASKED)
    item = f"{{kind: judge, rubric: rubric.md,{more} max_new_tokens: 40}}"
    case = run(written(project, item, "{kind: judge, rubric: rubric.md, says: unknown, name: un}"))
    judged = case.metrics["judge"]
    assert 0 < judged.n <= 4
    assert 0 <= judged.value <= 999


class Length:
    """As another package would bring it."""

    rotations = 1
    level = "interval"

    def conversation(self, seen, answer, rotation):
        return Conversation(({"role": "user", "content": f"{seen.id}: {answer.text}"},))

    def value(self, text):
        return float(len(text))


def test_a_judge_of_another_package_is_asked_by_its_name(project, server):
    registry.judges.register("length", Length())
    try:
        item = served(server).replace("rubric: rubric.md", "judge: length")
        case = run(written(project, item.replace("rotations: 2", "rotations: 1")))
    finally:
        registry.judges.unregister("length")
    assert case.metrics["judge"].value > 10


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("{kind: judge}", "rubric or judge says what is asked; give one of them"),
        ("{kind: judge, rubric: no.md}", "no.md: cannot be read: No such file"),
        (
            "{kind: judge, rubric: rubric.md, rotations: 3}",
            "rotations: 3 is more than its wordings",
        ),
        (
            "{kind: judge, rubric: rubric.md, says: agreement}",
            "needs ratings to agree, and rotations",
        ),
        ("{kind: judge, rubric: rubric.md, model: zoo/none}", "zoo/none"),
        (
            "{kind: judge, rubric: rubric.md, engine: {name: transformers}}",
            "engine runs a model of its own; give model, or leave engine out",
        ),
        (
            "{kind: judge, rubric: rubric.md, model: m, engine: {name: served, road: chat}}",
            "engine.base_url: missing, and served asks a server",
        ),
        (
            "{kind: judge, rubric: other.md}",
            "other.md: 'dict object' has no attribute 'words', for s",
        ),
    ],
)
def test_what_cannot_be_judged_is_told_before_anything_is_loaded(project, item, told):
    (project / "other.md").write_text(RUBRIC.replace("record.question", "record.words"))
    with pytest.raises(SpecError) as caught:
        list(map(planned, expand(*load(written(project, item)))))
    assert told in str(caught.value)
    assert "judged.yaml:6 metrics[0]" in str(caught.value)
