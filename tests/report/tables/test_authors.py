"""Answers by who wrote them: colours on a terminal, guillemets elsewhere."""

from __future__ import annotations

from harness.cli.main import main
from harness.report.tables.authors import answers_by_author, by_author

PIECES = ["Ben", " has", " 9", " cups", "."]
AUTHORS = [0, 1, 1, 2, 0]
SPEC = """\
name: told
model: zoo/base
task: {name: micro_gsm8k, limit: 1}
intervention:
  kind: oracle
  model: zoo/oracle
  length: 4
  step: 4
  budget: 1
  trigger: {kind: every_n, n: 2}
sampling: {max_new_tokens: 12}
"""


def test_consultations_in_a_row_are_told_apart():
    assert by_author(PIECES, AUTHORS, colour=False).plain == "Ben« has 9»« cups»."
    coloured = by_author(PIECES, AUTHORS, colour=True)
    assert coloured.plain == "Ben has 9 cups."
    spans = {coloured.plain[span.start : span.end]: span.style for span in coloured.spans}
    assert spans == {" has 9": "bold magenta", " cups": "bold cyan"}


def test_answers_without_authors_or_texts_of_their_tokens_are_left_out():
    record = {"case": "c", "sample": "s", "correct": True, "traces": {"author": AUTHORS}}
    told = list(answers_by_author(iter([record, {**record, "pieces": PIECES}]), colour=False))
    assert [each.plain for each in told] == ["c s right\nBen« has 9»« cups».\n"]


def test_a_verbose_run_prints_every_helped_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "told.yaml").write_text(SPEC, "utf-8")
    assert main(["run", "told.yaml", "--report", "plain"]) == 0
    assert "«" not in capsys.readouterr().out
    assert main(["run", "told.yaml", "--report", "told", "--verbose"]) == 0
    out = capsys.readouterr().out
    assert out.count("«") == out.count("»") == 1
    heading, answer = out[out.index("told MicroGSM8K/0") :].splitlines()[:2]
    assert heading.split()[-1] in ("right", "wrong")
    assert answer.startswith("«")  # whoever is asked every second time is asked first
