"""What is published: a wheel and a source distribution that hold what they should."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Both distributions, built from a copy so that the checkout stays as it is."""
    checkout = tmp_path_factory.mktemp("package") / "checkout"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).exists():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name, follow_symlinks=False)
    target = checkout.parent / "dist"
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target)]
    subprocess.run([*build, str(checkout)], check=True, capture_output=True)
    return sorted(target.iterdir())


def test_its_description_is_rendered(built):
    subprocess.run([TOOLS / "twine", "check", "--strict", *built], check=True)


def test_the_wheel_holds_the_package_alone(built):
    (wheel,) = (file for file in built if file.suffix == ".whl")
    config = ROOT / "pyproject.toml"
    subprocess.run([TOOLS / "check-wheel-contents", "--config", config, wheel], check=True)
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"harness", f"{wheel.name[:20]}.dist-info"}
    held = set(names)
    package = (ROOT / "harness").rglob("*.py")
    sources = {file.relative_to(ROOT).as_posix() for file in package}
    assert sources - held == set()
    assert "harness/models/zoo/checkpoints/moe/model.safetensors" in held
    assert "harness/starter/specs/router_masks/keep_topk.yaml" in held


def test_the_source_distribution_builds_the_same(built):
    (archive,) = (file for file in built if file.name.endswith(".tar.gz"))
    (wheel,) = (file for file in built if file.suffix == ".whl")
    with tarfile.open(archive) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    package = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("harness/")}
    assert package - names == set()
