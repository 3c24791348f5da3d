"""The section of a spec that steers: a vector times a dose, added to hidden states."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, NonNegativeInt, PositiveInt, Tag

from harness.interventions.steering_terms import (
    Float32,
    LayerList,
    Method,
    PositionRule,
    Positions,
    Site,
)
from harness.spec.intervention import Control, InterventionSettings, PairSection
from harness.spec.settings import PairsReference, Settings, SpecPath
from harness.spec.variants import ONE, SEVERAL, one_or_several, variant

Layers: TypeAlias = NonNegativeInt | LayerList


class AnyVector(Settings):
    """What vectors of every source have: how much of them is added, and where."""

    weight: float = 1.0
    """What the dose is multiplied by for this vector; 1.0 by default. Several vectors are added,
    each with its own weight."""
    layer: Layers | None = None
    """The layer or layers that this vector steers, counted from 0. The section's when left out."""
    site: Site | None = None
    """What this vector steers in a layer: block, attention or mlp. The section's when left out."""


class PairVector(PairSection, AnyVector):
    """A vector built on this model from contrastive pairs, before the first case that needs it."""

    pairs: PairsReference
    """The contrastive pairs that are read: the built-in styles or answers, or a file
    (./pairs.jsonl) of {prompt, positive, negative}, of chat turns, or in the format of CAA or
    AxBench (docs/steering.md)."""
    data: SpecPath | None = None
    """A file of training problems, in the task's format, that built-in pairs are made of; relative
    to the folder of the spec. The task's usual training problems when left out."""
    samples: PositiveInt = 64
    """How many pairs are used; 64 by default. Built-in ones come from training problems, never from
    the evaluation's."""
    position: PositionRule = "last"
    """Which token's state is read: last (the default), answer (its first token), mean (over the
    answer), or a position such as -2."""
    method: Method = "mean"
    """What makes a vector of the pairs' states: mean (the default, contrastive activation
    addition), mean_centred, pca, pca_centred or probe."""


class FileVector(AnyVector):
    """Vectors from a file that `titrate vectors` wrote, one for each layer in it."""

    file: SpecPath
    """The vectors are read from this .safetensors file, which has one for each layer in it;
    relative to the folder of the spec."""


Vector: TypeAlias = PairVector | FileVector
_Vector = Annotated[
    Annotated[PairVector, Tag("pairs")] | Annotated[FileVector, Tag("file")],
    Discriminator(variant),
]
Vectors = Annotated[
    Annotated[_Vector, Tag(ONE)] | Annotated[list[_Vector], Field(min_length=1), Tag(SEVERAL)],
    Discriminator(one_or_several),
]


class ConditionSettings(Settings):
    """Steer only tokens whose hidden state at the same place lies towards the vector."""

    kind: Literal["cosine", "probe"]
    """What is compared with the threshold. cosine: the cosine of the state with the vector. probe:
    the probability by a logistic regression of the vector's pairs."""
    threshold: float
    """The value above which a token is steered: a cosine (-1 to 1) or a probability (0 to 1)."""


class SteeringSettings(InterventionSettings):
    """Adds alpha times a vector to the hidden states at one place of one or more layers."""

    controlled: ClassVar[Control] = Control(
        "control", "random", "none", "direction", ("vector", "random control")
    )
    says_how: ClassVar[frozenset[str]] = frozenset(
        {
            "control",
            "control_seed",
            "positions",
            "schedule",
            "units",
            "vector.data",
            "vector.method",
            "vector.position",
            "vector.samples",
            "vector.weight",
        }
    )
    says_layers: ClassVar[frozenset[str]] = frozenset({"layer", "vector.layer"})

    kind: Literal["steering"]
    """The kind of intervention is steering: a vector added to hidden states."""
    vector: Vectors
    """Where the vector comes from, {pairs: ...} or {file: ...}; several in a list are added."""
    layer: Layers
    """The layer or layers that are steered, counted from 0, each by its own vector at the same
    dose."""
    site: Site = "block"
    """What is steered in a layer: the residual stream after it (block, the default), or the output
    of its attention or mlp before that is added."""
    alpha: Float32
    """How much of the vector is added, in `units`. It is the dose; 0 is neutral, and below 0 steers
    the other way."""
    units: Literal["residual", "raw"] = "residual"
    """What an alpha of 1 is. residual, the default: the mean length of the residual stream after
    the layer. raw: the vector as it is."""
    positions: Positions = "from_last_prompt_token"
    """Which positions are steered: all, prompt, generated, or from_last_prompt_token (the default),
    on which every generated token depends."""
    schedule: Literal["constant", "start_only", "diminishing"] = "constant"
    """How the dose changes over the generated tokens. constant, the default; start_only: the first
    one only; diminishing: evenly down to 0 at max_new_tokens."""
    control: Literal["none", "random"] | None = None
    """Whether the vector (none) or a random direction of its length (random) is added. When left
    out, every case is run with both, side by side."""
    control_seed: NonNegativeInt = 0
    """The seed by which the control's random direction is drawn; 0 by default. Every other seed is
    another control."""
    only_if: ConditionSettings | None = None
    """A condition that the hidden state must meet: only tokens where it does are steered. Every
    token is steered when left out."""

    @property
    def vectors(self) -> tuple[Vector, ...]:
        """The vectors that are added: one, or those of the list."""
        return tuple(self.vector) if isinstance(self.vector, list) else (self.vector,)

    def layers_of(self, vector: Vector) -> list[int]:
        """The layers that one of the vectors steers, in the order written."""
        layer = self.layer if vector.layer is None else vector.layer
        return [layer] if isinstance(layer, int) else list(layer)

    def site_of(self, vector: Vector) -> Site:
        """Where in these layers it is added."""
        return vector.site or self.site

    def neutral(self) -> Self:
        """The same vector at dose 0."""
        return self.model_copy(update={"alpha": 0.0})
