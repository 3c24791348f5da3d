"""How well numbers tell two kinds of positions apart: areas under ROC curves, compared in pairs.

The area is the chance that a position of the first kind has the larger number, ties by half.
Samples have several positions each, so that intervals (percentile) draw samples with replacement,
with all of their positions, and the same draws for every number that is compared. With C[i, j] the
pairs of a first-kind position of sample i and another of sample j that are in order, a draw that
has sample i w_i times has the area w C w / (w . first) (w . other): no draw ranks anything anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.statistics.intervals import CONFIDENCE
from harness.statistics.recovery import Estimate

Floats = NDArray[np.float64]

_DRAWS = 1999


class Discrimination:
    """Numbers of the same positions, by name, and which of the positions are of the first kind.

    Args:
        numbers: Name -> a list for each sample, of a number for each of its positions.
        first: For each sample, whether each position is of the first kind.
    """

    def __init__(
        self,
        numbers: Mapping[str, Sequence[Sequence[float]]],
        first: Sequence[Sequence[bool]],
    ) -> None:
        self._numbers = numbers
        self._first = [np.array(each, dtype=bool) for each in first]

    @property
    def is_known(self) -> bool:
        """Whether there are positions of both kinds."""
        every = np.concatenate([np.zeros(0, dtype=bool), *self._first])
        return bool(every.any() and not every.all())

    def area(self, name: str) -> Estimate:
        """The area of a number; below .5 where smaller ones are of the first kind."""
        return _estimate(self._areas[name])

    def lead(self, name: str, other: str) -> Estimate:
        """How much better one tells them apart than another, whichever way each points."""
        return _estimate(self._told(name) - self._told(other))

    def best(self) -> str:
        """The one that tells them apart best."""
        return max(self._numbers, key=lambda name: self._told(name)[0])

    def _told(self, name: str) -> Floats:
        """Areas in the direction that the samples as they are show."""
        areas = self._areas[name]
        return areas if areas[0] >= 0.5 else 1 - areas

    @cached_property
    def _areas(self) -> dict[str, Floats]:
        """Of each name, [B]; the first is that of the samples as they are."""
        samples = len(self._first)
        drawn = np.random.default_rng(0).multinomial(
            samples, np.full(samples, 1 / samples), size=_DRAWS
        )
        weights = np.vstack([np.ones(samples), drawn]).astype(float)
        ups = np.array([each.sum() for each in self._first], dtype=float)
        downs = np.array([(~each).sum() for each in self._first], dtype=float)
        pairs = (weights @ ups) * (weights @ downs)
        found = {}
        for name in self._numbers:
            ordered = np.einsum("bi,ij,bj->b", weights, self._ordered(name), weights, optimize=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                found[name] = np.where(pairs > 0, ordered / pairs, np.nan)
        return found

    def _ordered(self, name: str) -> Floats:
        """C [N, N] of a number."""
        values = [np.asarray(each, dtype=float) for each in self._numbers[name]]
        ups = [each[kind] for each, kind in zip(values, self._first, strict=True)]
        downs = [np.sort(each[~kind]) for each, kind in zip(values, self._first, strict=True)]
        return np.array(
            [
                [
                    (np.searchsorted(low, up, "left") + np.searchsorted(low, up, "right")).sum() / 2
                    for low in downs
                ]
                for up in ups
            ]
        )


def _estimate(drawn: Floats) -> Estimate:
    known = drawn[1:][np.isfinite(drawn[1:])]
    if not len(known):
        return Estimate(float(drawn[0]), None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Estimate(float(drawn[0]), float(low), float(high))
