"""What is said of a metric: its value with an interval, and a comparison with a baseline.

`paired` computes them; reading them imports neither scipy nor numpy.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from harness.spec.metric import Good

Method = Literal[
    "jeffreys",
    "wilson_effective",
    "t_hall",
    "bootstrap",
    "own",
    "confidence_sequence",
    "wilson",
    "t",
]
Test = Literal["mcnemar_exact", "sign_flip", "paired_bootstrap", "anytime_kt", "anytime_betting"]


class _Number(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Metric(_Number):
    """A number over samples, most often their mean, with its 95 % interval."""

    value: float
    """Mean over the samples, a rate when every sample is 0 or 1; or the metric's own aggregate."""
    ci_low: float | None
    """Lower bound, or null where the data cannot give one (one sample, or no spread)."""
    ci_high: float | None
    """Upper bound, or null together with `ci_low`."""
    n: PositiveInt
    """Samples."""
    method: Method
    """Of the interval: jeffreys for rates, wilson_effective for means of shares, t_hall for other
    means, bootstrap for what is no mean, own for what has an interval of its own,
    confidence_sequence in a run that stopped itself; wilson and t in earlier reports."""


class Versus(_Number):
    """A case compared with its baseline, sample by sample."""

    delta: float
    """Case minus baseline: the mean difference, or that of the metric's own aggregate."""
    ci_low: float | None
    """Lower bound of the 95 % interval of `delta`, or null where the data cannot give one."""
    ci_high: float | None
    """Upper bound, or null together with `ci_low`."""
    p: float
    """Two-sided p-value of no difference, not corrected for the number of cases."""
    p_holm: float | None = None
    """The same, Holm-corrected over the compared cases of the experiment, metric by metric."""
    minimal_effect: float | None = None
    """Smallest difference, in either direction, that a test at 5 % finds with a power of 80 %,
    given the samples and how much they vary here; null where none would be found, and for what is
    no mean."""
    test: Test
    """What `p` comes from: exact McNemar for values of 0 and 1, sign-flip permutation for other
    means, a paired bootstrap of the aggregate for what is no mean; in a run that stopped itself an
    anytime p, of Krichevsky and Trofimov's bet or of a betting martingale."""
    good: Good = "higher"
    """Which values are better; reports of earlier versions count higher ones as better."""
    better: NonNegativeInt
    """Samples whose value is better than in the baseline; higher, where `good` is neither."""
    worse: NonNegativeInt
    """Samples whose value is worse than in the baseline; lower, where `good` is neither."""
    unchanged: NonNegativeInt
    """Samples whose value is the same."""

    @property
    def changed(self) -> int:
        """Samples whose value is another one."""
        return self.better + self.worse

    @property
    def anytime(self) -> bool:
        """Whether its p keeps its promise at every moment: that of a run that stopped itself."""
        return self.test.startswith("anytime")

    @property
    def deciding_p(self) -> float:
        """The p that says whether it is significant: Holm's, or `p` in reports without it."""
        return self.p if self.p_holm is None else self.p_holm
