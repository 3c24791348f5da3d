"""The original's two files of ranks, from a run with a log of every step; and their reading."""

from __future__ import annotations

import json

import pytest

import harness
from harness.cli.main import main
from harness.errors import ReportError
from harness.report.exports.ranks import write_ranks
from harness.report.loaded import load_report

SPEC = """\
name: ranked
model: zoo/base
task: {name: micro_gsm8k, limit: 3}
sampling: {temperature: 1.5, max_new_tokens: 16, draws: 2}
columns: [rank, probability, top_probability, drawn_entropy]
"""


def lists(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_ranks_are_written_by_their_thresholds(written, tmp_path):
    report = harness.run(written("ranked", SPEC), directory=tmp_path / "r", store=tmp_path / "s")
    assert set(report.samples["traces"][0]) == {
        "rank",
        "probability",
        "top_probability",
        "drawn_entropy",
    }
    unsure, unlikely = write_ranks(report, tmp_path / "ranks")
    assert [unsure.name, unlikely.name] == ["low_conf_ranks.jsonl", "all_sampled_ranks.jsonl"]
    assert unsure.parent == tmp_path / "ranks" / "ranked"
    for found, one, two in zip(
        report.samples["traces"], lists(unsure), lists(unlikely), strict=True
    ):
        steps = list(
            zip(found["rank"], found["probability"], found["top_probability"], strict=True)
        )
        assert one == [rank for rank, _, top in steps if top < 1]
        assert two == [rank for rank, probability, _ in steps if probability < 0.1]
    assert max(max(each, default=0) for each in lists(unlikely)) > 1


def test_samples_without_ranks_are_refused(written, tmp_path):
    plain = SPEC.replace("columns: [rank, probability, top_probability, drawn_entropy]\n", "")
    report = harness.run(written("ranked", plain), directory=tmp_path / "r", store=tmp_path / "s")
    with pytest.raises(ReportError, match=r"have no rank.*add columns"):
        write_ranks(report, tmp_path / "ranks")


def test_cases_without_ranks_are_left_out_beside_those_that_have_them(written, tmp_path):
    plain = SPEC.replace("columns: [rank, probability, top_probability, drawn_entropy]\n", "")
    specs = [written("ranked", SPEC), written("plain", plain.replace("ranked", "plain"))]
    places = ["--report", str(tmp_path / "r"), "--store", str(tmp_path / "s")]
    assert main(["run", *map(str, specs), *places, "--quiet"]) == 0
    files = write_ranks(load_report(tmp_path / "r"), tmp_path / "ranks")
    assert {file.parent.name for file in files} == {"ranked"}
