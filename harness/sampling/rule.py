"""What a sampling rule is: how a spec sets it, what keys say of it, and what it does to rows.

- A `LogitsRule` gives other logits, with -inf for what it masks.
- A `CountRule` says how many of the most probable tokens it keeps. Rules of this kind that follow
  each other share one sort of the vocabulary.
- A `StatefulRule` changes logits, too, and keeps some numbers per row from token to token. They
  come back with the completion, and a request that continues it brings them along.

Shapes: R rows, V vocabulary; logits are float32, -inf for tokens that are out already. Rows never
feel each other: a row at the neutral value is left as it is, bit for bit, beside any other row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor, device

Value: TypeAlias = Any
"""What a spec says of a rule: a number, a text, true or false, or null."""


class Rule:
    """Base of the three kinds of rules; a rule is stateless, and one object of its class."""

    name: ClassVar[str]
    """Under which it is registered, and its field in a spec's section `sampling`."""
    field: ClassVar[Any]
    """The field's type with its bounds, as pydantic takes it; its values are hashable."""
    description: ClassVar[str]
    """The field in a full sentence or two: what it does, its unit, its default."""
    neutral: ClassVar[Value]
    """The default, at which nothing is changed."""
    place: ClassVar[int]
    """Where it acts: rules act in the order of their places, built-in ones from 0 to 40."""
    draws: ClassVar[bool] = False
    """Whether rows draw at random wherever it is not neutral; without such a rule a row is greedy,
    and takes the first of the most probable tokens."""
    keeps_best: ClassVar[bool] = False
    """Whether the first of the most probable tokens always stays the first: such a rule changes
    nothing in a greedy row, and is not run for it."""
    column: ClassVar[int | None] = None
    """Where its bare value is in keys; for rules that are older than names in keys."""

    # What the identities of sampling try.
    idle: ClassVar[Value] = None
    """A value at which it runs and changes nothing; None where there is none but the neutral."""
    strictest: ClassVar[Value] = None
    """A value that leaves the most probable token alone; None where none does."""
    example: ClassVar[Value] = None
    """A value at which it makes a difference; None keeps it out of most identities."""

    def content(self, value: Value) -> tuple[Any, ...]:
        """What a request's key says of it: nothing at the neutral value, so that the keys of what
        is stored stay when a rule is added.
        """
        return () if value == self.neutral else ([self.name, value],)

    def tensors(self, rows: Sequence[Value], device: device) -> Tensor:
        """The values of R rows as a tensor [R, ...] (float32 [R], unless a rule wants another)."""
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


class CountRule(Rule):
    """A rule that keeps some of the most probable tokens."""

    keeps_best = True

    def apply(self, ordered: Tensor, rows: Tensor) -> Tensor:
        """How many tokens each row keeps, int64 [R], of logits [R, V] in descending order.

        Less than 1 is taken for 1, so that the most probable token stays.
        """
        raise NotImplementedError


class StatefulRule(Rule):
    """A rule that keeps numbers per row; a row at the neutral value has none that matter."""

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
