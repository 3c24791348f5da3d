"""Work in a copy of this process: its value, its errors, and its death."""

from __future__ import annotations

import os
import signal

import pytest

from harness.processes.beside import beside, cores


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
