"""Starts vLLM with the settings of a spec: what is refused first, then its engine.

The process that calls this gives up a little: vLLM seeds the global random number generators and
fixes torch's number of threads when it runs in process.
"""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

import psutil
import torch
import torch._dynamo
from pydantic import ValidationError

from harness.engines.vllm import deaths
from harness.engines.vllm.availability import (
    built_for_cpu,
    check_machine,
    cores,
    installed_version,
    is_eager,
)
from harness.engines.vllm.child_output import ChildOutput, root_cause
from harness.engines.vllm.conditions import Conditions
from harness.engines.vllm.facts import ModelFacts
from harness.engines.vllm.worker.heads import padded_size
from harness.errors import FieldError, ModelError
from harness.spec.experiment import EngineSettings

#: Sequences at once, unless a spec says otherwise: on a CPU more no longer raise throughput.
SEQUENCES = {"cpu": 64, "gpu": 256}
# Adapters that run in one batch of vLLM's; requests of more wait for a place.
_ADAPTERS = 8
# Share of the free memory that the cache of keys and values may take on a CPU.
_CACHE_SHARE = 0.25
# Tokens in a block of the cache on a CPU, of which vLLM keeps one block for itself.
_BLOCK = 128
_COMPILE, _BIND = "TORCH_COMPILE_DISABLE", "VLLM_CPU_OMP_THREADS_BIND"
# A user's own, before engines of this process set what each of them needs.
_GIVEN = {name: os.environ.get(name) for name in (_COMPILE, _BIND)}
# vLLM's own variable; at this level, unless a user asks for more, its tracebacks are left out too.
_LEVEL, _QUIET = "VLLM_LOGGING_LEVEL", "ERROR"
# What vLLM is told of each method. A suffix's own frequency decides how many tokens it proposes.
_SPECULATION = {
    "ngram": {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4},
    "suffix": {"method": "suffix"},
}
_EXTENSION = "harness.engines.vllm.worker.extension.WorkerExtension"


def device_name() -> str:
    """What vLLM runs on."""
    from vllm.platforms import current_platform

    return "cpu" if built_for_cpu() else str(current_platform.get_device_name())


def sequences(settings: EngineSettings) -> int:
    """Sequences that run at once."""
    return settings.slots or SEQUENCES["cpu" if built_for_cpu() else "gpu"]


def dtype_of(settings: EngineSettings) -> str:
    """The type that vLLM is asked to compute in; half types are slow on a CPU."""
    if settings.dtype == "auto":
        return "float32" if built_for_cpu() else "auto"
    return settings.dtype


def start(facts: ModelFacts, settings: EngineSettings, conditions: Conditions) -> Any:
    """A running `LLMEngine`. Raises `ModelError` where there cannot be one."""
    with warnings.catch_warnings():
        # Of its own dependencies' deprecations, which a user of ours can do nothing about.
        warnings.simplefilter("ignore")
        return _started(facts, settings, conditions)


def described(engine: Any, settings: EngineSettings, facts: ModelFacts) -> dict[str, str]:
    """What may change a running engine's numbers, by name, for the report."""
    config = engine.vllm_config
    parallel = config.parallel_config
    return {
        "engine": "vllm",
        "policy": "fast",
        "device": device_name(),
        "dtype": str(config.model_config.dtype).removeprefix("torch."),
        "forward": "eager" if is_eager(settings) else "compiled",
        "parallel": f"{parallel.tensor_parallel_size} x {parallel.pipeline_parallel_size}",
        "model runner": settings.model_runner or "v1",
        "speculation": settings.speculation or "off",
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "titrate": version("pytest-titrate"),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "vllm": str(installed_version()),
        **({"quantisation": f"{facts.quantisation}, dequantised"} if facts.quantisation else {}),
    }


def _started(facts: ModelFacts, settings: EngineSettings, conditions: Conditions) -> Any:
    from vllm import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    from harness.engines.vllm.worker import plugin

    plugin.register()
    several = bool(settings.separate_process) or _workers(settings) > 1
    output = ChildOutput() if several and os.environ[_LEVEL].upper() == _QUIET else None
    try:
        with output or nullcontext(), deaths.interruptible():
            return LLMEngine.from_engine_args(EngineArgs(**_arguments(facts, settings, conditions)))
    except Exception as error:  # whatever a model's code or a kernel finds wrong
        found = root_cause(output.kept) if output is not None else None
        why = _worded(*found) if found else first_line(error)
        why = deaths.cause_of_end(why) or why
        if output is not None:
            why += f"; set {_LEVEL}=INFO to see all that vLLM's processes say"
        raise ModelError(f"model {facts.reference!r} cannot be started in vLLM: {why}") from error


