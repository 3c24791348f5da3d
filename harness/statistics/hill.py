"""Hill's curve through means that vary together: a four-parameter logistic over log dose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Floats = NDArray[np.float64]

#: Parameters of the curve beside its beginning: how far it goes, where its middle is, its slope.
HILLS_OWN = 3


def fit_hill(doses: Floats, changes: Floats, covariance: Floats, most: float = math.inf) -> Any:
    """Hill's curve through changes from the first dose, by generalised least squares.

    The curve's beginning is profiled out: with the covariance of the means of all doses this is the
    fit of all four parameters.

    Args:
        doses: [doses], all above 0.
        changes: [doses], how far the mean is from that of the first dose, upwards.
        covariance: [doses, doses], of these changes.
        most: The largest change that there can be.

    Returns:
        What `scipy.optimize.least_squares` finds of height, log of ED50, and log of the slope.
    """
    whitened = np.linalg.cholesky(np.linalg.inv(covariance)).T

    def residuals(parameters: Floats) -> Floats:
        height, middle, log_slope = parameters
        part = special.expit(np.exp(log_slope) * (np.log(doses) - middle))
        found: Floats = whitened @ (changes - height * part)
        return found

    start = [min(float(changes[-1]), most), float(np.log(np.median(doses))), 0.5]
    bounds = ([-math.inf] * HILLS_OWN, [most, math.inf, math.inf])
    return optimize.least_squares(residuals, start, bounds=bounds, max_nfev=500)
