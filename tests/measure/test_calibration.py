"""Calibrations of a zoo model: against a plain loop, their files, and a fit that a rule takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import harness
from harness.errors import SpecError
from harness.measure.rank_files import read_traces
from harness.models.loading import load
from harness.runs.checks import planned
from harness.spec import expand
from harness.spec import load as load_spec

SPEC = """\
name: measured
model: zoo/base
task: {name: micro_gsm8k, limit: 6}
measure: calibration
calibration: {top: 5, thresholds: [0.05]}
"""
SWEPT = """\
name: swept
model: zoo/base
task: {{name: micro_gsm8k, only: ids.json}}
sampling: {{temperature: 1, max_new_tokens: 8, calibrated: {{from: {place}, threshold: 0.05}}}}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of a calibration over six samples."""
    folder = tmp_path_factory.mktemp("calibration")
    (folder / "measured.yaml").write_text(SPEC)
    return harness.run(
        folder / "measured.yaml", directory=folder / "report", store=folder / "store"
    )


@pytest.fixture
def kept(report):
    return report.directory / "calibration" / "measured"


def test_traces_are_the_models_own_distribution(kept):
    traces = list(read_traces(kept / "traces.jsonl"))
    loaded = load("zoo/base")
    (case, *_) = expand(load_spec_of(kept))
    task = planned(case).task
    sample = task.samples[0]
    from harness.tasks.conversations import render

    prompt = render(loaded.tokenizer, task.prompt(sample, "assisted"))
    answer = loaded.tokenizer(task.reference(sample).text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([[*prompt, *answer]])).logits[0].double()
    expected = logits[len(prompt) - 1 : -1].softmax(-1).topk(5)
    own = traces[: len(answer)]
    assert [each.reference for each in own] == answer
    assert [list(each.tokens) for each in own] == expected.indices.tolist()
    assert np.abs(np.asarray([e.probabilities for e in own]) - expected.values.numpy()).max() < 1e-5


def load_spec_of(kept: Path):
    return load_spec(kept.parents[2] / "measured.yaml")[0]


def test_files_and_page_tell_the_same(report, kept):
    found = json.loads((kept / "calibration.json").read_text())
    case = report.cases.iloc[0]
    assert case["metrics.ece.value"] == pytest.approx(found["ece"]["value"])
    assert found["tokens"] == sum(1 for _ in read_traces(kept / "traces.jsonl"))
    assert len(found["dynamic_top_k"]["0.05"]) == 10
    assert len(found["asked"]) == 6
    assert (kept / "calibration.pdf").read_bytes().startswith(b"%PDF")
    assert (report.directory / "plots" / "measured-calibration.png").is_file()
    assert "How often each rank is right, by confidence" in (
        report.directory / "index.html"
    ).read_text("utf-8")


@pytest.fixture
def swept(tmp_path, report):
    """The spec of a case that takes the fit over, asking the samples of these numbers."""

    def case(numbers, place=None):
        names = [f"MicroGSM8K/{number}" for number in numbers]
        (tmp_path / "ids.json").write_text(json.dumps(names))
        spec = tmp_path / "swept.yaml"
        spec.write_text(SWEPT.format(place=place or report.directory))
        experiment, source = load_spec(spec)
        return planned(expand(experiment, source)[0])

    return case


def test_a_fit_is_taken_over_as_its_numbers(swept, kept):
    fit = json.loads((kept / "calibration.json").read_text())["fit"]
    value = swept([9]).experiment.sampling.calibrated
    assert (value.a, value.b, value.base) == (fit["a"], fit["b"], "e")
    rule = harness.registry.rules.get("calibrated")
    (content,) = rule.content(value)
    assert content == ["calibrated", {"a": fit["a"], "b": fit["b"], "threshold": 0.05, "base": "e"}]
    # What is on record is read where the report is not.
    written = value.model_dump() | {"from": "/nowhere"}
    assert type(value).model_validate(written).a == fit["a"]


def test_samples_that_a_fit_was_made_of_are_not_asked(swept):
    with pytest.raises(
        SpecError, match=r"swept.yaml:4 sampling.calibrated.from: it was fitted on 1"
    ):
        swept([5, 9])


def test_what_is_no_calibration_is_told_by_the_field(swept, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=r"swept.yaml:4 sampling.calibrated.from: .*no calibration"):
        swept([9], "empty")
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(SpecError, match=r"sampling.calibrated.from: .*cannot be read"):
        swept([9], "calibration.json")
