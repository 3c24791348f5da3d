"""What a run was made with: versions, hardware and the state of the working tree."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import psutil

from harness.runs.accelerators import VARIABLE

_DISTRIBUTIONS = ("pytest-titrate", "torch", "transformers", "tokenizers", "numpy", "pytest")
_GIB = 2**30
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere


def versions() -> dict[str, str]:
    """Version by distribution, and Python's."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware() -> dict[str, str | int | float | list[str] | None]:
    """Processor, cores that this process may use, memory, and the accelerators it can see.

    `devices` is what CUDA_VISIBLE_DEVICES says they are, None where it is not set.
    """
    import torch

    accelerators = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "torch_threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / _GIB, 1),
        "accelerators": accelerators,
        "devices": os.environ.get(VARIABLE),
    }


def peak_memory_gib() -> dict[str, float]:
    """The most memory that this process has had resident, and allocated on each accelerator."""
    held = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT}
    if "torch" in sys.modules:  # else nothing is on a device
        import torch

        for index in range(torch.cuda.device_count()):
            held[f"cuda:{index}"] = torch.cuda.max_memory_allocated(index)
    return {name: round(size / _GIB, 2) for name, size in held.items() if size}


def git_state() -> tuple[str, bool] | None:
    """Commit of the working tree, and whether anything is changed or new; None outside of one."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return commit, bool(_git("status", "--porcelain"))


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
