"""What the README shows is what the commands print today, and every command in it works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.report.load import load_report
from harness.report.tables.terminal import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RUNNING = (ROOT / "docs" / "running.md").read_text()


def _shown(page):
    shown = page.partition("```text\n")[2].partition("```")[0]
    return [line for line in shown.splitlines() if line]


def _printed():
    printed = table(load_report(ROOT / "reports" / "example"), width=106)
    return [line for line in printed.splitlines() if line]


def test_the_table_on_running_is_the_examples():
    printed = _printed()
    assert _shown(RUNNING) == printed[: printed.index(next(_warnings(printed)))]


def test_the_readmes_lines_are_of_the_same_table():
    printed = _printed()
    shown = _shown(README)
    assert len(shown) > 8
    assert [line for line in shown if line not in printed] == []


def test_the_readme_is_short():
    read = re.sub(r"<img[^>]*>", "", README)  # what a picture is called is read to some alone
    assert len(read.split()) <= 700


def test_its_pictures_and_pages_are_there():
    links = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README)
    links = [link or source for link, source in links]
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def _warnings(lines):
    return (line for line in lines if line.startswith("warning: "))


def _commands():
    """Every command of the README, without what says how long it takes."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    cells = re.findall(r"\| `(pytest [^`]*)` \|", README)
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in lines] + cells


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What of a checkout the commands use, beside the files that the README writes."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("benches", "specs", "conftest.py", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "reports").mkdir()
    shutil.copy(ROOT / "reports" / "example.titrate", folder / "reports")
    spec = README.partition("```yaml\n")[2].partition("```")[0]
    (folder / "capitals.yaml").write_text(spec)
    (folder / "capitals.jsonl").write_text(
        '{"prompt": "What is the capital of France?", "answer": "Paris"}\n'
        '{"prompt": "What is the capital of Japan?", "answer": "Tokyo"}\n'
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", _commands())
def test_a_command_of_the_readme_works(command, checkout):
    """Of benches the first samples alone; installing is what the test itself stands on.

    The sweep that has a gate is run whole, and prints the README's table, digit for digit.
    """
    if command.startswith("pip install"):
        pytest.skip("what runs this is installed so")
    told = shlex.split(command)
    if told[:2] == ["pytest", "benches"] and "--titrate-gate" not in told:
        told += ["--titrate-limit", "8"]
    ended = subprocess.run(
        [Path(sys.executable).with_name(told[0]), *told[1:]],
        cwd=checkout,
        env={**os.environ, "COLUMNS": "106"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    if "--titrate-gate" in told:
        printed = ended.stdout.splitlines()
        assert [line for line in _shown(README) if line not in printed] == []
