"""Work that a copy of this process does, while this one goes on with something else.

`beside` gives the copy something to do. Pieces of work that either may do are shared out by
`Tickets`: whoever has time takes the next one.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeVar

Value = TypeVar("Value")


def cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@contextmanager
def beside(work: Callable[[], Value], *, forked: bool) -> Iterator[Callable[[], Value]]:
    """Do `work` while the block runs; what is yielded waits for what it returned.

    The copy sees all that is in memory at that moment, which nothing has to be handed to it for.
    It must not touch devices, nor wait for other threads: it has none of them.

    Args:
        work: What to do; its value is pickled.
        forked: Whether a copy of this process does it; otherwise it is done when it is waited for.
    """
    if not forked:
        yield work
        return
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    copy = context.Process(target=_send, args=(work, sending), daemon=True)
    with warnings.catch_warnings():
        # Later Pythons warn where there are threads, whose locks nobody would open in a copy.
        warnings.simplefilter("ignore", DeprecationWarning)
        copy.start()
    sending.close()

    def result() -> Value:
        try:
            value, error, where = receiving.recv()
        except EOFError as ended:
            copy.join()
            raise ChildProcessError(f"a process died with status {copy.exitcode}") from ended
        if error is not None:
            error.add_note(where)
            raise error
        found: Value = value
        return found

    try:
        yield result
    finally:
        receiving.close()
        copy.kill()  # of one that has ended this does nothing
        copy.join()
        copy.close()


class Tickets:
    """The right to do one more of so many pieces of work, for this process and a copy of it.

    The copy takes pieces from the front and this process from the back, until they meet: each
    piece is done once, by whoever comes to it first, and what either does is in an order. The first
    piece is the copy's.

    Args:
        count: How many pieces there are, a few hundred at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        # A byte is a ticket: reading one takes it from all who read, without any lock.
        self._taking, giving = os.pipe()
        try:
            os.write(giving, bytes(max(count - 1, 0)))
        finally:
            os.close(giving)

    def front(self) -> Iterator[int]:
        """Numbers of pieces from the first one on, as long as there are tickets."""
        for number in range(self._count):
            if number and not os.read(self._taking, 1):
                return
            yield number

    def back(self) -> Iterator[int]:
        """The same from the last one down."""
        for number in range(self._count - 1, 0, -1):
            if not os.read(self._taking, 1):
                return
            yield number

    def close(self) -> None:
        """Leave what is left."""
        os.close(self._taking)


def shared(jobs: Sequence[Callable[[], Value]], *, forked: bool) -> list[Value]:
    """Do jobs, and return what they return, in their order.

    Args:
        jobs: What to do, in any order; values that come from a copy are pickled.
        forked: Whether a copy of this process does some of them.
    """
    if not forked or len(jobs) < 2:
        return [job() for job in jobs]
    tickets = Tickets(len(jobs))
    try:
        with beside(partial(_done, jobs, tickets.front()), forked=True) as others:
            found = {**_done(jobs, tickets.back()), **others()}
    finally:
        tickets.close()
    return [found[number] for number in range(len(jobs))]


def _done(jobs: Sequence[Callable[[], Value]], numbers: Iterator[int]) -> Mapping[int, Value]:
    return {number: jobs[number]() for number in numbers}


def _send(work: Callable[[], object], sending: Connection) -> None:
    gc.freeze()  # what was there before is not looked through for cycles, which would copy it
    try:
        sending.send((work(), None, ""))
    except Exception as error:
        sending.send((None, error, traceback.format_exc()))
