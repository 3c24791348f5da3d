"""`engine.name: vllm`: stock vLLM, in processes of its own; imports nothing of it."""

from __future__ import annotations

from harness.spec.engine_kind import EngineKind

ENGINE = EngineKind(
    "vllm",
    "stock vLLM with a plugin, in an installation of its own (docs/vllm.md)",
    settings=frozenset(
        {
            "dtype",
            "slots",
            "columns",
            "tensor_parallel_size",
            "pipeline_parallel_size",
            "distributed_executor",
            "separate_process",
            "gpu_memory_utilization",
            "max_num_batched_tokens",
            "enforce_eager",
            "model_runner",
            "speculation",
        }
    ),
    mechanisms=frozenset(
        {
            "router_logits",
            "residual",
            "hidden_states",
            "next_token_logits",
            "policy",
            "guidance",
            "adapted_weights",
        }
    ),
    partial=frozenset({"adapted_weights"}),
    captures=frozenset({"router_logits", "hidden"}),
    open="harness.engines.vllm.engine:VllmEngine",
    check="harness.engines.vllm.availability:check_machine",
    fits="harness.engines.vllm.fitting:check_experiment",
    unfit="harness.engines.vllm.fitting:unfit",
)
