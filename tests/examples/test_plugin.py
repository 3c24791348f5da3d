"""The example of a package, installed in an environment of its own, and what a run makes of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin"
PACKAGE = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))
EXTENDING = (ROOT / "docs" / "extending.md").read_text("utf-8")
FILES = [each for end in ("py", "yaml", "toml") for each in sorted(EXAMPLE.rglob(f"*.{end}"))]


class Environment:
    """A Python that sees what this one sees, and one package more."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "env", with_pip=False, symlinks=True)
        self._bin = folder / "env" / "bin"
        self.project = folder / "plugin"
        (packages,) = (folder / "env").glob("lib/python*/site-packages")
        seen = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (packages / "seen.pth").write_text(seen)
        shutil.copytree(EXAMPLE, self.project)
        offline = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet")
        self.run("-m", "pip", "install", *offline, str(self.project))
        # What is found from here on is what was installed.
        shutil.rmtree(self.project / "titrate_example")
        shutil.rmtree(self.project / "build", ignore_errors=True)

    def run(self, *arguments: str) -> str:
        """What `python ...` prints in the project's folder; it must succeed."""
        ended = subprocess.run(
            [self._bin / "python", *arguments],
            cwd=self.project,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def titrate(self, *arguments: str) -> str:
        """What `titrate ...` prints there."""
        return self.run("-c", "from harness.cli.main import main; exit(main())", *arguments)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Environment:
    return Environment(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def report(environment) -> Path:
    """The report of both specs, of what the kind owes on one model, and of what every rule does."""
    chosen = "bench_specs or (zoo/moe-fast and (spike or neutral_rules))"
    environment.run("-m", "pytest", "-q", "benches", "-k", chosen, "--titrate-report", "report")
    return environment.project / "report"


@pytest.fixture(scope="module")
def written(report) -> dict:
    return json.loads((report / "report.json").read_text("utf-8"))


def test_it_is_small():
    lines = {file.relative_to(EXAMPLE): len(file.read_text("utf-8").splitlines()) for file in FILES}
    assert sum(lines.values()) < 250, lines


def test_the_kind_is_a_case_at_every_dose(written):
    cases = [case for case in written["cases"] if case["intervention"] is not None]
    doses = [0, 15, 30, 60, 100]
    for experiment in ("hardest", "spike"):
        own = [case for case in cases if case["experiment"] == experiment]
        assert sorted(case["dose"] for case in own) == doses
        assert {case["status"] for case in own} == {"complete"}
        assert {case["intervention"]["kind"] for case in own} == {"spike"}
        assert {case["settings"]["sampling"]["top_a"] for case in own} == {0.3}


def test_the_task_is_scored_and_the_measure_measured(written):
    metrics = {case["experiment"]: case["metric"] for case in written["cases"]}
    assert metrics == {"spike": "recalled", "hardest": "hardest"}
    values = {case["id"]: case["metrics"][case["metric"]]["value"] for case in written["cases"]}
    assert values["spike[baseline]"] > 0.4 > 0.1 > values["spike[strength=100.0]"]
    assert values["hardest[strength=100.0]"] > values["hardest[baseline]"] > 0


def test_gates_and_identities_hold(written):
    assert [gate["holds"] for gate in written["gates"]] == [True, True]
    assert [each for each in written["invariants"] if not each["holds"]] == []
    names = {each["name"] for each in written["invariants"]}
    inherited = {
        "spike.neutral_alone_equals_baseline",
        "spike.neutral_in_mixed_batch_equals_baseline",
        "spike.dose_does_something",
        "spike.removal_restores_every_bit",
    }
    assert inherited < names
    assert any(name.startswith("sampling.") for name in names)


def test_it_is_a_curve_and_a_row_of_the_page(report):
    curves = {path.name for path in (report / "plots").iterdir()}
    assert curves == {"spike.png", "hardest.png"}
    page = (report / "index.html").read_text("utf-8")
    assert "spike[strength=100.0]" in page
    assert "hardest[strength=100.0]" in page


def test_its_format_is_exported(environment, report):
    output = ["--format", "markdown", "--output", "table.md"]
    environment.titrate("export", "report", *output)
    table = (environment.project / "table.md").read_text("utf-8").splitlines()
    assert len(table) == 2 + 12
    assert re.fullmatch(
        r"\| spike\[strength=100\.0\] \| recalled \| [\d.]+ \| [\d.]+ to [\d.]+ \|",
        next(line for line in table if "spike[strength=100.0]" in line),
    )


@pytest.mark.parametrize("group", PACKAGE["project"]["entry-points"])
def test_it_is_listed(environment, group):
    noun = group.removeprefix("titrate.")
    (name,) = PACKAGE["project"]["entry-points"][group]
    listed = environment.titrate("list", noun).splitlines()
    (line,) = (line for line in listed if line.split()[0] == name)
    assert len(line.split()) > 3


@pytest.fixture
def project(tmp_path) -> Path:
    """As the documentation writes it: modules beside the conftest.py, and a spec that uses them."""
    for name in ("spike", "top_a", "recall"):
        shutil.copy(EXAMPLE / "titrate_example" / f"{name}.py", tmp_path)
    shutil.copytree(EXAMPLE / "specs", tmp_path / "specs")
    conftest, test = (
        re.findall(rf"```python\n({first}\n.*?)```", EXTENDING, re.DOTALL)
        for first in ("from harness import registry", "import harness")
    )
    (tmp_path / "conftest.py").write_text(*conftest)
    (tmp_path / "test_spike.py").write_text(*test)
    return tmp_path


def test_a_conftest_registers_for_its_project(prepared, project):
    few = ("--titrate-limit", "2", "--titrate-report", "report")
    ended = prepared.run(project, "-q", "specs/spike.yaml", "test_spike.py", *few)
    assert ended.status == 0, ended.output
    cases = json.loads((project / "report" / "report.json").read_text("utf-8"))["cases"]
    assert [case["intervention"]["kind"] for case in cases[1:]] == ["spike"] * 5
    assert {case["task"]["name"] for case in cases} == {"recall"}
    assert {case["settings"]["sampling"]["top_a"] for case in cases} == {0.3}


def test_a_place_that_the_model_lacks_is_refused_with_its_line(prepared, project):
    spec = project / "specs" / "spike.yaml"
    spec.write_text(spec.read_text("utf-8").replace("dimension: 0", "dimension: 96"))
    ended = prepared.run(project, "-q", "specs/spike.yaml")
    told = "spike.yaml:5 intervention.dimension: the model has no dimension 96; use 0 to 95"
    assert told in ended.output
    assert "1 error" in ended.output


def test_the_documentation_quotes_the_files():
    quoted = dict(re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```\n", EXTENDING, re.DOTALL))
    expected = {str(file.relative_to(EXAMPLE)): file.read_text("utf-8") for file in FILES}
    del expected["titrate_example/__init__.py"]
    assert quoted == expected
