"""Whole reports, every byte of them: nothing says where on its machine a run was made."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from base64 import b64decode
from pathlib import Path

import pytest

from harness.launch.local import run_specs
from harness.models import zoo
from harness.report.exports import export
from harness.report.loaded import load_report
from harness.report.recorded import recorded_results
from harness.resolve.progress import Silent

SPEC = """\
name: small
model: ./models/own
task: {name: micro_humaneval, limit: 2}
intervention: {kind: router_mask, points: {file: points.json}, count: 2}
sampling: {max_new_tokens: 4}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A run in the home of a user with a name, on files of their own, some of them elsewhere."""
    home = tmp_path_factory.mktemp("home") / "somebody-by-name"
    here = home / "project"
    (here / "models").mkdir(parents=True)
    shutil.copytree(zoo.resolve("moe"), here / "models" / "own")
    (here / "points.json").write_text(json.dumps([{"layer": 0, "router": n} for n in range(2)]))
    (here / "small.yaml").write_text(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("HOME", str(home))
        command = f"titrate run {here}/small.yaml --report={home}/out"
        finished = run_specs([here / "small.yaml"], [], home / "out", Silent(), command)
        assert not finished.problems
        yield home


def texts(folder: Path):
    """Every file of a report; what a page has compressed is unpacked."""
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        content = path.read_bytes()
        yield path.name, content
        for packed in re.findall(rb"H4sI[A-Za-z0-9+/=]{20,}", content):
            yield path.name, gzip.decompress(b64decode(packed))


def test_no_byte_of_a_report_says_who_made_it_and_where(project):
    names = set()
    for name, content in texts(project / "out"):
        names.add(name)
        assert b"somebody-by-name" not in content, name
        assert str(project).encode() not in content, name
    assert {"report.json", "records.jsonl", "index.html", "samples.jsonl", "cases.csv"} <= names
    report = json.loads((project / "out" / "report.json").read_text())
    assert report["run"]["command"] == "titrate run ./small.yaml --report=~/out"
    for kind in ("csv", "latex"):
        export(load_report(project / "out"), kind, project / f"export-{kind}")
        for path in [project / f"export-{kind}", *(project / f"export-{kind}").rglob("*")]:
            assert path.is_dir() or b"somebody-by-name" not in path.read_bytes()


def test_its_records_can_be_followed_where_the_run_was_started(project):
    for result in recorded_results(project / "out"):
        experiment = result.case.experiment
        assert experiment.model == str(project / "project" / "models" / "own")
        assert result.case.source.origin("model").folder == str(project / "project")
        if experiment.intervention is not None:
            assert experiment.intervention.points.file == str(project / "project" / "points.json")
