"""A run in which a model asks another one, killed in the middle and run again, loses no answer."""

from __future__ import annotations

import signal

import pytest

from tests.durability.project import Reported, make_project

COMMAND = ("specs/small.yaml", "--titrate-report=out")
#: Whole answers over many rounds, four at a time.
GUIDED = """\
name: small
model: zoo/base
task: {name: micro_gsm8k, limit: 8}
intervention:
  kind: oracle
  model: zoo/oracle
  length: 4
  step: 4
  trigger: {kind: entropy, above: 0.2}
sampling: {max_new_tokens: 32}
engine: {determinism: strict, slots: 4, columns: 224}
axes:
  intervention.budget: [0, 1, 8]
dose: intervention.budget
gates: [neutral_equals_baseline]
"""


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory):
    """What a run reports that nothing happened to, and the answers that it stores."""
    folder = make_project(tmp_path_factory.mktemp("guided"), GUIDED)
    ended = prepared.run(folder, *COMMAND)
    assert ended.status == 0, ended.output
    found = Reported.of(folder / "out")
    assert found.report["help"][0]["points"][-1]["share"]["value"] > 0
    return found, answers(folder)


def answers(folder):
    """The completions in the store, each by its key."""
    lines = [
        line
        for path in (folder / ".titrate" / "store").glob("*.jsonl")
        for line in path.read_bytes().splitlines(keepends=True)
    ]
    return sorted(line for line in lines if b'"kind":"completion"' in line and line[-1:] == b"\n")


@pytest.mark.slow
def test_killed_in_the_middle_it_loses_what_was_in_flight_alone(prepared, undisturbed, tmp_path):
    expected, every = undisturbed
    project = make_project(tmp_path, GUIDED)

    def four_were_helped() -> bool:
        return sum(b'"asked entropy"' in each for each in answers(project)) >= 4

    killed = prepared.run_until(four_were_helped, signal.SIGKILL, project, *COMMAND)
    assert killed.status == -signal.SIGKILL
    there = answers(project)
    assert 0 < len(there) < len(every)
    ended = prepared.run(project, *COMMAND)
    assert ended.status == 0, ended.output
    # What was stored stays, what was not is made, and nothing is made twice.
    assert len(answers(project)) == len(every)
    assert set(there) <= set(answers(project))
    assert Reported.of(project / "out") == expected
