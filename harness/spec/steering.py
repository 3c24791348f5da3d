"""The section of a spec that steers: a vector times a dose, added to hidden states."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, NonNegativeInt, PositiveInt, Tag

from harness.spec.settings import PairsReference, Settings, SpecPath
from harness.spec.steering_terms import Method, PositionRule, Positions, Site
from harness.spec.variants import variant


class PairVector(Settings):
    """A vector built on this model from contrastive pairs, before the first case that needs it."""

    pairs: PairsReference
    """styles, answers, or a JSON-lines file (./pairs.jsonl) of {prompt, positive, negative}."""
    samples: PositiveInt = 64
    """How many pairs; built-in ones come from training problems, never from the evaluation's."""
    position: PositionRule = "last"
    """Whose state is read: last, answer (its first token), mean (over the answer), -2, ..."""
    method: Method = "mean"
    """mean (contrastive activation addition), mean_centred, pca, pca_centred or probe."""


class FileVector(Settings):
    """Vectors from a file that `titrate vectors` wrote, one for each layer in it."""

    file: SpecPath
    """A .safetensors file, relative to the spec that names it."""


Vector = Annotated[
    Annotated[PairVector, Tag("pairs")] | Annotated[FileVector, Tag("file")],
    Discriminator(variant),
]


class ConditionSettings(Settings):
    """Steer only tokens whose hidden state at the same place lies towards the vector."""

    kind: Literal["cosine", "probe"]
    """cosine: of the state with the vector. probe: a logistic regression of the vector's pairs."""
    threshold: float
    """Above which the token is steered."""


class SteeringSettings(Settings):
    """Adds alpha times a vector to the hidden states at one place of one or more layers."""

    kind: Literal["steering"]
    """What is done: steering."""
    vector: Vector
    """Where the vector comes from."""
    layer: NonNegativeInt | Annotated[list[NonNegativeInt], Field(min_length=1)]
    """The layer, or several, each of which gets its own vector at the same dose."""
    site: Site = "block"
    """Of a layer: the block's output, the attention's, or the MLP's (before they are added)."""
    alpha: float
    """The dose; 0 is neutral, and a negative one steers the other way."""
    units: Literal["residual", "raw"] = "residual"
    """residual: 1 is the mean length of the hidden states there. raw: 1 is the vector as it is."""
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

    def neutral(self) -> Self:
        """The same vector at dose 0."""
        return self.model_copy(update={"alpha": 0.0})
