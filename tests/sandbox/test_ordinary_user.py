"""The hostile programs again, by an ordinary user, where the tests themselves run as root."""

import os
import shutil
import subprocess
import sys
import sysconfig
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
        check = f"import sys; sys.exit(not open({str(ROOT / 'pyproject.toml')!r}).read())"
        try:
            done = subprocess.run([*command, "-c", check], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return command
    pytest.skip(f"no Python {version} that an ordinary user may start, or the checkout is private")


def test_an_ordinary_user_is_as_safe_as_root(python, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    for folder in (home, *home.parents):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp/pytest-of-root"):
            folder.chmod(0o755)
    os.chown(home, int(USER), int(USER))
    options = ["-q", "-n0", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(ROOT)]
    options += ["--import-mode=importlib", f"--basetemp={home}/tests"]
    done = subprocess.run(
        [*python, "-m", "pytest", *options, str(Path(__file__).with_name("test_hostile.py"))],
        capture_output=True,
        text=True,
        cwd=home,
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[namespaces" not in done.stdout  # no group of it was skipped
