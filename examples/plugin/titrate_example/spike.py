"""An intervention: one dimension of a layer's output is raised, as massive activations are.

Models depend on a few dimensions that are orders of magnitude larger than the others (Sun et al.
2024, arXiv:2402.17762); a spike makes one.
"""

from typing import Literal

from pydantic import NonNegativeInt

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.kind import Kind
from harness.interventions.residual import Residual, Term
from harness.invariants.family import Family
from harness.models.sites import hidden_shape
from harness.resolve.resolution import Resolution
from harness.spec.intervention import InterventionSettings


class SpikeSettings(InterventionSettings):
    """Raises one dimension of a layer's output at every position."""

    kind: Literal["spike"]
    """What is done: spike."""
    layer: NonNegativeInt
    """The layer, counted from 0."""
    dimension: NonNegativeInt
    """The dimension of its output, counted from 0."""
    strength: float
    """What is added there. The dose; 0 is neutral."""

    def neutral(self):
        return self.model_copy(update={"strength": 0.0})


class Spike(Residual):
    """The same in numbers that fit a model: the vector [H] is 1 at the dimension, 0 elsewhere."""

    kind: Literal["spike"] = "spike"
    layer: int
    vector: Array
    strength: float

    def neutral(self):
        return self.model_copy(update={"strength": 0.0})

    def additions(self):
        term = Term(layer=self.layer, vector=self.vector, alpha=self.strength, positions="all")
        return (term,) if self.strength else ()


def spike(config, layer, dimension, strength):
    """The description for a model; raises FieldError for a place that it does not have."""
    layers, width = hidden_shape(config)
    for name, value, end in (("layer", layer, layers), ("dimension", dimension, width)):
        if value >= end:
            told = f"the model has no {name} {value}; use 0 to {end - 1}"
            raise FieldError(f"intervention.{name}", told)
    vector = Array([float(i == dimension) for i in range(width)])
    return Spike(layer=layer, vector=vector, strength=strength)


class SpikeResolution(Resolution[SpikeSettings]):
    """From the section to the description, by the model's configuration alone."""

    def resolve(self, experiment, settings):
        from harness.models.loading import load_config  # imports torch, which specs do without

        return spike(load_config(experiment.model), **settings.model_dump(exclude={"kind"}))


KIND = Kind(
    "spike",
    "One dimension of a layer's output is raised.",
    mechanism="residual",
    section=SpikeSettings,
    description=Spike,
    resolution=SpikeResolution,
    # Doses that change something, whatever the model: what must hold is checked on these.
    identities=Family("spike", lambda config: (spike(config, 0, 1, 4), spike(config, 1, 0, -9))),
)
