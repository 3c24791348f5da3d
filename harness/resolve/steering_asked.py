"""Which steering vectors a spec, or the settings of a command line, ask for. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import VectorError
from harness.interventions.steering.section import PairVector, SteeringSettings
from harness.resolve.tasks import data_of
from harness.spec import Case, Experiment
from harness.spec.complaints import validated
from harness.spec.form import resolved


def asked_by(
    model: str,
    task: str,
    vector: Mapping[str, Any],
    *,
    style: str = "assisted",
    layers: Sequence[int] | None = None,
    site: str = "block",
) -> Experiment:
    """The experiment that steers by a vector of these settings, at all layers or those named.

    Raises FieldError for settings that a spec could not have either.
    """
    values = {
        "name": "vectors",
        "model": model,
        "task": {"name": task},
        "prompt": {"style": style},
        "intervention": {
            "kind": "steering",
            "vector": dict(vector),
            "layer": list(layers) if layers else 0,
            "site": site,
            "alpha": 1.0,
        },
    }
    experiment = validated(resolved(values, Path.cwd()))
    if layers:
        return experiment
    from harness.models.loading import load_config  # which imports torch
    from harness.models.sites import hidden_shape

    count, _ = hidden_shape(load_config(experiment.model))
    settings = experiment.intervention
    assert isinstance(settings, SteeringSettings)
    every = settings.model_copy(update={"layer": list(range(count))})
    return experiment.model_copy(update={"intervention": every})


def asked_in(spec: Path, cases: Iterable[Case]) -> Experiment:
    """The experiment of a spec that asks for one vector from pairs, at all layers of its cases.

    Raises VectorError for a spec whose cases ask for none, or for several.
    """
    found: dict[str, tuple[Experiment, SteeringSettings, PairVector]] = {}
    layers: set[int] = set()
    for case in cases:
        settings = case.experiment.intervention
        if not isinstance(settings, SteeringSettings):
            continue
        for vector in settings.vectors:
            if isinstance(vector, PairVector):
                layers.update(settings.layers_of(vector))
                key = _identity(case.experiment, settings, vector)
                found.setdefault(key, (case.experiment, settings, vector))
    if not found:
        raise VectorError(f"{spec}: its cases ask for no vector from pairs, so none can be built")
    if len(found) > 1:
        raise VectorError(
            f"{spec}: its cases ask for {len(found)} different vectors from pairs, and one "
            "is built at a time; choose it with --set FIELD=VALUE"
        )
    ((experiment, settings, vector),) = found.values()
    plain = vector.model_copy(update={"layer": None, "site": None, "weight": 1.0})
    site = settings.site_of(vector)
    changed = {"vector": plain, "layer": sorted(layers), "site": site, "alpha": 1.0}
    own = settings.model_copy(update={**changed, "only_if": None})
    return experiment.model_copy(update={"intervention": own})


def _identity(experiment: Experiment, settings: SteeringSettings, vector: PairVector) -> str:
    """What decides the numbers of a vector, but for the layer."""
    parts = (
        experiment.model,
        experiment.engine.model_dump_json(),
        data_of(experiment),
        experiment.prompt.style,
        settings.site_of(vector),
        vector.model_dump_json(exclude={"weight", "layer", "site"}),
    )
    return repr(parts)
