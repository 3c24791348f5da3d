"""Which NVIDIA accelerators this process may use, found without importing torch.

A controller of workers must not touch an accelerator: importing torch is slow, and a CUDA context
costs memory on a device that a worker will want. So the caller's CUDA_VISIBLE_DEVICES is read as
the CUDA driver reads it, and the machine's devices are counted by `nvidia-smi -L` or /proc.
Devices of other makers are not counted: torch finds them, but workers do not share them out.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"

_LISTED = re.compile(r"^GPU \d+: .*\(UUID: (?P<uuid>GPU-[0-9a-f-]+)\)", re.MULTILINE)
_DRIVER = Path("/proc/driver/nvidia/gpus")


def visible(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The devices as one would name them in CUDA_VISIBLE_DEVICES, in the caller's order."""
    named = environment.get(VARIABLE)
    if named is not None and not named.strip():
        return ()
    return choose(named, installed())


def choose(named: str | None, uuids: tuple[str, ...]) -> tuple[str, ...]:
    """What a value of CUDA_VISIBLE_DEVICES selects from a machine's devices; None selects all.

    As the CUDA programming guide has it (environment variables): indices or UUIDs, which may be cut
    short where that is unambiguous; what follows the first entry that names no device is ignored,
    and a device that is named twice makes none visible. MIG instances are taken as they are named.
    """
    if not uuids:
        return ()
    if named is None:
        return tuple(str(index) for index in range(len(uuids)))
    chosen: list[str] = []
    devices: list[str] = []
    for entry in (part.strip() for part in named.split(",")):
        device = _device(entry, uuids)
        if device is None:
            break
        chosen.append(entry)
        devices.append(device)
    return tuple(chosen) if len(set(devices)) == len(devices) else ()


def _device(entry: str, uuids: tuple[str, ...]) -> str | None:
    """Which device an entry names; None for one that names none."""
    if entry.startswith("MIG-"):
        return entry
    if entry.isdecimal():
        return uuids[int(entry)] if int(entry) < len(uuids) else None
    matching = [uuid for uuid in uuids if entry.startswith("GPU-") and uuid.startswith(entry)]
    return matching[0] if len(matching) == 1 else None


def installed() -> tuple[str, ...]:
    """UUIDs of the machine's devices, in the order of their indices; empty without a driver."""
    try:
        listing = subprocess.run(
            ["nvidia-smi", "-L"],  # noqa: S607 - the one of the driver in use
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return _of_the_driver()
    return tuple(_LISTED.findall(listing))


def _of_the_driver(folder: Path = _DRIVER) -> tuple[str, ...]:
    """The same from /proc, where containers often lack nvidia-smi."""
    uuids = []
    for information in sorted(folder.glob("*/information")):
        found = re.search(r"^GPU UUID:\s*(GPU-\S+)", information.read_text(), re.MULTILINE)
        uuids.append(found[1] if found else f"GPU-{information.parent.name}")
    return tuple(uuids)
