"""The section of a spec that steers token by token: dynamic activation composition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, Tag

from harness.interventions.steering.section import LayerList
from harness.spec.intervention import InterventionSettings, PairSection
from harness.spec.settings import PairsReference, Settings, SpecPath
from harness.spec.steering_terms import Direction, Site
from harness.spec.variants import variant


class PairProperty(PairSection):
    """A property whose differences are measured on this model, step by step, from pairs."""

    pairs: PairsReference
    """styles, answers, or a JSON-lines file (./pairs.jsonl) of {prompt, positive, negative}."""
    data: SpecPath | None = None
    """Training problems that built-in pairs are made of, in the task's format, in place of its
    usual ones."""
    samples: PositiveInt = 30
    """How many pairs; built-in ones come from training problems, never from the evaluation's."""
    steps: PositiveInt = 30
    """Generated tokens that are steered, each by its own difference."""
    site: Site = "attention"
    """Of a layer: the attention's output, the block's, or the MLP's."""
    layers: LayerList | None = None
    """All layers when left out."""
    name: str | None = None
    """What its doses are called; by default the name of the pairs."""

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or Path(self.pairs).stem


class FileProperty(Settings):
    """A property whose differences are the vectors of a file, the same at every step."""

    file: SpecPath
    """A .safetensors file, relative to the spec that names it."""
    name: str | None = None
    """What its doses are called; by default the name of the file."""

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

    kind: Literal["dac"]
    """What is done: dac."""
    properties: Annotated[list[PropertySettings], Field(min_length=1)]
    """What steering should bring about; their edits add up, each at its own dose."""
    strongest: NonNegativeFloat = 2.0
    """Dose of the fully steered model, and the largest one chosen; 0 is neutral."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Divergences are taken over the union of both distributions' nuclei of this mass."""
    direction: Direction = "unsteered_to_steered"
    """KL(unsteered || steered), or steered_to_unsteered: KL(steered || unsteered)."""
    mean_divergence: bool = False
    """Divide the divergence by the size of the union, as the method's published code does."""
    control: Literal["none", "random"] | None = None
    """random: differences turned to random directions in their place. When left out, every case is
    run with the differences (none) and beside it with their control (random)."""
    control_seed: NonNegativeInt = 0
    """Of the random directions."""

    def neutral(self) -> Self:
        """The same properties, never steered."""
        return self.model_copy(update={"strongest": 0.0})
