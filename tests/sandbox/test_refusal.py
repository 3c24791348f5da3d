"""Where nothing isolates, nothing is run: found before a model is loaded, said in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import harness.runs.session  # noqa: F401 - torch, which a test of pytest inside pytest cannot import
from harness.errors import SandboxError
from harness.resolve import tasks
from harness.sandbox import Level, choose, pool
from harness.sandbox.refusal import refusal, switched_off

ROOT = Path(__file__).parents[2]
SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
sampling: {max_new_tokens: 8}
"""

#: Refuses unshare(2) and every clone(2) with a namespace, as containers do; for this process and
#: all its children, `bwrap` included.
REFUSING = """
import ctypes, errno, platform, struct, sys
from harness.sandbox import libc, seccomp
unshare, clone = {"x86_64": (272, 56), "aarch64": (97, 220)}[platform.machine()]
program = [
    (0x20, 0, 0, 0),
    (0x15, 0, 1, unshare), (0x06, 0, 0, 0x50000 | errno.EPERM),
    (0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 0, 1, 0x7E020000),
    (0x06, 0, 0, 0x50000 | errno.EPERM),
    (0x06, 0, 0, 0x7FFF0000),
]
seccomp.assemble = lambda *_: program
libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
seccomp.restrict()
"""
#: Allows no user namespace below its own, as some distributions do for everyone.
FORBIDDING = """
import os
from pathlib import Path
from harness.sandbox import libc
user, group = os.getuid(), os.getgid()
libc.unshare(libc.CLONE_NEWUSER)
for name, value in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    Path("/proc/self", name).write_text(value)
Path("/proc/sys/user/max_user_namespaces").write_text("0")
"""


def machine(start, folder):
    """A machine with a setting, of which `start` is the setting."""
    return subprocess.run(
        [sys.executable, "-c", start],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "small.yaml").write_text(SPEC)
    return tmp_path


SETTINGS = {
    "unshare is refused": (REFUSING, "unshare: Operation not permitted"),
    "user namespaces are switched off": (FORBIDDING, "unshare: No space left on device"),
}


@pytest.fixture(params=SETTINGS)
def setting(request, isolation):
    """Two ways for a machine to have no namespaces; both need one that has them."""
    if SETTINGS[request.param][0] is REFUSING and "seccomp" not in isolation.layers:
        pytest.skip("needs a system call filter to refuse with")
    return SETTINGS[request.param]


def test_a_machine_without_namespaces_gets_a_reason_and_may_be_overruled(setting, tmp_path):
    start, reason = setting
    both = """
from harness.cli.main import main
from harness.errors import SandboxError
from harness.sandbox import check, choose, pool
try:
    choose()
except SandboxError as error:
    print(error)
found = choose(unsafe_code=True)
print(found, *check([pool._PROBE], found))
"""
    done = machine(start + both, folder=tmp_path)
    refused, allowed = done.stdout.splitlines()
    place = "code that a model wrote cannot be isolated on this machine"
    assert refused.startswith(f"{place} (namespaces: {reason}; bubblewrap: "), done.stderr
    assert ("user.max_user_namespaces = 0" in refused) == (start is FORBIDDING)
    assert allowed.startswith("process")
    assert allowed.endswith(" passed")


def test_titrate_refuses_a_run_in_one_line_unless_it_is_allowed(isolation, spec):
    """In one process, because each pays for importing torch: refused, examined, allowed."""
    if "seccomp" not in isolation.layers:
        pytest.skip("needs a system call filter to refuse with")
    verbs = """
import sys
from harness.cli.main import main
for arguments in (
    ["run", "small.yaml", "--report", "refused"],
    ["doctor"],
    ["run", "small.yaml", "--report", "allowed", "--unsafe-code"],
):
    print("exit", main(arguments), flush=True)
    print("exit", file=sys.stderr, flush=True)
"""
    done = machine(REFUSING + verbs, folder=spec)
    refused, doctor, allowed, _ = re.split(r"^exit.*\n", done.stderr, flags=re.MULTILINE)
    assert re.findall(r"^exit \d", done.stdout, re.MULTILINE) == ["exit 2", "exit 1", "exit 0"]
    assert refused.count("\n") == 1
    place = "titrate: small.yaml:3 task: code that a model wrote cannot be isolated on this machine"
    assert refused.startswith(
        f"{place} (namespaces: unshare: Operation not permitted; bubblewrap: "
    )
    assert "pass --unsafe-code (from Python: unsafe_code=True)" in refused
    assert not (spec / "refused").exists()
    assert doctor == ""
    assert "Code that a model wrote cannot be isolated" in re.sub(r"\s+", " ", done.stdout)
    assert "loading zoo/moe" in allowed
    run = json.loads((spec / "allowed" / "report.json").read_text())["run"]
    assert run["sandbox"].split(", ")[0] == "process"


def test_pytest_refuses_at_collection_and_has_the_same_option(pytester, monkeypatch):
    monkeypatch.setattr(pool, "isolating", lambda: ())
    pytester.makefile(".yaml", small=SPEC)
    tasks._ready.cache_clear()
    arguments = ("small.yaml", "-p", "no:cacheprovider", "--titrate-report", "out")
    refused = pytester.runpytest_inprocess(*arguments)
    refused.stdout.fnmatch_lines(
        ["*small.yaml:3 task: code that a model wrote cannot be isolated*"]
    )
    refused.stdout.no_fnmatch_line("*Traceback*")
    assert refused.ret == pytest.ExitCode.INTERRUPTED
    assert not (pytester.path / "out").exists()
    allowed = pytester.runpytest_inprocess(*arguments, "--titrate-unsafe-code")
    assert allowed.ret == pytest.ExitCode.OK
    run = json.loads((pytester.path / "out" / "report.json").read_text())["run"]
    assert run["sandbox"].startswith("process")
    assert "--titrate-unsafe-code" in run["command"]


def test_permission_holds_for_the_call_that_has_it_only(monkeypatch):
    monkeypatch.setattr(pool, "isolating", lambda: ())
    assert choose(unsafe_code=True).level is Level.PROCESS
    with pytest.raises(SandboxError):
        choose()


def test_other_systems_are_told_what_is_missing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="isolation needs Linux, this is darwin") as refused:
        choose()
    assert "--titrate-unsafe-code" in str(refused.value)


def test_every_reason_is_given():
    error = refusal({Level.NAMESPACES: "first", Level.BUBBLEWRAP: "second"})
    assert "namespaces: first; bubblewrap: second" in str(error)
    assert "\n" not in str(error)
    assert all(" = " in setting for setting in switched_off())
