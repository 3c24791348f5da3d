"""A process of vLLM that dies while somebody waits for it: told in one line, and told at all.

vLLM (0.32, `v1/engine/core_client.py`) notices that its engine's process has ended, and leaves
those who wait for an answer of it waiting for ever. An out-of-memory kill ends it so.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.errors import ModelError

_LOOK = 0.5
"""Seconds between two looks at whether the process lives."""


def watch(client: Any) -> None:
    """Wake whoever waits for an answer when the process that owes it has died."""
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
        time.sleep(_LOOK)  # vLLM calls nobody back
