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

#: What pages show below a command as its output, by the command.
OUTPUTS = {
    command: [line for line in output.splitlines() if line not in {"", "..."}]
    for page in sorted((ROOT / "docs").glob("*.md"))
    for command, output in re.findall(
        r"```console\n\$ (pytest [^\n]*)\n```\n\n```text\n(.*?)```",
        page.read_text("utf-8"),
        re.DOTALL,
    )
}


def _shown(page):
    shown = page.partition("```text\n")[2].partition("```")[0]
    return [line for line in shown.splitlines() if line]


def _printed(width=106):
    printed = table(load_report(ROOT / "reports" / "example"), width=width)
    return [line for line in printed.splitlines() if line]


def test_the_table_on_running_is_the_examples():
    printed = _printed()
    assert _shown(RUNNING) == printed[: printed.index(next(_warnings(printed)))]


def test_the_readmes_lines_are_of_the_same_table():
    printed = _printed()
    shown = _shown(README)
    assert len(shown) > 8
    assert [line for line in shown if line not in printed] == []


def test_the_output_on_router_masks_is_the_examples():
    shown = OUTPUTS["pytest benches -k keep_topk"]
    assert [line for line in shown if line not in _printed(width=80)] == []


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


#: How a command is run whose whole output takes minutes; gates on few samples are undecided.
FIRST = {
    "pytest benches -k mix_ratio": ["--titrate-limit=8"],
    "pytest specs/steering/sentiment.yaml": ["--titrate-limit=2", "--titrate-set=gates=[]"],
}


@pytest.mark.slow
@pytest.mark.parametrize("command", dict.fromkeys([*_commands(), *OUTPUTS]))
def test_a_command_of_the_readme_or_a_how_to_works(command, checkout):
    """Installing is what the test itself stands on.

    What pages show of a command is what it prints, digit for digit.
    """
    if command.startswith("pip install"):
        pytest.skip("what runs this is installed so")
    told, shown, width = shlex.split(command), OUTPUTS.get(command, []), "80"
    if "--titrate-gate" in told:
        shown, width = _shown(README), "106"
    if command in FIRST:
        told += FIRST[command]
        shown = []
    ended = subprocess.run(
        [Path(sys.executable).with_name(told[0]), *told[1:]],
        cwd=checkout,
        env={**os.environ, "COLUMNS": width},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert [line for line in shown if line not in ended.stdout.splitlines()] == []


def test_how_tos_show_the_output_of_the_families_commands():
    families = re.findall(r"\| `(pytest [^`]*)` \|", README)
    assert [command for command in families if command not in OUTPUTS] == []


def test_output_is_shown_as_a_terminal_of_80_columns_has_it():
    assert [line for shown in OUTPUTS.values() for line in shown if len(line) > 80] == []
