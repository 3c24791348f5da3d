"""`pass@1: worse, p<0.05`: what must not be found when a run is compared with a saved one.

The rule fails when any case of the run changed in this direction and its p, Holm-corrected over the
compared cases of its experiment, is below the bound (without a bound: when any case changed).

Undecided, and so failed: a case or metric that the saved run lacks, another version of the task, or
so few samples that no change could bring p below the bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from harness.claims.compare import compare
from harness.claims.comparison import ComparedCase, Comparison
from harness.claims.evidence import Measured, Undecided, more
from harness.claims.saved import SavedRun
from harness.errors import OptionError, ReportError
from harness.metrics.entry import MetricEntry
from harness.metrics.lookup import directionless
from harness.spec.gates import ChangeRule, Gate
from harness.spec.suggestion import suggestion
from harness.statistics.bootstrap import LEAST_P
from harness.statistics.sequential import anytime_p
from harness.store.results import UNDECIDED, GateResult

#: Smallest p of the tests that draw at random.
_LEAST_DRAWN = {"sign_flip": 1e-4, "paired_bootstrap": LEAST_P}


def check_rules(
    rules: Sequence[ChangeRule], before: SavedRun, after: SavedRun, cases: Sequence[str] = ()
) -> list[GateResult]:
    """Judge every rule, per experiment of the second run that has a case to compare."""
    verdicts = []
    for rule in dict.fromkeys(rules):
        gate = Gate(*rule.against(before.name))
        for experiment in after.report.experiments:
            ids = [case.id for case in after.report.experiment(experiment)]
            chosen = [id_ for id_ in ids if not cases or id_ in cases]
            if not chosen:
                continue
            try:
                holds, detail = _verdict(
                    rule, compare(before, after, metric=rule.metric, cases=chosen)
                )
            except (Undecided, ReportError) as reason:
                holds, detail = False, f"{UNDECIDED}{reason}"
            verdicts.append(GateResult(gate, experiment, holds=holds, detail=detail))
    return verdicts


def undecided(
    rules: Sequence[ChangeRule], name: str, after: SavedRun, reason: str
) -> list[GateResult]:
    """Every rule as failed in every experiment, because the run to compare with is not there."""
    return [
        GateResult(
            Gate(*rule.against(name)), experiment, holds=False, detail=f"{UNDECIDED}{reason}"
        )
        for rule in dict.fromkeys(rules)
        for experiment in after.report.experiments
    ]


def check_rules_asked(rules: Iterable[ChangeRule], cases: Iterable[Measured]) -> None:
    """Find the first rule of a metric that none of these cases measures, or that has no worse.

    Raises:
        OptionError: there is one.
    """
    kinds = [(name, each.kind(name)) for each in cases for name in each.metrics]
    names = [name for name, _ in kinds]
    for rule in rules:
        _check_direction(rule, kinds, "compare_fail")
        if rule.metric not in names:
            raise OptionError(
                "compare_fail",
                f"{rule.text!r}: no metric {rule.metric!r};{suggestion(rule.metric, names)} the "
                f"selected cases measure {', '.join(dict.fromkeys(names))}",
            )


def check_directions(rules: Iterable[ChangeRule], run: SavedRun, option: str) -> None:
    """Find the first rule that asks for better or worse where a metric of a run has neither.

    Raises:
        OptionError: there is one, of this option.
    """
    kinds = [(name, case.kind(name)) for case in run.report.cases for name in case.metrics]
    for rule in rules:
        _check_direction(rule, kinds, option)


def _check_direction(
    rule: ChangeRule, kinds: Iterable[tuple[str, MetricEntry]], option: str
) -> None:
    if rule.change != "different" and any(
        name == rule.metric and kind.good == "neither" for name, kind in kinds
    ):
        raise OptionError(option, f"{rule.text!r}: {_use_different(rule)}")


def _verdict(rule: ChangeRule, comparison: Comparison) -> tuple[bool, str]:
    if comparison.left_out:
        case, reason = next(iter(comparison.left_out.items()))
        raise Undecided(f"{case}: {reason}{more(list(comparison.left_out))}")
    found = []
    for row in comparison.rows:
        _check_decidable(rule, row, comparison)
        p = row.versus.p_holm
        assert p is not None
        if _changed(rule, row) and (rule.alpha is None or p < rule.alpha):
            found.append(
                f"{row.case.id}: {row.before:.3g} -> {row.after:.3g} ({row.versus.delta:+.3f}, "
                f"p = {p:.2g})"
            )
    if found:
        return False, found[0] + more(found)
    return True, f"none of {len(comparison.rows)} cases is {rule.change}" + (
        "" if rule.alpha is None else f" at p < {rule.alpha:g}"
    )


def _changed(rule: ChangeRule, row: ComparedCase) -> bool:
    if rule.change == "different":
        return row.versus.better + row.versus.worse > 0
    gain = -row.versus.delta if row.versus.good == "lower" else row.versus.delta
    return gain < 0 if rule.change == "worse" else gain > 0


def _use_different(rule: ChangeRule) -> str:
    return f"{directionless(rule.metric)}; write {rule.metric}: different"


def _check_decidable(rule: ChangeRule, row: ComparedCase, comparison: Comparison) -> None:
    if rule.change != "different" and row.versus.good == "neither":
        raise Undecided(_use_different(rule))
    theirs = comparison.before.case(row.case.id)
    assert theirs is not None
    if (theirs.task.name, theirs.task.version) != (row.case.task.name, row.case.task.version):
        raise Undecided(
            f"{row.case.id}: {theirs.task.name} version {theirs.task.version} then, "
            f"{row.case.task.name} version {row.case.task.version} now"
        )
    if not row.whole:
        raise Undecided(
            f"{row.case.id}: {row.shared} samples are shared, of {row.sizes[0]} then and "
            f"{row.sizes[1]} now; run the same samples"
        )
    if rule.alpha is None:
        return
    n = row.versus.better + row.versus.worse + row.versus.unchanged
    # All samples changing in one direction is the most that a paired test can be shown.
    if row.versus.anytime:
        least = anytime_p(np.ones(n), binary=row.versus.test == "anytime_kt")
    else:
        least = max(2.0 ** (1 - n), _LEAST_DRAWN.get(row.versus.test, 0.0))
    if least * len(comparison.rows) >= rule.alpha:
        raise Undecided(
            f"{row.case.id}: {n} samples cannot bring p below {rule.alpha:g} over "
            f"{len(comparison.rows)} cases"
        )
