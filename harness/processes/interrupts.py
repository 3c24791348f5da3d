"""Ctrl-C where something is being written that should be there whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def go_on(*, fresh: bool) -> str:
    """What an interrupted run prints behind the place of its report: how to go on."""
    command = "the same command, but not fresh," if fresh else "the same command"
    return f"{command} goes on: what is stored is not made again"


class Held:
    """Whether there was an interrupt that waits until the block is over."""

    interrupted = False


@contextmanager
def held() -> Iterator[Held]:
    """Let the first Ctrl-C wait until the block has ended; the second one is a KeyboardInterrupt.

    Outside the main thread, which alone is told of signals, this does nothing.
    """
    waiting = Held()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield waiting
        return

    def hold(_number: int, _frame: FrameType | None) -> None:
        waiting.interrupted = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, hold)
    try:
        yield waiting
    finally:
        signal.signal(signal.SIGINT, before)
