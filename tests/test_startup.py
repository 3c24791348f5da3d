"""Who runs no model imports no torch: looked up in `sys.modules`, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODEL = "name: lost\nmodel: ./nowhere\ntask: {name: micro_gsm8k}\naxes: {seed: [0]}\n"

# Runs commands one after the other; says which of the slow libraries each has brought in.
VERBS = """
import contextlib, io, json, sys
from harness.cli.main import main

found = []
for command in json.loads(sys.argv[1]):
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            status = main(command)
        except SystemExit as ended:
            status = ended.code
    found.append([status, told.getvalue(), sorted({"torch", "transformers"} & set(sys.modules))])
print(json.dumps(found))
"""
BENCHES = """
import sys, pytest
status = pytest.main(sys.argv[1:])
slow = {"torch", "transformers", "scipy", "pandas", "optuna", "hypothesis"}
print(int(status), sorted(slow & set(sys.modules)))
"""


def run(program: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_verbs_that_run_no_model_import_no_torch(tmp_path):
    (tmp_path / "lost.yaml").write_text(MODEL)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    commands = [
        ["--help"],
        ["schema", "experiment"],
        ["schema", "report"],
        ["store", "list"],
        ["report", str(ROOT / "reports" / "example")],
        ["run", "lost.yaml"],
        ["run", "lost.yaml", "--model", "zoo/lost"],
        ["run", "lost.yaml", "--model", "./broken"],
    ]
    found = json.loads(run(VERBS, json.dumps(commands), cwd=tmp_path))
    assert {
        command[0]: libraries for command, (_, _, libraries) in zip(commands, found, strict=True)
    } == {command[0]: [] for command in commands}
    assert [status for status, _, _ in found] == [0, 0, 0, 2, 0, 2, 2, 2]
    lost, unknown, broken = (told for _, told, _ in found[-3:])
    assert lost.startswith(f"titrate: lost.yaml:2 model: model folder {tmp_path}/nowhere does not ")
    assert unknown.startswith("titrate: --model zoo/lost model: zoo/lost is not in the zoo; use ")
    assert "broken' cannot be loaded: its config.json cannot be read as JSON: " in broken
    assert all(told.count("\n") == 1 for told in (lost, unknown, broken))


def test_benches_of_which_none_is_selected_import_no_torch():
    last = run(BENCHES, "benches", "-q", "-k", "no_such_case", "-p", "no:cacheprovider", cwd=ROOT)
    assert last.splitlines()[-1] == f"{int(pytest.ExitCode.NO_TESTS_COLLECTED)} []"
