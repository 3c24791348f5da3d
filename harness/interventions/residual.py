"""The mechanism `residual`: vectors are added to hidden states, each at one place and at a dose.

A kind derives its description from `Residual` and says what it adds as terms.

Shapes: R rows (sequences), T tokens of each in a pass, H the width of the hidden states.
A place is a layer and a site in it: the block's output (the residual stream after the layer, as in
CAA), the attention's output or the MLP's (both before they are added to the residual stream).

Positions count a sequence's own tokens from 0, whatever the batch looks like, so that decoding
with and without a cache of keys and values gives the same: position p is steered or not, whenever
it is computed. With a prompt of P tokens,

    all                     every position
    prompt                  p < P
    generated               p >= P
    from_last_prompt_token  p >= P - 1, all that the first generated token and later ones depend on

(the last is contrastive activation addition's own rule; Rimsky et al. 2024, arXiv:2312.06681,
section 3.) A schedule weakens the dose with the step t = p - (P - 1), or p - P for `generated`:

    constant     alpha
    start_only   alpha at t <= 0, nothing after
    diminishing  alpha * max(0, 1 - t / over)
    given        alpha * given[t], 0 after the last one

(start_only and diminishing are the baselines of Scalena et al. 2024, arXiv:2406.17563.)
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from harness.errors import FieldError
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.steering_terms import Float32, Positions, Schedule, Site
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from torch import Tensor


class Condition(BaseModel):
    """Steer a token only where the hidden state at the same place, before steering, says so.

    cosine: its cosine with `direction` is above the threshold. probe: the logistic probability
    1 / (1 + exp(-(direction . h + bias))) is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["cosine", "probe"]
    direction: Array
    threshold: Float32
    bias: Float32 = 0.0


class Term(BaseModel):
    """One addition: alpha times a vector [H] at one place, on some positions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    layer: Annotated[int, Field(ge=0, strict=True)]
    site: Site = "block"
    vector: Array
    alpha: Float32
    positions: Positions = "from_last_prompt_token"
    schedule: Schedule = "constant"
    over: PositiveInt | None = None
    """Steps until a diminishing dose is 0; needed by that schedule alone."""
    given: tuple[Float32, ...] = ()
    """Doses of the steps under the schedule given; its vector may be [S, H], a row per step."""
    condition: Condition | None = None
    residual_norm: PositiveFloat | None = None
    """Mean norm of the residual stream after the layer, if known; no part of what the term does."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.schedule == "diminishing") != (self.over is not None):
            raise ValueError("`over` belongs to the schedule diminishing, and only there")
        if self.given and self.schedule != "given":
            raise ValueError("`given` doses belong to the schedule given, and only there")
        if self.schedule == "given" and self.positions in ("all", "prompt"):
            raise ValueError("given doses are counted from the last prompt token, or the first new")
        if len(self.vector.shape) != (2 if self._by_step else 1):
            raise ValueError(f"a vector has one axis, not the shape {list(self.vector.shape)}")
        if self.positions == "prompt" and self.schedule != "constant":
            raise ValueError("the prompt is read before the first step: its schedule is constant")
        return self

    @property
    def _by_step(self) -> bool:
        return self.schedule == "given" and len(self.vector.shape) == 2

    def content(self, steps: int | None = None) -> str:
        """What the term does, as text; given doses only as far as the first `steps` need them."""
        plain = self.model_dump(
            mode="json", exclude={"vector", "condition", "given", "residual_norm"}
        )
        given = self.given if steps is None else self.given[: max(0, steps)]
        condition = self.condition and self.condition.model_dump(exclude={"direction"})
        direction = self.condition and self.condition.direction.digest
        parts = [plain, self.vector.digest, given, condition, direction]
        return json.dumps(parts, sort_keys=True)


def first_changed(layer: int, site: Site) -> int:
    """The first layer that computes something else where a place's output is another."""
    return layer + (site == "block")


class Residual(Intervention):
    """Base of what adds vectors to hidden states: its additions are all that it does."""

    mechanism: ClassVar[Mechanism] = "residual"

    @abstractmethod
    def additions(self) -> tuple[Term, ...]:
        """All terms, in an order that equal descriptions share; none at the neutral dose."""

    def first_layer(self) -> int | None:
        """That of its first addition, or the one behind a block's output."""
        changed = (first_changed(term.layer, term.site) for term in self.additions())
        return min(changed, default=None)

    def acts_in(self, layer: int) -> bool:
        """Whether an addition is made there."""
        return any(term.layer == layer for term in self.additions())

    def prefix_key(self, length: int, prompt: int) -> str:
        """Nothing is done to positions before the first steered one; after it, P matters too,
        unless all of them are steered alike.
        """
        key = self._prefix_keys.get((length, prompt))
        if key is None:
            key = self._prefix_keys[length, prompt] = self._prefix_key(length, prompt)
        return key

    def _prefix_key(self, length: int, prompt: int) -> str:
        terms = self.additions()
        acting = [term for term in terms if _first(term.positions, prompt) < length]
        if not acting:
            return ""
        if not any(term.given for term in terms):
            alike = all(each.positions == "all" and each.schedule == "constant" for each in acting)
            return f"{self.fingerprint()}:{'' if alike else prompt}"
        # Doses of steps to come do not part sequences that share the steps so far.
        contents = [term.content(length - _origin(term, prompt)) for term in acting]
        return f"{hashlib.sha256(json.dumps(contents).encode()).hexdigest()}:{prompt}"

    @cached_property
    def _prefix_keys(self) -> dict[tuple[int, int], str]:
        """Keys that were asked for: an engine asks for the same few again and again."""
        return {}

    def in_words(self) -> str:
        """Doses, places and positions."""
        return "by " + " and ".join(
            f"{term.alpha:g} at {term.site} {term.layer}, {term.positions}"
            for term in self.additions()
        )


