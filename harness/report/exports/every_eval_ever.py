"""A report as records of Every Eval Ever, the shared schema of evaluations (arXiv 2606.14516).

A file per case, `data/TASK/DEVELOPER/MODEL/UUID.json`, with every metric and its interval, and
`UUID_samples.jsonl` beside it, an instance per draw. Both fit version 0.3.0 of the schema
(every-eval-ever on PyPI), which wants texts in its free places: what it has no place for (axes, the
intervention, the difference from the baseline) is JSON there.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.files.atomic import write_file
from harness.report.load import sample_records
from harness.report.loaded import Report
from harness.report.report import CaseReport
from harness.report.run_info import RunInfo

SCHEMA_VERSION = "0.3.0"


def write_every_eval_ever(report: Report, folder: Path) -> list[Path]:
    """Both files of every complete case.

    Raises:
        ReportError: the samples are missing.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    instances: dict[str, list[dict[str, Any]]] = {}
    for record in sample_records(report.directory):
        instances.setdefault(str(record["case"]), []).append(record)
    written = []
    for case in report.report.cases:
        if case.status != "complete":
            continue
        place = _place(report.report.run, case)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        lines = [_instance(report.report.run, case, each) for each in instances.get(case.id, [])]
        samples = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines).encode()
        if lines:
            written.append(folder / f"{place}_samples.jsonl")
            write_file(written[-1], samples)
        document = _evaluation(report.report.run, case)
        if lines:
            document["detailed_evaluation_results"] = {
                "format": "jsonl",
                "file_path": f"{place}_samples.jsonl",
                "hash_algorithm": "sha256",
                "checksum": hashlib.sha256(samples).hexdigest(),
                "total_rows": len(lines),
            }
        written.append(folder / f"{place}.json")
        write_file(written[-1], json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return written


def _evaluation(run: RunInfo, case: CaseReport) -> dict[str, Any]:
    ended = run.finished or run.started
    about = {
        "run": run.id,
        "case": case.id,
        "command": run.command,
        "params": _text(case.params),
        "intervention": _text(case.intervention),
        "determinism": _text(run.determinism),
        "hardware": _text(run.hardware),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": _evaluation_id(run, case),
        "evaluation_timestamp": str(run.started.timestamp()),
        "retrieved_timestamp": str(ended.timestamp()),
        "source_metadata": {
            "source_name": "titrate",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "third_party",
            "additional_details": about,
        },
        "eval_library": {
            "name": "titrate",
            "version": run.versions.get("pytest-titrate", "unknown"),
            "additional_details": dict(run.versions),
        },
        "model_info": {
            "name": case.model,
            "id": case.model,
            "inference_engine": {
                "name": run.determinism.get("engine", "unknown"),
                "version": run.versions.get(run.determinism.get("engine", ""), "unknown"),
            },
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "open_weights",
            },
        },
        "evaluation_results": [_result(run, case, name) for name in case.metrics],
    }


def _result(run: RunInfo, case: CaseReport, name: str) -> dict[str, Any]:
    metric, kind = case.metrics[name], case.kind(name)
    uncertainty: dict[str, Any] = {"num_samples": metric.n}
    if metric.ci_low is not None and metric.ci_high is not None:
        uncertainty["confidence_interval"] = {
            "lower": metric.ci_low,
            "upper": metric.ci_high,
            "confidence_level": 0.95,
            "method": str(metric.method),
        }
    low, high = (0.0, 1.0) if kind.share else kind.bounds
    versus = case.versus_baseline.get(name)
    return {
        "evaluation_result_id": f"{_evaluation_id(run, case)}/{name}",
        "evaluation_name": case.task.name,
        "source_data": {
            "dataset_name": case.task.name,
            "source_type": "other",
            "additional_details": {
                "version": str(case.task.version),
                "samples": str(case.task.size),
            },
        },
        "metric_config": {
            "metric_id": f"titrate/{name}",
            "metric_name": name,
            "lower_is_better": kind.good == "lower",
            "score_type": "continuous",
            "min_score": "-Infinity" if low is None else low,
            "max_score": "Infinity" if high is None else high,
        },
        "score_details": {
            "score": metric.value,
            "details": {"versus_baseline": _text(versus and versus.model_dump(mode="json"))},
            "uncertainty": uncertainty,
        },
        "generation_config": _generation(run, case),
    }


def _generation(run: RunInfo, case: CaseReport) -> dict[str, Any]:
    sampling = case.settings.get("sampling")
    given: dict[str, Any] = dict(sampling) if isinstance(sampling, dict) else {}
    rules = given.get("rules")
    rules = rules if isinstance(rules, dict) else {}
    arguments: dict[str, Any] = {"execution_command": run.command}
    for name in ("temperature", "top_p", "top_k"):
        value = given.get(name, rules.get(name))
        if isinstance(value, int | float):
            arguments[name] = value
    if isinstance(given.get("max_new_tokens"), int):
        arguments["max_tokens"] = given["max_new_tokens"]
    return {
        "generation_args": arguments,
        "additional_details": {"sampling": _text(given), "seed": _text(case.settings.get("seed"))},
    }


def _instance(run: RunInfo, case: CaseReport, record: dict[str, Any]) -> dict[str, Any]:
    score = record["metrics"].get(case.metric)
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": _evaluation_id(run, case),
        "model_id": case.model,
        "evaluation_name": case.task.name,
        "evaluation_result_id": f"{_evaluation_id(run, case)}/{case.metric}",
        "sample_id": record["sample"],
        "sample_hash": hashlib.sha256(record["prompt"].encode("utf-8", "replace")).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": record["prompt"], "formatted": record["prompt"], "reference": []},
        "output": {"raw": [record["completion"]]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": record["completion"],
                "extraction_method": "custom",
                "is_terminal": True,
            }
        ],
        "evaluation": {
            "score": float(score) if isinstance(score, int | float) else 0.0,
            "is_correct": bool(record["correct"]),
        },
        "error": record["error"],
        "metadata": dict(_metadata(record)),
    }


def _metadata(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("draw", "detail", "finish_reason", "tokens", "parsed", "tool_call", "metrics"):
        yield name, _text(record[name])


def _evaluation_id(run: RunInfo, case: CaseReport) -> str:
    return f"{case.id}/{case.model}/{run.id}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _place(run: RunInfo, case: CaseReport) -> str:
    """Where the schema wants a file: by task, developer and model, named by a random UUID.

    A digest in place of chance, so that the same report gives the same files.
    """
    developer, _, model = case.model.rpartition("/")
    digest = hashlib.sha256(f"{run.id} {case.id}".encode()).digest()
    parts = (case.task.name, developer or "unknown", model)
    task, owner, name = ("".join(c if c.isalnum() or c in "-_." else "_" for c in p) for p in parts)
    return f"data/{task}/{owner}/{name}/{uuid.UUID(bytes=digest[:16], version=4)}"
