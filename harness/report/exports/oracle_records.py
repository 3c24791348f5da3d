"""Answers with an oracle's help as swairshah/Guided-Inference writes them: a JSON object per line.

Its fields, with the meanings that it gives them: `cheat_positions` are tokens of the answer before
each consultation, strictly increasing; the outputs of `interleaved_outputs` in their order make the
result. `analysis` has those of its fields that the run has measured. Positions are exact; where a
character is several tokens, which have no text by themselves, two texts may part beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import ReportError
from harness.files.atomic import write_file
from harness.interventions.policy import AUTHOR
from harness.report.load import sample_records
from harness.report.loaded import Report
from harness.report.report import CaseReport
from harness.resolve.tasks import task_of
from harness.spec import TaskSettings
from harness.spec.experiment import PromptSettings

_READ = "asked"
#: What it calls the statistics of a consultation, by their names here.
_STATISTICS = {
    "entropy": "entropy",
    "varentropy": "varentropy",
    "top_prob": "top_probability",
    "prob_top2_diff": "margin",
}


def write_guided(report: Report, folder: Path) -> list[Path]:
    """A file of every case in which an oracle was asked. Raises `ReportError` where none was."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = {case.id: case for case in report.report.cases}
    files: dict[Path, list[str]] = {}
    for record in sample_records(report.directory):
        if AUTHOR in (record.get("traces") or {}):
            line = json.dumps(_guided(cases[record["case"]], record), ensure_ascii=False)
            files.setdefault(folder / f"{record['case']}.jsonl", []).append(line)
    if not files:
        raise ReportError(f"{report.directory}: no case of it asked an oracle; export another one")
    for path, lines in files.items():
        write_file(path, "".join(f"{line}\n" for line in lines))
    return list(files)


def _guided(case: CaseReport, record: Mapping[str, Any]) -> dict[str, Any]:
    """A line of samples.jsonl with its case, in the other form."""
    settings: Any = case.settings
    help_, sampling = settings["intervention"], settings["sampling"]
    limits = {
        "temperature": float(sampling.get("temperature") or 0.0),
        "top_p": float(sampling.get("top_p") or 1.0),
    }
    pieces = list(_pieces(record))
    said = {who: [each.text for each in pieces if each.who == who] for who in ("base", "oracle")}
    return {
        "c": help_["budget"],
        "k": help_["length"],
        "max_new_tokens": sampling["max_new_tokens"],
        **limits,
        "base_model_id": case.model,
        "oracle_model_id": help_["model"],
        "prompt": record["prompt"],
        "interleaved_outputs": [{"output": each.text, "model_type": each.who} for each in pieces],
        "base_model_generations": said["base"],
        "oracle_model_generations": said["oracle"],
        "cheat_positions": [each.begin for each in pieces if each.who == "oracle"],
        "total_tokens_generated": record["tokens"],
        "eval_config": {
            "max_gen_len": str(sampling["max_new_tokens"]),
            **{name: str(value) for name, value in limits.items()},
        },
        "result": record["completion"],
        "ground_truth": _answer(case, record["sample"]),
        # A verdict's detail says what was read, and what had been expected.
        "parsed_answer": record["detail"].partition(", expected")[0] if record["parsed"] else None,
        "analysis": _analysis(record, pieces),
    }


def _answer(case: CaseReport, sample: str) -> str:
    settings: Any = case.settings
    task = task_of(
        TaskSettings.model_validate(settings["task"]),
        PromptSettings.model_validate(settings["prompt"]),
    )
    return task.reference(task.by_id[sample]).answer


class _Piece(NamedTuple):
    """What one of the two said without the other."""

    who: str
    begin: int
    tokens: int
    text: str


def _pieces(record: Mapping[str, Any]) -> Iterator[_Piece]:
    """The pieces of an answer, whose texts are its text: the last one ends where it does."""
    authors = record["traces"][AUTHOR]
    runs = [(author, len(list(run))) for author, run in groupby(authors)]
    begin, left = 0, record["completion"]
    for number, (author, length) in enumerate(runs, start=1):
        text = "".join(record["pieces"][begin : begin + length])
        said = left if number == len(runs) else left[: len(text)]
        yield _Piece("oracle" if author else "base", begin, length, said)
        begin, left = begin + length, left[len(said) :]


def _analysis(record: Mapping[str, Any], pieces: Sequence[_Piece]) -> dict[str, Any]:
    """A consultation's place, length and statistics, and whether the answer is right."""
    total = max(record["tokens"], 1)
    consultations = [
        {
            "position": each.begin,
            "normalized_position": each.begin / total,
            "oracle_tokens": each.tokens,
            "oracle_tokens_normalized": each.tokens / total,
            **_statistics(record["traces"], each.begin),
        }
        for each in pieces
        if each.who == "oracle"
    ]
    return {"cheats": consultations, "acc": record["correct"]}


def _statistics(traces: Mapping[str, Sequence[float]], at: int) -> dict[str, float]:
    return {
        theirs: traces[f"{_READ} {ours}"][at]
        for theirs, ours in _STATISTICS.items()
        if f"{_READ} {ours}" in traces
    }
