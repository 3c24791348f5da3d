"""Draws of reports, of lm-eval's logs, and of rank files; on the command line, too."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ReportError
from harness.report.draws.lm_eval_samples import lm_eval_records
from harness.report.draws.sources import samples_of

EXAMPLE = Path(__file__).parents[3] / "reports" / "example"
RESPONSES = ["So 9 + 9 = 18. The answer is 18.", "The answer is 18.0", "The answer is 17.", "none"]


@pytest.fixture
def logged(tmp_path):
    """A file as `lm_eval --log_samples` writes it for a task with repeats, under two filters."""
    documents = [
        {"doc_id": at, "target": "... #### 18", "resps": [RESPONSES[at:] + RESPONSES[:at]]}
        for at in range(3)
    ]
    file = tmp_path / "samples_gsm8k_2026-01-31T10-00-00.jsonl"
    both = [each | {"filter": name} for name in ("strict", "flexible") for each in documents]
    file.write_text("".join(f"{json.dumps(each)}\n" for each in both))
    return file


def test_every_response_of_lm_eval_is_a_draw_once(logged):
    records = list(lm_eval_records(logged))
    assert [each["answer"] for each in records[:4]] == ["18", "18", "17", None]
    assert [each["correct"] for each in records[:4]] == [True, True, False, False]
    assert (len(records), {each["case"] for each in records}) == (12, {"gsm8k"})


def test_a_folder_is_read_as_its_newest_files(logged):
    older = logged.with_name(logged.name.replace("2026", "2025"))
    older.write_text('{"doc_id": 0, "target": "1", "resps": [["1", "2", "3"]]}\n')
    folder, file = (samples_of([path]) for path in (logged.parent, logged))
    assert folder.keys() == file.keys() == {"gsm8k"}
    assert [len(each.drawn) for each in folder["gsm8k"].values()] == [4, 4, 4]


def test_draws_are_written_as_tables_and_plots(logged, tmp_path, capsys):
    assert main(["draws", str(logged), "-o", str(tmp_path / "out")]) == 0
    assert str(tmp_path / "out" / "draws-maj.png") in capsys.readouterr().out
    with (tmp_path / "out" / "draws-maj.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == ["case", "draws, k", "maj@k"]
    assert [row[1:3] for row in rows] == [["1", "0.500"], ["2", "0.500"], ["4", "1.000"]]


def test_ranks_of_another_run_are_refused(logged, tmp_path):
    ranks = tmp_path / "low_conf_ranks.jsonl"
    ranks.write_text("[1, 2]\n" * 11)
    with pytest.raises(ReportError, match="11 lists of ranks for 12 completions"):
        samples_of([logged], ranks)
    ranks.write_text("[1, 2]\n" * 12)
    (samples,) = samples_of([logged], ranks).values()
    assert {each.ranks for each in samples["0"].drawn} == {(1.5, 2, 2)}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"doc_id": 1}', ":1: has no 'target', as such results do; it has doc_id"),
        ("{", ":1: not JSON"),
        ('{"doc_id": 1, "target": "1", "resps": [[[-1.5, true]]]}', "resps are no generated texts"),
    ],
)
def test_what_is_no_log_is_told_by_its_line(line, told, tmp_path):
    file = tmp_path / "samples_x.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(ReportError, match=told):
        list(lm_eval_records(file))


def test_a_baseline_that_is_not_there_is_told(logged, tmp_path, capsys):
    arguments = ["draws", str(logged), "-o", str(tmp_path / "o"), "--baseline", "x"]
    assert main(arguments) != 0
    assert "--baseline x: no such case; use one of gsm8k" in capsys.readouterr().err


def test_cases_of_several_sources_are_told_apart(logged):
    found = samples_of([EXAMPLE, logged])
    assert "samples_gsm8k_2026-01-31T10-00-00: gsm8k" in found
    assert all(": " in name for name in found)
