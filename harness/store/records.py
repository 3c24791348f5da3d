"""Case results as JSON and back, without loss: what a run writes as soon as a case is done.

One record is one `CaseResult` with everything in it: draws with token ids, log-probabilities and
scores, the intervention with its points, the case's settings and where they were written. From a
list of records the same report is built as from the run itself, on any machine, without a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from harness.engines.contract import Reply, Scored
from harness.errors import StoreError, TitrateError
from harness.files.portable import local, place_forms, portable
from harness.interventions.kind import intervention_from
from harness.spec import Case, Experiment, SpecSource
from harness.spec.doses import number_of, written
from harness.spec.form import resolving
from harness.spec.origins import Origin
from harness.store import record_shapes as shapes
from harness.store.journal import Format, Line, encoded, json_of, line_of, lines, unusable
from harness.store.replies import completion_json, completion_of, reply_json, reply_of
from harness.store.results import (
    CaseResult,
    Departure,
    DrawResult,
    InvariantResult,
    Replies,
    Stopped,
    StoredDraws,
)
from harness.store.usages import usage_of
from harness.tasks.base import Score, TaskMetric

FORMAT = Format("titrate case records", 1)

Value = TypeVar("Value")


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
        **_counted_json(result),
    }


def _counted_json(result: CaseResult) -> dict[str, Any]:
    """What there is to say of stopping, and of metrics that the spec adds; nothing of neither."""
    replies = {
        metric: {sample: [reply_json(each) for each in own] for sample, own in samples.items()}
        for metric, samples in result.replies.items()
    }
    failures = {metric: dict(failed) for metric, failed in result.failures.items()}
    entries = {metric: asdict(each) for metric, each in result.entries.items()}
    found: dict[str, Any] = {
        "stopped": {} if result.stopped is None else asdict(result.stopped),
        "failures": failures,
        "contents": dict(result.contents),
        "replies": replies,
        "entries": entries,
    }
    return {name: value for name, value in found.items() if value}


def portable_json(result: CaseResult) -> dict[str, Any]:
    """The same with its paths as reports carry them; what a model wrote is left alone."""
    document = to_json(result)
    draws = document.pop("draws")
    return {**portable(document), "draws": draws}


def from_json(document: Any) -> CaseResult:
    """The case result that `to_json` described; equal to it.

    Relative paths start at the working directory: where a run is looked at is where it was started.

    Raises:
        ValueError: the document is anything else.
    """
    shape = shapes.RESULT.validate_python(document)
    draws = tuple(draw_from(draw, draw["agreement"]) for draw in shape["draws"])
    return result_of(shape, draws, CaseReader())


def result_of(
    shape: shapes.ResultShape, draws: Sequence[DrawResult], reader: CaseReader
) -> CaseResult:
    """The result of a record that was checked, with these draws.

    Raises:
        ValueError: its case is none.
    """
    name, version, size = shape["task"]
    try:
        case = reader.case(shape["case"])
        described = shape["intervention"]
        intervention = None if described is None else intervention_from(described)
    except (TitrateError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"no case: {error}") from error
    return CaseResult(
        case=case,
        task_name=name,
        task_version=version,
        task_size=size,
        metric=shape["metric"],
        status=shape["status"],
        baseline=shape["baseline"],
        nodeid=shape["nodeid"],
        draws=draws,
        sample_metrics=shape["sample_metrics"],
        counts=shape["counts"],
        intervention=intervention,
        isolation=shape["isolation"],
        warnings=shape["warnings"],
        error=shape["error"],
        seconds=shape["seconds"],
        checks=tuple(_finding(check) for check in shape["checks"]),
        artefacts=None if shape["artefacts"] is None else local(shape["artefacts"]),
        usage=None
        if (usage := shape.get("usage")) is None
        else usage_of(usage),  # records of earlier versions have none
        failures=shape.get("failures", {}),
        contents=shape.get("contents", {}),
        replies=_replies(shape),
        stopped=Stopped(**shape["stopped"]) if "stopped" in shape else None,
        entries={name: TaskMetric(**each) for name, each in shape.get("entries", {}).items()},
    )


def _replies(shape: shapes.ResultShape) -> Replies:
    """What metrics were told; in earlier versions that was fluency's, beside the completions."""
    if any("reference" in draw for draw in shape["draws"]):
        read: dict[str, tuple[Reply, ...]] = {}
        for draw in shape["draws"]:
            if draw["completion"]["tokens"]:
                values = draw.get("reference", ())
                reply = Scored((values,), error=None if values else "it was not read")
                read[draw["sample"]] = (*read.get(draw["sample"], ()), reply)
        return {"fluency": read}
    return {
        metric: {sample: tuple(reply_of(each) for each in own) for sample, own in samples.items()}
        for metric, samples in shape.get("replies", {}).items()
    }


