"""When a sequence ends, and the text that it leaves: stop tokens, stop strings, length, context."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

from harness.engines.contract import FinishReason, Request


class Model(Protocol):
    """What is asked of a model here."""

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids that end a sequence."""

    @property
    def context(self) -> int:
        """The longest sequence, in tokens."""

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer."""


class Generation(Protocol):
    """A request, and the tokens that were generated for it so far."""

    @property
    def request(self) -> Request:
        """What was asked for."""

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens generated for this request."""

    @property
    def generated(self) -> Sequence[int]:
        """Those, after the generated tokens that the request continues."""


class Endings:
    """The rules of one model: its end tokens, its context and its tokenizer."""

    def __init__(self, model: Model) -> None:
        # Read once: transformers' configurations take microseconds for every attribute.
        self._end_tokens = model.end_tokens
        self._context = model.context
        self._tokenizer = model.tokenizer
        # What single tokens say, as far as that was asked.
        self._said: dict[int, str] = {}

    def room(self, sequence: Generation) -> int:
        """Tokens that a sequence may still generate."""
        request = sequence.request
        context = self._context - len(request.prompt)
        return min(request.max_new_tokens, context) - len(sequence.tokens)

    def reason(self, sequence: Generation) -> FinishReason | None:
        """Why a sequence is over after its last token, or None."""
        stop = sequence.request.stop
        if sequence.tokens[-1] in self._end_tokens or sequence.tokens[-1] in stop.tokens:
            return "stop"
        can_end = any(self._completes(sequence.tokens[-1], string) for string in stop.strings)
        if can_end and _first_stop(self._tail(sequence), stop.strings) is not None:
            return "stop"
        return "length" if self.room(sequence) < 1 else None

    def text(self, sequence: Generation) -> str:
        """The text of all generated tokens, cut in front of its stop token or stop string."""
        stop = sequence.request.stop
        tokens = sequence.generated
        if tokens and (tokens[-1] in self._end_tokens or tokens[-1] in stop.tokens):
            tokens = tokens[:-1]
        text = str(self._tokenizer.decode(tokens))
        cut = _first_stop(text, stop.strings)
        return text if cut is None else text[:cut]

    def _completes(self, token: int, string: str) -> bool:
        """Whether a token can be the last one of a stop string, without decoding what is before it.

        By itself it then says the last character or has a part of one. Blanks may be another
        token's affair, since decoders strip them.
        """
        if string[-1:].isspace():
            return True
        said = self._said.get(token)
        if said is None:
            said = self._said[token] = str(self._tokenizer.decode([token]))
        return string[-1:] in said or "\ufffd" in said

    def _tail(self, sequence: Generation) -> str:
        """The end of the text, long enough for a stop string that the last token completes."""
        # A token is at least one byte. One more, since decoders strip the space of the first.
        needed = 1 + max(len(string.encode()) for string in sequence.request.stop.strings)
        tokens = sequence.generated
        start = max(0, len(tokens) - needed)
        # Bytes in a row are one text, or none at all if a part of them is missing.
        while start > 0 and tokens[start] in self._bytes:
            start -= 1
        return str(self._tokenizer.decode(tokens[start:]))

    @cached_property
    def _bytes(self) -> frozenset[int]:
        """The tokens that are a byte each, as SentencePiece names them."""
        names = [f"<0x{byte:02X}>" for byte in range(256)]
        found = self._tokenizer.convert_tokens_to_ids(names)
        known = self._tokenizer.convert_ids_to_tokens([0 if one is None else one for one in found])
        return frozenset(
            one for one, name, real in zip(found, names, known, strict=True) if name == real
        )


def _first_stop(text: str, strings: Sequence[str]) -> int | None:
    """Where the first stop string starts, or None."""
    found = [index for index in (text.find(string) for string in strings) if index >= 0]
    return min(found, default=None)
