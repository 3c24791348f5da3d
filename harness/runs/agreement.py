"""How long completions follow those of their baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.store.results import CaseResult, DrawResult, StoredDraws, agreed


def with_one_baseline(results: Sequence[CaseResult]) -> list[CaseResult]:
    """The same results, each compared with the baseline that is among them.

    A process compares its cases with the baseline that it has seen. Where several have run the same
    one, all but one of these copies are gone from the results, and copies may differ: in a token
    that a fast engine's rounding decided, for example.
    """
    by_id = {result.case.id: result for result in results if result.status == "complete"}
    baselines = [by_id.get(result.baseline or "") for result in results]
    references: dict[str, dict[tuple[str, int], tuple[int, ...]]] = {}
    compared = []
    for result, baseline in zip(results, baselines, strict=True):
        if baseline is None or _is_compared(result, baseline):
            compared.append(result)
            continue
        if baseline.case.id not in references:
            tokens = baseline.tokens_of_each
            references[baseline.case.id] = {name: tuple(each) for name, each in tokens}
        compared.append(_compared(result, references[baseline.case.id]))
    return compared


def _is_compared(result: CaseResult, baseline: CaseResult) -> bool:
    draws = result.draws
    return isinstance(draws, StoredDraws) and draws.is_compared_with(baseline.draws)


def _compared(result: CaseResult, reference: dict[tuple[str, int], tuple[int, ...]]) -> CaseResult:
    if not reference:
        return result
    agreements = [
        agreed(tokens, reference[name]) if name in reference else length.agreement
        for length, (name, tokens) in zip(result.lengths, result.tokens_of_each, strict=True)
    ]
    if isinstance(result.draws, StoredDraws):
        return replace(result, draws=result.draws.agreeing(agreements))
    draws = tuple(map(_agreeing, result.draws, agreements))
    return result if draws == result.draws else replace(result, draws=draws)


def _agreeing(draw: DrawResult, agreement: int | None) -> DrawResult:
    return replace(draw, agreement=agreement)
