"""`titrate doctor` on this machine: every line is there, and its verdict is the sandbox's."""

import pytest

from harness import sandbox
from harness.cli.main import main
from harness.errors import SandboxError
from harness.sandbox import Level, grants


def test_it_shows_what_scoring_will_use(capsys):
    try:
        chosen = sandbox.choose()
    except SandboxError:
        pytest.skip("nothing isolates code on this machine; tests/sandbox/test_refusal.py has that")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"Code that a model wrote is isolated by: {chosen}.\n")
    for word in ("python", "torch", "memory_gib", "accelerators", "user namespace", "Landlock"):
        assert f"\n{word}" in out
    assert f"attempt inside {chosen.level}" in out
    assert "possible" not in out
    assert "None" not in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_attempts_that_are_possible_are_called_so():
    """In a plain process the interpreter's library can at least be read, and processes be seen."""
    found = grants.attempts(Level.PROCESS)
    assert set(found) == set(grants._ATTEMPTS)
    assert all(result == "possible" or ": " in result for result in found.values())


def test_other_systems_are_told_that_these_are_linuxs(monkeypatch):
    monkeypatch.setattr(grants.sys, "platform", "darwin")
    found = {**grants.namespaces(), **grants.filters()}
    assert set(found.values()) == {"needs Linux, this is darwin"}
