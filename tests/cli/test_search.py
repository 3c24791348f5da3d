"""`titrate search`, as a user types it, and searches as tests."""

from __future__ import annotations

import pytest

from harness.cli.main import main
from tests.search.small import write_spec

BENCH = """\
from harness.testing import experiments, searches

@searches("*.yaml")
def bench_search(searched):
    assert searched.finished.report.cases

@experiments("*.yaml")
def bench_cases(case, outcome):
    assert outcome.scored == case.task.size
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def titrate(capsys, *arguments):
    try:
        status = main(list(arguments))
    except SystemExit as exit_:
        status = exit_.code
    out, err = capsys.readouterr()
    return status, out, err


def test_a_search_tells_what_it_came_to(here, capsys):
    write_spec(here)
    status, out, err = titrate(capsys, "search", "small.yaml", "--limit", "4", "--report", "out")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("search small: 6 trials: ")
    assert lines[1].startswith("best: trial ")
    assert "on 4 validation samples: intervention.alpha " in lines[1]
    assert any(line.startswith("test: exact_match minus neutral dose: ") for line in lines)
    assert any(line.startswith("test: exact_match minus control: ") for line in lines)
    assert lines[-2:] == ["again: titrate run out/search/best.yaml", "report: out/index.html"]
    assert "6/6 trials" in err
    assert (here / "out" / "report.json").exists()


def test_a_space_without_the_neutral_dose_is_warned_of_once(here, capsys):
    write_spec(here, space={"intervention.alpha": {"low": 1, "high": 2}}, trials=1, batch=1)
    status, out, err = titrate(capsys, "search", "small.yaml", "--limit", "4", "--report", "out")
    assert status == 0, err
    said = "search.space.intervention.alpha: the neutral dose 0 is not in the space"
    assert err.count(said) == 1
    assert said not in out


def test_wrong_input_is_one_line(here, capsys):
    write_spec(here, metric="exact")
    status, out, err = titrate(capsys, "search", "small.yaml")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("titrate: small.yaml:")


def test_what_the_machine_cannot_run_is_skipped_by_name(here, capsys):
    path = write_spec(here)
    path.write_text(path.read_text() + "requires: {gpu_memory_gib: 5000}\n")
    status, out, _ = titrate(capsys, "search", "small.yaml")
    assert status == 0
    assert out.startswith("skipped: small.yaml requires an accelerator with 5000 GiB; ")


def test_cases_of_a_search_are_not_run_as_such(here, capsys):
    write_spec(here)
    status, _, err = titrate(capsys, "run", "small.yaml")
    assert status == 2
    assert "search: is run by `titrate search`, not as cases" in err


def outcomes(ended):
    """How many tests of a run came to what; a process that was prepared warns of its imports."""
    counts = pytest.RunResult.parse_summary_nouns(ended.output.splitlines())
    return {name: number for name, number in counts.items() if name != "warnings"}


@pytest.mark.slow
def test_a_search_is_a_test(pytester, prepared):
    (pytester.path / "specs").mkdir()
    write_spec(pytester.path / "specs", trials=2, batch=2)
    pytester.makepyfile(bench_all=BENCH)
    options = ("-o", "python_files=bench_*.py", "-o", "python_functions=bench_*")
    options += ("--titrate-limit=4", "--titrate-report=out")
    first = prepared.run(pytester.path, *options, "-rs")
    assert outcomes(first) == {"passed": 1, "skipped": 1}
    pytest.LineMatcher(first.output.splitlines()).fnmatch_lines(
        ["*search small: 2 trials: *", "best: trial *", "report: *out-small*"]
    )
    again = prepared.run(pytester.path, *options, "specs/small.yaml")
    assert outcomes(again) == {"passed": 1}


def test_a_search_that_cannot_run_fails_its_collection(pytester):
    (pytester.path / "specs").mkdir()
    write_spec(pytester.path / "specs", metric="exact")
    pytester.makepyfile(bench_all=BENCH)
    result = pytester.runpytest_inprocess(
        "-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*search.metric: micro_gsm8k has no metric 'exact'*"])
