"""A board of real files: what several processes pinned, added up by whoever looks."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.launch import board
from harness.launch.board import Pin, Pinned, read, total
from harness.resolve.progress import Counts

HALF = Counts(
    cases_done=1, cases_total=4, requests_done=5, requests_total=10, tokens=70, loads=1, seconds=2.5
)


def test_a_board_says_what_each_process_said_last(tmp_path):
    first, second = Pin(tmp_path, "gw0"), Pin(tmp_path, "gw1")
    first.note("loading zoo/moe")
    first.update(HALF)
    second.note("loading zoo/base")
    second.note("measuring router usage")
    assert read(tmp_path) == {
        "gw0": Pinned(HALF, ("loading zoo/moe",)),
        "gw1": Pinned(Counts(), ("loading zoo/base", "measuring router usage")),
    }


def test_nobody_has_said_anything_yet(tmp_path):
    assert read(tmp_path) == {}
    assert total({}) == Counts()


def test_a_process_tells_of_its_progress_now_and_then_and_at_its_end(tmp_path, monkeypatch):
    clock = iter([10.0, 10.05, 10.1, 10.3])
    monkeypatch.setattr(board.time, "monotonic", lambda: next(clock))
    pin = Pin(tmp_path, "gw0")
    told = []
    for done in range(4):
        pin.update(replace(HALF, requests_done=done))
        told.append(read(tmp_path)["gw0"].counts.requests_done)
    assert told == [0, 0, 0, 3]
    monkeypatch.setattr(board.time, "monotonic", lambda: 10.31)
    pin.update(replace(HALF, requests_done=9))
    assert read(tmp_path)["gw0"].counts.requests_done == 3
    pin.close()
    assert read(tmp_path)["gw0"].counts.requests_done == 9


def test_counters_that_go_on_growing_are_not_shared_with_what_was_said(tmp_path):
    counts = replace(HALF)
    pin = Pin(tmp_path, "gw0")
    pin.update(counts)
    counts.requests_done = 8
    pin.note("loading zoo/moe")
    assert read(tmp_path)["gw0"].counts.requests_done == 5


def test_a_board_that_cannot_be_written_costs_the_watcher_only(tmp_path):
    pin = Pin(tmp_path / "missing", "gw0")
    pin.update(HALF)
    pin.close()
    assert read(tmp_path / "missing") == {}


def test_nothing_half_written_is_ever_read(tmp_path):
    Pin(tmp_path, "gw0").update(HALF)
    (tmp_path / "progress-gw1.part").write_text('{"counts"')
    assert list(read(tmp_path)) == ["gw0"]
    assert json.loads((tmp_path / "progress-gw0.json").read_text())["counts"]["loads"] == 1


def counts_of(cases_total: int):
    numbers = st.integers(0, 1000)
    return st.tuples(numbers, numbers, numbers, numbers).map(
        lambda n: Counts(
            n[0], cases_total, n[1], 0, n[1] + n[2], n[3], loads=n[0] % 3, seconds=n[3] / 10
        )
    )


@given(st.lists(counts_of(40), min_size=1, max_size=5))
def test_requests_add_up_and_every_process_knows_of_every_case(every):
    summed = total({f"gw{index}": Pinned(counts) for index, counts in enumerate(every)})
    assert summed.cases_total == 40
    assert summed.seconds == max(counts.seconds for counts in every)
    for name in ("cases_done", "requests_done", "requests_total", "tokens", "loads"):
        assert getattr(summed, name) == sum(getattr(counts, name) for counts in every)


@given(counts_of(4), counts_of(4))
def test_what_a_dead_process_had_still_to_do_is_not_counted_twice(dead, alive):
    summed = total({"gw0": Pinned(dead), "gw1": Pinned(alive)}, gone={"gw0"})
    assert summed.requests_done == dead.requests_done + alive.requests_done
    assert summed.requests_total == dead.requests_done + alive.requests_total
    assert summed.cases_done == dead.cases_done + alive.cases_done
