"""The hostile programs again, by an ordinary user, where the tests themselves run as root."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER = "1001"


@pytest.fixture
def python():
    """An interpreter of this version that an ordinary user may start, unlike one in root's home."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}"):
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", python]
        # It has to start a second one: setpriv may start what the user could not.
        check = f"import subprocess, sys; open({str(ROOT / 'pyproject.toml')!r}).read(); "
        check += "sys.exit(subprocess.run([sys.executable, '-c', '']).returncode)"
        try:
            done = subprocess.run([*command, "-c", check], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return command
    pytest.skip(f"no Python {version} that an ordinary user may start, or the checkout is private")


@pytest.fixture
def home():
    """A directory of the user's; pytest's own lie below one that root closes."""
    with tempfile.TemporaryDirectory(prefix="titrate-user-") as place:
        os.chown(place, int(USER), int(USER))
        yield place


@pytest.mark.slow
def test_an_ordinary_user_is_as_safe_as_root(python, home):
    options = [
        "-q",
        "-rs",
        "-n0",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        str(ROOT),
    ]
    options += ["--import-mode=importlib", f"--basetemp={home}/tests"]
    done = subprocess.run(
        [*python, "-m", "pytest", *options, str(Path(__file__).with_name("test_hostile.py"))],
        capture_output=True,
        text=True,
        cwd=home,
        env={
            "HOME": home,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for skipped in ("no namespaces on this machine", "need every layer"):
        assert skipped not in done.stdout
