"""What is exported for lm-eval is found, grouped and tabulated by lm-eval's own functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import harness
from harness.report.exports import export

pytest.importorskip("lm_eval", exc_type=ImportError)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SPEC = Path(__file__).parents[3] / "specs" / "lm_eval" / "masked_text.yaml"


def test_lm_eval_reads_its_files(tmp_path):
    from lm_eval.utils import (
        get_file_task_name,
        get_latest_filename,
        get_results_filenames,
        get_sample_results_filenames,
        make_table,
    )

    smaller = ["task.limit=2", "axes.intervention.count=[0, 16]", "gates=[]"]
    report = harness.run(SPEC, directory=tmp_path / "out", overrides=smaller, store=tmp_path / "s")
    names = list(map(str, export(report, "lm-eval", tmp_path / "files")))
    summaries, samples = get_results_filenames(names), get_sample_results_filenames(names)
    assert len(summaries) == len(samples) == len(report.report.cases) == 3
    assert {get_file_task_name(Path(name).name) for name in samples} == {"sums_text"}
    assert get_latest_filename(summaries) in summaries
    for case, file in zip(report.report.cases, summaries, strict=True):
        table = make_table(json.loads(Path(file).read_text()))
        value = case.metrics["exact_match@flexible-extract"].value
        assert "|sums_text|" in table
        assert f"{value:.4f}".rstrip("0").rstrip(".") in [each.strip() for each in table.split("|")]
    lines = Path(samples[0]).read_text().splitlines()
    assert [json.loads(line)["doc_id"] for line in lines[:2]] == [0, 1]
