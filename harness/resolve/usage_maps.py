"""Measured usage among the results of a run: each map once, on the first case that it ordered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from harness.store.results import CaseResult, UsageMap


def told_once(results: Iterable[CaseResult]) -> list[CaseResult]:
    """The results in their order, without the maps that an earlier case of the experiment has.

    Every worker and every shard gives a map to the first of its own cases.
    """
    told: set[tuple[str, UsageMap]] = set()
    kept = []
    for result in results:
        key = None if result.usage is None else (result.case.experiment.name, result.usage)
        kept.append(replace(result, usage=None) if key in told else result)
        if key is not None:
            told.add(key)
    return kept
