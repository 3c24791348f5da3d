"""docs/seeds.md: its commands run, its fields are in the schema, its files are there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli.main import main
from harness.spec.schema import experiment_schema

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "seeds.md").read_text("utf-8")
ROWS = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
SAID = [said for *_, here in ROWS for said in re.findall(r"`([^`]+)`", here)]
COMMANDS = [said for said in dict.fromkeys(SAID) if re.match(r"(titrate|pytest) \w+ [^-]", said)]
SECTIONS = [said for said in dict.fromkeys(SAID) if re.match(r"[a-z_]+: ", said)]
FILES = [said for said in dict.fromkeys(SAID) if said.startswith("specs/")]

GUIDED = "specs/guided/guided_share.yaml"
DIFFING = "specs/diffing/cake.yaml"
DECODE = {
    "key": "humaneval_0",
    "variant": "agentic",
    "prompt": "def one():\n",
    "generated": "```python\n    return 1\n```",
    "aligned_ok": True,
}


def test_every_row_says_what_does_it_here():
    assert len(ROWS) > 80
    assert [row for row in ROWS if len(row) != 2 or not row[1].strip()] == []
    assert len(COMMANDS) > 15
    assert len(SECTIONS) > 25


def _fields(section: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in section.items():
        path = f"{above}.{name}" if above else name
        if above == "axes":
            yield name
        elif isinstance(value, Mapping) and value:
            yield from _fields(value, path)
        else:
            yield path


def _known(path: str) -> bool:
    """Whether any form of a spec has the field: sections may be one of several kinds."""
    schema = experiment_schema()
    here = [schema]
    for name in path.split("."):
        here = [
            each["properties"][name]
            for form in here
            for each in _forms(form, schema["$defs"])
            if name in each.get("properties", {})
        ]
    return bool(here)


def _forms(form: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in form:
        yield from _forms(sections[form["$ref"].rpartition("/")[2]], sections)
        return
    yield form
    for each in (*form.get("anyOf", ()), *form.get("oneOf", ())):
        yield from _forms(each, sections)
    if isinstance(form.get("items"), Mapping):
        yield from _forms(form["items"], sections)


@pytest.mark.parametrize("section", SECTIONS)
def test_fields_are_in_the_schema(section):
    read = yaml.safe_load(section)
    assert [path for path in _fields(read) if not _known(path)] == []


@pytest.mark.parametrize("file", FILES)
def test_files_are_there(file):
    assert (ROOT / file).exists()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The specs and benches, and what the study's own files would be."""
    folder = tmp_path_factory.mktemp("seeds")
    for name in ("benches", "specs", "conftest.py", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "reports" / "example", folder / "reports" / "example")
    (folder / "mask.txt").write_text("{(0, 1), (1, 2)}")
    (folder / "decode").mkdir()
    (folder / "decode" / "humaneval_0_agentic.json").write_text(json.dumps(DECODE))
    return folder


@pytest.fixture(scope="module")
def reports(project):
    """Reports of the families whose exports are of them alone."""
    made = {}
    for name, spec in (("guided", GUIDED), ("diffing", DIFFING)):
        made[name] = folder = project / "reports" / name
        command = [spec, "--limit", "2", "--report", str(folder)]
        executable = Path(sys.executable).with_name("titrate")
        subprocess.run([executable, "run", *command], cwd=project, check=True)
    export = [executable, "export", str(made["guided"]), "--format", "guided", "-o", "asked"]
    subprocess.run(export, cwd=project, check=True)
    shutil.copy(next((project / "asked").rglob("*.jsonl")), project / "asked.jsonl")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_work(command, project, reports, monkeypatch, tmp_path):
    monkeypatch.chdir(project)
    said = re.search(r"--format (\w+)", command)
    report = reports.get(said[1] if said else "", project / "reports" / "example")
    command = command.replace("REPORT", str(report)).replace("DIR", str(tmp_path / "drawn"))
    program, *told = shlex.split(command.replace("-o out", f"-o {tmp_path / 'out'}"))
    if program == "pytest":
        executable = Path(sys.executable).with_name(program)
        assert subprocess.run([executable, *told], check=False).returncode == 0
    else:
        assert main(told) == 0
