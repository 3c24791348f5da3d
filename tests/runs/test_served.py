"""Whole runs that ask a server: what is stored, what fails, and that no key is written anywhere."""

from __future__ import annotations

import pytest

import harness
from harness.errors import SpecError
from harness.spec import Experiment
from harness.store.journal import lines
from tests.engines.served import faulty
from tests.engines.served.faulty import changed, status

KEY = "sk-planted-1234567890"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLANTED_KEY", KEY)
    return tmp_path


def experiment(server, **engine):
    return Experiment.model_validate(
        {
            "name": "asked",
            "model": "zoo/oracle",
            "task": {"name": "micro_gsm8k", "limit": 4},
            "sampling": {"max_new_tokens": 8},
            "engine": {
                "name": "served",
                "base_url": server.url,
                "api_key_env": "PLANTED_KEY",
                "retries": 0,
                **engine,
            },
        }
    )


def run(experiment, **options):
    (case,) = harness.run(experiment, **options).report.cases
    return case


def stored(project):
    files = (project / ".titrate" / "store").glob("*.jsonl")
    records = [line.record for file in files for line in lines(file)]
    return [record for record in records if record.get("kind") == "completion"]


def test_every_answer_is_stored_as_it_came_and_found_without_a_server(project):
    with faulty.running(key=KEY) as server:
        first = run(experiment(server))
        assert first.status == "complete"
        answers = [record["value"]["answer"] for record in stored(project)]
        assert len(answers) == 4
        assert all(answer["system_fingerprint"] == "toy" for answer in answers)
        asked = len(server.asked)
    again = run(experiment(server, concurrency=1, timeout=3.0))
    assert again.metrics == first.metrics
    assert len(server.asked) == asked


def test_a_request_that_failed_is_no_wrong_answer_and_is_asked_again_alone(project):
    with faulty.running(key=KEY) as server:
        server.faults = [lambda *_: False, lambda *_: False, status(500)]
        case = run(experiment(server, concurrency=1))
        assert case.status == "complete"
        assert {metric.n for metric in case.metrics.values()} == {3}
        (told,) = (each for each in case.warnings if "failed" in each)
        assert told.startswith("1 of 4 requests failed, and their samples are left out; run again")
        assert told.endswith("the server answered 500: not now")
        assert len(stored(project)) == 3
        server.asked.clear()
        whole = run(experiment(server))
        assert {metric.n for metric in whole.metrics.values()} == {4}
        assert len(server.asked) == 2  # the one, and the first question


def test_a_case_of_which_every_request_failed_has_failed(project):
    with faulty.running(key=KEY) as server:
        server.faults = [lambda *_: False]
        server.always = status(500)
        case = run(experiment(server))
    assert (case.status, case.metrics) == ("failed", {})
    assert case.error.startswith("every sample has a request that failed, first ")


def test_a_spent_budget_keeps_what_was_made(project):
    with faulty.running(key=KEY) as server:
        case = run(experiment(server, concurrency=1, token_limit=150))
        kept = len(stored(project))
        assert 0 < kept < 4
        assert case.metrics["exact_match"].n == kept
        assert any("engine.token_limit 150" in each for each in case.warnings)
        assert run(experiment(server, token_limit=2000)).metrics["exact_match"].n == 4


def test_a_server_that_is_not_there_is_one_line_before_any_sample(project):
    with faulty.running(key=KEY) as server:
        pass
    with pytest.raises(SpecError, match="no server answers there") as caught:
        run(experiment(server))
    assert "\n" not in str(caught.value)


def test_a_server_that_changed_under_stored_completions_is_noticed(project):
    with faulty.running(key=KEY) as server:
        run(experiment(server))
        server.release = "2.0"
        whole = experiment(server)
        more = whole.model_copy(update={"task": whole.task.model_copy(update={"limit": 5})})
        assert "its engine has changed since its completions were stored" in run(more).error


@pytest.mark.parametrize(
    "fault", [None, faulty.repeats_key, status(400, f"no {KEY}"), changed(text=f"my key is {KEY}")]
)
def test_the_key_is_written_nowhere(project, fault, capfd):
    with faulty.running(key=KEY) as server:
        server.faults = [lambda *_: False]  # the first question
        server.always = fault
        harness.run(experiment(server), directory="out")
    written = [file for file in project.rglob("*") if file.is_file()]
    assert len(written) > 5
    for file in written:
        assert KEY.encode() not in file.read_bytes(), file
    assert KEY not in "".join(capfd.readouterr())


def test_a_chat_is_a_model_too(project):
    with faulty.running(key=KEY) as server:
        server.said = lambda question: f"It is {len(question)}. The answer is 7."
        case = run(experiment(server, road="chat"))
    assert case.status == "complete"
    assert case.metrics.keys() >= {"exact_match", "parsed"}
    assert case.metrics["parsed"].value == 1.0
