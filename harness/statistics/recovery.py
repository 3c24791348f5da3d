"""How much of the gap between a weak and a strong model is closed, and for which share of the work.

    PGR       (accuracy - weak) / (strong - weak), the performance gap recovered
    APGR      its mean over shares of the strong model from 0 to 1: area under the line from
              (0, 0) through the conditions, by rising share, to (1, 1)
    CPT(x)    the least share on that line with a PGR of x

All accuracies are of the same samples. Intervals (percentile) draw samples with replacement, each
with its values in all conditions, so that what they share cancels. A draw in which the strong model
is no better has no gap to recover, and counts as beyond every bound.

Source: RouteLLM and RouterBench, as docs/guided.md cites them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.statistics.intervals import CONFIDENCE

Floats = NDArray[np.float64]

#: Draws of the samples.
DRAWS = 1999
_SEED = 0


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; None where it is not known or beyond all bounds."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Recovery:
    """Conditions of one trigger over N samples: C of them, beside the two models alone.

    Args:
        right: Whether each condition is right, [C, N], from 0 to 1.
        asked: Tokens of the strong model in each, [C, N].
        tokens: All tokens in each, [C, N].
        weak: Whether the weak model alone is right, [N].
        strong: Whether the strong model alone is right, [N].
        weak_tokens, strong_tokens: The tokens of the two alone, [N].
        weak_weight, strong_weight: What a token of each costs, such as its active parameters.
    """

    right: Floats
    asked: Floats
    tokens: Floats
    weak: Floats
    strong: Floats
    weak_tokens: Floats
    strong_tokens: Floats
    weak_weight: float = 1.0
    strong_weight: float = 1.0

    @cached_property
    def _draws(self) -> Floats:
        """How often each sample is in each draw, [B, N]; the first row has each of them once."""
        n = len(self.weak)
        drawn = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), size=DRAWS)
        return np.vstack([np.ones(n), drawn]).astype(float)

    @cached_property
    def shares(self) -> Floats:
        """The strong model's share of the tokens, [B, C]."""
        every = np.maximum(self._draws @ self.tokens.T, 1.0)
        return np.asarray(self._draws @ self.asked.T / every)

    @cached_property
    def gaps(self) -> Floats:
        """How much better the strong model is, [B]."""
        return np.asarray(self._draws @ (self.strong - self.weak) / len(self.weak))

    @cached_property
    def recovered(self) -> Floats:
        """PGR, [B, C]; beyond all bounds where there is no gap."""
        gained = self._draws @ (self.right - self.weak).T / len(self.weak)
        gap = self.gaps[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = gained / gap
        return np.where(gap > 0, found, np.where(gained > 0, np.inf, -np.inf))

    @cached_property
    def costs(self) -> Floats:
        """Tokens times what each costs, beside the weak model alone, [B, C]."""
        own = self.tokens - self.asked
        every = own * self.weak_weight + self.asked * self.strong_weight
        alone = self._draws @ self.weak_tokens[:, None] * self.weak_weight
        return np.asarray(self._draws @ every.T / np.maximum(alone, 1e-12))

    @cached_property
    def strong_costs(self) -> Floats:
        """The same of the strong model alone, [B]."""
        alone = np.maximum(self._draws @ self.weak_tokens * self.weak_weight, 1e-12)
        return np.asarray(self._draws @ self.strong_tokens * self.strong_weight / alone)

    @cached_property
    def areas(self) -> Floats:
        """Under the line of each draw, [B]; beyond all bounds where there is no gap."""
        return np.array(
            [
                float(np.trapezoid(heights, shares)) if np.isfinite(heights).all() else math.inf
                for shares, heights in map(self._line, range(len(self._draws)))
            ]
        )

    @property
    def has_gap(self) -> bool:
        """Whether the strong model is better beyond chance; else nothing can be recovered."""
        return bool(np.quantile(self.gaps[1:], (1 - CONFIDENCE) / 2) > 0)

    def share(self, condition: int) -> Estimate:
        """The strong model's share in a condition."""
        return _estimate(self.shares[:, condition])

    def cost(self, condition: int) -> Estimate:
        """What a condition costs beside the weak model alone."""
        return _estimate(self.costs[:, condition])

    def pgr(self, condition: int) -> Estimate:
        """What a condition recovers."""
        return _estimate(self.recovered[:, condition])

    def apgr(self) -> Estimate:
        """The mean over all shares."""
        return _estimate(self.areas)

    def cpt(self, wanted: float) -> Estimate:
        """The least share with this PGR; a draw that reaches it nowhere before 1 has 1."""
        return _estimate(
            np.array([_first(*self._line(draw), wanted) for draw in range(len(self._draws))])
        )

    def regret(self, best: Recovery) -> Estimate:
        """The area between a better line of the same samples and this one."""
        beyond = np.full(len(self.areas), np.inf)
        gap = np.isfinite(self.areas) & np.isfinite(best.areas)
        return _estimate(np.subtract(best.areas, self.areas, out=beyond, where=gap))

    def _line(self, draw: int) -> tuple[Floats, Floats]:
        """The conditions of a draw by rising share, between the two models alone."""
        order = np.argsort(self.shares[draw], kind="stable")
        shares = np.concatenate([[0.0], self.shares[draw][order], [1.0]])
        heights = np.concatenate([[0.0], self.recovered[draw][order], [1.0]])
        return shares, heights


def _first(shares: Floats, heights: Floats, wanted: float) -> float:
    """Where a line first reaches a height."""
    for at in range(1, len(shares)):
        before, after = heights[at - 1], heights[at]
        if after >= wanted:
            if before >= wanted or not math.isfinite(after - before) or after == before:
                return float(shares[at - 1] if before >= wanted else shares[at])
            part = (wanted - before) / (after - before)
            return float(shares[at - 1] + part * (shares[at] - shares[at - 1]))
    return 1.0


def _estimate(drawn: Floats) -> Estimate:
    low, high = _interval(drawn[1:])
    return Estimate(_finite(float(drawn[0])), low, high)


def _interval(drawn: Floats) -> tuple[float | None, float | None]:
    if len(drawn) < 2 or np.isnan(drawn).any():
        return None, None
    # Of draws that are beyond all bounds the nearest one is taken, and not a number between two.
    low = float(np.quantile(drawn, (1 - CONFIDENCE) / 2, method="lower"))
    high = float(np.quantile(drawn, (1 + CONFIDENCE) / 2, method="higher"))
    return _finite(low), _finite(high)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
