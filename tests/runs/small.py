"""The smallest real run: few samples of a generated task on zoo/moe, and results made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.engines.contract import Completion, Engine, Request
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import LoadedModel
from harness.resolve.progress import Counts, Silent
from harness.runs.checks import planned
from harness.runs.execute import ModelRun
from harness.runs.planned_case import PlannedCase
from harness.spec import Case, Experiment, expand
from harness.store.results import CaseResult, DrawResult
from harness.tasks.base import Score


def experiment(name: str = "small", **fields: Any) -> Experiment:
    """Three short answers under a random router mask, with `fields` of the spec replaced."""
    content = {
        "name": name,
        "model": "zoo/moe",
        "task": {"name": "micro_humaneval", "limit": 3},
        "intervention": mask(),
        "sampling": {"max_new_tokens": 24},
    }
    return Experiment.model_validate(content | fields)


def mask(**fields: Any) -> dict[str, Any]:
    """The intervention section of a spec."""
    return {"kind": "router_mask", "points": {"random": 0}, "count": 0} | fields


def cases(name: str = "small", **fields: Any) -> list[PlannedCase]:
    """The planned cases of an experiment."""
    return [planned(case) for case in expand(experiment(name, **fields))]


def start(
    loaded: LoadedModel, cases: Sequence[PlannedCase], *, slots: int | None = None
) -> ModelRun:
    """A run of these cases that nobody watches."""
    return run_on(TransformersEngine(loaded, slots=slots), cases)


def run_on(engine: Engine, cases: Sequence[PlannedCase], **options: Any) -> ModelRun:
    """The same on a given engine."""
    return ModelRun(engine, cases, Silent(), Counts(cases_total=len(cases)), **options)


def content(result: CaseResult) -> dict[str, Any]:
    """All that must not depend on a case's company: everything but times and the last digits."""
    return {
        "id": result.case.id,
        "status": result.status,
        "draws": [
            (
                draw.sample,
                draw.draw,
                draw.prompt,
                draw.completion.tokens,
                draw.completion.text,
                draw.completion.finish_reason,
                draw.score,
                draw.agreement,
            )
            for draw in result.draws
        ],
        "metrics": result.sample_metrics,
        "counts": result.counts,
        "warnings": result.warnings,
        "error": result.error,
    }


class Wrapped:
    """A real engine that can be watched, and made to break after so many completions."""

    def __init__(self, loaded: LoadedModel, *, breaks_after: int | None = None) -> None:
        self._engine = TransformersEngine(loaded, slots=1)
        self._left = breaks_after
        self.forwards = 0
        self.closed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for done in self._engine.generate(requests):
            if self._left == 0:
                raise RuntimeError("boom\nand its details")
            if self._left is not None:
                self._left -= 1
            yield done

    def forward(self, readings: Any) -> Any:
        self.forwards += 1
        return self._engine.forward(readings)

    def close(self) -> None:
        self.closed += 1
        self._engine.close()


def result_of(
    case: Case, tokens: Sequence[tuple[int, ...]], *, gap: float = 0.0, **fields: Any
) -> CaseResult:
    """A complete case with one sample per token sequence; `gap` shifts its log-probabilities."""
    draws = tuple(
        DrawResult(
            sample=f"s/{index}",
            draw=0,
            prompt="prompt",
            completion=Completion(
                own, "text", "stop", log_probabilities=tuple(gap - token / 10 for token in own)
            ),
            score=Score(correct=True, parsed=True),
        )
        for index, own in enumerate(tokens)
    )
    made: dict[str, Any] = {
        "case": case,
        "task_name": "micro_humaneval",
        "task_version": 1,
        "task_size": len(tokens),
        "metric": "pass@1",
        "status": "complete",
        "baseline": case.baseline.id if case.baseline else None,
        "draws": draws,
    }
    return CaseResult(**(made | fields))
