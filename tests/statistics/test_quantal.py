"""Benchmark doses of groups that share no sample; `test_published_curves` has pybmds' numbers."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import harness
from harness.statistics.quantal import Groups
from tests.statistics.simulated_quantal import DOSES, RESPONSE, tested

TABLES = [(1, 2, 9, 15, 19), (0, 5, 8, 10, 13), (2, 3, 5, 6, 7)]


@pytest.mark.parametrize("affected", TABLES)
def test_bounds_are_where_the_test_has_its_level(affected):
    doses = DOSES[5]
    found = harness.benchmark_dose(doses, [20] * 5, affected, response=RESPONSE)
    table = np.array([doses, [20] * 5, affected], dtype=float)
    groups = Groups(table, RESPONSE, added=False)
    for dose, level in ((found.lower, 0.1), (found.low, 0.05), (found.high, 0.05)):
        if dose:
            _, p = tested(groups, math.log(dose))
            assert p == pytest.approx(level, rel=1e-3)
    assert found.low <= found.lower <= found.dose


def test_what_is_flat_has_no_benchmark_dose_and_what_is_certain_has_one_at_0():
    flat = harness.benchmark_dose((0, 1, 3, 10, 30), (50,) * 5, (4,) * 5)
    assert flat.dose is None
    assert flat.lower is not None
    assert flat.low < flat.lower
    certain = harness.benchmark_dose((0, 1, 3, 10, 30), (50,) * 5, (0, 50, 50, 50, 50))
    assert certain.lower == 0
    assert certain.high < 1


@pytest.mark.parametrize(
    ("doses", "numbers", "affected", "response", "said"),
    [
        ((0, 1, 2), (9,) * 3, (1,) * 3, 0.1, "doses: 3 are no curve; give at least 4"),
        ((0, 2, 1, 3), (9,) * 4, (1,) * 4, 0.1, "do not rise from 0; order the groups by dose"),
        ((1, 2, 3, 4), (9,) * 4, (1,) * 4, 0.1, "do not rise from 0"),
        ((0, 1, 2, 3), (9,) * 4, (1, 1, 1, 10), 0.1, "affected: 10 of 9 at dose 3 is no count"),
        ((0, 1, 2, 3), (9,) * 3, (1,) * 4, 0.1, "4 doses, 3 numbers and 4 affected"),
        ((0, 1, 2, 3), (9,) * 4, (1,) * 4, 1.5, "response: 1.5 is no change of a rate"),
    ],
)
def test_a_table_that_is_none_is_refused_in_a_line(doses, numbers, affected, response, said):
    with pytest.raises(harness.FieldError, match=re.escape(said)):
        harness.benchmark_dose(doses, numbers, affected, response=response)
