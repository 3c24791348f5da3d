"""Where the measured usage is told, however a run was cut."""

from __future__ import annotations

from dataclasses import replace

from harness.resolve.usage_maps import told_once
from harness.store.results import UsageMap
from tests.runs.small import cases, result_of


def test_a_map_is_told_by_the_first_case_of_each_experiment_that_has_it():
    one, other = (UsageMap(name, (0,), ((0.5, 0.5),)) for name in ("a", "b"))
    asked = [
        *cases(axes={"intervention.count": [0, 1, 2, 3]}),
        *cases("other", axes={"intervention.count": [1]}),
    ]
    given = (None, one, one, other, one)
    results = [
        replace(result_of(case.case, [(0,), (1,)]), usage=usage)
        for case, usage in zip(asked, given, strict=True)
    ]
    assert [result.usage for result in told_once(results)] == [None, one, None, other, one]