class Doses(NamedTuple):
    """When a term acts on each row, [R] each: positions first <= p < last, fading from `origin`.

    The dose at p is alpha * max(0, 1 - max(0, p - origin) / over); `over` is inf for a constant
    one, and 1 for start_only.
    """

    alpha: Tensor
    first: Tensor
    last: Tensor
    origin: Tensor
    over: Tensor


def spanned(positions: Positions, prompt: int) -> tuple[float, float]:
    """(first, last): positions first <= p < last act, of a sequence with so many prompt tokens."""
    last = float(prompt) if positions == "prompt" else math.inf
    return float(_first(positions, prompt)), last


def timing(term: Term, prompt: int) -> tuple[float, float, float, float, float]:
    """A term's row of `Doses` for a prompt of that many tokens."""
    first, last = spanned(term.positions, prompt)
    over = {"start_only": 1.0, "diminishing": float(term.over or 0)}.get(term.schedule, math.inf)
    return term.alpha, first, last, float(_origin(term, prompt)), over


def doses_at(doses: Doses, positions: Tensor) -> Tensor:
    """The dose of every token: float32 [R, T] for positions [R, T]; padding (-1) has none."""
    import torch

    at = positions.to(torch.float32)
    alpha, first, last, origin, over = (part[:, None] for part in doses)
    fading = (1 - (at - origin).clamp(min=0) / over).clamp(min=0)
    acting = (at >= first) & (at < last) & (positions >= 0)
    return torch.where(acting, alpha * fading, 0.0)


def steer(hidden: Tensor, vectors: Tensor, doses: Tensor) -> Tensor:
    """Return hidden [R, T, H] + doses [R, T] * vectors [R, 1 or T, H], added in float32.

    A token whose dose is 0 is returned bit for bit (x + 0 * v would turn -0.0 into 0.0). One whose
    squares float32 cannot sum is NaN: a norm would make zeros of it, and the model's answer would
    be the same for every input, drawn from finite numbers.
    """
    import torch

    steered = hidden.float() + doses[..., None] * vectors
    squares = torch.einsum("rth,rth->rt", steered, steered)
    steered = steered.masked_fill(squares.isinf()[..., None], torch.nan)
    return torch.where((doses != 0)[..., None], steered.to(hidden.dtype), hidden)


def fires(
    hidden: Tensor, directions: Tensor, thresholds: Tensor, biases: Tensor, cosine: Tensor
) -> Tensor:
    """Whether each row's condition holds at each token: bool [R, T].

    hidden [R, T, H] before steering, directions [R, H], the rest [R]; `cosine` says which of the
    two kinds a row's condition is.
    """
    import torch

    states = hidden.float()
    dots = torch.einsum("rth,rh->rt", states, directions)
    lengths = states.norm(dim=-1) * directions.norm(dim=-1)[:, None]
    cosines = dots / lengths.clamp(min=torch.finfo(torch.float32).tiny)
    probabilities = torch.sigmoid(dots + biases[:, None])
    score = torch.where(cosine[:, None], cosines, probabilities)
    return score > thresholds[:, None]


def check_terms(terms: Iterable[Term], *, layers: int, width: int) -> None:
    """Raise FieldError for a term that a model with so many layers of that width cannot take."""
    for term in terms:
        if term.layer >= layers:
            raise FieldError(
                "intervention.layer",
                f"there is no layer {term.layer}; the model's layers are 0-{layers - 1}",
            )
        vectors = [term.vector]
        if term.condition is not None:
            vectors.append(term.condition.direction)
        for vector in vectors:
            if vector.shape[-1] != width:
                raise FieldError(
                    "intervention.vector",
                    f"a vector of shape {list(vector.shape)} at layer {term.layer}, but the "
                    f"model's hidden states have {width} numbers",
                )


def _origin(term: Term, prompt: int) -> int:
    """The position of step 0."""
    return prompt if term.positions == "generated" else prompt - 1


def _first(positions: Positions, prompt: int) -> int:
    """The first steered position."""
    return {"generated": prompt, "from_last_prompt_token": prompt - 1}.get(positions, 0)
