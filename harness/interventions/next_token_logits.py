"""The mechanism `next_token_logits`: what the model says of the next token, before one is drawn.

Shapes: N predictions, V tokens of the vocabulary. A kind derives its description from
`NextTokenLogits`: `rows` says what a dose is, as tensors, and `changed` is the pure function that
engines call on logits, before probabilities are taken and sampling rules applied.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from harness.interventions.base import Intervention
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from torch import Tensor


class NextTokenLogits(Intervention):
    """Base of what changes logits; hidden states are never touched."""

    mechanism: ClassVar[Mechanism] = "next_token_logits"

    @abstractmethod
    def rows(self, vocabulary: int) -> Mapping[str, Tensor]:
        """The dose, as tensors by name: one row, to which engines add the axis of predictions.

        Rows that are all 0 do nothing. Every description of a class has the same names, shapes
        and types. Raises FieldError for what a model with a vocabulary of this size does not have.
        """

    @staticmethod
    @abstractmethod
    def changed(logits: Tensor, rows: Mapping[str, Tensor], steps: Tensor) -> Tensor:
        """The logits [N, V] of N predictions, given the model's own and rows [N, ...] of each.

        `steps` [N] count the tokens generated before; less than 0 inside of a prompt. Only called
        for predictions of sequences whose rows are not all 0.
        """

    def first_layer(self) -> int | None:
        """None: the layers are left alone."""
        return None

    def acts_in(self, layer: int) -> bool:  # noqa: ARG002 - in none
        """No."""
        return False

    def prefix_key(self, length: int, prompt: int) -> str:  # noqa: ARG002 - as every kind's
        """States of prefixes are those of the model as it is."""
        return ""
