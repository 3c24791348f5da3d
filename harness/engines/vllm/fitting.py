"""Whether vLLM can run an experiment on its model: found from the configuration, without vLLM."""

from __future__ import annotations

from typing import Any

from harness.engines.vllm.layout import check_layout
from harness.errors import FieldError
from harness.models.loading import load_config
from harness.spec.experiment import Experiment


def check_experiment(experiment: Experiment) -> None:
    """Raise `FieldError` for a layout that the model cannot take, and for draws it would alter."""
    engine, temperature = experiment.engine, experiment.sampling.temperature
    check_layout(load_config(experiment.model), engine)
    if engine.speculation is not None and temperature > 0:
        raise FieldError(
            "sampling.temperature",
            f"{temperature:g} with engine.speculation: {engine.speculation}, which keeps greedy "
            "decoding only; leave speculation out, or use temperature 0",
        )


def unfit(config: Any) -> str:
    """Why vLLM cannot run a model of this configuration; empty where it can."""
    rotary = getattr(config.get_text_config(), "rope_parameters", None) or {}
    if config.model_type == "gpt_oss" and rotary.get("rope_type") != "yarn":
        return (
            "vLLM runs GPT-OSS with YaRN's rotary embeddings only, which this model does not have"
        )
    return ""
