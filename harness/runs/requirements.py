"""Whether this machine can run a case at all; the answer is a reason to skip, by name."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from harness.files import hub
from harness.interventions.kind import kind_of
from harness.models import zoo
from harness.spec import Experiment, Requirements
from harness.tasks.lm_eval import catalogue

_GIB = 2**30
#: Without one of these of a driver's there is no accelerator, and no torch is needed to tell:
#: NVIDIA's, also on Jetson, AMD's, and the one of Windows' subsystem.
_DEV = Path("/dev")
_DEVICES = ("nvidia*", "nvmap", "kfd", "dxg")


def unmet(experiment: Experiment) -> str | None:
    """Why the experiment cannot run here, or None."""
    needs = experiment.requires
    return (
        _no_package(experiment)
        or _nothing_named(experiment)
        or _too_little_memory(needs)
        or _no_network(needs)
    )


def _no_package(experiment: Experiment) -> str | None:
    for model in filter(None, (experiment.model, experiment.reference)):
        if (reason := zoo.lacking(model)) is not None:
            return f"{reason} ({model})"
    # What is collected beside a selected bench must not fail it for want of an optional package.
    return catalogue.lacking() if experiment.task.lm_eval is not None else None


def _nothing_named(experiment: Experiment) -> str | None:
    """What an intervention names and is not here, such as a variant that was not made."""
    settings = experiment.intervention
    return None if settings is None else kind_of(settings.kind).lacks(settings)


def _too_little_memory(needs: Requirements) -> str | None:
    if needs.gpu_memory_gib is None:
        return None
    have = _largest_accelerator_gib()
    if have >= needs.gpu_memory_gib:
        return None
    found = f"the largest here has {have:.0f}" if have else "none is visible here"
    return f"requires an accelerator with {needs.gpu_memory_gib:g} GiB; {found}"


def _no_network(needs: Requirements) -> str | None:
    if not needs.network or hub.answers():
        return None
    return "requires the Hugging Face hub; it cannot be reached from here"


@cache
def _largest_accelerator_gib() -> float:
    if sys.platform == "linux" and not any(next(_DEV.glob(name), None) for name in _DEVICES):
        return 0.0
    import torch

    sizes = [
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    ]
    return max(sizes, default=0) / _GIB
