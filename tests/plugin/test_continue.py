"""`--titrate-continue`, `titrate run --continue`: what was given up is asked all samples.

Every answer is that of a run which asked all at once, whoever goes on with it.
"""

from __future__ import annotations

import json

import pytest

from tests.durability.project import SPEC, make_project

SIZE = 24
STOP = "stop: {decide: [pass@1 differs from baseline], look: 6, futility: 0.2}\n"
STOPPING = (
    SPEC.replace("limit: 3", f"limit: {SIZE}")
    .replace("max_new_tokens: 10", "max_new_tokens: 40")
    .replace("  prompt.style: [assisted, agentic]\n", "")
    .replace("gates:", f"{STOP}gates:")
)
OTHER = STOPPING.replace("name: small", "name: other").replace(STOP, "")
SPEC_FILE = "specs/small.yaml"
GIVEN_UP, DECIDED = "small[count=0]", "small[count=30]"


def answers(directory):
    """What was said of every sample of the experiment that stops itself, by case and sample."""
    with (directory / "samples.jsonl").open() as file:
        lines = [json.loads(line) for line in file]
    return {
        (line["case"], line["sample"]): line for line in lines if line["case"].startswith("small")
    }


def verdicts(directory):
    """How many samples its cases were asked, and how they ended."""
    cases = json.loads((directory / "report.json").read_text())["cases"]
    return {
        case["id"]: (case["task"]["size"], case["stopped"]["verdict"])
        for case in cases
        if case["id"].startswith("small")
    }


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(prepared, tmp_path_factory):
    """Where a run stopped itself, in `stopped`, and the same spec was run whole, in `whole`."""
    folder = make_project(tmp_path_factory.mktemp("going_on"), STOPPING)
    for place, more in (("stopped", ()), ("whole", ("--titrate-set=stop=null",))):
        ended = prepared.run(folder, SPEC_FILE, f"--titrate-report={place}", *more)
        assert ended.status == 0, ended.output
    return folder


def check_goes_on(project, directory):
    """Held against what stopped, and against what was asked at once."""
    before, after = verdicts(project / "stopped"), verdicts(directory)
    assert before[GIVEN_UP][0] < SIZE
    assert before[GIVEN_UP][1] == "undecided, ended early"
    assert before[DECIDED][0] < SIZE
    assert before[DECIDED][1] == "differs"
    assert after[GIVEN_UP] == (SIZE, "undecided")
    assert after[DECIDED] == before[DECIDED]
    whole, found = answers(project / "whole"), answers(directory)
    assert sum(case == GIVEN_UP for case, _ in found) == SIZE
    assert found == {at: whole[at] for at in found}


def test_pytest_goes_on_where_a_run_stopped_itself(prepared, project):
    ended = prepared.run(project, SPEC_FILE, "--titrate-report=further", "--titrate-continue")
    assert ended.status == 0, ended.output
    check_goes_on(project, project / "further")


def test_titrate_run_goes_on_where_a_run_stopped_itself(prepared, project):
    command = ("run", SPEC_FILE, "--report", "by_verb", "--continue")
    ended = prepared.run(project, *command, program="titrate")
    assert ended.status == 0, ended.output
    check_goes_on(project, project / "by_verb")


def test_workers_go_on_and_so_does_the_shard_that_has_it(prepared, project):
    workers = prepared.run(
        project, SPEC_FILE, *prepared.workers(2), "--titrate-report=workers", "--titrate-continue"
    )
    assert workers.status == 0, workers.output
    check_goes_on(project, project / "workers")
    (project / "specs" / "other.yaml").write_text(OTHER)
    for index in (1, 2):
        ended = prepared.run(
            project,
            "specs",
            f"--titrate-shard={index}/2",
            f"--titrate-report=shard{index}",
            "--titrate-continue",
        )
        assert ended.status == 0, ended.output
    (own,) = [project / f"shard{index}" for index in (1, 2) if answers(project / f"shard{index}")]
    check_goes_on(project, own)
