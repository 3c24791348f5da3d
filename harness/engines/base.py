"""What an engine is: requests in, completions out, in whatever order they finish.

- `generate` takes requests that may all differ in prompt, intervention and sampling; they share
  batches. It yields `(index, completion)` as each finishes, so memory does not grow with the queue.
- `forward` reads a model on given tokens (teacher forcing) and yields what was to be captured.
- A request that cannot be run becomes a completion whose `finish_reason` is `"error"`; the
  requests beside it go on. An engine raises only for what concerns all requests.
- An engine knows token ids and nothing of tasks, specs or scores. `fingerprint` says everything
  that may change its numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from harness.interventions.base import Intervention
from harness.spec.steering_terms import Site

if TYPE_CHECKING:
    import torch

FinishReason = Literal["stop", "length", "non_finite", "error"]


@dataclass(frozen=True, slots=True)
class SamplingRules:
    """How the next token is drawn from the model's distribution.

    `temperature` 0 is greedy (the first of equal maxima). Otherwise logits are divided by it, then
    the candidate set is cut to the `top_k` most probable, to the smallest set whose mass reaches
    `top_p`, and to those with at least `min_p` of the best one's probability.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """When a sequence ends before its length limit.

    Stop tokens end a sequence and are kept in `Completion.tokens`, never in its text. A stop
    string ends it as soon as the text contains it; the text is cut in front of it.
    """

    tokens: frozenset[int] = frozenset()
    strings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence to generate. Frozen and hashable: equal requests have equal completions.

    `seed`, `sample` and `draw` key the randomness together with the position, so that a draw does
    not depend on what a request is batched with, and so that the conditions of a sweep share it.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    intervention: Intervention | None = None
    sampling: SamplingRules = SamplingRules()
    stop: Stop = Stop()
    seed: int = 0
    sample: str = ""
    draw: int = 0

    def key(self) -> str:
        """SHA-256 (hex) of the request's content."""
        content = {
            "prompt": self.prompt,
            "max_new_tokens": self.max_new_tokens,
            "intervention": self.intervention.fingerprint() if self.intervention else None,
            "sampling": [
                self.sampling.temperature,
                self.sampling.top_k,
                self.sampling.top_p,
                self.sampling.min_p,
            ],
            "stop": [sorted(self.stop.tokens), self.stop.strings],
            "randomness": [self.seed, self.sample, self.draw],
        }
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for a request.

    `log_probabilities` are natural logarithms of the model's own probability (intervention
    included, sampling rules not) of each token in `tokens`. `counts` is what the intervention
    counted while this sequence ran, for example routing decisions changed by a mask.
    """

    tokens: tuple[int, ...]
    text: str
    finish_reason: FinishReason
    log_probabilities: tuple[float, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """What `forward` brings back. `positions` are token indices; None means every position."""

    router_logits: bool = False
    hidden_layers: tuple[int, ...] = ()
    hidden_site: Site = "block"
    attention_layers: tuple[int, ...] = ()
    token_log_probabilities: bool = False
    top_log_probabilities: int = 0
    positions: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One sequence to read with teacher forcing: its tokens, and what is done to the model.

    `prompt` says how many of the tokens are the prompt: interventions may treat it differently.
    """

    tokens: tuple[int, ...]
    capture: Capture
    intervention: Intervention | None = None
    prompt: int = 0


@dataclass(frozen=True, slots=True)
class Activations:
    """What was captured for one reading, on the CPU in float32; P is the number of positions.

    router_logits: [L, P, E], the gate's own logits before any mask, with L counting the layers
    that have a router, in order. hidden: {layer: [P, H]}, the output of the layer's hidden site.
    attentions: {layer: [heads, P, S]}, the weights over the S tokens of the reading.
    token_log_probabilities: [P], of each token given those before it; 0 for position 0.
    top_tokens (int64), top_log_probabilities: [P, k], the k most probable tokens to come *after*
    each position, best first.
    """

    router_logits: torch.Tensor | None = None
    hidden: Mapping[int, torch.Tensor] = field(default_factory=dict)
    attentions: Mapping[int, torch.Tensor] = field(default_factory=dict)
    token_log_probabilities: torch.Tensor | None = None
    top_tokens: torch.Tensor | None = None
    top_log_probabilities: torch.Tensor | None = None


class Engine(Protocol):
    """The contract between the planner and whatever runs a model."""

    @property
    def tokenizer(self) -> Any:
        """The model's own tokenizer, as transformers gives it."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, configuration, dtype, attention kernel and library versions."""

    @property
    def determinism(self) -> Mapping[str, str]:
        """The settings behind `fingerprint` that may change numerics, by name, for the report."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(position in requests, completion)` as requests finish, in any order."""

    def forward(self, readings: Iterable[Reading]) -> Iterator[tuple[int, Activations]]:
        """Yield `(position in readings, activations)` as readings finish, in any order."""

    def close(self) -> None:
        """Give the model's memory back; the engine cannot be used afterwards."""
