"""What a model's cases will ask of an engine, known from their specs before anything is loaded.

An engine whose forward pass is compiled cannot learn it later (`engines/declared.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from harness.engines.declared import Declared, Place, Steered
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.runs.resolve import usage_of
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
            read: frozenset[Place] = frozenset((layer, "block") for layer in range(layers))
            needs |= Declared(router_logits=True, read=read)
    return needs


def _of_steering(settings: SteeringSettings) -> Declared:
    if not settings.alpha:
        return Declared()
    held: Counter[Place] = Counter()
    read: set[Place] = set()
    for vector in settings.vectors:
        places = [(layer, settings.site_of(vector)) for layer in settings.layers_of(vector)]
        held.update(places)
        if isinstance(vector, PairVector):
            # And the residual stream there, whose norms every vector is kept with.
            read.update(places, ((layer, "block") for layer, _ in places))
    conditional = settings.only_if is not None
    steered = {place: Steered(terms, conditional) for place, terms in held.items()}
    return Declared(steered=steered, read=frozenset(read))
