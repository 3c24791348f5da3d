"""Ranks of sampled tokens as the logs of "Sample Smart, Not Hard" have them (arXiv 2510.05987).

A folder per case with two files of a JSON list per completion, in the order of samples and draws:
`low_conf_ranks.jsonl`, ranks where the most probable token's probability is below 1, and
`all_sampled_ranks.jsonl`, ranks where the drawn token's own probability is below 0.1. Ranks begin
with 1 and are those of the model's own distribution.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.errors import ReportError
from harness.files.atomic import write_file
from harness.report.load import sample_records
from harness.report.loaded import Report

UNSURE = 1.0
"""A step is in the first file where the largest probability is below this."""
UNLIKELY = 0.1
"""A step is in the second file where the drawn token's probability is below this."""
_NEEDED = ("rank", "probability", "top_probability")


def write_ranks(report: Report, folder: Path) -> list[Path]:
    """Both files of every case that has ranks; raises `ReportError` where none has.

    A report may have specs with the columns and specs without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[Path, list[str]] = {}
    without: dict[str, None] = {}
    for record in sample_records(report.directory):
        traces = _traces(record)
        if traces is None:
            without[str(record["case"])] = None
            continue
        place = folder / str(record["case"])
        steps = list(zip(*(traces[name] for name in _NEEDED), strict=True))
        unsure = [int(rank) for rank, _, top in steps if top < UNSURE]
        unlikely = [int(rank) for rank, probability, _ in steps if probability < UNLIKELY]
        files.setdefault(place / "low_conf_ranks.jsonl", []).append(json.dumps(unsure))
        files.setdefault(place / "all_sampled_ranks.jsonl", []).append(json.dumps(unlikely))
    files = {path: lines for path, lines in files.items() if path.parent.name not in without}
    if without and not files:
        raise ReportError(
            f"{next(iter(without))}: samples have no {', '.join(_NEEDED)}; add "
            f"columns: [{', '.join(_NEEDED)}] to the spec and run it again"
        )
    for path, lines in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, "".join(f"{line}\n" for line in lines))
    return list(files)


def _traces(record: dict[str, Any]) -> dict[str, list[float]] | None:
    """Its columns; None where it has tokens and no columns."""
    traces = record.get("traces")
    if isinstance(traces, dict) and all(traces.get(name) for name in _NEEDED):
        return traces
    return None if record["tokens"] else {name: [] for name in _NEEDED}
