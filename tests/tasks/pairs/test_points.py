"""Masks in the study's forms are the same points."""

from __future__ import annotations

import json

import pytest

from harness.errors import TaskError
from harness.tasks.pairs.points import read_mask

POINTS = ((45, 3), (46, 3), (46, 17))


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mask"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([{"layer": a, "router": b, "diff": 0.1} for a, b in POINTS]),
        json.dumps(POINTS),
        json.dumps({"46": [17, 3], "45": [3]}),
        "{(46, 17), (45, 3), (46, 3)}",
        "DEFAULT_ROUTER_MASK_POINTS = {\n    (46, 17),\n    (45, 3), (46, 3),\n}\n",
        "{46: [17, 3], 45: (3,)}",
    ],
)
def test_every_form_gives_the_same_points(write, text):
    assert read_mask(write(text)) == POINTS


def test_a_list_keeps_its_order(write):
    assert read_mask(write("[[46, 17], [45, 3]]")) == ((46, 17), (45, 3))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hello", "is not a mask"),
        ("[]", "holds no point"),
        ("{}", "holds no point"),
        ("7", "'7' is not a point of a mask"),
        ("[[1, -2]]", r"'\[1, -2\]' is not a point of a mask"),
        ("[[1]]", r"'\[1\]' is not a point of a mask"),
        ("[[1, true]]", "is not a point of a mask"),
        ('{"a": [1]}', "is not a point of a mask"),
        ('{"1": 2}', "'2' is not a point of a mask"),
        ("[[1, 2], [1, 2]]", "layer 1, router 2 occurs twice"),
        ('[{"layer": 0}]', "has no 'router'"),
        ("__import__('os')", "is not a mask"),
    ],
)
def test_anything_else_is_refused_in_one_line(write, text, problem):
    path = write(text)
    with pytest.raises(TaskError, match=problem) as caught:
        read_mask(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
