"""Tasks of lm-eval's on vLLM, under an intervention: the numbers of the transformers engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from harness.engines.company import Company
from harness.engines.contract import Asked, Scoring
from harness.models.loading import load_tokenizer
from harness.resolve.progress import Counts, Silent
from harness.runs.asking import Asking
from harness.runs.checks import planned
from harness.runs.session import opened_session
from harness.runs.watching import StreamWatch
from harness.spec import Experiment, expand, load
from harness.store.completions import CompletionStore
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


def asked(tmp_path: Path, name: str, limit: int = 4) -> list[Asked]:
    """What a model is asked of the first documents of a task, masked."""
    from harness.measure.lm_eval_documents import asked_of
    from harness.resolve.tasks import task_of
    from tests.tasks.lm_eval import local

    paths = local.write(tmp_path / "tasks")
    task = {"lm_eval": str(paths[name]), "limit": limit}
    spec = {"name": name, "model": "zoo/moe", "task": task}
    (case,) = expand(Experiment.model_validate(spec))
    own: Any = task_of(case.experiment.task)
    tokenizer = load_tokenizer("zoo/moe")
    return [each for sample in own.samples for each in asked_of(tokenizer, case, own, sample).asked]


def test_a_context_is_read_once_for_its_choices(served, tmp_path, monkeypatch):
    vllm, _ = served
    (scoring,) = asked(tmp_path, "choice_shots", limit=1)
    assert isinstance(scoring, Scoring)
    assert len(scoring.continuations) == 4
    steps, read = vllm._steps, []

    def seen() -> list[Any]:
        outputs = steps()
        ended = [each for each in outputs if each.finished]
        read.extend(len(each.prompt_token_ids) - (each.num_cached_tokens or 0) for each in ended)
        return outputs

    monkeypatch.setattr(vllm, "_steps", seen)
    # Blocks of the prefix cache have 128 tokens on CPUs: a context of 107 would be read four times.
    scoring = replace(scoring, context=scoring.context * 6)
    ((_, scored),) = vllm.score([scoring])
    assert scored.error is None
    # Each finds all whole blocks that end before the context's last token, which all must read.
    assert len(read) == 4
    assert sum(read) < 2 * len(scoring.context)
    assert max(read[1:]) <= 128 + max(map(len, scoring.continuations))


def test_what_was_answered_before_a_kill_is_not_asked_again(served, tmp_path):
    vllm, _ = served
    requests = [*asked(tmp_path, "text"), *asked(tmp_path / "scored", "choice")]
    seen: list[Asked] = []

    class Counted(Company):
        def generate(self, requests: Any) -> Any:
            seen.extend(requests)
            return super().generate(requests)

        def score(self, scorings: Any) -> Any:
            seen.extend(scorings)
            return super().score(scorings)

    def asking() -> Asking:
        watch = StreamWatch(Counts(), Silent(), 12, 1)
        return Asking(Counted(vllm), CompletionStore(tmp_path / "store"), watch)

    stream = asking().run(requests)
    answered = [next(stream) for _ in range(3)]
    stream.close()  # as an interrupt does
    seen.clear()
    found = {each.asked: each for each in asking().run(requests)}
    assert {each.asked for each in answered}.isdisjoint(seen)
    assert len(seen) <= len(requests) - 3
    assert set(found) == set(requests)
    assert all(found[each.asked].stored for each in answered)
