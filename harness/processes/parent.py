"""A process that ends when the one that it works for is gone, however that one ended.

A kill notifies no other process: pipes close, and a process that is not reading one goes on. On
Linux the kernel wakes a thread that waits for the other process (a pidfd); elsewhere we poll it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress

import psutil

_LOOK = 0.2
"""Seconds between two looks where the kernel cannot wake us."""


def end_with(process: int) -> None:
    """From now on, end at once, with all own children, when the process of this id has ended.

    What was handed to the operating system is kept; nothing is cleaned up, as after a kill.
    """
    try:
        of = psutil.Process(process)  # by its start as well: ids are given again
    except psutil.NoSuchProcess:
        _end()
        return
    threading.Thread(target=_wait, args=(of,), name="titrate parent", daemon=True).start()


def _wait(process: psutil.Process) -> None:
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):  # a kernel before 5.3
            descriptor = os.pidfd_open(process.pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                select.select([descriptor], [], [])
            _end()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(_LOOK)
    _end()


def _end() -> None:
    with suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os._exit(1)
