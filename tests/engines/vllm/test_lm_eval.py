"""Tasks of lm-eval's on vLLM, under an intervention: the numbers of the transformers engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.resolve.progress import Silent
from harness.runs.checks import planned
from harness.runs.session import opened_session
from harness.spec import expand, load
from harness.store.results import CaseResult

#: One of each output type, and draws at a temperature.
TASKS = ("choice", "target", "rolling", "text_filters", "text_repeats")
MASK = {"kind": "router_mask", "mode": "keep_topk", "points": {"random": 0}, "count": 8}


def results(specs: list[Path], engine: str, root: Path) -> list[CaseResult]:
    """All cases in one stream, with one start of the engine."""
    root.mkdir()
    given = [f"engine.name={engine}", "engine.dtype=float32"]
    cases = [planned(case) for spec in specs for case in expand(*load(spec, given))]
    session = opened_session(root, "test", Silent())
    session.plan(cases)
    found = [session.outcome(case) for case in cases]
    report = session.finish(root / "report").report
    session.close()
    assert report.run.determinism["engine"] == engine
    return found


def test_every_output_type_has_the_same_numbers_under_a_mask(vllm_installed, tmp_path):
    pytest.importorskip("lm_eval")
    from tests.tasks.lm_eval import local

    tasks = local.write(tmp_path / "tasks")
    specs = []
    for name in TASKS:
        plain = {"name": name, "model": "zoo/moe", "task": {"lm_eval": str(tasks[name])}}
        masked = {**plain, "intervention": MASK, "axes": {"intervention.count": [0, 8]}}
        specs.append(tmp_path / f"{name}.yaml")
        specs[-1].write_text(yaml.safe_dump({**masked, "dose": "intervention.count"}))
    ours = results(specs, "vllm", tmp_path / "vllm")
    theirs = results(specs, "transformers", tmp_path / "transformers")
    assert len(ours) == 2 * len(TASKS)
    for own, other in zip(ours, theirs, strict=True):
        assert own.error is other.error is None
        assert own.counts == other.counts, own.case.id
        assert [each.completion.tokens for each in own.draws] == [
            each.completion.tokens for each in other.draws
        ]
        assert own.sample_metrics.keys() == other.sample_metrics.keys()
        for metric, values in own.sample_metrics.items():
            for sample, value in values.items():
                assert np.allclose(value, other.sample_metrics[metric][sample], atol=1e-3), metric
