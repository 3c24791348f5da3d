"""What several draws of a sample are worth together: by vote, by any, at equal draws or tokens.

One list of draws per sample goes in, one number per sample comes out, so that curves of two
conditions are compared in pairs as any other metric is. The order of draws carries nothing: numbers
are means over orders, seeded and the same for every condition, in which the first ones are taken.

Votes as in Wang et al. (2023), Self-Consistency, arXiv:2203.11171.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

#: Orders of the draws that a mean is over, where there are more than can be tried.
_ORDERS = 200
_SEED = 0


class Draw(NamedTuple):
    """One completion of a sample.

    Args:
        answer: What was read of it, the same text for equal answers; None where nothing was.
        correct: Whether it is right.
        tokens: How many were generated.
    """

    answer: str | None
    correct: bool
    tokens: int = 0


Worth = Callable[[Sequence[Draw]], float]


def vote(draws: Sequence[Draw]) -> float:
    """1 where the most frequent answer is right, of equally frequent ones the first; 0 of no draw.

    What cannot be read is an answer too, and a wrong one: otherwise one lucky draw among many that
    say nothing would win.
    """
    if not draws:
        return 0.0
    answer, _ = Counter(draw.answer for draw in draws).most_common(1)[0]
    return float(next(draw.correct for draw in draws if draw.answer == answer))


def any_right(draws: Sequence[Draw]) -> float:
    """1 where some draw is right: pass@k of its draws."""
    return float(any(draw.correct for draw in draws))


def distinct(draws: Sequence[Draw]) -> float:
    """How many different answers there are; what cannot be read counts as one."""
    return float(len({draw.answer for draw in draws}))


def answer_entropy(draws: Sequence[Draw]) -> float:
    """Entropy of the answers' shares, in bits; 0 where all are equal, or there is none."""
    shares = [count / len(draws) for count in Counter(draw.answer for draw in draws).values()]
    return -math.fsum(share * math.log2(share) for share in shares) + 0.0


def at_draws(samples: Sequence[Sequence[Draw]], k: int, worth: Worth) -> list[float]:
    """Each sample's worth of `k` of its draws.

    Raises:
        ValueError: a sample has fewer draws, or `k` is below 1.
    """
    fewest = min(map(len, samples), default=k)
    if not 1 <= k <= fewest:
        raise ValueError(f"{k} draws of samples that have {fewest}; use 1 to {fewest}")
    return [_mean(draws, lambda order: worth(order[:k])) for draws in samples]


def at_tokens(samples: Sequence[Sequence[Draw]], budget: float, worth: Worth) -> list[float]:
    """Each sample's worth of the draws that a number of generated tokens pays for.

    Draws are made one after the other, and one that the budget does not pay for to its end has no
    answer; rules that make answers longer get fewer of them.
    """

    def paid(order: Sequence[Draw]) -> float:
        spent, bought = 0, 0
        for draw in order:
            spent += draw.tokens
            if spent > budget:
                break
            bought += 1
        return worth(order[:bought])

    return [_mean(draws, paid) for draws in samples]


def best_of(scores: Sequence[float], n: int) -> float:
    """The expected best of `n` settings, drawn without replacement from those that were tried.

    A rule with more settings wins by trying more; over `n` such rules can be compared.

    Args:
        scores: The score of every setting, at least `n` of them.
        n: How many are drawn.

    Raises:
        ValueError: there are fewer than `n`, or `n` is below 1.
    """
    if not 1 <= n <= len(scores):
        raise ValueError(f"the best of {n} of {len(scores)} settings; use 1 to {len(scores)}")
    total = math.comb(len(scores), n)
    return math.fsum(
        score * math.comb(at, n - 1) / total for at, score in enumerate(sorted(scores))
    )


def _mean(draws: Sequence[Draw], number: Worth) -> float:
    """The mean over orders of the draws; equal draws in any order are one."""
    if len(set(draws)) <= 1:
        return number(draws)
    rng = np.random.default_rng(_SEED)
    orders = (rng.permutation(len(draws)) for _ in range(_ORDERS))
    return math.fsum(number([draws[at] for at in order]) for order in orders) / _ORDERS
