"""What control variates make of sweeps that were run whole: a row for each.

`python benches/control_variates.py REPORT...`: every dose is looked at on a quarter of its samples,
in 400 permutations, with its baseline and the dose below it as control variates. Printed are, over
the doses whose values vary, the median of how many plain samples one is worth and the best dose's,
and how often the interval holds the mean over all samples.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from harness.report.write import recorded_results
from harness.statistics.control_variates import adjusted_mean
from harness.store.results import CaseResult

PERMUTATIONS = 400


def worth(results: list[CaseResult], metric: str) -> tuple[list[float], list[float]]:
    """Of every dose that varies: plain samples that one is worth, and the coverage."""
    by_id = {each.case.id: each for each in results}
    samples = list(results[0].sample_metrics[metric])
    values = {
        name: np.array([float(each.numbers(metric)[sample]) for sample in samples])
        for name, each in by_id.items()
    }
    found: tuple[list[float], list[float]] = ([], [])
    below: dict[str, str] = {}
    treated = [each for each in results if each.baseline is not None]
    for each in sorted(treated, key=lambda each: each.case.dose or 0):
        baseline = str(each.baseline)
        own = values[each.case.id]
        others = [values[baseline], values[below.get(baseline, baseline)]]
        below[baseline] = each.case.id
        if each.is_neutral or own.std() == 0:
            continue
        rng = np.random.default_rng(0)
        runs = []
        for _ in range(PERMUTATIONS):
            order = rng.permutation(len(own))
            ordered = np.column_stack([other[order] for other in others])
            runs.append(adjusted_mean(own[order][: len(own) // 4], ordered))
        held = [run.low <= own.mean() <= run.high for run in runs]
        found[0].append(float(np.median([run.worth for run in runs])))
        found[1].append(float(np.mean(held)))
    return found


def main() -> None:
    """Print the table."""
    print("| sweep | metric | worth: median | best | coverage: least | median |")
    print("| --- | --- | --- | --- | --- | --- |")
    for report in map(Path, sys.argv[1:]):
        results = [each for each in recorded_results(report) if each.status == "complete"]
        for metric in list(results[0].sample_metrics)[:2]:
            samples, held = worth(results, metric)
            if not samples:
                continue
            cells = [
                *(
                    f"{each:.2f}" if each < 1e6 else "(no spread)"
                    for each in (np.median(samples), max(samples))
                ),
                *(f"{100 * each:.1f} %" for each in (min(held), np.median(held))),
            ]
            name = results[0].case.experiment.name
            print(f"| {name} | {metric} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
