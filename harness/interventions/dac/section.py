"""The section of a spec that steers token by token: dynamic activation composition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, Tag

from harness.interventions.steering_terms import Direction, LayerList, Site
from harness.spec.intervention import Control, InterventionSettings, PairSection
from harness.spec.settings import PairsReference, Settings, SpecPath
from harness.spec.variants import variant


class PairProperty(PairSection):
    """A property whose differences are measured on this model, step by step, from pairs."""

    pairs: PairsReference
    """The contrastive pairs that are read: the built-in styles or answers, or a file
    (./pairs.jsonl) of {prompt, positive, negative}, of chat turns, or in the format of CAA or
    AxBench (docs/steering.md)."""
    data: SpecPath | None = None
    """A file of training problems, in the task's format, that built-in pairs are made of; relative
    to the folder of the spec. The task's usual training problems when left out."""
    samples: PositiveInt = 30
    """How many pairs are used; 30 by default. Built-in ones come from training problems, never from
    the evaluation's."""
    steps: PositiveInt = 30
    """How many generated tokens are steered, each by its own difference; 30 by default."""
    site: Site = "attention"
    """What is steered in a layer: the attention's output (attention, the default), the residual
    stream after it (block), or the MLP's output (mlp)."""
    layers: LayerList | None = None
    """The layers that are steered, counted from 0. All layers when left out."""
    name: str | None = None
    """What the property's doses are called. The name of the pairs when left out."""

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or Path(self.pairs).stem


class FileProperty(Settings):
    """A property whose differences are the vectors of a file, the same at every step."""

    file: SpecPath
    """The differences are the vectors of this .safetensors file, as `titrate vectors build` writes
    it; relative to the folder of the spec."""
    name: str | None = None
    """What the property's doses are called. The name of the file when left out."""

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or Path(self.file).stem


PropertySettings = Annotated[
    Annotated[PairProperty, Tag("pairs")] | Annotated[FileProperty, Tag("file")],
    Discriminator(variant),
]


class DacSettings(InterventionSettings):
    """Adds every property's difference at a dose that each token's distributions decide."""

    controlled: ClassVar[Control] = Control(
        "control", "random", "none", "direction", ("vector", "random control")
    )
    says_how: ClassVar[frozenset[str]] = frozenset({"control", "control_seed"})

    kind: Literal["dac"]
    """The kind of intervention is dac: dynamic activation composition."""
    properties: Annotated[list[PropertySettings], Field(min_length=1)]
    """What steering should bring about: one property or more. Their edits add up, each at its own
    dose."""
    strongest: NonNegativeFloat = 2.0
    """The dose of the fully steered model, and the largest that is chosen, in multiples of the
    differences; 2.0 by default. 0 is neutral."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The probability mass (above 0, up to 1) of both distributions' nuclei, over the union of
    which divergences are taken; 0.5 by default."""
    direction: Direction = "unsteered_to_steered"
    """Which divergence decides the dose: unsteered_to_steered, the default, is KL(unsteered ||
    steered), and steered_to_unsteered is KL(steered || unsteered)."""
    mean_divergence: bool = False
    """Whether the divergence is divided by the size of the union, as the method's published code
    does; false by default."""
    control: Literal["none", "random"] | None = None
    """Whether the differences (none) or random directions in their place (random) are added. When
    left out, every case is run with both, side by side."""
    control_seed: NonNegativeInt = 0
    """The seed by which the control's random directions are drawn; 0 by default. Every other seed
    is another control."""

    def neutral(self) -> Self:
        """The same properties, never steered."""
        return self.model_copy(update={"strongest": 0.0})
