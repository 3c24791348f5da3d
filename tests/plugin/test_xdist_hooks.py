"""What the hooks leave alone, and what they refuse before any model is loaded."""

from __future__ import annotations

import os
import re
import sys

import pytest

from tests.launch.xdist.runs import BENCH, Project

pytest.importorskip("xdist")

SHOW = """\
import os
import re

def test_devices():
    count = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    print(f"{count} workers; devices", os.environ.get("CUDA_VISIBLE_DEVICES"))
"""
# Two devices, as `nvidia-smi -L` lists them.
DRIVER = """\
print("GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aa110000-1111-2222-3333-444455556666)")
print("GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bb220000-1111-2222-3333-444455556666)")
"""


@pytest.fixture
def project(tmp_path):
    made = Project.made(tmp_path / "project")
    (made.path / "tests").mkdir()
    (made.path / "tests" / "test_plain.py").write_text(SHOW)
    return made


@pytest.fixture
def devices(tmp_path):
    """The environment of a machine with two accelerators."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{DRIVER}")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.slow
def test_other_peoples_tests_keep_their_workers_and_their_devices(project, devices):
    """What -n auto means to them is xdist's business: here the value of its own variable."""
    environment = devices | {"CUDA_VISIBLE_DEVICES": "1,0", "PYTEST_XDIST_AUTO_NUM_WORKERS": "3"}
    done = project.run("tests", "-nauto", "-rP", **environment)
    assert done.returncode == 0, done.stdout
    assert "3 workers; devices 1,0" in done.stdout
    assert "titrate" not in done.stdout.split("rootdir")[1].split("\n", 3)[3]
    assert not (project.path / ".titrate").exists()


def test_auto_is_a_worker_per_device_and_each_gets_one_of_the_callers(project, devices):
    (project.path / "benches" / "bench_all.py").write_text(
        "import harness.testing\n" + SHOW + SHOW.replace("test_devices", "test_devices_again")
    )
    done = project.run("benches", "-nauto", "-rP", **devices, CUDA_VISIBLE_DEVICES="GPU-bb,0")
    assert done.returncode == 0, done.stdout
    seen = sorted(line for line in done.stdout.splitlines() if "; devices" in line)
    assert seen == ["2 workers; devices 0", "2 workers; devices GPU-bb"], done.stdout


def refused(done):
    """The one line that says why, of a run that ended before a model was loaded."""
    assert "loading" not in done.stdout
    assert "Traceback" not in done.stdout
    assert "INTERNALERROR" not in done.stdout
    assert "replacing crashed worker" not in done.stdout
    assert done.returncode != 0
    return done.stdout


@pytest.mark.slow
def test_more_workers_than_devices(project, devices):
    done = project.run("benches", "-n3", **devices, CUDA_VISIBLE_DEVICES="1,0")
    assert (
        "ERROR: -n 3: 3 workers, but 2 accelerators visible (CUDA_VISIBLE_DEVICES=1,0); use -n 2 "
        "or -n auto, or hide them with CUDA_VISIBLE_DEVICES= to run on the CPU\n"
    ) in refused(done)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert not (project.path / ".titrate").exists()


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("0/2", "ERROR: --titrate-shard 0/2: there is no such shard; use 1/2 to 2/2\n"),
        ("half", "ERROR: --titrate-shard half: is not a shard; use I/N, such as 1/2 and 2/2\n"),
    ],
)
def test_a_shard_that_there_is_not(project, shard, message):
    done = project.run("benches", f"--titrate-shard={shard}")
    assert message in refused(done)
    assert not (project.path / ".titrate").exists()


def test_what_only_workers_can_find_out_is_told_once(project, prepared):
    (project.path / "store").write_text("")
    done = project.run("benches", *prepared.workers(2), "--titrate-store=store")
    assert refused(done).count("no completion store can be read here: ") == 1
    assert not (project.path / "reports").exists()


def test_a_run_that_cannot_be_recorded_is_told_once(project):
    (project.path / ".titrate").mkdir()
    (project.path / ".titrate" / "runs").write_text("")
    done = project.run("benches", "-n2")
    assert refused(done).count("the run's records cannot be written: Not a directory; free ") == 1
    assert not (project.path / "reports").exists()


@pytest.mark.slow
def test_too_many_shards_are_told_once_by_workers(project, prepared):
    done = project.run("benches", *prepared.workers(2), "--titrate-shard=1/99")
    assert refused(done).count("ERROR collecting titrate") == 1
    assert "shard 1/99: there is work for 8 of 99 shards only; use 1/8 to 8/8\n" in done.stdout


def test_a_report_directory_in_use_is_refused_before_workers_start(project):
    done = project.run("benches", "-n2", "--titrate-report=tests")
    assert "ERROR: " in refused(done)
    assert "is not a report: it holds test_plain.py; choose" in done.stdout
    assert not (project.path / ".titrate").exists()


def test_a_plan_needs_no_workers(project):
    done = project.run("benches", "-n2", "--titrate-plan")
    assert done.returncode == 0, done.stdout
    assert not re.search(r"\bgw0(?!/)", done.stdout)  # a folder of the test's may be called so
    assert "prompt tokens" in done.stdout


def test_a_bench_that_the_controller_could_not_find_says_so(project, prepared):
    """Hidden behind an import, so that nobody knew of it when workers were started."""
    (project.path / "hidden.py").write_text("from harness.testing import experiments\n")
    (project.path / "tests" / "test_plain.py").write_text(
        BENCH.replace("harness.testing", "hidden").replace("bench_all", "test_all")
    )
    sys_path = os.pathsep.join([str(project.path), *sys.path])
    done = project.run("tests", *prepared.workers(1), PYTHONPATH=sys_path)
    expected = "no bench was found on the command line; name the file that imports harness.testing"
    assert expected in refused(done)
