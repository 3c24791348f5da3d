"""A road to a server: how a request becomes a question, and an answer a completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from harness.engines.contract import Completion, Request
from harness.engines.served.answers import ServerAnswer
from harness.engines.served.client import Call
from harness.errors import ModelError, RequestError
from harness.models.end_tokens import end_tokens
from harness.models.loading import context_of, descriptions, load_config, load_tokenizer

#: What a server is asked before anything else, to see that it reads what we read.
PROBE = "How many legs do 3 cats and 2 birds have?"


class Road(Protocol):
    """One way of exchanging with the server of one model."""

    @property
    def tokenizer(self) -> Any:
        """Whose ids requests are made of."""

    def call(self, request: Request) -> Call:
        """The question of a request. Raises `RequestError` for one that cannot be asked."""

    def completion(self, request: Request, document: Any) -> Completion:
        """What came of it. Raises `Unusable`."""

    def probe(self) -> Call | None:
        """A question that shows whether the server does what this road needs; None without one."""

    def check(self, document: Any) -> ServerAnswer:
        """The answer to it. Raises `Unusable` for one that shows that it does not."""


@dataclass(frozen=True)
class Known:
    """What is known of a served model by its own files, none of which holds weights."""

    tokenizer: Any
    end_tokens: frozenset[int]
    context: int
    vocabulary: int

    @classmethod
    def of(cls, reference: str, longest: int | None) -> Self:
        """Read them; `longest` is the longest sequence that the server takes, if it tells.

        Raises:
            ModelError: the model has no configuration or no tokenizer here.
        """
        try:
            config, tokenizer = load_config(reference), load_tokenizer(reference)
        except ModelError as error:
            raise ModelError(
                f"{error}; a server is asked by token ids, or by text that must be their text, "
                "unless engine.road is chat"
            ) from error
        context = context_of(config)
        return cls(
            tokenizer,
            end_tokens(descriptions(reference), config, tokenizer),
            context if longest is None else min(context, longest),
            int(config.get_text_config().vocab_size),
        )

    def room(self, request: Request) -> int:
        """Tokens that a request may generate. Raises `RequestError` for what cannot be asked."""
        if not request.prompt:
            raise RequestError("the prompt is empty")
        outside = next((each for each in request.prompt if not 0 <= each < self.vocabulary), None)
        if outside is not None:
            raise RequestError(
                f"token id {outside} of the prompt is outside 0..{self.vocabulary - 1}"
            )
        if len(request.prompt) >= self.context:
            raise RequestError(
                f"the prompt has {len(request.prompt)} tokens, which leaves no room in the "
                f"server's context of {self.context}"
            )
        return min(request.max_new_tokens, self.context - len(request.prompt))


@dataclass
class Told:
    """A request, and what a server has said so far (`endings.Sequence`)."""

    request: Request
    tokens: list[int] = field(default_factory=list)

    @property
    def generated(self) -> Sequence[int]:
        """Tokens that the request continues, and those that were told."""
        return (*self.request.prompt[self.request.prompt_length :], *self.tokens)
