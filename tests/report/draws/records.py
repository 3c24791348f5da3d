"""Lines of samples.jsonl with known answers, ranks and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def line(case: str, sample: str, draw: int, answer: str | None, **fields: Any) -> dict[str, Any]:
    """A draw of a sample whose right answer is 7."""
    return {
        "case": case,
        "sample": sample,
        "draw": draw,
        "answer": answer,
        "correct": answer == "7",
        "tokens": 10,
        **fields,
    }


def lines(case: str, samples: Sequence[Sequence[str | None]], **fields: Any) -> list[Any]:
    """The draws of several samples."""
    return [
        line(case, f"s{at}", draw, answer, **fields)
        for at, answers in enumerate(samples)
        for draw, answer in enumerate(answers)
    ]


def traced(ranks: Sequence[int], sure: float) -> dict[str, Any]:
    """The traces of a draw with these ranks, all of one confidence."""
    return {"rank": list(ranks), "top_probability": [sure] * len(ranks)}
