"""The mechanism `policy`: what the model says at a step decides what is done at the next one.

For every sequence an engine asks a policy's `Course` what to do next, at every step as often as it
takes: a `Probe` asks for distributions of the token to come, whose tokens are not kept; a `Draw`
draws the token, under an intervention that the engine can apply by itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from harness.interventions.base import Intervention
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Probe:
    """What the model would say next under each of these; None is the model as it is."""

    under: tuple[Intervention | None, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw the next token under this, or with `rest` all that are left, in one piece."""

    under: Intervention | None
    rest: bool = False


Next: TypeAlias = Probe | Draw


class Course(Protocol):
    """What a policy decides for one sequence, step after step, with all that it remembers."""

    def next(self, step: int, distributions: Sequence[Tensor]) -> Next:
        """What to do at the step of the token to come.

        `distributions` are log-probabilities [V]: the answers to the probe that was asked for last
        at this step, in its order; none when the step begins.
        """

    def traces(self, tokens: int) -> Mapping[str, tuple[float, ...]]:
        """Numbers by name that were decided for the first so many tokens, one for each."""


class Policy(Intervention):
    """Base of what is decided token by token. It acts while generating: no given text is read so.

    At the neutral dose nothing is decided: `at_rest` alone is applied.
    """

    mechanism: ClassVar[Mechanism] = "policy"

    @abstractmethod
    def course(self) -> Course:
        """A new sequence's, of which nothing is decided."""

    @abstractmethod
    def at_rest(self) -> Intervention | None:
        """What its neutral dose does: an intervention that changes nothing, or none."""

    @abstractmethod
    def rows(self, tokens: int) -> tuple[Intervention | None, ...]:
        """What needs room beside each other for a sequence of so many new tokens at most.

        The first one is what is drawn under; where it can be applied, the policy can be followed.
        """