def _arguments(
    facts: ModelFacts, settings: EngineSettings, conditions: Conditions
) -> dict[str, Any]:
    """The settings of vLLM, from those of a spec."""
    columns = facts.columns(settings.columns)
    # What an eager model is to learn, its workers are told when they can answer.
    known = Conditions(conditions.rows) if is_eager(settings) else conditions
    arguments: dict[str, Any] = {
        "model": str(facts.folder),
        "skip_tokenizer_init": True,  # token ids in, token ids out
        "dtype": dtype_of(settings),
        "seed": 0,
        "max_model_len": columns,
        "max_num_seqs": sequences(settings),
        "max_num_batched_tokens": settings.max_num_batched_tokens or max(2048, columns),
        "enforce_eager": is_eager(settings),
        "tensor_parallel_size": settings.tensor_parallel_size or 1,
        "pipeline_parallel_size": settings.pipeline_parallel_size or 1,
        "distributed_executor_backend": settings.distributed_executor,
        "enable_prefix_caching": True,
        "async_scheduling": False,  # a drawn token's place is known from the tokens before it
        "max_logprobs": -1,
        "generation_config": "vllm",  # the checkpoint's sampling defaults are not the spec's
        "disable_log_stats": True,
        "worker_extension_cls": _EXTENSION,
        "additional_config": {
            "titrate": {
                "rows": conditions.rows,
                "declared": known.declared.to_json(),
                "routers": conditions.declared.masks or conditions.declared.router_logits,
                "columns": [list(column) for column in known.columns],
            }
        },
    }
    if conditions.declared.adapters:
        arguments |= {
            "enable_lora": True,
            "max_loras": _ADAPTERS,
            "max_lora_rank": _rank(conditions.declared.adapters),
            # Not the head, which it reads for an adapter of its own, and prompts' scores with it.
            "lora_target_modules": sorted(conditions.declared.adapted),
        }
    if built_for_cpu():
        arguments["kv_cache_memory_bytes"] = _cache_bytes(facts, columns, sequences(settings))
    elif settings.gpu_memory_utilization is not None:
        arguments["gpu_memory_utilization"] = settings.gpu_memory_utilization
    if settings.speculation is not None:
        arguments["speculative_config"] = _SPECULATION[settings.speculation]
    else:
        version = "v2" if settings.model_runner == "v2" else "v1"
        processor = f"harness.engines.vllm.processors_{version}:SamplingProcessor{version.upper()}"
        arguments["logits_processors"] = [processor]
    return arguments


def _rank(needed: int) -> int:
    """The smallest rank that vLLM makes room for and that is enough.

    Raises `ModelError` where none is.
    """
    from typing import get_args

    from vllm.config.lora import MaxLoRARanks

    enough = [rank for rank in get_args(MaxLoRARanks) if rank >= needed]
    if not enough:
        raise ModelError(
            f"an adapter of rank {needed} is more than vLLM has room for, "
            f"{max(get_args(MaxLoRARanks))}; use engine.name: transformers"
        )
    return int(min(enough))


def prepare(settings: EngineSettings) -> None:
    """Set what vLLM reads from the environment, also in the processes that it starts; import it.

    Raises `FieldError` where it is missing, is a version that was not tested, or cannot have these
    settings here.
    """
    check_machine(settings)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = str(int(bool(settings.separate_process)))
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = str(int(settings.model_runner == "v2"))
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    level = os.environ.setdefault(_LEVEL, _QUIET)
    # vLLM itself heeds it only when an engine is made.
    logging.getLogger("vllm").setLevel(level.upper())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _check_runner(settings)
    cpu, workers = built_for_cpu(), _workers(settings)
    # Without being told, vLLM wants a node of memory for each of its workers.
    shares = (cores()[worker::workers] for worker in range(workers))
    bound = "|".join(",".join(map(str, share)) for share in shares)
    _set(_BIND, bound if cpu and workers > 1 else None)
    if cpu:
        # Its samplers are compiled even in eager mode, for 2 to 17 s; on a CPU for nothing. The
        # variable is for processes to come, the setting for this one, which has read it already.
        # The engine before this one may have been of the other kind.
        _set(_COMPILE, "1" if is_eager(settings) else None)
        disabled = os.environ.get(_COMPILE) == "1"
        torch._dynamo.config.disable = disabled  # noqa: SLF001 - torch's documented place for it


def _set(name: str, own: str | None) -> None:
    """Set a variable for the engine that is about to start, unless a user has."""
    value = own if _GIVEN[name] is None else _GIVEN[name]
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def _workers(settings: EngineSettings) -> int:
    return (settings.tensor_parallel_size or 1) * (settings.pipeline_parallel_size or 1)


def _check_runner(settings: EngineSettings) -> None:
    from vllm.triton_utils import HAS_TRITON

    if settings.model_runner == "v2" and not HAS_TRITON:
        raise FieldError(
            "engine.model_runner",
            f"v2 needs Triton, which this vLLM does not use on {device_name()}; leave it out",
        )


def _cache_bytes(facts: ModelFacts, columns: int, slots: int) -> int:
    """What the cache may need at most, and no more than a share of the memory that is free."""
    text = facts.config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    # 4 bytes of float32
    per_token = 2 * 4 * text.num_hidden_layers * heads * padded_size(width)
    blocks = 1 + slots * -(-columns // _BLOCK)
    needed = int(per_token * _BLOCK * blocks)
    free = int(psutil.virtual_memory().available * _CACHE_SHARE)
    return max(1, min(free, needed))


def first_line(error: Exception) -> str:
    """An exception in one line: its message, after its type where that says something."""
    if isinstance(error, ValidationError):  # whose own first line only counts the problems
        message = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        return message.splitlines()[0]
    lines = [line for line in str(error).splitlines() if line.strip()]
    first = lines[0].strip() if lines else ""
    plain = isinstance(error, ValueError | RuntimeError | ModelError)
    return first if plain else _worded(type(error).__name__, first)


def _worded(kind: str, message: str) -> str:
    """An exception by its type, where that says something, and its message."""
    says_nothing = kind in {"ValueError", "RuntimeError", "ModelError", "Exception"}
    return message if says_nothing and message else f"{kind} {message}".strip()
