"""What a model's cases will ask of an engine, known from their specs before anything is loaded.

An engine whose forward pass is compiled cannot learn it later (`engines/declared.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.engines.declared import Declared, places
from harness.interventions.kind import kind_of
from harness.models.loading import load_config
from harness.models.routers import has_routers
from harness.models.sites import hidden_shape
from harness.spec import Experiment


def needs_of(experiments: Iterable[Experiment]) -> Declared:
    """What these experiments need together: their interventions, and what is measured for them."""
    needs = Declared()
    for experiment in experiments:
        settings = experiment.intervention
        if settings is not None:
            needs |= kind_of(settings.kind).resolution.needs(experiment, settings)
        if experiment.measure == "forward":
            config = load_config(experiment.model)
            layers, _ = hidden_shape(config)
            needs |= Declared(router_logits=has_routers(config), read=places(range(layers)))
    return needs
