"""Two engines of different tokens write one text: what one says is read by the other, exactly.

Text goes from one to the other, and is encoded anew. What comes out of that must be the same text,
to the character, or the sequence ends with an error that quotes it: a text that changes on its way
would be an answer that neither model gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.engines.contract import Completion
from harness.errors import RequestError

#: Characters of an offending text that are quoted.
_MOST = 60
#: What a decoder writes for bytes that are no whole character yet.
_BROKEN = "�"


class InexactError(RequestError):
    """A text that the other tokenizer does not give back as it is."""


@dataclass(frozen=True, slots=True)
class Translation:
    """Between a sequence's own tokens and those of another engine."""

    own: Any
    """The tokenizer of the sequence's tokens."""
    other: Any
    """The other engine's."""

    def to(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """What is written so far in the other engine's tokens. Raises InexactError."""
        return _encoded(self.other, _text(self.own, tokens))

    def said(self, before: Sequence[int], completion: Completion, limit: int) -> Completion:
        """What the other engine said behind `before`, in the sequence's own tokens.

        At most as many as fit into `limit` in all; cut off, the sequence has its full length. A
        token's log-probability is not known in other tokens. Raises InexactError.
        """
        whole = _text(self.other, self._generated(before, completion))
        known = _text(self.own, before)
        if not whole.startswith(known):
            raise InexactError(
                f"{_quoted(known)} is read back as other text by the other tokenizer"
            )
        tokens = _encoded(self.own, whole[len(known) :])
        if _text(self.own, [*before, *tokens]) != whole:
            raise InexactError(f"{_quoted(whole)} has no tokens that go on from what was there")
        room = limit - len(before)
        said = replace(completion, tokens=tokens[:room], log_probabilities=(), traces={})
        if len(tokens) <= room:
            return said
        cut = _text(self.own, [*before, *tokens[:room]])
        return replace(said, text=cut, finish_reason="length")

    def _generated(self, before: Sequence[int], completion: Completion) -> list[int]:
        """All that is written, in the other engine's tokens, without a token that ends it."""
        said = list(completion.tokens)
        if completion.finish_reason == "stop" and said:
            special = set(self.other.all_special_ids)
            said = said[:-1] if said[-1] in special else said
        return [*self.to(before), *said]


def _text(tokenizer: Any, tokens: Sequence[int]) -> str:
    text = str(tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))
    if text.endswith(_BROKEN):
        raise InexactError(f"{_quoted(text)} ends within a character")
    return text


def _encoded(tokenizer: Any, text: str) -> tuple[int, ...]:
    if not text:
        return ()
    tokens = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    if str(tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)) != text:
        raise InexactError(f"{_quoted(text)} is not read back as it is by the other tokenizer")
    return tokens


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _MOST else f"...{text[-_MOST:]}")