def record_lines(results: Iterable[CaseResult]) -> Iterator[bytes]:
    """A whole file of a report's records, line by line."""
    yield encoded({"format": FORMAT.name, "version": FORMAT.version})
    yield from map(record_line, results)


def record_line(result: CaseResult) -> bytes:
    """A result in such a file; draws that are stored as they are need not be read for it."""
    draws = result.draws.recorded() if isinstance(result.draws, StoredDraws) else None
    if draws is None:
        return encoded(portable_json(result))
    rest = to_json(replace(result, draws=()))
    del rest["draws"]
    case = rest.pop("case")
    forms = place_forms()
    parts = _portable_text(case, forms), _portable_text(rest, forms).removeprefix(b"{")
    return line_of(b'{"case":%s,%s,"draws":%s}' % (parts[0], parts[1].removesuffix(b"}"), draws))


def _portable_text(document: Mapping[str, Any], forms: Iterable[bytes]) -> bytes:
    """The JSON of a document with its paths as reports carry them; most have none."""
    text = json_of(document)
    return json_of(portable(document)) if any(form in text for form in forms) else text


def read_records(
    path: Path, decode: Callable[[Path, Line], CaseResult] | None = None
) -> Iterator[CaseResult]:
    """The results in a file of records, in its order.

    Args:
        path: The file.
        decode: What reads a line; raises ValueError for one that holds anything else.

    Raises:
        StoreError: the file is missing, holds something else or is damaged.
    """
    try:
        problem = unusable(path, FORMAT)
        if problem is not None:
            raise StoreError(f"{problem}; make the report again with the version that wrote it")
        for line in lines(path):
            if line.body is None:
                raise StoreError(
                    f"{path}: the record at byte {line.offset} is torn or altered; copy it again"
                )
            if line.offset:
                yield _result_in(line, path, decode or result_in)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error


def usable_records(
    path: Path, decode: Callable[[Path, Line], Value], skipped: Callable[[str], None]
) -> Iterator[Value]:
    """What can be read of a file that a process was writing when it died.

    `decode` raises ValueError for a line that holds anything else; `skipped` is told of every place
    that cannot be used, but for a last line without its end.
    """
    try:
        problem = unusable(path, FORMAT)
        if problem is not None:
            skipped(problem)
            return
        for line in lines(path):
            if line.body is None and line.whole:
                skipped(f"{path}: the record at byte {line.offset} is torn or altered")
            elif line.body is not None and line.offset:
                try:
                    yield decode(path, line)
                except ValueError:
                    skipped(
                        f"{path}: the record at byte {line.offset} is of another version of "
                        "titrate, or of none"
                    )
    except OSError as error:
        skipped(f"{path}: cannot be read: {error.strerror or error}")


def result_in(path: Path, line: Line) -> CaseResult:  # noqa: ARG001 - as those that read it again
    """The whole result in a line. Raises ValueError for anything else."""
    return from_json(line.record)


def _result_in(line: Line, path: Path, decode: Callable[[Path, Line], CaseResult]) -> CaseResult:
    try:
        return decode(path, line)
    except ValueError as error:
        raise StoreError(
            f"{path}: the record at byte {line.offset} is not a case's, or of another version of "
            "titrate; use the one that wrote it"
        ) from error


def finding_from(document: Any) -> InvariantResult:
    """The finding whose fields a document holds. Raises ValueError where they are others."""
    return _finding(shapes.FINDING.validate_python(document))


