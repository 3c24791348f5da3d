"""What several draws of a sample are worth together: by vote, by any, at equal draws or tokens.

One list of draws per sample goes in, one number per sample comes out, so that curves of two
conditions are compared in pairs as any other metric is. The order of draws carries nothing: numbers
are means over orders, seeded and the same for every condition, in which the first ones are taken.
`vote`, `any_right`, ... define what some draws are worth; `orders` has them for all first ones.

Votes as in Wang et al. (2023), Self-Consistency, arXiv:2203.11171.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Orders of the draws that a mean is over, where there are more than can be tried.
_ORDERS = 200
_SEED = 0


class DrawnAnswer(NamedTuple):
    """One completion of a sample.

    Args:
        answer: What was read of it, the same text for equal answers; None where nothing was.
        correct: Whether it is right.
        tokens: How many were generated.
    """

    answer: str | None
    correct: bool
    tokens: int = 0


Worth = Callable[[Sequence[DrawnAnswer]], float]
Floats = NDArray[np.float64]


def vote(draws: Sequence[DrawnAnswer]) -> float:
    """1 where the most frequent answer is right, of equally frequent ones the first; 0 of no draw.

    What cannot be read is an answer too, and a wrong one: otherwise one lucky draw among many that
    say nothing would win.
    """
    if not draws:
        return 0.0
    answer, _ = Counter(draw.answer for draw in draws).most_common(1)[0]
    return float(next(draw.correct for draw in draws if draw.answer == answer))


def any_right(draws: Sequence[DrawnAnswer]) -> float:
    """1 where some draw is right: pass@k of its draws."""
    return float(any(draw.correct for draw in draws))


def distinct(draws: Sequence[DrawnAnswer]) -> float:
    """How many different answers there are; what cannot be read counts as one."""
    return float(len({draw.answer for draw in draws}))


def answer_entropy(draws: Sequence[DrawnAnswer]) -> float:
    """Entropy of the answers' shares, in bits; 0 where all are equal, or there is none."""
    shares = [count / len(draws) for count in Counter(draw.answer for draw in draws).values()]
    return -math.fsum(share * math.log2(share) for share in shares) + 0.0


@dataclass(frozen=True, eq=False)
class DrawOrders:
    """What the first k draws of a sample are worth, in every one of O orders, k from 0 to n.

    Each of `vote`, `any_right`, `distinct` and `answer_entropy` is [O, 1 + n], as the function of
    the same name says it; `tokens` [O, 1 + n] are those of the first k together.
    """

    vote: Floats
    any_right: Floats
    distinct: Floats
    answer_entropy: Floats
    tokens: Floats

    def at_draws(self, worth: str, k: int) -> float:
        """The mean worth of k draws. Raises ValueError where there are fewer, or k is below 1."""
        n = self.tokens.shape[1] - 1
        if not 1 <= k <= n:
            raise ValueError(f"{k} draws of samples that have {n}; use 1 to {n}")
        return float(getattr(self, worth)[:, k].mean())

    def at_tokens(self, worth: str, budget: float) -> float:
        """The mean worth of the draws that a number of generated tokens pays for.

        Draws are made one after the other, and one that the budget does not pay for to its end has
        no answer; rules that make answers longer get fewer of them.
        """
        bought = (self.tokens <= budget).sum(axis=1) - 1
        return float(getattr(self, worth)[np.arange(len(bought)), bought].mean())


def orders(draws: Sequence[DrawnAnswer]) -> DrawOrders:
    """A sample's draws in seeded orders, the same for every sample with as many draws."""
    n = len(draws)
    order = _orders(n)  # [O, n]
    names = list(dict.fromkeys(draw.answer for draw in draws))
    answer = np.asarray([names.index(draw.answer) for draw in draws], np.int64)
    right = np.zeros(len(names) + 1)
    for draw in draws:
        right[names.index(draw.answer)] = draw.correct
    correct = np.asarray([draw.correct for draw in draws], bool)
    tokens = np.asarray([draw.tokens for draw in draws], np.float64)
    placed = answer[order]
    counts = (placed[..., None] == np.arange(len(names))).cumsum(axis=1)  # [O, n, A]
    # Of equally frequent answers the one that came first.
    first = np.argmax(placed[..., None] == np.arange(len(names)), axis=1)  # [O, A]
    leading = (counts * (n + 1) - first[:, None]).argmax(axis=-1) if n else placed
    share = counts / np.arange(1, n + 1)[:, None]
    logs = np.log2(share, out=np.zeros_like(share), where=share > 0)
    return DrawOrders(
        vote=_from_none(right[leading]),
        any_right=_from_none(np.maximum.accumulate(correct[order], axis=1)),
        distinct=_from_none((counts > 0).sum(axis=-1)),
        answer_entropy=_from_none(-(share * logs).sum(axis=-1) + 0.0),
        tokens=_from_none(tokens[order].cumsum(axis=1)),
    )


@lru_cache(maxsize=64)
def _orders(n: int) -> NDArray[np.int64]:
    """Orders of n draws [O, n]: all of them where they are few, or else seeded ones."""
    if math.factorial(n) <= _ORDERS:
        return np.asarray(list(permutations(range(n))), np.int64).reshape(-1, n)
    rng = np.random.default_rng(_SEED)
    return np.asarray([rng.permutation(n) for _ in range(_ORDERS)], np.int64)


def _from_none(values: NDArray[Any]) -> Floats:
    """With a column in front: no draw is worth 0."""
    return np.pad(values.astype(np.float64), ((0, 0), (1, 0)))


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
