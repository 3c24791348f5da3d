"""Partitions of real cases: complete, deterministic, balanced, and with few cuts."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.runs.partition import expected_cost, partition
from harness.runs.plan import by_model
from tests.runs.small import cases, experiment, mask

AXES = {"intervention.count": [0, 1, 2, 3], "prompt.style": ["assisted", "agentic"]}


def sweep(name: str, counts: int, **fields):
    return cases(name, axes={"intervention.count": list(range(counts))}, **fields)


def ids(parts):
    return [[case.id for case in part] for part in parts]


selections = st.lists(
    st.tuples(st.sampled_from(["zoo/moe", "zoo/base"]), st.integers(1, 6), st.integers(1, 3)),
    min_size=1,
    max_size=4,
)


def selected(selection):
    """Sweeps of several sizes on two models; `zoo/base` has no routers and varies its seed."""
    found = []
    for index, (model, length, limit) in enumerate(selection):
        task = {"name": "micro_humaneval", "limit": limit}
        name = f"sweep{index}"
        if model == "zoo/moe":
            found += sweep(name, length, task=task)
        else:
            axes = {"seed": list(range(length))}
            found += cases(name, model=model, intervention=None, task=task, axes=axes)
    return found


@settings(deadline=None, max_examples=60)
@given(selections, st.integers(1, 5))
def test_every_case_is_in_exactly_one_part_and_keeps_its_place(selection, count):
    asked = selected(selection)
    parts = partition(asked, count)
    assert len(parts) == count
    position = {case.id: index for index, case in enumerate(asked)}
    assert sorted(position[id_] for part in ids(parts) for id_ in part) == list(range(len(asked)))
    assert all(
        [position[id_] for id_ in part] == sorted(map(position.get, part)) for part in ids(parts)
    )


@settings(deadline=None, max_examples=60)
@given(selections, st.integers(1, 5))
def test_only_a_model_above_a_fair_share_is_cut_and_no_more_often_than_it_has_shares(
    selection, count
):
    asked = selected(selection)
    parts = partition(asked, count)
    share = sum(map(expected_cost, asked)) / count
    for group in by_model(asked).values():
        cost = sum(map(expected_cost, group))
        members = {case.id for case in group}
        holders = sum(any(case.id in members for case in part) for part in parts)
        assert holders <= (1 if cost <= share else int(cost / share) + 2)


@settings(deadline=None, max_examples=60)
@given(selections, st.integers(1, 5))
def test_no_part_exceeds_a_fair_share_by_more_than_one_piece(selection, count):
    """Graham's bound: the last piece on the fullest part was put where there was least."""
    asked = selected(selection)
    share = sum(map(expected_cost, asked)) / count
    largest = max(map(expected_cost, asked))
    fullest = max(sum(map(expected_cost, part)) for part in partition(asked, count))
    assert fullest <= 2 * share + largest


def test_one_model_is_cut_between_baselines_first():
    asked = cases("small", axes=AXES)
    styles = [{case.experiment.prompt.style for case in part} for part in partition(asked, 2)]
    assert sorted(map(sorted, styles)) == [["agentic"], ["assisted"]]


def test_models_of_about_equal_cost_get_a_part_each():
    asked = [*sweep("a", 4), *sweep("b", 4, engine={"drafts": False})]
    assert ids(partition(asked, 2)) == [
        [f"a[count={count}]" for count in range(4)],
        [f"b[count={count}]" for count in range(4)],
    ]


def test_the_cost_grows_with_requests_tokens_and_weights():
    (plain,) = cases("small", intervention=mask())
    dearer = [
        cases("small", task={"name": "micro_humaneval", "limit": 6}),
        cases("small", sampling={"max_new_tokens": 48}),
        cases("small", sampling={"max_new_tokens": 24, "temperature": 1.0, "draws": 2}),
    ]
    assert [expected_cost(case) for (case,) in dearer] == [2 * expected_cost(plain)] * 3
    (smaller,) = cases("small", model="zoo/base", intervention=None)
    assert expected_cost(smaller) < expected_cost(plain)


def test_another_process_computes_the_same(monkeypatch):
    """String hashes differ between processes; the partition must not."""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    code = (
        "from harness.runs.partition import partition; from harness.runs.checks import planned;"
        "from harness.spec import Experiment, expand;"
        f"experiment = Experiment.model_validate_json({experiment(axes=AXES).model_dump_json()!r});"
        "parts = partition([planned(case) for case in expand(experiment)], 3);"
        "print([[case.id for case in part] for part in parts])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == str(ids(partition(cases("small", axes=AXES), 3)))
