from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.claims.saved import SavedRun, SavedRuns
from harness.errors import ReportError
from harness.report.write import write


@pytest.fixture
def saved(tmp_path):
    return SavedRuns(tmp_path / "saved")


@pytest.fixture
def ended(report, results):
    return SavedRun.of(report, results)


def plain(values):
    return {case: {name: dict(each) for name, each in m.items()} for case, m in values.items()}


def test_what_is_saved_comes_back(saved, ended):
    path = saved.save(ended, "first")
    assert path.name == "0001_first.json"
    again = saved.find("first")
    assert again.name == "0001_first"
    assert again.report == ended.report
    assert plain(again.values) == plain(ended.values)


def test_numbers_rise_and_the_latest_of_a_name_is_found(saved, ended):
    names = [saved.save(ended, name).name for name in ("a", "b", "a")]
    assert names == ["0001_a.json", "0002_b.json", "0003_a.json"]
    found = [saved.find(text).name for text in ("a", "1", "0002", "0001_a", "0001_a.json")]
    assert found == ["0003_a", "0001_a", "0002_b", "0001_a", "0001_a"]


def test_many_at_once_each_get_a_number_of_their_own(saved, ended):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda index: saved.save(ended, f"run{index}"), range(16)))
    assert sorted(int(path.name[:4]) for path in paths) == list(range(1, 17))
    assert not list(saved.folder.glob("*.part"))


def test_a_report_directory_and_its_file_are_runs_too(saved, ended, report, results, directory):
    file = write(report, results, directory)
    for given in (directory, file):
        found = saved.find(str(given))
        assert found.report == report
        assert plain(found.values) == plain(ended.values)


@pytest.mark.parametrize("name", ["", "12", "a b", "../x", "a/b"])
def test_what_cannot_be_a_name_is_refused(saved, ended, name):
    with pytest.raises(ReportError, match="no name of a saved run"):
        saved.save(ended, name)
    assert not saved.folder.exists()


def test_what_does_not_exist_is_told_with_what_does(saved, ended):
    with pytest.raises(ReportError, match=r"nothing is saved in .*saved yet"):
        saved.find("first")
    saved.save(ended, "first")
    with pytest.raises(ReportError, match=r"frist: .* did you mean first\? saved: first$"):
        saved.find("frist")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "schema 2 of saved runs cannot be read; this version reads 1"),
        ({"report": {"schema": 9}}, "schema 9 cannot be read"),
        ({"samples": []}, "damaged: IndexError"),
        ({"values": {"x": 3}}, "damaged: TypeError"),
    ],
)
def test_a_run_of_another_version_or_a_damaged_one_is_one_line(saved, ended, change, says):
    path = saved.save(ended, "first")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ReportError, match=says) as caught:
        saved.find("first")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_json_and_an_older_report_are_one_line(saved, report, results, directory):
    write(report, results, directory)
    lines = (directory / "samples.jsonl").read_text(encoding="utf-8").strip("\n").split("\n")
    old = [{k: v for k, v in json.loads(line).items() if k != "metrics"} for line in lines]
    (directory / "samples.jsonl").write_text("\n".join(map(json.dumps, old)))
    with pytest.raises(ReportError, match="has no metrics per sample"):
        saved.find(str(directory))
    torn = directory / "torn.json"
    torn.write_text("{")
    with pytest.raises(ReportError, match=r"torn\.json: cannot be read as a saved run"):
        saved.find(str(torn))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, ended):
    (tmp_path / "saved").write_text("a file")
    with pytest.raises(ReportError, match="saved: cannot be written"):
        SavedRuns(tmp_path / "saved").save(ended, "first")