def _finding(shape: shapes.FindingShape) -> InvariantResult:
    departure = shape["departure"]
    known = None if departure is None else Departure(**departure)
    return InvariantResult(shape["name"], shape["case"], shape["holds"], shape["detail"], known)


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
            draw.score.answer,
        ],
        "agreement": draw.agreement,
        **({"pieces": list(draw.pieces)} if draw.pieces else {}),
        **({"instead": [[at, text] for at, text in draw.instead]} if draw.instead else {}),
    }


def draw_shapes(result: CaseResult) -> Iterable[shapes.DrawShape]:
    """The draws of a result as records have them, for which nothing else is made of stored ones."""
    if isinstance(result.draws, StoredDraws):
        return cast("Iterable[shapes.DrawShape]", result.draws.shapes())
    return cast("Iterable[shapes.DrawShape]", map(_draw_json, result.draws))


def draw_from(value: shapes.DrawShape, agreement: int | None) -> DrawResult:
    """The draw of a record that was checked, with this agreement."""
    return DrawResult(
        sample=value["sample"],
        draw=value["draw"],
        prompt=value["prompt"],
        completion=completion_of(value["completion"]),
        score=_score(value["score"]),
        agreement=agreement,
        pieces=tuple(value.get("pieces", ())),
        instead=tuple((at, text) for at, text in value.get("instead", ())),
    )


def _score(value: Sequence[Any]) -> Score:
    """A score from its place in a record; earlier versions kept no answer, or no doubt either."""
    correct, parsed, detail, tool_call, *others = value
    return Score(
        correct,
        parsed,
        detail,
        tool_call,
        others[0] if others else "",
        answer=others[1] if len(others) > 1 else None,
    )


def _case_json(case: Case, around: Case | None = None) -> dict[str, Any]:
    """A case as JSON values; `around` is the case whose baseline it is, with some of its places."""
    shared = around is not None and around.source.choosing()(case.source.choices) == case.source
    return {
        "id": case.id,
        "experiment": case.experiment.model_dump(mode="json"),
        "params": dict(case.params),
        "dose": written(case.dose),
        "file": case.source.file,
        "places": (
            None
            if shared
            else [[name, origin.text, origin.folder] for name, origin in case.source.origins]
        ),
        "choices": case.source.choices,
        "of": case.of,
        "sizes": dict(case.sizes),
        "baseline": None if case.baseline is None else _case_json(case.baseline, case),
    }


class CaseReader:
    """Reads cases; experiments that are written alike are one object, and validated once.

    The sections in which the experiments of a grid do not differ are one object, too.
    """

    def __init__(self) -> None:
        self._experiments: dict[bytes, Experiment] = {}
        self._sections: dict[tuple[str, str], Any] = {}

    def case(self, value: shapes.CaseShape, around: SpecSource | None = None) -> Case:
        """The case that `_case_json` described. Raises ValueError for one without its places."""
        choices = value["choices"]
        if value["places"] is not None:
            origins = tuple(
                (name, Origin(text, local(folder))) for name, text, folder in value["places"]
            )
            source = SpecSource(value["file"], origins, choices)
        elif around is None:
            raise ValueError("a case without its places in a spec")
        else:
            source = around.choosing()(choices)
        baseline = value["baseline"]
        return Case(
            id=value["id"],
            experiment=self._experiment(value["experiment"]),
            params=value["params"],
            dose=number_of(value["dose"]),
            source=source,
            of=value["of"],
            sizes=value.get("sizes", {}),
            baseline=None if baseline is None else self.case(baseline, source),
        )

    def _experiment(self, written: dict[str, Any]) -> Experiment:
        key = sha256(json.dumps(written).encode()).digest()
        if key not in self._experiments:
            found = Experiment.model_validate(self._resolved(written))
            shared = {
                name: self._shared(name, json.dumps(written.get(name)), value)
                for name, value in found
            }
            self._experiments[key] = found.model_copy(update=shared)
        return self._experiments[key]

    @cached_property
    def _resolved(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """Makes paths absolute; finding out where there are any takes longer than that."""
        return resolving(Path.cwd())

    def _shared(self, name: str, written: str, section: Any) -> Any:
        """A section that is written alike and equal, the first one that was read."""
        known = self._sections.setdefault((name, written), section)
        return known if type(known) is type(section) and known == section else section
