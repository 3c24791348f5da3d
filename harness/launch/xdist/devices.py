"""An equal share of the accelerators that the caller may use, for each worker."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from harness.errors import TitrateError
from harness.runs.accelerators import VARIABLE


class WorkerSpec(Protocol):
    """What execnet keeps of a worker to be started: above all, its environment."""

    env: dict[str, str]


def check_enough(workers: int, devices: Sequence[str]) -> None:
    """Raise `TitrateError` when workers would have to share accelerators."""
    if devices and workers > len(devices):
        named = os.environ.get(VARIABLE)
        seen = "" if named is None else f" ({VARIABLE}={named})"
        count = len(devices)
        raise TitrateError(
            f"-n {workers}: {workers} workers, but {count} accelerator{'s' * (count != 1)} visible"
            f"{seen}; use -n {count} or -n auto, or hide them with {VARIABLE}= to run on the CPU"
        )


def share_out(devices: Sequence[str], workers: Sequence[WorkerSpec]) -> None:
    """Show each worker its own devices and no others; without devices, nothing is changed.

    Neighbouring ones, the same number for every worker, so that an engine may spread over them.
    The variable is in place before the worker's Python has imported anything of ours, and a worker
    that replaces a killed one is started from the same specification, so on the same device.
    """
    share = max(1, len(devices) // max(1, len(workers)))
    for number, worker in enumerate(workers):
        own = devices[number * share : (number + 1) * share]
        if own:
            worker.env[VARIABLE] = ",".join(own)
