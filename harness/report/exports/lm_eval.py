"""A report as lm-evaluation-harness writes one: a folder per case, in it results and samples.

    OUT/CASE/results_2026-01-31T12-00-00.json
    OUT/CASE/samples_TASK_2026-01-31T12-00-00.jsonl

Of a task of lm-eval's the documents are loaded again, and its own functions make both files of what
was recorded, so that they are what lm-eval would have written for these answers. Of any other task
a document has what samples.jsonl knows: id, prompt, completion and metrics.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.engines import tokenizer_for
from harness.errors import FieldError, ReportError, TaskError
from harness.files.atomic import write_file
from harness.report.load import RECORDS
from harness.report.loaded import Report
from harness.report.report import CaseReport
from harness.resolve.tasks import task_of
from harness.store.records import read_records
from harness.store.results import CaseResult


def write_lm_eval(report: Report, folder: Path) -> list[Path]:
    """Both files of every complete case."""
    if find_spec("lm_eval") is None:
        raise ReportError("lm-eval needs lm-eval; pip install 'pytest-titrate[lm-eval]'")
    date = report.report.run.started.isoformat().replace(":", "-")
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in report.samples.to_dict("records"):
        rows[str(row["case"])].append({str(name): value for name, value in row.items()})
    recorded = {each.case.id: each for each in read_records(report.directory / RECORDS)}
    written: list[Path] = []
    for case in report.report.cases:
        if case.status != "complete":
            continue
        result = recorded[case.id]
        found = (
            results_of(result, unsafe_code=report.unsafe_code)
            if result.measure.by_task
            else _plain(case, rows[case.id])
        )
        found["config"] = _config(report, case)
        found["date"] = report.report.run.started.timestamp()
        found["model_name"] = case.model
        found["model_source"] = "titrate"
        own = folder / re.sub(r"[^A-Za-z0-9_.=+-]+", "-", case.id).strip("-")
        own.mkdir(parents=True, exist_ok=True)
        samples = found.pop("samples")
        written.append(own / f"results_{date}.json")
        write_file(written[-1], json.dumps(found, indent=2, default=_jsonable).encode())
        for task, lines in samples.items():
            written.append(own / f"samples_{task}_{date}.jsonl")
            text = "".join(
                json.dumps(_line(line), default=_jsonable, ensure_ascii=False) + "\n"
                for line in lines
            )
            write_file(written[-1], text.encode("utf-8", errors="surrogatepass"))
    return written


def results_of(
    result: CaseResult, *, unsafe_code: bool = False, bootstrap_iters: int = 0
) -> dict[str, Any]:
    """What lm-eval's `evaluate` would have returned for the answers of a case of one of its tasks.

    Args:
        result: The recorded case.
        unsafe_code: Whether code of a task file may be run, which loading the task does.
        bootstrap_iters: As there: how often documents are drawn for standard errors; 0 for none.

    Raises:
        ReportError: the task cannot be loaded any more.
    """
    from lm_eval.evaluator_utils import _process_results

    experiment = result.case.experiment
    try:
        task: Any = task_of(experiment.task, experiment.prompt, unsafe_code=unsafe_code)
        loaded = task.loaded
        documents = result.measure.logged_of(
            result.case,
            task,
            result.recorded_answers(),
            lambda: tokenizer_for(experiment.model, experiment.engine),
        )
    except (TaskError, FieldError) as error:
        raise ReportError(f"{result.case.id}: task: {error}") from error
    every: dict[str, Any] = {
        name: {"task": each, "raw_metrics": defaultdict(list), "logged_samples": []}
        for name, each in loaded.tasks.items()
    }
    for each in documents:
        own = every[each.task]
        for metric, value in each.metrics.items():
            own["raw_metrics"][metric, each.filter].append(value)
        own["logged_samples"].append(_logged(own["task"], each))
    found = _process_results(every, dict(loaded.groups), bootstrap_iters)
    return dict(found._to_eval_results(samples=found.samples))  # noqa: SLF001 - as `evaluate` does


def _logged(task: Any, document: Any) -> dict[str, Any]:
    """A document as `evaluate` logs it."""
    from lm_eval.utils import handle_non_serializable, hash_string

    first = document.instances[0]
    target = task.doc_to_target(first.doc)
    text = json.dumps(first.doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    return {
        "doc_id": first.doc_id,
        "doc": first.doc,
        "target": target,
        "arguments": [each.args for each in document.instances],
        "resps": [each.resps for each in document.instances],
        "filtered_resps": [each.filtered_resps[document.filter] for each in document.instances],
        "filter": document.filter,
        "metrics": list(document.metrics),
        "doc_hash": hash_string(text),
        "prompt_hash": hash_string(first.arguments[0]),
        "target_hash": hash_string(str(target)),
        **document.metrics,
    }


def _line(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A logged document as lm-eval writes it into its file."""
    from lm_eval.utils import sanitize_list

    arguments = {
        f"gen_args_{i}": {f"arg_{j}": each for j, each in enumerate(given)}
        for i, given in enumerate(sample["arguments"])
    }
    return {
        **sample,
        "arguments": arguments,
        "resps": sanitize_list(sample["resps"]),
        "filtered_resps": sanitize_list(sample["filtered_resps"]),
        "target": str(sample["target"]),
    }


def _plain(case: CaseReport, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The same of a task that is none of lm-eval's."""
    name = re.sub(r"\W", "_", case.task.name)
    numbers: dict[str, Any] = {"name": name, "alias": case.task.name, "sample_len": case.task.size}
    for metric, measured in case.metrics.items():
        numbers[f"{metric},none"] = measured.value
        numbers[f"{metric}_stderr,none"] = "N/A"
    better = {"higher": True, "lower": False}
    return {
        "results": {name: numbers},
        "group_subtasks": {name: []},
        "configs": {name: {"task": name, "output_type": "generate_until"}},
        "versions": {name: case.task.version},
        "n-shot": {name: 0},
        "higher_is_better": {
            name: {metric: better.get(case.kind(metric).good) for metric in case.metrics}
        },
        "n-samples": {name: {"original": case.task.size, "effective": case.task.size}},
        "samples": {name: list(_documents(rows))},
    }


def _documents(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    from lm_eval.utils import hash_string

    own: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        own.setdefault(str(row["sample"]), []).append(row)
    for number, (sample, draws) in enumerate(own.items()):
        said = [str(row["completion"]) for row in draws]
        metrics = draws[0].get("metrics") or {}
        yield {
            "doc_id": number,
            "doc": {"id": sample},
            "target": "",
            "arguments": [(str(draws[0]["prompt"]), {})],
            "resps": [said],
            "filtered_resps": [said[0]],
            "filter": "none",
            "metrics": list(metrics),
            "doc_hash": hash_string(json.dumps({"id": sample}, indent=2, ensure_ascii=False)),
            "prompt_hash": hash_string(str(draws[0]["prompt"])),
            "target_hash": hash_string(""),
            **metrics,
        }


def _config(report: Report, case: CaseReport) -> dict[str, Any]:
    """What lm-eval says of the model, with what tells our case from others."""
    return {
        "model": "titrate",
        "model_args": {"spec": case.experiment, "case": case.id, "model": case.model},
        "titrate": {
            "intervention": case.intervention,
            "settings": case.settings,
            "determinism": report.report.run.determinism,
        },
    }


def _jsonable(value: Any) -> Any:
    from lm_eval.utils import handle_non_serializable

    return handle_non_serializable(value)
