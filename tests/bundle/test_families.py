"""A run of every family in a bundle: it fits, without the folder in which it was made; a number of
it that somebody changed is named.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import harness
from harness.bundle.verify import lines, verify
from harness.bundle.write import bundle
from harness.report.exports import export
from tests.bundle.forged import Opened

pytestmark = pytest.mark.slow
SPECS = Path(__file__).parents[2] / "specs"

#: Family -> spec, what is made smaller of it, and how many answers are scored again.
FAMILIES = {
    "guided": (
        "guided/guided_share.yaml",
        [
            "task.limit=2",
            "sampling.max_new_tokens=12",
            "axes.intervention.trigger.kind=[entropy]",
            "axes.intervention.trigger.share=[0.0, 0.4]",
        ],
        6,
    ),
    "a rule that was fitted": (
        "decoding/calibrated.yaml",
        [
            "task.limit=2",
            "sampling.draws=2",
            "sampling.max_new_tokens=12",
            "axes.sampling.calibrated.threshold=[0, 0.2]",
        ],
        12,
    ),
    "a rule that keeps numbers": (
        "decoding/edt.yaml",
        [
            "task.limit=2",
            "sampling.draws=2",
            "sampling.max_new_tokens=12",
            "axes.sampling.edt.theta=[0, 1]",
        ],
        12,
    ),
    "likelihood": (
        "likelihood/masked_likelihood.yaml",
        ["task.limit=2", "axes.intervention.count=[0, 4]", "axes.seed=[0]"],
        12,
    ),
    "lm-eval, texts": (
        "lm_eval/masked_text.yaml",
        ["task.limit=2", "axes.intervention.count=[0, 16]", "gates=[]"],
        6,
    ),
    "lm-eval, scores": (
        "lm_eval/steered_choice.yaml",
        ["task.limit=2", "axes.intervention.alpha=[0, 1]", "gates=[]"],
        10,
    ),
    "measured masks": (
        "pairs/pairs_masked.yaml",
        ["task.limit=2", "sampling.max_new_tokens=12", "axes.intervention.count=[0, 16]"],
        12,
    ),
    "dynamic steering": (
        "steering/dac.yaml",
        ["task.limit=2", "sampling.max_new_tokens=12", "axes.intervention.strongest=[0, 1]"],
        10,
    ),
    "stopped": (
        "steering/caa_alpha.yaml",
        [
            "task.limit=16",
            "sampling.max_new_tokens=12",
            "axes.intervention.alpha=[0, 0.5, 1]",
            "window=null",
            "stop={decide: [pass@1 differs from baseline], look: 8}",
        ],
        None,
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family(family, tmp_path, monkeypatch):
    spec, smaller, answers = FAMILIES[family]
    monkeypatch.chdir(SPECS.parent)
    harness.run(
        SPECS / spec, directory=tmp_path / "out", overrides=smaller, store=tmp_path / "store"
    )
    _check_pictures(tmp_path / "out", tmp_path)
    bundle(tmp_path / "out", tmp_path / "x.titrate")
    assert _check(tmp_path / "x.titrate", tmp_path, monkeypatch, answers) == []


@pytest.mark.parametrize(
    "name", ["calibration", "forward", "diffing", "searched", "judged", "valued"]
)
def test_a_run_whose_numbers_come_from_files(name, bundles, tmp_path, monkeypatch):
    made = bundles(name)
    _check_pictures(made.parent / name, tmp_path)
    answers = {"judged": 2, "searched": None}.get(name, 0)
    assert _check(made, tmp_path, monkeypatch, answers) == []


def test_a_bundle_without_its_consultations_names_what_is_not_counted_again(bundles, tmp_path):
    opened = Opened.of(bundles("valued"))
    del opened.files[next(name for name in opened.files if name.endswith("hindsight.jsonl"))]
    outcome = verify(opened.write(tmp_path / "older.titrate", hashed=True))
    assert [str(each) for each in outcome.differences] == []
    assert outcome.left == [
        "not counted again: guided_value: hindsight_2, hindsight_tokens_1, hindsight_tokens_2"
    ]


def _check_pictures(report: Path, folder: Path) -> None:
    """Every plot is there as SVG and PDF, too."""
    drawn = export(harness.load_report(report), "pictures", folder / "pictures")
    plots = [each.stem for each in (report / "plots").glob("*.png")]
    assert sorted(each.name for each in drawn) == sorted(
        f"{name}.{form}" for name in plots for form in ("svg", "pdf")
    )


def _check(
    file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, answers: int | None
) -> list[str]:
    """A bundle fits where nothing of the run is; with another value of a metric it does not."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    outcome = verify(file)
    assert [str(each) for each in outcome.differences] == []
    assert outcome.answers == answers or (answers is None and outcome.answers > 0)
    assert list(elsewhere.iterdir()) == []
    opened = Opened.of(file)
    report = opened.report
    case = report["cases"][-1]
    metric = next(name for name in case["metrics"] if case["metrics"][name]["value"] is not None)
    case["metrics"][metric]["value"] += 0.25
    opened.report = report
    said = "\n".join(lines(verify(opened.write(folder / "forged.titrate", hashed=True))))
    assert f"metrics.{metric}.value: stored" in said, json.dumps(case["metrics"])
    return outcome.left
