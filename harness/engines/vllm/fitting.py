"""Whether vLLM can run an experiment on its model: found from the configuration, without vLLM."""

from __future__ import annotations

from typing import Any

from harness.engines.vllm import drawing
from harness.engines.vllm.availability import is_eager
from harness.engines.vllm.layout import check_layout
from harness.errors import FieldError
from harness.interventions.kind import kind_of
from harness.models.loading import load_config
from harness.sampling.chosen import SamplingRules
from harness.spec.experiment import EngineSettings, Experiment


def check_experiment(experiment: Experiment) -> None:
    """Raise `FieldError` for a layout that the model cannot take, and for what vLLM would alter."""
    engine = experiment.engine
    if experiment.reference not in (None, experiment.model):
        raise FieldError(
            "reference",
            f"vllm gives a device's memory to one model, and {experiment.reference} is a second; "
            "leave it out, or use engine.name: transformers",
        )
    check_layout(load_config(experiment.model), engine)
    asked = experiment.intervention
    mechanism = None if asked is None else kind_of(asked.kind).mechanism
    check_passes(engine, functions=mechanism == "hidden_states")
    scale = getattr(asked, "scale", 1)  # as what adapts weights calls its dose
    if mechanism == "adapted_weights" and scale not in (0, 1):
        raise FieldError(
            "intervention.scale",
            f"{scale:g}: vllm applies adapters at scale 1 alone; use engine.name: transformers",
        )
    refused = drawing.refused(SamplingRules(**experiment.sampling.rules), engine.speculation)
    if refused is not None:
        rule, problem = refused
        raise FieldError(f"sampling.{rule}", problem)


def check_passes(settings: EngineSettings, *, functions: bool) -> None:
    """Raise `FieldError` where functions of hidden states are asked of compiled passes."""
    if functions and not is_eager(settings):
        raise FieldError(
            "engine.enforce_eager",
            "a compiled pass cannot hold a kind's function of hidden states; set it to true, or "
            "use engine.name: transformers",
        )


def unfit(config: Any) -> str:
    """Why vLLM cannot run a model of this configuration; empty where it can."""
    rotary = getattr(config.get_text_config(), "rope_parameters", None) or {}
    if config.model_type == "gpt_oss" and rotary.get("rope_type") != "yarn":
        return (
            "vLLM runs GPT-OSS with YaRN's rotary embeddings only, which this model does not have"
        )
    return ""
