"""A guidance that asks nobody: an answer is the model's own, and how sure it was is told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self

from harness.interventions.certainty import of_steps
from harness.interventions.policy import AUTHOR, STEP, Draw, Guidance, Next, Probed, Underway

if TYPE_CHECKING:
    from torch import Tensor


class LookingBack(Guidance):
    """Leaves every token as it is, and has the whole answer read once more."""

    kind: Literal["looking_back"] = "looking_back"
    beside: tuple[str, ...] = ()
    """Engines that read the answer next: they make room for it with the one that says it."""

    def neutral(self) -> Self:
        """The same: it changes nothing."""
        return self

    @property
    def is_neutral(self) -> bool:
        """No: at rest it would tell nothing."""
        return False

    def engines(self) -> tuple[str, ...]:
        """Those beside it, which are asked for nothing."""
        return self.beside

    @property
    def looks_back(self) -> bool:
        """It does nothing else."""
        return True

    def seen(self, logits: Tensor, scores: Tensor | None) -> Mapping[str, tuple[float, ...]]:
        """How sure the model was at every step."""
        return {f"{STEP} {name}": told for name, told in of_steps(logits, scores).items()}

    @cached_property
    def _digest(self) -> str:
        # Names say where engines are found, and not what they are.
        return hashlib.sha256(self.kind.encode()).hexdigest()

    def course_of(self, sequence: Underway) -> AllItsOwn:  # noqa: ARG002 - the same for every one
        """In one piece."""
        return AllItsOwn()


class AllItsOwn:
    """An answer that nobody else writes in."""

    def next(self, step: int, answers: Sequence[Probed]) -> Next:  # noqa: ARG002 - nothing is asked
        """All of it."""
        return Draw(None, rest=True)

    def traces(self, tokens: int) -> Mapping[str, tuple[float, ...]]:
        """Every token is the model's own."""
        return {AUTHOR: (0.0,) * tokens}
