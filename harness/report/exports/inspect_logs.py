"""A report as logs of Inspect (inspect.aisi.org.uk), one per case: `inspect view` opens them.

A case is an eval, its axes are the task's arguments, a draw is an epoch of a sample. Written by
Inspect's own API, so that the files are what its installed version reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ReportError
from harness.report.loaded import Report
from harness.report.report import CaseReport
from harness.report.run_info import RunInfo

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample, EvalSpec

_STATUS = {"complete": "success", "incomplete": "cancelled", "failed": "error"}
_STOP = {"stop": "stop", "length": "max_tokens"}
_Row = Mapping[Hashable, Any]


def write_inspect(report: Report, folder: Path) -> list[Path]:
    """One `.eval` file per case, named for it."""
    if find_spec("inspect_ai") is None:
        raise ReportError("inspect needs inspect-ai; pip install 'pytest-titrate[inspect]'")
    from inspect_ai.log import write_eval_log

    rows: dict[str, list[_Row]] = {case.id: [] for case in report.report.cases}
    for row in report.samples.to_dict("records"):
        rows.setdefault(str(row["case"]), []).append(row)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for case in report.report.cases:
        file = folder / f"{_file_name(case.id)}.eval"
        write_eval_log(_log(report.report.run, case, rows[case.id]), str(file), "eval")
        written.append(file)
    return written


def _log(run: RunInfo, case: CaseReport, rows: list[_Row]) -> EvalLog:
    from inspect_ai.log import EvalError, EvalLog, EvalResults, EvalStats

    ended = run.finished or run.started
    return EvalLog(
        status=_STATUS[case.status],
        eval=_spec(run, case, rows),
        results=EvalResults(
            total_samples=len(rows),
            completed_samples=len(rows),
            scores=[_score(case, name) for name in case.metrics],
        ),
        stats=EvalStats(started_at=run.started.isoformat(), completed_at=ended.isoformat()),
        error=None
        if case.error is None or case.status != "failed"
        else EvalError(message=case.error, traceback="", traceback_ansi=""),
        samples=[_sample(case, row) for row in rows],
    )


def _spec(run: RunInfo, case: CaseReport, rows: list[_Row]) -> EvalSpec:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalRevision, EvalSpec

    samples = list(dict.fromkeys(str(row["sample"]) for row in rows))
    about = case.model_dump(
        mode="json",
        include={"id", "baseline", "dose_axis", "dose", "agreement", "counts", "warnings", "error"}
        | {"versus_baseline", "intervention", "settings"},
    )
    return EvalSpec(
        eval_id=_digest(run.id, case.id),
        run_id=_digest(run.id),
        task_id=_digest(case.experiment),
        created=run.started.isoformat(),
        task=case.experiment,
        task_version=case.task.version,
        task_args=dict(case.params),
        task_args_passed=dict(case.params),
        model=case.model,
        dataset=EvalDataset(
            name=case.task.name, samples=case.task.size, sample_ids=samples, shuffled=False
        ),
        config=EvalConfig(epochs=1 + max((int(row["draw"]) for row in rows), default=0)),
        revision=None
        if run.git is None
        else EvalRevision(type="git", origin="", commit=run.git.commit, dirty=run.git.dirty),
        packages=dict(run.versions),
        metadata={"titrate": about, "command": run.command, "determinism": run.determinism},
    )


def _score(case: CaseReport, name: str) -> Any:
    from inspect_ai.log import EvalMetric, EvalScore

    metric = case.metrics[name]
    values = {name: metric.value, "ci_low": metric.ci_low, "ci_high": metric.ci_high}
    return EvalScore(
        name=name,
        scorer=f"titrate/{case.task.name}",
        metrics={
            key: EvalMetric(name=key, value=value)
            for key, value in values.items()
            if value is not None
        },
        metadata={"n": metric.n, "method": metric.method},
    )


def _sample(case: CaseReport, row: _Row) -> EvalSample:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput
    from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score

    verdicts = {True: CORRECT, False: INCORRECT, None: NOANSWER}
    prompt, completion = str(row["prompt"]), str(row["completion"])
    details = ("tokens", "finish_reason", "error", "parsed", "agreement")
    return EvalSample(
        id=str(row["sample"]),
        epoch=int(row["draw"]) + 1,
        input=prompt,
        target="",
        messages=[ChatMessageUser(content=prompt), ChatMessageAssistant(content=completion)],
        output=ModelOutput.from_content(
            case.model,
            completion,
            stop_reason=_STOP.get(str(row["finish_reason"]), "unknown"),  # type: ignore[arg-type]
        ),
        scores={
            case.metric: Score(
                value=verdicts[row["correct"]],
                answer=completion,
                explanation=str(row["detail"]),
            )
        },
        metadata={key: row[key] for key in details if row.get(key) == row.get(key)},
    )


def _digest(*parts: str) -> str:
    """A stable identifier in the place of Inspect's random ones."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:22]


def _file_name(case: str) -> str:
    """A case's id without what file systems and shells dislike."""
    return re.sub(r"[^A-Za-z0-9_.=+-]+", "-", case).strip("-")
