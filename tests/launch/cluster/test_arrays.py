"""From cases to tasks: who runs what, what comes first, and how many may run at once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.launch.cluster.arrays import grouped
from harness.launch.cluster.dealing import chunks, shares
from harness.launch.cluster.slurm import arrays_of
from harness.launch.cluster.submission import Submission
from harness.runs.checks import planned
from harness.spec import Experiment, expand

MASKED = {
    "name": "masked",
    "model": "zoo/moe",
    "task": {"name": "micro_gsm8k", "limit": 2},
    "intervention": {
        "kind": "router_mask",
        "points": {"usage": "avg_last_agentic", "samples": 2},
        "count": 0,
    },
    "axes": {"intervention.count": [0, 1, 2], "prompt.style": ["assisted", "agentic"]},
    "sampling": {"max_new_tokens": 8},
    "resources": {"memory": "2G"},
}


def cases(**changes):
    return [planned(case) for case in expand(Experiment.model_validate({**MASKED, **changes}))]


def test_cases_that_share_a_model_and_resources_are_a_group():
    longer = {"name": "longer", "sampling": {"max_new_tokens": 99}}
    other = {"name": "other", "resources": {"memory": "4G"}}
    first, second = grouped([*cases(), *cases(**longer), *cases(**other)])
    assert (first.resources.memory, second.resources.memory) == ("2G", "4G")
    own = [task for task in first.tasks if not task.first]
    assert [len(task.cases) for task in own] == [1] * 12
    # The most expensive ones first, each named by its place in the grid.
    assert all(task.cases[0].startswith("longer") for task in own[:6])
    assert [task.name for task in own[:2]] == ["00006", "00007"]


def test_what_several_tasks_need_comes_first():
    (group,) = grouped(cases())
    first = [task for task in group.tasks if task.first]
    # For the neutral dose nothing is measured; the next one stands for all of which much is.
    assert [task.cases for task in first] == [
        ("masked[count=0-style=assisted]", "masked[count=1-style=assisted]"),
        ("masked[count=0-style=agentic]", "masked[count=1-style=agentic]"),
    ]
    assert [task.first for task in group.tasks] == [True] * 2 + [False] * 6


@pytest.mark.parametrize("changes", [{"intervention": None, "axes": {"seed": [0, 1]}}])
def test_where_nothing_is_shared_nothing_comes_first(changes):
    (group,) = grouped(cases(**changes))
    assert not any(task.first for task in group.tasks)
    assert not any(task.first for task in grouped(cases(), 1)[0].tasks)


@pytest.mark.parametrize("tasks", [1, 2, 4, 100])
def test_every_case_is_some_tasks(tasks):
    (group,) = grouped(cases(), tasks)
    own = [case for task in group.tasks if not task.first for case in task.cases]
    assert Counter(own) == Counter(case.id for case in cases())
    assert sum(not task.first for task in group.tasks) <= tasks


@given(st.integers(0, 5000), st.integers(1, 1001), st.none() | st.integers(1, 99))
def test_no_array_is_larger_than_it_may_be(count, most, at_once):
    parts = chunks(range(count), most, at_once)
    if not count:
        assert parts == []
        return
    assert sorted(each for part in parts for each in part) == list(range(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert all(parts)
    if at_once is None:
        assert (len(parts) - 1) * most < count
        assert [each for part in parts for each in part] == list(range(count))


@given(st.integers(1, 1000), st.integers(1, 50))
def test_shares_are_all_of_it(most, count):
    own = shares(most, min(most, count))
    assert sum(own) == most
    assert max(own) - min(own) <= 1


def submission(groups, **fields):
    return Submission("id", "slurm", "/r", "/r/s", None, "/r/c", {}, {}, groups, **fields)


def test_arrays_wait_for_what_comes_first_and_memory_makes_its_own():
    run = submission(grouped(cases()))
    first, rest = arrays_of(run, run.tasks, {}, 1001)
    assert (first.after, rest.after) == ((), (0,))
    names = [task.name for task in rest.tasks]
    again = arrays_of(run, names[:3], {names[0]: "4G"}, 1001)
    assert [[task.name for task in each.tasks] for each in again] == [names[:1], names[1:3]]
    assert [each.resources.memory for each in again] == ["4G", "2G"]
    assert [each.after for each in again] == [(), ()]


@given(parallelism=st.integers(1, 9), largest=st.integers(1, 9))
def test_never_more_tasks_at_once_than_asked_for(parallelism, largest):
    run = submission(GROUPS, parallelism=parallelism)
    arrays = arrays_of(run, run.tasks, {}, largest)
    # Play it forward: at every time all arrays that need not wait run as many tasks as they may.
    ended: set[int] = set()
    while len(ended) < len(arrays):
        begun = [at for at, each in enumerate(arrays) if at not in ended and ended >= {*each.after}]
        assert begun
        most = sum(min(arrays[at].parallelism, len(arrays[at].tasks)) for at in begun)
        assert most <= parallelism
        ended.add(begun[-1])


GROUPS = grouped([*cases(), *cases(name="other", resources={"memory": "4G"})])
