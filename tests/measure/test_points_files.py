"""Points files: every point once, in the order that masks are cut from, readable by a spec."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.interventions.router_points import read_points
from harness.measure.points_files import STUDY, points_document, points_json
from harness.measure.usage_maps import sample_usage, usage_maps
from harness.spec.usage_expression import parse
from tests.measure.test_usage_maps import EXPERTS, TOP_K, routed

ROWS = (1, 3, 5)


@pytest.fixture
def maps():
    return usage_maps([sample_usage(routed(seed)) for seed in (3, 4)], TOP_K)


@pytest.mark.parametrize("text", [*STUDY.values(), "avg_all_assisted - avg_last_assisted"])
def test_a_file_holds_every_point_largest_first(maps, tmp_path, text):
    entries = points_document(parse(text), maps, ROWS)
    path = tmp_path / "points.json"
    path.write_text(points_json(entries))
    points = read_points(path)
    assert sorted(points) == [(layer, expert) for layer in ROWS for expert in range(EXPERTS)]
    (key,) = {"score", "diff"} & set(entries[0])
    assert key == ("diff" if "-" in text else "score")
    values = [entry[key] for entry in json.loads(path.read_text())]
    assert values == sorted(values, reverse=True)


def test_scores_are_those_of_the_maps(maps):
    for entry in points_document(parse("avg_last_agentic - avg_last_assisted"), maps, ROWS):
        at = ROWS.index(entry["layer"]), entry["router"]
        assert entry["diff"] == pytest.approx(maps["diff_last"][at])
        assert entry["agentic"] == maps["avg_last_agentic"][at]
        assert entry["assisted"] == maps["avg_last_assisted"][at]


def test_equal_points_come_by_layer_and_expert(maps):
    flat = {name: np.zeros_like(values) for name, values in maps.items()}
    entries = points_document(parse("avg_last_agentic"), flat, ROWS)
    assert [(entry["layer"], entry["router"]) for entry in entries] == [
        (layer, expert) for layer in ROWS for expert in range(EXPERTS)
    ]


def test_the_studys_opposite_orderings_are_each_others_reverse(maps):
    one, other = (
        [(e["layer"], e["router"]) for e in points_document(parse(STUDY[name]), maps, ROWS)][:3]
        for name in list(STUDY)[:2]
    )
    assert set(one).isdisjoint(other)
