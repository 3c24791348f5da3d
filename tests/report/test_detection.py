"""Limits of detection of sweeps, against controls that an organism's file names."""

from __future__ import annotations

import json

import pytest

from harness.errors import ModelError
from harness.models.organisms import blanks_of, load_organism
from harness.report.detection import with_limits
from harness.report.report import CaseReport, TaskInfo
from harness.report.sweeps import sweeps
from harness.statistics.estimates import Metric

ORGANISM = """\
name: own
description: A test.
base: ./model
blanks: ./blanks.json
variants:
  default: {adapter: ./a, mix: 0}
  half: {adapter: ./b, mix: 1}
  third: {adapter: ./c, mix: 2}
  plain: {adapter: ./d, control: true}
"""
SETTINGS = {"method": "adl", "depth": 5}
CONTROLS = {"c1": [0.1, 0.2], "c2": [0.1, 0.15], "c3": [0.05, 0.1]}
VALUES = {"default": 0.9, "half": 0.6, "third": 0.1, "plain": 0.1}


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.yaml").write_text(ORGANISM)
    stored = {
        "made": "by hand",
        "task": "t",
        "methods": [{"settings": SETTINGS, "values": {"relevance": CONTROLS}}],
    }
    (tmp_path / "blanks.json").write_text(json.dumps(stored))
    return tmp_path


def limited(folder, **changed):
    section = {**SETTINGS, "organism": str(folder / "own.yaml"), "samples": 3, **changed}
    cases = [
        CaseReport(
            id=f"x[{variant}-{seed}]",
            nodeid=None,
            experiment="x",
            model="m",
            task=TaskInfo(name="t", version=1, size=20),
            params={"intervention.variant": variant, "seed": seed},
            settings={"measure": "diff", "diff": section},
            dose_axis=None,
            dose=None,
            baseline=None,
            grid=8,
            tokens=0,
            seconds=0,
            status="complete",
            metric="relevance",
            metrics={
                "relevance": Metric(
                    value=value + seed / 100, ci_low=None, ci_high=None, n=20, method="own"
                )
            },
        )
        for variant, value in VALUES.items()
        for seed in range(4)
    ]
    (found,) = with_limits(sweeps(cases, "relevance"), cases, "relevance")
    return found


def test_a_variant_is_a_dose_by_its_share_of_documents(own):
    found = limited(own)
    assert found.blank == 0.2
    # Of a third nothing is detected, of a half all: 95 % lie between.
    assert found.limit.value == pytest.approx(1 / 3 + 0.95 * (1 / 2 - 1 / 3))
    assert (found.limit.low, found.limit.high) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert found.limit.lowest == pytest.approx(1 / 3)


def test_controls_that_were_measured_otherwise_say_nothing(own):
    assert limited(own, depth=20).blank is None
    assert limited(own, method="kl").limit is None


def test_a_file_that_is_damaged_or_gone_is_told_in_one_line(own):
    (own / "blanks.json").write_text('{"task": 3}')
    assert limited(own).blank is None
    with pytest.raises(ModelError, match=r"organism own: .*blanks\.json cannot be read"):
        blanks_of(load_organism(str(own / "own.yaml")))
    (own / "blanks.json").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        blanks_of(load_organism(str(own / "own.yaml")))
    assert limited(own).limit is None


def test_the_shipped_controls_are_those_of_the_spec():
    blanks = blanks_of(load_organism("cake"))
    assert blanks.task == "settled_documents"
    for each in blanks.methods:
        assert len(each.values["weighted_relevance"]) >= 20
        assert all(len(values) == 3 for values in each.values["relevance"].values())
