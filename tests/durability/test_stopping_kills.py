"""A run that stops itself decides the same killed and with workers; no shard takes a part of it."""

from __future__ import annotations

import signal

import pytest

from tests.durability.project import SPEC, Reported, grown, make_project, size

COMMAND = ("specs/small.yaml", "--titrate-report=out")
STOPPING = (
    SPEC.replace("limit: 3", "limit: 24")
    .replace(
        "gates:", "stop: {decide: [pass@1 differs from baseline], look: 6, futility: 0.2}\ngates:"
    )
    .replace("  prompt.style: [assisted, agentic]\n", "")
)


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory):
    """What a run reports that nothing happened to, and how many bytes it has written."""
    folder = make_project(tmp_path_factory.mktemp("stopping"), STOPPING)
    ended = prepared.run(folder, *COMMAND)
    assert ended.status == 0, ended.output
    found = Reported.of(folder / "out")
    assert found.report["stopping"][0]["share"] < 1
    return found, size(folder)


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path, STOPPING)


@pytest.mark.slow
def test_killed_and_run_again_it_takes_the_same_decisions(prepared, undisturbed, project):
    expected, total = undisturbed
    killed = prepared.run_until(grown(project, 0.6 * total), signal.SIGKILL, project, *COMMAND)
    assert killed.status == -signal.SIGKILL
    ended = prepared.run(project, *COMMAND)
    assert ended.status == 0, ended.output
    assert " stored)" in ended.output
    assert Reported.of(project / "out") == expected


@pytest.mark.slow
def test_workers_take_the_same_decisions_and_a_shard_of_it_is_refused(
    prepared, undisturbed, project
):
    expected, _ = undisturbed
    ended = prepared.run(project, *COMMAND, *prepared.workers(2))
    assert ended.status == 0, ended.output
    assert decisions(Reported.of(project / "out")) == decisions(expected)
    refused = prepared.run(project, *COMMAND, "--titrate-shard=1/2")
    assert refused.status == 4
    assert "shard 1/2: there is work for 1 of 2 shards only; use 1/1 to 1/1" in refused.output


def decisions(reported):
    """What was asked, and what was made of it."""
    report = reported.report
    return report["stopping"], [(case["id"], case["stopped"]) for case in report["cases"]]
