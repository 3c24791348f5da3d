"""Starts of an engine of another process: one is interrupted, one is killed; prints what is told.

Both as soon as the process is there, when it has not begun to answer.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import psutil

from harness.engines.vllm.engine import VllmEngine
from harness.errors import ModelError
from harness.spec import EngineSettings


def _children() -> list[psutil.Process]:
    """The processes of the engine; a helper of Python's lives on."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "resource_tracker" not in _command(child)]


def _command(process: psutil.Process) -> str:
    """What a process runs; nothing of one that has just ended, as vLLM's questions to git do."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _when_there(end: Callable[[psutil.Process], None]) -> None:
    def watch() -> None:
        while not (found := [each for each in _children() if "spawn" in _command(each)]):
            time.sleep(0.01)
        end(found[0])

    threading.Thread(target=watch).start()


def _started() -> str:
    try:
        VllmEngine("zoo/moe", EngineSettings(name="vllm", slots=2, separate_process=True))
    except KeyboardInterrupt:
        _, left = psutil.wait_procs(_children(), timeout=60)  # killed ones may be on their way out
        return f"interrupted, {len(left)} processes left"
    except ModelError as error:
        return str(error)
    return "started"


def main() -> None:
    _when_there(lambda _: os.kill(os.getpid(), signal.SIGINT))
    print(_started(), flush=True)
    _when_there(lambda process: process.kill())
    print(_started(), flush=True)


if __name__ == "__main__":
    main()
