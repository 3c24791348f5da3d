"""From vectors and the settings around them to the additions of one case."""

from __future__ import annotations

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.residual import Condition, Term
from harness.interventions.steering.section import ConditionSettings, SteeringSettings, Vector
from harness.interventions.steering_terms import as_float32
from harness.interventions.vector_file import SteeringVectors
from harness.measure.steering_vectors import random_control
from harness.spec import Experiment


def field_of(settings: SteeringSettings, vector: Vector) -> str:
    """The dotted field of one of the section's vectors."""
    if not isinstance(settings.vector, list):
        return "intervention.vector"
    index = next(at for at, each in enumerate(settings.vector) if each is vector)
    return f"intervention.vector[{index}]"


def check_file(vectors: SteeringVectors, file: str, model: str, layers: int, where: str) -> None:
    """Raise FieldError for vectors of a model with another number of layers, where that is known.

    A layer's number means another place in it, even where the widths are the same.
    """
    known = vectors.facts.get("layers")
    if known is not None and known != str(layers):
        raise FieldError(
            f"{where}.file",
            f"{file}: its vectors are of a model with {known} layers "
            f"({vectors.facts.get('model', 'unnamed')}), but {model} has {layers}; build them on "
            "the model that they steer",
        )


def terms_of(
    experiment: Experiment, settings: SteeringSettings, index: int, vectors: SteeringVectors
) -> list[Term]:
    """The additions of the section's vector number `index`, one for each layer, at the case's dose.

    Raises FieldError for a layer or site that the vectors do not have, and for a vector of zeros.
    """
    vector = settings.vectors[index]
    where, site = field_of(settings, vector), settings.site_of(vector)
    if vectors.site != site:
        raise FieldError(
            f"{where}.site" if vector.site else "intervention.site",
            f"{site}, but the file's vectors are of site {vectors.site}",
        )
    diminishing = settings.schedule == "diminishing"
    terms = []
    for layer in settings.layers_of(vector):
        direction = _direction(vectors, layer, where, own=vector.layer is not None)
        condition = None
        if settings.only_if is not None:
            condition = _condition(settings.only_if, vectors, layer)
        added = direction
        if settings.control == "random":
            added = random_control(direction, settings.control_seed, index)
        terms.append(
            Term(
                layer=layer,
                site=site,
                vector=added,
                alpha=_alpha(settings.alpha * vector.weight * _unit(settings, vectors, layer)),
                positions=settings.positions,
                schedule=settings.schedule,
                over=experiment.sampling.max_new_tokens if diminishing else None,
                condition=condition,
                residual_norm=vectors.residual_norms.get(layer),
            )
        )
    return terms


def _direction(vectors: SteeringVectors, layer: int, where: str, *, own: bool) -> Array:
    """A layer's vector, which must be there and not be zero."""
    if layer not in vectors.vectors:
        held = ", ".join(map(str, vectors.vectors))
        raise FieldError(
            f"{where}.layer" if own else "intervention.layer",
            f"the file has no vector of layer {layer}; it has {held}",
        )
    vector = vectors.vectors[layer]
    if vector.norm == 0:
        raise FieldError(
            where,
            f"the vector of layer {layer} is zero: nothing tells the two sides apart there; "
            "use another layer, or pairs that differ",
        )
    return vector


def _condition(settings: ConditionSettings, vectors: SteeringVectors, layer: int) -> Condition:
    """When a token is steered; raises FieldError for a probe if the vector has none."""
    direction, bias = vectors.vectors[layer], 0.0
    if settings.kind == "probe":
        if layer not in vectors.probes:
            raise FieldError(
                "intervention.only_if.kind",
                f"probe, but the vector of layer {layer} is not a probe's: its file does not say "
                "how "
                "probable a state is; build it with method: probe, or use kind: cosine",
            )
        probe = vectors.probes[layer]
        direction, bias = Array(direction.numpy() * probe.steepness), probe.bias
    return Condition(
        kind=settings.kind, direction=direction, threshold=settings.threshold, bias=bias
    )


def _alpha(value: float) -> float:
    """What the vector is multiplied with."""
    try:
        return as_float32(value)
    except ValueError as error:
        raise FieldError("intervention.alpha", f"times weight and unit, {error}") from error


def _unit(settings: SteeringSettings, vectors: SteeringVectors, layer: int) -> float:
    """How many of the vector's own lengths one unit of dose is."""
    if settings.units == "raw":
        return 1.0
    if layer not in vectors.residual_norms:
        raise FieldError(
            "intervention.units",
            f"residual, but the file does not say how long the residual stream is after layer "
            f"{layer}; use units: raw, or measure them: `titrate vectors import --model`",
        )
    return vectors.unit(layer)
