"""Where things are on a page, and results whose completions have texts of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.engines.contract import Completion

EXAMPLE = Path(__file__).parents[4] / "reports" / "example"


TABLE = ".cases tbody tr"


AGENTIC, ASSISTED = "keep_topk[style=agentic-count=16]", "keep_topk[style=assisted-count=16]"


def point(case):
    return f'.point[data-case="{case}"]'


def column(browser, number):
    return browser.texts(f"{TABLE} > :nth-child({number})")


def common(one, other):
    """The equal beginning of two texts."""
    ends = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[: next(ends, min(len(one), len(other)))]


def completed(result, texts):
    """The result with these texts and as many tokens as they have words."""
    draws = []
    for draw, text in zip(result.draws, texts, strict=True):
        completion = Completion(tuple(map(hash, text.split())), text, "stop")
        draws.append(replace(draw, completion=completion))
    return replace(result, draws=tuple(draws))
