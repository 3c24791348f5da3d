"""The smallest run that a report can be made of: real cases, results by hand, no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.engines.contract import Completion
from harness.interventions.router_mask.description import RouterMask
from harness.spec import Case, Experiment, expand
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Score

METRIC = "pass@1"
BASELINE_TOKENS = (1, 2, 3, 4)
ORDERING = ((1, 2), (0, 0), (1, 0), (0, 3))


def cases_of(name: str = "keep_topk", **fields: Any) -> list[Case]:
    """The cases of a router mask experiment, with `fields` of its spec replaced."""
    content = {
        "name": name,
        "model": "zoo/moe",
        "task": {"name": "micro_humaneval"},
        "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 4},
        "gates": ["neutral_equals_baseline"],
    }
    return expand(Experiment.model_validate(content | fields))


def result_of(
    case: Case,
    values: Sequence[float],
    *,
    agreement: int | None = None,
    tokens: tuple[int, ...] = BASELINE_TOKENS,
    **fields: Any,
) -> CaseResult:
    """A complete case with one draw per value; `fields` replace what is made up here."""
    ids = [f"s/{index}" for index in range(len(values))]
    draws = tuple(
        DrawResult(
            sample=sample,
            draw=0,
            prompt=f"prompt of {sample}\u2028\nü",
            completion=Completion(tokens, "text", "stop"),
            score=Score(correct=value == 1, parsed=True),
            agreement=agreement,
        )
        for sample, value in zip(ids, values, strict=True)
    )
    content: dict[str, Any] = {
        "case": case,
        "task_name": "micro_humaneval",
        "task_version": 1,
        "task_size": len(values),
        "metric": METRIC,
        "status": "complete",
        "baseline": case.baseline.id if case.baseline else None,
        "nodeid": f"benches/bench_x.py::bench[{case.id}]",
        "draws": draws,
        "sample_metrics": {METRIC: dict(zip(ids, values, strict=True))},
        "seconds": 0.5,
    }
    return CaseResult(**(content | fields))


def first(n: int, of: int) -> list[float]:
    """Values of `of` samples of which the first `n` are right."""
    return [1.0] * n + [0.0] * (of - n)


def sweep(
    doses: Sequence[float] = (0, 1, 2, 4),
    styles: Sequence[str] = ("agentic", "assisted"),
    n: int = 12,
    name: str = "keep_topk",
) -> list[CaseResult]:
    """Per style a baseline, then doses that each take two more samples away."""
    axes = {"prompt.style": list(styles), "intervention.count": list(doses)}
    results: dict[str, CaseResult] = {}
    for case in cases_of(name, axes=axes, dose="intervention.count"):
        base = case.baseline
        assert base is not None
        results.setdefault(base.id, result_of(base, first(n - 1, n)))
        rank = list(doses).index(case.params["intervention.count"])
        neutral = rank == 0
        results[case.id] = result_of(
            case,
            first(max(0, n - 1 - 2 * rank), n),
            agreement=4 if neutral else 2,
            tokens=BASELINE_TOKENS if neutral else (1, 2, 9),
            counts={"changed": 10 * rank},
        )
    return list(results.values())


def steered(axes: dict[str, Sequence[Any]]) -> list[CaseResult]:
    """A vector beside its random control at two doses, at every combination of the axes."""
    intervention = {"kind": "steering", "vector": {"pairs": "styles"}, "layer": 0, "alpha": 0}
    axes = {**axes, "intervention.control": ["none", "random"], "intervention.alpha": [0, 1]}
    results: dict[str, CaseResult] = {}
    for case in cases_of(
        "steered", axes=axes, dose="intervention.alpha", intervention=intervention
    ):
        base = case.baseline
        assert base is not None
        results.setdefault(base.id, result_of(base, first(11, 12)))
        right = 11 if case.dose == 0 else 7
        results[case.id] = result_of(case, first(right, 12), agreement=2)
    return list(results.values())


def masked(
    results: Sequence[CaseResult], ordering: Sequence[tuple[int, int]] = ORDERING
) -> list[CaseResult]:
    """Results as runs resolve them: the first points of an ordering, as many as the dose says."""
    found = []
    for result in results:
        if result.case.dose is not None:
            points = tuple(ordering[: int(result.case.dose)])
            result = replace(result, intervention=RouterMask(mode="keep_topk", points=points))
        found.append(result)
    return found


def called(result: CaseResult, count: int) -> CaseResult:
    """The result with tool calls in the last so many of its samples."""
    samples = list(result.sample_metrics[METRIC])
    calls = {each: float(at >= len(samples) - count) for at, each in enumerate(samples)}
    return replace(result, sample_metrics={**result.sample_metrics, "tool_call": calls})


def measured(shift: float = 0.0, n: int = 40) -> list[CaseResult]:
    """Forward passes: a baseline, and a case whose loss, within [0, 1], is higher by `shift`."""
    (case,) = cases_of("fwd", measure="forward", gates=[])
    assert case.baseline is not None
    ids = [f"s/{index}" for index in range(n)]
    deltas = [0.001 * (index % 7 - 3) for index in range(n)]
    results = []
    for each, own in ((case.baseline, 0.5), (case, 0.5 + shift)):
        loss = [own + delta for delta in deltas]
        metrics = {
            "delta_nll": dict(zip(ids, deltas, strict=True)),
            "nll_agentic": dict(zip(ids, loss, strict=True)),
        }
        results.append(result_of(each, loss, metric="delta_nll", draws=(), sample_metrics=metrics))
    return results
