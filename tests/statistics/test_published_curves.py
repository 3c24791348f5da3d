"""Hill's curve against published fits: R's drc, and pybmds on the quantal examples of its pages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import harness
from harness.statistics.dose_response import fit_hill

#: Root length (cm) of ryegrass over ferulic acid (mM): Inderjit, Streibig, Olofsdotter (2002),
#: Physiologia Plantarum 114:422, as R's drc ships it.
RYEGRASS = {
    0: (7.58, 8.0, 8.3285714, 7.25, 7.375, 7.9625),
    0.94: (8.3555556, 6.9142857, 7.75),
    1.88: (6.8714286, 6.45, 5.9222222),
    3.75: (1.925, 2.8857143, 4.2333333),
    7.5: (1.1875, 0.8571429, 1.0571429),
    15: (0.6875, 0.525, 0.825),
    30: (0.25, 0.22, 0.44),
}


def test_ryegrass_has_the_parameters_that_drc_publishes():
    """Ritz, Baty, Streibig, Gerhard (2015), PLoS ONE 10:e0146021: LL.4 has b 2.98, c 0.48, d 7.79
    and e 3.06; drc's own page prints 2.98222, 0.48141, 7.79296, 3.05795.
    """
    means = np.array([np.mean(each) for each in RYEGRASS.values()])
    counts = np.array([len(each) for each in RYEGRASS.values()])
    doses = np.array(list(RYEGRASS)[1:], dtype=float)
    covariance = np.diag(1 / counts[1:]) + 1 / counts[0]
    height, middle, log_slope = fit_hill(doses, means[0] - means[1:], covariance).x
    part = special.expit(math.exp(log_slope) * (np.log(doses) - middle))
    off = (means[0] - means[1:]) - height * part
    top = means[0] - np.linalg.solve(covariance, off).sum() / counts[0]
    assert math.exp(log_slope) == pytest.approx(2.98222, rel=1e-3)
    assert math.exp(middle) == pytest.approx(3.05795, rel=1e-3)
    assert top == pytest.approx(7.79296, rel=1e-3)
    assert top - height == pytest.approx(0.48141, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("risk", ["added", "extra"])
@pytest.mark.parametrize(
    ("doses", "numbers", "affected"),
    [
        # https://usepa.github.io/BMDS/recipes/dichotomous.html
        ((0, 25, 75, 125, 200), (20,) * 5, (0, 1, 7, 15, 19)),
        # https://usepa.github.io/BMDS/quickstart.html
        ((0, 10, 50, 150, 400), (25, 25, 24, 24, 24), (0, 3, 7, 11, 15)),
        # With a background, and a top below 1.
        ((0, 1, 3, 10, 30), (50,) * 5, (4, 6, 11, 25, 31)),
    ],
)
def test_benchmark_doses_and_their_bounds_are_those_of_pybmds(doses, numbers, affected, risk):
    import pybmds  # here: it takes seconds
    from pybmds.models.dichotomous import DichotomousHill
    from pybmds.types.priors import PriorClass

    data = pybmds.DichotomousDataset(doses=list(doses), ns=list(numbers), incidences=list(affected))
    free = {"priors": PriorClass.frequentist_unrestricted, "bmr": 0.1}
    expected = DichotomousHill(data, {**free, "bmr_type": int(risk == "extra")}).execute()
    found = harness.benchmark_dose(doses, numbers, affected, risk=risk)
    assert found.dose == pytest.approx(expected.bmd, rel=1e-3)
    assert found.lower == pytest.approx(expected.bmdl, rel=1e-3)
