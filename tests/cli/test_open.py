"""The newest report, its link, and its page where there is a browser."""

from __future__ import annotations

import json
import shutil
import webbrowser
from pathlib import Path

import pytest

from harness.cli.main import main

EXAMPLE = Path(__file__).parents[2] / "reports" / "example"


class Browser:
    def __init__(self):
        self.opened = []

    def open(self, address):
        self.opened.append(address)


@pytest.fixture
def browser(monkeypatch):
    found = Browser()
    monkeypatch.setattr(webbrowser, "get", lambda: found)
    return found


@pytest.fixture
def reports(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = json.loads((EXAMPLE / "report.json").read_text())
    for name, started in [("b", "2026-01-02"), ("a", "2026-01-03"), ("c/d", "2026-01-01")]:
        folder = tmp_path / "reports" / name
        folder.mkdir(parents=True)
        document["run"] |= {"started": f"{started}T00:00:00Z", "id": name}
        (folder / "report.json").write_text(json.dumps(document))
    (tmp_path / "reports" / "z").mkdir()
    (tmp_path / "reports" / "z" / "report.json").write_text("{}")
    shutil.copy(EXAMPLE / "samples.jsonl", tmp_path / "reports" / "a")
    return tmp_path / "reports"


def test_the_newest_is_opened_and_its_page_written(reports, browser, capsys):
    assert main(["open"]) == 0
    page = reports / "a" / "index.html"
    assert capsys.readouterr().out == "report: reports/a/index.html\n"
    assert browser.opened == [page.as_uri()]
    assert page.is_file()


def test_without_a_browser_the_link_is_told(reports, monkeypatch, capsys):
    def none():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    assert main(["open", "reports/a"]) == 0
    assert "index.html" in capsys.readouterr().out


def test_the_table_of_the_newest(reports, capsys):
    assert main(["report", "--latest"]) == 0
    assert "keep_topk" in capsys.readouterr().out


def test_nothing_to_open_is_said_in_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["open"]) == 2
    assert capsys.readouterr().err == (
        "titrate: reports: holds no report; name its folder, or run a spec first\n"
    )
