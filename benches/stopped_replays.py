"""What a run that stops itself would have made of sweeps that were run whole, over many orders.

`python benches/stopped_replays.py REPORT... [--seeds 50]`: for each report its sweeps are stopped
again in that many permutations, from the recorded values; no model is loaded. Printed are the share
of verdicts that are those of the whole run (Holm at 5 %), the share of permutations in which all
are, and the tokens that were asked, as a share of all.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.report.write import recorded_results
from harness.spec.stop import StopSettings
from harness.statistics.paired import holm, paired
from harness.statistics.stopping import Aims, Arm, Sweep
from harness.store.results import CaseResult

ALPHA = 0.05


@dataclass(frozen=True)
class Replay:
    """One permutation: the share of equal verdicts, and that of the tokens."""

    equal: float
    tokens: float


def replay(results: Sequence[CaseResult], seed: int, stop: StopSettings) -> Replay:
    """Stop the sweep of these results in the permutation of a seed."""
    cases = [result for result in results if result.baseline is not None]
    metric = cases[0].metric
    ids = list(cases[0].sample_metrics[metric])
    order = np.random.default_rng(seed).permutation(len(ids))
    values = {each.case.id: _values(each, metric, ids)[order] for each in results}
    tokens = {each.case.id: _tokens(each, ids)[order] for each in results}
    asked = dict.fromkeys(values, 0)

    def measure(together: Sequence[Arm], samples: range) -> None:
        for arm in together:
            for case in (arm.id, arm.baseline):
                asked[case] = max(asked[case], samples.stop)

    arms = [Arm(each.case.id, str(each.baseline), "", each.case.dose or 0.0) for each in cases]
    sweep = Sweep(
        arms,
        len(ids),
        {metric: cases[0].kind(metric)},
        Aims((metric,)),
        lambda case, _: values[case],
        measure,
        stop.alpha,
        stop.look,
        stop.futility,
    )
    sweep.run()
    differ = sweep.differing(metric)
    whole = _whole(cases, {each.case.id: each for each in results}, metric)
    equal = [(arm.id in differ) == (arm.id in whole) for arm in arms]
    made = sum(int(tokens[case][:taken].sum()) for case, taken in asked.items())
    return Replay(float(np.mean(equal)), made / sum(int(each.sum()) for each in tokens.values()))


def _whole(
    cases: Sequence[CaseResult], by_id: Mapping[str, CaseResult], metric: str
) -> frozenset[str]:
    """The cases that the whole run says to differ."""
    ps = [
        paired(
            case.sample_metrics[metric],
            by_id[str(case.baseline)].sample_metrics[metric],
            case.kind(metric),
        ).p
        for case in cases
    ]
    found = zip(cases, holm(ps), strict=True)
    return frozenset(case.case.id for case, p in found if p < ALPHA)


def _values(result: CaseResult, metric: str, ids: Sequence[str]) -> NDArray[np.float64]:
    numbers = result.numbers(metric)
    return np.array([numbers.get(sample, np.nan) for sample in ids], dtype=np.float64)


def _tokens(result: CaseResult, ids: Sequence[str]) -> NDArray[np.int64]:
    made = dict.fromkeys(ids, 0)
    for draw in result.draws:
        made[draw.sample] += len(draw.completion.tokens)
    return np.array([*made.values()], dtype=np.int64)


def main() -> None:
    """Print a row for each experiment of the reports that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=50)
    given = parser.parse_args()
    stop = StopSettings.model_validate({"decide": ["pass@1 differs from baseline"]})
    print("| sweep | same verdicts | all the same | tokens: median | least | most |")
    print("| --- | --- | --- | --- | --- | --- |")
    for report in given.reports:
        experiments: dict[str, list[CaseResult]] = {}
        for result in recorded_results(report):
            experiments.setdefault(result.case.experiment.name, []).append(result)
        for name, results in experiments.items():
            found = [replay(results, seed, stop) for seed in range(given.seeds)]
            equal = np.array([each.equal for each in found])
            tokens = 100 * np.array([each.tokens for each in found])
            cells = [
                f"{100 * equal.mean():.1f} %",
                f"{100 * (equal == 1).mean():.0f} %",
                *(f"{each:.0f} %" for each in (np.median(tokens), tokens.min(), tokens.max())),
            ]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
