"""PEFT's files of a LoRA adapter: what they say they are, and their factors.

- adapter_config.json says rank and alpha, of all modules or by patterns of their names.
- adapter_model.safetensors holds `base_model.model.MODULE.lora_A.weight` [K, I] and
  `...lora_B.weight` [O, K], which are added as alpha / K (with rslora alpha / sqrt(K)) times B A.

What would have to be applied otherwise (DoRA, biases, whole modules, experts' parameters) is
refused by its name: a part of an adapter is another adapter.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import FieldError
from harness.interventions.adapted_weights import Factors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
_FIELD = "intervention.path"
#: What an adapter may have beside its factors; each, where it is set, needs code of its own.
_OTHERS = (
    "use_dora",
    "use_qalora",
    "lora_bias",
    "modules_to_save",
    "target_parameters",
    "trainable_token_indices",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
)
#: Ways to begin a fine-tune that change the base's own weights.
_CHANGED_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True)
class Described:
    """What an adapter's files say, without its numbers."""

    base: str | None
    """The model that it was trained on, as PEFT noted it."""
    scalings: Mapping[str, float]
    """What B A is multiplied by at scale 1, of each module."""
    shapes: Mapping[str, tuple[int, int]]
    """Inputs and outputs of each module."""
    content: str
    """Hash of all numbers, and of what they are multiplied by."""

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that have factors."""
        return tuple(self.scalings)


def described(folder: Path) -> Described:
    """What the files in a folder say. Raises `FieldError` for what is no LoRA, or not only that."""
    files = folder / CONFIG, folder / WEIGHTS
    for file in files:
        if not file.is_file():
            pickled = (folder / WEIGHTS).with_suffix(".bin").is_file() and file == files[1]
            remedy = (
                "its adapter_model.bin is a pickle, which is never read; save it with safetensors"
                if pickled
                else "give a folder that PEFT's save_pretrained wrote"
            )
            raise FieldError(_FIELD, f"{folder} holds no {file.name}; {remedy}")
    stats = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return _described(folder, tuple(stats))


@lru_cache(maxsize=256)
def _described(folder: Path, _stats: Any) -> Described:
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FieldError(_FIELD, f"{folder}/{CONFIG} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise FieldError(_FIELD, f"{folder}/{CONFIG} cannot be read: it is not a JSON object")
    _check_config(folder, config)
    try:
        with safe_open(folder / WEIGHTS, framework="np") as file:
            held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - a method of the file
    except (OSError, SafetensorError) as error:
        raise FieldError(_FIELD, f"{folder}/{WEIGHTS} cannot be read: {error}") from error
    shapes, ranks = _shapes(folder, held)
    scalings = {module: _scaling(folder, config, module, rank) for module, rank in ranks.items()}
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes())
    digest.update(json.dumps(scalings, sort_keys=True).encode())
    base = config.get("base_model_name_or_path")
    return Described(base or None, scalings, shapes, digest.hexdigest())


@lru_cache(maxsize=16)
def factors(folder: str, content: str) -> Mapping[str, Factors]:
    """The factors of every module, B times its scaling, in float32.

    Raises `FieldError` where the files no longer have the content that was described.
    """
    from safetensors.torch import load_file

    said = described(Path(folder))
    if said.content != content:
        raise FieldError(
            _FIELD, f"{folder} was written anew since its adapter was described; run it once more"
        )
    held = load_file(Path(folder) / WEIGHTS)
    return {
        module: Factors(
            held[f"{_PREFIX}{module}{_A}"].float(),
            held[f"{_PREFIX}{module}{_B}"].float() * said.scalings[module],
        )
        for module in said.modules
    }


def _check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse what is more than products of two matrices."""
    kind = config.get("peft_type")
    if kind != "LORA":
        raise FieldError(_FIELD, f"{folder} is an adapter of type {kind}; only LORA is applied")
    other = next((name for name in _OTHERS if config.get(name)), None)
    if other is None and config.get("bias", "none") != "none":
        other = "bias"
    if other is not None:
        raise FieldError(
            _FIELD,
            f"{folder} has {other}: {json.dumps(config[other])[:60]}, which is not applied; train "
            "it without, or merge it into its base and give the result as model",
        )
    begun = str(config.get("init_lora_weights", True)).lower()
    if begun.startswith(_CHANGED_BASES):
        raise FieldError(
            _FIELD,
            f"{folder} began as {begun}, which changes the base's own weights; convert it to a "
            "plain LoRA when it is saved",
        )


def _shapes(
    folder: Path, held: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    """Inputs and outputs, and the rank, of every module of a file."""
    shapes, ranks = {}, {}
    pairs = {name for name in held if name.startswith(_PREFIX) and name.endswith((_A, _B))}
    stranger = min(held.keys() - pairs, default=None)
    if stranger is not None:
        raise FieldError(
            _FIELD,
            f"{folder} holds {stranger}, which is no factor of a linear module (lora_A, lora_B); "
            "train it without",
        )
    for module in sorted({name[len(_PREFIX) : -len(_A)] for name in pairs}):
        a, b = (held.get(f"{_PREFIX}{module}{part}") for part in (_A, _B))
        if a is None or b is None:
            lacking = "lora_A" if a is None else "lora_B"
            raise FieldError(_FIELD, f"{folder} holds no {lacking} of {module}; save it again")
        if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
            raise FieldError(
                _FIELD,
                f"{folder}: {module} has lora_A of shape {list(a)} and lora_B of {list(b)}, whose "
                "ranks differ; save it again",
            )
        shapes[module], ranks[module] = (a[1], b[0]), a[0]
    if not shapes:
        raise FieldError(_FIELD, f"{folder} holds no factors; save a trained adapter")
    return shapes, ranks


def _scaling(folder: Path, config: Mapping[str, Any], module: str, rank: int) -> float:
    """What B A of a module is multiplied by, by the rank that the configuration gives it."""
    said = _patterned(config.get("rank_pattern"), module, config.get("r"))
    alpha = _patterned(config.get("alpha_pattern"), module, config.get("lora_alpha"))
    if said != rank:
        raise FieldError(
            _FIELD,
            f"{folder}: {module} has rank {rank} in {WEIGHTS}, but {CONFIG} says {said}; they are "
            "of different adapters",
        )
    if not isinstance(alpha, int | float):
        raise FieldError(_FIELD, f"{folder}/{CONFIG} says lora_alpha {alpha!r}; write a number")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _patterned(patterns: Mapping[str, Any] | None, module: str, usual: Any) -> Any:
    """The value of the first pattern that a module's name ends with, as PEFT finds it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return usual
