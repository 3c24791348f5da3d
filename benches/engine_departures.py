r"""Where two engines say the same, and where they depart: a table of one report.

    pytest benches -k sentiment --titrate-engine transformers,vllm \
        --titrate-set engine.dtype=bfloat16 --titrate-report out
    python benches/engine_departures.py out

For each case: the share of completions that are equal, the characters in front of the first
departure, on average over those that depart, and every metric under both engines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import harness
from harness.report.loaded import Report
from harness.report.report import CaseReport

_ENGINE = "engine.name"


def departures(report: Report) -> pd.DataFrame:
    """One row per case that both engines of a report have run."""
    cases = {case.id: case for case in report.report.cases}
    samples = report.samples
    samples["engine"] = [_engine(cases[name]) for name in samples["case"]]
    samples["same"] = [_without_engine(cases[name]) for name in samples["case"]]
    rows = []
    for name, of_case in samples.groupby("same", sort=False):
        (first, mine), (second, theirs) = of_case.groupby("engine")
        pairs = mine.merge(theirs, on=["sample", "draw"])
        agreed = [
            _agreed(a, b) for a, b in zip(pairs.completion_x, pairs.completion_y, strict=True)
        ]
        apart = [each for each in agreed if each is not None]
        row = {
            "case": name,
            "equal": f"{1 - len(apart) / len(pairs):.0%}",
            "until": f"{sum(apart) / len(apart):.1f}" if apart else "-",
        }
        for engine, frame in ((first, mine), (second, theirs)):
            values = cases[frame["case"].iloc[0]].metrics
            row |= {f"{metric}, {engine}": f"{each.value:.3f}" for metric, each in values.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _engine(case: CaseReport) -> str:
    return str(case.params[_ENGINE])


def _without_engine(case: CaseReport) -> str:
    return ", ".join(f"{k}={v}" for k, v in case.params.items() if k != _ENGINE) or "baseline"


def _agreed(mine: str, theirs: str) -> int | None:
    """Characters in front of the first departure; None where there is none."""
    if mine == theirs:
        return None
    together = zip(mine, theirs, strict=False)
    return next((at for at, (a, b) in enumerate(together) if a != b), min(len(mine), len(theirs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    print(departures(harness.load_report(parser.parse_args().report)).to_string(index=False))


if __name__ == "__main__":
    main()
