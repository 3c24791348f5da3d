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
from harness.cli.main import main
from harness.report.exports import export
from tests.bundle.forged import Opened

pytestmark = pytest.mark.slow
SPECS = Path(__file__).parents[2] / "specs"
RUBRIC = """\
---
version: 1
options: {good: 1, bad: 0}
answer: '(good|bad)'
---
{{ completion }}
{{ options | join(' or ') }}?
"""

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
    "calibration": ("decoding/calibration.yaml", ["task.limit=12"], 0),
    "diffing": ("diffing/cake.yaml", ["diff.samples=4", "diff.positions=4"], 0),
    "likelihood": (
        "likelihood/masked_likelihood.yaml",
        ["task.limit=2", "axes.intervention.count=[0, 4]", "axes.seed=[0]"],
        12,
    ),
    "lm-eval, texts": (
        "lm_eval/masked_text.yaml",
        ["task.limit=2", "axes.intervention.count=[0, 16]"],
        6,
    ),
    "lm-eval, scores": (
        "lm_eval/steered_choice.yaml",
        ["task.limit=2", "axes.intervention.alpha=[0, 1]"],
        10,
    ),
    "paired readings": ("pairs/pairs_forward.yaml", ["task.limit=2"], 0),
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
    drawn = export(harness.load_report(tmp_path / "out"), "pictures", tmp_path / "pictures")
    plots = [each.stem for each in (tmp_path / "out" / "plots").glob("*.png")]
    assert sorted(each.name for each in drawn) == sorted(
        f"{name}.{form}" for name in plots for form in ("svg", "pdf")
    )
    bundle(tmp_path / "out", tmp_path / "x.titrate")
    assert _check(tmp_path, monkeypatch, answers) == []


def test_what_a_judge_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rubric.md").write_text(RUBRIC)
    Path("judged.yaml").write_text(
        "name: judged\nmodel: zoo/moe\ntask: {name: micro_humaneval, limit: 2}\n"
        "metrics: [fluency, {kind: judge, rubric: rubric.md, max_new_tokens: 4}]\n"
        "sampling: {max_new_tokens: 8}\n"
    )
    harness.run("judged.yaml", directory="out")
    bundle(Path("out"), Path("x.titrate"))
    Path("rubric.md").unlink()
    assert _check(tmp_path, monkeypatch, 2) == []
    opened = Opened.of(tmp_path / "x.titrate")
    records = opened.records
    (reply,) = next(iter(records[1]["replies"]["fluency"].values()))
    reply["log_probabilities"][0][0] -= 1
    opened.records = records
    said = lines(verify(opened.write(tmp_path / "forged.titrate", hashed=True)))
    assert "judged sample_metrics: fluency" in "\n".join(said)


def test_a_search(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    smaller = {
        "search.trials": "2",
        "search.batch": "2",
        "search.chunk": "4",
        "search.splits": "{train: 16, validation: 8, test: 8}",
        "sampling.max_new_tokens": "8",
    }
    settings = [word for item in smaller.items() for word in ("--set", "=".join(item))]
    file = str(SPECS / "steering" / "search.yaml")
    assert main(["search", file, *settings, "--report", "out"]) == 0
    bundle(Path("out"), Path("x.titrate"))
    left = _check(tmp_path, monkeypatch, None)
    assert [each.split(":")[0] for each in left] == ["not recomputed"]


def _check(folder: Path, monkeypatch: pytest.MonkeyPatch, answers: int | None) -> list[str]:
    """A bundle fits where nothing of the run is; with another value of a metric it does not."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    outcome = verify(folder / "x.titrate")
    assert [str(each) for each in outcome.differences] == []
    assert outcome.answers == answers or (answers is None and outcome.answers > 0)
    assert list(elsewhere.iterdir()) == []
    opened = Opened.of(folder / "x.titrate")
    report = opened.report
    case = report["cases"][-1]
    metric = next(name for name in case["metrics"] if case["metrics"][name]["value"] is not None)
    case["metrics"][metric]["value"] += 0.25
    opened.report = report
    said = "\n".join(lines(verify(opened.write(folder / "forged.titrate", hashed=True))))
    assert f"metrics.{metric}.value: stored" in said, json.dumps(case["metrics"])
    return outcome.left
