"""What a user writes: checked by mypy --strict and pyright, run by nobody."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import pandas as pd

import harness
from harness.testing import experiments


def titrated(spec: Path) -> harness.Report:
    report = harness.run(
        spec,
        overrides=["task.limit=20"],
        select="assisted and not agentic",
        limit=2,
        engine="transformers,vllm",
        gates=["pass@1 >= 0.9 where count=1"],
        save="main",
        shard="1/2",
    )
    assert_type(report, harness.Report)
    assert_type(report.cases, pd.DataFrame)
    assert_type(report.directory, Path)
    return report


def built() -> harness.Report:
    experiment = harness.Experiment.model_validate(
        {"name": "plain", "model": "zoo/moe", "task": {"name": "micro_gsm8k"}}
    )
    assert_type(experiment, harness.Experiment)
    for each in harness.forecast(experiment, "specs/other.yaml", store=None):
        assert_type(each.requests, int)
    return harness.run(experiment, directory="out", fresh=True)


def compared(before: harness.Report) -> list[float]:
    after = harness.load_report("reports/example")
    comparison = harness.compare(before, after, metric="pass@1")
    joined = harness.merge([before, Path("other")], "joined")
    assert_type(joined, harness.Report)
    return [row.versus.delta for row in comparison.rows]


def careful(spec: str) -> str:
    try:
        return str(harness.run(spec).directory)
    except harness.OptionError as error:
        return f"{error.option}: {error.problem}"
    except (harness.SpecError, harness.TitrateError) as error:
        return f"{harness.__version__}: {error}"


@experiments("router_masks/*.yaml")
def bench_router_masks(case: object, outcome: object) -> None:
    assert case is not outcome
