"""How often the token that comes next is the r-th most probable one, by the model's confidence.

Traces of a frozen model over reference answers go in: at every token its K largest probabilities,
and which of them the reference's token had. Confidence is the largest probability.

    p̂[m, r] = mean of the r-th largest probability,  confidence in bin m     (`predicted`)
    ĉ[m, r] = share of reference tokens of rank r,    confidence in bin m     (`observed`)

A calibrated model has ĉ = p̂. Bins are ((m - 1) / n, m / n]. Tokens of one sample are alike, so that
intervals draw samples, each with all its tokens.

Li, Su, Sachan and Geiping (2025), Sample Smart, Not Hard, arXiv:2510.05987.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.statistics.intervals import CONFIDENCE, Interval

BINS = 10
#: Below so many tokens a bin says too little for more than one token to be kept in it.
LEAST_SUPPORT = 10
_DRAWS = 1999
_SEED = 0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = Literal["none", "hits"]


@dataclass(frozen=True, eq=False)
class Traces:
    """N tokens of reference answers, teacher forced.

    Args:
        probabilities: [N, K], the largest K of each token's distribution, falling.
        ranks: [N], the reference token's rank among them from 1 on; 0 where it is none of them.
        samples: [N], a number for each sample that is the same for all of its tokens.

    Raises:
        ValueError: shapes do not fit, there is no token, or a probability is none or rises.
    """

    probabilities: Floats
    ranks: Ints
    samples: Ints

    def __post_init__(self) -> None:
        n, k = self.probabilities.shape
        if not n or not k:
            raise ValueError("there is no token to calibrate on")
        if self.ranks.shape != (n,) or self.samples.shape != (n,):
            raise ValueError(
                f"{n} tokens have {len(self.ranks)} ranks, {len(self.samples)} samples"
            )
        wrong = np.flatnonzero((self.ranks < 0) | (self.ranks > k))
        if len(wrong):
            raise ValueError(f"token {wrong[0]} has rank {self.ranks[wrong[0]]}; use 0 to {k}")
        falling = (np.diff(self.probabilities, axis=1) <= 0).all(axis=1)
        inside = ((self.probabilities >= 0) & (self.probabilities <= 1)).all(axis=1)
        wrong = np.flatnonzero(~(falling & inside))
        if len(wrong):
            row = self.probabilities[wrong[0]]
            raise ValueError(f"token {wrong[0]} has {row[:4]}; use falling numbers from 0 to 1")


class PowerLaw(NamedTuple):
    """`ln c = a + b ln p`, and the root of its mean squared residual, in natural logarithms.

    Intervals hold 95 % of draws of samples; `cells` of the grid carry the fit.
    """

    a: float
    b: float
    residual: float
    cells: int
    a_interval: Interval
    b_interval: Interval

    @property
    def a10(self) -> float:
        """The constant of the same line in logarithms to base 10; `b` is the same in both."""
        return self.a / math.log(10)

    def kept_above(self, threshold: float) -> float:
        """The probability from which on a token's predicted correctness reaches `threshold`."""
        return math.exp((math.log(threshold) - self.a) / self.b)


