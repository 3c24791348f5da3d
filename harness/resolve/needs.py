"""What a model's cases will ask of an engine, known from their specs before anything is loaded.

An engine whose forward pass is compiled cannot learn it later (`engines/declared.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.engines.declared import Declared
from harness.interventions.kind import kind_of
from harness.spec import Experiment
from harness.spec.measure import measure_named


def needs_of(experiments: Iterable[Experiment]) -> Declared:
    """What these experiments need together: their interventions, and what is measured for them."""
    needs = Declared()
    for experiment in experiments:
        settings = experiment.intervention
        if settings is not None:
            needs |= kind_of(settings.kind).resolution.needs(experiment, settings)
        read = measure_named(experiment.measure).needs_of(experiment)
        if read is not None:
            needs |= read
    return needs
