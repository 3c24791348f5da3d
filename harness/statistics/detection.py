"""From which dose on something is detected: few controls reach it, and nearly all measurements do.

A value is detected where it exceeds the *blank*, the 95th percentile of controls. The *limit of
detection* is the smallest dose at which 95 % of values are detected: shares of detected values,
made monotone, are read as straight lines between doses. Where they jump from no more than controls
have to nearly all, from one dose to the next, nothing was measured on the way: the limit lies
somewhere between these two, and its interval has both. What came of one fine-tune is one cluster,
and clusters are what intervals resample: those of controls and those of measurements together.

Source: Currie (1968), Analytical Chemistry 40:586.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from harness.statistics.intervals import CONFIDENCE, share_interval

FALSE_POSITIVES, POWER = 0.05, 0.95
_RESAMPLED, _SEED = 1000, 0

#: Values, cluster by cluster.
Clusters: TypeAlias = Sequence[Sequence[float]]
Floats = NDArray[np.float64]


class Rate(NamedTuple):
    """A share of values with its 95 % interval, of so many values in so many clusters."""

    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int


class Limit(NamedTuple):
    """The smallest dose that is detected, with its 95 % interval.

    None stands for a dose beyond the highest one that was measured. A value that is `lowest`, the
    lowest one that was measured, may as well be a smaller one; so may bounds, whose low one is 0
    then.
    """

    value: float | None
    low: float | None
    high: float | None
    lowest: float

    def __str__(self) -> str:
        below = f"<= {self.lowest:.3g}"
        low = below if self.low == 0 else _written(self.low)
        value, high = (
            below if each == self.lowest else _written(each) for each in (self.value, self.high)
        )
        return f"{value} [{low}, {high}]"


def blank_of(controls: Clusters, level: float = FALSE_POSITIVES) -> float:
    """The smallest value that at most a share `level` of the controls' values exceeds."""
    return float(_blanks(controls, np.ones((1, len(controls))), level)[0])


def left_out(controls: Clusters) -> Rate:
    """How often a control exceeds the blank of all others, which it has not set.

    The interval is over clusters. Whole clusters are left out.
    """
    shares = []
    for at, own in enumerate(controls):
        blank = blank_of([*controls[:at], *controls[at + 1 :]])
        shares.append(float(np.mean(np.asarray(own) > blank)))
    low, high = share_interval(shares)
    return Rate(float(np.mean(shares)), low, high, sum(map(len, controls)), len(controls))


def limit_of(doses: Sequence[float], measured: Sequence[Clusters], controls: Clusters) -> Limit:
    """The limit of detection.

    Args:
        doses: At least two, rising, from 0 on.
        measured: [doses][clusters][values]; a cluster has its place at every dose.
        controls: [clusters][values], what the blank is taken of.
    """
    draw = np.random.default_rng(_SEED)
    own, other = (_drawn(draw, len(each)) for each in (measured[0], controls))
    blanks = _blanks(controls, other, FALSE_POSITIVES)
    shares = np.stack([_shares(each, blanks) for each in measured], axis=1)  # [draws, doses, own]
    power = (shares * own[:, None]).sum(-1) / own.sum(-1)[:, None]
    found = [_reached(doses, each) for each in power]
    lows, highs = zip(*((each.low, each.high) for each in found[1:]), strict=True)
    low = np.quantile(lows, (1 - CONFIDENCE) / 2, method="inverted_cdf")
    high = np.quantile(highs, (1 + CONFIDENCE) / 2, method="inverted_cdf")
    return Limit(_finite(found[0].value), _finite(low), _finite(high), float(doses[0]))


def _drawn(draw: np.random.Generator, clusters: int) -> Floats:
    """[1 + resampled, clusters], how often each is drawn; the first row has each of them once."""
    drawn = draw.multinomial(clusters, np.full(clusters, 1 / clusters), size=_RESAMPLED)
    return np.vstack([np.ones(clusters), drawn])


def _blanks(controls: Clusters, drawn: Floats, level: float) -> Floats:
    """[draws], the blank of controls [clusters] that were drawn so often [draws, clusters]."""
    values = np.concatenate([np.asarray(each, dtype=np.float64) for each in controls])
    owners = np.repeat(np.arange(len(controls)), [len(each) for each in controls])
    order = np.argsort(values)
    below = drawn[:, owners[order]].cumsum(axis=1)
    enough = below >= (1 - level) * below[:, -1:] - 1e-9
    found: Floats = values[order][enough.argmax(axis=1)]
    return found


def _shares(clusters: Clusters, blanks: Floats) -> Floats:
    """[blanks, clusters], the share of each cluster's values above each blank."""
    above = [1 - np.searchsorted(np.sort(each), blanks, "right") / len(each) for each in clusters]
    return np.stack(above, axis=1)


class _Reached(NamedTuple):
    """A dose, and between which doses it is known to lie: itself, but where nothing is known."""

    value: float
    low: float
    high: float


def _reached(doses: Sequence[float], shares: Floats) -> _Reached:
    """Where the shares, made monotone, are enough; at infinity where they never are."""
    power = optimize.isotonic_regression(shares).x
    at = int(np.searchsorted(power, POWER - 1e-9))
    if at == len(doses):
        return _Reached(*[float("inf")] * 3)
    above = float(doses[at])
    if at == 0:
        return _Reached(above, 0.0, above)
    below = float(doses[at - 1])
    part = (POWER - power[at - 1]) / (power[at] - power[at - 1])
    value = below + min(part, 1.0) * (above - below)
    if power[at - 1] <= FALSE_POSITIVES:
        return _Reached(value, below, above)
    return _Reached(value, value, value)


def _finite(dose: float) -> float | None:
    return float(dose) if np.isfinite(dose) else None


def _written(dose: float | None) -> str:
    return "beyond" if dose is None else f"{dose:.3g}"
