"""Probes: how well a linear classifier tells the two sides of pairs apart, layer by layer.

Shapes: N pairs, H the width; the sides' hidden states are [N, H] each. The classifier is a logistic
regression (L2) on states scaled to unit variance; its score is the area under the ROC curve on
held-out pairs, both sides of which are always in the same fold. Beside it stands the control task
(Hewitt and Liang 2019, arXiv:1909.03368): the same with the labels of each pair swapped at random,
at which a probe can only succeed by memory. What a probe knows is the difference between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import TaskError

#: The area under the curve of a guess.
CHANCE = 0.5
_RESAMPLES = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class ProbeScore:
    """An area under the ROC curve with its 95 % interval over pairs."""

    auc: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class LayerProbe:
    """What a probe of one layer can tell, and what it can tell of shuffled labels."""

    layer: int
    probe: ProbeScore
    control: ProbeScore

    @property
    def selectivity(self) -> float:
        """The probe's score minus that of its control task.

        Above 0.5 the control task scored below chance, which is no merit of the probe
        (`below_chance`).
        """
        return self.probe.auc - self.control.auc

    @property
    def below_chance(self) -> bool:
        """Whether the control task scores worse than guessing.

        Labels that were swapped at random cannot be unlearnt: what lacks to 0.5 is chance, or folds
        that are too small, and would be counted as selectivity.
        """
        return self.control.auc < CHANCE


def check_folds(pairs: int, folds: int) -> None:
    """Raise `TaskError` for more folds than pairs."""
    if pairs < folds:
        raise TaskError(f"{pairs} pairs for {folds} folds; use more pairs, or fewer folds")


def probe_layer(
    layer: int,
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
    *,
    folds: int = 5,
    strength: float = 1.0,
    seed: int = 0,
) -> LayerProbe:
    """Probe one layer; `strength` is the inverse of the L2 penalty (scikit-learn's C).

    Raises:
        TaskError: there are fewer pairs than folds.
    """
    check_folds(len(positive), folds)
    swapped = np.random.default_rng(seed).random(len(positive)) < 0.5
    shuffled = (
        np.where(swapped[:, None], negative, positive),
        np.where(swapped[:, None], positive, negative),
    )
    return LayerProbe(
        layer,
        _cross_validated((positive, negative), folds, strength, seed),
        _cross_validated(shuffled, folds, strength, seed),
    )


def _cross_validated(
    sides: tuple[NDArray[np.float64], NDArray[np.float64]], folds: int, strength: float, seed: int
) -> ProbeScore:
    """Mean over folds of the AUC on held-out pairs; the interval resamples pairs within folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    positive, negative = sides
    order = np.random.default_rng(seed).permutation(len(positive))
    held: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for fold in np.array_split(order, folds):
        rest = np.setdiff1d(order, fold)
        states = np.concatenate([positive[rest], negative[rest]])
        labels = np.repeat([1, 0], len(rest))
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=1000, random_state=seed)
        ).fit(states, labels)
        held.append(
            (model.decision_function(positive[fold]), model.decision_function(negative[fold]))
        )
    draw = np.random.default_rng(seed)
    resampled = [
        np.mean(
            [
                auc(right[chosen], wrong[chosen])
                for right, wrong in held
                for chosen in [draw.integers(0, len(right), len(right))]
            ]
        )
        for _ in range(_RESAMPLES)
    ]
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return ProbeScore(float(np.mean([auc(*scores) for scores in held])), float(low), float(high))


def auc(
    positive: Sequence[float] | NDArray[np.float64], negative: Sequence[float] | NDArray[np.float64]
) -> float:
    """Probability that a positive one scores higher than a negative one; ties count half."""
    right, wrong = np.asarray(positive)[:, None], np.asarray(negative)[None, :]
    return float(((right > wrong) + 0.5 * (right == wrong)).mean())
