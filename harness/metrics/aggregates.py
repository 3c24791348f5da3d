"""How values of samples become one number, by name: what a task states and a report carries along.

    mean, median, perplexity, weighted_perplexity, bits_per_byte, f1, matthews_corrcoef,
    brier_score
    NAME by task, weighted by size     of values [task, value]: the mean of NAME over tasks, by
    NAME by task, each alike           their sizes or each alike

They are those of lm-evaluation-harness 0.4.13 by its names, so that reports can be read without it;
they are short of its checks because a bootstrap asks them thousands of times. `bleu`, `chrf` and
`ter` are its own. A function of a task file is known in the process that has loaded it, and to no
report that is read later.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from statistics import fmean
from typing import Any, TypeAlias

from harness.errors import ReportError

Aggregate: TypeAlias = Callable[[Sequence[Any]], float]

_BY_TASK = re.compile(r"(.+) by task, (weighted by size|each alike)")
_OF_LIBRARY = ("bleu", "chrf", "chrf++", "ter")
_given: dict[str, Aggregate] = {}


def give(name: str, aggregate: Aggregate) -> None:
    """Make a function known by a name in this process; what has the name already is replaced."""
    _given[name] = aggregate


def aggregate_named(name: str) -> Aggregate | None:
    """The aggregate of a name; None for the mean.

    One that is not known here raises ReportError when it is asked for a number.
    """
    if name in ("mean", "nanmean"):
        return None
    found = _BY_TASK.fullmatch(name)
    if found is not None:
        return _by_task(aggregate_named(found[1]) or fmean, weighted=found[2] != "each alike")
    if name in _OWN:
        return _OWN[name]
    if name in _given:
        return _given[name]
    return _library(name) if name in _OF_LIBRARY else _unknown(name)


def _by_task(inner: Aggregate, *, weighted: bool) -> Aggregate:
    def of(values: Sequence[Any]) -> float:
        tasks: dict[str, list[Any]] = {}
        for task, value in values:
            tasks.setdefault(task, []).append(value)
        weights = [len(own) if weighted else 1 for own in tasks.values()]
        numbers = [inner(own) for own in tasks.values()]
        return sum(n * w for n, w in zip(numbers, weights, strict=True)) / sum(weights)

    return of


def _unknown(name: str) -> Aggregate:
    def of(_: Sequence[Any]) -> float:
        raise ReportError(
            f"{name} is not known here: it is code of a task file; look at a mean, or run the spec "
            "again"
        )

    return of


@cache
def _library(name: str) -> Aggregate:
    def of(values: Sequence[Any]) -> float:
        try:
            from lm_eval.api.metrics import _sacreformat  # noqa: F401 - it needs sacrebleu
            from lm_eval.api.registry import AGGREGATION_REGISTRY
        except ImportError as error:
            raise ReportError(
                f"{name} needs lm-eval; pip install 'pytest-titrate[lm-eval]'"
            ) from error
        return float(AGGREGATION_REGISTRY[name](values))

    return of


def _median(values: Sequence[Any]) -> float:
    return float(sorted(values)[len(values) // 2])


def _weighted_mean(values: Sequence[Any]) -> float:
    sums, weights = zip(*values, strict=True)
    return float(sum(sums) / sum(weights))


def _f1(values: Sequence[Any]) -> float:
    right = sum(gold == 1 and said == 1 for gold, said in values)
    wrong = sum((gold == 1) != (said == 1) for gold, said in values)
    return 2 * right / (2 * right + wrong) if right else 0.0


def _matthews(values: Sequence[Any]) -> float:
    of_gold, of_said = (Counter(each) for each in zip(*values, strict=True))
    right, all_ = sum(gold == said for gold, said in values), len(values)
    together = right * all_ - sum(count * of_said[label] for label, count in of_gold.items())
    spread = math.prod(all_**2 - sum(n**2 for n in each.values()) for each in (of_gold, of_said))
    return together / math.sqrt(spread) if spread else 0.0


def _brier(values: Sequence[Any]) -> float:
    total = 0.0
    for gold, said in values:
        total += sum((p - (number == gold)) ** 2 for number, p in enumerate(said))
    return total / len(values)


_OWN: dict[str, Aggregate] = {
    "median": _median,
    "perplexity": lambda values: math.exp(-fmean(values)),
    "weighted_perplexity": lambda values: math.exp(-_weighted_mean(values)),
    "bits_per_byte": lambda values: -_weighted_mean(values) / math.log(2),
    "f1": _f1,
    "matthews_corrcoef": _matthews,
    "brier_score": _brier,
}
