"""Curves of draws as lines: where points stand, and their intervals as bars beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes

from harness.report.draws.analyses import X
from harness.report.draws.curves import Bounds

#: More curves than this are not told apart in one panel, and have no intervals there.
MOST_NAMED = 12
#: How far curves stand beside each other, of the smallest step between two x, all together.
SPREAD = 0.3


@dataclass(frozen=True)
class Along:
    """The x axis of an analysis; logarithmic where its numbers double."""

    places: Mapping[X, float]
    doubles: bool

    @classmethod
    def of(cls, places: Mapping[X, float]) -> Along:
        """The axis on which these x have these places."""
        numeric = all(isinstance(x, float | int) for x in places)
        numbers = sorted(places.values())
        doubles = numeric and len(numbers) > 2 and numbers[0] > 0
        return cls(places, doubles and numbers[-1] / numbers[0] >= 4)

    def beside(self, x: X, curve: int, of: int) -> float:
        """Where a point of one of several curves stands: they would hide each other's bars."""
        place = self.places[x]
        numbers = sorted(np.log2([*self.places.values()]) if self.doubles else self.places.values())
        step = min((b - a for a, b in pairwise(numbers)), default=1.0)
        shift = SPREAD * step * ((curve + 0.5) / of - 0.5)
        return float(place * 2**shift if self.doubles else place + shift)

    def mark(self, axes: Axes) -> None:
        """Scale and ticks."""
        if self.doubles:
            axes.set_xscale("log", base=2)
        texts = any(isinstance(x, str) for x in self.places)
        if self.doubles or texts or len(self.places) <= MOST_NAMED:
            axes.set_xticks(list(self.places.values()), list(map(named, self.places)), minor=False)
            axes.minorticks_off()


def named(x: X) -> str:
    """An x in words."""
    return x if isinstance(x, str) else f"{x:g}"


def draw_line(
    axes: Axes,
    xs: Sequence[float],
    values: Sequence[tuple[float, Bounds]],
    style: dict[str, str],
    *,
    bars: bool,
) -> None:
    """A curve, and its intervals where there is room for `bars`."""
    means = [value for value, _ in values]
    axes.plot(xs, means, markersize=3.5, linewidth=1.2, **style)  # type: ignore[arg-type]
    if bars:
        low = [max(0.0, value - (ci[0] if ci[0] is not None else value)) for value, ci in values]
        high = [max(0.0, (ci[1] if ci[1] is not None else value) - value) for value, ci in values]
        axes.errorbar(xs, means, [low, high], fmt="none", ecolor=style["color"], elinewidth=0.7)
