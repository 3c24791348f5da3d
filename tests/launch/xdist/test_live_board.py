"""A board of real files, watched by a real thread until its line says what it should."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace

import pytest

from harness.launch.board import Pin
from harness.launch.live import LiveLine
from harness.launch.xdist.live_board import LiveBoard
from harness.resolve.progress import Counts

HALF = Counts(cases_done=1, cases_total=4, requests_done=5, requests_total=10, tokens=70)


class Stream(io.StringIO):
    """Notes what is written, and by whom."""

    def write(self, text):
        self.writer = threading.current_thread().name
        return super().write(text)


@pytest.fixture
def stream():
    return Stream()


@pytest.fixture
def live(tmp_path, stream):
    live = LiveBoard(tmp_path, LiveLine(stream))
    yield live
    live.close()


def wait_for(text, stream):
    deadline = time.monotonic() + 60
    while text not in stream.getvalue():
        assert time.monotonic() < deadline, stream.getvalue()
        time.sleep(0.01)


def test_all_workers_together_are_one_line(tmp_path, stream, live):
    live.start()
    first, second = Pin(tmp_path, "gw0"), Pin(tmp_path, "gw1")
    first.note("loading zoo/moe")
    wait_for("titrate: gw0: loading zoo/moe\n", stream)
    first.update(replace(HALF, cases_done=3, requests_done=10))
    second.note("loading zoo/base")
    second.update(replace(HALF, requests_done=10))
    second.close()
    wait_for("titrate: 4/4 cases, 20/20 requests", stream)
    assert stream.writer == "titrate progress"
    assert stream.getvalue().count("loading zoo/base") == 1


def test_what_is_complete_is_told_once(tmp_path, stream, live):
    live.start()
    Pin(tmp_path, "gw0").update(replace(HALF, cases_done=4))
    wait_for("4/4 cases", stream)
    Pin(tmp_path, "gw1").note("a look later")
    wait_for("a look later", stream)
    Pin(tmp_path, "gw2").note("and another")
    wait_for("and another", stream)
    assert stream.getvalue().count("4/4 cases") == 1


def test_how_it_ended_is_told_however_soon_the_board_is_closed(tmp_path, stream, live):
    Pin(tmp_path, "gw0").update(replace(HALF, cases_done=4))
    live.start()
    live.close()
    assert stream.getvalue().startswith("titrate: 4/4 cases, ")


def test_what_a_worker_that_left_had_to_do_is_not_waited_for(tmp_path, live):
    Pin(tmp_path, "gw0").update(HALF)
    assert live.counts().requests_total == 10
    live.leave("gw0")
    assert live.counts().requests_total == 5


def test_a_board_is_closed_before_it_was_watched_and_twice(tmp_path, live):
    live.close()
    live.start()
    live.close()
    live.close()
