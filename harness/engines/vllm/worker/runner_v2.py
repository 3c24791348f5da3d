"""Adapter to vLLM's V2 model runner, which asks a model's state for inputs before every pass.

That runner's own kernels are Triton's; tests run it on a CPU in Triton's interpreter. A step whose
layout was not seen raises (`ModelInterventions.ended`), rather than passing for one in which
interventions did nothing.
"""

from __future__ import annotations

from typing import Any

from harness.engines.vllm.worker.ours import MODELS


def follow() -> None:
    """Follow the steps of every V2 runner whose model is ours; there is none without Triton."""
    from vllm.triton_utils import HAS_TRITON

    if not HAS_TRITON:
        return
    from vllm.v1.worker.gpu.model_runner import GPUModelRunner
    from vllm.v1.worker.gpu.model_states.default import DefaultModelState

    execute, prepare = GPUModelRunner.execute_model, DefaultModelState.prepare_inputs
    sample = GPUModelRunner.sample

    def execute_model(self: Any, scheduler_output: Any, *arguments: Any, **named: Any) -> Any:
        interventions = MODELS.get(self.model)
        if interventions is None or named.get("dummy_run"):
            return execute(self, scheduler_output, *arguments, **named)
        interventions.scheduled(scheduler_output)
        result = execute(self, scheduler_output, *arguments, **named)
        if scheduler_output.total_num_scheduled_tokens:
            interventions.ended()
        return result

    def prepare_inputs(self: Any, input_batch: Any, req_states: Any) -> Any:
        interventions = MODELS.get(self.model)
        if interventions is not None:
            interventions.begin(input_batch.req_ids, input_batch.num_scheduled_tokens)
        return prepare(self, input_batch, req_states)

    def sample_tokens(self: Any, hidden_states: Any, *arguments: Any, **named: Any) -> Any:
        result = sample(self, hidden_states, *arguments, **named)
        interventions = MODELS.get(self.model)
        if interventions is not None:
            interventions.reads_prompts(hidden_states)  # which comes next
        return result

    GPUModelRunner.execute_model = execute_model
    GPUModelRunner.sample = sample_tokens
    DefaultModelState.prepare_inputs = prepare_inputs
