"""Steering vectors as files of their own: what `titrate vectors build` and `import` do.

A vector that a spec asks for is built by its run and kept in the store; these functions build the
same vectors (`steering_asked` says which) to be kept as a file.
"""

from __future__ import annotations

from dataclasses import replace

from harness.engines import open_engine
from harness.engines.declared import Declared, places
from harness.errors import VectorError
from harness.interventions.steering.section import PairVector, SteeringSettings
from harness.interventions.vector_file import SteeringVectors
from harness.measure.steering_vectors import residual_norms
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.resolve.contrast_pairs import pairs_for
from harness.resolve.progress import Progress
from harness.resolve.steering import SteeringResolution, check_steering, needs_of_building
from harness.spec import Experiment


def build(experiment: Experiment, progress: Progress) -> SteeringVectors:
    """The vectors of an experiment's pairs, one for each of its layers, read from its model.

    Raises FieldError or TaskError for what cannot be built, before the model is loaded where that
    is possible.
    """
    settings, vector = _section(experiment)
    check_steering(experiment, settings)
    engine = open_engine(experiment.model, experiment.engine, needs_of_building(settings))
    try:
        return SteeringResolution(engine, progress).built(experiment, settings, vector)
    finally:
        engine.close()


def foreign(vectors: SteeringVectors, model: str) -> str | None:
    """What to warn of where a file says that its vectors are another kind of model's."""
    hint, own = vectors.facts.get("model_type", "unknown"), load_config(model).model_type
    if hint in ("unknown", own):
        return None
    return f"the vectors are of a {hint} model, as their file says, and {model} is a {own} model"


def measured(vectors: SteeringVectors, experiment: Experiment) -> SteeringVectors:
    """Imported vectors with the norms of the residual stream that they are added to.

    The norms are read at the experiment's pairs. Raises VectorError for vectors that do not fit
    the model, before it is loaded.
    """
    layers, width = hidden_shape(load_config(experiment.model))
    own = next(iter(vectors.vectors.values())).shape[0]
    if own != width:
        raise VectorError(
            f"vectors of {own} numbers do not fit {experiment.model}, whose hidden states have "
            f"{width}"
        )
    beyond = [layer for layer in vectors.vectors if layer >= layers]
    if beyond:
        raise VectorError(
            f"there is no layer {beyond[0]} in {experiment.model}; its layers are 0-{layers - 1}"
        )
    settings, vector = _section(experiment)
    check_steering(experiment, settings)
    needs = Declared(read=places(vectors.vectors))
    engine = open_engine(experiment.model, experiment.engine, needs)
    try:
        norms = residual_norms(
            engine,
            pairs_for(experiment, vector),
            layers=list(vectors.vectors),
            position=vector.position,
        )
    finally:
        engine.close()
    facts = {"model": experiment.model, "layers": str(layers)}
    return replace(vectors, residual_norms=norms, facts={**vectors.facts, **facts})


def _section(experiment: Experiment) -> tuple[SteeringSettings, PairVector]:
    settings = experiment.intervention
    assert isinstance(settings, SteeringSettings)
    (vector,) = settings.vectors
    assert isinstance(vector, PairVector)
    return settings, vector
