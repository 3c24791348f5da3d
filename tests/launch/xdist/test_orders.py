from __future__ import annotations

import json

import execnet
import pytest

from harness.errors import StoreError
from harness.launch.xdist.orders import (
    Assignment,
    Orders,
    say_crashed,
    say_places,
    told_crashed,
    told_places,
)

ORDERS = Orders("run", "/a/run", "2026-01-01T12:00:00+00:00", "/a/out", "pytest benches -n2")


def test_orders_arrive_as_they_were_given():
    workerinput = {"workerid": "gw0"}
    ORDERS.put_into(workerinput)
    assert Orders.found_in(execnet.loads(execnet.dumps(workerinput))) == ORDERS


def test_a_worker_of_other_tests_has_no_orders():
    assert Orders.found_in({"workerid": "gw0"}) is None


def test_places_and_deaths_are_told_through_the_runs_folder(tmp_path):
    folder = tmp_path / "runs" / "x"
    assert told_places(folder) == {}
    assert told_crashed(folder) == {}
    places = {"benches/b.py::b[x[count=0]]": Assignment(1, "x[count=0]")}
    say_places(folder, places)
    say_places(folder, places)
    say_crashed(folder, {"x[count=0]": "worker gw0 died"})
    assert told_places(folder) == places
    assert told_crashed(folder) == {"x[count=0]": "worker gw0 died"}
    assert sorted(path.name for path in folder.iterdir()) == ["crashed.json", "places.json"]


def test_a_file_that_is_being_replaced_is_never_seen_half_written(tmp_path):
    say_crashed(tmp_path, {"a": "b"})
    (tmp_path / "crashed.json.1.part").write_text('{"a"')
    assert told_crashed(tmp_path) == {"a": "b"}
    assert json.loads((tmp_path / "crashed.json").read_text()) == {"a": "b"}


def test_a_folder_that_cannot_be_written_is_one_line_and_no_obstacle_to_a_death(tmp_path):
    folder = tmp_path / "runs" / "x"
    folder.parent.write_text("")
    with pytest.raises(StoreError, match="runs/x: the run's records cannot be written: Not a dir"):
        say_places(folder, {"benches/b.py::b[x]": Assignment(0, "x")})
    say_crashed(folder, {"x": "worker gw0 died"})
