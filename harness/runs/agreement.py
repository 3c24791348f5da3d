"""How long completions follow those of their baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.store.results import CaseResult


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
    references = {
        result.case.id: {(draw.sample, draw.draw): draw.completion.tokens for draw in result.draws}
        for result in results
        if result.status == "complete"
    }
    return [_compared(result, references.get(result.baseline or "", {})) for result in results]


def _compared(result: CaseResult, reference: dict[tuple[str, int], tuple[int, ...]]) -> CaseResult:
    draws = tuple(
        draw
        if (draw.sample, draw.draw) not in reference
        else replace(
            draw,
            agreement=agreed(draw.completion.tokens, reference[draw.sample, draw.draw]),
        )
        for draw in result.draws
    )
    return result if draws == result.draws else replace(result, draws=draws)
