"""Work that a copy of this process does, while this one goes on with something else."""

from __future__ import annotations

import multiprocessing
import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def _send(work: Callable[[], object], sending: Connection) -> None:
    try:
        sending.send((work(), None, ""))
    except Exception as error:
        sending.send((None, error, traceback.format_exc()))
