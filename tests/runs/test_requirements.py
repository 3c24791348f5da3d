"""Reasons to skip, on this machine and with a hub that is a socket of our own."""

from __future__ import annotations

import socket

import pytest

from harness.files import hub as hub_files
from harness.runs import requirements
from harness.runs.requirements import unmet
from harness.tasks.lm_eval import catalogue
from tests.runs.small import experiment


@pytest.fixture(autouse=True)
def forgotten():
    """Answers are kept for a run; every test is a run of its own."""
    hub_files.answers.cache_clear()
    yield
    hub_files.answers.cache_clear()


@pytest.fixture
def hub(monkeypatch):
    """A socket that accepts connections in place of the hub."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(hub_files, "getproxies", dict)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
        yield server


NETWORK = {"network": True}


def test_nothing_is_required_by_default():
    assert unmet(experiment()) is None


def test_a_task_of_lm_eval_is_skipped_where_lm_eval_is_not_installed(monkeypatch):
    asked = experiment(task={"lm_eval": "arc_easy"})
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    assert unmet(asked) == "needs lm-eval; pip install 'pytest-titrate[lm-eval]'"
    monkeypatch.undo()
    assert unmet(asked) is None


def test_more_memory_than_any_machine_has_is_a_reason():
    reason = unmet(experiment(requires={"gpu_memory_gib": 9999.0}))
    assert reason.startswith("requires an accelerator with 9999 GiB; ")


@pytest.mark.parametrize(
    ("largest", "reason"),
    [
        (0.0, "requires an accelerator with 70 GiB; none is visible here"),
        (24.0, "requires an accelerator with 70 GiB; the largest here has 24"),
        (70.0, None),
        (80.0, None),
    ],
)
def test_memory_is_that_of_the_largest_accelerator(monkeypatch, largest, reason):
    monkeypatch.setattr(requirements, "_largest_accelerator_gib", lambda: largest)
    assert unmet(experiment(requires={"gpu_memory_gib": 70.0})) == reason


def test_a_hub_that_answers_is_enough(hub):
    assert unmet(experiment(requires=NETWORK)) is None


def test_a_hub_that_refuses_is_a_reason(hub):
    hub.close()
    reason = unmet(experiment(requires=NETWORK))
    assert reason == "requires the Hugging Face hub; it cannot be reached from here"


def test_the_offline_switch_counts_as_no_network(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert unmet(experiment(requires=NETWORK)) is not None


def test_the_hub_is_asked_once_per_run(hub):
    assert unmet(experiment(requires=NETWORK)) is None
    hub.close()
    assert unmet(experiment(requires=NETWORK)) is None
