"""How long completions follow those of their baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.store.results import CaseResult, DrawResult, StoredDraws


def agreed(tokens: Sequence[int], reference: Sequence[int]) -> int:
    """Tokens before the first departure; the whole shorter length where there is none."""
    for index, (own, other) in enumerate(zip(tokens, reference, strict=False)):
        if own != other:
            return index
    return min(len(tokens), len(reference))


def with_one_baseline(results: Sequence[CaseResult]) -> list[CaseResult]:
    """The same results, each compared with the baseline that is among them.

    A process compares its cases with the baseline that it has seen. Where several have run the same
    one, all but one of these copies are gone from the results, and copies may differ: in a token
    that a fast engine's rounding decided, for example.
    """
    asked = {result.baseline for result in results}
    references = {
        result.case.id: {name: tuple(tokens) for name, tokens in result.tokens_of_each}
        for result in results
        if result.status == "complete" and result.case.id in asked
    }
    return [_compared(result, references.get(result.baseline or "", {})) for result in results]


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
