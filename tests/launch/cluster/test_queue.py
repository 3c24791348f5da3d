"""What is said of a SLURM that is not here, or does not answer."""

from __future__ import annotations

import pytest

from harness.errors import StoreError, TitrateError
from harness.launch.cluster import queue


def test_a_machine_without_slurm_says_so_and_calls_no_job_ended(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="squeue: there is none on PATH; run the same command"):
        queue.job_states(["12_3"])
    with pytest.raises(TitrateError, match="scancel: there is none on PATH; run the same command"):
        queue.cancel(["12"])


def test_a_queue_that_does_not_answer_is_told_from_one_that_has_forgotten(monkeypatch, tmp_path):
    squeue = tmp_path / "squeue"
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    def says(text):
        squeue.write_text(f"#!/bin/sh\necho 'slurm_load_jobs error: {text}' >&2\nexit 1\n")
        squeue.chmod(0o755)

    says("Invalid job id specified")
    assert queue.job_states(["12"]) == {}
    says("Unable to contact slurm controller (connect failure)")
    with pytest.raises(StoreError, match=r"controller .connect failure.; run the same command"):
        queue.job_states(["12"])
