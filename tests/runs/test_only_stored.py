"""Showing what is stored loads no model, and a server that would be asked hears nothing."""

from __future__ import annotations

import pytest

import harness
from harness.runs import session
from tests.engines.served.faulty import running
from tests.tuned import tuned_into

SPEC = """\
name: diffed
model: zoo/base
task: {{path: texts.jsonl}}
prompt: {{style: completion, template: ""}}
measure: diff
diff: {{positions: 6, depth: 20, candidates: 5, relevant: [cake, butter, oil], tuned: {tuned}}}
"""
SERVED = "{{name: served, base_url: '{url}', road: chat}}"
STEERED = "diff.steered={prompts: [The], draws: 1, searched_tokens: 4, shown: 1, shown_tokens: 4}"


def answered(question):
    """What the server says: labels, grades, or a hypothesis."""
    return "\n".join([*(f"ANSWER[{at}]: RELEVANT" for at in range(1, 21)), "SCORE: 2"])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    return tuned_into(tmp_path_factory.mktemp("tuned"))


@pytest.fixture
def server():
    with running(said=answered) as state:
        yield state


@pytest.fixture
def run(tmp_path, tuned, monkeypatch):
    """Runs the spec and gives its case, and how many models were loaded."""
    (tmp_path / "texts.jsonl").write_text('{"text": "The river rises in the hills."}\n' * 2)
    spec = tmp_path / "diffed.yaml"
    spec.write_text(SPEC.format(tuned=tuned))
    opened = []

    def opening(name, *rest):
        opened.append(name)
        return open_engine(name, *rest)

    open_engine = session.open_engine
    monkeypatch.setattr(session, "open_engine", opening)

    def run(*overrides, mode="plotting", store="store"):
        opened.clear()
        (case,) = harness.run(
            spec,
            directory=tmp_path / "report",
            store=tmp_path / store,
            overrides=list(overrides),
            mode=mode,
        ).report.cases
        return case, list(opened)

    return run


def judges(server):
    return f"diff.judges=[{{model: zoo/oracle, engine: {SERVED.format(url=server.url)}}}]"


def agent(server):
    engine = SERVED.format(url=server.url)
    return f"diff.agent={{model: zoo/oracle, engine: {engine}, calls: 1, runs: 1}}"


def test_what_is_stored_is_shown_and_nobody_is_asked(run, server):
    asked = [judges(server), agent(server), STEERED]
    full, _ = run(*asked, mode="full")
    assert server.reached > 4
    server.reached = 0
    shown, opened = run(*asked)
    assert (opened, server.reached) == ([], 0)
    assert {name: each.value for name, each in shown.metrics.items()} == {
        name: each.value for name, each in full.metrics.items()
    }


@pytest.mark.parametrize("known", [False, True])
def test_what_is_not_stored_is_named_and_left_out(run, server, known):
    """Whether anything is known of the server, which is asked who it is before it is used."""
    run(mode="full")
    if known:
        run("diff.depth=5", judges(server), mode="full")
    server.reached = 0
    unjudged, opened = run(judges(server))
    assert "what judges say of the tokens is not; use diffing, or full" in unjudged.error
    assert "\n" not in unjudged.error
    without, more = run(agent(server), STEERED)
    assert (opened, more, server.reached) == ([], [], 0)
    assert without.status == "complete"
    assert without.warnings == (
        "what is written under steering is not stored, and plotting leaves it out",
        "what agents found out is not stored, and plotting leaves it out",
    )
    assert "relevance" in without.metrics
    assert not {"agent_score", "strength"} & without.metrics.keys()


def test_without_anything_stored_every_case_says_so(run):
    with pytest.raises(harness.TitrateError, match=r"zoo/base would be asked what is not stored"):
        run(store="empty")


def test_stored_activations_are_not_read_out_by_a_model(run):
    run("diff.method=adl", "diff.listed=50", mode="full")
    failed, opened = run("diff.method=adl", "diff.listed=51")
    assert opened == []
    assert "the evidence of adl is not" in failed.error
