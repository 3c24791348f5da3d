"""Reports in one line that a process of vLLM died while a caller waits for it.

vLLM (0.32, `v1/engine/core_client.py`) notices that its engine's process has ended, and leaves
those who wait for an answer of it waiting for ever. An out-of-memory kill ends it so. While it
starts, that process puts an interrupt off until it has started, and vLLM waits for it; an interrupt
that reaches our process inside a destructor or an import is lost to Python altogether.
"""

from __future__ import annotations

import re
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import psutil

from harness.errors import ModelError

_LOOK = 0.5
"""Seconds between two looks at whether the process lives."""


def watch(client: Any) -> None:
    """Wake the callers that wait for an answer when the process that owes it has died."""
    if hasattr(client, "outputs_queue"):  # only a client of another process has one
        threading.Thread(target=_watch, args=(weakref.ref(client),), daemon=True).start()


@contextmanager
def told() -> Iterator[None]:
    """Raise `ModelError` where vLLM finds its process dead."""
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except EngineDeadError as error:
        raise ModelError(
            "vLLM's process ended in the middle of the work, killed or out of memory; finished "
            "completions are stored: lower engine.slots if memory is short, and run again"
        ) from error


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt end a start at once, and the processes that were started meanwhile with it.

    It is raised as `KeyboardInterrupt` when the block ends, whatever became of it inside: vLLM
    drops one at some points, and then waits up to ten minutes for a process that is dead. So it is
    raised again until the block ends. Only the main thread is interrupted; where interrupts
    are ignored, or handled in C, this does nothing.
    """
    handle = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handle):
        yield
        return
    before = _started_processes()
    interrupted, over = threading.Event(), threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if over.is_set():
            return  # raised below
        if not interrupted.is_set():
            interrupted.set()
            threading.Thread(target=_interrupt_until, args=(over,), daemon=True).start()
        for process in _started_processes() - before:
            with suppress(psutil.Error):
                process.kill()  # nothing is lost: it has not begun to work
        handle(number, frame)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    except Exception as error:
        if interrupted.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        over.set()
        signal.signal(signal.SIGINT, handle)
    if interrupted.is_set():
        raise KeyboardInterrupt


def _interrupt_until(over: threading.Event) -> None:
    main = threading.main_thread().ident
    assert main is not None
    while not over.wait(_LOOK):
        signal.pthread_kill(main, signal.SIGINT)  # also wakes it where it waits in C


def cause_of_end(message: str) -> str | None:
    """Why a process ended while it started, by vLLM's account of it; None for another message.

    vLLM refers to the traceback that the process printed. One that was killed has printed none.
    """
    if not re.search(r"See (root cause above|stack trace for root cause)", message):
        return None
    codes = re.search(r"Failed core proc\(s\): \{[^}]*: (-?\d+)", message)
    number = -int(codes[1]) if codes else 0
    if number == signal.SIGKILL:
        why = "was killed (SIGKILL), by the system where memory is short"
    elif number in set(signal.Signals):
        why = f"ended by {signal.Signals(number).name}"
    else:
        why = (
            f"ended with exit status {codes[1]}"
            if codes
            else "ended without a word, or was killed,"
        )
    return f"its process {why} while it started; if memory is short, lower engine.slots or columns"


def _started_processes() -> set[psutil.Process]:
    """This process's descendants, without the helper that outlives the process it serves."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "resource_tracker" not in " ".join(process.cmdline()):
                found.add(process)
    return found


def _watch(reference: weakref.ref[Any]) -> None:
    from vllm.v1.engine.exceptions import EngineDeadError

    while (client := reference()) is not None:
        if client.resources.engine_dead:
            client.outputs_queue.put_nowait(EngineDeadError())
            for future in list(client.utility_results.values()):
                if not future.done():
                    future.set_exception(EngineDeadError())
            return
        del client
        time.sleep(_LOOK)  # vLLM has no callback for this
