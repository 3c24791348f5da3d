"""What an engine is: requests in, completions and scores out, in whatever order they finish.

- `generate` takes requests that may all differ in prompt, intervention and sampling; they share
  batches. It yields `(index, completion)` as each finishes, so memory does not grow with the queue.
- `score` takes contexts with given continuations, as different as those requests, and yields how
  probable every token of the continuations is. A context is read once for all that follow it.
- `forward` reads a model on given tokens (teacher forcing) and yields what was to be captured.
- A request that cannot be run becomes a completion whose `finish_reason` is `"error"`, and a
  scoring that cannot be run a `Scored` with an `error`; those beside it go on. One that could be
  run, and that the engine got no usable answer to, is `"failed"`: nothing is known of its sample.
  An engine raises only for what concerns all of them.
- An engine knows token ids and nothing of tasks, specs or scores. `fingerprint` says everything
  that may change its numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from harness.interventions.base import Intervention
from harness.sampling import CountRule, MaskRule, Rule, StatefulRule, Value, registered, rules
from harness.sampling.composition import COMPOSITIONS, DEFAULT
from harness.spec.steering_terms import Site

if TYPE_CHECKING:
    import torch

FinishReason = Literal["stop", "length", "non_finite", "error", "failed"]
State: TypeAlias = tuple[tuple[str, tuple[float, ...]], ...]
"""What stateful sampling rules keep of a sequence, by the rules' names."""


class SamplingRules(Mapping[str, Value]):
    """How the next token is drawn from the model's distribution: sampling rules and their values.

    `SamplingRules(temperature=1.0, top_k=5)`; rules that are left out are neutral, and neutral
    ones are left out, so that what draws alike is equal. With none, decoding is greedy: the first
    of the most probable tokens. Immutable and hashable; in the order in which the rules act, which
    `compose` says (`harness.sampling.composition`). Rules that are `tried` act although they are
    neutral: that they change nothing is then seen, and not assumed.

    Raises:
        RegistryError: a name that is not a registered rule.
    """

    __slots__ = ("_values", "acting", "compose", "random", "tried")

    def __init__(
        self, *, compose: str = DEFAULT, tried: Iterable[str] = (), **values: Value
    ) -> None:
        composition = COMPOSITIONS[compose]
        found = sorted(
            ((rules.get(name), value) for name, value in values.items()),
            key=lambda each: composition.place(each[0]),
        )
        self.random = any(rule.draws and not rule.is_neutral(value) for rule, value in found)
        """Whether tokens are drawn at random."""
        self.tried = frozenset(tried if self.random else ())
        self._values = {
            rule.name: value
            for rule, value in found
            if rule.name in self.tried or not rule.is_neutral(value)
        }
        every: list[Rule] = [rule for rule, _ in found if rule.name in self._values]
        self.acting = tuple(
            composition.variants.get(rule.name, rule)
            for rule in every
            if self.random or not (rule.keeps_best or isinstance(rule, CountRule | MaskRule))
        )
        """The rules that can make a difference; none where decoding is plainly greedy."""
        self.compose = compose if self.acting else DEFAULT
        """In which order they act; the default where none does."""

    @property
    def stateful(self) -> tuple[StatefulRule, ...]:
        """Those of them that keep a state."""
        return tuple(rule for rule in self.acting if isinstance(rule, StatefulRule))

    @property
    def content(self) -> list[Any]:
        """What a request's key says of them."""
        own = [
            part
            for rule in registered()
            for part in rule.content(self._values.get(rule.name, rule.neutral))
        ]
        own += [] if self.compose == DEFAULT else [["compose", self.compose]]
        return own + ([["tried", *sorted(self.tried)]] if self.tried else [])

    def plain(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        values = {name: rules.get(name).plain(value) for name, value in self._values.items()}
        return {"compose": self.compose, "tried": sorted(self.tried), "values": values}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> SamplingRules:
        """The rules that `plain` wrote."""
        values = {name: rules.get(name).value(each) for name, each in plain["values"].items()}
        return cls(compose=plain["compose"], tried=plain["tried"], **values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SamplingRules):
            return self._identity == other._identity
        return isinstance(other, Mapping) and dict(self) == dict(other)

    def __hash__(self) -> int:
        return hash((frozenset(self._values.items()), self.compose))

    @property
    def _identity(self) -> tuple[Any, ...]:
        return self._values, self.compose, self.tried

    def __reduce__(self) -> tuple[Any, ...]:
        # Rules are found anew where they are registered.
        return _rules_of, (self._values, self.compose, self.tried)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self._values.items()]
        given += [] if self.compose == DEFAULT else [f"compose={self.compose!r}"]
        given += [f"tried={sorted(self.tried)}"] if self.tried else []
        return f"SamplingRules({', '.join(given)})"


