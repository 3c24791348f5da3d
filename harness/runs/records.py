"""Case results as JSON and back, without loss: what a run writes as soon as a case is done.

One record is one `CaseResult` with everything in it: draws with token ids, log-probabilities and
scores, the intervention with its points, the case's settings and where they were written. From a
list of records the same report is built as from the run itself, on any machine, without a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.engines.base import Completion
from harness.errors import StoreError
from harness.interventions.kinds import intervention_from
from harness.runs.journal import Format, Line, encoded, lines, unusable
from harness.runs.results import CaseResult, Departure, DrawResult, InvariantResult, UsageMap
from harness.spec import Case, Experiment, Source
from harness.spec.source import Place
from harness.tasks.base import Score

FORMAT = Format("titrate case records", 1)


def to_json(result: CaseResult) -> dict[str, Any]:
    """A case result as JSON values."""
    return {
        "case": _case_json(result.case),
        "task": [result.task_name, result.task_version, result.task_size],
        "metric": result.metric,
        "status": result.status,
        "baseline": result.baseline,
        "nodeid": result.nodeid,
        "draws": [_draw_json(draw) for draw in result.draws],
        "sample_metrics": {name: dict(each) for name, each in result.sample_metrics.items()},
        "counts": dict(result.counts),
        "intervention": (
            None if result.intervention is None else result.intervention.model_dump(mode="json")
        ),
        "isolation": result.isolation,
        "warnings": list(result.warnings),
        "error": result.error,
        "seconds": result.seconds,
        "checks": [asdict(check) for check in result.checks],
        "artefacts": result.artefacts,
        "usage": None if result.usage is None else asdict(result.usage),
    }


def from_json(document: dict[str, Any]) -> CaseResult:
    """The case result that `to_json` described; equal to it."""
    name, version, size = document["task"]
    intervention = document["intervention"]
    return CaseResult(
        case=_case_from(document["case"]),
        task_name=name,
        task_version=version,
        task_size=size,
        metric=document["metric"],
        status=document["status"],
        baseline=document["baseline"],
        nodeid=document["nodeid"],
        draws=tuple(_draw_from(draw) for draw in document["draws"]),
        sample_metrics=document["sample_metrics"],
        counts=document["counts"],
        intervention=None if intervention is None else intervention_from(intervention),
        isolation=document["isolation"],
        warnings=tuple(document["warnings"]),
        error=document["error"],
        seconds=document["seconds"],
        checks=tuple(finding_from(check) for check in document["checks"]),
        artefacts=document["artefacts"],
        usage=usage_from(document.get("usage")),  # records of earlier versions have none
    )


def record_lines(results: Iterable[CaseResult]) -> Iterator[bytes]:
    """A whole file of records, line by line."""
    yield encoded({"format": FORMAT.name, "version": FORMAT.version})
    for result in results:
        yield encoded(to_json(result))


def read_records(path: Path, *, torn: bool = False) -> Iterator[CaseResult]:
    """The results in a file of records, in its order.

    Args:
        path: The file.
        torn: Pass over torn and altered lines, which the file of a killed process may have.

    Raises:
        StoreError: the file is missing, holds something else or, unless `torn`, is damaged.
    """
    try:
        problem = unusable(path, FORMAT)
        if problem is not None:
            raise StoreError(f"{problem}; make the report again with the version that wrote it")
        for line in lines(path):
            if line.body is not None and line.offset:
                yield _result_in(line, path)
            elif line.body is None and not torn:
                raise StoreError(
                    f"{path}: the record at byte {line.offset} is torn or altered; copy it again"
                )
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error


def _result_in(line: Line, path: Path) -> CaseResult:
    try:
        return from_json(line.record)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path}: the record at byte {line.offset} is of another version of titrate; "
            "use the one that wrote it"
        ) from error


def finding_from(document: Mapping[str, Any]) -> InvariantResult:
    """The finding whose fields a document holds."""
    departure = document["departure"]
    known = None if departure is None else Departure(**departure)
    return InvariantResult(**{**document, "departure": known})


def usage_from(document: Mapping[str, Any] | None) -> UsageMap | None:
    """The map whose fields a document holds, as numbers and rows again."""
    if document is None:
        return None
    values = tuple(tuple(map(float, row)) for row in document["values"])
    return UsageMap(document["expression"], tuple(map(int, document["layers"])), values)


def completion_json(completion: Completion) -> dict[str, Any]:
    """A completion as JSON values."""
    return {
        "tokens": completion.tokens,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "log_probabilities": completion.log_probabilities,
        "counts": dict(completion.counts),
        "error": completion.error,
        "traces": {name: list(values) for name, values in completion.traces.items()},
    }


def completion_from(value: dict[str, Any]) -> Completion:
    """The completion that `completion_json` described."""
    return Completion(
        tokens=tuple(value["tokens"]),
        text=value["text"],
        finish_reason=value["finish_reason"],
        log_probabilities=tuple(value["log_probabilities"]),
        counts=value["counts"],
        error=value["error"],
        # Records of earlier versions have none.
        traces={name: tuple(values) for name, values in value.get("traces", {}).items()},
    )


def _draw_json(draw: DrawResult) -> dict[str, Any]:
    return {
        "sample": draw.sample,
        "draw": draw.draw,
        "prompt": draw.prompt,
        "completion": completion_json(draw.completion),
        "score": [
            draw.score.correct,
            draw.score.parsed,
            draw.score.detail,
            draw.score.tool_call,
            draw.score.doubt,
        ],
        "agreement": draw.agreement,
    }


def _draw_from(value: dict[str, Any]) -> DrawResult:
    return DrawResult(
        sample=value["sample"],
        draw=value["draw"],
        prompt=value["prompt"],
        completion=completion_from(value["completion"]),
        score=Score(*value["score"]),
        agreement=value["agreement"],
    )


def _case_json(case: Case, around: Case | None = None) -> dict[str, Any]:
    """A case as JSON values; `around` is the case whose baseline it is, with some of its places."""
    shared = around is not None and around.source.choosing()(case.source.choices) == case.source
    return {
        "id": case.id,
        "experiment": case.experiment.model_dump(mode="json"),
        "params": dict(case.params),
        "dose": case.dose,
        "file": case.source.file,
        "places": (
            None
            if shared
            else [[name, place.text, place.folder] for name, place in case.source.places]
        ),
        "choices": case.source.choices,
        "of": case.of,
        "sizes": dict(case.sizes),
        "baseline": None if case.baseline is None else _case_json(case.baseline, case),
    }


def _case_from(value: dict[str, Any], around: Source | None = None) -> Case:
    choices = tuple((axis, position) for axis, position in value["choices"])
    if value["places"] is not None:
        places = tuple((name, Place(text, folder)) for name, text, folder in value["places"])
        source = Source(value["file"], places, choices)
    else:
        assert around is not None
        source = around.choosing()(choices)
    baseline = value["baseline"]
    return Case(
        id=value["id"],
        experiment=Experiment.model_validate(value["experiment"]),
        params=value["params"],
        dose=value["dose"],
        source=source,
        of=value["of"],
        sizes=value.get("sizes", {}),  # records of earlier versions have none
        baseline=None if baseline is None else _case_from(baseline, source),
    )
