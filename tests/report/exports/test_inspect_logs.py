"""Logs are read back by Inspect's own reader, which is what its viewer uses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report.build import build
from harness.report.exports import export
from harness.report.loaded import load_report
from harness.report.write import write

pytest.importorskip("inspect_ai", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def logs(run, results, directory, tmp_path):
    from inspect_ai.log import list_eval_logs, read_eval_log

    results[-1] = replace(results[-1], status="failed", error="boom", draws=(), sample_metrics={})
    write(build(run, results), results, directory)
    loaded = load_report(directory)
    files = export(loaded, "inspect", tmp_path / "logs")
    assert len(list_eval_logs(str(tmp_path / "logs"))) == len(files) == len(results)
    ids = [case.id for case in loaded.report.cases]
    return loaded, {id_: read_eval_log(str(f)) for id_, f in zip(ids, files, strict=True)}


def test_a_case_is_an_eval_with_its_metrics_and_parameters(logs):
    loaded, by_id = logs
    for case in loaded.report.cases:
        log = by_id[case.id]
        assert log.eval.task == case.experiment
        assert log.eval.task_args == case.params
        assert (log.eval.model, log.eval.dataset.name) == (case.model, case.task.name)
        assert log.eval.metadata["titrate"]["id"] == case.id
        if case.status == "complete":
            assert log.status == "success"
            (score,) = log.results.scores
            assert score.metrics["pass@1"].value == case.metrics["pass@1"].value
            assert score.metrics["ci_low"].value == case.metrics["pass@1"].ci_low
        else:
            assert (log.status, log.error.message, log.samples) == ("error", "boom", [])


def test_every_draw_is_a_sample_with_its_texts_and_verdict(logs):
    loaded, by_id = logs
    for case, rows in loaded.samples.groupby("case"):
        # Inspect keeps samples in the order of their ids.
        found = {(sample.id, sample.epoch): sample for sample in by_id[case].samples}
        assert len(found) == len(rows)
        samples = [found[row.sample, row.draw + 1] for row in rows.itertuples()]
        assert [sample.input for sample in samples] == list(rows["prompt"])
        assert [sample.output.completion for sample in samples] == list(rows["completion"])
        verdicts = [sample.scores["pass@1"].value == "C" for sample in samples]
        assert verdicts == list(rows["correct"])


def test_the_same_report_gives_the_same_identifiers(logs, tmp_path):
    from inspect_ai.log import read_eval_log

    loaded, by_id = logs
    again = export(loaded, "inspect", tmp_path / "again")
    for case, file in zip(loaded.report.cases, again, strict=True):
        assert read_eval_log(str(file)).eval.eval_id == by_id[case.id].eval.eval_id