def _rules_of(values: Mapping[str, Value], compose: str, tried: frozenset[str]) -> SamplingRules:
    return SamplingRules(compose=compose, tried=tried, **values)


_GREEDY = SamplingRules()


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
    The last `continued` tokens of the prompt were generated by earlier requests of the same
    sequence: to interventions, to the randomness and to stop strings they are generated tokens and
    no prompt, and the completion's text begins with theirs.
    With `distribution`, the completion brings back what its last token was drawn from; with
    `logged`, its traces tell of every step (`decoding/step_log.py`). `state` is
    what stateful sampling rules keep after the tokens that are continued: `Completion.state`.
    `engine` says who is asked, where a run has several (`company.py`), and `prompts` are the same
    prompt in the tokens of others that may be asked to go on, where these have tokens of their own.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    intervention: Intervention | None = None
    sampling: SamplingRules = _GREEDY
    stop: Stop = Stop()
    seed: int = 0
    sample: str = ""
    draw: int = 0
    continued: int = 0
    distribution: bool = False
    state: State = ()
    engine: str = ""
    logged: bool = False
    prompts: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt proper."""
        return len(self.prompt) - self.continued

    def after(self, completion: Completion, max_new_tokens: int) -> Request:
        """The request that goes on where a completion of this one has ended."""
        return replace(
            self,
            prompt=(*self.prompt, *completion.tokens),
            max_new_tokens=max_new_tokens,
            continued=self.continued + len(completion.tokens),
            state=completion.state,
        )

    def key(self) -> str:
        """SHA-256 (hex) of the request's content; the same for every engine."""
        content = {
            "prompt": self.prompt,
            "max_new_tokens": self.max_new_tokens,
            "intervention": self.intervention.fingerprint() if self.intervention else None,
            "sampling": self.sampling.content,
            "stop": [sorted(self.stop.tokens), self.stop.strings],
            "randomness": [self.seed, self.sample, self.draw],
            "continued": self.continued,
            "distribution": self.distribution,
            # Left out where empty: keys of completions stored before states existed stay the same.
            **({"state": self.state} if self.state else {}),
            **({"logged": True} if self.logged else {}),
            **({"prompts": [prompt for _, prompt in self.prompts]} if self.prompts else {}),
        }
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for a request.

    `log_probabilities` are natural logarithms of the model's own probability (intervention
    included, sampling rules not) of each token in `tokens`. `counts` is what the intervention
    counted while this sequence ran, for example routing decisions changed by a mask. `traces` are
    numbers per generated token, by name, for example the doses that were chosen. `states` are what
    stateful sampling rules keep of this sequence after its last token, by the rules' names.
    `distribution` is the model's log-probabilities [V] where the last token was drawn, if the
    request asked for it. `answer` is what a server said, as JSON, of an engine that asks one; it
    does not make completions differ.
    """

    tokens: tuple[int, ...]
    text: str
    finish_reason: FinishReason
    log_probabilities: tuple[float, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    traces: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    states: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    distribution: torch.Tensor | None = field(default=None, compare=False, repr=False)
    answer: Any = field(default=None, compare=False, repr=False)

    @property
    def state(self) -> State:
        """The states, as the request carries them that continues this completion."""
        return tuple(sorted(self.states.items()))


@dataclass(frozen=True, slots=True)
class Scoring:
    """Continuations of one context, to be scored and not generated. Frozen and hashable.

    Nothing of it is random, so that equal scorings always have equal scores. Interventions
    treat the context as a prompt and a continuation as generated tokens; the last `continued`
    tokens of the context are generated ones, too, as in a `Request`. `engine` says who is asked.
    """

    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]
    intervention: Intervention | None = None
    continued: int = 0
    engine: str = ""

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt proper."""
        return len(self.context) - self.continued

    def key(self) -> str:
        """SHA-256 (hex) of the scoring's content; the same for every engine, never a request's."""
        content = {
            "context": self.context,
            "continuations": self.continuations,
            "intervention": self.intervention.fingerprint() if self.intervention else None,
            "continued": self.continued,
        }
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Scored:
    """What came back for a scoring: per continuation, in their order, one value per token.

    `log_probabilities` are natural logarithms of the model's own probability (intervention
    included) of each token given the context and the tokens before it. `greedy` says of each token
    whether no other is more probable there, so that greedy decoding might have chosen it. The first
    token behind an empty context is given rather than predicted: 0.0 and not greedy, as in
    `Activations`. `counts` is what the intervention counted, summed over the continuations as if
    each had been read alone, its last token left out as in a completion. With an `error` all of it
    is empty. `answers` are what a server said of each continuation, as in `Completion.answer`.
    """

    log_probabilities: tuple[tuple[float, ...], ...] = ()
    greedy: tuple[tuple[bool, ...], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    answers: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    @property
    def tokens(self) -> int:
        """Tokens that were scored."""
        return sum(map(len, self.log_probabilities))


Asked: TypeAlias = Request | Scoring
"""What has a key, is stored under it and is made once for all who ask it."""

Reply: TypeAlias = Completion | Scored
"""What comes back for it; both say by `error` why nothing does."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What `forward` brings back. `positions` are token indices; None means every position."""

    router_logits: bool = False
    hidden_layers: tuple[int, ...] = ()
    hidden_site: Site = "block"
    attention_layers: tuple[int, ...] = ()
    token_log_probabilities: bool = False
    top_log_probabilities: int = 0
    logits: bool = False
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
    logits: [P, V], the model's raw logits of the token to come after each position.
    """

    router_logits: torch.Tensor | None = None
    hidden: Mapping[int, torch.Tensor] = field(default_factory=dict)
    attentions: Mapping[int, torch.Tensor] = field(default_factory=dict)
    token_log_probabilities: torch.Tensor | None = None
    top_tokens: torch.Tensor | None = None
    top_log_probabilities: torch.Tensor | None = None
    logits: torch.Tensor | None = None


class Watch(Protocol):
    """Whom an engine tells what it does between two completions; must cost next to nothing."""

    def read(self, tokens: int) -> None:
        """So many tokens of prompts were read."""

    def step(self, lengths: Sequence[int]) -> None:
        """A pass advanced what is in flight: the tokens that each sequence has generated."""

    def flying(self, lengths: Sequence[int]) -> None:
        """The sequences in flight after others were let in, with the tokens generated by each."""


class Engine(Protocol):
    """The contract between the planner and whatever runs a model."""

    watch: Watch | None
    """Told of every pass of `generate`; None where no caller watches."""

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

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        """Yield `(position in scorings, scored)` as scorings finish, in any order."""

    def forward(self, readings: Iterable[Reading]) -> Iterator[tuple[int, Activations]]:
        """Yield `(position in readings, activations)` as readings finish, in any order."""

    def readout(self, hidden: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [..., V] of the next token, read from the output [..., H] of any block
        by the model's own final norm and head. Raises `ModelError` where a model has no such head.
        """

    def close(self) -> None:
        """Give the model's memory back; the engine cannot be used afterwards."""
