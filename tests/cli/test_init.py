"""`titrate init`: what it writes is this project's own, it overwrites nothing, and it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.cli.init import project
from harness.cli.main import main
from harness.spec import experiment_schema, load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new") / "project"
    assert main(["init", str(folder)]) == 0
    return folder


def ran(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_specs_and_benches_are_the_ones_that_are_tested_here(written):
    files = [file for file in project() if file.endswith(".yaml") or file.startswith("benches/")]
    assert len(files) > 10
    for name in files:
        assert (written / name).read_bytes() == (ROOT / name).read_bytes()
    for spec in (written / "specs").rglob("*.yaml"):
        experiment, _ = load(spec)
        assert experiment.model.startswith("zoo/")


def test_editors_find_the_schema_from_every_spec(written):
    schema = written / "specs" / "experiment.schema.json"
    assert json.loads(schema.read_text()) == experiment_schema()
    for spec in (written / "specs").rglob("*.yaml"):
        first = spec.read_text().splitlines()[0]
        assert (spec.parent / first.partition("$schema=")[2]).resolve() == schema


def test_the_workflow_runs_benches_that_are_there(written):
    workflow = yaml.safe_load((written / ".github/workflows/titrate.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["benches"]["steps"]]
    assert sum(step.startswith("pytest benches -k ") for step in steps) == 2


@pytest.mark.slow
def test_its_benches_and_its_specs_run(written):
    one = ["-k", "keep_topk and agentic and 32"]
    out = ran(written, "-m", "pytest", "benches", "-q", *one, "--titrate-limit=1")
    assert "1 passed" in out
    titrate = "import sys; from harness.cli.main import main; sys.exit(main(sys.argv[1:]))"
    spec = "specs/router_masks/keep_topk.yaml"
    out = ran(written, "-c", titrate, "run", spec, *one, "--limit", "1")
    assert "1 passed, 13 deselected in " in out
    assert "0 model loads; 2 requests (2 stored)" in out


def test_it_overwrites_nothing(written, capsys):
    before = {file: file.stat().st_mtime_ns for file in written.rglob("*") if file.is_file()}
    assert main(["init", str(written)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"titrate: {written}/benches/")
    assert "init overwrites nothing" in told
    assert before == {file: file.stat().st_mtime_ns for file in before}


def test_a_project_that_is_there_keeps_what_it_has(tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert main(["init", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"{tmp_path}/README.md: kept as it is" in out
    assert '[tool.pytest]\npython_files = ["test_*.py", "bench_*.py"]' in out
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "pytest.toml").exists()
    assert (tmp_path / "specs/router_masks/keep_topk.yaml").exists()
