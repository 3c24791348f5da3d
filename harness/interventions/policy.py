"""The mechanisms `policy` and `guidance`: what is said at a step decides what is done at the next.

For every sequence a policy's `Course` is asked what to do next, at every step as often as it takes:
a `Probe` asks for distributions of the token to come, whose tokens are not kept; a `Draw` draws the
token, or some more, under an intervention that an engine can apply by itself. A `Policy` is
followed by one engine; a `Guidance` by a company of several (`harness.engines.company`), which its
probes and draws name.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from harness.interventions.base import Intervention
from harness.interventions.steering_terms import Site
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from torch import Tensor


#: Of guided answers, by token: 0 its own, n another engine's when it was asked n times.
AUTHOR = "author"
#: Before the name of a number that is told of the model where each token was to come.
STEP = "step"


@dataclass(frozen=True, slots=True)
class Probe:
    """What the model would say next under each of these; None is the model as it is.

    `engines` are who is asked, one for each of them: the sequence's own ("") where left out. With
    the answers of the own engine comes what is to be seen of the pass that reads the last token:
    the last layer's `attention`, and the `hidden` state at a layer's site.
    """

    under: tuple[Intervention | None, ...]
    engines: tuple[str, ...] = ()
    attention: bool = False
    hidden: tuple[int, Site] | None = None

    @property
    def asked(self) -> list[tuple[Intervention | None, str]]:
        """What is asked of whom."""
        return list(zip(self.under, self.engines or [""] * len(self.under), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """What a probe brings back of one engine.

    Args:
        distribution: Log-probabilities [V] of the token to come.
        attention: Weights and scores [2, heads, K] of the last layer at the last token, over the K
            tokens that it may see, where the probe asks for them.
        hidden: The state [H] at the last token, where the probe asks for it.
    """

    distribution: Tensor
    attention: Tensor | None = None
    hidden: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw so many tokens under this, or with `rest` all that are left, in one piece.

    `engine` is who says them, "" the sequence's own. Another one always says its best token: rules
    of sampling are the own model's.
    """

    under: Intervention | None
    rest: bool = False
    tokens: int = 1
    engine: str = ""


Next: TypeAlias = Probe | Draw


class Underway(Protocol):
    """A sequence that is decided for: what was asked for, and what is written so far."""

    @property
    def sample(self) -> str:
        """The sample that it answers."""

    @property
    def draw(self) -> int:
        """Which of the sample's completions it is."""

    @property
    def limit(self) -> int:
        """How many tokens it may come to."""

    def text(self, first: int = 0) -> str:
        """What is written, from the token `first` on."""


class Course(Protocol):
    """What a policy decides for one sequence, step after step, with all that it remembers."""

    def next(self, step: int, answers: Sequence[Probed]) -> Next:
        """What to do at the step of the token to come.

        `answers` are those to the probe that was asked for last at this step, in its order; none
        when the step begins.
        """

    def traces(self, tokens: int) -> Mapping[str, tuple[float, ...]]:
        """Numbers by name that were decided for the first so many tokens, one for each."""


class Deciding(Intervention):
    """Base of what is decided as it generates: no given text is read so.

    At the neutral dose nothing is decided: `at_rest` alone is applied.
    """

    @abstractmethod
    def course_of(self, sequence: Underway) -> Course:
        """What decides for a new sequence, of which nothing is written."""

    @abstractmethod
    def at_rest(self) -> Intervention | None:
        """What its neutral dose does: an intervention that changes nothing, or none."""

    @abstractmethod
    def rows(self, tokens: int) -> tuple[Intervention | None, ...]:
        """What needs room beside each other for a sequence of so many new tokens at most.

        The first one is what is drawn under; where it can be applied, the policy can be followed.
        """


class Policy(Deciding):
    """Base of what one engine follows by itself, token by token."""

    mechanism: ClassVar[Mechanism] = "policy"

    @abstractmethod
    def course(self) -> Course:
        """A new sequence's, of which nothing is decided."""

    def course_of(self, sequence: Underway) -> Course:  # noqa: ARG002 - the same for every sequence
        """The same, whatever the sequence."""
        return self.course()


class Guidance(Deciding):
    """Base of what several engines follow together: another one may say a part of the answer.

    Every engine can take part, as who is asked draws under no intervention.
    """

    mechanism: ClassVar[Mechanism] = "guidance"

    @abstractmethod
    def engines(self) -> tuple[str, ...]:
        """The engines beside the sequence's own that contribute; none at the neutral dose."""

    @property
    def asks_by(self) -> str:
        """By what another engine is asked, in a word; the kind where there is one way only."""
        return self.kind

    @property
    def tokens_of_help(self) -> int | str | None:
        """How many tokens another engine says when it is asked, as its section says it; None where
        that is not fixed.
        """
        return None

    @property
    def promised(self) -> Mapping[str, float] | None:
        """What was fitted to be kept on other samples (`harness.report.help_report.PromiseReport`,
        field by field); None where nothing was.
        """
        return None

    @property
    def fitted_on(self) -> Mapping[str, float | str | None] | None:
        """The samples that a threshold of it was fitted on, none of which is evaluated
        (`harness.report.help_report.FittedReport`, field by field); None where none was.
        """
        return None

    @property
    def looks_back(self) -> bool:
        """Whether the own engine reads an answer once more when it is whole."""
        return False

    def seen(self, logits: Tensor, scores: Tensor | None) -> Mapping[str, tuple[float, ...]]:  # noqa: ARG002 - for those that look back
        """What is told of the T tokens of an answer, by name, a number for each.

        `logits` [T, V] are those that each token follows, and `scores` [heads, T, S] the last
        layer's scaled attention scores there, -inf where nothing is seen; None where the engine's
        kernel does not show them.
        """
        return {}

    def at_rest(self) -> None:
        """Nothing."""
        return

    def rows(self, tokens: int) -> tuple[Intervention | None, ...]:  # noqa: ARG002 - of any length
        """The own model as it is."""
        return (None,)
