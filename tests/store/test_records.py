"""Case results as lines of JSON: equal when read back, and never something else."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.contract import Completion
from harness.errors import StoreError
from harness.interventions.router_mask.description import RouterMask
from harness.spec import expand, load
from harness.store.records import (
    from_json,
    read_records,
    record_lines,
    result_in,
    to_json,
    usable_records,
)
from harness.store.results import CaseResult, DrawResult, UsageMap
from harness.tasks.base import Score
from tests.runs.small import experiment, mask
from tests.store.test_completions import COMPLETIONS

SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 3}
intervention: {kind: router_mask, points: {usage: avg_last_agentic}, count: 0}
sampling: {temperature: 0.5, draws: 2, max_new_tokens: 24}
axes:
  intervention.count: [0, 30]
  sampling.top_p: [1, 0.5]
  intervention.points: [{random: 1}, {usage: avg_all_assisted}]
dose: intervention.count
gates: [neutral_equals_baseline]
"""
ASKED = experiment(
    intervention={"kind": "oracle", "model": "zoo/oracle"},
    axes={"intervention.budget": [0, "inf"]},
    dose="intervention.budget",
)
TEXT = st.text(st.characters(codec=None), max_size=10)
DRAWS = st.builds(
    DrawResult,
    sample=TEXT,
    draw=st.integers(0, 9),
    prompt=TEXT,
    completion=COMPLETIONS | st.just(Completion((), "", "error", error="s/0: refused")),
    score=st.builds(Score, st.booleans(), st.booleans(), TEXT),
    agreement=st.none() | st.integers(0, 9),
    pieces=st.lists(TEXT, max_size=3).map(tuple),
    instead=st.lists(st.tuples(st.integers(0, 9), TEXT), max_size=2).map(tuple),
)
RESULTS = st.builds(
    CaseResult,
    case=st.sampled_from(
        [
            *expand(experiment()),
            *expand(experiment(intervention=None)),
            *expand(experiment(axes={"intervention.count": [0, 4], "seed": [1, 2]})),
            *expand(ASKED),
        ]
    ),
    task_name=TEXT,
    task_version=st.integers(1, 9),
    task_size=st.integers(1, 9),
    metric=TEXT,
    status=st.sampled_from(["complete", "incomplete", "failed"]),
    baseline=st.none() | TEXT,
    nodeid=st.none() | TEXT,
    usage=st.none()
    | st.builds(UsageMap, TEXT, st.just((0, 3)), st.just(((0.1, 1 / 3), (-1e-300, 2.0)))),
    draws=st.lists(DRAWS, max_size=3).map(tuple),
    sample_metrics=st.dictionaries(TEXT, st.dictionaries(TEXT, st.floats(allow_nan=False))),
    counts=st.dictionaries(TEXT, st.integers()),
    intervention=st.none() | st.just(RouterMask(points=((0, 1), (2, 3)))),
    warnings=st.lists(TEXT, max_size=2).map(tuple),
    error=st.none() | TEXT,
    seconds=st.floats(0, 1e6),
)


@given(RESULTS)
def test_a_result_comes_back_equal(result):
    document = json.loads(json.dumps(to_json(result), allow_nan=True))
    assert from_json(document) == result
    case = json.dumps(to_json(result)["case"], allow_nan=False)
    assert ('"dose": "inf"' in case) == (result.case.dose == math.inf)


def test_a_case_of_a_spec_file_comes_back_with_the_places_of_its_values(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    for case in expand(*load(path, ["task.limit=2"])):
        made = CaseResult(case, "t", 1, 2, "m", "complete", intervention=RouterMask())
        read = from_json(json.loads(json.dumps(to_json(made))))
        assert read == made
        for field in ("task.limit", "intervention.count", "intervention.points", "gates"):
            assert read.case.source.origin(field) == case.source.origin(field)
        assert read.case.baseline.source == case.baseline.source


def test_a_record_does_not_grow_with_the_axes_of_its_experiment(tmp_path):
    """Every case is recorded with its source, and so all records of an axis with its square."""
    size = {}
    for values in (10, 1000):
        path = tmp_path / "small.yaml"
        seeds = list(range(1000, 1000 + values))
        path.write_text(f"{SPEC}\n".replace("axes:", f"axes:\n  seed: {seeds}", 1))
        cases = expand(*load(path, ["task.limit=2"]))
        document = to_json(CaseResult(cases[-1], "t", 1, 2, "m", "complete"))
        size[values] = len(json.dumps(document))
        assert cases[-1].source.origin("seed") == cases[-1].source.origin(
            f"axes.seed[{values - 1}]"
        )
    assert size[1000] < size[10] + 50


@given(st.lists(RESULTS, max_size=3))
def test_a_file_holds_the_results_in_their_order(tmp_path_factory, results):
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    path.write_bytes(b"".join(record_lines(results)))
    assert list(read_records(path)) == results


def written(path, count=3):
    results = [
        CaseResult(case, "t", 1, 2, "m", "complete")
        for case in expand(experiment(intervention=mask(), axes={"seed": list(range(count))}))
    ]
    path.write_bytes(b"".join(record_lines(results)))
    return results


def test_damage_is_refused_or_passed_over_as_asked_for(tmp_path):
    path = tmp_path / "records.jsonl"
    results = written(path)
    path.write_bytes(path.read_bytes().replace(b"seed=1", b"seed=7"))
    with pytest.raises(StoreError, match=r"the record at byte \d+ is torn or altered; copy it"):
        list(read_records(path))
    skipped = []
    assert list(usable_records(path, result_in, skipped.append)) == [results[0], results[2]]
    assert len(skipped) == 1
    path.write_bytes(path.read_bytes()[:-1])
    assert list(usable_records(path, result_in, skipped.append)) == [results[0]]
    assert len(skipped) == 2, "a last line without its end is what a kill leaves, and no news"


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe", None])
def test_what_is_no_file_of_records_is_one_line(tmp_path, content):
    path = tmp_path / "records.jsonl"
    if content is not None:
        path.write_bytes(content)
    if content == b"":
        assert list(read_records(path)) == []
        return
    with pytest.raises(StoreError, match=r"records\.jsonl: ") as error:
        list(read_records(path))
    assert "\n" not in str(error.value)


def test_a_record_of_another_form_is_one_line(tmp_path):
    from harness.store.journal import encoded

    path = tmp_path / "records.jsonl"
    head = next(iter(record_lines([])))
    path.write_bytes(head + encoded({"case": {}}))
    with pytest.raises(StoreError, match="is not a case's, or of another version of titrate; "):
        list(read_records(path))
