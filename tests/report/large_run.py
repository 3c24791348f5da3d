"""A run as large as pages must bear: thousands of cases, each completion with a text of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from keyword import kwlist
from typing import Any

from harness.engines.contract import Completion
from harness.report.build import build
from harness.report.report import RunReport
from harness.report.run_info import RunInfo
from harness.report.written_samples import records
from harness.spec import Experiment, expand
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Score

_WORDS = [*kwlist, *"()[]:=.,+-*/%<>", "items", "value", "range", "len", "append", "sorted", "join"]
#: Text to cut completions from; so long that compression finds little of it twice.
_POOL = random.Random(0).choices(_WORDS, k=400_000)


def large_run(
    doses: int = 40, seeds: int = 25, samples: int = 100, words: int = 120
) -> tuple[RunReport, Iterator[dict[str, Any]]]:
    """A report of `doses * seeds` cases and `seeds` baselines, and its samples' records.

    A completion follows its baseline for a while that shrinks as the dose grows, then goes on with
    words of its own: about 600 characters, of which little repeats elsewhere.
    """
    axes = {"intervention.count": list(range(doses)), "seed": list(range(seeds))}
    experiment = Experiment.model_validate(
        {
            "name": "large",
            "model": "zoo/moe",
            "task": {"name": "micro_humaneval"},
            "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
            "axes": axes,
            "dose": "intervention.count",
        }
    )
    results: dict[str, CaseResult] = {}
    for case in expand(experiment):
        assert case.baseline is not None
        seed = int(case.params["seed"])
        for each, dose in ((case.baseline, 0), (case, int(case.params["intervention.count"]))):
            if each.id not in results:
                results[each.id] = _result(each, dose, doses, seed, samples, words)
    run = RunInfo(
        id="large",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        finished=datetime(2026, 1, 1, 1, tzinfo=UTC),
        command="pytest benches -k large",
    )
    values = list(results.values())
    return build(run, values), records(values)


def _result(case, dose: int, doses: int, seed: int, samples: int, words: int) -> CaseResult:
    draws = []
    for sample in range(samples):
        reference = random.Random(1_000_003 * seed + sample)
        start, breaks_at = reference.randrange(len(_POOL) - words), reference.random()
        own = random.Random(1_000_003 * (1_009 * seed + sample) + dose)
        kept = words if dose == 0 else int(words * own.random() * (1 - dose / doses))
        other = own.randrange(len(_POOL) - words)
        text = _POOL[start : start + kept] + _POOL[other : other + words - kept]
        right = dose / doses < breaks_at
        draws.append(
            DrawResult(
                sample=f"sample/{sample}",
                draw=0,
                prompt=f"Complete the function of sample {sample}.\n" + "Its words are many. " * 20,
                completion=Completion(
                    tuple(range(kept)) + (-dose,) * (words - kept), " ".join(text), "stop"
                ),
                score=Score(correct=right, parsed=True, detail="passed" if right else "wrong"),
                agreement=None if case.baseline is None else kept,
            )
        )
    values = {draw.sample: float(draw.score.correct) for draw in draws}
    return CaseResult(
        case=case,
        task_name="micro_humaneval",
        task_version=1,
        task_size=samples,
        metric="pass@1",
        status="complete",
        baseline=case.baseline.id if case.baseline else None,
        draws=tuple(draws),
        sample_metrics={"pass@1": values},
        seconds=0.1,
    )
