"""What a model's cases will ask of an engine, known from their specs before anything is loaded.

An engine whose forward pass is compiled cannot learn it later (`engines/vllm/declared.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.engines.vllm.declared import Declared, Steered
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.runs.resolve import usage_of
from harness.runs.steering import layers_of
from harness.spec import Experiment, RouterMaskSettings
from harness.spec.steering import PairVector, SteeringSettings


def needs_of(experiments: Iterable[Experiment]) -> Declared:
    """What these experiments need together: masks, steered places, and places to read."""
    needs = Declared()
    for experiment in experiments:
        settings = experiment.intervention
        if isinstance(settings, SteeringSettings):
            needs |= _of_steering(settings)
        elif isinstance(settings, RouterMaskSettings):
            measured = usage_of(experiment) is not None
            needs |= Declared(masks=settings.count > 0, router_logits=measured)
        if experiment.measure == "forward":
            layers, _ = hidden_shape(load_config(experiment.model))
            read = frozenset((layer, "block") for layer in range(layers))
            needs |= Declared(router_logits=True, read=read)
    return needs


def _of_steering(settings: SteeringSettings) -> Declared:
    places = [(layer, settings.site) for layer in layers_of(settings)]
    needs = Declared()
    if settings.alpha:
        held = Steered(terms=1, conditional=settings.only_if is not None)
        needs |= Declared(steered=dict.fromkeys(places, held))
        if isinstance(settings.vector, PairVector):
            needs |= Declared(read=frozenset(places))
    return needs
