"""Orderings of router points: files and what is wrong with them, seeds, measured usage."""

from __future__ import annotations

import json
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FieldError
from harness.interventions.router_points import random_points, rank, read_points

EXPECTED = 'the file must read [{"layer": 0, "router": 3}, ...]'
GOOD = {"layer": 1, "router": 2}
ORDER_OF_SEED_0 = ((2, 0), (2, 2), (0, 2), (2, 1), (0, 1), (0, 0))


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "points.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


class TestReadPoints:
    def test_order_is_kept_and_other_keys_are_ignored(self, write):
        entries = [{"layer": 3, "router": 1, "diff": 0.5}, {"router": 0, "layer": 7, "score": None}]
        assert read_points(write(entries)) == ((3, 1), (7, 0))

    def test_no_points_are_points(self, write):
        assert read_points(str(write([]))) == ()

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (
                "[{",
                (
                    "is not JSON (Expecting property name enclosed in double quotes: "
                    'line 1 column 3 (char 2)); the file must read [{"layer": 0, "router": 3}, ...]'
                ),
            ),
            (
                {"layer": 0},
                (
                    '{"layer": 0} is not a list of points; '
                    'the file must read [{"layer": 0, "router": 3}, ...]'
                ),
            ),
            ([GOOD, [0, 1]], 'entry 2: [0, 1] is not {"layer": 0, "router": 3}'),
            ([GOOD, {"layer": 0}], f"entry 2: {{\"layer\": 0}} has no 'router'; {EXPECTED}"),
            (
                [{"router": 0, "expert": 1}],
                f'entry 1: {{"router": 0, "expert": 1}} has no \'layer\'; {EXPECTED}',
            ),
            ([{"layer": -1, "router": 0}], "entry 1: layer is -1; use an integer of at least 0"),
            (
                [{"layer": 0, "router": True}],
                "entry 1: router is true; use an integer of at least 0",
            ),
            ([{"layer": 0.0, "router": 1}], "entry 1: layer is 0.0; use an integer of at least 0"),
            ([{"layer": 0, "router": "1"}], 'entry 1: router is "1"; use an integer of at least 0'),
            (
                [GOOD, {"layer": 1, "router": 3}, {**GOOD, "score": 1}],
                "entry 3: layer 1, router 2 is entry 1 already; a point can be masked once",
            ),
        ],
    )
    def test_what_is_wrong_is_said_in_one_line(self, write, content, problem):
        path = write(content)
        with pytest.raises(FieldError) as caught:
            read_points(path)
        assert caught.value.field == "intervention.points.file"
        assert caught.value.problem == f"{path}: {problem}"
        assert "\n" not in str(caught.value)

    def test_long_values_are_cut(self, write):
        with pytest.raises(FieldError) as caught:
            read_points(write([{"layer": 0, "note": "x" * 500}]))
        assert len(caught.value.problem.split("entry 1: ")[1].split(";")[0]) < 80

    def test_missing_file(self, tmp_path):
        with pytest.raises(FieldError) as caught:
            read_points(tmp_path / "none.json")
        problem = f"{tmp_path / 'none.json'}: cannot be read (No such file or directory)"
        assert caught.value.problem == f"{problem}; {EXPECTED}"

    def test_folder_and_binary(self, tmp_path):
        with pytest.raises(FieldError, match=r"cannot be read \(is a folder\)"):
            read_points(tmp_path)
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(FieldError, match="is not JSON"):
            read_points(tmp_path / "binary")


class TestRandomPoints:
    def test_every_point_once(self):
        points = random_points([1, 3], 4, seed=0)
        assert sorted(points) == [(layer, e) for layer in (1, 3) for e in range(4)]

    def test_the_order_of_a_seed_never_changes(self):
        assert random_points([0, 2], 3, seed=0) == ORDER_OF_SEED_0
        assert random_points([2, 0], 3, seed=0) == ORDER_OF_SEED_0
        assert random_points([0, 2], 3, seed=1) != ORDER_OF_SEED_0

    def test_the_global_generator_is_left_alone(self):
        state = random.getstate()
        random_points(range(4), 8, seed=3)
        assert random.getstate() == state


class TestRank:
    def test_largest_first_and_ties_in_layer_expert_order(self):
        usage = torch.tensor([[0.25, 0.5, 0.25], [0.5, 0.0, 0.5]])
        expected = ((1, 1), (4, 0), (4, 2), (1, 0), (1, 2), (4, 1))
        assert rank(usage, [1, 4]) == expected

    def test_differences_may_be_negative(self):
        assert rank(torch.tensor([[-1.0, 0.0, 1.0]]), [0]) == ((0, 2), (0, 1), (0, 0))

    @given(st.lists(st.integers(0, 3), min_size=12, max_size=12))
    def test_is_a_stable_sort(self, values):
        ranked = rank(torch.tensor(values).reshape(3, 4).float(), range(3))
        keys = [(-values[layer * 4 + expert], layer, expert) for layer, expert in ranked]
        assert keys == sorted(keys)
        assert len(set(ranked)) == 12

    def test_what_is_not_a_number_has_no_place(self):
        with pytest.raises(FieldError) as caught:
            rank(torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]), [0, 5])
        assert str(caught.value) == (
            "intervention.points.usage: the usage of layer 5, expert 0 is nan; the router's "
            "probabilities were not finite, run the model in a wider dtype"
        )

    def test_rows_must_match_layers(self):
        with pytest.raises(ValueError, match="shorter"):
            rank(torch.zeros(2, 3), [0, 1, 2])
