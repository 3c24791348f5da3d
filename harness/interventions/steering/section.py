"""The section of a spec that steers: a vector times a dose, added to hidden states."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, NonNegativeInt, PositiveInt, Tag

from harness.spec.intervention import InterventionSettings, PairSection
from harness.spec.settings import PairsReference, Settings, SpecPath
from harness.spec.steering_terms import Float32, Method, PositionRule, Positions, Site
from harness.spec.variants import ONE, SEVERAL, one_or_several, variant


def _each_once(layers: list[int]) -> list[int]:
    """A layer that is listed twice would be steered twice as much as the dose says."""
    if len(set(layers)) < len(layers):
        raise ValueError(f"{layers} is not accepted; it should name each layer once")
    return layers


LayerList: TypeAlias = Annotated[
    list[NonNegativeInt], Field(min_length=1), AfterValidator(_each_once)
]
Layers: TypeAlias = NonNegativeInt | LayerList


class AnyVector(Settings):
    """What vectors of every source have: how much of them is added, and where."""

    weight: float = 1.0
    """Times the dose. Several vectors are added, each with its own weight."""
    layer: Layers | None = None
    """Its own layer or layers, in place of the section's."""
    site: Site | None = None
    """Its own site, in place of the section's."""


class PairVector(PairSection, AnyVector):
    """A vector built on this model from contrastive pairs, before the first case that needs it."""

    pairs: PairsReference
    """styles, answers, or a JSON-lines file (./pairs.jsonl) of {prompt, positive, negative}."""
    data: SpecPath | None = None
    """Training problems that built-in pairs are made of, in the task's format, in place of its
    usual ones."""
    samples: PositiveInt = 64
    """How many pairs; built-in ones come from training problems, never from the evaluation's."""
    position: PositionRule = "last"
    """Whose state is read: last, answer (its first token), mean (over the answer), -2, ..."""
    method: Method = "mean"
    """mean (contrastive activation addition), mean_centred, pca, pca_centred or probe."""


class FileVector(AnyVector):
    """Vectors from a file that `titrate vectors` wrote, one for each layer in it."""

    file: SpecPath
    """A .safetensors file, relative to the spec that names it."""


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
    """cosine: of the state with the vector. probe: a logistic regression of the vector's pairs."""
    threshold: float
    """Above which the token is steered."""


class SteeringSettings(InterventionSettings):
    """Adds alpha times a vector to the hidden states at one place of one or more layers."""

    kind: Literal["steering"]
    """What is done: steering."""
    vector: Vectors
    """Where the vector comes from, or several in a list, which are added."""
    layer: Layers
    """The layer, or several, each of which gets its own vector at the same dose."""
    site: Site = "block"
    """Of a layer: the block's output, the attention's, or the MLP's (before they are added)."""
    alpha: Float32
    """The dose; 0 is neutral, and a negative one steers the other way."""
    units: Literal["residual", "raw"] = "residual"
    """residual: 1 is the mean length of the residual stream after the layer. raw: 1 is the vector
    as it is."""
    positions: Positions = "from_last_prompt_token"
    """Which positions are steered: all, prompt, generated, or from_last_prompt_token."""
    schedule: Literal["constant", "start_only", "diminishing"] = "constant"
    """How the dose changes over the generated tokens; diminishing reaches 0 at max_new_tokens."""
    control: Literal["none", "random"] | None = None
    """random: a random direction as long as the vector in its place. When left out, every case is
    run with the vector (none) and beside it with its control (random)."""
    control_seed: NonNegativeInt = 0
    """Of the random direction."""
    only_if: ConditionSettings | None = None
    """Steer only where a condition on the hidden state holds."""

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
