"""Adapter to vLLM's V1 model runner: when a step begins, how it is laid out, its end."""

from __future__ import annotations

from typing import Any

from harness.engines.vllm.worker.ours import MODELS


def follow() -> None:
    """Follow the steps of every V1 runner whose model is ours."""
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    execute, prepare = GPUModelRunner.execute_model, GPUModelRunner._prepare_inputs  # noqa: SLF001
    score = GPUModelRunner._get_prompt_logprobs_dict  # noqa: SLF001

    def execute_model(self: Any, scheduler_output: Any, *arguments: Any, **named: Any) -> Any:
        interventions = MODELS.get(self.get_model())
        if interventions is None:
            return execute(self, scheduler_output, *arguments, **named)
        interventions.scheduled(scheduler_output)
        result = execute(self, scheduler_output, *arguments, **named)
        if scheduler_output.total_num_scheduled_tokens:
            interventions.ended()
        return result

    def prepare_inputs(self: Any, scheduler_output: Any, num_scheduled_tokens: Any) -> Any:
        result = prepare(self, scheduler_output, num_scheduled_tokens)
        interventions = MODELS.get(self.get_model())
        if interventions is not None:
            running = self.input_batch.req_ids[: self.input_batch.num_reqs]
            interventions.begin(running, num_scheduled_tokens[: len(running)])
        return result

    def prompt_scores(self: Any, hidden_states: Any, *arguments: Any, **named: Any) -> Any:
        interventions = MODELS.get(self.get_model())
        if interventions is not None:
            interventions.reads_prompts(hidden_states)
        return score(self, hidden_states, *arguments, **named)

    GPUModelRunner.execute_model = execute_model
    GPUModelRunner._prepare_inputs = prepare_inputs  # noqa: SLF001 - the only seam before a pass
    GPUModelRunner._get_prompt_logprobs_dict = prompt_scores  # noqa: SLF001 - as above
