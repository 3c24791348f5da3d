"""The live line on a log file and on a terminal, with a clock that is moved by hand."""

from __future__ import annotations

import io
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from harness.live_line import LiveLine
from harness.runs.progress import Counts

from .screen import screen


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def screen(self) -> list[str]:
        return screen(self.getvalue())


@pytest.fixture
def clock(monkeypatch):
    """Seconds since the start, moved by the test."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr("harness.live_line.time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def counts(done: int, *, cases_done: int = 0) -> Counts:
    return Counts(
        cases_done=cases_done,
        cases_total=4,
        requests_done=done,
        requests_total=200,
        tokens=30 * done,
        seconds=0.5 * done,
    )


# Where nothing can be redrawn ---------------------------------------------------------------------


def test_a_log_gets_a_line_every_ten_seconds_at_most(clock):
    stream = io.StringIO()
    line = LiveLine(stream)
    written = []
    for second in range(60):
        clock.seconds = 100.0 + second
        line.update(counts(second))
        written.append(stream.getvalue().count("\n"))
    at = [second for second in range(1, 60) if written[second] > written[second - 1]]
    assert at == [10, 20, 30, 40, 50]
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().splitlines()[0] == (
        "titrate: 0/4 cases, 10/200 requests, 60 tokens/s, 190 s left"
    )


def test_a_log_ends_with_a_line_about_everything(clock):
    stream = io.StringIO()
    line = LiveLine(stream)
    line.update(counts(0))
    clock.seconds += 2
    line.update(counts(100))
    assert stream.getvalue() == ""
    line.update(counts(200, cases_done=4))
    line.close()
    assert stream.getvalue() == "titrate: 4/4 cases, 200/200 requests, 60 tokens/s\n"


def test_a_note_is_a_line_at_once(clock):
    stream = io.StringIO()
    LiveLine(stream).note("loading zoo/moe")
    assert stream.getvalue() == "titrate: loading zoo/moe\n"


def test_a_run_that_is_complete_at_once_has_no_speed_to_show(clock):
    stream = io.StringIO()
    LiveLine(stream).update(counts(0, cases_done=4))
    assert stream.getvalue() == "titrate: 4/4 cases, 0/200 requests, 0 s left\n"


def test_a_run_without_cases_has_nothing_to_count(clock):
    for stream in (io.StringIO(), Terminal()):
        LiveLine(stream).update(Counts(loads=3))
        assert stream.getvalue() == ""


# On a terminal ------------------------------------------------------------------------------------


def test_a_terminal_is_redrawn_in_place(clock):
    stream = Terminal()
    line = LiveLine(stream)
    line.note("loading zoo/moe")
    assert "titrate: loading zoo/moe" in stream.screen()[0]
    line.update(counts(0))
    clock.seconds += 1
    line.update(counts(50))
    (shown,) = stream.screen()
    assert shown.startswith("titrate: 0/4 cases ")
    assert "50/200 requests, 60 tokens/s, " in shown
    clock.seconds += 1
    line.update(counts(100, cases_done=1))
    (shown,) = stream.screen()
    assert shown.startswith("titrate: 1/4 cases ")
    assert "100/200 requests" in shown


def test_a_terminal_is_not_redrawn_for_every_request(clock):
    stream = Terminal()
    line = LiveLine(stream)
    sizes = set()
    for step in range(100):
        clock.seconds = 100.0 + step / 100
        line.update(counts(step))
        sizes.add(stream.tell())
    assert len(sizes) <= 6


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "interrupted"])
def test_nothing_is_left_behind(clock, complete):
    stream = Terminal()
    line = LiveLine(stream)
    line.note("loading zoo/moe")
    line.update(counts(0))
    clock.seconds += 1
    line.update(counts(50))
    if complete:
        clock.seconds += 1
        line.update(counts(200, cases_done=4))
    line.close()
    line.close()
    assert stream.screen() == [""]


def test_closing_what_never_began_writes_nothing(clock):
    for stream in (io.StringIO(), Terminal()):
        LiveLine(stream).close()
        assert stream.getvalue() == ""


# Beside a test runner -----------------------------------------------------------------------------


@pytest.mark.parametrize("stream_class", [io.StringIO, Terminal])
def test_every_write_happens_while_the_stream_is_exposed(clock, stream_class):
    exposures = []

    class Guarded(stream_class):
        def write(self, text):
            assert exposures[-1:] == ["in"], "written while somebody else held the stream"
            return super().write(text)

    @contextmanager
    def exposed():
        exposures.append("in")
        yield
        exposures.append("out")

    line = LiveLine(Guarded(), exposed)
    line.note("loading zoo/moe")
    for done in (0, 50, 100):
        line.update(counts(done))
        clock.seconds += 11
    line.update(counts(200, cases_done=4))
    line.note("loading zoo/base")
    line.close()
    assert exposures.count("in") == exposures.count("out") >= 4


def test_a_line_begins_where_nothing_stands(clock):
    stream = io.StringIO()
    stream.write("....")
    LiveLine(stream, before_line=lambda: stream.write("\n")).note("loading zoo/moe")
    assert stream.getvalue() == "....\ntitrate: loading zoo/moe\n"
