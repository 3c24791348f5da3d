"""Every spec of the zoo on both engines: the same tokens and counts, log-probabilities to 1e-4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.engines import runs
from harness.models import zoo
from harness.resolve.progress import Silent
from harness.runs.checks import planned
from harness.runs.session import opened_session
from harness.spec import expand, load

_SPECS = Path(__file__).parents[3] / "specs"


def _is_for_both(path: Path) -> bool:
    experiment = load(path)[0]
    kind = experiment.intervention and experiment.intervention.kind
    # vLLM brings back neither logits nor attention, and refuses what reads them.
    reads = experiment.measure == "diff" or "attention_entropy" in path.read_text()
    return zoo.ships(experiment.model) and (kind is None or runs("vllm", kind)) and not reads


ZOO = [path.relative_to(_SPECS) for path in sorted(_SPECS.glob("*/*.yaml")) if _is_for_both(path)]


def _results(spec: Path, engine: str, root: Path):
    given = [f"engine.name={engine}", "engine.dtype=float32", "task.limit=2"]
    cases = [planned(case) for case in expand(*load(_SPECS / spec, given))]
    session = opened_session(root / engine, "test", Silent())
    session.plan(cases)
    results = [session.outcome(case) for case in cases]
    report = session.finish(root / engine / "report").report
    session.close()
    assert report.run.determinism["engine"] == engine
    assert {case.settings["engine"]["name"] for case in report.cases} == {engine}
    return results


@pytest.mark.parametrize("spec", ZOO, ids=str)
def test_a_spec_of_the_zoo_gives_the_same_on_both_engines(spec, vllm_installed, tmp_path):
    (tmp_path / "vllm").mkdir()
    (tmp_path / "transformers").mkdir()
    ours = _results(spec, "vllm", tmp_path)
    theirs = _results(spec, "transformers", tmp_path)
    for own, other in zip(ours, theirs, strict=True):
        assert own.error is other.error is None
        assert own.counts == other.counts, own.case.id
        for mine, expected in zip(own.draws, other.draws, strict=True):
            assert mine.completion.tokens == expected.completion.tokens, own.case.id
            assert mine.completion.log_probabilities == pytest.approx(
                expected.completion.log_probabilities, abs=1e-4
            )
        for metric, values in own.sample_metrics.items():
            expected = other.sample_metrics[metric]
            assert list(values) == list(expected), metric
            for sample, value in values.items():  # a number, or lists of numbers
                assert np.allclose(value, expected[sample], atol=1e-3), (metric, sample)


def test_there_are_specs_of_every_kind():
    kinds = {
        load(_SPECS / spec)[0].intervention and load(_SPECS / spec)[0].intervention.kind
        for spec in ZOO
    }
    assert kinds >= {"router_mask", "steering", "dac"}
