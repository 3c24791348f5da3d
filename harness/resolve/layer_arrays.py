"""Arrays by layer, as the store keeps them, and whether they are those that a section asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.spec import Experiment
from harness.store.record_shapes import LayerArrays


def arrays_from(shape: LayerArrays) -> dict[int, Array]:
    """Vectors by layer; raises ValueError for what is not a vector."""
    try:
        return {layer: Array.from_json(vector) for layer, vector in shape}
    except FieldError as error:
        raise ValueError(error.problem) from error


def of_shape(vectors: Mapping[int, Array], layers: Sequence[int], experiment: Experiment) -> bool:
    """Whether these [..., H] are for just these layers of an experiment's model."""
    _, width = hidden_shape(load_config(experiment.model))
    widths = {each.shape[-1:] for each in vectors.values()}
    return set(vectors) == set(layers) and widths == {(width,)}