class Error(NamedTuple):
    """Expected calibration error of the most probable token, and its interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, eq=False)
class CalibrationSums:
    """Sums by sample (S), confidence bin (B) and rank (K), and what follows from them.

    tokens: [S, B]; hits: [S, B, K], reference tokens by rank; mass: [S, B, K], the sums of
    probabilities; hit_mass: [S, B, K], the same over reference tokens of that rank alone.
    """

    tokens: Floats
    hits: Floats
    mass: Floats
    hit_mass: Floats

    @property
    def support(self) -> Ints:
        """[B], the number of tokens in each bin; together they are all tokens."""
        found: Ints = self.tokens.sum(axis=0).astype(np.int64)
        return found

    @cached_property
    def observed(self) -> Floats:
        """[B, K], the share of tokens whose reference has this rank; NaN in an empty bin."""
        return _share(self.hits.sum(axis=0), self.tokens.sum(axis=0)[:, None])

    @cached_property
    def predicted(self) -> Floats:
        """[B, K], the mean probability of this rank; NaN in an empty bin."""
        return _share(self.mass.sum(axis=0), self.tokens.sum(axis=0)[:, None])

    @cached_property
    def predicted_of_hits(self) -> Floats:
        """[B, K], the same where the reference has this rank; NaN where it never has."""
        return _share(self.hit_mass.sum(axis=0), self.hits.sum(axis=0))

    def observed_interval(self, confidence: float = CONFIDENCE) -> Floats:
        """[B, K, 2], bounds of `observed`; NaN where draws of samples show no spread."""

        def drawn(weights: Floats) -> Floats:
            return _share(_sum(weights, self.hits), _sum(weights, self.tokens)[..., None])

        return _percentiles(self._drawn(drawn), confidence)

    def error(self, confidence: float = CONFIDENCE) -> Error:
        """The mean over tokens of |ĉ - p̂| at rank 1 of their bin.

        Never negative, so that chance alone makes it positive; the interval is drawn around it.
        """

        def of(weights: Floats) -> Floats:
            tokens = _sum(weights, self.tokens)
            gap = np.abs(_sum(weights, self.hits[..., 0]) - _sum(weights, self.mass[..., 0]))
            found: Floats = gap.sum(axis=-1) / tokens.sum(axis=-1)
            return found

        value = float(of(np.ones((1, len(self.tokens))))[0])
        return Error(value, _interval(_percentiles(self._drawn(of), confidence)))

    def top_k(self, threshold: float) -> list[int]:
        """How many tokens to keep by confidence, the highest bin first.

        In each bin the largest rank that is right more often than `threshold`, with all before it,
        and at least one; one also where fewer than ten tokens say so.
        """
        kept = []
        for support, observed in zip(self.support[::-1], self.observed[::-1], strict=True):
            above = np.flatnonzero(observed > threshold)
            kept.append(int(above[-1]) + 1 if support >= LEAST_SUPPORT and len(above) else 1)
        return kept

    def power_law(self, weights: Weights = "none", confidence: float = CONFIDENCE) -> PowerLaw:
        """The least-squares line of ln ĉ on ln p̂ over all cells where both are positive.

        Args:
            weights: none counts every cell once; hits by its number of reference tokens, the
                inverse of the variance of ln ĉ, so that cells of few tokens do not bend the line.
            confidence: Of the intervals.

        Raises:
            ValueError: fewer than two cells differ in p̂.
        """
        a, b, residual, cells = _line(*self._cells(np.ones((1, len(self.tokens)))), weights)

        def drawn(each: Floats) -> Floats:
            return np.asarray([self._line_of(row[None], weights) for row in each])

        bounds = _percentiles(self._drawn(drawn), confidence)
        return PowerLaw(a, b, residual, cells, _interval(bounds[0]), _interval(bounds[1]))

    def _line_of(self, draw: Floats, weights: Weights) -> tuple[float, float]:
        """Constant and slope of one draw of samples; NaN where it has no two cells."""
        try:
            return _line(*self._cells(draw), weights)[:2]
        except ValueError:
            return math.nan, math.nan

    def _cells(self, weights: Floats) -> tuple[Floats, Floats]:
        """p̂ and hits of every cell, with the tokens of its bin, for one draw of samples."""
        tokens = _sum(weights, self.tokens)[0][:, None]
        hits, mass = _sum(weights, self.hits)[0], _sum(weights, self.mass)[0]
        return np.stack([_share(hits, tokens), _share(mass, tokens)]), hits

    def _drawn(self, number: Callable[[Floats], Floats]) -> Floats:
        """The number of each draw of the samples with replacement; empty for a single sample."""
        samples = len(self.tokens)
        if samples < 2:
            return np.empty((0, *number(np.ones((1, samples))).shape[1:]))
        rng = np.random.default_rng(_SEED)
        even = np.full(samples, 1 / samples)
        parts = [
            number(rng.multinomial(samples, even, size=min(100, _DRAWS - at)).astype(np.float64))
            for at in range(0, _DRAWS, 100)
        ]
        return np.concatenate(parts)


def grid(traces: Traces, bins: int = BINS) -> CalibrationSums:
    """The grid of rank by confidence bin of these tokens."""
    _, sample = np.unique(traces.samples, return_inverse=True)
    samples, ranks = int(sample.max()) + 1, traces.probabilities.shape[1]
    edges = np.arange(1, bins) / bins
    found = np.digitize(traces.probabilities[:, 0], edges, right=True)
    tokens = np.zeros((samples, bins))
    np.add.at(tokens, (sample, found), 1)
    mass = np.zeros((samples, bins, ranks))
    np.add.at(mass, (sample, found), traces.probabilities)
    hit = traces.ranks > 0
    at = (sample[hit], found[hit], traces.ranks[hit] - 1)
    hits, hit_mass = np.zeros_like(mass), np.zeros_like(mass)
    np.add.at(hits, at, 1)
    np.add.at(hit_mass, at, traces.probabilities[hit, traces.ranks[hit] - 1])
    return CalibrationSums(tokens, hits, mass, hit_mass)


def _line(cells: Floats, hits: Floats, weights: Weights) -> tuple[float, float, float, int]:
    """Constant, slope, residual and the number of cells of the line through them."""
    observed, predicted = cells
    used = (observed > 0) & (predicted > 0)
    y, x = np.log(observed[used]), np.log(predicted[used])
    weight = hits[used] if weights == "hits" else np.ones(len(x))
    if len(x) < 2 or np.ptp(x) == 0:
        raise ValueError(f"a line needs two cells that differ, and the grid has {len(x)}")
    x_mean, y_mean = np.average(x, weights=weight), np.average(y, weights=weight)
    slope = np.sum(weight * (x - x_mean) * (y - y_mean)) / np.sum(weight * (x - x_mean) ** 2)
    constant = y_mean - slope * x_mean
    residual = math.sqrt(np.average((y - constant - slope * x) ** 2, weights=weight))
    return float(constant), float(slope), residual, len(x)


def _share(part: Floats, whole: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(whole > 0, part / whole, np.nan)
    return found


def _sum(weights: Floats, by_sample: Floats) -> Floats:
    """[draws, ...] sums over samples, each as often as it was drawn."""
    found: Floats = np.tensordot(weights, by_sample, axes=1)
    return found


def _percentiles(drawn: Floats, confidence: float) -> Floats:
    """[..., 2] bounds; NaN where nothing was drawn or nothing varies."""
    shape = drawn.shape[1:]
    if not len(drawn):
        return np.full((*shape, 2), np.nan)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    empty = np.isnan(drawn).all(axis=0)
    bounds = np.full((2, *shape), np.nan)
    bounds[:, ~empty] = np.nanquantile(drawn[:, ~empty], ends, axis=0)
    bounds[:, ~empty & (bounds[0] == bounds[1])] = np.nan
    return np.moveaxis(bounds, 0, -1)


def _interval(bounds: Floats) -> Interval:
    low, high = bounds.tolist()
    return (None, None) if math.isnan(low) else (low, high)
