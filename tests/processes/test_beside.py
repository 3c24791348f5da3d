"""Work in a copy of this process: its value, its errors, and its death."""

from __future__ import annotations

import os
import signal
from functools import partial
from itertools import zip_longest

import pytest

from harness.processes.beside import Tickets, beside, cores, shared


@pytest.mark.parametrize("forked", [True, False])
def test_its_value_comes_back(forked: bool) -> None:
    known = {"this": list(range(1000))}
    with beside(lambda: (os.getpid() != own, known), forked=forked) as result:
        assert result() == (forked, known)


own = os.getpid()


@pytest.mark.parametrize("forked", [True, False])
def test_its_error_is_raised_where_it_is_waited_for(forked: bool) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    with (
        beside(full, forked=forked) as result,
        pytest.raises(OSError, match="No space left on device"),
    ):
        result()


def test_a_copy_that_is_killed_is_an_error() -> None:
    with (
        beside(lambda: os.kill(os.getpid(), signal.SIGKILL), forked=True) as result,
        pytest.raises(ChildProcessError, match="status -9"),
    ):
        result()


def test_what_nobody_waits_for_ends_with_the_block() -> None:
    with pytest.raises(KeyError), beside(signal.pause, forked=True):
        raise KeyError
    assert cores() >= 1


@pytest.mark.parametrize("forked", [True, False])
def test_shared_jobs_are_done_once_each_and_come_back_in_order(forked: bool, tmp_path) -> None:
    def job(number: int) -> tuple[int, bool]:
        (tmp_path / str(number)).touch(exist_ok=False)
        return number, os.getpid() == own

    done = shared([partial(job, number) for number in range(100)], forked=forked)
    assert [number for number, _ in done] == list(range(100))
    assert done[0][1] is not forked


def test_an_error_of_a_shared_job_is_raised_wherever_it_was_done() -> None:
    def job(number: int) -> None:
        if number == at:
            raise ZeroDivisionError(number)

    for at in (0, 9):  # the first is the copy's
        with pytest.raises(ZeroDivisionError, match=str(at)):
            shared([partial(job, number) for number in range(10)], forked=True)


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_tickets_are_for_pieces_from_both_ends_until_they_meet(count: int) -> None:
    tickets = Tickets(count)
    front, back = tickets.front(), tickets.back()
    taken = [number for pair in zip_longest(front, back) for number in pair if number is not None]
    tickets.close()
    assert sorted(taken) == list(range(count))
    assert taken[::2] == sorted(taken[::2])
