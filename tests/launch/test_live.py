"""The live line on a log file and on a terminal, with a clock that is moved by hand."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.launch.live import LiveLine
from harness.resolve.progress import Counts
from tests.screen import screen


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def screen(self) -> list[str]:
        return screen(self.getvalue())


@pytest.fixture
def clock(monkeypatch):
    """Seconds since the start, moved by the test."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr("harness.launch.live.time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def counts(done: int, *, cases_done: int = 0) -> Counts:
    return Counts(
        cases_done=cases_done,
        cases_total=4,
        requests_done=done,
        requests_total=200,
        tokens=30 * done,
        seconds=0.5 * done,
        left=(200 - done) * 1.0 if done else None,
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
    assert at == [2, 12, 22, 32, 42, 52], "the first one comes soon"
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().splitlines()[1] == (
        "titrate: 0/4 cases, 12/200 requests, 360 tokens, 60 tokens/s, 3:08 left"
    )


def test_a_log_ends_with_a_line_about_everything(clock):
    stream = io.StringIO()
    line = LiveLine(stream)
    line.update(counts(0))
    clock.seconds += 1
    line.update(counts(100))
    assert stream.getvalue() == ""
    line.update(counts(200, cases_done=4))
    line.close()
    assert stream.getvalue() == "titrate: 4/4 cases, 200/200 requests, 6,000 tokens, 60 tokens/s\n"


def test_a_note_is_a_line_at_once(clock):
    stream = io.StringIO()
    LiveLine(stream).note("loading zoo/moe")
    assert stream.getvalue() == "titrate: loading zoo/moe\n"


def test_a_run_that_is_complete_at_once_has_no_speed_to_show(clock):
    stream = io.StringIO()
    LiveLine(stream).update(counts(0, cases_done=4))
    assert stream.getvalue() == "titrate: 4/4 cases, 0/200 requests\n"


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
    assert shown == "titrate: 0/4 cases, 50/200 requests, 1,500 tokens, 60 tokens/s, 2:30 left"
    clock.seconds += 1
    line.update(counts(100, cases_done=1))
    (shown,) = stream.screen()
    assert shown == "titrate: 1/4 cases, 100/200 requests, 3,000 tokens, 60 tokens/s, 1:40 left"


def test_a_terminal_is_not_redrawn_for_every_request(clock):
    stream = Terminal()
    line = LiveLine(stream)
    sizes = set()
    for step in range(100):
        clock.seconds = 100.0 + step / 100
        line.update(counts(step))
        sizes.add(stream.tell())
    assert len(sizes) <= 6


@given(
    columns=st.integers(20, 120),
    numbers=st.tuples(*[st.integers(0, 10**6)] * 4),
    left=st.none() | st.floats(0, 1e6),
)
def test_the_line_fits_the_terminal_whatever_its_width(columns, numbers, left):
    done, more, tokens, flying = numbers
    told = Counts(1, 4, done, 0, done + more, tokens, left=left, in_flight=flying, seconds=7.0)
    stream = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        ticks = iter([0.0, 1.0])
        patch.setattr("harness.launch.live.time", SimpleNamespace(monotonic=lambda: next(ticks)))
        line = LiveLine(stream)
        line.update(told)
        line.update(told)
    (shown,) = stream.screen()
    assert shown.startswith("titrate: 1/4 cases")
    assert len(shown) < columns
    if columns > 45 and more and left is not None:
        assert shown.endswith(" left"), "what one looks for goes last"


def test_a_note_that_does_not_fit_is_a_line_of_its_own(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    line = LiveLine(stream)
    line.note("loading zoo/moe")
    line.note("x" * 60)
    assert stream.screen() == [f"titrate: {'x' * 60}", ""]


def test_whoever_else_prints_does_so_on_a_line_of_its_own(clock, monkeypatch):
    stream = Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", stream)
    line = LiveLine(stream)
    with line.beside():
        line.note("loading zoo/moe")
        sys.stdout.write("a warning of another library\n")
        line.update(counts(0))
        clock.seconds += 1
        line.update(counts(50))
        sys.stderr.write("another\n")
    line.close()
    assert stream.screen() == ["a warning of another library", "another", ""]
    assert sys.stdout is sys.stderr is stream


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
