"""What a sampling rule is: how a spec sets it, what keys say of it, and what it does to rows.

- A `LogitsRule` gives other logits.
- A `MaskRule` says which tokens it keeps, a `CountRule` how many of the most probable ones. Count
  rules that follow each other share one sort of the vocabulary. Both are cuts of what is drawn
  from: a greedy row has none.
- A `StatefulRule` gives other logits, too, and keeps some numbers per row from token to token. They
  come back with the completion, and a request that continues it brings them along.

Shapes: R rows, V vocabulary; logits are float32, -inf for tokens that are out already. A rule is
asked for the rows in which it is not neutral, and for no others; rows never feel each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from torch import Tensor, device

Value: TypeAlias = Any
"""What a spec says of a rule: a number, a text, true or false, or null."""


@lru_cache(maxsize=64)
def _adapter(field: Any) -> TypeAdapter[Any]:
    return TypeAdapter(field)


class Rule:
    """Base of the four kinds of rules; a rule is stateless, and one object of its class."""

    name: ClassVar[str]
    """Under which it is registered, and its field in a spec's section `sampling`."""
    field: ClassVar[Any]
    """The field's type with its bounds, as pydantic takes it; its values are hashable."""
    description: ClassVar[str]
    """The field in a full sentence or two: what it does, its unit, its default."""
    neutral: ClassVar[Value]
    """The default, at which nothing is changed."""
    place: ClassVar[int]
    """Where it acts: rules act in the order of their places, built-in ones from 0 to 70, unless
    `sampling.compose` gives some of them another place."""
    excludes: ClassVar[frozenset[str]] = frozenset()
    """Names of rules that mean nothing beside this one, such as a second temperature."""
    draws: ClassVar[bool] = False
    """Whether rows draw at random wherever it is not neutral; without such a rule a row is greedy,
    and takes the first of the most probable tokens."""
    keeps_best: ClassVar[bool] = False
    """Whether the first of the most probable tokens always stays the first: such a rule changes
    nothing in a greedy row, and is not run for it."""
    weakens: ClassVar[bool] = False
    """Whether a higher value does less, as that of top_k, so that no curve rises from its neutral
    value on and no dose is read from one."""
    on_servers: ClassVar[frozenset[str]] = frozenset()
    """The roads (`engine.road`) on which servers have it under its name, defined as it is here."""
    in_transformers: ClassVar[str | None] = None
    """What transformers' generation settings call it, where they have another name for it."""
    column: ClassVar[int | None] = None
    """Where its bare value is in keys; for rules that are older than names in keys."""

    # What the identities of sampling try.
    idle: ClassVar[Value] = None
    """A value at which it runs and changes nothing; None where there is none but the neutral."""
    strictest: ClassVar[Value] = None
    """A value that leaves the most probable token alone; None where none does."""
    example: ClassVar[Value] = None
    """A value at which it makes a difference; None keeps it out of most identities."""

    def is_neutral(self, value: Value) -> bool:
        """Whether nothing is changed at this value."""
        return bool(value == self.neutral)

    def content(self, value: Value) -> tuple[Any, ...]:
        """What a request's key says of it: nothing at the neutral value, so that the keys of what
        is stored stay when a rule is added.
        """
        return () if self.is_neutral(value) else ([self.name, self.plain(value)],)

    def plain(self, value: Value) -> Any:
        """A value as JSON has it."""
        return _adapter(self.field).dump_python(value, mode="json")

    def value(self, plain: Any) -> Value:
        """The value that `plain` wrote."""
        return _adapter(self.field).validate_python(plain)

    def fitted_on(self, value: Value) -> Collection[str]:
        """Digests of the samples (`Task.digest`) that the value was fitted on, and that it may not
        be tested on.
        """
        del value
        return ()

    def files(self, value: Value) -> Sequence[Path]:
        """The files that the value was read from."""
        del value
        return ()

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """The values of R rows as a tensor [R, ...] (float32 [R], unless a rule wants another).

        None of them is neutral.
        """
        import torch

        return torch.tensor(rows, dtype=torch.float32, device=device)

    def excluded(
        self, value: Value, score: float, best: Sequence[float], slack: float
    ) -> str | None:
        """Why a token cannot have been drawn, or None: the rule's definition once more, in numbers.

        Args:
            value: The rule's value; nothing else acts, but for a temperature of 1.
            score: The token's log-probability.
            best: Log-probabilities of the most probable tokens, best first.
            slack: How far rounding may have moved them, in nats.
        """
        del value, score, best, slack
        return None


class LogitsRule(Rule):
    """A rule that gives every row other logits."""

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Logits [R, V] of the rows whose values `tensors` gave; what is given is not changed."""
        raise NotImplementedError


class MaskRule(Rule):
    """A rule that keeps some tokens, whether or not these are the most probable ones."""

    def apply(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Which tokens each row keeps, bool [R, V], of logits [R, V]; at least one is kept."""
        raise NotImplementedError


class CountRule(Rule):
    """A rule that keeps some of the most probable tokens; of equally probable ones the first."""

    keeps_best = True

    def most(self, value: Value) -> int | None:
        """How many tokens it looks at, with those that tie with the last of them, at a value, so
        that a full sort is not needed; None, the default, where it looks at all.
        """
        del value
        return None

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """How many tokens each row keeps, int64 [R], of logits [R, V] in descending order.

        Less than 1 is taken for 1, so that the most probable token stays. Where `most` says so, the
        tokens beyond these are left out or -inf.
        """
        raise NotImplementedError


class StatefulRule(Rule):
    """A rule that keeps numbers per row."""

    width: ClassVar[int]
    """How many numbers, each a float32."""

    def initial(self, value: Value, prompt: Sequence[int]) -> tuple[float, ...]:
        """The state before the first token after a prompt."""
        raise NotImplementedError

    def apply(self, logits: Tensor, rows: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [R, V] and states [R, width] of rows; what is given is not changed."""
        raise NotImplementedError

    def drawn(
        self, tokens: Tensor, log_probabilities: Tensor, rows: Tensor, state: Tensor
    ) -> Tensor:
        """The states [R, width] after tokens [R] were drawn.

        `log_probabilities` [R] are the model's own of these tokens, without any rule.
        """
        del tokens, log_probabilities, rows
        return state
